//! `vmcompute.dll` itself.
//!
//! It is loaded at run time, from the system folder only: a program that holds this also starts where it is absent, and says what is
//! missing. [`Vmcompute`] is the `Hcs*` exports, [`NamedPipes`] a way of its processes' streams; strings, callbacks and the loader are one file each. Nothing here decides
//! anything.

#![allow(
    unsafe_code,
    reason = "the DLL's functions, its strings and its callbacks are reached by raw pointers"
)]

mod callbacks;
mod exports;
mod library;
mod named_pipes;
mod text;
mod version;

pub use exports::Vmcompute;
pub use library::LoadError;
pub use named_pipes::NamedPipes;
pub(crate) use version::windows_build;

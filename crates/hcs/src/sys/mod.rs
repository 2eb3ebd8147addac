//! `vmcompute.dll` itself.
//!
//! It is loaded at run time, from the system folder only: a program that holds this also starts where it is absent, and says what is
//! missing. [`Vmcompute`] is the `Hcs*` exports; strings, callbacks and the loader are one file each. Nothing here decides
//! anything.

#![allow(
    unsafe_code,
    reason = "the DLL's functions, its strings and its callbacks are reached by raw pointers"
)]

mod callbacks;
mod event;
mod exports;
mod library;
mod text;
mod version;

pub(crate) use event::Event;
pub use exports::Vmcompute;
pub use library::LoadError;
pub(crate) use version::windows_build;

//! A test double of `vmcompute.dll`: **not** the Host Compute Service, and no isolation of any kind.
//!
//! It has the same exports with the same calling convention, checks documents strictly (a field that it does not know is an
//! error), answers with pending operations that complete by callback on a thread of its own, and really starts the processes that it is
//! asked for, as plain processes of this machine. Built for Windows with `cargo rustc --crate-type cdylib`; on other platforms
//! there is only the documents' check.

pub mod documents;

#[cfg(windows)]
mod exports;
#[cfg(windows)]
mod state;

//! A test double of `vmcompute.dll`: **not** the Host Compute Service, and no isolation of any kind.
//!
//! It has the same exports with the same calling convention, checks documents strictly (a field that it does not know is an
//! error), answers with pending operations that complete by callback on a thread of its own, and really starts the processes that it is
//! asked for, as plain processes of this machine. Built for Windows with `cargo rustc --crate-type cdylib`; on other platforms
//! there is only the documents' check. `faults` says how a test has it fail, hang, lose notifications or die; a service for several
//! processes is another process's, as the real one is (`link`).

pub mod documents;
pub mod faults;

#[cfg(windows)]
mod console;
#[cfg(windows)]
mod exports;
#[cfg(windows)]
mod link;
#[cfg(windows)]
mod processes;
#[cfg(windows)]
mod protocol;
#[cfg(windows)]
mod service;
#[cfg(windows)]
mod state;

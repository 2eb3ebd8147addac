//! Every document that Hoist reads from outside, as functions of bytes that must come to an end: without a panic, in
//! bounded time and memory.
//!
//! `corpus/TARGET/` holds documents for each: good ones, and those that once were a fault's cause. The tests run over them
//! and over some thousands of mutations; `cargo xtask fuzz` mutates on, towards code that was not reached before.

pub mod coverage;
pub mod memory;
pub mod mutate;
mod targets;

use std::path::PathBuf;

/// A reader of one kind of document.
pub struct Target {
    /// Its name, and that of its corpus' folder.
    pub name: &'static str,
    /// Reads; a panic is a fault of Hoist.
    pub run: fn(&[u8]),
}

pub use targets::TARGETS;

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The folder of a target's documents.
pub fn corpus_of(target: &Target) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", target.name]
        .iter()
        .collect()
}

/// The documents of a folder, in the order of their names.
///
/// # Errors
/// Of reading.
pub fn documents(folder: &std::path::Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().map(std::fs::read).collect()
}

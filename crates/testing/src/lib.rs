//! What the tests of every crate share; nothing here is part of the product.
//!
//! - [`Suite`] runs tests whose [`Need`]s are declared: a test that cannot run here is counted as ignored, with
//!   the reason shown.
//! - [`probe`] is what a test binary becomes inside a container: it says as JSON what it sees there.
//! - [`Leaks`] counts what a container may leave behind, before and after.
//! - [`root`] prepares root file systems, [`spec`] the specs that run the probe in them.
//! - [`command`] drives the built `hoist` command, and [`Terminal`] is what it may be given to run on.
//! - [`conformance`] runs the contract's behaviours against a backend.
//!
//! Tests that use the probe have `harness = false` and begin their `main` with [`probe::main_if_asked`].

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

mod arrivals;
pub mod command;
pub mod conformance;
mod leaks;
mod need;
pub mod probe;
pub mod root;
pub mod spec;
mod suite;
mod terminal;

pub use leaks::Leaks;
pub use need::Need;
pub use suite::{Suite, full, hangs_after};
pub use terminal::{Modes, Terminal};

//! What the tests of every crate share; nothing here is part of the product.
//!
//! - [`Suite`] runs tests whose [`Need`]s are declared: a test that cannot run here is counted as ignored, with
//!   the reason shown.
//! - [`probe`] is what a test binary becomes inside a container: it says as JSON what it sees there.
//! - [`Leaks`] counts what a container may leave behind, before and after.
//! - [`root`] prepares root file systems, [`spec`] the specs that run the probe in them.
//! - [`command`] drives the built `hoist` command, and [`Terminal`] is what it may be given to run on.
//! - [`conformance`] runs the contract's behaviours against a backend, and `windows` does that on Windows.
//!
//! Tests that use the probe have `harness = false` and begin their `main` with [`probe::main_if_asked`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

mod bounds;
mod unfiltered;
#[cfg(windows)]
pub mod windows;

#[cfg(target_os = "linux")]
mod arrivals;
#[cfg(target_os = "linux")]
pub mod command;
#[cfg(target_os = "linux")]
pub mod conformance;
#[cfg(target_os = "linux")]
mod leaks;
#[cfg(target_os = "linux")]
mod need;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
mod refused_call;
#[cfg(target_os = "linux")]
pub mod root;
#[cfg(target_os = "linux")]
pub mod spec;
#[cfg(target_os = "linux")]
mod suite;
#[cfg(target_os = "linux")]
mod swapper;
#[cfg(target_os = "linux")]
mod terminal;

pub use bounds::{full, hangs_after};
#[cfg(target_os = "linux")]
pub use leaks::Leaks;
#[cfg(target_os = "linux")]
pub use need::Need;
#[cfg(target_os = "linux")]
pub use refused_call::refuse_call;
#[cfg(target_os = "linux")]
pub use suite::Suite;
#[cfg(target_os = "linux")]
pub use swapper::Swapper;
#[cfg(target_os = "linux")]
pub use terminal::{Modes, Terminal};
pub use unfiltered::unfiltered;

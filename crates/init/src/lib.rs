//! The wire format between a container's owner and the helper program `hoist-init`.
//!
//! A plan is a [`wire::Program`]: a flat sequence of [`wire::Step`]s, written by `hoist_linux::plan` and walked by the
//! helper. Both sides use the definitions here, so that they cannot disagree. The library part builds on every
//! platform and needs no standard library; the program itself (`src/program/`) is Linux only, and so is `owner`, which starts it.
#![cfg_attr(not(feature = "owner"), no_std)]

pub mod label;
#[cfg(all(feature = "owner", target_os = "linux"))]
pub mod owner;
#[cfg(feature = "owner")]
pub mod steps;
pub mod wire;

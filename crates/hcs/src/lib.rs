//! Containers on Windows: the documents of the Host Compute Service, the driver over its calls, and the DLL behind them.
//!
//! - [`request`] says what is wanted, from a [`hoist_spec::Command`] or an OCI runtime spec; [`lower`] makes the service's
//!   [`documents`] of it, and [`Plan`] the whole list of calls. All of that is pure and works on every platform.
//! - [`calls`] are the exports of `vmcompute.dll` as two traits, the flat ones of the first builds and the `Hcs*` ones, and
//!   one trait over both on which the [`driver`] stands.
//! - [`service`] is the contract of `hoist-compute` over the `Hcs*` calls.
//! - `sys`, on Windows, is the DLL itself.
//!
//! What the driver does, and where it does better than the original ones, is in `docs/windows.md`.

pub mod calls;
mod console_input;
mod dialect;
pub mod documents;
pub mod driver;
pub mod environment;
mod guid;
mod hresult;
pub mod lower;
mod path;
mod plan;
pub mod request;
pub mod service;
mod sha1;
#[cfg(windows)]
pub mod sys;

pub use dialect::{Dialect, Settings};
pub use guid::{Guid, InvalidGuid};
pub use hresult::{Hresult, Meaning};
pub use plan::{Plan, Step};
pub use service::{HcsService, Patience};

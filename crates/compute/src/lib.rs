//! The contract between Hoist's driver and the platforms it drives.
//!
//! A platform implements [`ComputeService`], [`ComputeSystem`], [`Exec`] and [`Process`]; their vocabulary is that
//! of the Windows Host Compute Service, which named the operations of a container host well. What a
//! backend must do, sentence by sentence, is in the documentation of each method; the
//! `conformance` module turns every sentence into a test that any backend can run.
//!
//! Nothing here calls the operating system beyond the standard library's types.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod errno;
mod error;
mod exec;
mod features;
mod files;
mod properties;
mod service;
mod status;
mod stdio;
mod timeline;

pub use error::{Error, ErrorKind, OsCode, Phase, Result};
pub use exec::{Confinement, ExecSpec};
pub use features::{Feature, Features};
pub use files::{Change, ChangeKind, FileKind, FileStat, Files, Ownership, RootFiles};
pub use properties::{
    BlockIoStatistics, CpuStatistics, MemoryStatistics, NetworkStatistics, ProcessEntry,
    Properties, Query, Statistics, Summary,
};
pub use service::{ComputeService, ComputeSystem, Exec, Process, Readiness, Survey};
pub use status::{ExitStatus, OomKill, State, Timestamp};
pub use stdio::{Stdio, Stream, StreamTransport, Streams};
pub use timeline::{Bar, Timeline};

//! The log of a container: docker's json-file format, with rotation.
//!
//! [`writer`] is the supervisor's, [`reader`] everybody else's; [`entry`] is what both agree on.

mod entry;
mod reader;
mod writer;

pub use entry::{Entry, OutputStream};
pub use reader::{LogQuery, LogReader};

pub(super) use writer::Log;

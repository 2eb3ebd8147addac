//! What the backends on Windows share, and nothing of what they do with it: the records of containers, and how arguments become a
//! command line. All of it builds and is tested on every platform.

pub mod command_line;
pub mod error;
#[cfg(windows)]
mod lock;
pub mod records;

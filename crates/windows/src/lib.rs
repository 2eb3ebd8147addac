//! What the backends on Windows share, and nothing of what they do with it: the records of containers and what lists tell of
//! them, failed calls as errors, and texts, those that arguments become among them. All of it builds and is tested on every platform.

pub mod command_line;
pub mod error;
#[cfg(windows)]
mod lock;
pub mod records;
pub mod summary;
pub mod text;

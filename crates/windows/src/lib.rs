//! What the backends on Windows share, and nothing of what they do with it: the records of containers, what was found of
//! them and lists tell, failed calls as errors, texts (those that arguments become among them), and the streams of processes: which pipes carry them, and
//! what is copied from and to those. All but the named pipes themselves builds and is tested on every platform.

pub mod command_line;
pub mod error;
#[cfg(windows)]
pub mod event;
pub mod input;
#[cfg(windows)]
mod lock;
#[cfg(windows)]
pub mod named_pipe;
mod output;
#[cfg(windows)]
pub mod pipe;
pub mod pipe_names;
pub mod records;
pub mod seen;
pub mod streams;
pub mod text;

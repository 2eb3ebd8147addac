//! The owner's half: the program embedded and sealed, started and spoken to, and what the kernel tells of the processes that it
//! starts. What the backends that use the program share, and nothing of what they do with it.

pub mod control;
pub mod descendants;
pub mod helper;
pub mod proc_pid;
pub mod reap;
pub mod signal;
pub mod spawn;
pub mod streams;
pub mod wait;
pub mod whole_file;

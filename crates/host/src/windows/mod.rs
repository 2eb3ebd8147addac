//! On Windows: a job for each container.
//!
//! - Every process of a container is in its job from before its first instruction, and there is no way out (no breakaway is allowed). An
//!   exec that is confined has a job of its own within it.
//! - The job ends all its processes with its last handle. Its owner has one, and so has the first process, which can do nothing with
//!   it: so a container outlives its owner, and what its first process leaves behind ends with that, whoever is there to see it.
//! - The job of an exec with an id is kept by its process, too, and lets what that leaves behind live on in the container; then the first
//!   process keeps it, so that whoever opens the exec finds it.
//! - Whoever starts or opens a process holds it by its handle; ends are heard of by waits of the system's pool.
//! - A process on a console of its own (`sys::pseudo_console`) is one of its owner's: with that its console ends, and so does it.
//! - Streams are handles that a process inherits; or, where the service is told so, named pipes with the names of Docker 1.8, of which it
//!   inherits the clients' ends (`streams`).
//! - Records are `hoist_windows::records`. A first process whose owner was lost has an exit code that is known to whoever waited for it
//!   by then; else it is told as unknown.

mod console;
mod exec;
mod further;
mod launch;
mod members;
mod process;
mod record;
mod remains;
mod run;
mod service;
mod streams;
mod sys;
mod system;

pub use service::{HostOptions, HostService};

//! The supervisor: one small process per detached container that owns it.
//!
//! It starts the container and so becomes its owner, reads what the container writes into a [log](LogOptions), passes it to
//! those who are attached, takes their input, starts the container once more where its [`RestartPolicy`] says
//! so, and removes it in the end where it is asked to. It is a mode of the caller's own program, which [`Launcher`] names: that program
//! calls [`serve`] first thing. Whoever wants something of it connects to its socket and speaks in packets (`wire`).
//!
//! Nothing here knows a command line, and nothing a platform's containers: those are the [`Engine`](crate::Engine)'s.
//!
//! It also starts and owns the container's execs, further processes that outlive who asks for them. In a container that has no
//! supervisor, an exec has an owner of its own, which is the same program below `execs/CONTAINER/EXEC/`.
//!
//! Below the state directory, `supervisors/ID/` holds `options.json`, what the supervisor was asked to do; `status.json`, what it is doing; and
//! `control`, its socket (0600 in a folder of mode 0700). The folder is locked for as long as the supervisor lives, so that
//! no number of a process ever has to be trusted.

mod become_supervisor;
mod client;
mod clients;
mod connection;
mod execs;
mod folder;
mod input;
mod launch;
mod log;
mod options;
mod policy;
mod run;
mod serve;
mod socket;
mod status;
mod turn;
mod wire;

pub use client::{Attachment, FromContainer};
pub use launch::Launcher;
pub use log::{Entry, LogQuery, LogReader, OutputStream};
pub use options::{LogDriver, LogOptions, SuperviseOptions, WhenLogFails};
pub use policy::{RestartPolicy, UnknownPolicy};
pub(crate) use serve::is_being_started;
pub use serve::serve;
pub use status::{SupervisorState, SupervisorStatus};

pub(crate) use connection::{Connection, is_gone};
pub(crate) use folder::SupervisorFolder;
pub(crate) use launch::{Launch, Launched};
pub(crate) use wire::{AttachRequest, Packet, StartExecRequest};
#[cfg(test)]
pub(crate) use {socket::pair as socket_pair, wire::Exited};

/// How long a container's output is read on after its process's end, where a process that it has left behind keeps it open.
pub const DRAIN_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

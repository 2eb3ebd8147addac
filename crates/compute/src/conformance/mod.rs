//! What every backend must do, as tests that are written once.
//!
//! A [`Behaviour`] is one sentence about the contract and the function that proves it against a
//! [`Fixture`], which a backend's own tests provide. [`SENTENCES`] lists what the contract says; the unit
//! tests here see to it that every sentence of the traits' documentation stands in that list and that every
//! entry of the list has a behaviour, and keep `docs/conformance.md`, the table from sentence to test.
//!
//! The containers run a *probe*: a program that does what its arguments say ([`Fixture::spec`]).

use std::{error::Error, process::Command, sync::Arc};

use hoist_spec::{ContainerSpec, ProcessSpec};

use crate::{ComputeService, Readiness};

/// Ends a behaviour with words where a condition does not hold.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+).into());
        }
    };
}

/// Ends a behaviour with words and both values where they differ.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($words:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    return Err(
                        format!("{}: {found:?} instead of {expected:?}", format_args!($($words)+)).into(),
                    );
                }
            }
        }
    };
}

mod another;
mod concurrent;
mod console;
mod ending;
mod environment;
mod exec;
mod exec_objects;
mod exits;
mod files;
mod kit;
mod lifecycle;
mod limited;
pub mod pattern;
mod properties;
mod reset;
mod sentences;
mod streams;
mod waiting;

pub use another::act;
pub use sentences::{SENTENCES, Sentence, table};

/// How a behaviour ends: well, or with words about what was different.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Something that not every backend or every host can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ability {
    /// Processes can have a console.
    Console,
    /// A console can be given another size.
    ConsoleSizes,
    /// A console passes on what its process writes, byte by byte; else it draws that on a screen, and tells a terminal how to show it.
    ConsoleBytes,
    /// Containers can be paused.
    Pause,
    /// Processes can run as other users.
    Users,
    /// Processes get and are ended by Unix signals.
    Signals,
    /// Memory and the number of processes can be limited, and what is used is accounted for.
    Limits,
    /// All that a process has started, whatever became of it, can be told and ended.
    Trees,
    /// A further process can have limits of its own.
    ProcessLimits,
    /// A container has a host name and process ids of its own.
    Isolation,
    /// A container that has ended can be started once more.
    Reset,
    /// Files can be copied into and out of a container.
    Files,
    /// Whether a file can be executed is told by its mode.
    Modes,
    /// A process can tell which descriptors it has.
    Descriptors,
    /// A process gets the very descriptors that the caller gives.
    GivenDescriptors,
    /// A further process can be an object with an id.
    Execs,
    /// A further process can have a root of its own.
    OwnRoot,
}

/// What a backend's tests give the behaviours.
pub trait Fixture: Send + Sync {
    /// The service under test, the same one each time.
    fn service(&self) -> Arc<dyn ComputeService>;

    /// What the ids of all containers begin with.
    fn tag(&self) -> &str;

    /// A container whose program is the probe with these arguments, for a new root or one whose content stays the
    /// same.
    ///
    /// In it are `/probe`, the program; `/bin/text`, a file that cannot be executed; `/bin/garbage` and
    /// `/bin/orphan-script`, executable files that are no programs; a writable `/tmp`; and in `/etc/passwd` and
    /// `/etc/group` the user `tester` (1000), its group of the same name (1001), and `helpers` (1002), of which it
    /// is a member.
    fn spec(&self, probe: &[&str]) -> ContainerSpec;

    /// A path in such a container, from one with slashes below its root.
    fn path(&self, path: &str) -> String {
        path.to_owned()
    }

    /// Folders as one value of `PATH`.
    fn search_path(&self, folders: &[&str]) -> String {
        folders.join(":")
    }

    /// How long an argument or a variable's value can be, beside few others.
    fn longest_text(&self) -> usize {
        100_000
    }

    /// Whether a process has a variable of this name though nobody asked for it: what docker and its peers add, and programs
    /// rely on.
    fn adds_variable(&self, name: &str) -> bool {
        name == "HOME"
    }

    /// Whether long rows of like cases are to be shortened: where it takes long to start a process.
    fn is_bounded(&self) -> bool {
        false
    }

    /// A further process for such a container: the probe again.
    fn process(&self, probe: &[&str]) -> ProcessSpec;

    /// A command that calls [`act`] in another operating-system process, with an equal fixture and the
    /// arguments that the behaviour appends.
    fn another_process(&self) -> Outcome<Command>;

    /// Whether what an event loop would wait for is ready now (poll(2) on Unix).
    fn is_ready(&self, readiness: Readiness<'_>) -> bool;

    /// Why the backend or the host lacks an ability; `None` where it has it.
    fn lacks(&self, ability: Ability) -> Option<String>;
}

/// One thing that a backend must do.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// It as a sentence.
    pub name: &'static str,
    /// The ids of the [`SENTENCES`] of the contract that it proves.
    pub covers: &'static [&'static str],
    /// What the host must be able to do.
    pub needs: &'static [Ability],
    /// Proves it.
    pub run: fn(&dyn Fixture) -> Outcome,
}

/// All behaviours, in the order in which they are best read.
pub fn behaviours() -> Vec<Behaviour> {
    [
        lifecycle::BEHAVIOURS,
        exits::BEHAVIOURS,
        waiting::BEHAVIOURS,
        ending::BEHAVIOURS,
        streams::BEHAVIOURS,
        console::BEHAVIOURS,
        exec::BEHAVIOURS,
        limited::BEHAVIOURS,
        exec_objects::BEHAVIOURS,
        environment::BEHAVIOURS,
        another::BEHAVIOURS,
        concurrent::BEHAVIOURS,
        properties::BEHAVIOURS,
        reset::BEHAVIOURS,
        files::BEHAVIOURS,
    ]
    .concat()
}

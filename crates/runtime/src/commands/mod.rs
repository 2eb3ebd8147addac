//! The commands, one file each: reading their flags, calling the backend, printing.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod restore;
mod run;
mod spec;
mod start;
mod state;
pub(crate) mod update;

use std::ffi::OsString;
use std::io::Write;

use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::{self, Global};
use crate::help;
use crate::log::Log;
use crate::process::note_inherited;

/// A command.
pub(crate) struct Command {
    /// Its name.
    pub(crate) name: &'static str,
    /// What stands behind its flags, for help.
    pub(crate) words: &'static str,
    /// What it does, for help.
    pub(crate) about: &'static str,
    /// Its flags, in groups that commands share.
    pub(crate) flags: &'static [&'static [Flag]],
    /// Behind how many words nothing is a flag any more.
    pub(crate) literal_after: usize,
    /// Carries it out; the result is the exit code.
    run: fn(&mut Global, &Arguments) -> Result<u8, Failure>,
}

const NO_LIMIT: usize = usize::MAX;

/// Every command, in the order of help.
pub(crate) const COMMANDS: [Command; 17] = [
    Command {
        name: "checkpoint",
        words: "CONTAINER",
        about: "have criu write a running container down",
        flags: &[&checkpoint::COMMON, &checkpoint::FLAGS],
        literal_after: NO_LIMIT,
        run: checkpoint::checkpoint,
    },
    Command {
        name: "create",
        words: "CONTAINER",
        about: "make a container, and leave its process waiting for `start`",
        flags: &[&create::FLAGS, &crate::process::FLAGS],
        literal_after: NO_LIMIT,
        run: create::create,
    },
    Command {
        name: "delete",
        words: "CONTAINER",
        about: "remove a stopped container and all that was made for it",
        flags: &[&delete::FLAGS],
        literal_after: NO_LIMIT,
        run: delete::delete,
    },
    Command {
        name: "events",
        words: "CONTAINER",
        about: "print statistics and out-of-memory events as lines of JSON",
        flags: &[&events::FLAGS],
        literal_after: NO_LIMIT,
        run: events::events,
    },
    Command {
        name: "exec",
        words: "CONTAINER [COMMAND [ARG...]]",
        about: "run a further process in a container",
        flags: &[&exec::FLAGS, &crate::process::FLAGS],
        literal_after: 2,
        run: exec::exec,
    },
    Command {
        name: "features",
        words: "",
        about: "print what this runtime knows and does, as JSON",
        flags: &[],
        literal_after: NO_LIMIT,
        run: features::features,
    },
    Command {
        name: "kill",
        words: "CONTAINER [SIGNAL]",
        about: "send a signal (default: SIGTERM) to a container's process",
        flags: &[&kill::FLAGS],
        literal_after: NO_LIMIT,
        run: kill::kill,
    },
    Command {
        name: "list",
        words: "",
        about: "list the containers below the root",
        flags: &[&list::FLAGS],
        literal_after: NO_LIMIT,
        run: list::list,
    },
    Command {
        name: "pause",
        words: "CONTAINER",
        about: "freeze every process of a container",
        flags: &[],
        literal_after: NO_LIMIT,
        run: pause::pause,
    },
    Command {
        name: "ps",
        words: "CONTAINER [PS OPTION...]",
        about: "list the processes of a container",
        flags: &[&ps::FLAGS],
        literal_after: 1,
        run: ps::ps,
    },
    Command {
        name: "restore",
        words: "CONTAINER",
        about: "have criu bring a container back from a checkpoint",
        flags: &[&checkpoint::COMMON, &restore::FLAGS],
        literal_after: NO_LIMIT,
        run: restore::restore,
    },
    Command {
        name: "resume",
        words: "CONTAINER",
        about: "let a paused container go on",
        flags: &[],
        literal_after: NO_LIMIT,
        run: pause::resume,
    },
    Command {
        name: "run",
        words: "CONTAINER",
        about: "make a container, start it, attend to it and remove it",
        flags: &[&create::FLAGS, &run::FLAGS, &crate::process::FLAGS],
        literal_after: NO_LIMIT,
        run: run::run,
    },
    Command {
        name: "spec",
        words: "",
        about: "write a config.json to begin with",
        flags: &[&spec::FLAGS],
        literal_after: NO_LIMIT,
        run: spec::spec,
    },
    Command {
        name: "start",
        words: "CONTAINER",
        about: "execute the program of a created container",
        flags: &[],
        literal_after: NO_LIMIT,
        run: start::start,
    },
    Command {
        name: "state",
        words: "CONTAINER",
        about: "print a container's state as JSON",
        flags: &[],
        literal_after: NO_LIMIT,
        run: state::state,
    },
    Command {
        name: "update",
        words: "CONTAINER",
        about: "change a container's limits",
        flags: &[&update::FLAGS],
        literal_after: NO_LIMIT,
        run: update::update,
    },
];

const HELP: [Flag; 1] = [Flag::switch("help", "print help").or("h")];

/// Reads the command line and carries the command out.
pub(crate) fn dispatch(line: impl Iterator<Item = OsString>) -> u8 {
    let mut log = Log::plain();
    match carry_out(line, &mut log) {
        Ok(code) => code,
        Err(failure) => {
            log.error(&failure.message);
            failure.code
        }
    }
}

fn carry_out(line: impl Iterator<Item = OsString>, log: &mut Log) -> Result<u8, Failure> {
    let line = line
        .map(|word| {
            word.into_string()
                .map_err(|word| Failure::usage(format!("argument {word:?} is not UTF-8")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    note_inherited(&line);
    let before = Arguments::read(&line, &global::FLAGS, 1)?;
    let mut global = Global::of(&before)?;
    let outcome = command(&mut global, &before);
    *log = global.log;
    outcome
}

fn command(global: &mut Global, before: &Arguments) -> Result<u8, Failure> {
    if before.has("version") {
        return print(&help::version());
    }
    let Some((name, rest)) = before.words.split_first() else {
        return print(&help::all());
    };
    if before.has("help") || matches!(name.as_str(), "help" | "h") {
        return print(&help::all());
    }
    let command = COMMANDS
        .iter()
        .find(|command| command.name == name)
        .ok_or_else(|| Failure::usage(format!("No help topic for '{name}'")))?;
    let flags: Vec<Flag> = command
        .flags
        .iter()
        .copied()
        .chain([HELP.as_slice()])
        .flatten()
        .copied()
        .collect();
    let arguments = Arguments::read(rest, &flags, command.literal_after)?;
    if arguments.has("help") {
        return print(&help::of(command));
    }
    (command.run)(global, &arguments)
}

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<u8, Failure> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", text.trim_end_matches('\n'))
        .and_then(|()| output.flush())
        .map_err(|error| Failure::new(format!("write to standard output: {error}")))?;
    Ok(0)
}

/// The one word of a command that has one: a container's id.
pub(crate) fn only_id<'a>(command: &str, arguments: &'a Arguments) -> Result<&'a str, Failure> {
    match arguments.words.as_slice() {
        [id] => Ok(id),
        _ => Err(Failure::usage(format!(
            "hoist-oci: {command:?} requires exactly 1 argument(s)"
        ))),
    }
}

/// The first word of a command that has more: a container's id.
pub(crate) fn first_id<'a>(command: &str, arguments: &'a Arguments) -> Result<&'a str, Failure> {
    match arguments.words.first() {
        Some(id) => Ok(id),
        None => Err(Failure::usage(format!(
            "hoist-oci: {command:?} requires a minimum of 1 argument"
        ))),
    }
}

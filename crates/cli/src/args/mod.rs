//! What the command line looks like.
//!
//! Values stay text here: `hoist-spec` reads them and collects every fault, so that one run names
//! them all. Only the command that is given is defined, with its arguments: a start does not pay for the
//! others.

#![cfg_attr(
    windows,
    allow(
        dead_code,
        unused_imports,
        reason = "what only commands read that there are not on Windows"
    )
)]

mod containers;
mod exec;
mod files;
mod format;
mod mounts;
mod process;
mod run;

use std::{
    ffi::{OsStr, OsString},
    mem::ManuallyDrop,
    path::PathBuf,
};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches as _, ValueHint,
    builder::{EnumValueParser, Resettable, ValueParser},
};

pub(crate) use containers::{
    Attach, Completions, Containers, Format, Inspect, Kill, Logs, Man, Prune, Ps, Rename, Report,
    Rm, Start, Stats, Stop, TableFormat, Top, Update, Wait,
};
pub(crate) use exec::{Exec, Further};
pub(crate) use files::{Cp, Diff, Export};
pub(crate) use mounts::{
    MountAction, MountAdd, MountCommand, MountRm, VolumeAction, VolumeCommand, VolumeLs,
};
pub(crate) use process::{
    AttachProcess, LsProcesses, ProcessAction, ProcessGroup, ResizeProcess, StartProcess,
    StatsProcesses,
};
pub(crate) use run::{Plan, Run, Supervised, Transport};

use crate::commands::LACKS;
use crate::log::Level;
use run::{CommonRunOptions, RareRunOptions};

/// A command line that was understood.
pub(crate) struct Invocation {
    /// Where containers are recorded, instead of the usual place.
    pub state_root: Option<PathBuf>,
    /// How much is told beside failures.
    pub log_level: Level,
    /// Write errors as JSON.
    pub json_errors: bool,
    /// What to do.
    pub action: Action,
}

/// What to do.
pub(crate) enum Action {
    Run(Box<Run>),
    Exec(Exec),
    Process(Box<ProcessAction>),
    Platform(PlatformAction),
    Pause(Containers),
    Unpause(Containers),
    Update(Update),
    Stats(Stats),
    Rename(Rename),
    Prune(Prune),
    Man(Man),
    Ps(Ps),
    Inspect(Inspect),
    Top(Top),
    Stop(Stop),
    Kill(Kill),
    Wait(Wait),
    Rm(Rm),
    Info(Report),
    Plan(Box<Plan>),
    Version(Report),
    Completions(Completions),
}

impl Action {
    /// How it shall carry streams, where it says so.
    pub(crate) fn stdio(&self) -> Option<&str> {
        let transport = match self {
            Self::Run(run) => &run.rare.transport,
            Self::Platform(PlatformAction::Create(run)) => &run.rare.transport,
            Self::Plan(plan) => &plan.run.rare.transport,
            Self::Exec(exec) => &exec.transport,
            Self::Process(action) => match &**action {
                ProcessAction::Start(start) => &start.transport,
                _ => return None,
            },
            _ => return None,
        };
        transport.stdio.as_deref()
    }
}

/// What to do that not every platform has.
pub(crate) enum PlatformAction {
    Create(Box<Run>),
    Start(Start),
    Restart(Stop),
    Attach(Attach),
    Logs(Logs),
    Cp(Cp),
    Diff(Diff),
    Export(Export),
    Mount(MountCommand),
    Volume(VolumeCommand),
}

/// A command's name, what it is for, and its arguments.
type Definition = (&'static str, &'static str, fn(Command) -> Command);

const COMMANDS: &[Definition] = &[
    ("run", "Run a command in a new container", arguments::<Run>),
    (
        "exec",
        "Run a command in a running container",
        arguments::<Exec>,
    ),
    (
        "process",
        "Make, start, watch and end further processes of containers, by ids of their own",
        arguments::<ProcessGroup>,
    ),
    (
        "create",
        "Make a container for `start`, and print its id",
        |command| {
            arguments::<Run>(command)
                .override_usage("hoist create [OPTIONS] [--] COMMAND [ARG]...")
                .mut_arg("detach", |detach| detach.hide(true))
        },
    ),
    (
        "start",
        "Start containers that were made, or have ended",
        arguments::<Start>,
    ),
    (
        "restart",
        "Stop containers, and start them once more",
        arguments::<Stop>,
    ),
    (
        "attach",
        "Attach to the streams of a container that runs in the background",
        arguments::<Attach>,
    ),
    (
        "logs",
        "Show what a container in the background has written",
        arguments::<Logs>,
    ),
    ("ps", "List containers", arguments::<Ps>),
    (
        "inspect",
        "Show all that is known of containers, as JSON",
        arguments::<Inspect>,
    ),
    ("top", "List the processes of a container", arguments::<Top>),
    (
        "stop",
        "Ask containers to end, and end by force those that do not",
        arguments::<Stop>,
    ),
    ("kill", "Send a signal to containers", arguments::<Kill>),
    (
        "wait",
        "Wait until containers have ended, and print their exit codes",
        arguments::<Wait>,
    ),
    (
        "pause",
        "Freeze every process of containers",
        arguments::<Containers>,
    ),
    (
        "unpause",
        "Let paused containers go on",
        arguments::<Containers>,
    ),
    (
        "update",
        "Change limits and restart policies of containers",
        arguments::<Update>,
    ),
    (
        "stats",
        "Show what containers use, again and again",
        arguments::<Stats>,
    ),
    (
        "rename",
        "Give a container another name",
        arguments::<Rename>,
    ),
    (
        "cp",
        "Copy files between a container and this machine",
        arguments::<Cp>,
    ),
    (
        "diff",
        "List what a container has changed in its layers",
        arguments::<Diff>,
    ),
    (
        "mount",
        "Add mounts to a running container, and remove those",
        arguments::<MountCommand>,
    ),
    (
        "volume",
        "Make, list and remove volumes, which outlive containers",
        arguments::<VolumeCommand>,
    ),
    (
        "export",
        "Write a container's root as a tar archive",
        arguments::<Export>,
    ),
    ("rm", "Remove containers", arguments::<Rm>),
    (
        "prune",
        "Remove all containers that have ended",
        arguments::<Prune>,
    ),
    (
        "info",
        "Show what this machine can do, and why not what it cannot",
        arguments::<Report>,
    ),
    (
        "plan",
        "Show the steps that `run` would take, and take none",
        arguments::<Plan>,
    ),
    ("version", "Show the version", arguments::<Report>),
    ("man", "Write manual pages", arguments::<Man>),
    (
        "completions",
        "Print a completion script for a shell",
        arguments::<Completions>,
    ),
];

/// The whole command line, or the part of it that begins with the command `only`, where that is one.
pub(crate) fn command(only: Option<&OsStr>) -> Command {
    let is_meant = |definition: &&Definition| only.is_some_and(|only| only == definition.0);
    command_of(match COMMANDS.iter().find(is_meant) {
        Some(definition) => std::slice::from_ref(definition),
        None => COMMANDS,
    })
}

fn command_of(definitions: &[Definition]) -> Command {
    Command::new("hoist")
        .bin_name("hoist")
        .about("Run processes in containers")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
        )
        .args(global_options())
        .subcommands(definitions.iter().map(|(name, about, arguments)| {
            Command::new(*name)
                .about(*about)
                .hide(LACKS.contains(name))
                // docker's rule: of an option that is given twice, the last one counts.
                .args_override_self(true)
                .defer(*arguments)
        }))
}

/// The options that stand before or after the command's name.
fn global_options() -> [Arg; 3] {
    [
        Arg::new("state-root")
            .long("state-root")
            .value_name("DIR")
            .value_parser(ValueParser::path_buf())
            .value_hint(ValueHint::DirPath)
            .global(true)
            .display_order(1000)
            .help("Record containers in DIR instead of /run/hoist or $XDG_RUNTIME_DIR/hoist"),
        Arg::new("log-format")
            .long("log-format")
            .value_name("FORMAT")
            .value_parser(["text", "json"])
            .hide_possible_values(true)
            .global(true)
            .display_order(1001)
            .help("How errors are written: text (default) or json"),
        Arg::new("log-level")
            .long("log-level")
            .value_name("LEVEL")
            .value_parser(EnumValueParser::<Level>::new())
            .hide_possible_values(true)
            .global(true)
            .display_order(1002)
            .help("How much is told on standard error: debug, info (default), warn or error"),
    ]
}

/// Adds the arguments of `A` to `command`, which keeps its own description: the documentation of `A` is for
/// readers of the code.
fn arguments<A: Args>(command: Command) -> Command {
    let about = Resettable::from(command.get_about().cloned());
    A::augment_args(command).about(about).long_about(None)
}

/// The command that a command line asks for, also where the rest of it cannot be read.
pub(crate) fn command_name(words: &[OsString]) -> Option<String> {
    let matches = Command::new("hoist")
        .disable_help_flag(true)
        .ignore_errors(true)
        .allow_external_subcommands(true)
        .args(global_options())
        .try_get_matches_from(words)
        .ok()?;
    matches.subcommand_name().map(str::to_owned)
}

/// Reads the command line. The error is clap's, which is also how it answers `--help`.
pub(crate) fn parse(words: &[OsString]) -> Result<Invocation, clap::Error> {
    if let Some(read) = parse_common_run(words).or_else(|| parse_exec_without_options(words)) {
        return Ok(read);
    }
    let only = words.get(1).map(OsString::as_os_str);
    let (name, mut arguments) = read(words, command(only))?;
    let global = Global::of(&mut arguments);
    let from = &mut arguments;
    let local = Action::Platform;
    let action = match name.as_str() {
        "run" => Action::Run(Box::new(Run::from_arg_matches_mut(from)?)),
        "exec" => Action::Exec(Exec::from_arg_matches_mut(from)?),
        "process" => Action::Process(Box::new(ProcessGroup::from_arg_matches_mut(from)?.action)),
        "create" => local(PlatformAction::Create(Box::new(Run::from_arg_matches_mut(
            from,
        )?))),
        "start" => local(PlatformAction::Start(Start::from_arg_matches_mut(from)?)),
        "restart" => local(PlatformAction::Restart(Stop::from_arg_matches_mut(from)?)),
        "attach" => local(PlatformAction::Attach(Attach::from_arg_matches_mut(from)?)),
        "logs" => local(PlatformAction::Logs(Logs::from_arg_matches_mut(from)?)),
        "pause" => Action::Pause(Containers::from_arg_matches_mut(from)?),
        "unpause" => Action::Unpause(Containers::from_arg_matches_mut(from)?),
        "update" => Action::Update(Update::from_arg_matches_mut(from)?),
        "stats" => Action::Stats(Stats::from_arg_matches_mut(from)?),
        "rename" => Action::Rename(Rename::from_arg_matches_mut(from)?),
        "cp" => local(PlatformAction::Cp(Cp::from_arg_matches_mut(from)?)),
        "diff" => local(PlatformAction::Diff(Diff::from_arg_matches_mut(from)?)),
        "volume" => local(PlatformAction::Volume(VolumeCommand::from_arg_matches_mut(
            from,
        )?)),
        "mount" => local(PlatformAction::Mount(MountCommand::from_arg_matches_mut(
            from,
        )?)),
        "export" => local(PlatformAction::Export(Export::from_arg_matches_mut(from)?)),
        "prune" => Action::Prune(Prune::from_arg_matches_mut(from)?),
        "man" => Action::Man(Man::from_arg_matches_mut(from)?),
        "ps" => Action::Ps(Ps::from_arg_matches_mut(from)?),
        "inspect" => Action::Inspect(Inspect::from_arg_matches_mut(from)?),
        "top" => Action::Top(Top::from_arg_matches_mut(from)?),
        "stop" => Action::Stop(Stop::from_arg_matches_mut(from)?),
        "kill" => Action::Kill(Kill::from_arg_matches_mut(from)?),
        "wait" => Action::Wait(Wait::from_arg_matches_mut(from)?),
        "rm" => Action::Rm(Rm::from_arg_matches_mut(from)?),
        "info" => Action::Info(Report::from_arg_matches_mut(from)?),
        "plan" => Action::Plan(Box::new(Plan::from_arg_matches_mut(from)?)),
        "version" => Action::Version(Report::from_arg_matches_mut(from)?),
        "completions" => Action::Completions(Completions::from_arg_matches_mut(from)?),
        _ => return Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand)),
    };
    Ok(global.with(action))
}

/// Reads a `run` whose options are all common ones, which is a small part of all that there are. Any other line, and
/// one that asks for help or is at fault, is for the whole definition to read.
fn parse_common_run(words: &[OsString]) -> Option<Invocation> {
    let [_, command, words @ ..] = words else {
        return None;
    };
    if command != "run" {
        return None;
    }
    // Not below the program's own definition: that would be built, too, with words for its usage that nobody sees.
    let alone = Command::new("run")
        .no_binary_name(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args(global_options());
    let mut definition = ManuallyDrop::new(arguments::<CommonRunOptions>(alone));
    let mut arguments = definition.try_get_matches_from_mut(words).ok()?;
    let global = Global::of(&mut arguments);
    let run = Run {
        common: CommonRunOptions::from_arg_matches_mut(&mut arguments).ok()?,
        rare: RareRunOptions::default(),
    };
    Some(global.with(Action::Run(Box::new(run))))
}

/// Reads an `exec` without any option: nothing has to be defined to read that. What is no text is for the whole definition to refuse.
fn parse_exec_without_options(words: &[OsString]) -> Option<Invocation> {
    let [_, command, words @ ..] = words else {
        return None;
    };
    let text: Option<Vec<String>> = words
        .iter()
        .map(|word| word.to_str().map(str::to_owned))
        .collect();
    let further = Further {
        words: text?,
        ..Further::default()
    };
    let begins_with_option = further.words.first()?.starts_with('-');
    if command != "exec" || begins_with_option {
        return None;
    }
    let exec = Exec {
        detach: false,
        transport: Transport::default(),
        further,
    };
    Some(Global::default().with(Action::Exec(exec)))
}

/// The command's name, and what it is given.
fn read(words: &[OsString], command: Command) -> Result<(String, ArgMatches), clap::Error> {
    // The process ends before it would need that memory again, and freeing it piece by piece takes time in every start.
    let mut command = ManuallyDrop::new(command);
    let mut matches = command.try_get_matches_from_mut(words)?;
    matches
        .remove_subcommand()
        .ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))
}

/// What the global options say.
#[derive(Default)]
struct Global {
    state_root: Option<PathBuf>,
    json_errors: bool,
    log_level: Level,
}

impl Global {
    /// A global option is found in the innermost matches.
    fn of(arguments: &mut ArgMatches) -> Self {
        Self {
            state_root: arguments.remove_one("state-root"),
            json_errors: arguments
                .get_one::<String>("log-format")
                .is_some_and(|format| format == "json"),
            log_level: arguments.remove_one("log-level").unwrap_or_default(),
        }
    }

    fn with(self, action: Action) -> Invocation {
        Invocation {
            state_root: self.state_root,
            log_level: self.log_level,
            json_errors: self.json_errors,
            action,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &[&str]) -> Result<Invocation, clap::Error> {
        let words: Vec<OsString> = std::iter::once(&"hoist")
            .chain(line)
            .map(|word| OsString::from(*word))
            .collect();
        parse(&words)
    }

    fn run(line: &[&str]) -> Run {
        match parse_words(line).map(|invocation| invocation.action) {
            Ok(Action::Run(run)) => *run,
            Ok(_) => panic!("{line:?} is another command"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_definitions_agree_with_each_other() {
        command(None).debug_assert();
    }

    #[test]
    fn options_of_run_end_at_the_command() {
        let run = run(&[
            "run", "-it", "--rm", "-e", "A=1", "-eB", "sh", "-c", "x", "--", "--rm", "-t",
        ]);
        assert!(run.common.interactive && run.common.tty && run.common.rm);
        assert_eq!(run.common.env, ["A=1", "B"]);
        assert_eq!(run.common.command, ["sh", "-c", "x", "--", "--rm", "-t"]);
    }

    #[test]
    fn two_dashes_before_the_command_are_not_part_of_it() {
        assert_eq!(
            run(&["run", "--", "-x", "--", "y"]).common.command,
            ["-x", "--", "y"]
        );
        assert_eq!(
            run(&["run", "-i", "--", "ls", "-l"]).common.command,
            ["ls", "-l"]
        );
    }

    #[test]
    fn a_single_h_is_the_hostname_as_with_docker() {
        assert_eq!(
            run(&["run", "-h", "web", "true"])
                .common
                .hostname
                .as_deref(),
            Some("web")
        );
        assert_eq!(
            run(&["run", "-hweb", "true"]).common.hostname.as_deref(),
            Some("web")
        );
        let help = parse_words(&["run", "--help"]).err().unwrap();
        assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
    }

    #[test]
    fn values_may_begin_with_a_dash_as_with_docker() {
        let run = run(&[
            "run",
            "--pids-limit",
            "-1",
            "-e",
            "-x=y",
            "-m",
            "-1",
            "true",
        ]);
        assert_eq!(run.rare.pids_limit.as_deref(), Some("-1"));
        assert_eq!(run.common.memory.as_deref(), Some("-1"));
        assert_eq!(run.common.env, ["-x=y"]);
        assert_eq!(run.common.command, ["true"]);
    }

    #[test]
    fn of_two_equal_options_the_last_counts() {
        assert_eq!(
            run(&["run", "--name", "a", "--name", "b", "true"])
                .common
                .name
                .as_deref(),
            Some("b")
        );
    }

    #[test]
    fn a_line_of_common_options_is_read_alike_by_the_whole_definition() {
        let words: Vec<OsString> = [
            "hoist",
            "run",
            "-itd",
            "--rm",
            "--log-format",
            "json",
            "-e",
            "A=1",
            "-v",
            "/a:/b",
            "--network",
            "none",
            "--layer=/x",
            "--layer",
            "/y",
            "-m",
            "1g",
            "sh",
            "-c",
            "--rm",
        ]
        .map(OsString::from)
        .into();
        let common = parse_common_run(&words).unwrap();
        let (_, mut arguments) = read(&words, command(Some(OsStr::new("run")))).ok().unwrap();
        let global = Global::of(&mut arguments);
        assert!(common.json_errors && global.json_errors);
        let Action::Run(common) = common.action else {
            panic!("another command");
        };
        let whole = Run::from_arg_matches_mut(&mut arguments).ok().unwrap();
        assert_eq!(format!("{common:?}"), format!("{whole:?}"));
    }

    #[test]
    fn what_the_common_options_cannot_say_is_left_to_the_whole_definition() {
        for line in [
            &["run", "--help"][..],
            &["run", "--pids-limit", "3", "true"],
            &["run", "-c", "3", "true"],
            &["run", "--rootfs", "/a", "--layer", "/b", "true"],
            &["--log-level", "debug", "run", "true"],
            &["exec", "web", "true"],
        ] {
            let words: Vec<OsString> = [&["hoist"], line]
                .concat()
                .iter()
                .map(OsString::from)
                .collect();
            assert!(parse_common_run(&words).is_none(), "{line:?}");
        }
    }

    #[test]
    fn an_exec_without_options_is_read_alike_by_the_whole_definition() {
        for line in [
            &["web"][..],
            &["web", "ls", "-l", "--help", "--", "--log-format", "json"],
            &["web", "-it", "--", "x"],
            &["", ""],
        ] {
            let words: Vec<OsString> = ["hoist", "exec"]
                .iter()
                .chain(line)
                .map(OsString::from)
                .collect();
            let found = parse_exec_without_options(&words).unwrap();
            let (_, mut arguments) = read(&words, command(Some(OsStr::new("exec"))))
                .ok()
                .unwrap();
            let global = Global::of(&mut arguments);
            let whole = Exec::from_arg_matches_mut(&mut arguments).ok().unwrap();
            let whole = global.with(Action::Exec(whole));
            let Action::Exec(exec) = &found.action else {
                panic!("another command");
            };
            let Action::Exec(expected) = &whole.action else {
                panic!("another command");
            };
            assert_eq!(format!("{exec:?}"), format!("{expected:?}"), "{line:?}");
            assert_eq!(found.log_level, whole.log_level);
            assert_eq!(found.state_root, whole.state_root);
            assert_eq!(found.json_errors, whole.json_errors);
        }
    }

    #[test]
    fn an_exec_with_options_is_left_to_the_whole_definition() {
        for line in [
            &["exec"][..],
            &["exec", "--help"],
            &["exec", "-i", "web", "true"],
            &["exec", "--", "web", "true"],
            &["--log-format", "json", "exec", "web", "true"],
            &["ps", "web"],
        ] {
            let words: Vec<OsString> = [&["hoist"], line]
                .concat()
                .iter()
                .map(OsString::from)
                .collect();
            assert!(parse_exec_without_options(&words).is_none(), "{line:?}");
        }
    }

    #[test]
    fn options_of_exec_end_at_the_container() {
        match parse_words(&["exec", "-i", "web", "-t", "ls", "-l"]).map(|found| found.action) {
            Ok(Action::Exec(exec)) => {
                assert!(exec.further.interactive && !exec.further.tty);
                assert_eq!(exec.further.words, ["web", "-t", "ls", "-l"]);
            }
            Ok(_) => panic!("another command"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_state_root_stands_before_or_after_the_command_name() {
        for line in [["--state-root", "/x", "ps"], ["ps", "--state-root", "/x"]] {
            let found = parse_words(&line).ok().unwrap();
            assert_eq!(found.state_root, Some(PathBuf::from("/x")));
        }
    }

    #[test]
    fn the_command_of_a_line_that_cannot_be_read_is_known() {
        for (line, name) in [
            (&["hoist", "run", "--nosuch", "ps"][..], Some("run")),
            (
                &["hoist", "--state-root", "/x", "exec", "--nosuch"],
                Some("exec"),
            ),
            (
                &["hoist", "--log-format=json", "ps", "run", "--nosuch"],
                Some("ps"),
            ),
            (&["hoist", "--state-root", "run"], None),
            (&["hoist"], None),
        ] {
            let words: Vec<OsString> = line.iter().map(OsString::from).collect();
            assert_eq!(command_name(&words).as_deref(), name, "{line:?}");
        }
    }

    #[test]
    fn an_unknown_option_before_the_command_is_refused() {
        let error = parse_words(&["run", "--privileged-please", "true"])
            .err()
            .unwrap();
        assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument);
    }
}

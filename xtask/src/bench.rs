//! `cargo xtask bench`: Hoist beside other runtimes and the floor, taking turns.
//!
//! ```text
//! cargo xtask bench [--runs N] [--only WORD] [--no-youki | --alone] [--crowd | --library] [--json FILE] [--markdown FILE]
//! ```
//!
//! `tools` finds and builds the programs, `bundle` lays out what they start, `contest` says which commands are compared,
//! `report` turns the times into tables, `crowd` measures what many containers cost, and `library` what a start costs a large program. What the figures mean is in `docs/benchmarks.md`.

pub(crate) mod bundle;
mod contest;
mod crowd;
mod library;
mod report;
mod tools;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::command::Outcome;

/// Says to the second half of the command, which runs in a mount namespace of its own, where its work folder is.
const INSIDE: &str = "HOIST_BENCH_INSIDE";

/// What the command line asks for.
struct Options {
    /// Runs per command.
    runs: u32,
    /// Only comparisons whose title contains this.
    only: String,
    /// Leave youki out.
    no_youki: bool,
    /// Leave all other runtimes out.
    alone: bool,
    /// Measure what many containers cost instead.
    crowd: bool,
    /// Measure what a start costs a large program that uses the library instead.
    library: bool,
    /// Where the figures go as JSON.
    json: Option<PathBuf>,
    /// Where the tables go.
    markdown: Option<PathBuf>,
}

/// Runs the command with its arguments (those after `bench`).
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.collect();
    let outcome = parse(&arguments).and_then(|options| match std::env::var_os(INSIDE) {
        Some(work) => compare(&options, Path::new(&work)),
        None => prepare(&options, &arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Outcome<Options> {
    let mut options = Options {
        runs: 60,
        only: String::new(),
        no_youki: false,
        alone: false,
        crowd: false,
        library: false,
        json: None,
        markdown: None,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--runs" => options.runs = value()?.parse()?,
            "--only" => options.only = value()?.clone(),
            "--no-youki" => options.no_youki = true,
            "--alone" => options.alone = true,
            "--crowd" => options.crowd = true,
            "--library" => options.library = true,
            "--json" => options.json = Some(std::path::absolute(value()?)?),
            "--markdown" => options.markdown = Some(std::path::absolute(value()?)?),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(options)
}

/// Builds everything, then runs this program again where only the cgroup v1 hierarchies are visible, for crun refuses the
/// hybrid layout, and where `/run` is a tmpfs, as distributions have it: all keep their state there.
fn prepare(options: &Options, arguments: &[String]) -> Outcome<()> {
    let target = tools::target_folder()?;
    let work = target.join("bench-tools");
    fs::create_dir_all(&work)?;
    tools::build(&target, &work)?;
    if !options.no_youki && !options.alone && !options.library {
        tools::install_youki(&work);
    }
    bundle::lay_out(&work)?;

    let own: OsString = std::env::current_exe()?.into();
    let arrange = "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi && \
                   mount -t tmpfs -o mode=755 tmpfs /run && exec \"$@\"";
    let status = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            arrange,
            "sh",
        ])
        .arg(own)
        .arg("bench")
        .args(arguments)
        .env(INSIDE, &work)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("the comparison failed".into())
    }
}

fn compare(options: &Options, work: &Path) -> Outcome<()> {
    let show = |text: String| -> Outcome<()> {
        print!("{text}");
        match &options.markdown {
            Some(file) => Ok(fs::write(file, text)?),
            None => Ok(()),
        }
    };
    if options.library {
        return show(library::measure(work, options.runs)?);
    }
    let tools = tools::Tools::find(work, !options.no_youki, !options.alone);
    if options.crowd {
        return show(crowd::measure(&tools, work, options.runs)?);
    }
    let mut tables = Vec::new();
    for contest in contest::all() {
        if contest.title.contains(&options.only) {
            tables.push(contest.hold(&tools, work, options.runs)?);
        }
    }
    let text = report::markdown(&tables);
    print!("{text}");
    if let Some(file) = &options.markdown {
        fs::write(file, text)?;
    }
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&report::json(&tables))?)?;
    }
    Ok(())
}

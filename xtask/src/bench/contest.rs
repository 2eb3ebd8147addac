//! The comparisons: who runs which command, the containers that stay meanwhile, and the runs themselves.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bundle::{self, Content};
use super::report::{Row, Table};
use super::tools::{Tool, Tools};
use crate::command::Outcome;

/// One comparison.
pub(super) struct Contest {
    /// What it is about.
    pub(super) title: &'static str,
    kind: Kind,
    content: Content,
}

/// What the programs do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Run,
    Exec,
    /// The three commands of an OCI runtime that engines call, for those that have them.
    Steps,
}

/// All comparisons.
pub(super) fn all() -> [Contest; 5] {
    [
        (
            "run true, docker's default spec",
            Kind::Run,
            Content::Docker,
        ),
        (
            "run true, without the seccomp filter",
            Kind::Run,
            Content::Unfiltered,
        ),
        (
            "create, start and delete true, docker's default spec",
            Kind::Steps,
            Content::Docker,
        ),
        (
            "exec true, docker's default spec",
            Kind::Exec,
            Content::Docker,
        ),
        (
            "exec true, without the seccomp filter",
            Kind::Exec,
            Content::Unfiltered,
        ),
    ]
    .map(|(title, kind, content)| Contest {
        title,
        kind,
        content,
    })
}

/// How often a command is run before it is the next one's turn.
const RUNS_PER_ROUND: u32 = 2;

/// A container that stays, and the process that holds it where it is in the foreground.
struct Held {
    name: String,
    pid: u32,
    foreground: Option<Child>,
}

impl Contest {
    /// Runs the comparison.
    pub(super) fn hold(&self, tools: &Tools, work: &Path, runs: u32) -> Outcome<Table> {
        eprintln!("== {}", self.title);
        let mut players = Vec::new();
        let takes_part =
            |tool: &&Tool| self.kind != Kind::Steps || !matches!(tool.name, "floor" | "hoist");
        for tool in tools.0.iter().filter(takes_part) {
            match self.command(tool, work) {
                Ok((command, held)) => players.push((tool, command, held)),
                Err(error) => eprintln!("{} is left out: {error}", tool.name),
            }
        }
        let mut times = self.times(&players, work, runs);
        if times.is_err() && players.iter().any(|(tool, ..)| tool.name == "youki") {
            eprintln!("again without youki");
            let (out, rest) = players
                .into_iter()
                .partition(|(tool, ..)| tool.name == "youki");
            players = rest;
            let out: Vec<_> = out;
            out.iter()
                .for_each(|(tool, ..)| delete(tool, &format!("bench-{}", tool.name)));
            out.into_iter()
                .for_each(|(tool, _, held)| release(tool, held));
            times = self.times(&players, work, runs);
        }
        let mut rows = Vec::new();
        let measured = times.map(|times| {
            for ((tool, command, _), times) in players.iter().zip(times) {
                rows.push(Row::new(tool, times, peak_memory(work, command)));
            }
        });
        players
            .into_iter()
            .for_each(|(tool, _, held)| release(tool, held));
        measured?;
        Ok(Table {
            title: self.title,
            rows,
        })
    }

    /// The command of `tool`, and the container it needs for `exec`.
    fn command(&self, tool: &Tool, work: &Path) -> Outcome<(Vec<String>, Option<Held>)> {
        let held = match self.kind {
            Kind::Exec => Some(self.keep(tool, work)?),
            Kind::Run | Kind::Steps => None,
        };
        let mut command = vec![tool.path.display().to_string()];
        let text = |path: PathBuf| path.display().to_string();
        match (tool.name, &held) {
            ("floor", None) => {
                command.extend(self.floor_flags("run"));
                command.extend([
                    "floor-run".into(),
                    text(bundle::root(work)),
                    "/bin/true".into(),
                ]);
            }
            ("floor", Some(held)) => {
                command.extend(self.floor_flags("exec"));
                command.extend([held.name.clone(), held.pid.to_string(), "/bin/true".into()]);
            }
            ("hoist", None) => {
                command.extend(self.hoist_run(work));
                command.extend(["--rm", "--", "true"].map(String::from));
            }
            (_, None) if self.kind == Kind::Steps => command = self.steps(tool, work)?,
            (_, Some(held)) => command.extend(["exec".into(), held.name.clone(), "true".into()]),
            (name, None) => {
                let folder = text(bundle::bundle(work, self.content, false));
                command.extend([
                    "run".into(),
                    "--bundle".into(),
                    folder,
                    format!("bench-{name}"),
                ]);
            }
        }
        // A first time, to see that it works, and that it ends.
        let mut first = Command::new(&command[0]);
        first
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let works = ends(first.spawn()?, Duration::from_secs(20));
        if !works {
            release(tool, held);
            return Err(format!("`{}` fails", command.join(" ")).into());
        }
        Ok((command, held))
    }

    /// A script that makes, starts and deletes a container. `delete` gets `--force`, since `true` may not have ended yet.
    fn steps(&self, tool: &Tool, work: &Path) -> Outcome<Vec<String>> {
        let script = work.join(format!("steps-{}", tool.name));
        let (runtime, name) = (tool.path.display(), format!("bench-{}", tool.name));
        let bundle = bundle::bundle(work, self.content, false);
        let text = format!(
            "set -e\n{runtime} create --bundle {} {name}\n{runtime} start {name}\n{runtime} delete --force {name}\n",
            bundle.display()
        );
        fs::write(&script, text)?;
        Ok(vec!["sh".to_owned(), script.display().to_string()])
    }

    fn floor_flags(&self, operation: &str) -> Vec<String> {
        let mut flags = vec![operation.to_owned(), "--docker".to_owned()];
        if self.content == Content::Docker {
            flags.push("--seccomp".to_owned());
        }
        flags
    }

    fn hoist_run(&self, work: &Path) -> Vec<String> {
        let root = bundle::root(work).display().to_string();
        let mut words: Vec<String> = ["run", "--network", "none", "--rootfs", &root]
            .map(String::from)
            .into();
        if self.content == Content::Unfiltered {
            words.extend(["--security-opt", "seccomp=unconfined"].map(String::from));
        }
        words
    }

    /// Starts a container that stays.
    fn keep(&self, tool: &Tool, work: &Path) -> Outcome<Held> {
        let name = format!("bench-{}-held", tool.name);
        let mut words = vec![tool.path.display().to_string()];
        let bundle = bundle::bundle(work, self.content, true)
            .display()
            .to_string();
        let steps: Vec<Vec<String>> = match tool.name {
            "floor" => {
                words.extend(self.floor_flags("run"));
                words.extend([
                    name.clone(),
                    bundle::root(work).display().to_string(),
                    "/bin/sleep".into(),
                    "100000".into(),
                ]);
                vec![words]
            }
            "hoist" => {
                words.extend(self.hoist_run(work));
                words.extend(["--rm", "--name", &name, "--", "sleep", "100000"].map(String::from));
                vec![words]
            }
            _ => [
                vec!["create", "--bundle", &bundle, &name],
                vec!["start", &name],
            ]
            .map(|step| [words.clone(), step.into_iter().map(String::from).collect()].concat())
            .into(),
        };
        let mut foreground = None;
        for step in steps {
            let mut command = Command::new(&step[0]);
            let child = command
                .args(&step[1..])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()?;
            if matches!(tool.name, "floor" | "hoist") {
                foreground = Some(child);
            } else if !ends(child, Duration::from_secs(20)) {
                return Err(format!("`{}` fails", step.join(" ")).into());
            }
        }
        sleep(Duration::from_millis(300));
        let pid = match &foreground {
            Some(child) => child_of(child.id())?,
            None => 0,
        };
        Ok(Held {
            name,
            pid,
            foreground,
        })
    }

    /// The times of each command in seconds. The machine's own speed changes from second to second: each command runs a few
    /// times, then the next one, and all over again.
    fn times(
        &self,
        players: &[(&Tool, Vec<String>, Option<Held>)],
        work: &Path,
        runs: u32,
    ) -> Outcome<Vec<Vec<f64>>> {
        let rounds = (runs / RUNS_PER_ROUND).max(1);
        let mut times = vec![Vec::new(); players.len()];
        for _ in 0..rounds {
            let round = self.round(players, work, runs.div_ceil(rounds))?;
            for (all, new) in times.iter_mut().zip(round) {
                all.extend(new);
            }
        }
        Ok(times)
    }

    /// The times of each command in seconds, from one hyperfine run.
    fn round(
        &self,
        players: &[(&Tool, Vec<String>, Option<Held>)],
        work: &Path,
        runs: u32,
    ) -> Outcome<Vec<Vec<f64>>> {
        let file = work.join("times.json");
        let mut hyperfine = Command::new("hyperfine");
        hyperfine.args([
            "--shell=none",
            "--style",
            "none",
            "--warmup",
            "1",
            "--runs",
            &runs.to_string(),
            "--export-json",
        ]);
        hyperfine.arg(&file);
        for (_, command, _) in players {
            hyperfine.arg(command.join(" "));
        }
        // Its own group, so that a command that hangs (youki's `run` was seen to) ends with it.
        let child = hyperfine
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        let group = format!("-{}", child.id());
        if !ends(child, Duration::from_secs(u64::from(30 + runs))) {
            // Its answer does not matter: a group that is gone is as good.
            Command::new("kill")
                .args(["-KILL", "--", &group])
                .stderr(Stdio::null())
                .status()?;
            return Err("hyperfine failed, or a command hung".into());
        }
        let times: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let results = times["results"]
            .as_array()
            .ok_or("hyperfine wrote no results")?;
        let of = |result: &Value| {
            result["times"]
                .as_array()
                .map(|all| all.iter().filter_map(Value::as_f64).collect())
        };
        Ok(results.iter().filter_map(of).collect())
    }
}

/// Ends a container that stayed.
fn release(tool: &Tool, held: Option<Held>) {
    let Some(held) = held else { return };
    match held.foreground {
        Some(mut child) => {
            // The first process of the container: its end is the container's.
            let kill = Command::new("kill")
                .args(["-KILL", &held.pid.to_string()])
                .status();
            if let Err(error) = kill.and_then(|_| child.wait()) {
                eprintln!("{}: {error}", held.name);
            }
        }
        None => delete(tool, &held.name),
    }
}

/// Deletes a container of an OCI runtime.
fn delete(tool: &Tool, name: &str) {
    let delete = Command::new(&tool.path)
        .args(["delete", "--force", name])
        .status();
    if !delete.is_ok_and(|status| status.success()) {
        eprintln!("{name}: cannot be deleted");
    }
}

/// Whether the child ends in time and well; one that does not is killed.
fn ends(mut child: Child, limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => sleep(Duration::from_millis(5)),
            Err(_) => return false,
        }
    }
    if child.kill().is_ok() {
        child.wait().is_ok_and(|_| false)
    } else {
        false
    }
}

fn child_of(pid: u32) -> Outcome<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children
        .split_whitespace()
        .next()
        .ok_or("the container did not start")?
        .parse()?)
}

/// The largest resident set of the command and of what it waited for, in KiB.
///
/// Measured by the floor, a program of a few pages: the kernel counts what the starter of a program held as the program's, too.
fn peak_memory(work: &Path, command: &[String]) -> Option<u64> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path)
        .map(|folder| folder.join(&command[0]))
        .find(|path| path.exists())?;
    let output = Command::new(work.join("floor"))
        .arg("measure")
        .arg(program)
        .args(&command[1..])
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .last()?
        .parse()
        .ok()
}

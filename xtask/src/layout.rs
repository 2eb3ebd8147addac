//! `cargo xtask layout [--check]`: which functions lie side by side in the release programs.
//!
//! The kernel maps a program's file in pieces of 64 KiB around each address that is touched. What a start executes is a quarter of
//! the program; spread over all of it, as a linker leaves it, nearly the whole program is mapped at each start, and counted as
//! resident memory. So each program is watched during the commands that are run most, and the names of what they execute become
//! a part of the linker's script: each package's `hot.ld`, which its build script, `crates/hot_layout.rs`, hands to the linker.
//!
//! `trace` watches, `symbols` names; with `--check`, `check` looks whether the names are still those of the programs, which are built
//! as they ship, and nothing is watched. The scripts are made anew when much of the start path has changed; one that is old, or that
//! another compiler's names do not fit, costs some memory and time and changes nothing else.

mod check;
mod symbols;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use self::symbols::Symbols;
use crate::bench::bundle::{self, Content};
use crate::command::{Outcome, cargo, root};

/// The container that `exec` and `state` enter.
const HELD: &str = "layout-held";

/// The programs, and the packages that they are of.
const HOIST: (&str, &str) = ("hoist", "crates/cli");
const HOIST_OCI: (&str, &str) = ("hoist-oci", "crates/runtime");

pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *words {
        [] => lay_out(),
        ["--check"] => check(),
        _ => {
            eprintln!("xtask layout: unknown arguments {}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask layout: {error}");
            ExitCode::FAILURE
        }
    }
}

fn lay_out() -> Outcome<()> {
    let work = root().join("target/layout");
    fs::create_dir_all(&work)?;
    let built = build(&work, &[("CARGO_PROFILE_RELEASE_STRIP", "false")])?;
    bundle::lay_out(&work)?;
    for program in [hoist(&built, &work), hoist_oci(&built, &work)] {
        let symbols = Symbols::of(&program.file)?;
        let executed = program.watch(&symbols)?;
        let script = symbols.script(&executed);
        let place = script_of(program.package);
        fs::write(&place, script.text)?;
        println!(
            "{}: {} of {} functions, {} KiB and {} KiB that bear the same names",
            place.display(),
            executed.len(),
            symbols.count(),
            script.executed / 1024,
            script.namesakes / 1024,
        );
    }
    Ok(())
}

/// Looks at the programs as they ship.
fn check() -> Outcome<()> {
    let built = build(&root().join("target"), &[])?;
    for (name, package) in [HOIST, HOIST_OCI] {
        println!(
            "{}",
            check::laid_out(&built.join(name), &script_of(package))?
        );
    }
    Ok(())
}

fn script_of(package: &str) -> PathBuf {
    root().join(package).join("hot.ld")
}

/// Builds both programs for release below a folder; the result is where they are.
fn build(target: &Path, environment: &[(&str, &str)]) -> Outcome<PathBuf> {
    let status = cargo(&root())
        .args(["build", "--release", "--locked"])
        .args(["--package", "hoist-cli", "--package", "hoist-oci"])
        .arg("--target-dir")
        .arg(target)
        .envs(environment.iter().copied())
        .status()?;
    match status.success() {
        true => Ok(target.join(format!(
            "{}-unknown-linux-gnu/release",
            std::env::consts::ARCH
        ))),
        false => Err("the programs cannot be built".into()),
    }
}

/// A program, and what it is watched at.
struct Program {
    file: PathBuf,
    package: &'static str,
    /// Makes the container that further commands enter, and stays until it ends.
    hold: Vec<String>,
    /// Ends it.
    release: Vec<String>,
    watched: Vec<Vec<String>>,
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn hoist(built: &Path, work: &Path) -> Program {
    let rootfs = bundle::root(work).display().to_string();
    let run = |options: &str, command: &str| {
        let mut line = words(&format!("run --network none {options} --rootfs"));
        line.push(rootfs.clone());
        line.push("--".to_owned());
        line.extend(words(command));
        line
    };
    let (name, package) = HOIST;
    Program {
        file: built.join(name),
        package,
        hold: run(&format!("--rm --name {HELD}"), "sleep 1000"),
        release: words(&format!("rm --force {HELD}")),
        watched: vec![
            run("--rm", "true"),
            run("--rm --security-opt seccomp=unconfined", "true"),
            run("--rm --memory 64m --env A=b --user 1000:1000", "true"),
            words(&format!("exec {HELD} true")),
        ],
    }
}

fn hoist_oci(built: &Path, work: &Path) -> Program {
    let with_bundle = |command: &str, id: &str, stays: bool| {
        let bundle = bundle::bundle(work, Content::Docker, stays);
        let mut line = vec![command.to_owned(), "--bundle".to_owned()];
        line.push(bundle.display().to_string());
        line.push(id.to_owned());
        line
    };
    let made = "layout-made";
    let (name, package) = HOIST_OCI;
    Program {
        file: built.join(name),
        package,
        hold: with_bundle("run", HELD, true),
        release: words(&format!("delete --force {HELD}")),
        watched: vec![
            with_bundle("run", made, false),
            with_bundle("create", made, true),
            words(&format!("start {made}")),
            words(&format!("state {made}")),
            words(&format!("kill {made} KILL")),
            words(&format!("delete --force {made}")),
            words(&format!("exec {HELD} true")),
        ],
    }
}

impl Program {
    /// The addresses of the functions that the commands execute, in the order in which they first do.
    fn watch(&self, symbols: &Symbols) -> Outcome<Vec<u64>> {
        let mut held = self.command(&self.hold).spawn()?;
        let executed = self
            .wait_for_held(&mut held)
            .and_then(|()| self.watch_each(symbols));
        // Where the container was never made, there is none to end.
        let _ = self.command(&self.release).stderr(Stdio::null()).status();
        held.kill()?;
        held.wait()?;
        executed
    }

    fn watch_each(&self, symbols: &Symbols) -> Outcome<Vec<u64>> {
        let mut executed = Vec::new();
        for words in &self.watched {
            println!("{} {}", self.file.display(), words.join(" "));
            for address in trace::executed(&self.file, words, symbols.addresses())? {
                if !executed.contains(&address) {
                    executed.push(address);
                }
            }
        }
        Ok(executed)
    }

    /// Returns when a command can be run in the container that is held.
    fn wait_for_held(&self, held: &mut Child) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let probe = words(&format!("exec {HELD} true"));
        loop {
            let mut probe = self.command(&probe);
            if probe.stderr(Stdio::null()).status()?.success() {
                return Ok(());
            }
            if held.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(format!("`{}` fails", self.hold.join(" ")).into());
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(&self.file);
        command.args(words).stdin(Stdio::null());
        command
    }
}

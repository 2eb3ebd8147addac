//! `cargo xtask ci [--only STEP]…`: everything that a change must pass, in one command.
//!
//! Each step is a command with its output shown; `counts` reads from that output how many tests passed, failed and were
//! ignored. All steps are run, whichever fail. What was said of failures is said once more at the end, and the last line is
//! the sum over all steps. `.ci/run` installs what they need and then runs this.

mod ordinary_user;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::command::{Outcome, cargo, root, run};
use crate::counts::Counts;
use crate::test_binaries::{built, driven_program};
use crate::vm;

/// A step: it adds the tests that it ran to the sum, also where it fails.
type Step = fn(&Path, &mut Counts) -> Outcome<()>;

/// The steps by name, in their order.
const STEPS: &[(&str, Step)] = &[
    ("format", |root, counts| {
        run(counts, cargo(root).args(["fmt", "--all", "--check"]))
    }),
    ("clippy", |root, counts| {
        run(
            counts,
            cargo(root).args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
        )
    }),
    ("docs", |root, counts| {
        run(
            counts,
            cargo(root)
                .args(["doc", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    }),
    ("readme", |root, counts| {
        run(
            counts,
            cargo(root).args(["run", "--release", "--", "run", "--", "echo", "hello"]),
        )
    }),
    ("layout", |root, counts| {
        run(counts, cargo(root).args(["xtask", "layout", "--check"]))
    }),
    ("tests", |root, counts| {
        run(
            counts,
            cargo(root)
                .args(["test", "--workspace", "--no-fail-fast"])
                .env(
                    "HOIST_TESTS_MUST_RUN",
                    promises("root,cgroup-v1,hybrid,limits"),
                ),
        )
    }),
    ("tests-cgroup-v1", |root, counts| {
        let tests = built(root, Some("hoist-linux"), None)?;
        let mut done = Ok(());
        for name in ["conformance", "cgroup"] {
            let test = tests
                .iter()
                .find(|test| test.name == name)
                .ok_or_else(|| format!("there is no test {name}"))?;
            let mut command = Command::new(&test.program);
            command
                .current_dir(&test.folder)
                .env("HOIST_TESTS_MUST_RUN", promises("root,cgroup-v1,limits"));
            // Both are run, whichever fails.
            done = done.and(run(counts, in_v1_only(&command)));
        }
        done
    }),
    ("tests-ordinary-user", ordinary_user::test),
    ("tests-cgroup-v2", |_, counts| {
        vm::test(&vm::Options::default(), counts)
    }),
    ("suites", suites),
    ("windows", |root, counts| {
        script(root, counts, include_str!("ci/windows.sh"), &[])
    }),
    ("licences", licences),
];

/// Runs the steps (those that `--only` names, where it names any); success where all of them passed.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let only = match chosen(arguments) {
        Ok(only) => only,
        Err(error) => {
            eprintln!("xtask ci: {error}");
            return ExitCode::from(2);
        }
    };
    let root = root();
    let mut total = Counts::default();
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        if !only.is_empty() && !only.iter().any(|chosen| chosen == name) {
            continue;
        }
        println!("\n=== {name}");
        let began = Instant::now();
        let said = total.failures.len();
        if let Err(error) = step(&root, &mut total) {
            println!("=== {name} failed: {error}");
            failed.push((*name, total.failures.split_off(said)));
        }
        println!("=== {name}: {:.0} s", began.elapsed().as_secs_f64());
    }
    if !failed.is_empty() {
        for (name, failures) in &failed {
            println!("\nfailed: {name}\n{}", failures.join("\n"));
        }
        // A step that is no test run counts as one test: a sum without failures would contradict the exit code.
        total.failed = total.failed.max(failed.len());
    }
    println!("\n{total}");
    ExitCode::from(u8::from(!failed.is_empty()))
}

fn chosen(arguments: impl Iterator<Item = String>) -> Outcome<Vec<String>> {
    let mut arguments = arguments;
    let mut only = Vec::new();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--only", Some(name)) if STEPS.iter().any(|(step, _)| *step == name) => {
                only.push(name)
            }
            ("--only", Some(name)) => {
                let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
                return Err(format!("no step {name}; there are {}", names.join(", ")).into());
            }
            ("--only", None) => return Err("--only needs a step".into()),
            (other, _) => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(only)
}

/// What the tests may not skip: in CI the machine is known, elsewhere each may lack something.
fn promises(needs: &str) -> String {
    match std::env::var_os("CI") {
        Some(_) => needs.to_owned(),
        None => std::env::var("HOIST_TESTS_MUST_RUN").unwrap_or_default(),
    }
}

/// The same command in a mount namespace of its own in which only the v1 hierarchies of cgroups are visible.
fn in_v1_only(command: &Command) -> Command {
    let hide = "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec \"$@\"";
    let mut wrapped = Command::new("unshare");
    wrapped
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            hide,
            "sh",
        ])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// podman, docker and containerd with hoist-oci as their runtime.
fn suites(root: &Path, counts: &mut Counts) -> Outcome<()> {
    let suites = root.join("../shared/suites");
    if !suites.is_dir() {
        println!("skipped: there is no {}", suites.display());
        counts.skipped += 1;
        return Ok(());
    }
    let runtime = driven_program(root, "hoist-oci")?;
    let failed = counts.failed;
    let arguments = [suites.canonicalize()?, runtime];
    script(root, counts, include_str!("ci/suites.sh"), &arguments)?;
    if counts.failed > failed {
        return Err("an engine was not content with hoist-oci".into());
    }
    Ok(())
}

/// Runs a script of bash. Where it says that a tool is missing, that is a skip, but in CI an error.
fn script(root: &Path, counts: &mut Counts, text: &str, arguments: &[PathBuf]) -> Outcome<()> {
    let mut bash = Command::new("bash");
    bash.current_dir(root)
        .args(["-c", text, "bash"])
        .args(arguments);
    let skipped = |error: &dyn std::fmt::Display| error.to_string().ends_with("exit status: 77");
    match run(counts, &mut bash) {
        Err(error) if skipped(&error) && std::env::var_os("CI").is_none() => {
            counts.skipped += 1;
            Ok(())
        }
        done => done,
    }
}

/// cargo-deny is no part of a fresh machine, and takes longer to build than all of Hoist.
fn licences(root: &Path, counts: &mut Counts) -> Outcome<()> {
    if Command::new("cargo-deny")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: cargo-deny is not installed (cargo install cargo-deny)");
        counts.skipped += 1;
        return Ok(());
    }
    run(
        counts,
        cargo(root).args(["deny", "check", "licenses", "bans", "sources"]),
    )
}

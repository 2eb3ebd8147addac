//! The programs that are compared: built here, installed, or found on PATH.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{Outcome, root};

/// The program that uses the library.
pub(super) const LIBRARY_START: &str = "library_start";

/// The folder that cargo builds into.
pub(super) fn target_folder() -> Outcome<PathBuf> {
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(std::path::absolute(folder)?)
}

/// Builds `floor`, `hoist` and `hoist-oci` for release, and leaves them in `work`. The others are compared even where Hoist's
/// cannot be built, but never old ones.
pub(super) fn build(target: &Path, work: &Path) -> Outcome<()> {
    let built = format!("{}-unknown-linux-gnu/release", std::env::consts::ARCH);
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(root())
            .args(["build", "--release"])
            .args(arguments);
        cargo
    };
    // Flags of its own, so a folder of its own: the other's build would be thrown away each time.
    let floor = work.join("floor-target");
    let flags = "-Ctarget-feature=+crt-static -Crelocation-model=static -Cpanic=abort";
    run(cargo(&[
        "--package",
        "hoist-benches",
        "--features",
        "program",
        "--target-dir",
    ])
    .arg(&floor)
    // Small: the helper is written to memory at each start.
    .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
    .env("RUSTFLAGS", flags))?;
    install(&floor.join(&built).join("floor"), &work.join("floor"))?;
    for (package, name) in [("hoist-cli", "hoist"), ("hoist-oci", "hoist-oci")] {
        let program = work.join(name);
        if program.exists() {
            fs::remove_file(&program)?;
        }
        match run(cargo(&["--package", package, "--target-dir"]).arg(target)) {
            Ok(()) => install(&target.join(&built).join(name), &program)?,
            Err(error) => eprintln!("{name} cannot be built: {error}"),
        }
    }
    let example = [
        "--package",
        "hoist",
        "--example",
        LIBRARY_START,
        "--target-dir",
    ];
    match run(cargo(&example).arg(target)) {
        Ok(()) => {
            let made = target.join(&built).join("examples").join(LIBRARY_START);
            install(&made, &work.join(LIBRARY_START))?;
        }
        Err(error) => eprintln!("{LIBRARY_START} cannot be built: {error}"),
    }
    Ok(())
}

/// Copies a program as installers do, in large pieces: the kernel keeps and maps it in pieces of that size. What a linker has written
/// page by page is mapped page by page, which costs each start of a large program a tenth more.
fn install(built: &Path, place: &Path) -> Outcome<()> {
    if place.exists() {
        fs::remove_file(place)?;
    }
    fs::write(place, fs::read(built)?)?;
    Ok(fs::set_permissions(
        place,
        fs::metadata(built)?.permissions(),
    )?)
}

/// Installs youki below `work` unless it is there. That it cannot be built is told and no error: the others are compared without it.
pub(super) fn install_youki(work: &Path) {
    if work.join("bin/youki").exists() {
        return;
    }
    eprintln!("building youki once (it needs libseccomp's headers); --no-youki leaves it out");
    let built = run(Command::new("cargo")
        // Outside the workspace, whose settings (a static C library) do not suit it.
        .current_dir("/")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .args([
            "install",
            "youki@0.7.0",
            "--no-default-features",
            "--features",
            "v1,v2,seccomp",
            "--root",
        ])
        .arg(work)
        .arg("--target-dir")
        .arg(work.join("youki-target")));
    if let Err(error) = built {
        eprintln!("youki is left out: {error}");
    }
}

fn run(command: &mut Command) -> Outcome<()> {
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}

/// A program that takes part.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    /// Its name in tables.
    pub(super) name: &'static str,
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it says of its version.
    pub(super) version: String,
}

/// Those that are there, in the order of the tables.
pub(super) struct Tools(pub(super) Vec<Tool>);

impl Tools {
    /// Looks for them; one that is missing is told and left out.
    pub(super) fn find(work: &Path, youki: bool, others: bool) -> Self {
        let own = |name: &str| work.join(name);
        let mut found = Vec::new();
        for (name, path) in [
            ("floor", own("floor")),
            ("hoist", own("hoist")),
            ("hoist-oci", own("hoist-oci")),
            ("crun", PathBuf::from("crun")),
            ("youki", own("bin/youki")),
            ("runc", PathBuf::from("runc")),
        ] {
            let is_other = matches!(name, "crun" | "youki" | "runc");
            if (name == "youki" && !youki) || (is_other && !others) {
                continue;
            }
            let version = match name {
                "floor" => Some(String::new()),
                "hoist" => first_line(Command::new(&path).arg("version")),
                _ => first_line(Command::new(&path).arg("--version")),
            };
            match version {
                Some(version) => found.push(Tool {
                    name,
                    path,
                    version,
                }),
                None => eprintln!("{name} is left out: {} does not run", path.display()),
            }
        }
        Self(found)
    }
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().to_owned())
}

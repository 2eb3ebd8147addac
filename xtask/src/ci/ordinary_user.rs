//! The tests once more, as a user who is not root and has no capability.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::counts::Counts;
use super::{Outcome, cargo, promises, run};

/// An id that no account has, so that no limit or file of an account is in the way.
const ID: &str = "54321";

/// A test binary and the folder that cargo would start it in.
struct TestBinary {
    program: PathBuf,
    folder: PathBuf,
}

/// Builds the test binaries as the caller and runs each as another user.
pub(super) fn test(root: &Path, counts: &mut Counts) -> Outcome<()> {
    let binaries = built(root)?;
    let home = std::env::temp_dir().join(format!("hoist-ci-user-{}", std::process::id()));
    fs::create_dir(&home)?;
    let outcome = run_each(&binaries, &home, counts);
    fs::remove_dir_all(&home)?;
    outcome
}

fn run_each(binaries: &[TestBinary], home: &Path, counts: &mut Counts) -> Outcome<()> {
    // The one place where that user may write; others' temporary files stay out of its sight.
    fs::set_permissions(home, fs::Permissions::from_mode(0o1777))?;
    let mut failed = Vec::new();
    for TestBinary { program, folder } in binaries {
        println!("     Running {} as user {ID}", program.display());
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", ID, "--regid", ID, "--clear-groups"])
            .arg("--inh-caps=-all")
            .arg(program)
            .current_dir(folder)
            .env("HOME", home)
            .env("TMPDIR", home)
            .env_remove("XDG_RUNTIME_DIR")
            .env("HOIST_TESTS_MUST_RUN", promises("user,namespaces,userns"));
        if run(counts, command).is_err() {
            failed.push(program.display().to_string());
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        failed => Err(format!("as an ordinary user: {}", failed.join(", ")).into()),
    }
}

/// The test binaries of the workspace, as cargo tells them.
fn built(root: &Path) -> Outcome<Vec<TestBinary>> {
    let output = cargo(root)
        .args([
            "test",
            "--workspace",
            "--no-run",
            "--message-format",
            "json",
        ])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the tests cannot be built".into());
    }
    let mut binaries = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        let manifest = message["manifest_path"].as_str().map(Path::new);
        if let (Some(program), Some(true), Some(folder)) = (
            message["executable"].as_str(),
            message["profile"]["test"].as_bool(),
            manifest.and_then(Path::parent),
        ) {
            binaries.push(TestBinary {
                program: program.into(),
                folder: folder.to_path_buf(),
            });
        }
    }
    Ok(binaries)
}

//! The tests once more, as a user who is not root and has no capability.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::promises;
use crate::command::{Outcome, run};
use crate::counts::Counts;
use crate::test_binaries::{TestBinary, built};

/// An id that no account has, so that no limit or file of an account is in the way.
const ID: &str = "54321";

/// Builds the test binaries as the caller and runs each as another user.
pub(super) fn test(root: &Path, counts: &mut Counts) -> Outcome<()> {
    let binaries = built(root, None, None)?;
    let home = std::env::temp_dir().join(format!("hoist-ci-user-{}", std::process::id()));
    fs::create_dir(&home)?;
    let outcome = run_each(root, &binaries, &home, counts);
    fs::remove_dir_all(&home)?;
    outcome
}

fn run_each(root: &Path, binaries: &[TestBinary], home: &Path, counts: &mut Counts) -> Outcome<()> {
    // The one place where that user may write; others' temporary files stay out of its sight.
    fs::set_permissions(home, fs::Permissions::from_mode(0o1777))?;
    let mut failed = Vec::new();
    for TestBinary {
        program, folder, ..
    } in binaries
    {
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
            // That user has no cargo, which insta would ask.
            .env("INSTA_WORKSPACE_ROOT", root)
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

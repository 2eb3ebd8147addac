//! Running programs: cargo, and whatever prints the results of tests.

use std::borrow::BorrowMut;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::counts::Counts;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root);
    cargo
}

/// Runs a command, shows what it prints, and counts the tests in it. It is an error where the command fails.
pub(crate) fn run(counts: &mut Counts, mut command: impl BorrowMut<Command>) -> Outcome<()> {
    let command = command.borrow_mut();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            counts.read(&line);
            println!("{line}");
        }
    }
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        // A script is shown by its other arguments.
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_string_lossy())
            .filter(|word| !word.contains('\n'))
            .collect();
        Err(format!("{}: {status}", words.join(" ")).into())
    }
}

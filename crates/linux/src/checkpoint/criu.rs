//! The criu program: where it is, what it says of the host, and why it failed.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hoist_compute::{Error, ErrorKind, Phase};

/// What is searched where the caller has no `PATH`.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How many of its errors are told, of the last ones: what comes before is often only tried out.
const MOST_ERRORS: usize = 3;
/// As much of a log as is read, from its end.
const LARGEST_LOG: usize = 4 << 20;

/// The program that writes containers down and brings them back.
#[derive(Clone, Debug)]
pub struct Criu(PathBuf);

impl Criu {
    /// The program at this path; `criu` of the caller's `PATH` where none is given.
    pub fn new(path: Option<&str>) -> Self {
        let path = path.filter(|path| !path.is_empty());
        Self(path.unwrap_or("criu").into())
    }

    /// Whether it works on this host; else why not, in its own words.
    ///
    /// # Errors
    ///
    /// The reason, one line.
    pub fn check(&self) -> Result<(), String> {
        let output = self.command().arg("check").output();
        let output = output.map_err(|error| self.cannot_be_started(&error))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8_lossy(&said);
        Err(format!(
            "criu does not work on this host: {}",
            last(&errors(&said))
        ))
    }

    /// The program, with nothing to read and the usual folders to find its own helpers in.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.stdin(Stdio::null());
        if env::var_os("PATH").is_none_or(|path| path.is_empty()) {
            command.env("PATH", USUAL_PATH);
        }
        command
    }

    pub(super) fn cannot_be_started(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::NotFound if self.0 == Path::new("criu") => {
                "criu is not installed".to_owned()
            }
            _ => format!("criu ({}) cannot be started: {error}", self.0.display()),
        }
    }
}

/// Whether criu finds what it locks a container's network with otherwise than by nftables itself.
pub(super) fn has_iptables() -> bool {
    let path = env::var("PATH").unwrap_or_default();
    let path = if path.is_empty() { USUAL_PATH } else { &path };
    env::split_paths(path).any(|folder| folder.join("iptables-restore").exists())
}

/// The error of a call that failed: what criu has written to its log, or else to `said`.
pub(super) fn failure(what: &str, log: &Path, said: &str) -> Error {
    let text = fs::read(log).unwrap_or_default();
    let text =
        String::from_utf8_lossy(&text[text.len().saturating_sub(LARGEST_LOG)..]).into_owned();
    let mut told = errors(&text);
    if told.is_empty() {
        told = errors(said);
    }
    let reason = last(&told);
    Error::new(
        ErrorKind::System,
        Phase::Operate,
        format!("{what}: criu failed: {reason}"),
    )
    .about(log.display().to_string())
    .remedy(format!("look into its log, {}", log.display()))
}

fn last(told: &[String]) -> String {
    let first = told.len().saturating_sub(MOST_ERRORS);
    match told[first..].join("; ") {
        reason if reason.is_empty() => "it does not say why".to_owned(),
        reason => reason,
    }
}

/// The errors of a log, without times and places in its source, and without those that say nothing.
fn errors(log: &str) -> Vec<String> {
    const EMPTY: [&str; 4] = [
        "Dumping FAILED.",
        "Restoring FAILED.",
        "Pre-dumping FAILED.",
        "exited, status=",
    ];
    let mut found: Vec<String> = Vec::new();
    for line in log.lines() {
        let Some((_, error)) = line.split_once("Error (") else {
            continue;
        };
        let text = error
            .split_once("): ")
            .map_or(error, |(_, text)| text)
            .trim();
        let says_nothing = text.is_empty() || EMPTY.iter().any(|empty| text.starts_with(empty));
        if !says_nothing && found.last().is_none_or(|last| last != text) {
            found.push(text.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "(00.016211) Hugetlb size 2 Mb is supported\n\
        (00.218546) Error (criu/util.c:642): exited, status=1\n\
        Error (criu/util.c:627): execvp(\"iptables-restore\", ...) failed: No such file or directory\n\
        (00.608601) Error (criu/net.c:3071): Locking network failed: iptables-restore returned -1.\n\
        (00.683389) Error (criu/cr-dump.c:2053): Dumping FAILED.\n";

    #[test]
    fn the_errors_of_a_log_are_told_without_times_and_without_those_that_say_nothing() {
        assert_eq!(
            errors(LOG),
            [
                "execvp(\"iptables-restore\", ...) failed: No such file or directory",
                "Locking network failed: iptables-restore returned -1.",
            ]
        );
    }

    #[test]
    fn a_failure_tells_the_end_of_the_log_or_else_what_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dump.log");
        let error = failure("checkpoint container c", &log, "").to_string();
        assert!(
            error.contains("criu failed: it does not say why"),
            "{error}"
        );
        let error = failure(
            "checkpoint container c",
            &log,
            "Error (criu/x.c:1): no right\n",
        );
        assert!(
            error.to_string().contains("criu failed: no right"),
            "{error}"
        );
        fs::write(&log, LOG).unwrap();
        let error = failure("checkpoint container c", &log, "").to_string();
        assert!(error.contains("Locking network failed"), "{error}");
        assert!(!error.contains("FAILED"), "{error}");
    }

    #[test]
    fn a_criu_that_is_not_there_is_said_to_be_not_installed() {
        let criu = Criu::new(Some("/nowhere/criu"));
        let reason = criu.check().unwrap_err();
        assert!(
            reason.starts_with("criu (/nowhere/criu) cannot be started"),
            "{reason}"
        );
    }
}

//! `checkpoint` and `restore`: refused, with the reason.

use std::io;
use std::process::{Command, Stdio};

use super::first_id;
use crate::args::{Arguments, Flag};
use crate::bundle::go_words;
use crate::failure::Failure;
use crate::global::Global;

/// Flags that runc has, so that the refusal names the command and not a flag.
pub(crate) const FLAGS: [Flag; 20] = [
    Flag::with_value("image-path", "DIR", ""),
    Flag::with_value("work-path", "DIR", ""),
    Flag::with_value("parent-path", "DIR", ""),
    Flag::switch("leave-running", ""),
    Flag::switch("tcp-established", ""),
    Flag::switch("ext-unix-sk", ""),
    Flag::switch("shell-job", ""),
    Flag::switch("lazy-pages", ""),
    Flag::with_value("status-fd", "FD", ""),
    Flag::with_value("page-server", "ADDRESS", ""),
    Flag::switch("file-locks", ""),
    Flag::switch("pre-dump", ""),
    Flag::with_value("manage-cgroups-mode", "MODE", ""),
    Flag::with_value("empty-ns", "KIND", ""),
    Flag::switch("auto-dedup", ""),
    Flag::with_value("console-socket", "PATH", ""),
    Flag::with_value("bundle", "DIR", "").or("b"),
    Flag::switch("detach", "").or("d"),
    Flag::with_value("pid-file", "FILE", ""),
    Flag::switch("no-pivot", ""),
];

/// Why neither is there, whatever criu can do here.
const REASON: &str = "a checkpoint is untrusted input that criu turns into processes of the host; nothing here yet checks that all of them land in the container's own cgroup and namespaces";

/// Why neither is there, with what criu itself says of this host.
pub(crate) fn reason() -> String {
    let criu = match Command::new("criu")
        .arg("check")
        .stdin(Stdio::null())
        .output()
    {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "criu is not installed".to_owned(),
        Err(error) => format!("criu cannot be started: {}", go_words(&error)),
        Ok(output) if output.status.success() => "criu itself would work on this host".to_owned(),
        Ok(output) => {
            let said = [output.stderr, output.stdout].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            // The first is the cause of the others.
            let line = said.lines().find(|line| line.starts_with("Error"));
            let line = line
                .or(said.lines().next())
                .unwrap_or("it does not say why");
            format!("criu does not work on this host: {}", line.trim())
        }
    };
    format!("{REASON}; {criu}")
}

pub(crate) fn checkpoint(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    global.container(first_id("checkpoint", arguments)?)?;
    let reason = reason();
    Err(Failure::new(format!(
        "checkpoint is not supported: {reason}"
    )))
}

pub(crate) fn restore(_: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    first_id("restore", arguments)?;
    let reason = reason();
    Err(Failure::new(format!("restore is not supported: {reason}")))
}

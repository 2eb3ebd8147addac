//! `checkpoint` and `restore`: refused, with the reason.

use super::first_id;
use crate::args::{Arguments, Flag};
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

/// Why neither is there; `features` says the same.
pub(crate) const REASON: &str = "a checkpoint is untrusted input that criu turns into processes of the host; nothing here yet checks that all of them land in the container's own cgroup and namespaces";

pub(crate) fn checkpoint(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    global.container(first_id("checkpoint", arguments)?)?;
    Err(Failure::new(format!(
        "checkpoint is not supported: {REASON}"
    )))
}

pub(crate) fn restore(_: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    first_id("restore", arguments)?;
    Err(Failure::new(format!("restore is not supported: {REASON}")))
}

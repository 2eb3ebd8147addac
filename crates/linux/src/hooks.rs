//! OCI hooks that run in the host's namespaces, and what every hook reads: the container's state (OCI runtime spec, "State",
//! "POSIX-platform Hooks").

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use hoist_spec::oci::Hook;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Serialize;

use crate::plan::hooks::timeout;
use crate::process::wait_for;
use crate::service::system;

/// How much of what a hook writes is kept for the error that tells of its failure.
const LONGEST_OUTPUT: u64 = 4096;

/// A container's state, as hooks and callers read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OciState {
    /// The version of the spec that the container's own spec names.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// `creating`, `created`, `running`, `paused` or `stopped`.
    pub status: &'static str,
    /// Its first process, as the host numbers it; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The absolute path of its bundle.
    pub bundle: PathBuf,
    /// The spec's annotations.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub annotations: HashMap<String, String>,
}

impl OciState {
    /// A file in memory that holds the state, to be a hook's standard input.
    pub(crate) fn file(&self) -> Result<OwnedFd> {
        let write = || -> io::Result<OwnedFd> {
            let mut file = File::from(memfd_create("state", MemfdFlags::CLOEXEC)?);
            file.write_all(&serde_json::to_vec(self)?)?;
            file.seek(SeekFrom::Start(0))?;
            Ok(file.into())
        };
        write().map_err(|error| system("write the state for hooks", error))
    }
}

/// A file in memory that hooks write to.
pub(crate) fn output() -> Result<OwnedFd> {
    memfd_create("output", MemfdFlags::CLOEXEC)
        .map_err(|errno| system("make a file for what hooks write", errno.into()))
}

/// The beginning of what was written to [`output`], on one line.
pub(crate) fn written(output: &OwnedFd) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::from(output.try_clone()?);
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.take(LONGEST_OUTPUT + 1).read_to_end(&mut bytes)?;
        let cut = bytes.len() as u64 > LONGEST_OUTPUT;
        bytes.truncate(LONGEST_OUTPUT as usize);
        let text = String::from_utf8_lossy(&bytes);
        let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if cut {
            line.push_str(" … (cut)");
        }
        Ok(line)
    };
    read().unwrap_or_default()
}

/// Runs one hook in the caller's namespaces, with its own environment and nothing of the caller's, in the bundle's folder.
pub(crate) fn run(kind: &str, hook: &Hook, state: &OciState) -> Result<()> {
    let path = hook.path();
    let what = format!("run {kind} hook {}", path.display());
    let output = output()?;
    let copies = || -> io::Result<(Stdio, Stdio)> {
        Ok((output.try_clone()?.into(), output.try_clone()?.into()))
    };
    let (stdout, stderr) = copies().map_err(|error| system(what.clone(), error))?;
    let mut command = Command::new(path);
    if let Some([name, rest @ ..]) = hook.args().as_deref() {
        command.arg0(name).args(rest);
    }
    command
        .env_clear()
        .envs(
            hook.env()
                .iter()
                .flatten()
                .filter_map(|entry| entry.split_once('=')),
        )
        .stdin(Stdio::from(state.file()?))
        .stdout(stdout)
        .stderr(stderr);
    if state.bundle.is_dir() {
        command.current_dir(&state.bundle);
    }
    let failed = |error: io::Error| failure(&what, path, error);
    let mut child = command.spawn().map_err(failed)?;
    let limit = timeout(hook)?;
    let in_time = limit == 0 || {
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
        wait_for(pidfd.as_fd(), Some(Duration::from_secs(limit.into())))?
    };
    if !in_time {
        child.kill().map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    let how = match (in_time, status.code(), status.signal()) {
        (false, ..) => format!("it took longer than {limit} s"),
        (_, Some(0), _) => return Ok(()),
        (_, Some(code), _) => format!("exit status {code}"),
        (_, None, signal) => format!("signal {}", signal.unwrap_or_default()),
    };
    let error = Error::new(ErrorKind::System, Phase::Start, format!("{what}: {how}"))
        .about(path.display().to_string());
    Err(match written(&output) {
        output if output.is_empty() => error,
        output => error.because(output),
    })
}

fn failure(what: &str, path: &Path, error: io::Error) -> Error {
    let made = Error::new(ErrorKind::System, Phase::Start, what).about(path.display().to_string());
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}

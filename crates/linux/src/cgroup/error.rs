//! What can go wrong with a container's cgroup.

use std::{io, path::PathBuf, time::Duration};

use hoist_compute::{Error, ErrorKind, OsCode, Phase};

use super::limits::LimitError;

/// A failed operation on a container's cgroup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// A limit cannot be had here, or makes no sense.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The name is no relative path without `.` and `..`.
    #[error("cgroup name {name:?} is not a relative path of plain names")]
    Name {
        /// The name.
        name: String,
    },
    /// There is a cgroup of that name, and it has processes or cgroups of its own.
    #[error("make cgroup {}: it exists and is in use", path.display())]
    InUse {
        /// Its directory.
        path: PathBuf,
    },
    /// The cgroup that was to contain the new one is frozen.
    #[error("make cgroup {}: the cgroup above it is frozen", path.display())]
    Frozen {
        /// The directory that was to be made.
        path: PathBuf,
    },
    /// A controller is offered by the root of the unified hierarchy and could not be enabled down to the container.
    #[error("enable the cgroup controller {controller} in {}", path.display())]
    Enable {
        /// The controller.
        controller: String,
        /// The ancestor that did not enable it.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel refused a value.
    #[error("{words} (cgroup controller {controller}, {})", path.display())]
    Write {
        /// The step: what is set, the file, the value.
        words: String,
        /// The controller.
        controller: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel took a value and keeps another.
    #[error("{words} (cgroup controller {controller}, {}): the kernel keeps {kept}", path.display())]
    NotKept {
        /// The step.
        words: String,
        /// The controller.
        controller: &'static str,
        /// The file.
        path: PathBuf,
        /// What it keeps instead.
        kept: String,
    },
    /// It took longer than it was given.
    #[error("{operation} cgroup {}: not done after {timeout:?}, with processes {processes:?} in it", path.display())]
    Timeout {
        /// What was tried.
        operation: &'static str,
        /// The cgroup's directory.
        path: PathBuf,
        /// How long.
        timeout: Duration,
        /// The processes that were still in it.
        processes: Vec<u32>,
    },
    /// The container has no cgroup in a hierarchy that the operation needs.
    #[error("{operation}: the container has no {needs} cgroup")]
    Absent {
        /// What was tried.
        operation: &'static str,
        /// The controller or interface.
        needs: &'static str,
    },
    /// A system call failed.
    #[error("{operation} {}", path.display())]
    System {
        /// What was tried.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl CgroupError {
    pub(crate) fn system(
        operation: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::System {
            operation,
            path: path.into(),
            source: source.into(),
        }
    }

    /// The system's number, where a call failed.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Enable { source, .. }
            | Self::Write { source, .. }
            | Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// What sort of failure it is, as the contract names it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Limit(LimitError::Invalid { .. }) | Self::Name { .. } => ErrorKind::InvalidSpec,
            Self::Limit(_) => ErrorKind::Unsupported,
            Self::InUse { .. } => ErrorKind::AlreadyExists,
            Self::Frozen { .. } => ErrorKind::InvalidState,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::Write {
                controller, source, ..
            } => match source.raw_os_error() {
                Some(libc::EACCES | libc::EPERM) if *controller != "cpuset" => {
                    ErrorKind::PermissionDenied
                }
                Some(libc::ENOENT) => ErrorKind::Unsupported,
                Some(libc::EINVAL | libc::ERANGE | libc::EACCES) => ErrorKind::InvalidSpec,
                _ => ErrorKind::System,
            },
            Self::NotKept { .. } => ErrorKind::InvalidSpec,
            Self::Enable { source, .. } | Self::System { source, .. } => {
                match source.raw_os_error() {
                    Some(libc::EACCES | libc::EPERM | libc::EROFS) => ErrorKind::PermissionDenied,
                    _ => ErrorKind::System,
                }
            }
        }
    }

    /// What the user can do, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Limit(LimitError::MissingController { .. }) => Some(
                "run without this limit, or on a host whose kernel has the controller and mounts it writable at /sys/fs/cgroup",
            ),
            Self::InUse { .. } => Some("remove the container that uses it, or choose another id"),
            Self::Frozen { .. } => Some("thaw it first"),
            Self::Write { path, source, .. } if source.raw_os_error() == Some(libc::ENOENT) => {
                let swap = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| name.contains("memsw") || name.contains("swap"));
                Some(if swap {
                    "leave the swap limit out, or boot the kernel with swapaccount=1"
                } else {
                    "this kernel has no such setting: leave it out"
                })
            }
            Self::Write {
                controller: "memory",
                source,
                ..
            } if source.raw_os_error() == Some(libc::EBUSY) => Some(
                "more than that is in use and could not be given back: choose a higher limit, or end a part of what runs",
            ),
            Self::Enable { source, .. } if source.raw_os_error() == Some(libc::EBUSY) => Some(
                "a cgroup with processes of its own cannot give controllers to others: have the controller delegated, with systemd by Delegate=yes",
            ),
            _ if self.kind() == ErrorKind::PermissionDenied => {
                Some("run as root, or have this part of the cgroup tree delegated to you")
            }
            _ => None,
        }
    }

    /// As an error of the contract.
    pub fn into_error(self, phase: Phase) -> Error {
        let mut error = Error::new(self.kind(), phase, self.to_string());
        if let Some(errno) = self.errno() {
            error = error.code(OsCode::Errno(errno));
        }
        if let Some(remedy) = self.remedy() {
            error = error.remedy(remedy);
        }
        error.because(self)
    }
}

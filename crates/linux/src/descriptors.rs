//! Opening the descriptors that a plan hands to the helper.

use std::os::fd::{BorrowedFd, OwnedFd};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};

use crate::cgroup::{Cgroup, JoinFiles};
use crate::execute::lend;
use crate::id_mapped;
use crate::plan::{Descriptor, of_another_process, plan_lend_tree};
use crate::proc_pid;
use crate::process::not_running;
use crate::service::Shared;

/// Where descriptors come from.
pub(crate) struct Sources<'a> {
    /// The container's cgroup.
    pub(crate) cgroup: Option<&'a Cgroup>,
    /// The container's first process.
    pub(crate) process: Option<BorrowedFd<'a>>,
    /// What an OCI runtime hands over.
    pub(crate) runtime: &'a RuntimeDescriptors,
    /// Knows what this host can do, where a descriptor depends on it.
    pub(crate) service: &'a Shared,
}

/// The descriptors that an OCI runtime hands over.
#[derive(Debug, Default)]
pub(crate) struct RuntimeDescriptors {
    /// The socket at which the process waits to be started.
    pub(crate) listener: Option<OwnedFd>,
    /// What the program gets behind its standard streams.
    pub(crate) preserved: Vec<OwnedFd>,
}

impl Sources<'_> {
    /// Opens what `wanted` names, in order.
    pub(crate) fn open(&self, wanted: &[Descriptor]) -> Result<Vec<OwnedFd>> {
        let mut files = None;
        let mut opened = Vec::with_capacity(wanted.len());
        for descriptor in wanted {
            opened.push(match descriptor {
                Descriptor::Namespace(path) => open_namespace(path)?,
                Descriptor::ContainerProcess => self
                    .process
                    .ok_or_else(|| not_running("enter the container"))?
                    .try_clone_to_owned()
                    .map_err(|error| crate::service::system("duplicate a descriptor", error))?,
                Descriptor::Tree {
                    path,
                    recursive,
                    ids,
                } => {
                    let tree = match of_another_process(path) {
                        Some((pid, below)) => match open_tree_of(path, *recursive) {
                            // It is in another mount namespace.
                            Err(error) if error.os_code() == Some(OsCode::Errno(libc::EINVAL)) => {
                                self.tree_elsewhere(path, pid, below)?
                            }
                            opened => opened?,
                        },
                        None => open_tree_of(path, *recursive)?,
                    };
                    if let Some(ids) = ids {
                        id_mapped::map(&tree, path, ids, self.service.features()?)?;
                    }
                    tree
                }
                Descriptor::StartListener => copy(self.runtime.listener.as_ref())?,
                Descriptor::Preserved(index) => {
                    copy(self.runtime.preserved.get(usize::from(*index)))?
                }
                Descriptor::CgroupTasks | Descriptor::CgroupProcs | Descriptor::CgroupDirectory => {
                    let files = match &mut files {
                        Some(files) => files,
                        none => none.insert(self.cgroup_files()?),
                    };
                    files.next(descriptor).ok_or_else(no_cgroup)?
                }
            });
        }
        Ok(opened)
    }

    /// A copy of what is mounted in the root of the process `pid`, in whatever mount namespace that is: open_tree(2) copies only
    /// what is mounted in the caller's.
    fn tree_elsewhere(&self, path: &str, pid: u32, below: &str) -> Result<OwnedFd> {
        let failed = |error| crate::service::system(format!("bind {path}"), error);
        let process = proc_pid::open(pid)
            .map_err(failed)?
            .ok_or_else(|| failed(rustix::io::Errno::SRCH.into()))?;
        let plan = plan_lend_tree(&format!("/{below}"))?;
        let mut lent = lend(&plan, self.service.features()?, &[process], 1)?;
        match lent.pop() {
            Some(tree) => tree.map_err(failed),
            None => Err(failed(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn cgroup_files(&self) -> Result<CgroupFiles> {
        let JoinFiles {
            tasks,
            unified,
            unified_procs,
        } = self
            .cgroup
            .ok_or_else(no_cgroup)?
            .join_files()
            .map_err(|error| error.into_error(Phase::Operate))?;
        Ok(CgroupFiles {
            tasks: tasks.into_iter(),
            directory: unified,
            procs: unified_procs,
        })
    }
}

/// The files of a cgroup that are still to be handed over.
struct CgroupFiles {
    tasks: std::vec::IntoIter<OwnedFd>,
    directory: Option<OwnedFd>,
    procs: Option<OwnedFd>,
}

impl CgroupFiles {
    fn next(&mut self, descriptor: &Descriptor) -> Option<OwnedFd> {
        match descriptor {
            Descriptor::CgroupTasks => self.tasks.next(),
            Descriptor::CgroupProcs => self.procs.take(),
            _ => self.directory.take(),
        }
    }
}

fn open_tree_of(path: &str, recursive: bool) -> Result<OwnedFd> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    open_tree(rustix::fs::CWD, path, flags).map_err(|errno| {
        let error = crate::service::system(format!("bind {path}"), errno.into());
        match errno {
            rustix::io::Errno::PERM => error
                .because("an ordinary user may not lend a directory of this machine to a container that runs")
                .remedy(format!(
                    "ask as root, or give the container the directory when it is started: --volume {path}:{path}:ro"
                )),
            _ => error,
        }
    })
}

fn copy(descriptor: Option<&OwnedFd>) -> Result<OwnedFd> {
    let missing = || Error::new(ErrorKind::System, Phase::Start, "hand over a descriptor");
    descriptor
        .ok_or_else(missing)?
        .try_clone()
        .map_err(|error| crate::service::system("duplicate a descriptor", error))
}

fn no_cgroup() -> Error {
    Error::new(
        ErrorKind::System,
        Phase::Start,
        "hand over the cgroup: it is not there",
    )
}

fn open_namespace(path: &str) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, fstatfs};
    /// `NSFS_MAGIC` (statfs(2)).
    const NSFS_MAGIC: u64 = 0x6e73_6673;
    let refused = || {
        Error::new(
            ErrorKind::InvalidSpec,
            Phase::Plan,
            format!("open namespace {path}"),
        )
    };
    let failed = |errno: rustix::io::Errno| refused().code(OsCode::Errno(errno.raw_os_error()));
    // A path of the caller's may be a fifo: it is not waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let namespace = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    if fstatfs(&namespace).map_err(failed)?.f_type as u64 != NSFS_MAGIC {
        return Err(refused().because("it is no namespace"));
    }
    Ok(namespace)
}

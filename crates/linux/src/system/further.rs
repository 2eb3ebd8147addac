//! Starting further processes.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, State, Stdio, Stream};
use hoist_spec::ProcessSpec;

use super::{LinuxSystem, open_process, operate, wrong_state};
use crate::cgroup::{Cgroup, CgroupRecord, Version};
use crate::descriptors::{RuntimeDescriptors, Sources};
use crate::execute::{Start, Started, Tracer};
use crate::features::setgroups_denied;
use crate::plan::{CgroupPlace, RunningContainer, RuntimeOptions, plan_process};
use crate::proc_pid;
use crate::process::{not_running, wait_for};
use crate::record::Record;
use crate::recorder::{ExecRecorder, FurtherWitness};
use crate::root::Root;
use crate::root_facts::RootFacts;
use crate::seccomp_agent::Agent;
use crate::servers;
use crate::service::system;

/// How long a container that ends may take from the end of its other processes to that of its first.
const ENDING: Duration = Duration::from_secs(1);

impl LinuxSystem {
    /// Starts a further process; nobody waits for it yet.
    pub(crate) fn launch_process(
        &self,
        process: &ProcessSpec,
        stdio: Stdio,
        options: &RuntimeOptions,
        runtime: &RuntimeDescriptors,
    ) -> Result<Started> {
        let own = match &options.cgroup_below {
            Some(asked) => Some(self.cgroup_below(asked)?),
            None => None,
        };
        let further = Further {
            process,
            options,
            runtime,
            own: own.as_ref(),
        };
        self.launch_further(&further, stdio, None)
    }

    /// The cgroup below the container's that is asked for ([`RuntimeOptions::cgroup_below`]).
    fn cgroup_below(&self, asked: &str) -> Result<Cgroup> {
        let refused = |reason: &str| {
            Error::new(
                ErrorKind::InvalidSpec,
                Phase::Operate,
                format!("start a process in cgroup {asked:?}: {reason}"),
            )
        };
        let (_, cgroup) = self.with_process(&[State::Running], "start a process in")?;
        let mut record = cgroup
            .ok_or_else(self.no_cgroup("start a process in a cgroup of"))?
            .record();
        let (controllers, path) = match asked.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None => (None, asked),
        };
        let path = path.trim_matches('/');
        if path.split('/').any(|part| matches!(part, ".." | ".")) {
            return Err(refused("it is no path below the container's cgroup"));
        }
        let mut is_known = controllers.is_none();
        for directory in &mut record.directories {
            let is_meant = controllers.is_none_or(|controllers| {
                let mut names = controllers.split(',');
                names.any(|name| directory.controllers.iter().any(|known| known == name))
            });
            if is_meant && !path.is_empty() {
                directory.path.push(path);
                directory.identity = None;
            }
            is_known |= is_meant;
        }
        if !is_known {
            return Err(refused("the container has no such controller"));
        }
        let opened = Cgroup::open(&record).map_err(operate)?;
        match opened.directories.len() == record.directories.len() {
            true => Ok(opened),
            false => Err(refused("it does not exist")),
        }
    }

    /// As [`Self::launch_process`]; what becomes of an exec is written down in `record`.
    ///
    /// While the container's processes are moved into a leaf of its cgroup, that takes nobody in (`EBUSY`): then it is tried
    /// again, in the leaf.
    pub(crate) fn launch_further(
        &self,
        further: &Further<'_>,
        mut stdio: Stdio,
        mut record_of_exec: Option<&mut ExecRecorder<'_>>,
    ) -> Result<Started> {
        const TRIES: u32 = 50;
        const PAUSE: Duration = Duration::from_millis(10);
        let mut left = TRIES;
        loop {
            let (record, cgroup) = self.with_process(&[State::Running], "start a process in")?;
            let may_be_moved =
                further.own.is_none() && cgroup.as_ref().is_some_and(gives_controllers);
            let spare = match may_be_moved && left > 0 {
                true => Some(copy_of(&stdio)?),
                false => None,
            };
            let record_of_exec = record_of_exec.as_deref_mut();
            let launched = self.launch_in(&record, cgroup, further, stdio, record_of_exec);
            match (launched, spare) {
                (Err(error), Some(spare))
                    if error.os_code() == Some(OsCode::Errno(libc::EBUSY)) =>
                {
                    stdio = spare;
                    left -= 1;
                    std::thread::sleep(PAUSE);
                }
                (launched, _) => return launched,
            }
        }
    }

    fn launch_in(
        &self,
        record: &Record,
        cgroup: Option<Cgroup>,
        further: &Further<'_>,
        stdio: Stdio,
        record_of_exec: Option<&mut ExecRecorder<'_>>,
    ) -> Result<Started> {
        let first = open_process(record)?.ok_or_else(|| not_running("start a process"))?;
        let leaf = match (&cgroup, further.own) {
            (Some(cgroup), None) => cgroup.leaf().map_err(operate)?,
            _ => None,
        };
        let other = further.own.or(leaf.as_ref());
        let Entrance { root, thread } = entrance(record, &first)?;
        let entered = thread.as_ref().unwrap_or(&first).as_fd();
        let sources = Sources {
            cgroup: other.or(cgroup.as_ref()),
            process: Some(entered),
            runtime: further.runtime,
            service: &self.shared,
        };
        let mut container = running_container(record);
        if let Some(other) = other {
            container.cgroup = places(&other.record());
        }
        let place = Place {
            container: &container,
            sources: &sources,
            root: match servers::hide_root(record, &self.shared)? {
                true => servers::lend_accounts(root, entered, &self.shared)?,
                false => Root::directory(root),
            },
            pid: record.process().map(|process| process.pid),
        };
        self.start_in(place, further, stdio, record_of_exec)
            .map_err(|error| {
                // What fails while the container ends fails because of that; a process that is ending says so only later.
                let code = error.os_code();
                let is_gone = error.kind() == ErrorKind::InvalidState
                    || code == Some(OsCode::Errno(libc::ESRCH));
                // In a process namespace whose first process is ending, clone(2) fails with ENOMEM.
                let was_killed =
                    matches!(code, Some(OsCode::Errno(libc::ECONNRESET | libc::ENOMEM)));
                let patience = if was_killed { ENDING } else { Duration::ZERO };
                match wait_for(first.as_fd(), Some(patience)) {
                    Ok(ended) if ended || is_gone => {
                        wrong_state(&self.id, "start a process in", State::Stopped).because(error)
                    }
                    _ => error,
                }
            })
    }

    fn start_in(
        &self,
        place: Place<'_>,
        further: &Further<'_>,
        stdio: Stdio,
        record: Option<&mut ExecRecorder<'_>>,
    ) -> Result<Started> {
        let facts =
            RootFacts::read_for_process(&place.root, further.process).map_err(Error::from)?;
        let plan = plan_process(
            &self.spec,
            further.process,
            place.container,
            &facts,
            further.options,
        )?;
        let plan = self.shared.faulty(plan);
        let agent = Agent::connect(&self.spec, || self.oci_state("running", place.pid))?;
        let linux = self.spec.oci.linux().as_ref();
        let rdt = match linux.is_some_and(|linux| linux.intel_rdt().is_some()) {
            true => self.record()?.created.rdt,
            false => None,
        };
        Start {
            plan: &plan,
            features: &|| self.shared.features(),
            tracer: &mut Tracer::new(self.shared.timeline.clone()),
            console: None,
            dies_with_owner: false,
            witness: &mut FurtherWitness {
                descriptors: &mut || place.sources.open(&plan.descriptors),
                agent,
                record,
                rdt,
            },
        }
        .run(stdio)
    }
}

/// Whether a cgroup may come to have controllers for others below it, as only one of version 2 without processes may.
fn gives_controllers(cgroup: &Cgroup) -> bool {
    let mut directories = cgroup.directories.iter();
    directories
        .any(|directory| directory.version == Version::V2 && !directory.controllers.is_empty())
}

/// The same streams once more.
fn copy_of(stdio: &Stdio) -> Result<Stdio> {
    let copy = |stream: &Stream| -> Result<Stream> {
        Ok(match stream {
            Stream::Null => Stream::Null,
            Stream::Pipe => Stream::Pipe,
            Stream::Given(file) => Stream::Given(
                file.try_clone()
                    .map_err(|error| system("duplicate a descriptor", error))?,
            ),
        })
    };
    Ok(match stdio {
        Stdio::Console(size) => Stdio::Console(*size),
        Stdio::Streams {
            stdin,
            stdout,
            stderr,
        } => Stdio::Streams {
            stdin: copy(stdin)?,
            stdout: copy(stdout)?,
            stderr: copy(stderr)?,
        },
    })
}

/// A further process that is to be started.
pub(crate) struct Further<'a> {
    pub(crate) process: &'a ProcessSpec,
    pub(crate) options: &'a RuntimeOptions,
    pub(crate) runtime: &'a RuntimeDescriptors,
    /// Its own cgroup within the container's.
    pub(crate) own: Option<&'a Cgroup>,
}

/// Where a further process is started.
struct Place<'a> {
    container: &'a RunningContainer,
    sources: &'a Sources<'a>,
    root: Root,
    /// The container's first process.
    pid: Option<u32>,
}

pub(crate) fn running_container(record: &Record) -> RunningContainer {
    RunningContainer {
        setgroups_denied: setgroups_denied(),
        namespaces: record.created.namespaces,
        id_maps: record.created.id_maps.clone(),
        cgroup: record.cgroup().map(places).unwrap_or_default(),
        keyring: record.created.keyring.clone(),
    }
}

fn places(cgroup: &CgroupRecord) -> Vec<CgroupPlace> {
    let directories = cgroup.directories.iter();
    directories
        .map(|directory| CgroupPlace {
            directory: directory.path.display().to_string(),
            version: directory.version,
        })
        .collect()
}

/// The root that the container's first process sees.
pub(crate) fn root_of(record: &Record, first: &OwnedFd) -> Result<OwnedFd> {
    let pid = record.process().map_or(0, |process| process.pid);
    root_and_thread(pid, first).map(|(root, _)| root)
}

/// By what a container is entered.
struct Entrance {
    /// The root that its first process sees.
    root: OwnedFd,
    /// The thread whose namespaces are entered, where the first one of the process has ended: that has none any more.
    thread: Option<OwnedFd>,
}

fn entrance(record: &Record, first: &OwnedFd) -> Result<Entrance> {
    let pid = record.process().map_or(0, |process| process.pid);
    let (root, thread) = root_and_thread(pid, first)?;
    let thread = match thread {
        Some(thread) => Some(open_thread(pid, thread)?),
        None => None,
    };
    Ok(Entrance { root, thread })
}

/// The root that a process sees, and by which of its threads that is known where the first one has ended.
fn root_and_thread(pid: u32, process: &OwnedFd) -> Result<(OwnedFd, Option<u32>)> {
    let what = "open the container's root";
    let opened = match open_root(&format!("/proc/{pid}"))? {
        Some(root) => (root, None),
        None => {
            let failed = |error| system(format!("list the threads of process {pid}"), error);
            let threads = proc_pid::threads(pid).map_err(failed)?;
            let mut opened = None;
            for thread in threads {
                if let Some(root) = open_root(&format!("/proc/{pid}/task/{thread}"))? {
                    opened = Some((root, Some(thread)));
                    break;
                }
            }
            opened.ok_or_else(|| not_running(what))?
        }
    };
    // The process held by the pidfd still lives, so the path was its own.
    match wait_for(process.as_fd(), Some(Duration::ZERO))? {
        false => Ok(opened),
        true => Err(not_running(what)),
    }
}

/// The root of a process or thread; one that is ending lets go of it before its end is told.
fn open_root(folder: &str) -> Result<Option<OwnedFd>> {
    use rustix::fs::{Mode, OFlags};
    use rustix::io::Errno;
    let path = format!("{folder}/root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(root) => Ok(Some(root)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(errno) => Err(system(format!("open {path}"), errno.into())),
    }
}

/// A thread of a process that lives.
fn open_thread(pid: u32, thread: u32) -> Result<OwnedFd> {
    let what = "enter the container by a thread of its first process, whose first thread has ended";
    match proc_pid::open_thread(pid, thread) {
        Ok(Some(thread)) => Ok(thread),
        Ok(None) => Err(not_running(what)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Err(Error::new(ErrorKind::Unsupported, Phase::Operate, what)
                .because("this kernel has no descriptors for threads")
                .remedy("Linux 6.9 has them"))
        }
        Err(error) => Err(system(what, error)),
    }
}

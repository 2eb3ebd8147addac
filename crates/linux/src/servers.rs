//! The programs that show a container's layers through FUSE, where the kernel does not: started and ended by the container's
//! owner.
//!
//! Such a program ends by itself when its file system is gone, with the container's mount namespace, whoever lives then. So
//! nothing is left after a crash; that they are recorded lets a removal end one that hangs.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, Phase, Result, Stdio, Stream};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Signal, pidfd_send_signal};

use crate::descriptors::{RuntimeDescriptors, Sources};
use crate::execute::{Start, Started, Tracer, lend, reap};
use crate::features::HostFeatures;
use crate::plan::{Plan, plan_lend};
use crate::proc_pid;
use crate::process::{not_running, wait_for};
use crate::record::{ProcessIdentity, Record, Released};
use crate::recorder::FurtherWitness;
use crate::root::Root;
use crate::service::{Shared, system};

/// How long one may take to end after its file system is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// The files of [`crate::root_facts::RootFacts`] for a further process.
const ACCOUNTS: [&str; 2] = ["/etc/passwd", "/etc/group"];
/// As much of what one has written is told when a start fails.
const MOST_WORDS: u64 = 4096;

/// Those of one start.
#[derive(Default)]
pub(crate) struct Servers(Vec<Server>);

struct Server {
    identity: ProcessIdentity,
    pidfd: OwnedFd,
    words: File,
}

impl Servers {
    /// Starts one for the process `pid`, whose file system has this connection.
    pub(crate) fn start(
        &mut self,
        plan: &Plan,
        pid: u32,
        connection: OwnedFd,
        service: &Shared,
    ) -> Result<()> {
        let process = proc_pid::open(pid)
            .map_err(|error| system("open the process", error))?
            .ok_or_else(|| not_running("show its layers"))?;
        let runtime = RuntimeDescriptors {
            listener: None,
            preserved: vec![connection],
        };
        let sources = Sources {
            cgroup: None,
            process: Some(process.as_fd()),
            runtime: &runtime,
            service,
        };
        let mut descriptors = sources.open(&plan.descriptors)?;
        // What is held here would keep the file system from seeing the server's end.
        drop(runtime);
        let words = memfd_create("hoist-fuse-overlayfs", MemfdFlags::CLOEXEC)
            .map_err(|errno| system("make a file in memory", errno.into()))?;
        let copy = words
            .try_clone()
            .map_err(|error| system("duplicate a descriptor", error))?;
        let Started { pid, pidfd, .. } = Start {
            plan,
            features: &|| service.features(),
            tracer: &mut Tracer::new(None),
            console: None,
            dies_with_owner: false,
            witness: &mut FurtherWitness {
                descriptors: &mut || Ok(std::mem::take(&mut descriptors)),
                agent: None,
                record: None,
                rdt: None,
            },
        }
        .run(Stdio::Streams {
            stdin: Stream::Null,
            stdout: Stream::Null,
            stderr: Stream::Given(copy.into()),
        })?;
        let identity = ProcessIdentity::of(pid)
            .map_err(|error| system(format!("look at process {pid}"), error))?;
        self.0.push(Server {
            identity,
            pidfd,
            words: words.into(),
        });
        Ok(())
    }

    /// Which they are, for the record.
    pub(crate) fn identities(&self) -> Vec<ProcessIdentity> {
        self.0.iter().map(|server| server.identity).collect()
    }

    /// Ends them after a start that failed, and adds to its error what they had to say.
    pub(crate) fn end(&mut self, error: Error) -> Error {
        let mut words = Vec::new();
        for mut server in self.0.drain(..) {
            end(server.pidfd.as_fd());
            let _ = reap(&server.pidfd);
            let mut text = String::new();
            let read = server
                .words
                .rewind()
                .and_then(|()| (&server.words).take(MOST_WORDS).read_to_string(&mut text));
            if read.is_ok_and(|read| read > 0) {
                words.push(text.trim().to_owned());
            }
        }
        match words.is_empty() {
            true => error,
            false => Error::new(
                ErrorKind::System,
                Phase::Start,
                "have the layers shown by fuse-overlayfs",
            )
            .because(format!("{error}; it said: {}", words.join("; "))),
        }
    }
}

/// Whether the container's owner may not look into its root: that is shown through FUSE, to those in the container's user
/// namespace alone.
pub(crate) fn hide_root(record: &Record, service: &Shared) -> Result<bool> {
    let is_served = |released: &Released| !released.servers.is_empty();
    if !record.released.as_ref().is_some_and(is_served) {
        return Ok(false);
    }
    let HostFeatures { uid, gid, .. } = *service.features()?;
    let maps = record.created.id_maps.as_ref();
    Ok(maps.is_none_or(|maps| !maps.is_own_ids(uid, gid)))
}

/// The root with the files that planning a further process reads, opened from within the container's user namespace.
pub(crate) fn lend_accounts(
    root: OwnedFd,
    process: BorrowedFd<'_>,
    service: &Shared,
) -> Result<Root> {
    let duplicated = |error| system("duplicate a descriptor", error);
    let plan = plan_lend(&ACCOUNTS)?;
    let runtime = RuntimeDescriptors {
        listener: None,
        preserved: vec![root.try_clone().map_err(duplicated)?],
    };
    let sources = Sources {
        cgroup: None,
        process: Some(process),
        runtime: &runtime,
        service,
    };
    let descriptors = sources.open(&plan.descriptors)?;
    let lent = lend(&plan, service.features()?, &descriptors, ACCOUNTS.len())?;
    Ok(Root::directory(root).with_lent(ACCOUNTS.into_iter().zip(lent).collect()))
}

/// Reaps those that this program has started, once their container has ended.
pub(crate) fn reap_ended(servers: &[ProcessIdentity]) {
    for server in servers {
        if let Some(pidfd) = open(*server)
            // Where others hold the container's mounts, it goes on, and its inheritor will reap it.
            && wait_for(pidfd.as_fd(), Some(PATIENCE)).unwrap_or(false)
        {
            let _ = reap(&pidfd);
        }
    }
}

/// Ends those that are still there when their container is removed.
pub(crate) fn end_all(servers: &[ProcessIdentity]) {
    servers
        .iter()
        .filter_map(|server| open(*server))
        .for_each(|pidfd| end(pidfd.as_fd()));
}

fn open(server: ProcessIdentity) -> Option<OwnedFd> {
    let pidfd = proc_pid::open(server.pid).ok().flatten()?;
    // Only now is it certain whose process this is.
    server.exists().then_some(pidfd)
}

fn end(pidfd: BorrowedFd<'_>) {
    // It may have ended by itself.
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
}

//! The traits that a backend implements.

use std::path::Path;
use std::time::Duration;

use hoist_spec::{
    ConsoleSize, ContainerId, ContainerSpec, ExecId, ProcessSpec, Signal,
    oci::{LinuxResources, Mount},
};

use crate::{
    Change, Confinement, Error, ErrorKind, ExecSpec, ExitStatus, Features, Phase, Properties,
    Query, Result, RootFiles, State, Stdio, Streams, Summary,
};

/// Something an event loop can wait for: a descriptor that becomes readable on Unix, a handle that becomes
/// signalled on Windows.
#[cfg(unix)]
pub type Readiness<'a> = std::os::fd::BorrowedFd<'a>;
/// Something an event loop can wait for: a descriptor that becomes readable on Unix, a handle that becomes
/// signalled on Windows.
#[cfg(windows)]
pub type Readiness<'a> = std::os::windows::io::BorrowedHandle<'a>;

/// One platform's containers.
pub trait ComputeService: Send + Sync {
    /// Makes a container in state `Created`. Its process is not started.
    ///
    /// A spec that cannot be carried out here is refused before anything is made; after any error nothing of
    /// the container is left. An id that is in use is `AlreadyExists`.
    fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Box<dyn ComputeSystem>>;

    /// Makes a container as [`ComputeService::create`] does, for a caller that starts it next, through the result: until its process runs
    /// others may find it still being made, and where its start fails it may be gone.
    fn create_to_start(
        &self,
        id: &ContainerId,
        spec: &ContainerSpec,
    ) -> Result<Box<dyn ComputeSystem>> {
        self.create(id, spec)
    }

    /// Opens a container that this or another process has made. One that does not exist is `NotFound`.
    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>>;

    /// Lists the containers, each with the state the kernel tells at this moment. One that cannot be read is an error: where the others
    /// are wanted, [`ComputeService::survey`] has them.
    fn enumerate(&self) -> Result<Vec<Summary>>;

    /// As [`ComputeService::enumerate`], of all that can be read, with the reason for each that cannot.
    fn survey(&self) -> Result<Survey> {
        Ok(Survey {
            summaries: self.enumerate()?,
            unreadable: Vec::new(),
        })
    }

    /// Ends and removes by force a container whose record is `Damaged`, with all that can still be found of it, and tells what that was, and
    /// what may be left. One that is gone is success.
    fn remove_damaged(&self, id: &ContainerId) -> Result<Vec<String>> {
        match self.open(id) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            _ => Err(unsupported("remove the damaged record of", id)),
        }
    }

    /// The ids that begin so, in order. One that is being made or removed at this moment may be among them.
    fn ids(&self, beginning: &str) -> Result<Vec<ContainerId>> {
        let ids = self.enumerate()?.into_iter().map(|summary| summary.id);
        let mut ids: Vec<_> = ids
            .filter(|id| id.as_str().starts_with(beginning))
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// Says what this host can do, and why not what it cannot. Changes nothing.
    fn features(&self) -> Features;
}

/// What there is, as far as it can be read.
#[derive(Debug, Default)]
pub struct Survey {
    /// The containers, the oldest first.
    pub summaries: Vec<Summary>,
    /// Why the others could not be read. The subject of each error is the container's id.
    pub unreadable: Vec<Error>,
}

impl Survey {
    /// Notes what a look at a container has told; one that is gone is nothing.
    pub fn note(&mut self, id: &ContainerId, looked: Result<Summary>) {
        match looked {
            Ok(summary) => self.summaries.push(summary),
            // Being made or removed at this moment.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.unreadable.push(error.about(id.as_str())),
        }
    }

    /// All of them, or the first error.
    pub fn whole(self) -> Result<Vec<Summary>> {
        match self.unreadable.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(self.summaries),
        }
    }
}

/// One container.
///
/// All methods may be called from several threads at once. What another process does to the same
/// container is seen: state is read when it is asked for.
pub trait ComputeSystem: Send + Sync {
    /// Its id.
    fn id(&self) -> &ContainerId;

    /// The spec it was made from.
    fn spec(&self) -> &ContainerSpec;

    /// Starts the container's first process; the caller becomes the owner that reaps it and records its exit.
    ///
    /// Returns when the program was executed: what fails before is an error, and a program that does not exist
    /// or cannot be executed is an error in [`Phase::Execute`](crate::Phase::Execute). After an error the
    /// container is as it was, `Created`. A container that is not `Created` gives `InvalidState`.
    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>>;

    /// Starts a further process in the running container; the caller owns it. A failure changes nothing in the
    /// container. A container that is not `Running` gives `InvalidState`.
    fn create_process(&self, process: &ProcessSpec, stdio: Stdio) -> Result<Box<dyn Process>>;

    /// As [`ComputeSystem::create_process`], with limits and a time that the process and all it starts have for themselves, within
    /// the container's: [`Process::terminate`], and the end of that time, then end all of them, whatever session or parent they have.
    ///
    /// A limit that cannot be had here is an error, and no process is started.
    fn create_confined_process(
        &self,
        _process: &ProcessSpec,
        _confinement: &Confinement,
        _stdio: Stdio,
    ) -> Result<Box<dyn Process>> {
        Err(unsupported("confine a process in", self.id()))
    }

    /// Makes a further process an object with an id, in state `Created`: it is not started. After an error there is none.
    ///
    /// An id that another one of this container has is `AlreadyExists`. It is there until it is deleted, or the container is;
    /// of those that have ended the oldest may go where there are more than a thousand.
    fn create_exec(&self, _id: &ExecId, _spec: &ExecSpec) -> Result<Box<dyn Exec>> {
        Err(unsupported("make an exec of", self.id()))
    }

    /// Opens an exec that this or another process has made. One that does not exist is `NotFound`.
    fn open_exec(&self, id: &ExecId) -> Result<Box<dyn Exec>> {
        Err(Error::new(
            ErrorKind::NotFound,
            Phase::Operate,
            format!("no such exec: {id}"),
        ))
    }

    /// Lists the container's execs, in the order in which they were made.
    fn execs(&self) -> Result<Vec<Summary>> {
        Ok(Vec::new())
    }

    /// Freezes every process of the running container. Pausing a paused container is `InvalidState`.
    fn pause(&self) -> Result<()>;

    /// Lets a paused container go on. A container that is not `Paused` gives `InvalidState`.
    fn resume(&self) -> Result<()>;

    /// Changes limits of the container while it runs; what `resources` does not name stays. A limit that the
    /// kernel refuses is an error, and the limits are as before. A backend that writes specs down keeps them there for a later start, and
    /// takes them for a container that does not run, too; of any other that is `InvalidState`. Whoever opens the container then sees them in [`ComputeSystem::spec`].
    fn modify(&self, resources: &LinuxResources) -> Result<()>;

    /// Its state at this moment.
    fn state(&self) -> Result<State>;

    /// What it is doing at this moment.
    fn properties(&self, query: Query) -> Result<Properties>;

    /// Sends `signal` to the container's first process. A container that does not run gives `InvalidState`, and no
    /// stranger that has come to bear the same process id is ever signalled.
    fn signal(&self, signal: Signal) -> Result<()>;

    /// Asks the container to end, by the stop signal of its spec, and returns at once.
    fn shutdown(&self) -> Result<()>;

    /// Ends every process of the container by force, a paused one included, and returns when that is done. On a
    /// stopped container it does nothing.
    fn terminate(&self) -> Result<()>;

    /// Waits until the container's first process has ended. Any process may wait, several times, late, and at the
    /// same time: all get the same status. `Timeout` where `timeout` (none: for ever) runs out first.
    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus>;

    /// Makes a container that has ended ready to be started once more: it is `Created` again, with the same id and spec.
    ///
    /// Whoever still waits for the run that has ended gets its status, never that of a later one. Where the start after it fails, a backend
    /// may take it back: the container is then `Stopped` again, with that status. One that is not `Stopped` gives `InvalidState`.
    fn reset(&self) -> Result<()> {
        Err(unsupported("start once more", self.id()))
    }

    /// Installs the updates that its last run has left, where its platform tells of such (Windows before build 16299): a servicing
    /// run merges them into its writable layer, and this returns when that is done. Where nothing waits it does nothing.
    fn install_updates(&self) -> Result<()> {
        Ok(())
    }

    /// Mounts a directory or file of this machine, or a new file system in memory, in the running container, until that ends
    /// or [`ComputeSystem::remove_mount`]. The destination is resolved within its root and made where it is missing; one at
    /// which a mount was added before is `AlreadyExists`.
    fn add_mount(&self, mount: &Mount) -> Result<()> {
        let what = format!("add a mount at {} of", mount.destination().display());
        Err(unsupported(&what, self.id()))
    }

    /// Takes a mount away that [`ComputeSystem::add_mount`] has added at this destination. Where none was, `NotFound`; where
    /// something else is by now, `InvalidState`, and that stays.
    fn remove_mount(&self, target: &Path) -> Result<()> {
        let what = format!("remove the mount at {} of", target.display());
        Err(unsupported(&what, self.id()))
    }

    /// The mounts that were added since its start and not removed.
    fn added_mounts(&self) -> Result<Vec<Mount>> {
        Ok(Vec::new())
    }

    /// Opens its root file system for copying. A container that does not run must have one that was kept.
    fn files(&self) -> Result<Box<dyn RootFiles + '_>> {
        Err(unsupported("copy files of", self.id()))
    }

    /// What it has changed in its layers, sorted by path. A container without a writable layer of its own gives
    /// `Unsupported`.
    fn changes(&self) -> Result<Vec<Change>> {
        Err(unsupported("look for changes in", self.id()))
    }

    /// Removes the container and all that was made for it. A container that runs gives `InvalidState`; deleting
    /// again, also at the same time, is success.
    fn delete(&self) -> Result<()>;
}

fn unsupported(what: &str, id: &ContainerId) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        Phase::Operate,
        format!("{what} container {id}"),
    )
    .because("containers of its kind cannot")
    .remedy("see `hoist info` for what each kind can")
}

/// A further process of a container as an object: it is made, started once, and there for whoever asks until it is deleted.
///
/// All methods may be called from several threads at once, and by any process: state is read when it is asked for.
pub trait Exec: Send + Sync {
    /// Its id.
    fn id(&self) -> &ExecId;

    /// What it was made from.
    fn spec(&self) -> &ExecSpec;

    /// Starts it in its container; the caller becomes the owner that reaps it and records its exit.
    ///
    /// Returns when the program was executed, as [`ComputeSystem::create_confined_process`]. After an error it is as it was,
    /// `Created`, and nothing was changed in the container. One that is not `Created`, or whose container is not `Running`,
    /// gives `InvalidState`.
    fn start(&self, stdio: Stdio) -> Result<Box<dyn Process>>;

    /// What it is doing at this moment: its state, its processes, what they use.
    fn properties(&self, query: Query) -> Result<Properties>;

    /// Sends it `signal`. One that does not run gives `InvalidState`, and no other process is signalled.
    fn signal(&self, signal: Signal) -> Result<()>;

    /// Ends it by force with all it has started, and returns when that is done. On one that has ended, what it has left behind
    /// is ended.
    fn terminate(&self) -> Result<()>;

    /// Waits until it has ended. Any process may wait, several times, late, and at the same time: all get the same status, and
    /// where its owner was lost, that it is unknown. `Timeout` where `timeout` (none: for ever) runs out first.
    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus>;

    /// Forgets it. One that runs gives `InvalidState`; deleting again is success.
    fn delete(&self) -> Result<()>;
}

/// One process of a container, owned by the program that started it.
pub trait Process: Send + Sync {
    /// Its id on this machine, outside the container.
    fn pid(&self) -> u32;

    /// Hands out the caller's ends of its streams; each can be taken once.
    fn take_streams(&self) -> Streams;

    /// Waits until it has ended; as [`ComputeSystem::wait`].
    fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus>;

    /// Becomes ready when [`Process::wait`] would return at once.
    fn readiness(&self) -> Readiness<'_>;

    /// Sends it `signal`. After its end this is `InvalidState`, and no other process is signalled.
    fn signal(&self, signal: Signal) -> Result<()>;

    /// Ends it by force, and where it was started confined everything that it has started; returns when that
    /// is done. After its end this is success.
    fn terminate(&self) -> Result<()> {
        match self.signal(Signal::KILL) {
            Err(error) if error.kind() == ErrorKind::InvalidState => Ok(()),
            sent => sent.and_then(|()| self.wait(None).map(drop)),
        }
    }

    /// Gives its console another size; without a console, `InvalidState`.
    fn resize_console(&self, size: ConsoleSize) -> Result<()>;

    /// Ends its standard input. A stream that was taken is ended by dropping it instead; ending it twice is success.
    fn close_stdin(&self) -> Result<()>;
}

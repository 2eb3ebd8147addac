//! Bringing a container back from a checkpoint.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, Phase, Process, Result, State, Stdio};
use hoist_spec::RootSource;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::arguments::{self, ManageCgroups, RestoreOptions, Restored};
use super::criu::{self, Criu};
use super::dump::{
    can_be_checkpointed, hierarchy, make_folder, network_path, unified_directory, work_folder,
};
use super::hook::{Moment, Questions};
use super::mounts::{self, External};
use super::{console, images, mount_points, network, private, restored, streams, unsupported};
use crate::cgroup::Cgroup;
use crate::execute::{Started, streams as standard_streams};
use crate::making::CgroupMaker;
use crate::plan::{CGROUP_NAMESPACE, Namespaces, Plan, hooks as hook_plan};
use crate::record::{Record, Released};
use crate::recorder::released;
use crate::service::system;
use crate::system::{LinuxSystem, wrong_state};
use crate::{hooks, proc_pid, removal, systemd};

/// How long the processes of a restore that failed may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Descriptors for criu are above what it, and what it calls, have for themselves.
const LOWEST: i32 = 20;

impl LinuxSystem {
    /// Has criu make the container's processes from a checkpoint; nobody waits for the first of them yet.
    pub(crate) fn restore(
        &self,
        criu: &Criu,
        options: &RestoreOptions,
        stdio: Stdio,
    ) -> Result<(Started, Record)> {
        let what = format!("restore container {}", self.id);
        can_be_checkpointed(&self.spec.oci, &what)?;
        let RootSource::Directory(root) = &self.spec.root else {
            return Err(unsupported(&what, "its root is not one directory"));
        };
        if options.common.manage_cgroups == ManageCgroups::Strict {
            return Err(unsupported(
                &what,
                "criu's strict mode (--manage-cgroups-mode) wants no cgroup to be there, and the container's is made before",
            ));
        }
        images::check(&options.common.image_path)?;
        // Of a checkpoint that is still handed out, nobody has done this yet.
        network::forget_lock(&options.common.image_path)
            .map_err(|error| system("take criu's lock of the network out of the image", error))?;
        let _lock = self.lock()?;
        let (mut record, state, _) = self.look()?;
        if state != State::Created || record.process().is_some() {
            return Err(wrong_state(&self.id, "restore", state));
        }
        let features = self.shared.features()?;
        let plan = self.plan()?;
        let planned = plan
            .cgroup
            .as_ref()
            .ok_or_else(|| unsupported(&what, "it would have no cgroup"))?;
        let mut maker = CgroupMaker::new(planned, features.own_cgroups());
        let mut restoring = Restoring {
            system: self,
            plan: &plan,
            options,
            what: &what,
            root,
            externals: Vec::new(),
            process: None,
        };
        let made = maker
            .make_birthplace()
            .and_then(|()| match planned.has_v1() {
                true => maker.make_rest(),
                false => Ok(()),
            });
        let run = match (made, maker.made()) {
            (Ok(()), Some(cgroup)) => restoring.run(criu, cgroup, stdio),
            (Ok(()), None) => Err(unsupported(&what, "it has no cgroup")),
            (Err(error), _) => Err(error),
        };
        match run {
            Ok((started, released)) => {
                maker.end_scope();
                record.released = Some(released);
                Ok((started, record))
            }
            Err(error) => {
                maker.end_scope();
                if let Some(cgroup) = maker.made() {
                    // What is left is recorded, and removed with the container.
                    let _ = cgroup.kill_all(PATIENCE);
                    let _ = removal::remove_cgroup(Some(&cgroup.record()));
                }
                self.folder.forget_released();
                if let Some(unit) = &planned.unit {
                    systemd::end(&unit.name, &features.cgroup);
                }
                Err(error)
            }
        }
    }

    /// As [`Self::restore`]; this program becomes the owner.
    pub(crate) fn restore_owned(
        &self,
        criu: &Criu,
        options: &RestoreOptions,
        stdio: Stdio,
    ) -> Result<Box<dyn Process>> {
        let (started, record) = self.restore(criu, options, stdio)?;
        self.own(started, Arc::new(record))
    }
}

/// The files that a process enters the cgroup by.
fn entrances(cgroup: &Cgroup) -> Result<Vec<fs::File>> {
    let mut files = Vec::new();
    for directory in &cgroup.directories {
        let path = directory.path.join("cgroup.procs");
        let file = fs::OpenOptions::new().write(true).open(&path);
        files.push(file.map_err(|error| system(format!("open {}", path.display()), error))?);
    }
    Ok(files)
}

/// A restore that goes on.
struct Restoring<'a> {
    system: &'a LinuxSystem,
    plan: &'a Plan,
    options: &'a RestoreOptions,
    what: &'a str,
    root: &'a Path,
    externals: Vec<External>,
    /// The first process, once it is there.
    process: Option<(u32, OwnedFd, Released)>,
}

impl Restoring<'_> {
    fn run(&mut self, criu: &Criu, cgroup: &Cgroup, stdio: Stdio) -> Result<(Started, Released)> {
        let failed = |what: &'static str| move |error: io::Error| system(what, error);
        let size = match &stdio {
            Stdio::Console(size) => Some(*size),
            Stdio::Streams { .. } => None,
        };
        let console = match size {
            Some(_) => {
                Some(console::make(&self.system.spec.oci).map_err(failed("open a console"))?)
            }
            None => None,
        };
        let mut prepared =
            standard_streams::prepare(stdio).map_err(failed("open the standard streams"))?;
        if let Some(console) = &console {
            for stream in &mut prepared.process {
                let terminal = console.terminal.try_clone();
                *stream = terminal.map_err(failed("duplicate a descriptor"))?;
            }
        }
        mount_points::make(&self.system.spec.oci, self.root)?;
        let inherited = self.inherited(&prepared.process, console.is_some())?;
        let folder = self.system.folder.path();
        let top = folder.join("criu.root");
        make_folder(&top)?;
        let work = work_folder(
            &self.system.folder,
            self.options.common.work_path.as_deref(),
        )?;
        let log = work.join("restore.log");
        // Of another run.
        let _ = fs::remove_file(&log);
        let directory = unified_directory(cgroup);
        self.externals = mounts::externals(&self.system.spec.oci, directory.as_deref());
        let terminals = folder.join("criu.pts");
        if console.is_some() {
            make_folder(&terminals)?;
            self.externals
                .extend(console::externals(&self.system.spec.oci, &terminals));
        }
        let mut questions = Questions::new().map_err(failed("make pipes for criu"))?;
        let said = hooks::output()?;
        let copies =
            || -> io::Result<(OwnedFd, OwnedFd)> { Ok((said.try_clone()?, said.try_clone()?)) };
        let (out, err) = copies().map_err(failed("duplicate a descriptor"))?;
        let hierarchy = match &directory {
            Some(_) => hierarchy(self.system)?,
            None => None,
        };
        // Not that of a checkpoint, which has a link of that name: this container may be written down again.
        let yard = folder.join("criu.restore-yard");
        let place = yard.join("unified");
        make_folder(&yard)?;
        make_folder(&place)?;
        let mut command = criu.command();
        let numbered: Vec<(i32, String)> = inherited
            .iter()
            .map(|(descriptor, what)| (descriptor.as_raw_fd(), what.clone()))
            .collect();
        let (name, value) = questions.variable();
        command
            .args(arguments::restore(
                self.options,
                &Restored {
                    work: &work,
                    root: &top,
                    yard: hierarchy.as_ref().map(|_| yard.as_path()),
                    cgroups: &self.cgroups(),
                    externals: &self.externals,
                    inherited: &numbered,
                    script: &questions.script(),
                },
            ))
            .env(name, value)
            .stdout(out)
            .stderr(err);
        let root = self.system.spec.oci.root().as_ref();
        let mounts = private::Mounts {
            root: (self.root, &top),
            is_read_only: root.and_then(|root| root.readonly()).unwrap_or(false),
            hierarchy: hierarchy
                .as_deref()
                .map(|hierarchy| (hierarchy, place.as_path())),
            devpts: console
                .as_ref()
                .map(|console| (&console.devpts, terminals.as_path())),
        };
        // What criu starts has it from criu: criu 3.17 does not write down who has it.
        let process = self.system.spec.oci.process().as_ref();
        let no_new_privileges = process.and_then(|process| process.no_new_privileges());
        let bounds = private::Bounds {
            no_new_privileges: no_new_privileges.unwrap_or(false),
            // Where criu puts nothing into cgroups, what it starts is where it is itself.
            cgroups: match self.options.common.manage_cgroups {
                ManageCgroups::Ignore => entrances(cgroup)?,
                _ => Vec::new(),
            },
            own_cgroup_namespace: Namespaces::of(&self.system.spec.oci)
                .map_err(Error::from)?
                .makes(CGROUP_NAMESPACE),
        };
        let child = private::spawn(&mounts, bounds, &mut command)
            .map_err(|error| unsupported(self.what, &criu.cannot_be_started(&error)))?;
        drop(command);
        drop(inherited);
        // What is still held here would keep pipes open that the process must be the last to close.
        drop(prepared.process);
        // The controlling side alone: as long as another is open here, its end would never be seen.
        let controller = console.map(|console| console.controller);
        let outcome = self.attend(child, &mut questions);
        match outcome {
            Ok(true) => {}
            Ok(false) => return Err(criu::failure(self.what, &log, &hooks::written(&said))),
            Err(error) => return Err(error),
        }
        let Some((pid, pidfd, released)) = self.process.take() else {
            return Err(unsupported(
                self.what,
                "criu has not said what it has restored",
            ));
        };
        if let (Some(controller), Some(size)) = (&controller, size) {
            console::resize(controller, size).map_err(failed("set the size of the console"))?;
        }
        prepared.caller.console = controller.map(fs::File::from);
        let started = Started {
            pid,
            pidfd,
            streams: prepared.caller,
        };
        Ok((started, released))
    }

    /// Answers criu until it has ended; whether it did what it should.
    fn attend(&mut self, mut child: Child, questions: &mut Questions) -> Result<bool> {
        let mut refusal = None;
        let mut is_compared = false;
        let mut attended = || -> io::Result<bool> {
            let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
            while let Some((moment, pid)) = questions.next(&pidfd)? {
                // After a no criu ends what it has made; it may ask on the way.
                let outcome = match refusal {
                    None => self.act(moment, pid),
                    Some(_) => Ok(()),
                };
                questions.answer(refusal.is_none() && outcome.is_ok())?;
                if let Err(error) = outcome {
                    refusal = Some(error);
                    if moment == Moment::BeforeResume {
                        // By now criu does not listen, and would wait for good for processes that it holds and that somebody
                        // else has killed. The end of the first one is that of all in its namespace.
                        self.end();
                        child.kill()?;
                    }
                }
                is_compared |= moment == Moment::BeforeResume && refusal.is_none();
            }
            Ok(child.wait()?.success())
        };
        let attended = attended().map_err(|error| system("attend to criu", error));
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        match (attended?, is_compared) {
            (true, true) => Ok(true),
            (false, _) => Ok(false),
            (true, false) => Err(unsupported(
                self.what,
                "this criu lets processes go on without asking before",
            )),
        }
    }

    fn act(&mut self, moment: Moment, pid: u32) -> Result<()> {
        let linux = self.system;
        match moment {
            Moment::Namespaces => {
                let creating = linux.oci_state("creating", Some(pid))?;
                hook_plan::runtime_hooks(&linux.spec.oci)
                    .try_for_each(|(kind, hook)| hooks::run(kind, hook, &creating))
            }
            Moment::Restored => self.note(pid),
            Moment::BeforeResume => restored::verify(
                self.plan,
                &linux.spec.oci,
                &self.externals,
                self.options.lsm_profile.is_some(),
                pid,
            ),
            Moment::Other => Ok(()),
        }
    }

    /// Writes the process down, so that whatever happens from now on it is found.
    fn note(&mut self, pid: u32) -> Result<()> {
        let failed = |error| system(format!("look at process {pid}"), error);
        let pidfd = proc_pid::open(pid).map_err(failed)?;
        // The number comes from criu: only a child of this program is what it has made for it.
        let parent = proc_pid::stat(pid).map_err(failed)?.map(|stat| stat.parent);
        let (Some(pidfd), true) = (pidfd, parent == Some(std::process::id())) else {
            return Err(Error::new(
                ErrorKind::System,
                Phase::Start,
                format!("{}: process {pid} is not what criu has made", self.what),
            ));
        };
        let record = self.system.record()?;
        let made = record.created.cgroup.map(|cgroup| Cgroup::open(&cgroup));
        let made = made.transpose().map_err(crate::system::operate)?;
        let released = released(pid, made.as_ref().map(Cgroup::record), false)?;
        self.system.folder.draft_released(&released)?.publish()?;
        self.process = Some((pid, pidfd, released));
        Ok(())
    }

    fn end(&self) {
        if let Some((_, pidfd, _)) = &self.process {
            // It may have ended by itself.
            let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        }
    }

    /// Descriptors that criu gets, and what of the image they are.
    fn inherited(&self, own: &[OwnedFd; 3], has_console: bool) -> Result<Vec<(OwnedFd, String)>> {
        let copy = |descriptor: &OwnedFd| -> io::Result<OwnedFd> {
            let copy = fcntl_dupfd_cloexec(descriptor, LOWEST)?;
            fcntl_setfd(&copy, FdFlags::empty())?;
            Ok(copy)
        };
        let failed = |error| system("hand a descriptor to criu", error);
        let mut inherited = Vec::new();
        let null = || -> Result<OwnedFd> {
            let null = fs::File::options().read(true).write(true).open("/dev/null");
            null.map(OwnedFd::from)
                .map_err(|error| system("open /dev/null", error))
        };
        let replaced = streams::read(&self.options.common.image_path)?;
        let had_console = replaced.iter().any(|one| streams::is_console(&one.name));
        if had_console != has_console {
            let had = if had_console { "a" } else { "no" };
            return Err(Error::new(
                ErrorKind::InvalidSpec,
                Phase::Start,
                format!(
                    "{}: process.terminal is {has_console}, and the process of the checkpoint had {had} console",
                    self.what
                ),
            ));
        }
        for replaced in replaced {
            let stream = match replaced.stream {
                None => Some(null()?),
                Some(number) => own
                    .get(number)
                    .map(OwnedFd::try_clone)
                    .transpose()
                    .map_err(failed)?,
            };
            let stream = stream.as_ref().map(copy).transpose().map_err(failed)?;
            inherited.extend(stream.map(|stream| (stream, replaced.name)));
        }
        if let Some(path) = network_path(&self.system.spec.oci)? {
            let namespace =
                fs::File::open(&path).map_err(|error| system(format!("open {path}"), error))?;
            let namespace = copy(&namespace.into()).map_err(failed)?;
            inherited.push((namespace, arguments::NETWORK.to_owned()));
        }
        Ok(inherited)
    }

    /// The cgroup as criu names it.
    fn cgroups(&self) -> Vec<(String, String)> {
        let Some(planned) = &self.plan.cgroup else {
            return Vec::new();
        };
        let path = format!("/{}", planned.name);
        let hierarchies = match self.system.shared.features() {
            Ok(features) => features.own_cgroups().hierarchies.as_slice(),
            Err(_) => &[],
        };
        hierarchies
            .iter()
            .filter(|hierarchy| planned.part_of(hierarchy).is_some())
            .map(|hierarchy| {
                let controllers = match hierarchy.version {
                    crate::cgroup::Version::V2 => String::new(),
                    crate::cgroup::Version::V1 => hierarchy.controllers.join(","),
                };
                (controllers, path.clone())
            })
            .collect()
    }
}

//! What is written down of a container, so that any process can find, enter, stop and remove it.
//!
//! One folder per container, with files that are written once, each as a whole, and never changed: `config.json`, the spec
//! it was made from; `state.json`, which makes the container known; `process.json`, when its process is let go;
//! `exit.json`, when that has ended. When the container is to be started once more, these two go away and `last-run.json`
//! takes their place, for those who still wait for that run; where that start fails they come back. `config.json` is written
//! anew when limits are changed, `mounts.json` when mounts are added or removed. A resource is written down before it is made. A file that is torn, foreign or of a newer version is an error and
//! stays as it is. Below `execs` the same files tell of the container's execs.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hoist_compute::{Error, ErrorKind, ExecSpec, ExitStatus, OsCode, Phase, Result, Timestamp};
pub(crate) use hoist_init::owner::proc_pid::ProcessIdentity;
use hoist_spec::{ContainerId, ContainerSpec};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::added_mounts::AddedMounts;
use crate::cgroup::CgroupRecord;
use crate::intel_rdt::RdtRecord;
use crate::plan::IdMaps;
use crate::whole_file;

const VERSION: u32 = 1;
const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
const PROCESS: &str = "process.json";
const EXIT: &str = "exit.json";
const MOUNTS: &str = "mounts.json";
const LAST_RUN: &str = "last-run.json";
const EXECS: &str = "execs";

/// `state.json`: what is known when the container is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Created {
    version: u32,
    pub(crate) id: ContainerId,
    /// The run of the machine in which it was made: ids of processes mean nothing in another.
    pub(crate) boot_id: String,
    pub(crate) created_at: Timestamp,
    /// The kinds of namespaces that it does not share with the host (`CLONE_NEW*`).
    pub(crate) namespaces: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_maps: Option<IdMaps>,
    /// The cgroup that will be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup: Option<CgroupRecord>,
    /// The bundle that it was made from, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bundle: Option<PathBuf>,
    /// The scope of systemd that its cgroup belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<String>,
    /// The name of the session keyrings that its processes get, where they do not stay in their starter's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keyring: Option<String>,
    /// Its group of resctrl, which will be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rdt: Option<RdtRecord>,
}

impl Created {
    pub(crate) fn new(id: &ContainerId, boot_id: String) -> Self {
        Self {
            version: VERSION,
            id: id.clone(),
            boot_id,
            created_at: Timestamp::now(),
            namespaces: 0,
            id_maps: None,
            cgroup: None,
            bundle: None,
            unit: None,
            keyring: None,
            rdt: None,
        }
    }
}

/// `process.json`: what is known when the container's process is let go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Released {
    pub(crate) started_at: Timestamp,
    /// The container's first process.
    pub(crate) process: ProcessIdentity,
    /// The process that reaps it.
    pub(crate) owner: ProcessIdentity,
    /// The cgroup that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup: Option<CgroupRecord>,
    /// It was not let go into its program, but to wait for whoever starts that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) awaits_start: bool,
    /// Who shows its layers, where the kernel does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) servers: Vec<ProcessIdentity>,
}

/// `last-run.json`: how the run before the present one ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastRun {
    released: Released,
    exit: ExitStatus,
}

/// All that is written down of a container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) created: Created,
    pub(crate) released: Option<Released>,
    pub(crate) exit: Option<ExitStatus>,
}

impl Record {
    /// Of a container that was not started.
    pub(crate) fn of(created: Created) -> Self {
        Self {
            created,
            released: None,
            exit: None,
        }
    }

    /// The container's cgroup, as far as it is known.
    pub(crate) fn cgroup(&self) -> Option<&CgroupRecord> {
        let made = self
            .released
            .as_ref()
            .and_then(|released| released.cgroup.as_ref());
        made.or(self.created.cgroup.as_ref())
    }

    /// The container's first process, once it was let go.
    pub(crate) fn process(&self) -> Option<ProcessIdentity> {
        self.released.as_ref().map(|released| released.process)
    }
}

/// What is left of a record that is damaged.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) spec: Option<ContainerSpec>,
    pub(crate) created: Option<Created>,
    pub(crate) released: Option<Released>,
    /// When it was written down that the process is let go, readable or not.
    pub(crate) let_go_at: Option<SystemTime>,
    /// It was written down that the process has ended, readable or not.
    pub(crate) has_ended: bool,
}

/// A file with a spec, which is written once: another one, by whatever name, is another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpecVersion {
    file: (u64, u64),
    changed: (i64, i64),
}

/// The folder of one container.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The place of `id` below `containers`, whether or not there is anything.
    pub(crate) fn of(containers: &Path, id: &ContainerId) -> Self {
        Self(containers.join(id.as_str()))
    }

    /// Makes the folder; `AlreadyExists` where there is one. Whoever holds the result is still writing the record: one
    /// that is not finished and held by nobody was left by a crash, and is removed when somebody comes by it.
    pub(crate) fn make(&self, what: &str, id: &ContainerId) -> Result<Making> {
        loop {
            match DirBuilder::new().mode(0o700).create(&self.0) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if self.remove_unfinished()? {
                        continue;
                    }
                    return Err(Error::new(
                        ErrorKind::AlreadyExists,
                        Phase::Create,
                        format!("create {what} {id}: the id is in use"),
                    )
                    .about(id.as_str())
                    .remedy(format!("choose another, or remove that {what}")));
                }
                Err(error) => return Err(failed(Phase::Create, "make", &self.0, error)),
            }
            // In between, somebody may have taken it for what a crash left, made another, and finished that.
            match self.lock()? {
                Some(lock) if !self.is_finished() => return Ok(Making { lock }),
                _ => {}
            }
        }
    }

    /// Removes what a crash has left of the making of a container; whether it did.
    fn remove_unfinished(&self) -> Result<bool> {
        if self.is_finished() {
            return Ok(false);
        }
        let Ok(folder) = File::open(&self.0) else {
            return Ok(false);
        };
        // Its maker holds the lock until the record is finished.
        let is_held = flock(&folder, FlockOperation::NonBlockingLockExclusive).is_err();
        if is_held || !self.is(&folder) || self.is_finished() {
            return Ok(false);
        }
        self.remove()?;
        Ok(true)
    }

    fn is_finished(&self) -> bool {
        self.0.join(STATE).exists()
    }

    /// `NotFound` unless the record is finished: before that, its files may be there in part.
    fn expect_finished(&self) -> Result<()> {
        if self.is_finished() {
            return Ok(());
        }
        // Mostly a name that is looked for as an id.
        if self.exists() {
            self.remove_unfinished()?;
            if self.is_finished() {
                return Ok(());
            }
        }
        let missing = io::ErrorKind::NotFound.into();
        Err(failed(Phase::Operate, "read", &self.0.join(STATE), missing))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// Writes what makes the container known; the spec first, so that a container that is known has one.
    pub(crate) fn write_created(
        &self,
        spec: serde_json::Result<String>,
        created: &Created,
    ) -> Result<()> {
        // Nobody reads it before the other is there (`expect_finished`): it needs no name of its own until then.
        let path = self.0.join(CONFIG);
        write_file(&path, &path, spec)?;
        self.write(STATE, created)?.publish()
    }

    /// Writes down what will be known when the process is let go: [`Draft::publish`] makes it so.
    pub(crate) fn draft_released(&self, released: &Released) -> Result<Draft> {
        self.write(PROCESS, released)
    }

    /// Takes back that the process was let go.
    pub(crate) fn forget_released(&self) {
        // Where there is nothing to take back, or no folder any more, it is done.
        let _ = fs::remove_file(self.0.join(PROCESS));
    }

    /// Makes the container one that was not started: what is known of its run is kept for those who still wait for it.
    pub(crate) fn begin_again(&self, released: &Released, exit: ExitStatus) -> Result<()> {
        let released = released.clone();
        self.write(LAST_RUN, &LastRun { released, exit })?
            .publish()?;
        // In this order, no reader ever sees a process without its exit.
        for name in [PROCESS, EXIT] {
            let path = self.0.join(name);
            fs::remove_file(&path)
                .map_err(|error| failed(Phase::Operate, "remove", &path, error))?;
        }
        Ok(())
    }

    /// Takes that back where there was such a run and no process was let go since: the container is one that has ended again, as it did.
    pub(crate) fn take_back_beginning(&self) -> Result<()> {
        let last: Option<LastRun> = optional(self.read(LAST_RUN))?;
        let is_let_go = self.0.join(PROCESS).exists();
        if let (Some(LastRun { released, exit }), false) = (last, is_let_go) {
            // The exit first, as in `begin_again`.
            self.write(EXIT, &exit)?.publish()?;
            self.write(PROCESS, &released)?.publish()?;
        }
        Ok(())
    }

    /// Whether it was ever made one that was not started, after a run: the present one is not its first.
    pub(crate) fn was_started_again(&self) -> bool {
        self.0.join(LAST_RUN).exists()
    }

    /// How the run with this process ended, where it was the last but one.
    pub(crate) fn exit_of_last_run(&self, process: ProcessIdentity) -> Result<Option<ExitStatus>> {
        let last: Option<LastRun> = optional(self.read(LAST_RUN))?;
        Ok(last
            .filter(|last| last.released.process == process)
            .map(|last| last.exit))
    }

    /// Writes the exit status down, once: the result is what was written first, by whomever.
    pub(crate) fn write_exit(&self, exit: &ExitStatus) -> Result<ExitStatus> {
        if self.write(EXIT, exit)?.publish_first()? {
            return Ok(exit.clone());
        }
        self.read(EXIT)
    }

    /// Writes down the mounts that the container was given since its start.
    pub(crate) fn write_added_mounts(&self, added: &AddedMounts) -> Result<()> {
        self.write(MOUNTS, added)?.publish()
    }

    /// The mounts that a run of the container was given; none where none ever was.
    pub(crate) fn read_added_mounts(&self) -> Result<Option<AddedMounts>> {
        optional(self.read(MOUNTS))
    }

    /// Which file the spec is in; `NotFound` where there is no container.
    pub(crate) fn spec_version(&self) -> Result<SpecVersion> {
        use std::os::unix::fs::MetadataExt;
        self.expect_finished()?;
        let path = self.0.join(CONFIG);
        let look = || fs::metadata(&path);
        let found = match look() {
            // It is written first and removed with its folder alone; another one may have come to be in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_finished() => {
                look().map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound if self.is_finished() => {
                        let operation = format!("read {}", path.display());
                        Error::new(ErrorKind::Damaged, Phase::Operate, operation)
                            .because("it is missing")
                            .remedy(self.what_to_do_when_damaged())
                    }
                    _ => failed(Phase::Operate, "read", &path, error),
                })?
            }
            found => found.map_err(|error| failed(Phase::Operate, "read", &path, error))?,
        };
        Ok(SpecVersion {
            file: (found.dev(), found.ino()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// The spec; `NotFound` where there is no container.
    pub(crate) fn read_spec(&self) -> Result<ContainerSpec> {
        self.read_as(CONFIG, ContainerSpec::from_json)
    }

    /// What an exec was made from; `NotFound` where there is none.
    pub(crate) fn read_exec_spec(&self) -> Result<ExecSpec> {
        self.expect_finished()?;
        self.read(CONFIG)
    }

    /// Where the container's execs are recorded, each in a folder of its own as the container is.
    pub(crate) fn execs(&self) -> PathBuf {
        self.0.join(EXECS)
    }

    /// The record; `NotFound` where there is no container.
    pub(crate) fn read_record(&self) -> Result<Record> {
        // The last first: what it tells of makes the others be there.
        let exit = optional(self.read(EXIT))?;
        let released = optional(self.read(PROCESS))?;
        let created: Created = self.read(STATE)?;
        if created.version == VERSION {
            return Ok(Record {
                created,
                released,
                exit,
            });
        }
        let path = self.0.join(STATE);
        Err(Error::new(
            ErrorKind::Unsupported,
            Phase::Operate,
            format!("read {}", path.display()),
        )
        .because(format!(
            "it has version {}, this Hoist reads version {VERSION}",
            created.version
        ))
        .remedy("use the Hoist that made it"))
    }

    /// Writes another spec down: [`Draft::publish`] makes it the container's.
    pub(crate) fn draft_spec(&self, spec: serde_json::Result<String>) -> Result<Draft> {
        self.write_text(CONFIG, spec)
    }

    fn write(&self, name: &'static str, content: &impl Serialize) -> Result<Draft> {
        self.write_text(name, serde_json::to_string(content))
    }

    fn write_text(&self, name: &'static str, text: serde_json::Result<String>) -> Result<Draft> {
        // Beside the file, so that the rename is within one file system; by thread, so that two writers never share one.
        let draft = Draft {
            path: self.0.join(name),
            draft: self
                .0
                .join(format!(".{name}.{:?}", std::thread::current().id())),
        };
        write_file(&draft.draft, &draft.path, text)?;
        Ok(draft)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.read_as(name, |text| serde_json::from_str(text))
    }

    fn read_as<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> serde_json::Result<T>,
    ) -> Result<T> {
        let path = self.0.join(name);
        let damaged = || {
            Error::new(
                ErrorKind::Damaged,
                Phase::Operate,
                format!("read {}", path.display()),
            )
            .remedy(self.what_to_do_when_damaged())
        };
        let text = match whole_file::read_text(&path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(damaged().because("it is no text"));
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                return Err(damaged().because("it is a directory"));
            }
            text => text.map_err(|error| failed(Phase::Operate, "read", &path, error))?,
        };
        parse(&text).map_err(|error| damaged().because(error))
    }

    fn what_to_do_when_damaged(&self) -> String {
        let parent = self.0.parent().filter(|parent| parent.ends_with(EXECS));
        let container = parent.and_then(Path::parent).unwrap_or(&self.0);
        let id = container.file_name().unwrap_or_default().to_string_lossy();
        format!(
            "the file is damaged or not Hoist's: look at it, or remove what is left of its container: hoist rm --force {id}"
        )
    }

    /// What can still be read of a record that is damaged.
    pub(crate) fn read_remains(&self) -> Remains {
        let is_there = |name: &str| self.0.join(name).exists();
        let created = self.read(STATE).ok();
        Remains {
            spec: self.read_spec().ok(),
            created: created.filter(|created: &Created| created.version == VERSION),
            released: self.read(PROCESS).ok(),
            let_go_at: fs::metadata(self.0.join(PROCESS))
                .and_then(|found| found.modified())
                .ok(),
            has_ended: is_there(EXIT),
        }
    }

    /// Keeps other processes from starting or removing the container at the same time, while the result lives. None where
    /// the container is gone. The folder itself is what is locked: no file has to be made for it.
    pub(crate) fn lock(&self) -> Result<Option<File>> {
        loop {
            let folder = match File::open(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened.map_err(|error| failed(Phase::Operate, "open", &self.0, error))?,
            };
            self.lock_open(&folder)?;
            if self.is(&folder) {
                return Ok(Some(folder));
            }
        }
    }

    /// As [`Folder::lock`], of this very folder; none also where another one bears its name.
    pub(crate) fn lock_held(&self, held: Held) -> Result<Option<File>> {
        let Held(folder) = held;
        self.lock_open(&folder)?;
        Ok(self.is(&folder).then_some(folder))
    }

    fn lock_open(&self, folder: &File) -> Result<()> {
        rustix::io::retry_on_intr(|| flock(folder, FlockOperation::LockExclusive))
            .map_err(|errno| failed(Phase::Operate, "lock", &self.0, errno.into()))
    }

    /// Whether the open `folder` is the one that bears the name: whoever held its lock before may have removed it, and
    /// somebody else made another.
    fn is(&self, folder: &File) -> bool {
        use std::os::unix::fs::MetadataExt;
        let place = |found: fs::Metadata| (found.dev(), found.ino());
        let named = fs::metadata(&self.0).map(place);
        named.is_ok_and(|named| folder.metadata().is_ok_and(|found| place(found) == named))
    }

    /// Removes the folder. One that is gone is success.
    ///
    /// It is renamed first: a process that writes its record at this moment finds the container gone, and does not keep
    /// the folder from being emptied.
    pub(crate) fn remove(&self) -> Result<()> {
        let id = self.0.file_name().unwrap_or_default().to_string_lossy();
        let grave = self.0.with_file_name(format!("{GRAVE}{id}"));
        match fs::rename(&self.0, &grave) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(|error| failed(Phase::Delete, "remove", &self.0, error))?,
        }
        remove_grave(&grave)
    }
}

/// A record that is being written.
#[derive(Debug)]
#[must_use = "without it the folder counts as left by a crash"]
pub(crate) struct Making {
    lock: File,
}

impl Making {
    /// The record is finished: others may have the lock.
    pub(crate) fn finish(self) -> Option<Held> {
        flock(&self.lock, FlockOperation::Unlock).ok()?;
        Some(Held(self.lock))
    }
}

/// The folder of a container that this program has made, held open: another one that bears its name later is not it.
#[derive(Debug)]
pub(crate) struct Held(File);

/// A file that is written and does not bear its name yet.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    draft: PathBuf,
}

impl Draft {
    /// Gives the file its name: from now on others read it.
    pub(crate) fn publish(mut self) -> Result<()> {
        fs::rename(&self.draft, &self.path)
            .map_err(|error| failed(Phase::Operate, "write", &self.path, error))?;
        self.draft = PathBuf::new();
        Ok(())
    }
}

impl Draft {
    /// As [`Draft::publish`], unless there is such a file already; false then.
    fn publish_first(mut self) -> Result<bool> {
        let (draft, path) = (&self.draft, &self.path);
        let named = match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => {
                self.draft = PathBuf::new();
                return Ok(true);
            }
            // A file system that cannot (rename(2)) has links.
            Err(Errno::INVAL) => fs::hard_link(draft, path),
            Err(errno) => Err(errno.into()),
        };
        match named {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed(Phase::Operate, "write", path, error)),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.draft.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.draft);
        }
    }
}

/// Writes a file that will be known as `path`.
fn write_file(file: &Path, path: &Path, text: serde_json::Result<String>) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut text = text?;
        text.push('\n');
        File::create(file)?.write_all(text.as_bytes())
    };
    write().map_err(|error| failed(Phase::Operate, "write", path, error))
}

fn optional<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// What begins the name of a folder that is being removed; no container id begins so.
const GRAVE: &str = ".removed-";

/// Removes what a removal that was cut short has left below `containers`.
pub(crate) fn remove_graves(containers: &Path) -> io::Result<()> {
    for entry in fs::read_dir(containers)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(GRAVE) {
            // Somebody else may be about it.
            let _ = remove_grave(&entry.path());
        }
    }
    Ok(())
}

fn remove_grave(grave: &Path) -> Result<()> {
    const TRIES: u32 = 100;
    // What a record usually holds goes without looking what there is.
    for name in [STATE, CONFIG, PROCESS, EXIT] {
        let _ = fs::remove_file(grave.join(name));
    }
    if fs::remove_dir(grave).is_ok() {
        return Ok(());
    }
    for _ in 0..TRIES {
        match fs::remove_dir_all(grave) {
            // A file was made by a name that was looked up before the renaming.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(Phase::Delete, "remove", grave, error));
            }
            _ => return Ok(()),
        }
    }
    Err(failed(
        Phase::Delete,
        "remove",
        grave,
        io::ErrorKind::DirectoryNotEmpty.into(),
    ))
}

fn failed(phase: Phase, what: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::System,
    };
    let made = Error::new(kind, phase, format!("{what} {}", path.display()));
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_whose_making_a_crash_cut_short_is_no_container_and_its_id_is_free() {
        let containers = tempfile::tempdir().unwrap();
        let id: ContainerId = "web01".parse().unwrap();
        let folder = Folder::of(containers.path(), &id);
        for left in [&[][..], &[".config.json.ThreadId(1)"], &[CONFIG]] {
            drop(folder.make("container", &id).unwrap());
            for name in left {
                fs::write(folder.0.join(name), "{").unwrap();
            }
            let error = folder.spec_version().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{left:?}");
            assert!(!folder.exists(), "{left:?}");
        }
        drop(folder.make("container", &id).unwrap());
        let again = folder.make("container", &id).unwrap();
        assert_eq!(fs::read_dir(containers.path()).unwrap().count(), 1);
        drop(again);
    }

    #[test]
    fn what_is_written_of_a_record_that_is_being_made_is_not_read() {
        let containers = tempfile::tempdir().unwrap();
        let id: ContainerId = "web01".parse().unwrap();
        let folder = Folder::of(containers.path(), &id);
        let making = folder.make("container", &id).unwrap();
        // It was created, and nothing of it written yet.
        fs::write(folder.0.join(CONFIG), "").unwrap();
        let read = [
            folder.spec_version().map(drop),
            folder.read_exec_spec().map(drop),
        ];
        for read in read {
            assert_eq!(read.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert!(folder.exists());
        drop(making);
    }

    #[test]
    fn a_record_that_is_being_made_or_was_finished_is_left_alone() {
        let containers = tempfile::tempdir().unwrap();
        let id: ContainerId = "web01".parse().unwrap();
        let folder = Folder::of(containers.path(), &id);
        let in_use =
            || folder.make("container", &id).unwrap_err().kind() == ErrorKind::AlreadyExists;
        let making = folder.make("container", &id).unwrap();
        assert!(in_use());
        fs::write(folder.0.join(STATE), "torn").unwrap();
        drop(making);
        assert!(in_use());
        assert!(folder.0.join(STATE).exists());
    }
}

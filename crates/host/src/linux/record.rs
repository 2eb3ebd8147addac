//! What is written down of a container, so that any process can find, enter, stop and remove it.
//!
//! A folder per container, made under another name and renamed: `config.json`, then a folder per run (`runs/0`, …), per exec
//! (`execs/ID`) and per further process (`further/N`). In each of these stand `process.json`, written before the program is executed;
//! `end`, written by the keeper; `lost.json` where a keeper could not; and `paused.json`. Each is written as a whole.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, Timestamp};
use hoist_init::owner::proc_pid::ProcessIdentity;
use hoist_spec::ContainerSpec;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(crate) const VERSION: u32 = 1;
/// The folder of all containers.
pub(crate) const ALL: &str = "unisolated";
const CONFIG: &str = "config.json";
/// What begins the names of folders that are no container: no id begins so.
const MAKING: &str = ".making-";
const REMOVED: &str = ".removed-";

/// `config.json` of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    version: u32,
    pub(crate) created_at: Timestamp,
    pub(crate) spec: ContainerSpec,
}

/// `process.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Released {
    pub(crate) version: u32,
    /// The run of the machine: ids of processes mean nothing in another.
    pub(crate) boot_id: String,
    pub(crate) started_at: Timestamp,
    pub(crate) process: ProcessIdentity,
    pub(crate) keeper: ProcessIdentity,
}

/// A container's folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

/// A name that no other thread or process uses.
fn unique(prefix: &str, id: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{id}.{}.{number}", std::process::id())
}

impl Folder {
    /// The place of `id` below `containers`, whether or not there is anything.
    pub(crate) fn of(containers: &Path, id: &str) -> Self {
        Self(containers.join(id))
    }

    /// Makes the folder with all that makes it a container; false where the id is in use.
    pub(crate) fn make(&self, spec: &ContainerSpec) -> Result<bool> {
        let config = Config {
            version: VERSION,
            created_at: Timestamp::now(),
            spec: spec.clone(),
        };
        self.make_with(&config, &["runs", "runs/0", "execs", "further"])
    }

    /// Makes the folder with its configuration and these folders; false where there is one already.
    pub(crate) fn make_with(&self, config: &impl Serialize, folders: &[&str]) -> Result<bool> {
        let id = self.0.file_name().unwrap_or_default().to_string_lossy();
        let draft = Self(self.0.with_file_name(unique(MAKING, &id)));
        let made = (|| {
            make_directory(&draft.0)?;
            // Whoever cleans up leaves alone what is locked.
            let lock = File::open(&draft.0).map_err(|error| failed("open", &draft.0, error))?;
            flock(&lock, FlockOperation::LockExclusive)
                .map_err(|errno| failed("lock", &draft.0, errno.into()))?;
            for folder in folders {
                make_directory(&draft.0.join(folder))?;
            }
            write(&draft.0, CONFIG, config)?;
            match renameat_with(CWD, &draft.0, CWD, &self.0, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(true),
                Err(rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY) => Ok(false),
                Err(errno) => Err(failed("make", &self.0, errno.into())),
            }
        })();
        if !matches!(made, Ok(true)) {
            // Why it was not made is told; what stays is cleaned up by whoever lists containers.
            let _ = fs::remove_dir_all(&draft.0);
        }
        made
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    pub(crate) fn config<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.0, CONFIG)
    }

    /// Keeps others from starting, pausing, resetting or removing it meanwhile; none where it is gone.
    pub(crate) fn lock(&self) -> Result<Option<File>> {
        loop {
            let folder = match File::open(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened.map_err(|error| failed("open", &self.0, error))?,
            };
            rustix::io::retry_on_intr(|| flock(&folder, FlockOperation::LockExclusive))
                .map_err(|errno| failed("lock", &self.0, errno.into()))?;
            let place = |found: fs::Metadata| (found.dev(), found.ino());
            let named = fs::metadata(&self.0).map(place);
            // Whoever held the lock before may have removed it, and somebody made another.
            if named.is_ok_and(|named| folder.metadata().is_ok_and(|found| place(found) == named)) {
                return Ok(Some(folder));
            }
        }
    }

    /// Removes it; one that is gone is success. It is renamed first, so that its id is free at once.
    pub(crate) fn remove(&self) -> Result<()> {
        let id = self.0.file_name().unwrap_or_default().to_string_lossy();
        let grave = self.0.with_file_name(unique(REMOVED, &id));
        let removed = fs::rename(&self.0, &grave).and_then(|()| fs::remove_dir_all(&grave));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &self.0, error))
            }
            _ => Ok(()),
        }
    }

    /// The number of the present run.
    pub(crate) fn run(&self) -> Result<u64> {
        let runs = self.0.join("runs");
        let read = |error| failed("read", &runs, error);
        let mut last = 0;
        for entry in fs::read_dir(&runs).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(last)
    }

    /// The folder of a run.
    pub(crate) fn run_folder(&self, number: u64) -> PathBuf {
        self.0.join("runs").join(number.to_string())
    }

    /// Begins to count anew; only the run that has ended is kept beside the new one.
    pub(crate) fn next_run(&self, ended: u64) -> Result<()> {
        make_directory(&self.run_folder(ended + 1))?;
        if let Some(older) = ended.checked_sub(1) {
            // What stays is never read again, and goes with the container.
            let _ = fs::remove_dir_all(self.run_folder(older));
        }
        for folder in self.further()? {
            let _ = fs::remove_dir_all(folder);
        }
        Ok(())
    }

    /// Takes back what [`next_run`](Self::next_run) has begun, where the run before is known: it is the present one again.
    pub(crate) fn take_back_run(&self, number: u64) {
        if number
            .checked_sub(1)
            .is_some_and(|before| self.run_folder(before).is_dir())
        {
            // What stays is a run that was created, and the next start is of that.
            let _ = fs::remove_dir_all(self.run_folder(number));
        }
    }

    /// A new folder for a further process without an id.
    pub(crate) fn new_further(&self) -> Result<PathBuf> {
        let folder = self.0.join("further").join(unique("", ""));
        make_directory(&folder)?;
        Ok(folder)
    }

    /// The folders of further processes without ids.
    pub(crate) fn further(&self) -> Result<Vec<PathBuf>> {
        entries(&self.0.join("further"))
    }

    /// Where execs are.
    pub(crate) fn execs(&self) -> PathBuf {
        self.0.join("execs")
    }
}

/// The folders of execs or further processes; none where the container is gone.
pub(crate) fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let read = |error| failed("read", path, error);
    let listed = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(read)?,
    };
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry.map_err(read)?;
        if !entry.file_name().to_string_lossy().starts_with('.') || path.ends_with("further") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes what makings and removals that were cut short have left.
pub(crate) fn clean_up(containers: &Path) -> io::Result<()> {
    for entry in fs::read_dir(containers)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_abandoned = || {
            File::open(entry.path())
                .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
        };
        if name.starts_with(REMOVED) || (name.starts_with(MAKING) && is_abandoned()) {
            // Somebody else may be about it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

pub(crate) fn make_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| failed("make", path, error))
}

/// Writes a file as a whole.
pub(crate) fn write(folder: &Path, name: &str, content: &impl Serialize) -> Result<()> {
    put(folder, name, content, RenameFlags::empty()).map(drop)
}

/// Writes a file as a whole unless it is there already; whether it did.
pub(crate) fn write_first(folder: &Path, name: &str, content: &impl Serialize) -> Result<bool> {
    put(folder, name, content, RenameFlags::NOREPLACE)
}

fn put(folder: &Path, name: &str, content: &impl Serialize, flags: RenameFlags) -> Result<bool> {
    let (path, draft) = (folder.join(name), folder.join(unique(".", name)));
    let written = serde_json::to_string(content)
        .map_err(io::Error::from)
        .and_then(|text| File::create(&draft)?.write_all(text.as_bytes()))
        .and_then(|()| match renameat_with(CWD, &draft, CWD, &path, flags) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(errno) => Err(errno.into()),
        });
    if !matches!(written, Ok(true)) {
        let _ = fs::remove_file(&draft);
    }
    written.map_err(|error| failed("write", &path, error))
}

/// Reads a file; `NotFound` where there is none.
pub(crate) fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    /// The only part of a file that every version of it has.
    #[derive(Deserialize)]
    struct AnyVersion {
        version: u32,
    }
    let path = folder.join(name);
    let text = match hoist_init::owner::whole_file::read_text(&path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged(&path).because("it is no text"));
        }
        text => text.map_err(|error| failed("read", &path, error))?,
    };
    if serde_json::from_str::<AnyVersion>(&text).is_ok_and(|found| found.version > VERSION) {
        let operation = format!("read {}", path.display());
        return Err(
            Error::new(ErrorKind::Unsupported, Phase::Operate, operation)
                .remedy("a newer hoist has written it: use that one"),
        );
    }
    serde_json::from_str(&text).map_err(|error| damaged(&path).because(error))
}

/// The error for a file of a record that is not what it should be.
pub(crate) fn damaged(path: &Path) -> Error {
    let operation = format!("read {}", path.display());
    let parts: Vec<_> = path.iter().collect();
    let place = parts.iter().rposition(|part| *part == ALL);
    let id = place.and_then(|place| parts.get(place + 1));
    let id = id.map_or_else(|| "ID".into(), |id| id.to_string_lossy());
    Error::new(ErrorKind::Damaged, Phase::Operate, operation).remedy(format!(
        "the file is damaged or not Hoist's: look at it, or remove what is left of its container: hoist rm --force {id}"
    ))
}

/// What was read, or none where there is no such file.
pub(crate) fn optional<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

pub(crate) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    system(format!("{what} {}", path.display()), error)
}

/// An error of the operating system while doing `operation`.
pub(crate) fn system(operation: impl Into<String>, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::System,
    };
    let made = Error::new(kind, Phase::Operate, operation);
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}

//! What other processes must know of a container, on disk: a folder each, files that are written once, by rename.
//!
//! `config.json` is there when the container is made; a folder without it is what a crash left of one that was not. A run has a number, which
//! a reset raises; `begun-N` is written before the system is started, `process-N.json` when its first process runs, `forced-N` before it
//! is ended by force, `paused-N` while it is paused by its owner, and `exit-N.json` by whoever learns of the end first. `updates-pending-N` is
//! there while updates wait that it has left, `updates-unknown-N` says why nobody knows whether any do. `execs/EXEC/` has the same files of
//! an exec, whose only run is 0.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{Error, ErrorKind, ExitStatus, Phase, Result, Summary, Survey};
use hoist_spec::{ContainerId, ExecId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::system;

/// The form of these files.
pub const VERSION: u32 = 1;

/// For so long a file that another process has open may be in the way of a removal.
const IN_THE_WAY: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunNumber {
    version: u32,
    number: u64,
}

/// The only part of a file that every version of it has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

/// The folder of all containers.
#[derive(Debug)]
pub struct Records {
    root: PathBuf,
}

/// The folder of one container, or of one exec.
#[derive(Clone, Debug)]
pub struct Record {
    id: ContainerId,
    /// Whose exec it is.
    container: Option<ContainerId>,
    folder: PathBuf,
}

/// The lock of a container or exec, held until this is dropped: against creating, starting, resetting and deleting it at the same time.
pub struct Locked {
    _file: fs::File,
}

fn failed(phase: Phase, what: &str, path: &Path, error: io::Error) -> Error {
    system(phase, format!("{what} {}", path.display()), error)
}

impl Records {
    /// The records below `root`, which is made where it is not there yet.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn new(root: PathBuf) -> Result<Self> {
        for folder in [root.join("containers"), root.join("removed")] {
            fs::create_dir_all(&folder)
                .map_err(|error| failed(Phase::Plan, "make the folder", &folder, error))?;
        }
        let records = Self { root };
        records.lock_file()?;
        Ok(records)
    }

    fn lock_file(&self) -> Result<fs::File> {
        let path = self.root.join("lock");
        fs::File::options()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| failed(Phase::Plan, "open", &path, error))
    }

    /// Waits for the lock of a container or exec and takes it.
    ///
    /// # Errors
    /// The file of locks cannot be used.
    pub fn lock(&self, record: &Record) -> Result<Locked> {
        let file = self.lock_file()?;
        // FNV-1a: of two that share a number one waits for the other, and no more.
        let number = record
            .what()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        lock_byte(&file, number >> 2)
            .map_err(|error| failed(Phase::Operate, "lock", &self.root.join("lock"), error))?;
        Ok(Locked { _file: file })
    }

    /// The record of a container, whether or not there is any.
    pub fn of(&self, id: &ContainerId) -> Record {
        Record {
            id: id.clone(),
            container: None,
            folder: self.root.join("containers").join(id.as_str()),
        }
    }

    /// The records of all containers, by id.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all(&self) -> Result<Vec<Record>> {
        let ids = self.ids("")?;
        Ok(ids.iter().map(|id| self.of(id)).collect())
    }

    /// Makes a record, of which there is none that was made; its lock is held.
    ///
    /// # Errors
    /// A file cannot be removed or written; then there is none.
    pub fn make(&self, record: &Record, config: &impl Serialize) -> Result<()> {
        if record.exists() {
            // What a crash has left of one that was not made.
            self.remove(record)?;
        }
        record.begin()?;
        record.write_config(config).inspect_err(|_| {
            // Why it could not be made matters more; the next who makes it removes what is left.
            let _ = self.remove(record);
        })
    }

    /// Makes the record of an exec.
    ///
    /// # Errors
    /// `AlreadyExists` where there is one; else as [`make`](Self::make).
    pub fn make_exec(&self, record: &Record, config: &impl Serialize) -> Result<()> {
        let _locked = self.lock(record)?;
        if record.is_made() {
            let id = record.id();
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                Phase::Create,
                format!("create exec {id}: the id is in use"),
            )
            .about(id.as_str())
            .remedy("choose another, or remove that exec"));
        }
        self.make(record, config)
    }

    /// The ids of all containers that begin so, in order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn ids(&self, beginning: &str) -> Result<Vec<ContainerId>> {
        let mut ids = ids(&self.root.join("containers"))?;
        ids.retain(|id| id.as_str().starts_with(beginning));
        Ok(ids)
    }

    /// What a list tells of all containers that can be read and asked about, the oldest first, and why the others cannot.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn survey<C: DeserializeOwned>(
        &self,
        summary: impl Fn(Record, C) -> Result<Summary>,
    ) -> Result<Survey> {
        let mut survey = Survey::default();
        for record in self.all()? {
            // Others are being made, or what a crash has left of one that was not.
            if record.is_made() {
                let id = record.id.clone();
                let looked = record.config().and_then(|config| summary(record, config));
                survey.note(&id, looked);
            }
        }
        survey.summaries.sort_by_key(|summary| summary.created_at);
        Ok(survey)
    }

    /// Frees the id at once, then removes what is left.
    pub fn remove(&self, record: &Record) -> Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = format!(
            "{}.{}.{}",
            record.id,
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let aside = self.root.join("removed").join(unique);
        let result = patiently(|| fs::rename(&record.folder, &aside))
            .and_then(|()| patiently(|| fs::remove_dir_all(&aside)));
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(
                Phase::Delete,
                "remove the folder",
                &record.folder,
                error,
            )),
            _ => Ok(()),
        }
    }
}

/// The ids that folders in `folder` bear, sorted.
fn ids(folder: &Path) -> Result<Vec<ContainerId>> {
    let unreadable = |error| failed(Phase::Operate, "read the folder", folder, error);
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        ids.extend(name.to_str().and_then(|name| name.parse().ok()));
    }
    ids.sort();
    Ok(ids)
}

#[cfg(windows)]
use crate::lock::lock_byte;

/// Where the service is only a test's, containers wait for one another.
#[cfg(not(windows))]
fn lock_byte(file: &fs::File, _at: u64) -> io::Result<()> {
    file.lock()
}

/// Windows neither moves nor removes a folder in which somebody reads a file at the moment.
fn patiently(mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let deadline = Instant::now() + IN_THE_WAY;
    loop {
        match work() {
            Err(error)
                if cfg!(windows)
                    && error.kind() != io::ErrorKind::NotFound
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

impl Record {
    /// Whose it is.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// It in words, of which no other has the same.
    pub fn what(&self) -> String {
        match &self.container {
            Some(container) => format!("exec {} of container {container}", self.id),
            None => format!("container {}", self.id),
        }
    }

    /// That there is none.
    pub fn not_found(&self) -> Error {
        Error::new(
            ErrorKind::NotFound,
            Phase::Operate,
            format!("find {}", self.what()),
        )
        .about(self.id.as_str())
    }

    /// The record of an exec of this container, whether or not there is any.
    pub fn exec(&self, id: &ExecId) -> Self {
        Self {
            id: id.clone(),
            container: Some(self.id.clone()),
            folder: self.folder.join("execs").join(id.as_str()),
        }
    }

    /// The records of all its execs, by id.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn execs(&self) -> Result<Vec<Self>> {
        let folder = self.folder.join("execs");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        Ok(ids(&folder)?.iter().map(|id| self.exec(id)).collect())
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The runs of which a first process is recorded, in order, whether or not that can be read.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn runs(&self) -> Result<Vec<u64>> {
        let unreadable = |error| failed(Phase::Operate, "read the folder", &self.folder, error);
        let mut runs = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix("process-")?.strip_suffix(".json"));
            runs.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        runs.sort_unstable();
        Ok(runs)
    }

    /// Whether there is a folder.
    pub fn exists(&self) -> bool {
        self.folder.exists()
    }

    /// Whether it was made.
    pub fn is_made(&self) -> bool {
        self.folder.join("config.json").exists()
    }

    /// Makes the folder.
    ///
    /// # Errors
    /// It is there already, or cannot be made; `NotFound` for an exec whose container is not there.
    pub fn begin(&self) -> Result<()> {
        if let (Some(_), Some(all)) = (&self.container, self.folder.parent()) {
            // Never the container's own: that may be removed at this moment.
            match fs::create_dir(all) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed(Phase::Create, "make the folder", all, error));
                }
                _ => {}
            }
        }
        fs::create_dir(&self.folder)
            .map_err(|error| failed(Phase::Create, "make the folder", &self.folder, error))
    }

    /// Records what was asked for: from now on it is made.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_config(&self, config: &impl Serialize) -> Result<()> {
        self.put("config.json", config, Phase::Create)
    }

    /// What was asked for.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Damaged` where the file is; it is of a newer version.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C> {
        self.get("config.json")?.ok_or_else(|| self.not_found())
    }

    /// The number of the present run.
    ///
    /// # Errors
    /// `Damaged` where the file is; it is of a newer version.
    pub fn run(&self) -> Result<u64> {
        let run = self.get::<RunNumber>("run.json")?;
        Ok(run.map_or(0, |run| run.number))
    }

    /// Begins to count anew, and forgets the run before the one that has ended.
    pub fn next_run(&self, ended: u64) -> Result<()> {
        let next = RunNumber {
            version: VERSION,
            number: ended + 1,
        };
        self.put("run.json", &next, Phase::Operate)?;
        if let Some(older) = ended.checked_sub(1) {
            for name in names(older) {
                // What stays of it is never read again.
                let _ = fs::remove_file(self.folder.join(name));
            }
        }
        Ok(())
    }

    /// The first process of a run, where that was started.
    ///
    /// # Errors
    /// `Damaged` where the file is; it is of a newer version.
    pub fn started<S: DeserializeOwned>(&self, run: u64) -> Result<Option<S>> {
        self.get(&format!("process-{run}.json"))
    }

    /// Records the first process of a run.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_started(&self, run: u64, started: &impl Serialize) -> Result<()> {
        self.put(&format!("process-{run}.json"), started, Phase::Start)
    }

    /// A start that failed after its process was recorded has started nothing, and nothing has ended, whatever somebody saw meanwhile.
    pub fn forget_started(&self, run: u64) -> Result<()> {
        for name in ["process", "exit"] {
            let path = self.folder.join(format!("{name}-{run}.json"));
            match patiently(|| fs::remove_file(&path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(Phase::Start, "remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How a run has ended, where that is recorded.
    ///
    /// # Errors
    /// `Damaged` where the file is; it is of a newer version.
    pub fn exit(&self, run: u64) -> Result<Option<ExitStatus>> {
        self.get(&format!("exit-{run}.json"))
    }

    /// Records an end; what was recorded before stays, and is what counts.
    pub fn write_exit(&self, run: u64, status: &ExitStatus) -> Result<ExitStatus> {
        let name = format!("exit-{run}.json");
        let path = self.folder.join(&name);
        let draft = self.draft(&name, status, Phase::Operate)?;
        let linked = fs::hard_link(&draft, &path);
        // Nobody else knows its name.
        let _ = fs::remove_file(&draft);
        match linked {
            Ok(()) => Ok(status.clone()),
            Err(error) => match self.exit(run)? {
                Some(earlier) => Ok(earlier),
                None => Err(failed(Phase::Operate, "write", &path, error)),
            },
        }
    }

    /// Marks a run.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn mark(&self, what: &str, run: u64) -> Result<()> {
        let path = self.folder.join(format!("{what}-{run}"));
        fs::write(&path, []).map_err(|error| failed(Phase::Operate, "write", &path, error))
    }

    /// Whether a run is marked.
    pub fn is_marked(&self, what: &str, run: u64) -> bool {
        self.folder.join(format!("{what}-{run}")).exists()
    }

    /// Takes a mark away.
    pub fn unmark(&self, what: &str, run: u64) {
        // It fails only where the folder is damaged or being removed: what is done there next says so.
        let _ = fs::remove_file(self.folder.join(format!("{what}-{run}")));
    }

    /// Marks a run, and says why.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&self, what: &str, run: u64, why: &str) -> Result<()> {
        self.put(&format!("{what}-{run}"), &why, Phase::Operate)
    }

    /// Why a run is marked, where it is.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn noted(&self, what: &str, run: u64) -> Result<Option<String>> {
        self.get(&format!("{what}-{run}"))
    }

    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.folder.join(name);
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(self.damaged(&path).because("it is no text"));
            }
            Err(error) => return Err(failed(Phase::Operate, "read", &path, error)),
        };
        if serde_json::from_str::<AnyVersion>(&text).is_ok_and(|found| found.version > VERSION) {
            let operation = format!("read {}", path.display());
            return Err(
                Error::new(ErrorKind::Unsupported, Phase::Operate, operation)
                    .about(self.id.as_str())
                    .remedy("a newer hoist has written it: use that one"),
            );
        }
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| self.damaged(&path).because(error))
    }

    /// The error for a file that is not what it should be.
    fn damaged(&self, path: &Path) -> Error {
        let operation = format!("read {}", path.display());
        let container = self.container.as_ref().unwrap_or(&self.id);
        Error::new(ErrorKind::Damaged, Phase::Operate, operation)
            .about(self.id.as_str())
            .remedy(format!(
                "the file is damaged or not Hoist's: look at it, or remove what is left of its container: hoist rm --force {container}"
            ))
    }

    fn draft<T: Serialize>(&self, name: &str, value: &T, phase: Phase) -> Result<PathBuf> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self
            .folder
            .join(format!("{name}.{}.{number}", std::process::id()));
        let text = serde_json::to_string(value)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&path, text));
        text.map_err(|error| failed(phase, "write", &path, error))?;
        Ok(path)
    }

    fn put<T: Serialize>(&self, name: &str, value: &T, phase: Phase) -> Result<()> {
        let draft = self.draft(name, value, phase)?;
        let path = self.folder.join(name);
        patiently(|| fs::rename(&draft, &path))
            .map_err(|error| failed(phase, "write", &path, error))
    }
}

/// A file that is being removed is not there any more, though Windows says so in another way.
fn read(path: &Path) -> io::Result<String> {
    const DELETE_PENDING: i32 = 303;
    match fs::read_to_string(path) {
        Err(error)
            if cfg!(windows)
                && (error.raw_os_error() == Some(DELETE_PENDING)
                    || (error.kind() == io::ErrorKind::PermissionDenied && !path.exists())) =>
        {
            Err(io::ErrorKind::NotFound.into())
        }
        read => read,
    }
}

/// The files of a run.
fn names(run: u64) -> [String; 8] {
    [
        format!("process-{run}.json"),
        format!("exit-{run}.json"),
        format!("forced-{run}"),
        format!("begun-{run}"),
        format!("paused-{run}"),
        format!("timed-out-{run}"),
        format!("updates-pending-{run}"),
        format!("updates-unknown-{run}"),
    ]
}

#[cfg(test)]
mod tests;

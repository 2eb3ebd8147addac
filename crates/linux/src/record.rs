//! What is written down of a container, so that any process can find, enter, stop and remove it.
//!
//! One folder per container: `config.json`, the spec it was made from; `state.json`, which is replaced as a whole on every
//! change. A resource is written down before it is made. A file that is torn, foreign or of a newer version is an error
//! and stays as it is.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use hoist_compute::{Error, ErrorKind, ExitStatus, OsCode, Phase, Result, Timestamp};
use hoist_spec::{ContainerId, ContainerSpec};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::cgroup::CgroupRecord;
use crate::plan::IdMaps;
use crate::proc_pid;

const VERSION: u32 = 1;
const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
const LOCK: &str = "lock";

/// A process, told from a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    pub(crate) pid: u32,
    /// When it was started, in clock ticks since the machine was (proc_pid_stat(5), field 22).
    pub(crate) start_ticks: u64,
}

impl ProcessIdentity {
    /// The identity of a process that is there.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let start_ticks = proc_pid::start_ticks(pid)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { pid, start_ticks })
    }

    /// Whether the process is still there, if only as a zombie.
    pub(crate) fn exists(self) -> bool {
        proc_pid::start_ticks(self.pid).is_ok_and(|ticks| ticks == Some(self.start_ticks))
    }
}

/// `state.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u32,
    pub(crate) id: ContainerId,
    /// The run of the machine in which it was made: ids of processes mean nothing in another.
    pub(crate) boot_id: String,
    pub(crate) created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<Timestamp>,
    /// The container's first process, from the moment it was cloned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<ProcessIdentity>,
    /// The process that reaps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<ProcessIdentity>,
    /// The kinds of namespaces that it does not share with the host (`CLONE_NEW*`).
    pub(crate) namespaces: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_maps: Option<IdMaps>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup: Option<CgroupRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exit: Option<ExitStatus>,
}

impl Record {
    pub(crate) fn new(id: &ContainerId, boot_id: String) -> Self {
        Self {
            version: VERSION,
            id: id.clone(),
            boot_id,
            created_at: Timestamp::now(),
            started_at: None,
            process: None,
            owner: None,
            namespaces: 0,
            id_maps: None,
            cgroup: None,
            exit: None,
        }
    }
}

/// The folder of one container.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The place of `id` below `containers`, whether or not there is anything.
    pub(crate) fn of(containers: &Path, id: &ContainerId) -> Self {
        Self(containers.join(id.as_str()))
    }

    /// Makes the folder; `AlreadyExists` where there is one.
    pub(crate) fn make(&self, id: &ContainerId) -> Result<()> {
        DirBuilder::new()
            .mode(0o700)
            .create(&self.0)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Error::new(
                    ErrorKind::AlreadyExists,
                    Phase::Create,
                    format!("create container {id}: the id is in use"),
                )
                .about(id.as_str())
                .remedy(format!(
                    "choose another, or remove that container: hoist rm --force {id}"
                )),
                _ => failed(Phase::Create, "make", &self.0, error),
            })
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    pub(crate) fn write_spec(&self, spec: &ContainerSpec) -> Result<()> {
        self.write(CONFIG, spec)
    }

    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        self.write(STATE, record)
    }

    /// The spec; `NotFound` where there is no container.
    pub(crate) fn read_spec(&self) -> Result<ContainerSpec> {
        self.read(CONFIG)
    }

    /// The record; `NotFound` where there is no container.
    pub(crate) fn read_record(&self) -> Result<Record> {
        let record: Record = self.read(STATE)?;
        if record.version == VERSION {
            return Ok(record);
        }
        let path = self.0.join(STATE);
        Err(Error::new(
            ErrorKind::Unsupported,
            Phase::Operate,
            format!("read {}", path.display()),
        )
        .because(format!(
            "it has version {}, this Hoist reads version {VERSION}",
            record.version
        ))
        .remedy("use the Hoist that made it"))
    }

    fn write(&self, name: &str, content: &impl Serialize) -> Result<()> {
        let path = self.0.join(name);
        // Beside the file, so that the rename is within one file system; by process and thread, so that two writers never
        // share one.
        let draft = self
            .0
            .join(format!(".{name}.{:?}", std::thread::current().id()));
        let write = || -> io::Result<()> {
            let mut bytes = serde_json::to_vec(content)?;
            bytes.push(b'\n');
            File::create(&draft)?.write_all(&bytes)?;
            fs::rename(&draft, &path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&draft);
            failed(Phase::Operate, "write", &path, error)
        })
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.0.join(name);
        let bytes =
            fs::read(&path).map_err(|error| failed(Phase::Operate, "read", &path, error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::System, Phase::Operate, format!("read {}", path.display()))
                .because(error)
                .remedy("the file is damaged or not Hoist's: look at it, and remove its folder when it is of no use")
        })
    }

    /// Keeps other processes from starting or removing the container at the same time, while the result lives. None where
    /// the container is gone.
    pub(crate) fn lock(&self) -> Result<Option<File>> {
        let path = self.0.join(LOCK);
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| failed(Phase::Operate, "open", &path, error))?,
        };
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
            .map_err(|errno| failed(Phase::Operate, "lock", &path, errno.into()))?;
        // Whoever held it before may have removed the container.
        Ok(path.exists().then_some(file))
    }

    /// Removes the folder. One that is gone is success.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(Phase::Delete, "remove", &self.0, error))
            }
            _ => Ok(()),
        }
    }
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

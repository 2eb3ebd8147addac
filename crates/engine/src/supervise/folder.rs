//! What stands on disk of a supervisor, and whether it lives.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use hoist_spec::{ContainerId, ExecId};
use rustix::fs::{FlockOperation, flock};
use serde::{Serialize, de::DeserializeOwned};

use super::{SuperviseOptions, SupervisorStatus};
use crate::platform::private_directory;

/// How long others may keep one from being the supervisor who only look whether there is any.
const LOOKERS_PATIENCE: Duration = Duration::from_millis(100);
const OPTIONS: &str = "options.json";
const STATUS: &str = "status.json";

/// Where one container's supervisor keeps its files, and where its log is.
#[derive(Clone, Debug)]
pub(crate) struct SupervisorFolder {
    folder: PathBuf,
    log_folder: PathBuf,
    log_name: String,
}

impl SupervisorFolder {
    /// The place for `id`, whether or not there is anything.
    pub(crate) fn of(state_root: &Path, data_root: &Path, id: &ContainerId) -> Self {
        Self {
            folder: state_root.join("supervisors").join(id.as_str()),
            log_folder: data_root.join("logs").join(id.as_str()),
            log_name: format!("{id}-json.log"),
        }
    }

    /// The place of an exec's own owner.
    pub(crate) fn of_exec(state_root: &Path, container: &ContainerId, exec: &ExecId) -> Self {
        let folder = Self::execs_of(state_root, container).join(exec.as_str());
        Self {
            log_folder: folder.join("log"),
            log_name: String::new(),
            folder,
        }
    }

    /// Where the owners of a container's execs are, each in a folder of its own.
    pub(crate) fn execs_of(state_root: &Path, container: &ContainerId) -> PathBuf {
        state_root.join("execs").join(container.as_str())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// The file that is being written of the log; older ones have a number behind the name.
    pub(crate) fn log(&self) -> PathBuf {
        self.log_folder.join(&self.log_name)
    }

    pub(crate) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// Makes the folder and writes down what the supervisor is to do.
    pub(crate) fn make(&self, options: &SuperviseOptions) -> Result<()> {
        private_directories(&self.folder)?;
        self.write(OPTIONS, options)
    }

    /// Makes the folder of the log.
    pub(super) fn make_log_folder(&self) -> Result<()> {
        private_directories(&self.log_folder)
    }

    /// What the supervisor is to do; `None` where there never was one.
    pub(crate) fn options(&self) -> Result<Option<SuperviseOptions>> {
        self.read(OPTIONS)
    }

    /// What the supervisor has last said of itself.
    pub(crate) fn status(&self) -> Result<Option<SupervisorStatus>> {
        self.read(STATUS)
    }

    pub(super) fn write_status(&self, status: &SupervisorStatus) -> Result<()> {
        self.write(STATUS, status)
    }

    /// Marks the caller as the supervisor, for as long as the result lives; `None` where there is one.
    pub(super) fn lock(&self) -> Result<Option<File>> {
        let folder =
            File::open(&self.folder).map_err(|error| failed("open", &self.folder, error))?;
        // Who only looks whether there is one has the lock for a moment.
        let until = Instant::now() + LOOKERS_PATIENCE;
        loop {
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(folder)),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(failed("lock", &self.folder, errno.into())),
            }
        }
    }

    /// Whether a supervisor lives.
    pub(crate) fn is_alive(&self) -> Result<bool> {
        let folder = match File::open(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(|error| failed("open", &self.folder, error))?,
        };
        // Shared, so that two who look at once do not see each other.
        match flock(&folder, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(errno) => Err(failed("lock", &self.folder, errno.into())),
        }
    }

    /// Removes the log and the folder. What is gone is success; where there is no folder, there was no supervisor, and no log.
    pub(crate) fn remove(&self) -> Result<()> {
        if !self.exists() {
            return Ok(());
        }
        for folder in [&self.log_folder, &self.folder] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", folder, error));
                }
                Err(_) => {}
                Ok(()) => {
                    // The last one leaves nothing; with others in it, it stays.
                    let _ = folder.parent().map(fs::remove_dir);
                }
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.folder.join(name);
        let draft = self.folder.join(format!(".{name}.{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut bytes = serde_json::to_vec(value)?;
            bytes.push(b'\n');
            File::create(&draft)?.write_all(&bytes)?;
            fs::rename(&draft, &path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&draft);
            failed("write", &path, error)
        })
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                let id = self.folder.file_name().unwrap_or_default().to_string_lossy();
                Error::new(
                    ErrorKind::Damaged,
                    Phase::Operate,
                    format!("read {}", path.display()),
                )
                .because(error)
                .remedy(format!(
                    "the file is damaged or not Hoist's: look at it, or remove its container: hoist rm --force {id}"
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, error)),
        }
    }
}

/// Makes a folder two levels below a root of ours, each level private whatever the umask is.
fn private_directories(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    let root = parent.parent().unwrap_or(parent);
    [root, parent, path]
        .into_iter()
        .try_for_each(private_directory)
}

pub(super) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::System,
    };
    let made = Error::new(kind, Phase::Operate, format!("{what} {}", path.display()));
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_had_no_supervisor_is_removed_wherever_logs_would_be() {
        let state = tempfile::tempdir().unwrap();
        let id = "web".parse().unwrap();
        // As a home that the user may not look into: nothing can be below it.
        let folder = SupervisorFolder::of(state.path(), Path::new("/dev/null"), &id);
        folder.remove().unwrap();
        fs::create_dir_all(folder.path()).unwrap();
        folder.remove().unwrap_err();
        assert!(folder.exists(), "what could not be removed is still known");
    }
}

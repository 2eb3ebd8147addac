//! Names: one file per name, holding the id of the container that bears it.
//!
//! A file that is locked belongs to a container being made; an unlocked one whose container does not exist was left by
//! a crash, and the next who wants the name takes it over. The kernel drops the lock of a process that dies.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use hoist_spec::ContainerId;

use crate::platform::is_linked;

/// The index of names below a state directory.
#[derive(Debug)]
pub(crate) struct Names {
    folder: PathBuf,
}

/// A name held for a container that is being made. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Reservation {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Reservation {
    /// The container exists: the name is its own now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.kept {
            // Still locked, so that the file removed is the file held.
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

impl Names {
    /// The index in the folder `names` of `state_root`; nothing is made until a name is.
    pub(crate) fn new(state_root: &Path) -> Self {
        Self {
            folder: state_root.join("names"),
        }
    }

    /// Takes `name` for `id`, at once or not at all: `AlreadyExists` where a container for which `exists` is true
    /// bears it, or one being made at this moment will.
    pub(crate) fn reserve(
        &self,
        name: &str,
        id: &ContainerId,
        exists: impl Fn(&ContainerId) -> Result<bool>,
    ) -> Result<Reservation> {
        check(name)?;
        let path = self.folder.join(name);
        loop {
            let mut file = self
                .open(&path)
                .map_err(|error| failed("reserve the name", name, error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use(name, None)),
                Err(TryLockError::Error(error)) => {
                    return Err(failed("reserve the name", name, error));
                }
            }
            if !is_linked(&file).map_err(|error| failed("reserve the name", name, error))? {
                // Its container was removed between our open and our lock.
                continue;
            }
            let holder = read(&mut file).map_err(|error| failed("read the name", name, error))?;
            if let Some(holder) = holder
                && exists(&holder)?
            {
                return Err(in_use(name, Some(&holder)));
            }
            let reservation = Reservation {
                file,
                path,
                kept: false,
            };
            write(&reservation.file, id)
                .map_err(|error| failed("reserve the name", name, error))?;
            return Ok(reservation);
        }
    }

    /// The id under `name`; its container may be gone.
    pub(crate) fn find(&self, name: &str) -> Result<Option<ContainerId>> {
        if check(name).is_err() {
            return Ok(None);
        }
        match File::open(self.folder.join(name)) {
            Ok(mut file) => read(&mut file).map_err(|error| failed("read the name", name, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read the name", name, error)),
        }
    }

    /// Every name with its id; some containers may be gone.
    pub(crate) fn all(&self) -> Result<Vec<(String, ContainerId)>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list the names in", &self.folder_text(), error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry =
                entry.map_err(|error| failed("list the names in", &self.folder_text(), error))?;
            if let Ok(name) = entry.file_name().into_string()
                && let Some(id) = self.find(&name)?
            {
                all.push((name, id));
            }
        }
        Ok(all)
    }

    /// The name that `id` bears.
    pub(crate) fn of(&self, id: &ContainerId) -> Result<Option<String>> {
        Ok(self
            .all()?
            .into_iter()
            .find_map(|(name, found)| (found == *id).then_some(name)))
    }

    /// Frees the names of `id`, whose container is gone. Freeing them again is success.
    pub(crate) fn release(&self, id: &ContainerId) -> Result<()> {
        for (name, found) in self.all()? {
            if found == *id {
                self.release_name(&name, id)?;
            }
        }
        Ok(())
    }

    /// Frees `name`, unless it is no longer `id`'s.
    pub(crate) fn release_name(&self, name: &str, id: &ContainerId) -> Result<()> {
        self.remove(name, id)
            .map_err(|error| failed("remove the name", name, error))
    }

    fn remove(&self, name: &str, id: &ContainerId) -> io::Result<()> {
        let path = self.folder.join(name);
        // Somebody who looks whether the name is free has the lock for a moment; one who takes it over keeps it
        // longer, but has written his id at once. A name left here after all is taken over by who wants it.
        for _ in 0..50 {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                Ok(()) => {
                    if is_linked(&file)? && read(&mut file)?.as_ref() == Some(id) {
                        fs::remove_file(&path)?;
                    }
                    return Ok(());
                }
                Err(TryLockError::WouldBlock) => {
                    if read(&mut file)?.as_ref() != Some(id) {
                        return Ok(());
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
        };
        open().or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::create_dir_all(&self.folder)?;
            open()
        })
    }

    fn folder_text(&self) -> String {
        self.folder.display().to_string()
    }
}

/// A name has the form of an id: it is a file's name here, and stands where an id may stand.
fn check(name: &str) -> Result<()> {
    name.parse::<ContainerId>()
        .map(drop)
        .map_err(|error| Error::new(ErrorKind::InvalidSpec, Phase::Plan, error.as_name()))
}

/// The id in the file; `None` in one that was only begun.
fn read(file: &mut File) -> io::Result<Option<ContainerId>> {
    let mut text = String::new();
    file.rewind()?;
    // An id is at most 128 bytes; anything longer is not ours.
    match file.take(256).read_to_string(&mut text) {
        Ok(_) => Ok(text.strip_suffix('\n').and_then(|id| id.parse().ok())),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(mut file: &File, id: &ContainerId) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(format!("{id}\n").as_bytes())
}

fn in_use(name: &str, holder: Option<&ContainerId>) -> Error {
    let error = Error::new(
        ErrorKind::AlreadyExists,
        Phase::Create,
        match holder {
            Some(holder) => format!("the name {name:?} is in use by container {holder}"),
            None => format!("the name {name:?} is in use by a container being made"),
        },
    )
    .about(name);
    error.remedy("remove that container, or choose another name")
}

fn failed(operation: &str, name: &str, error: io::Error) -> Error {
    let failure = Error::new(
        ErrorKind::System,
        Phase::Operate,
        format!("{operation} {name}"),
    );
    match error.raw_os_error() {
        Some(errno) => failure.code(OsCode::Errno(errno)),
        None => failure.because(error),
    }
}

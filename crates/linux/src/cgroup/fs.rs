//! Makes and opens the cgroup of one container, and writes its limits.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, mkdir, openat, rmdir},
    io::{Errno, retry_on_intr},
};

use super::{
    DeviceProgram, DeviceRule, device_bpf,
    directory::{Directory, identity_at, write_at},
    error::CgroupError,
    layout::{Base, Layout, Version},
    limits::{Check, Limits, Write, agrees},
    record::{CgroupRecord, DirectoryRecord},
};
use crate::whole_file::{read_again, read_text};

/// The cgroup of one container: a directory in every hierarchy, each held open.
///
/// Dropping it closes the handles and leaves the cgroup.
#[derive(Debug)]
pub struct Cgroup {
    pub(crate) directories: Vec<Directory>,
}

/// What a process needs to put itself into a cgroup. All are close-on-exec.
#[derive(Debug)]
pub struct JoinFiles {
    /// The file `tasks` of each v1 hierarchy. A process with a single thread joins by writing `0` to it: other than
    /// through `cgroup.procs`, that takes no lock that every fork on the host takes too.
    pub tasks: Vec<OwnedFd>,
    /// The directory in the unified hierarchy, for `CLONE_INTO_CGROUP` (clone(2)).
    pub unified: Option<OwnedFd>,
    /// The file `cgroup.procs` there, for a process that exists already and writes `0`.
    pub unified_procs: Option<OwnedFd>,
}

impl Cgroup {
    /// Makes the cgroup `name` (`hoist/<id>`) below `base` in every hierarchy of `layout`, and enables the controllers
    /// that `limits` needs. Its limits are then to be set by [`Cgroup::apply`].
    ///
    /// Parents are made where they are missing, and stay. An empty cgroup of that name is made anew, so that no
    /// setting of an earlier one holds. After an error nothing that this call made is left but such parents.
    ///
    /// # Errors
    ///
    /// [`CgroupError::InUse`] where there is such a cgroup with processes, [`CgroupError::Frozen`] where no process in it could run,
    /// [`CgroupError::Enable`] for a controller that an ancestor does not give, [`CgroupError::System`] with the directory otherwise.
    pub fn create(
        layout: &Layout,
        base: Base,
        name: &str,
        limits: &Limits,
    ) -> Result<Self, CgroupError> {
        Self::make(layout, base, name, limits, Existing::Replaced)
    }

    /// As [`Cgroup::create`], where somebody else has just made it for this caller: directories that exist are taken as they are.
    ///
    /// # Errors
    ///
    /// As [`Cgroup::create`].
    pub fn adopt(
        layout: &Layout,
        base: Base,
        name: &str,
        limits: &Limits,
    ) -> Result<Self, CgroupError> {
        Self::make(layout, base, name, limits, Existing::Taken)
    }

    fn make(
        layout: &Layout,
        base: Base,
        name: &str,
        limits: &Limits,
        existing: Existing,
    ) -> Result<Self, CgroupError> {
        if !is_plain(name) {
            return Err(CgroupError::Name {
                name: name.to_owned(),
            });
        }
        let intended = CgroupRecord::intended(layout, base, name);
        let mut cgroup = Self {
            directories: Vec::with_capacity(intended.directories.len()),
        };
        let made = layout
            .hierarchies
            .iter()
            .zip(&intended.directories)
            .try_for_each(|(hierarchy, record)| {
                cgroup
                    .directories
                    .push(make(record, &hierarchy.mount_point, existing)?);
                Ok(())
            })
            .and_then(|()| {
                let mounts = layout.hierarchies.iter().map(|at| &at.mount_point);
                cgroup
                    .directories
                    .iter()
                    .zip(mounts)
                    .try_for_each(|(directory, mount)| prepare(directory, mount, limits))
            });
        match made {
            Ok(()) => Ok(cgroup),
            Err(error) => {
                for directory in &cgroup.directories {
                    // The cause is what to report, and what another process has put there since is not ours to remove.
                    if identity_at(&directory.path).is_ok_and(|at| at == Some(directory.identity)) {
                        let _ = rmdir(&directory.path);
                    }
                }
                Err(error)
            }
        }
    }

    /// One cgroup of two parts that were made one after the other, with its directories in the order of `paths`.
    pub(crate) fn merge(mut self, other: Self, paths: &[&Path]) -> Self {
        self.directories.extend(other.directories);
        self.directories
            .sort_by_key(|directory| paths.iter().position(|path| *path == directory.path));
        self
    }

    /// Opens a recorded cgroup. Directories that are gone, or are not the recorded ones, are left out.
    pub fn open(record: &CgroupRecord) -> Result<Self, CgroupError> {
        let mut directories = Vec::with_capacity(record.directories.len());
        for recorded in &record.directories {
            let opened = Directory::open(recorded)
                .map_err(|error| CgroupError::system("open cgroup", &recorded.path, error))?;
            directories.extend(opened);
        }
        Ok(Self { directories })
    }

    /// What to write down of it.
    pub fn record(&self) -> CgroupRecord {
        CgroupRecord {
            directories: self
                .directories
                .iter()
                .map(|directory| DirectoryRecord {
                    controllers: directory.controllers.clone(),
                    version: directory.version,
                    path: directory.path.clone(),
                    identity: Some(directory.identity),
                })
                .collect(),
        }
    }

    /// Sets limits, in order, and reads each back where the kernel says what it keeps.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Write`] and [`CgroupError::NotKept`]; the limits before the failed one are then set.
    pub fn apply(&self, writes: &[Write]) -> Result<(), CgroupError> {
        let mut open: Option<(&Write, OwnedFd)> = None;
        for write in writes {
            let again = open
                .take()
                .filter(|(last, _)| last.hierarchy == write.hierarchy && last.file == write.file);
            let directory = self
                .directories
                .get(write.hierarchy)
                .ok_or(CgroupError::Absent {
                    operation: write.what,
                    needs: write.controller,
                })?;
            let file = match again {
                Some((_, file)) => put(&file, write.check, &write.value).map(|kept| (file, kept)),
                None => open_and_put(directory, &write.file, write.check, &write.value),
            };
            let (file, kept) = match (file, &write.instead) {
                (Err(Errno::NOENT), Some((file, value))) => {
                    open_and_put(directory, file, write.check, value)
                }
                (result, _) => result,
            }
            .map_err(|error| CgroupError::Write {
                words: write.words(),
                controller: write.controller,
                path: directory.path.join(&*write.file),
                source: error.into(),
            })?;
            if !agrees(write.check, &write.value, &kept) {
                return Err(CgroupError::NotKept {
                    words: write.words(),
                    controller: write.controller,
                    path: directory.path.join(&*write.file),
                    kept: kept.trim_end().to_owned(),
                });
            }
            open = Some((write, file));
        }
        Ok(())
    }

    /// Makes `rules` decide over the devices of every process in the cgroup; for [`Limits::device_program`].
    ///
    /// # Errors
    ///
    /// The kernel refuses the program: bpf(2) needs `CAP_BPF` or `CAP_SYS_ADMIN`.
    pub fn attach_device_program(&self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        let unified = self.unified().ok_or(CgroupError::Absent {
            operation: "set device rules",
            needs: "v2",
        })?;
        device_bpf::attach(unified.handle.as_fd(), &DeviceProgram::compile(rules))
            .map_err(|error| CgroupError::system("set device rules of", &unified.path, error))
    }

    /// Opens what a process needs to join the cgroup.
    pub fn join_files(&self) -> Result<JoinFiles, CgroupError> {
        let open = |directory: &Directory, file: &str| {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            openat(&directory.handle, file, flags, Mode::empty()).map_err(|error| {
                CgroupError::system("open to join", directory.path.join(file), error)
            })
        };
        let tasks = self
            .directories
            .iter()
            .filter(|directory| directory.version == Version::V1)
            .map(|directory| open(directory, "tasks"))
            .collect::<Result<_, _>>()?;
        let unified = self.unified();
        Ok(JoinFiles {
            tasks,
            unified: unified
                .map(|directory| directory.handle.try_clone())
                .transpose()
                .map_err(|error| CgroupError::system("duplicate handle of", "cgroup", error))?,
            unified_procs: unified
                .map(|directory| open(directory, "cgroup.procs"))
                .transpose()?,
        })
    }

    pub(crate) fn unified(&self) -> Option<&Directory> {
        self.directories
            .iter()
            .find(|directory| directory.version == Version::V2)
    }

    /// The v1 directory of a controller.
    pub(crate) fn v1(&self, controller: &str) -> Option<&Directory> {
        self.directories
            .iter()
            .find(|directory| directory.version == Version::V1 && directory.has(controller))
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.split('/').all(|part| {
            !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.contains(['\n', '\0'])
        })
}

/// What becomes of a directory that exists already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    /// It is made anew, unless it is in use.
    Replaced,
    /// It is used as it is.
    Taken,
}

/// Makes one directory and opens it.
fn make(
    record: &DirectoryRecord,
    mount_point: &Path,
    existing: Existing,
) -> Result<Directory, CgroupError> {
    let path = &record.path;
    let failed = |error| CgroupError::system("make cgroup", path, error);
    match mkdir(path, MODE) {
        Ok(()) => {}
        Err(Errno::NOENT) => {
            make_parents(record, mount_point)?;
            mkdir(path, MODE).map_err(failed)?;
        }
        Err(Errno::EXIST) if existing == Existing::Taken => {}
        Err(Errno::EXIST) => match rmdir(path).and_then(|()| mkdir(path, MODE)) {
            Ok(()) => {}
            Err(Errno::BUSY | Errno::NOTEMPTY | Errno::EXIST) => {
                return Err(CgroupError::InUse { path: path.clone() });
            }
            Err(error) => return Err(failed(error)),
        },
        Err(error) => return Err(failed(error)),
    }
    match Directory::open(record) {
        Ok(Some(directory)) => {
            if existing == Existing::Replaced && !directory.mode.contains(MODE) {
                open_to_others(path)?;
            }
            Ok(directory)
        }
        other => {
            let error = other
                .err()
                .unwrap_or_else(|| io::ErrorKind::NotFound.into());
            let _ = rmdir(path);
            Err(CgroupError::system("open cgroup", path, error))
        }
    }
}

const MODE: Mode = Mode::from_raw_mode(0o755);

fn make_parents(record: &DirectoryRecord, mount_point: &Path) -> Result<(), CgroupError> {
    let mut missing: Vec<&Path> = record
        .path
        .ancestors()
        .skip(1)
        .take_while(|path| *path != mount_point && path.starts_with(mount_point))
        .collect();
    missing.reverse();
    let is_cpuset = record.version == Version::V1 && record.controllers.iter().any(is_cpuset_name);
    for path in missing {
        match mkdir(path, MODE) {
            Ok(()) => open_to_others(path)?,
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(CgroupError::system("make cgroup", path, error)),
        }
        if is_cpuset {
            fill_cpuset(path, mount_point)?;
            // Containers then have their CPUs and memory nodes at once, without four further calls each.
            let file = path.join("cgroup.clone_children");
            write_at(CWD, &file, "1").map_err(|error| CgroupError::system("write", file, error))?;
        }
    }
    Ok(())
}

/// Lets everybody look into a directory that was just made, whatever the caller's umask: a container whose root is another user sees its own
/// cgroup there, and whoever makes it may keep what it makes to itself.
fn open_to_others(path: &Path) -> Result<(), CgroupError> {
    rustix::fs::chmod(path, MODE)
        .map_err(|error| CgroupError::system("set the mode of cgroup", path, error))
}

fn is_cpuset_name(name: &String) -> bool {
    name == "cpuset"
}

/// Gives a v1 cpuset the CPUs and memory nodes of its parent where it has none: no process can join it before.
fn fill_cpuset(path: &Path, mount_point: &Path) -> Result<(), CgroupError> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        inherit(path, name, mount_point)?;
    }
    Ok(())
}

fn inherit(path: &Path, name: &str, mount_point: &Path) -> Result<String, CgroupError> {
    let file = path.join(name);
    let own = read_text(&file).map_err(|error| CgroupError::system("read", &file, error))?;
    if !own.trim().is_empty() || path == mount_point {
        return Ok(own);
    }
    let Some(parent) = path.parent() else {
        return Ok(own);
    };
    let inherited = inherit(parent, name, mount_point)?;
    write_at(CWD, &file, inherited.trim())
        .map_err(|error| CgroupError::system("write", &file, error))?;
    Ok(inherited)
}

/// What a new directory needs before a process can join it.
fn prepare(directory: &Directory, mount_point: &Path, limits: &Limits) -> Result<(), CgroupError> {
    let read = |file: &str| {
        directory
            .read(file)
            .map_err(|error| CgroupError::system("read", directory.path.join(file), error))
    };
    let frozen = match directory.version {
        Version::V1 => {
            if directory.has("cpuset") && read("cpuset.mems")?.trim().is_empty() {
                fill_cpuset(&directory.path, mount_point)?;
            }
            directory.has("freezer") && read("freezer.parent_freezing")?.trim() == "1"
        }
        Version::V2 => {
            enable(directory, mount_point, limits)?;
            read("cgroup.events")?
                .lines()
                .any(|line| line == "frozen 1")
        }
    };
    if frozen {
        return Err(CgroupError::Frozen {
            path: directory.path.clone(),
        });
    }
    Ok(())
}

/// Enables controllers in every ancestor up to the root of the mount, where they are not yet.
fn enable(directory: &Directory, mount_point: &Path, limits: &Limits) -> Result<(), CgroupError> {
    if limits.required.is_empty() && limits.accounting.is_empty() {
        return Ok(());
    }
    let controllers = directory
        .read("cgroup.controllers")
        .map_err(|error| CgroupError::system("read controllers of", &directory.path, error))?;
    let has = |name: &str| controllers.split_ascii_whitespace().any(|has| has == name);
    let required = limits.required.iter().map(|name| (name, true));
    let accounting = limits.accounting.iter().map(|name| (name, false));
    for (name, is_required) in required.chain(accounting).filter(|(name, _)| !has(name)) {
        let mut ancestors: Vec<&Path> = directory
            .path
            .ancestors()
            .skip(1)
            .take_while(|path| path.starts_with(mount_point))
            .collect();
        ancestors.reverse();
        for path in ancestors {
            let file = path.join("cgroup.subtree_control");
            // Writing needs permission even where the controller is enabled already.
            let enabled = read_text(&file)
                .is_ok_and(|text| text.split_ascii_whitespace().any(|has| has == name));
            let result = if enabled {
                Ok(())
            } else {
                write_at(CWD, &file, &format!("+{name}"))
            };
            match result {
                Ok(()) => {}
                Err(source) if is_required => {
                    return Err(CgroupError::Enable {
                        controller: name.clone(),
                        path: path.to_owned(),
                        source,
                    });
                }
                Err(_) => break,
            }
        }
    }
    Ok(())
}

fn open_and_put(
    directory: &Directory,
    file: &str,
    check: Check,
    value: &str,
) -> Result<(OwnedFd, String), Errno> {
    let access = match check {
        Check::No => OFlags::WRONLY,
        _ => OFlags::RDWR,
    };
    let file = openat(
        &directory.handle,
        file,
        access | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let kept = put(&file, check, value)?;
    Ok((file, kept))
}

/// Writes a value and reads it back.
fn put(file: &OwnedFd, check: Check, value: &str) -> Result<String, Errno> {
    retry_on_intr(|| rustix::io::write(file, value.as_bytes()))?;
    match check {
        Check::No => Ok(String::new()),
        _ => read_again(file).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}

//! The files of a container, running or not: what the contract lets people copy, and what the container has changed.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use hoist_compute::{
    Change, Error, ErrorKind, FileKind, FileStat, Files, Ownership, Phase, Result, RootFiles, State,
};
use hoist_spec::{RootSource, WritableLayer};

use crate::execute::{lend, new_user_namespace};
use crate::features::LayerMethod;
use crate::plan::{IdMaps, plan_lend_overlay};
use crate::process::not_running;
use crate::record::Record;
use crate::root::pack::{CopyError, Ids, Mounts, is_of_the_kernel, look, pack};
use crate::root::unpack::{Owner, Unpack};
use crate::root::{COPY, Compared, Root, UPPER, directory, overlay};
use crate::root_facts::{HostEntryKind, HostRoot};
use crate::servers;
use crate::system::{LinuxSystem, has_process, open_process, root_of, wrong_state};

/// A container's root, held open.
pub(crate) struct LinuxFiles {
    root: Root,
    id_maps: Option<IdMaps>,
    /// What is mounted in the root and belongs to it.
    own_mounts: Vec<PathBuf>,
    /// Why nothing may be written, where that is not the kernel's to say.
    read_only: bool,
    /// Nobody starts or removes the container while its root is open.
    _lock: Option<File>,
}

impl LinuxSystem {
    pub(crate) fn open_files(&self) -> Result<LinuxFiles> {
        let (record, state, _) = self.look()?;
        let id_maps = record.created.id_maps.clone();
        if has_process(&record, state) {
            return Ok(LinuxFiles {
                root: self.running_root(&record)?,
                id_maps,
                own_mounts: self.own_mounts()?,
                read_only: false,
                _lock: None,
            });
        }
        let lock = self.lock()?;
        // Somebody else may have started it meanwhile.
        let (record, state, _) = self.look()?;
        if has_process(&record, state) {
            return Err(wrong_state(&self.id, "copy files of", state).remedy("try again"));
        }
        let root = self.spec.oci.root().as_ref();
        Ok(LinuxFiles {
            root: Root::directory(self.kept_root(state)?),
            id_maps,
            own_mounts: Vec::new(),
            read_only: root.is_some_and(|root| root.readonly() == Some(true)),
            _lock: Some(lock),
        })
    }

    fn running_root(&self, record: &Record) -> Result<Root> {
        let first =
            open_process(record)?.ok_or_else(|| not_running("open the container's root"))?;
        if servers::hide_root(record, &self.shared)? {
            let operation = format!("open the root of container {}", self.id);
            return Err(Error::new(ErrorKind::Unsupported, Phase::Operate, operation)
                .because("fuse-overlayfs shows it to the users inside alone, and it has more than one")
                .remedy("copy from within, by hoist exec; or see what `hoist info` says of layers"));
        }
        root_of(record, &first).map(Root::directory)
    }

    /// The root of a container that does not run, where it has one then.
    fn kept_root(&self, state: State) -> Result<OwnedFd> {
        let refused = |kind, why: &str, remedy: &str| {
            Error::new(
                kind,
                Phase::Operate,
                format!("open the root of container {}", self.id),
            )
            .because(why)
            .remedy(remedy)
        };
        match &self.spec.root {
            RootSource::Directory(path) => Ok(directory(path).map_err(Error::from)?),
            RootSource::Layers {
                writable: WritableLayer::Folder(folder),
                ..
            } if folder.join(COPY).exists() => {
                Ok(directory(&folder.join(COPY)).map_err(Error::from)?)
            }
            RootSource::Layers {
                layers,
                writable: WritableLayer::Folder(folder),
            } => {
                let features = self.shared.features()?;
                if features.layer_method() != LayerMethod::Overlay {
                    return Err(refused(
                        ErrorKind::Unsupported,
                        "its layers cannot be mounted by the kernel's overlayfs here while it does not run",
                        "start it first; or see what `hoist info` says of layers",
                    ));
                }
                if !features.privileged {
                    return self.kept_overlay(layers, folder);
                }
                Ok(overlay(layers, folder, features.overlay_lower_append).map_err(Error::from)?)
            }
            _ if state == State::Stopped => Err(refused(
                ErrorKind::InvalidState,
                "it has ended, and what it wrote was thrown away",
                "keep its writable layer with --layer-folder",
            )),
            _ => Err(refused(
                ErrorKind::InvalidState,
                "it has not been started, and has a root only while it runs",
                "start it first, or keep its writable layer with --layer-folder",
            )),
        }
    }

    /// Kept layers, put together in a user namespace as the container's, for an ordinary user.
    fn kept_overlay(&self, layers: &[PathBuf], folder: &Path) -> Result<OwnedFd> {
        let features = self.shared.features()?;
        let failed = |error| crate::service::system("mount the layers", error);
        let maps =
            self.record()?.created.id_maps.ok_or_else(|| {
                failed(std::io::Error::other("the container has no user namespace"))
            })?;
        let layers: Vec<String> = layers
            .iter()
            .map(|layer| layer.display().to_string())
            .collect();
        let plan = plan_lend_overlay(&layers, folder, features)?;
        let namespace = new_user_namespace(&maps, features)?;
        let mut lent = lend(&plan, features, &[namespace], 1)?;
        match lent.pop() {
            Some(tree) => tree.map_err(failed),
            None => Err(failed(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The mounts that this machine's own root is put together from.
    fn own_mounts(&self) -> Result<Vec<PathBuf>> {
        if self.spec.root != RootSource::Host {
            return Ok(Vec::new());
        }
        let host = HostRoot::read().map_err(Error::from)?;
        let is_mount = |kind: &HostEntryKind| {
            matches!(
                kind,
                HostEntryKind::Overlay | HostEntryKind::BindFile | HostEntryKind::BindDirectory
            )
        };
        let mounts = host.entries.iter().filter(|entry| is_mount(&entry.kind));
        Ok(mounts
            .map(|entry| PathBuf::from(entry.path.trim_start_matches('/')))
            .collect())
    }

    pub(crate) fn find_changes(&self) -> Result<Vec<Change>> {
        let (record, state, _) = self.look()?;
        let running = || {
            match has_process(&record, state) {
            true => self.running_root(&record),
            false => Err(wrong_state(&self.id, "look for changes in", state).remedy(
                "what it writes is thrown away with it: keep its writable layer with --layer-folder",
            )),
        }
        };
        let refused = |why: &str, remedy: &str| {
            let operation = format!("look for changes in container {}", self.id);
            Error::new(ErrorKind::Unsupported, Phase::Operate, operation)
                .because(why)
                .remedy(remedy)
        };
        match &self.spec.root {
            RootSource::Directory(path) => {
                let path = path.display();
                Err(refused(
                    &format!("it has no writable layer: what it writes goes to {path} itself"),
                    "make it with --layer instead of --rootfs",
                ))
            }
            RootSource::Layers { layers, writable } => {
                let below = layers
                    .iter()
                    .map(|layer| directory(layer))
                    .collect::<std::result::Result<Vec<_>, _>>()
                    .map_err(Error::from)?;
                match writable {
                    WritableLayer::Folder(folder) if folder.join(COPY).exists() => {
                        let copy = directory(&folder.join(COPY)).map_err(Error::from)?;
                        Ok(Compared::merged(&copy, &below)?)
                    }
                    WritableLayer::Folder(folder) => {
                        if !folder.join(UPPER).exists() {
                            // It has never been started.
                            return Ok(Vec::new());
                        }
                        let upper = directory(&folder.join(UPPER)).map_err(Error::from)?;
                        Ok(Compared::upper(&upper, &below)?)
                    }
                    WritableLayer::Ephemeral => {
                        let root = running()?;
                        let top = root.top().ok_or_else(|| not_running("open the root"))?;
                        Ok(Compared::merged(top, &below)?)
                    }
                }
            }
            RootSource::Host | RootSource::Unisolated => Err(refused(
                "its root is this machine's own, and what it writes over that is in memory",
                "make it with --layer, and keep its writable layer with --layer-folder",
            )),
        }
    }
}

impl LinuxFiles {
    fn ids(&self) -> Ids<'_> {
        Ids::of(self.id_maps.as_ref())
    }

    fn find(&self, path: &Path, follow: bool) -> Result<OwnedFd> {
        let found = self.root.handle(path, follow).map_err(Error::from)?;
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                Phase::Operate,
                format!("there is no {} in the container", path.display()),
            )
        })
    }

    /// What the kernel makes up while it is read has no end, and what is written there is an order to it.
    fn refuse_kernel(&self, handle: &OwnedFd, path: &Path) -> Result<()> {
        let is_kernel = is_of_the_kernel(handle)
            .map_err(|errno| crate::service::system("look at the file system", errno.into()))?;
        match is_kernel {
            false => Ok(()),
            true => Err(CopyError::Refused {
                operation: "copy",
                path: path.to_owned(),
                reason: "it is in a file system of the kernel's own".to_owned(),
            }
            .into()),
        }
    }
}

impl Files for LinuxFiles {
    fn stat(&self, path: &Path, follow: bool) -> Result<Option<FileStat>> {
        let found = self.root.handle(path, follow).map_err(Error::from)?;
        found
            .map(|handle| {
                look(&handle)
                    .map_err(|errno| crate::service::system("look at the file", errno.into()))
            })
            .transpose()
    }

    fn pack(&self, path: &Path, follow: bool, name: &Path, archive: &mut dyn Write) -> Result<()> {
        let handle = self.find(path, follow)?;
        self.refuse_kernel(&handle, path)?;
        // The devices of the container are no part of what somebody wants who copies its whole root.
        let devices = path.parent().is_none().then(|| name.join("dev"));
        let mounts = Mounts::Kept {
            but: devices.as_deref(),
        };
        Ok(pack(&handle, name, self.ids(), mounts, archive)?)
    }

    fn unpack(&self, directory: &Path, owner: Ownership, archive: &mut dyn Read) -> Result<()> {
        let refused = |reason: &str| CopyError::Refused {
            operation: "unpack in",
            path: directory.to_owned(),
            reason: reason.to_owned(),
        };
        if self.read_only {
            return Err(refused("the container's root is read-only").into());
        }
        let handle = self.find(directory, true)?;
        self.refuse_kernel(&handle, directory)?;
        let found = look(&handle)
            .map_err(|errno| crate::service::system("look at the directory", errno.into()))?;
        if found.kind != FileKind::Directory {
            return Err(refused("it is no directory").into());
        }
        let manner = Unpack {
            owner: match owner {
                Ownership::Root => Owner::Of(0, 0),
                Ownership::Archive => Owner::Archive,
            },
            ids: self.ids(),
            keeps_rights: owner == Ownership::Archive,
            makes_devices: true,
        };
        Ok(manner.unpack(&handle, archive)?)
    }
}

impl RootFiles for LinuxFiles {
    fn export(&self, archive: &mut dyn Write) -> Result<()> {
        let top = self
            .root
            .top()
            .ok_or_else(|| not_running("open the root"))?;
        let mounts = Mounts::Named(&self.own_mounts);
        Ok(pack(top, Path::new(""), self.ids(), mounts, archive)?)
    }
}

//! Named volumes: directories below the data root that outlive the containers that use them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, Timestamp};
use hoist_spec::{Command, ContainerSpec};
use serde::{Deserialize, Serialize};

use crate::{Engine, random_id};

/// What a volume holds, beside what is known of it.
const DATA: &str = "_data";
const KNOWN: &str = "volume.json";
/// The label of a volume that nobody has named; docker's.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// The volumes of one data root.
#[derive(Clone, Debug)]
pub struct Volumes {
    folder: PathBuf,
}

/// What a removal of all volumes that are not used has removed, and why not what it has not.
#[derive(Debug, Default)]
pub struct PrunedVolumes {
    /// The names of the volumes that are gone.
    pub removed: Vec<String>,
    /// What could not be removed.
    pub failures: Vec<Error>,
}

/// One volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The directory that containers see.
    pub mountpoint: PathBuf,
    /// When it was made.
    pub created_at: Timestamp,
    /// What people note of it.
    pub labels: BTreeMap<String, String>,
}

/// `volume.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    created_at: Timestamp,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// The name of the volume that this is the directory of.
pub(crate) fn volume_of(source: &Path, volumes: &Path) -> Option<String> {
    let rest = source.strip_prefix(volumes).ok()?;
    let mut parts = rest.iter();
    let name = parts.next()?.to_str()?;
    (parts.next()? == DATA && parts.next().is_none()).then(|| name.to_owned())
}

impl Volumes {
    /// Those below this data root.
    pub fn of(data_root: &Path) -> Self {
        Self {
            folder: data_root.join("volumes"),
        }
    }

    /// Those that an engine has which is opened with such roots.
    pub fn of_roots(state_root: Option<&Path>, data_root: Option<&Path>) -> Result<Self> {
        match data_root.or(state_root) {
            Some(root) => crate::engine::absolute(root).map(|root| Self::of(&root)),
            None => crate::platform::default_data_root().map(|root| Self::of(&root)),
        }
    }

    /// Where they are, each in a folder of its name.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts the directories of the volumes in place of the names that a command's mounts give; a volume without a name gets one.
    /// Nothing is made: that is [`Volumes::make_missing`]'s.
    pub fn locate(&self, command: &mut Command) -> Result<()> {
        for mount in &mut command.mounts {
            if mount.kind == "volume" && mount.source.is_empty() {
                mount.source = random_id()?.to_string();
            }
            if mount.kind == "volume" && check_name(&mount.source).is_ok() {
                let directory = self.folder.join(&mount.source).join(DATA);
                mount.source = directory.to_string_lossy().into_owned();
                "bind".clone_into(&mut mount.kind);
            }
        }
        Ok(())
    }

    /// Makes the volumes that a container uses and that are not there yet.
    pub fn make_missing(&self, spec: &ContainerSpec) -> Result<()> {
        let mounts = spec.oci.mounts().iter().flatten();
        let root = root_of(spec);
        for source in mounts.filter_map(|mount| mount.source().as_ref()) {
            if let Some(name) = volume_of(source, &self.folder)
                && !source.exists()
            {
                let labels = is_generated(&name).then(|| (ANONYMOUS.to_owned(), String::new()));
                self.make(&name, labels.into_iter().collect(), root)?;
            }
        }
        Ok(())
    }

    /// The volumes of a container that nobody has named.
    pub(crate) fn anonymous(&self, spec: &ContainerSpec) -> Vec<String> {
        let mounts = spec.oci.mounts().iter().flatten();
        let names = mounts.filter_map(|mount| volume_of(mount.source().as_ref()?, &self.folder));
        let is_anonymous = |name: &String| {
            let known = self.get(name);
            known.is_ok_and(|volume| volume.labels.contains_key(ANONYMOUS))
        };
        names.filter(is_anonymous).collect()
    }

    /// Makes a volume; one that is there is left as it is. Without a name it gets one that nobody has.
    pub fn create(&self, name: Option<&str>, labels: BTreeMap<String, String>) -> Result<Volume> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => random_id()?.to_string(),
        };
        check_name(&name)?;
        self.make(&name, labels, None)?;
        self.get(&name)
    }

    fn make(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
        owner: Option<(u32, u32)>,
    ) -> Result<()> {
        let place = self.folder.join(name);
        if place.is_dir() {
            return Ok(());
        }
        // Beside it, and renamed when it is whole: nobody sees half a volume.
        let draft = self.folder.join(format!(".new-{}", random_id()?));
        let work = || -> io::Result<()> {
            private(&self.folder)?;
            let known = Known {
                created_at: Timestamp::now(),
                labels,
            };
            let filled = fs::create_dir(&draft)
                .and_then(|()| fs::create_dir(draft.join(DATA)))
                .and_then(|()| give(&draft.join(DATA), owner))
                .and_then(|()| fs::write(draft.join(KNOWN), serde_json::to_string(&known)?))
                .and_then(|()| fs::rename(&draft, &place));
            match filled {
                // Somebody else was faster.
                Err(_) if place.is_dir() => fs::remove_dir_all(&draft),
                Err(error) => {
                    let _ = fs::remove_dir_all(&draft);
                    Err(error)
                }
                Ok(()) => Ok(()),
            }
        };
        work().map_err(|error| failed("make volume", name, error))
    }

    /// A volume by its name.
    pub fn get(&self, name: &str) -> Result<Volume> {
        check_name(name)?;
        let place = self.folder.join(name);
        let text = match fs::read_to_string(place.join(KNOWN)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    Phase::Operate,
                    format!("no such volume: {name}"),
                )
                .about(name));
            }
            text => text.map_err(|error| failed("read volume", name, error))?,
        };
        let known: Known = serde_json::from_str(&text)
            .map_err(|error| failed("read volume", name, io::Error::from(error)))?;
        Ok(Volume {
            name: name.to_owned(),
            mountpoint: place.join(DATA),
            created_at: known.created_at,
            labels: known.labels,
        })
    }

    /// All of them, by name.
    pub fn list(&self) -> Result<Vec<Volume>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| failed("list", "the volumes", error))?,
        };
        let mut volumes = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| failed("list", "the volumes", error))?;
            let name = name.file_name();
            let Some(name) = name.to_str().filter(|name| check_name(name).is_ok()) else {
                continue;
            };
            match self.get(name) {
                Ok(volume) => volumes.push(volume),
                // Removed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let grave = self.folder.join(format!(".removed-{}", random_id()?));
        fs::rename(self.folder.join(name), &grave)
            .and_then(|()| fs::remove_dir_all(&grave))
            .map_err(|error| failed("remove volume", name, error))
    }
}

impl Engine {
    /// The volumes that its containers use.
    pub fn volumes(&self) -> Volumes {
        Volumes::of(self.data_root())
    }

    /// Removes a volume. One that a container uses, running or not, is `InvalidState`.
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        let volumes = self.volumes();
        volumes.get(name)?;
        let users = self.users_of(&volumes, name)?;
        if !users.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidState,
                Phase::Delete,
                format!("remove volume {name}: it is in use by {}", users.join(", ")),
            )
            .about(name)
            .remedy("remove those containers first"));
        }
        volumes.remove(name)
    }

    /// Removes every volume that no container uses.
    pub fn prune_volumes(&self) -> Result<PrunedVolumes> {
        let mut pruned = PrunedVolumes::default();
        for volume in self.volumes().list()? {
            match self.remove_volume(&volume.name) {
                Ok(()) => pruned.removed.push(volume.name),
                Err(error)
                    if matches!(error.kind(), ErrorKind::InvalidState | ErrorKind::NotFound) => {}
                Err(error) => pruned.failures.push(error),
            }
        }
        Ok(pruned)
    }

    /// Removes those of these volumes that no container uses any more.
    pub(crate) fn remove_unused_volumes(&self, names: &[String]) -> Result<()> {
        for name in names {
            match self.remove_volume(name) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::InvalidState | ErrorKind::NotFound) => {}
                removed => removed?,
            }
        }
        Ok(())
    }

    /// What is known of the containers that use a volume, running or not: their names, or else their ids.
    pub fn users_of_volume(&self, name: &str) -> Result<Vec<String>> {
        self.users_of(&self.volumes(), name)
    }

    fn users_of(&self, volumes: &Volumes, name: &str) -> Result<Vec<String>> {
        let mut users = Vec::new();
        // A root may have been named by another path, with a symbolic link in it, when a container was made.
        let real = fs::canonicalize(volumes.folder.join(name).join(DATA)).ok();
        let listing = self.survey(true)?;
        // What cannot be read may use it.
        users.extend(listing.unreadable.iter().map(|error| {
            let id = error.subject().unwrap_or_default();
            format!("perhaps {id}, whose record cannot be read")
        }));
        for listed in listing.containers {
            let id = listed.summary.id;
            let container = match self.container(&id) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                container => container?,
            };
            let mut mounts = container.spec().oci.mounts().iter().flatten();
            let added = container.system().added_mounts()?;
            let is_it = |mount: &hoist_spec::oci::Mount| {
                let Some(source) = mount.source() else {
                    return false;
                };
                volume_of(source, volumes.folder()).as_deref() == Some(name)
                    || source.ends_with(Path::new(name).join(DATA))
                        && real.is_some()
                        && fs::canonicalize(source).ok() == real
            };
            if mounts.any(is_it) || added.iter().any(is_it) {
                users.push(listed.name.unwrap_or_else(|| id.to_string()));
            }
        }
        Ok(users)
    }
}

/// Who the container's root is on this machine, where that is somebody else.
fn root_of(spec: &ContainerSpec) -> Option<(u32, u32)> {
    let linux = spec.oci.linux().as_ref()?;
    let first = |maps: &Option<Vec<hoist_spec::oci::LinuxIdMapping>>| {
        let maps = maps.as_ref()?.iter();
        let mut root = maps.filter(|map| map.container_id() == 0);
        root.next().map(hoist_spec::oci::LinuxIdMapping::host_id)
    };
    Some((first(linux.uid_mappings())?, first(linux.gid_mappings())?))
}

/// Whether a name is as [`random_id`] makes them: nobody gives such a one to a volume that is not there.
fn is_generated(name: &str) -> bool {
    name.len() == 64
        && name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// docker's names: letters, digits, `_`, `.` and `-`, the first of them a letter or digit.
fn check_name(name: &str) -> Result<()> {
    let is_name = name.len() <= 255
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    match is_name {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::InvalidSpec,
            Phase::Plan,
            format!("{name:?} is no name of a volume"),
        )
        .remedy("use letters, digits, '_', '.' and '-', and begin with a letter or digit")),
    }
}

fn private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn give(directory: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, chown};
        // Whatever the umask is.
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        if let Some((uid, gid)) = owner {
            chown(directory, Some(uid), Some(gid))?;
        }
    }
    #[cfg(not(unix))]
    let _ = (directory, owner);
    Ok(())
}

fn failed(what: &str, name: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::System,
    };
    let made = Error::new(kind, Phase::Operate, format!("{what} {name}")).about(name);
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_made_once_and_found_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::of(root.path());
        assert_eq!(volumes.list().unwrap(), []);
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let made = volumes.create(Some("data"), labels.clone()).unwrap();
        fs::write(made.mountpoint.join("f"), "x").unwrap();
        let again = volumes.create(Some("data"), BTreeMap::new()).unwrap();
        assert_eq!(again, made);
        assert!(again.mountpoint.join("f").exists());
        assert_eq!(volumes.list().unwrap(), [made]);
        assert_eq!(
            volumes.get("other").unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let names = fs::read_dir(volumes.folder()).unwrap().count();
        assert_eq!(names, 1, "nothing else is left");
        for name in ["", ".", "..", "a/b", ".x", "-x", "a\nb"] {
            assert!(
                volumes.create(Some(name), BTreeMap::new()).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn volumes_below_a_relative_root_are_known_by_where_that_is() {
        let volumes = Volumes::of_roots(Some(Path::new("here")), None).unwrap();
        let directory = std::path::absolute("here/volumes").unwrap();
        assert_eq!(volumes.folder(), directory);
    }

    #[test]
    fn a_name_of_the_greatest_length_can_be_made_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::of(root.path());
        let name = "n".repeat(255);
        volumes.create(Some(&name), BTreeMap::new()).unwrap();
        volumes.remove(&name).unwrap();
        assert_eq!(fs::read_dir(volumes.folder()).unwrap().count(), 0);
        let error = volumes.remove(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_directory_of_a_volume_tells_its_name_and_nothing_else_does() {
        let volumes = Path::new("/var/lib/hoist/volumes");
        let name = |path: &str| volume_of(Path::new(path), volumes);
        assert_eq!(
            name("/var/lib/hoist/volumes/data/_data"),
            Some("data".to_owned())
        );
        for other in [
            "/var/lib/hoist/volumes/data",
            "/srv/data/_data",
            "/var/lib/hoist/volumes/data/_data/x",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}

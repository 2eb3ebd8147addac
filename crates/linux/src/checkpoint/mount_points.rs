//! The places in a container's root that its mounts go to. An engine restores a container in a new root of its image, where those
//! are missing that the first start has made; criu makes none.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use hoist_compute::Result;
use hoist_spec::oci::{Mount, Spec};
use rustix::fs::{FileType, Mode, mkdirat, mknodat};
use rustix::io::Errno;

use crate::root::{self, Root};
use crate::service::system;

/// What a mount point is made with, as at a start.
const MODE: Mode = Mode::from_raw_mode(0o755);

/// Makes those that are missing in this root. What is mounted inside another mount has its place there.
pub(super) fn make(oci: &Spec, root: &Path) -> Result<()> {
    let mounts = oci.mounts().as_deref().unwrap_or_default();
    let targets: Vec<PathBuf> = mounts
        .iter()
        .map(|mount| plain(mount.destination()))
        .collect();
    let root = Root::directory(root::directory(root).map_err(hoist_compute::Error::from)?);
    for (mount, target) in mounts.iter().zip(&targets) {
        let is_inside = |other: &PathBuf| target != other && target.starts_with(other);
        if !targets.iter().any(is_inside) {
            make_one(&root, target, is_file(mount)).map_err(|error| {
                system(format!("make the mount point {}", target.display()), error)
            })?;
        }
    }
    Ok(())
}

/// A path in the container without what leads nowhere else.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    plain
}

/// Whether it is a bind mount of something else than a directory.
fn is_file(mount: &Mount) -> bool {
    let options = mount.options().as_deref().unwrap_or_default();
    let is_bind = mount.typ().as_deref() == Some("bind")
        || options
            .iter()
            .any(|option| matches!(&**option, "bind" | "rbind"));
    let source = mount.source().as_deref().filter(|_| is_bind);
    source
        .and_then(|source| fs::metadata(source).ok())
        .is_some_and(|source| !source.is_dir())
}

/// Makes what is missing of a path, one component after the other, each in a directory that is held: links are followed in the root
/// alone, and one that leads nowhere is not made into something.
fn make_one(root: &Root, target: &Path, is_file: bool) -> io::Result<()> {
    let find = |path: &Path| root.handle(path, true).map_err(io::Error::other);
    let mut path = PathBuf::from("/");
    let parts: Vec<&OsStr> = target.iter().skip(1).collect();
    for (index, name) in parts.iter().enumerate() {
        let parent = find(&path)?.ok_or(Errno::NOENT)?;
        path.push(name);
        if find(&path)?.is_some() {
            continue;
        }
        match is_file && index + 1 == parts.len() {
            true => mknodat(&parent, *name, FileType::RegularFile, MODE, 0)?,
            false => mkdirat(&parent, *name, MODE)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::{Value, json};

    use super::*;

    fn made(mounts: &Value, root: &Path) -> Result<()> {
        let oci = json!({"ociVersion": "1.2.0", "mounts": mounts});
        make(&serde_json::from_value(oci).unwrap(), root)
    }

    #[test]
    fn what_is_missing_is_made_as_what_will_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("source"), "").unwrap();
        fs::create_dir_all(root.join("there/already")).unwrap();
        let bind = |source: &Path, target: &str| json!({"destination": target, "source": source, "options": ["rbind"]});
        let mounts = json!([
            {"destination": "/proc", "type": "proc"},
            {"destination": "/dev", "type": "tmpfs"},
            {"destination": "/dev/shm", "type": "tmpfs"},
            {"destination": "/there/already", "type": "tmpfs"},
            bind(&root.join("there"), "/a/./b/../folder"),
            bind(&root.join("source"), "/etc/hosts"),
        ]);
        for _ in 0..2 {
            made(&mounts, root).unwrap();
        }
        for directory in ["proc", "dev", "there/already", "a/folder"] {
            assert!(root.join(directory).is_dir(), "{directory}");
        }
        assert!(root.join("etc/hosts").is_file());
        // That is made with the file system above it.
        assert!(!root.join("dev/shm").exists() && !root.join("a/b").exists());
    }

    #[test]
    fn links_lead_nowhere_out() {
        let folder = tempfile::tempdir().unwrap();
        let (root, bait) = (folder.path().join("root"), folder.path().join("bait"));
        fs::create_dir_all(root.join(bait.strip_prefix("/").unwrap())).unwrap();
        fs::create_dir(&bait).unwrap();
        symlink(&bait, root.join("out")).unwrap();
        symlink("../../../../../..", root.join("up")).unwrap();
        symlink("/nowhere", root.join("dangling")).unwrap();
        let at = |target: &str| made(&json!([{"destination": target, "type": "tmpfs"}]), &root);
        at("/out/made").unwrap();
        at("/up/made").unwrap();
        let inside = root.join(bait.strip_prefix("/").unwrap());
        assert!(inside.join("made").is_dir() && root.join("made").is_dir());
        for refused in ["/dangling", "/dangling/made"] {
            let error = at(refused).unwrap_err();
            assert!(error.to_string().contains(refused), "{error}");
        }
        assert_eq!(fs::read_dir(&bait).unwrap().count(), 0);
        assert!(!root.join("nowhere").exists());
    }
}

//! Who could have written a checkpoint: criu makes processes of the host of it, as root.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hoist_compute::{Error, ErrorKind, Phase, Result};
use rustix::process::geteuid;

use crate::service::system;

/// The link to an earlier image that criu makes.
const PARENT: &str = "parent";
/// As many earlier images as one may rest on.
const MOST: usize = 256;

/// Refuses a folder, or a file in it or in one that it rests on, that somebody else than root and the caller may write to.
pub(super) fn check(image: &Path) -> Result<()> {
    let mut seen = HashSet::new();
    let mut folder = image.to_owned();
    loop {
        let found = check_folder(&folder).map_err(|error| {
            system(
                format!("look at the checkpoint {}", folder.display()),
                error,
            )
        })?;
        if let Some(path) = found {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                Phase::Start,
                format!("restore from {}: it is no file or folder of root's that nobody else can write to", path.display()),
            )
            .remedy("a checkpoint becomes processes of this machine: take one that nobody can have changed, and chown and chmod it"));
        }
        let Ok(parent) = fs::canonicalize(folder.join(PARENT)) else {
            return Ok(());
        };
        if !seen.insert(parent.clone()) || seen.len() > MOST {
            return Err(Error::new(
                ErrorKind::InvalidSpec,
                Phase::Start,
                format!(
                    "restore from {}: its earlier images lead round in a circle",
                    image.display()
                ),
            ));
        }
        folder = parent;
    }
}

/// The first thing that others can write to, or that is neither file nor folder.
fn check_folder(folder: &Path) -> io::Result<Option<PathBuf>> {
    if is_others(&fs::metadata(folder)?) {
        return Ok(Some(folder.to_owned()));
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        let is_link = found.is_symlink() && entry.file_name() == PARENT;
        if !is_link && (is_others(&found) || !(found.is_file() || found.is_dir())) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn is_others(found: &fs::Metadata) -> bool {
    let own = geteuid().as_raw();
    (found.uid() != own && found.uid() != 0) || found.mode() & 0o022 != 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn image() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let file = folder.path().join("pages-1.img");
        fs::write(&file, "x").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        folder
    }

    #[test]
    fn an_image_that_others_can_write_to_is_refused_and_so_is_one_that_it_rests_on() {
        let (earlier, later) = (image(), image());
        symlink(earlier.path(), later.path().join(PARENT)).unwrap();
        check(later.path()).unwrap();
        let file = earlier.path().join("pages-1.img");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
        let error = check(later.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("pages-1.img"), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(later.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(check(later.path()).is_err());
    }

    #[test]
    fn links_and_circles_are_refused() {
        let image = image();
        symlink("/etc/passwd", image.path().join("core-1.img")).unwrap();
        assert!(check(image.path()).is_err());
        fs::remove_file(image.path().join("core-1.img")).unwrap();
        symlink(image.path(), image.path().join(PARENT)).unwrap();
        let error = check(image.path()).unwrap_err().to_string();
        assert!(error.contains("circle"), "{error}");
    }
}

//! Whether mounts may go where they are asked for. Each name at the top of the root is looked up once for all targets that
//! lie below it: with many layers a look-up is a system call in each of them.

use std::collections::BTreeMap;

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};

use super::{Root, RootError, system, walk};
use walk::Found;

/// What is wrong with mount targets in a root.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Those whose way goes above the root by a `..`, their own or a symbolic link's. Absolute links start again at the root
    /// and are fine (`/var/run -> /run`); the way ends at the first name that is missing, or that the caller may not
    /// look into.
    pub(super) climbing: Vec<String>,
    /// The names of directories, of those asked for, with a target on or below them that are there and are something other
    /// than a real directory.
    pub(super) not_directories: Vec<String>,
}

impl Root {
    /// Looks at the ways to `targets` (absolute, as the container sees them), and whether those of `directories`, names at the
    /// top of the root that have a target on or below them, are such.
    pub(super) fn look_at_targets<'a>(
        &self,
        targets: impl Iterator<Item = &'a str>,
        directories: &[&str],
    ) -> Result<Targets, RootError> {
        let mut looked = Targets::default();
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for target in targets {
            by_name.entry(first_name(target)).or_default().push(target);
        }
        for (name, targets) in by_name {
            let top = match name {
                "" | ".." => Ok(Found::Missing),
                name => walk::look_up(&self.layers, self.overlay, name.as_bytes()),
            };
            for target in targets {
                if self.climbs_out(&top, target)? {
                    looked.climbing.push(target.to_owned());
                }
            }
            if directories.contains(&name) {
                match top.map_err(|errno| system("look at", name, errno))? {
                    Found::Link(_) | Found::Other(..) => {
                        looked.not_directories.push(name.to_owned());
                    }
                    Found::Missing | Found::Directory(_) | Found::Refused(_) => {}
                }
            }
        }
        Ok(looked)
    }

    /// Whether the way to `target` climbs, where its first name leads to `top`.
    fn climbs_out(&self, top: &Result<Found, Errno>, target: &str) -> Result<bool, RootError> {
        // A way without any symbolic link and `..` cannot climb, and most are such. With `..`, one layer would not
        // do: it may lack the directory that another has.
        let straight = !target.split('/').any(|part| part == "..")
            && match top {
                Ok(Found::Directory(merged)) => {
                    let below = below_first_name(target);
                    below.is_empty() || merged.iter().all(|layer| is_straight(layer, below))
                }
                Ok(Found::Link(_)) => false,
                // The way ends here.
                Ok(Found::Missing | Found::Other(..) | Found::Refused(_)) | Err(_) => true,
            };
        Ok(!straight && walk::resolve(&self.layers, self.overlay, target)?.climbs)
    }
}

fn is_straight(directory: &std::os::fd::OwnedFd, path: &str) -> bool {
    matches!(
        openat2(
            directory,
            path,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        ),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)
    )
}

/// `path` without what does not lead anywhere at its begin.
fn trimmed(path: &str) -> &str {
    let mut rest = path;
    loop {
        rest = rest.trim_start_matches('/');
        match rest.strip_prefix('.') {
            Some(after) if after.is_empty() || after.starts_with('/') => rest = after,
            _ => return rest,
        }
    }
}

fn first_name(path: &str) -> &str {
    let path = trimmed(path);
    path.split_once('/').map_or(path, |(name, _)| name)
}

fn below_first_name(path: &str) -> &str {
    trimmed(path)
        .split_once('/')
        .map_or("", |(_, rest)| trimmed(rest))
}

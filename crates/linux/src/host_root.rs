//! Looking at this machine's own system directories, to compose the default root of them.
//!
//! Only what a program needs to run is shown: `/usr`, `/bin`, `/sbin`, `/lib*`, `/etc` and `/opt`. Homes,
//! `/var`, `/run`, `/tmp`, `/srv`, `/boot`, `/mnt` and `/media` are there and empty, so no private data is
//! shown. What the result means is in [`root_facts`](crate::root_facts).

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    root::RootError,
    root_facts::{HostEntry, HostEntryKind, HostRoot},
};

/// The trees that are shown.
const SHOWN: [&str; 9] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt",
];

/// The directories that are there and empty, with the modes of the Filesystem Hierarchy Standard's usual
/// installations.
const EMPTY: [(&str, u32); 14] = [
    ("/boot", 0o755),
    ("/dev", 0o755),
    ("/home", 0o755),
    ("/media", 0o755),
    ("/mnt", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/srv", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/var", 0o755),
    ("/var/lib", 0o755),
    ("/var/tmp", 0o1777),
];

/// File systems that overlayfs does not take as a lower layer: their names compare in ways of their own, or
/// looking at them mounts something (fs/overlayfs/super.c, `ovl_dentry_weird`), or they are the kernel's.
const NOT_A_LOWER_LAYER: [&str; 15] = [
    "autofs",
    "cgroup",
    "cgroup2",
    "cifs",
    "devpts",
    "exfat",
    "msdos",
    "ntfs",
    "ntfs3",
    "proc",
    "securityfs",
    "smb3",
    "sysfs",
    "vfat",
    "mqueue",
];

impl HostRoot {
    /// Looks at this machine. Reads `/proc/self/mountinfo` once, which no other kind of root needs: overlayfs does
    /// not show mounts below its lower directory, and in a user namespace the kernel refuses a lower directory
    /// with mounts below it, such as a docker container's `/etc/hosts`.
    pub(crate) fn read() -> Result<Self, RootError> {
        let path = "/proc/self/mountinfo";
        let table = fs::read(path).map_err(|source| host("read", Path::new(path), source))?;
        Self::below(Path::new("/"), &table)
    }

    /// Looks at the trees below `top`, with the mounts that `table` lists.
    fn below(top: &Path, table: &[u8]) -> Result<Self, RootError> {
        let mut compose = Compose {
            top,
            mounts: mounts_in_shown_trees(table),
            entries: Vec::new(),
        };
        for path in SHOWN {
            compose.add(path)?;
        }
        for (path, mode) in EMPTY {
            compose.push(path, HostEntryKind::Directory { mode });
        }
        Ok(Self {
            entries: compose.entries,
        })
    }
}

/// One mount of this machine.
struct MountPoint {
    path: String,
    is_lower_layer: bool,
}

struct Compose<'a> {
    top: &'a Path,
    mounts: Vec<MountPoint>,
    entries: Vec<HostEntry>,
}

impl Compose<'_> {
    fn push(&mut self, path: &str, kind: HostEntryKind) {
        self.entries.push(HostEntry {
            path: path.to_owned(),
            kind,
        });
    }

    /// Adds what is at `path`, and what is below where that must be composed. Fifos, sockets and devices have
    /// no content to show and are left out.
    fn add(&mut self, path: &str) -> Result<(), RootError> {
        let real = self.real(path);
        let metadata = match fs::symlink_metadata(&real) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(host("look at", &real, source)),
        };
        let file_type = metadata.file_type();
        if file_type.is_symlink() {
            let content =
                fs::read_link(&real).map_err(|source| host("read link", &real, source))?;
            if let Some(content) = content.to_str() {
                self.push(path, HostEntryKind::Link(content.to_owned()));
            }
        } else if file_type.is_file() {
            self.push(path, HostEntryKind::BindFile);
        } else if file_type.is_dir() {
            // The mount that is seen is the last one.
            let mount = self.mounts.iter().rev().find(|mount| mount.path == path);
            if mount.is_some_and(|mount| !mount.is_lower_layer) {
                self.push(path, HostEntryKind::BindDirectory);
            } else if self.has_mounts_below(path) {
                let mode = metadata.permissions().mode() & 0o7777;
                self.push(path, HostEntryKind::Directory { mode });
                self.add_entries(path, &real)?;
            } else {
                self.push(path, HostEntryKind::Overlay);
            }
        }
        Ok(())
    }

    fn add_entries(&mut self, path: &str, real: &Path) -> Result<(), RootError> {
        let names = match fs::read_dir(real) {
            Ok(names) => names,
            // A directory that its user cannot list shows nothing.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            Err(source) => return Err(host("list", real, source)),
        };
        let mut paths = Vec::new();
        for name in names {
            let name = name.map_err(|source| host("list", real, source))?;
            // A plan is text: a name in another encoding has no place in it.
            if let Some(name) = name.file_name().to_str() {
                paths.push(format!("{path}/{name}"));
            }
        }
        // The same root gives the same plan.
        paths.sort_unstable();
        paths.iter().try_for_each(|path| self.add(path))
    }

    fn has_mounts_below(&self, path: &str) -> bool {
        self.mounts.iter().any(|mount| {
            mount
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    fn real(&self, path: &str) -> PathBuf {
        self.top.join(path.trim_start_matches('/'))
    }
}

/// The mount points at or below the shown trees, of a mountinfo table (proc_pid_mountinfo(5)).
fn mounts_in_shown_trees(table: &[u8]) -> Vec<MountPoint> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ');
            let path = unescape(fields.nth(4)?)?;
            SHOWN.iter().find(|tree| {
                path.strip_prefix(**tree)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })?;
            // Optional fields end with a dash; the file system's type follows.
            let file_system = fields.skip_while(|field| *field != b"-").nth(1)?;
            let is_lower_layer = !NOT_A_LOWER_LAYER
                .iter()
                .any(|name| name.as_bytes() == file_system);
            Some(MountPoint {
                path,
                is_lower_layer,
            })
        })
        .collect()
}

/// Mount points are written with space, tab, newline and backslash as three octal digits.
pub(crate) fn unescape(field: &[u8]) -> Option<String> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let octal = (*first == b'\\').then(|| behind.get(..3)).flatten();
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                plain.push(code);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => plain.push(*first),
        }
    }
    String::from_utf8(plain).ok()
}

fn host(operation: &'static str, path: &Path, source: io::Error) -> RootError {
    RootError::Host {
        operation,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn machine() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        for path in [
            "usr/bin",
            "usr/local/share",
            "etc/ssl/certs",
            "opt",
            "home/me",
            "var/log",
        ] {
            fs::create_dir_all(top.path().join(path)).unwrap();
        }
        symlink("usr/bin", top.path().join("bin")).unwrap();
        symlink("../proc/self/mounts", top.path().join("etc/mtab")).unwrap();
        for file in ["etc/hosts", "etc/passwd", "usr/README"] {
            fs::write(top.path().join(file), "x").unwrap();
        }
        rustix::fs::mknodat(
            rustix::fs::CWD,
            top.path().join("etc/fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        top
    }

    fn composed(top: &Path, table: &str) -> Vec<(String, HostEntryKind)> {
        HostRoot::below(top, table.as_bytes())
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| (entry.path, entry.kind))
            .collect()
    }

    fn kind<'a>(entries: &'a [(String, HostEntryKind)], path: &str) -> Option<&'a HostEntryKind> {
        entries
            .iter()
            .find(|(known, _)| known == path)
            .map(|(_, kind)| kind)
    }

    const PLAIN: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";

    #[test]
    fn without_mounts_below_each_tree_is_one_overlay_or_link() {
        let top = machine();
        let entries = composed(top.path(), PLAIN);
        let shown: Vec<_> = entries
            .iter()
            .take_while(|(_, kind)| !matches!(kind, HostEntryKind::Directory { .. }))
            .cloned()
            .collect();
        assert_eq!(
            shown,
            [
                ("/usr".to_owned(), HostEntryKind::Overlay),
                ("/bin".to_owned(), HostEntryKind::Link("usr/bin".to_owned())),
                ("/etc".to_owned(), HostEntryKind::Overlay),
                ("/opt".to_owned(), HostEntryKind::Overlay),
            ]
        );
        assert_eq!(
            kind(&entries, "/root"),
            Some(&HostEntryKind::Directory { mode: 0o700 })
        );
        assert!(!entries.iter().any(|(path, _)| path.starts_with("/home/")));
    }

    #[test]
    fn a_directory_with_mounts_below_is_composed_along_the_way_to_them() {
        let top = machine();
        let table = format!(
            "{PLAIN}\
             30 27 254:1 /hosts /etc/hosts rw shared:1 master:2 - ext4 /dev/vdb rw\n\
             31 27 254:2 / /usr/local rw - xfs /dev/vdc rw\n\
             32 27 0:3 / /etc/ssl/certs ro - vfat /dev/vdd ro\n\
             33 27 0:4 / /home/me rw - ext4 /dev/vde rw\n"
        );
        let entries = composed(top.path(), &table);
        for (path, expected) in [
            ("/usr/bin", HostEntryKind::Overlay),
            ("/usr/local", HostEntryKind::Overlay),
            ("/usr/README", HostEntryKind::BindFile),
            ("/etc/hosts", HostEntryKind::BindFile),
            ("/etc/passwd", HostEntryKind::BindFile),
            (
                "/etc/mtab",
                HostEntryKind::Link("../proc/self/mounts".to_owned()),
            ),
            ("/etc/ssl/certs", HostEntryKind::BindDirectory),
        ] {
            assert_eq!(kind(&entries, path), Some(&expected), "{path}");
        }
        for path in ["/usr", "/etc", "/etc/ssl"] {
            assert!(
                matches!(kind(&entries, path), Some(HostEntryKind::Directory { .. })),
                "{path}"
            );
        }
        for path in ["/etc/fifo", "/usr/local/share", "/home/me"] {
            assert_eq!(kind(&entries, path), None, "{path}");
        }
    }

    #[test]
    fn every_parent_comes_before_what_it_holds() {
        let top = machine();
        let entries = composed(
            top.path(),
            "30 27 254:1 / /usr/local/share rw - ext4 /dev/vdb rw\n",
        );
        for (index, (path, _)) in entries.iter().enumerate() {
            let (parent, _) = path.rsplit_once('/').unwrap();
            assert!(
                parent.is_empty() || entries[..index].iter().any(|(known, _)| known == parent),
                "{path}"
            );
        }
    }

    #[test]
    fn an_escaped_mount_point_is_read_as_it_is_named() {
        let top = machine();
        fs::create_dir(top.path().join("opt/a b\\c")).unwrap();
        let entries = composed(
            top.path(),
            "30 27 254:1 / /opt/a\\040b\\134c rw - ext4 /dev/vdb rw\n",
        );
        assert_eq!(kind(&entries, "/opt/a b\\c"), Some(&HostEntryKind::Overlay));
        assert!(matches!(
            kind(&entries, "/opt"),
            Some(HostEntryKind::Directory { .. })
        ));
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let entries = HostRoot::read().unwrap().entries;
        assert!(entries.iter().any(|entry| entry.path == "/usr"));
    }
}

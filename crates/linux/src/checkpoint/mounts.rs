//! The mounts of a process as the kernel tells them, and those of a container that criu neither dumps nor makes itself.

use std::path::{Path, PathBuf};

use hoist_spec::oci::Spec;

use crate::host_root::unescape;

/// Those that every container has (OCI runtime spec, "Default Devices").
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// One line of mountinfo (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountLine {
    pub(crate) id: u64,
    /// What of the file system is mounted.
    pub(crate) root: String,
    pub(crate) point: String,
    pub(crate) options: Vec<String>,
    pub(crate) file_system: String,
}

impl MountLine {
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|known| known == option)
    }
}

/// Reads a mountinfo table; lines that are none are left out.
pub(crate) fn parse(table: &[u8]) -> Vec<MountLine> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MountLine> {
    let mut fields = line.split(|byte| *byte == b' ');
    let text = |field: &[u8]| String::from_utf8(field.to_vec()).ok();
    let id = text(fields.next()?)?.parse().ok()?;
    let root = unescape(fields.nth(2)?)?;
    let point = unescape(fields.next()?)?;
    let options = text(fields.next()?)?
        .split(',')
        .map(str::to_owned)
        .collect();
    // Optional fields end with a dash.
    let file_system = text(fields.skip_while(|field| *field != b"-").nth(1)?)?;
    Some(MountLine {
        id,
        root,
        point,
        options,
        file_system,
    })
}

/// A mount whose source is the host's: criu is told that it is there, by a name, and what to mount there again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct External {
    /// Where the spec, not the image, has it; also its name.
    pub(crate) destination: String,
    pub(crate) source: PathBuf,
    /// It may have another kind of mount there, which shows a whole file system of its own: criu makes that itself.
    pub(crate) is_file: bool,
}

/// Those that a container of this spec may have: bind mounts, its cgroup, and what the null device masks. `cgroup` is the
/// directory of the unified hierarchy, for a host that has no other.
pub(crate) fn externals(oci: &Spec, cgroup: Option<&Path>) -> Vec<External> {
    let mut found = Vec::new();
    for mount in oci.mounts().iter().flatten() {
        let destination = mount.destination().display().to_string();
        let options = mount.options().as_deref().unwrap_or_default();
        let kind = mount.typ().as_deref().unwrap_or_default();
        let is_bind = kind == "bind"
            || options
                .iter()
                .any(|option| matches!(&**option, "bind" | "rbind"));
        let source = match (is_bind, kind) {
            (true, _) => mount.source().clone(),
            // A mount of criu's own would take the flags of the host's hierarchy away.
            (false, "cgroup" | "cgroup2") => cgroup.map(Path::to_owned),
            (false, _) => None,
        };
        found.extend(source.map(|source| External {
            destination,
            source,
            is_file: false,
        }));
    }
    let linux = oci.linux().as_ref();
    // Where a container may make no device, it has the host's.
    let own = linux.and_then(|linux| linux.devices().as_ref());
    let own = own
        .into_iter()
        .flatten()
        .map(|device| device.path().clone());
    let devices = DEVICES.iter().map(PathBuf::from).chain(own);
    found.extend(devices.map(|path| External {
        destination: path.display().to_string(),
        source: path,
        is_file: true,
    }));
    let null = |path: &String| External {
        destination: path.clone(),
        source: PathBuf::from("/dev/null"),
        is_file: true,
    };
    let masked = linux.and_then(|linux| linux.masked_paths().as_deref());
    found.extend(masked.unwrap_or_default().iter().map(null));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_read_with_its_optional_fields_and_escapes() {
        let table =
            b"42 31 0:25 /b/root\\040fs / ro,relatime shared:1 master:2 - tmpfs tmpfs rw,inode64\n\
            torn line\n52 44 0:5 /null /proc/kcore rw,relatime - devtmpfs devtmpfs rw\n";
        let lines = parse(table);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            MountLine {
                id: 42,
                root: "/b/root fs".into(),
                point: "/".into(),
                options: vec!["ro".into(), "relatime".into()],
                file_system: "tmpfs".into(),
            }
        );
        assert_eq!(lines[1].root, "/null");
        assert!(lines[0].has("ro") && !lines[1].has("ro"));
    }

    #[test]
    fn bind_mounts_the_cgroup_and_masked_paths_are_the_hosts() {
        let oci: Spec = serde_json::from_value(serde_json::json!({
            "ociVersion": "1.0.0",
            "mounts": [
                {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"},
            ],
            "linux": {"maskedPaths": ["/proc/kcore"]},
        }))
        .unwrap();
        let shown = |cgroup: Option<&str>| -> Vec<String> {
            externals(&oci, cgroup.map(Path::new))
                .iter()
                .filter(|external| !DEVICES.contains(&&*external.destination))
                .map(|external| format!("{}={}", external.destination, external.source.display()))
                .collect()
        };
        assert_eq!(
            shown(Some("/sys/fs/cgroup/hoist/c1")),
            [
                "/data=/srv",
                "/sys/fs/cgroup=/sys/fs/cgroup/hoist/c1",
                "/proc/kcore=/dev/null"
            ]
        );
        assert_eq!(shown(None), ["/data=/srv", "/proc/kcore=/dev/null"]);
    }
}

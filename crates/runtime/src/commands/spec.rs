//! `spec`: a `config.json` to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::state::pretty;
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;
use crate::help::SPEC_VERSION;

/// Flags of `spec`.
pub(crate) const FLAGS: [Flag; 2] = [
    Flag::with_value(
        "bundle",
        "DIR",
        "where to write it (default: the current folder)",
    )
    .or("b"),
    Flag::switch(
        "rootless",
        "for a container in a user namespace of the caller's own",
    ),
];

const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
const MASKED_PATHS: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

pub(crate) fn spec(_: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let folder = arguments.value("bundle").unwrap_or(".");
    let path = Path::new(folder).join("config.json");
    let mut text = pretty(&document(arguments.has("rootless")))?;
    text.push('\n');
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(0),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Failure::new(format!(
            "File {} exists. Remove it first",
            path.display()
        ))),
        Err(error) => Err(Failure::new(format!("write {}: {error}", path.display()))),
    }
}

fn document(rootless: bool) -> Value {
    let mut spec = json!({
        "ociVersion": SPEC_VERSION,
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES,
                "effective": CAPABILITIES,
                "permitted": CAPABILITIES,
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "hoist",
        "mounts": mounts(rootless),
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"},
            ],
            "maskedPaths": MASKED_PATHS,
            "readonlyPaths": READONLY_PATHS,
        },
    });
    if rootless {
        let own = |id: u32| json!([{"containerID": 0, "hostID": id, "size": 1}]);
        spec["linux"]["uidMappings"] = own(rustix::process::geteuid().as_raw());
        spec["linux"]["gidMappings"] = own(rustix::process::getegid().as_raw());
        if let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
            // The host's network: an ordinary user can connect no other.
            namespaces.retain(|namespace| namespace["type"] != "network");
            namespaces.push(json!({"type": "user"}));
        }
    } else {
        spec["linux"]["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]});
    }
    spec
}

fn mounts(rootless: bool) -> Value {
    let kernel = ["nosuid", "noexec", "nodev"];
    let with = |more: &[&'static str]| [kernel.as_slice(), more].concat();
    let mut terminals = vec![
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
    ];
    if !rootless {
        terminals.push("gid=5");
    }
    let sys = match rootless {
        true => {
            json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]})
        }
        false => {
            json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": with(&["ro"])})
        }
    };
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": terminals}),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": with(&["mode=1777", "size=65536k"])}),
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": kernel}),
        sys,
    ];
    if !rootless {
        mounts.push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": with(&["relatime", "ro"])}));
    }
    Value::Array(mounts)
}

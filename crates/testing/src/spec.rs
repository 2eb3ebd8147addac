//! Specs that run the probe: the kernel's containers as the OCI runtime spec describes them.

use std::path::Path;

use hoist_spec::{
    ContainerSpec, ProcessSpec, RootSource, SeccompPolicy, StopPolicy,
    oci::{Process, Spec},
};
use serde_json::{Value, json};

use crate::probe::{self, sys};
use crate::unfiltered;

/// The capabilities docker gives (its documentation, "Runtime privilege and Linux capabilities").
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// A container whose program is the probe in `root` ([`crate::root::minimal`]), with new namespaces of every kind
/// that this user can make. Its environment bears `tag` for [`crate::Leaks`].
pub fn container(root: &Path, tag: &str, probe: &[&str]) -> ContainerSpec {
    ContainerSpec {
        oci: oci(root, tag, probe),
        root: RootSource::Directory(root.to_owned()),
        user: None,
        groups: Vec::new(),
        seccomp: SeccompPolicy::Default,
        init: false,
        stop: StopPolicy::default(),
        joined: Vec::new(),
    }
}

/// A further process of such a container: the probe again.
pub fn process(tag: &str, probe: &[&str]) -> ProcessSpec {
    ProcessSpec {
        oci: serde_json::from_value::<Process>(process_json(tag, probe)).unwrap(),
        user: None,
    }
}

/// As [`container`], without any isolation: the probe of `root`, by its path on this machine.
pub fn without_isolation(root: &Path, tag: &str, probe: &[&str]) -> ContainerSpec {
    let oci = json!({
        "ociVersion": "1.2.0",
        "process": process_without_isolation_json(root, tag, probe),
    });
    unfiltered(oci, RootSource::Unisolated)
}

/// A further process of such a container.
pub fn process_without_isolation(root: &Path, tag: &str, probe: &[&str]) -> ProcessSpec {
    ProcessSpec {
        oci: serde_json::from_value(process_without_isolation_json(root, tag, probe)).unwrap(),
        user: None,
    }
}

fn process_without_isolation_json(root: &Path, tag: &str, probe: &[&str]) -> Value {
    let mut arguments = arguments(probe);
    arguments[0] = root.join("probe").display().to_string();
    json!({
        "user": {"uid": 0, "gid": 0},
        "args": arguments,
        "env": ["PATH=/bin", format!("HOIST_TEST_TAG={tag}")],
        "cwd": root,
    })
}

/// `/probe probe …`
fn arguments(probe: &[&str]) -> Vec<String> {
    ["/probe", "probe"]
        .iter()
        .chain(probe)
        .map(|&word| word.to_owned())
        .collect()
}

fn process_json(tag: &str, probe: &[&str]) -> Value {
    json!({
        "user": {"uid": 0, "gid": 0},
        "args": arguments(probe),
        "env": ["PATH=/bin", format!("HOIST_TEST_TAG={tag}")],
        "cwd": "/",
        "noNewPrivileges": true,
        "capabilities": {
            "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
        },
    })
}

fn oci(root: &Path, tag: &str, probe: &[&str]) -> Spec {
    let as_user = !probe::is_administrator();
    let mut namespaces = vec!["pid", "mount", "ipc", "uts", "network", "cgroup"];
    let mut linux = json!({});
    if as_user {
        namespaces.push("user");
        linux["uidMappings"] =
            json!([{"containerID": 0, "hostID": sys::effective_uid(), "size": 1}]);
        linux["gidMappings"] =
            json!([{"containerID": 0, "hostID": sys::effective_gid(), "size": 1}]);
    }
    linux["namespaces"] = namespaces
        .iter()
        .map(|kind| json!({"type": kind}))
        .collect::<Vec<_>>()
        .into();
    let console_group = if as_user { None } else { Some("gid=5") };
    let mount = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
    let console: Vec<&str> = [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
    ]
    .into_iter()
    .chain(console_group)
    .collect();
    serde_json::from_value(json!({
        "ociVersion": "1.2.0",
        "hostname": "probe",
        "root": {"path": root, "readonly": false},
        "process": process_json(tag, probe),
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &console),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/tmp", "tmpfs", &["nosuid", "nodev", "mode=1777", "size=65536k"]),
        ],
        "linux": linux,
    }))
    .unwrap()
}

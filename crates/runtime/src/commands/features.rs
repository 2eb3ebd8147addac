//! `features`: what this runtime knows and does (OCI runtime spec, "Features Structure").

use serde_json::json;

use super::print;
use super::state::pretty;
use crate::args::Arguments;
use crate::failure::Failure;
use crate::global::Global;
use crate::help::SPEC_VERSION;

const HOOKS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];
const NAMESPACES: [&str; 8] = [
    "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts",
];

pub(crate) fn features(_: &mut Global, _: &Arguments) -> Result<u8, Failure> {
    print(&pretty(&json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": HOOKS,
        "mountOptions": hoist_linux::runtime::mount_options(),
        "linux": {
            "namespaces": NAMESPACES,
            "capabilities": hoist_linux::runtime::capability_names(),
            "cgroup": {
                "v1": true,
                "v2": true,
                "systemd": true,
                "systemdUser": false,
                "rdma": true,
            },
            "seccomp": {
                "enabled": true,
                "actions": hoist_linux::runtime::SECCOMP_ACTIONS,
                "operators": hoist_linux::runtime::SECCOMP_OPERATORS,
                "archs": hoist_linux::runtime::SECCOMP_ARCHITECTURES,
                "knownFlags": hoist_linux::runtime::SECCOMP_FLAGS,
                "supportedFlags": hoist_linux::runtime::SECCOMP_FLAGS,
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true},
        },
        "annotations": {
            "org.hoist.version": env!("CARGO_PKG_VERSION"),
            "org.hoist.checkpoint": format!("not supported: {}", super::checkpoint::reason()),
        },
        "potentiallyUnsafeConfigAnnotations": [],
    }))?)
}

//! `features`: what this runtime knows and does (OCI runtime spec, "Features Structure").

use hoist_linux::runtime::Criu;
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

pub(crate) fn features(global: &mut Global, _: &Arguments) -> Result<u8, Failure> {
    let checkpoint = Criu::new(global.criu.as_deref()).check();
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
            "memoryPolicy": {
                "modes": hoist_linux::runtime::MEMORY_POLICY_MODES,
                "flags": hoist_linux::runtime::MEMORY_POLICY_FLAGS,
            },
            "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true},
        },
        "annotations": {
            "org.hoist.version": env!("CARGO_PKG_VERSION"),
            "org.hoist.checkpoint": match &checkpoint {
                Ok(()) => "supported".to_owned(),
                Err(reason) => format!("not supported: {reason}"),
            },
            "org.opencontainers.runc.checkpoint.enabled": checkpoint.is_ok().to_string(),
        },
        "potentiallyUnsafeConfigAnnotations": [],
    }))?)
}

//! SELinux under the policy of a distribution: the reference policy as Debian has it, with its types for containers, enforced
//! (`cargo xtask vm --systemd` has a machine with it).

use std::{fs, path::Path};

use hoist_testing::{Need, Suite};
use rustix::fs::{XattrFlags, lsetxattr};
use serde_json::json;

use crate::kit::Bundle;
use crate::selinux::attribute;

const REFERENCE: &[Need] = &[Need::Root, Need::ReferencePolicy, Need::Tool("busybox")];

/// What the policy's `lxc_contexts` has engines give to processes and file systems, with the categories of one container; and the same for
/// a user that the policy does not confine. Neither user may make files for the other.
const LABELS: [(&str, &str); 2] = [
    (
        "system_u:system_r:container_t:s0:c1,c2",
        "system_u:object_r:container_file_t:s0:c1,c2",
    ),
    (
        "unconfined_u:unconfined_r:container_t:s0:c1,c2",
        "unconfined_u:object_r:container_file_t:s0:c1,c2",
    ),
];

pub(crate) fn add(suite: Suite) -> Suite {
    suite.test(
        "reference policy: a container and its execs have the labels that engines give, use what is theirs and nothing else",
        REFERENCE,
        confined,
    )
}

/// Labels a file, or a folder with all that is in it.
fn label(path: &Path, label: &str) {
    lsetxattr(
        path,
        "security.selinux",
        label.as_bytes(),
        XattrFlags::empty(),
    )
    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            self::label(&entry.unwrap().path(), label);
        }
    }
}

/// What a process of the container tries, each on a line: what may be done, and what not.
const TRIES: &str = "\
    try() { if \"$@\" >/dev/null 2>&1; then echo \"$* can\"; else echo \"$* cannot\"; fi; }; \
    cat /proc/self/attr/current; echo; \
    try cat /bin/text; try touch /made; try touch /dev/shm/made; try touch /tmp/made; try cat /host/own; try touch /host/own; \
    try cat /host/etc; try touch /host/etc; try cat /host/shadow; try cat /host/home; try cat /host/other; try touch /host/other; \
    try cat /proc/1/status; try touch /proc/sys/kernel/hostname";

const OUTCOMES: &[(&str, bool)] = &[
    ("cat /bin/text", true),
    ("touch /made", true),
    ("touch /dev/shm/made", true),
    ("touch /tmp/made", true),
    ("cat /host/own", true),
    ("touch /host/own", true),
    // The policy lets containers read what configures programs, and no more.
    ("cat /host/etc", true),
    ("touch /host/etc", false),
    ("cat /host/shadow", false),
    ("cat /host/home", false),
    // Another container's.
    ("cat /host/other", false),
    ("touch /host/other", false),
    ("cat /proc/1/status", true),
    ("touch /proc/sys/kernel/hostname", false),
];

#[track_caller]
fn assert_outcomes(said: &str, label: &str) {
    assert!(said.contains(label), "{label} is not in {said}");
    for (tried, can) in OUTCOMES {
        let line = format!("{tried} {}\n", if *can { "can" } else { "cannot" });
        assert!(said.contains(&line), "{line} is not in {said}");
    }
}

fn confined() {
    for (process_label, files) in LABELS {
        for no_new_privileges in [false, true] {
            let mut bundle = Bundle::shell(&format!("{TRIES}; sleep 600")).unwrap();
            let host = bundle.path("host");
            fs::create_dir(&host).unwrap();
            for (name, its) in [
                ("own", files),
                ("etc", "system_u:object_r:etc_t:s0"),
                ("shadow", "system_u:object_r:shadow_t:s0"),
                ("home", "unconfined_u:object_r:user_home_t:s0"),
                ("other", "system_u:object_r:container_file_t:s0:c3,c4"),
            ] {
                fs::write(host.join(name), "of the host").unwrap();
                label(&host.join(name), its);
            }
            lsetxattr(
                &host,
                "security.selinux",
                files.as_bytes(),
                XattrFlags::empty(),
            )
            .unwrap();
            label(&bundle.rootfs(), files);
            for file in ["out", "err"] {
                fs::write(bundle.path(file), "").unwrap();
                label(&bundle.path(file), files);
            }
            bundle.config["process"]["selinuxLabel"] = json!(process_label);
            bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            bundle.config["linux"]["mountLabel"] = json!(files);
            let mounts = bundle.config["mounts"].as_array_mut().unwrap();
            mounts.push(json!({
                "destination": "/host", "type": "bind", "source": host, "options": ["bind"],
            }));
            bundle.start();
            bundle.await_words("out", "hostname can");
            assert_eq!(
                attribute(&bundle.pid().to_string(), "current"),
                process_label
            );
            assert_outcomes(&bundle.read("out"), process_label);

            fs::write(bundle.path("out"), "").unwrap();
            let words = ["exec", &bundle.id, "sh", "-c", TRIES];
            bundle.launch(&words).ok();
            assert_outcomes(&bundle.read("out"), process_label);
            bundle.remove();
        }
    }
}

//! This machine's own root, without the kernel's overlayfs.

use std::path::Path;

use hoist_testing::command::Hoist;

use super::user::{Method, User};

pub(super) fn own_root(hoist: &Hoist) {
    let user = User::with(hoist, Method::Fuse);
    let script = "echo x > /usr/hoist-was-here && cat /usr/hoist-was-here && ls /home";
    let ran = user.hoist(&["run", "--rm", "-e", "HOIST_TEST_TAG", "sh", "-c", script]);
    assert_eq!(ran.succeeded().trim(), "x");
    assert!(!Path::new("/usr/hoist-was-here").exists());
}

pub(super) fn own_root_without_overlays(hoist: &Hoist) {
    let user = User::with(hoist, Method::Copy);
    let ran = user.hoist(&["run", "--rm", "true"]);
    ran.failed_with(
        125,
        &[
            "this machine's own root",
            "--read-only",
            "--tmpfs",
            "--rootfs",
        ],
    );
    assert_eq!(user.hoist(&["ps", "-aq"]).succeeded(), "");
    // What could change the machine's files fails as on a read-only file system, whoever owns them; the rest is as ever.
    let script = "ls /home; cat /etc/hostname; touch /usr/x 2>&1; touch /etc/x 2>&1; touch /x 2>&1; \
                  echo kept > /tmp/x && cat /tmp/x; exit 7";
    let words = [
        "run",
        "--rm",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "-e",
        "HOIST_TEST_TAG",
    ];
    let ran = user.hoist(&[&words[..], &["sh", "-c", script]].concat());
    ran.ended_with(7);
    assert_eq!(
        ran.text().matches("Read-only file system").count(),
        3,
        "{ran:?}"
    );
    assert!(ran.text().ends_with("kept\n"), "{ran:?}");
}

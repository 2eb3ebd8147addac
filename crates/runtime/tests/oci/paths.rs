//! Section 2a of the field's history: paths in the root are the attacker's. Each test is named after what it tries; the bait is
//! a file and a folder of the host that must be as before.

use std::{fs, os::unix::fs::symlink, process::Command};

use hoist_testing::Suite;
use serde_json::json;

use crate::kit::{Bait, Bundle, CONTAINERS};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "CVE-2023-27561, CVE-2023-28642, CVE-2026-41579: /proc, /sys or /dev that is a link, a file or a fifo is refused",
            CONTAINERS,
            kernel_directories,
        )
        .test(
            "CVE-2015-3627 and on: a mount on a path that leads out by a link stays in the root",
            CONTAINERS,
            links_out,
        )
        .test(
            "CVE-2019-16884: nothing but the kernel's files may be mounted inside /proc",
            CONTAINERS,
            over_proc,
        )
        .test(
            "CVE-2024-45310: mount points are made in the root and not where a link points",
            CONTAINERS,
            made_mount_points,
        )
        .test(
            "CVE-2025-31133: a /dev/null of the root's own does not become a mask",
            CONTAINERS,
            false_null,
        )
        .test(
            "CVE-2025-52565: a /dev/console or /dev/pts of the root's own does not become the console",
            CONTAINERS,
            false_console,
        )
        .test(
            "CVE-2026-55686: a working directory that is a link out of the root is refused or stays inside",
            CONTAINERS,
            linked_working_directory,
        )
        .test(
            "the root itself as a mount target is refused or harmless",
            CONTAINERS,
            root_as_target,
        )
}

fn kernel_directories() {
    for name in ["proc", "sys", "dev"] {
        for what in ["link", "file", "fifo"] {
            let bait = Bait::new();
            let mut bundle = Bundle::new(&["report"]);
            bundle.config["mounts"].as_array_mut().unwrap().push(
                json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}),
            );
            let place = bundle.rootfs().join(name);
            fs::remove_dir_all(&place).unwrap();
            match what {
                "link" => symlink(bait.path().join("folder"), &place).unwrap(),
                "file" => fs::write(&place, "").unwrap(),
                _ => assert!(
                    Command::new("mkfifo")
                        .arg(&place)
                        .status()
                        .unwrap()
                        .success()
                ),
            }
            let said = bundle.create();
            assert_eq!(said.code, Some(1), "{name} as {what}: {said:?}");
            assert!(said.err.contains(&format!("/{name}")), "{said:?}");
            bundle.assert_nothing_is_recorded();
            bait.assert_untouched();
            bundle.remove();
        }
    }
}

fn links_out() {
    let bait = Bait::new();
    let outside = bait.path().join("folder");
    for (content, target) in [
        (outside.display().to_string(), "/mnt/link"),
        (
            format!("../../../../../../..{}", outside.display()),
            "/mnt/link",
        ),
        ("/proc/self/root".to_owned(), "/mnt/link"),
        ("/proc/self/cwd".to_owned(), "/mnt/link/x"),
        ("link".to_owned(), "/mnt/link"),
        ("missing".to_owned(), "/mnt/link/below"),
    ] {
        let mut bundle = Bundle::new(&["report"]);
        symlink(&content, bundle.rootfs().join("mnt/link")).unwrap();
        bundle.config["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": target, "type": "tmpfs", "source": "tmpfs"}));
        let said = bundle.run();
        assert!(said.code == Some(0) || said.code == Some(1), "{said:?}");
        bait.assert_untouched();
        assert!(
            !fs::read_to_string("/proc/self/mountinfo")
                .unwrap()
                .contains(&bait.path().display().to_string()),
            "{content}"
        );
        bundle.remove();
    }
}

fn over_proc() {
    let bait = Bait::new();
    for target in [
        "/proc",
        "/proc/self/attr",
        "/proc/./self",
        "//proc//sys/kernel",
        "/proc/sysrq-trigger",
    ] {
        let mut bundle = Bundle::new(&["report"]);
        bundle.config["mounts"].as_array_mut().unwrap().push(
            json!({"destination": target, "type": "bind", "source": bait.path(), "options": ["rbind"]}),
        );
        bundle.create().fails(1, "/proc");
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
    // What lxcfs does is allowed.
    let mut bundle = Bundle::new(&["read", "/proc/uptime"]);
    bundle.config["mounts"].as_array_mut().unwrap().push(
        json!({"destination": "/proc/uptime", "type": "bind", "source": bait.path().join("file"), "options": ["bind", "ro"]}),
    );
    assert_eq!(bundle.run().ok().out, "bait");
    bundle.remove();
    bait.assert_untouched();
}

fn made_mount_points() {
    let bait = Bait::new();
    let mut bundle = Bundle::new(&["report"]);
    symlink(bait.path(), bundle.rootfs().join("mnt/out")).unwrap();
    let file = bundle.path("file");
    fs::write(&file, "").unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.push(json!({"destination": "/mnt/out/new-folder", "type": "tmpfs", "source": "tmpfs"}));
    mounts.push(json!({"destination": "/mnt/out/new-file", "type": "bind", "source": file, "options": ["bind"]}));
    let said = bundle.run();
    assert!(said.code == Some(0) || said.code == Some(1), "{said:?}");
    bait.assert_untouched();
    bundle.remove();
}

fn false_null() {
    let bait = Bait::new();
    for target in [
        "/proc/sys/kernel/core_pattern".to_owned(),
        bait.path().join("file").display().to_string(),
    ] {
        let mut bundle =
            Bundle::new(&["read", "/proc/meminfo", "+", "open", "w", "/proc/kallsyms"]);
        // No tmpfs on /dev: the root's own is used.
        bundle.config["mounts"]
            .as_array_mut()
            .unwrap()
            .retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        symlink(&target, bundle.rootfs().join("dev/null")).unwrap();
        bundle.config["linux"]["maskedPaths"] = json!(["/proc/meminfo", "/proc/kallsyms"]);
        let said = bundle.run();
        if said.code == Some(0) {
            // The mask is the host's null device: nothing to read, and what is written is gone.
            assert_eq!(said.json()["/proc/kallsyms"], 0);
        } else {
            assert_eq!(said.code, Some(1), "{said:?}");
        }
        bait.assert_untouched();
        assert!(
            !fs::read_to_string("/proc/sys/kernel/core_pattern")
                .unwrap()
                .is_empty()
        );
        bundle.remove();
    }
}

fn false_console() {
    let bait = Bait::new();
    for (name, content) in [("console", "file"), ("pts", "folder")] {
        let mut bundle = Bundle::new(&["report"]);
        bundle.config["process"]["terminal"] = json!(true);
        bundle.config["mounts"]
            .as_array_mut()
            .unwrap()
            .retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        let place = bundle.rootfs().join("dev").join(name);
        symlink(bait.path().join(content), &place).unwrap();
        bundle.write();
        let listener = std::os::unix::net::UnixListener::bind(bundle.path("console")).unwrap();
        bundle
            .launch(&["create", "--console-socket", "console", &bundle.id])
            .fails(1, "");
        drop(listener);
        bundle.assert_nothing_is_recorded();
        bait.assert_untouched();
        bundle.remove();
    }
}

fn linked_working_directory() {
    let bait = Bait::new();
    for content in [
        bait.path().display().to_string(),
        "/proc/self/root".to_owned(),
        "/proc/1/cwd".to_owned(),
    ] {
        let mut bundle = Bundle::new(&["report"]);
        symlink(&content, bundle.rootfs().join("mnt/linked")).unwrap();
        for cwd in ["/mnt/linked", "/mnt/linked/new"] {
            bundle.config["process"]["cwd"] = json!(cwd);
            let said = bundle.run();
            if said.code == Some(0) {
                let directory = said.report().working_directory.unwrap();
                assert!(
                    directory.starts_with('/') && !directory.contains("unreachable"),
                    "{directory}"
                );
            }
            bait.assert_untouched();
        }
        bundle.remove();
    }
}

fn root_as_target() {
    let bait = Bait::new();
    for target in ["/", "/..", "/mnt/.."] {
        let mut bundle = Bundle::new(&["report"]);
        bundle.config["mounts"].as_array_mut().unwrap().push(
            json!({"destination": target, "type": "bind", "source": bait.path(), "options": ["bind"]}),
        );
        let said = bundle.run();
        assert!(said.code.is_some_and(|code| code < 128), "{said:?}");
        bait.assert_untouched();
        bundle.remove();
    }
}

//! Section 2a of the field's history: paths in the root are the attacker's. Each test is named after what it tries; the bait is
//! a file and a folder of the host that must be as before.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

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
            "CVE-2021-30465, CVE-2019-19921: a thread that swaps a mount target for a link does not lead a mount out",
            CONTAINERS,
            swapped_target,
        )
        .test(
            "CVE-2019-19921: a thread that swaps /proc or /dev of the root for a link leads nothing out",
            CONTAINERS,
            swapped_proc,
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

/// Swaps a directory for a link and back, for as long as it lives.
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Swapper {
    fn start(place: PathBuf, link: PathBuf, spare: PathBuf) -> Self {
        let (stop, swaps) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, counted) = (stop.clone(), swaps.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Either of them may be in the way of the other for a moment.
                let _ = fs::rename(&place, &spare);
                let _ = fs::rename(&link, &place);
                let _ = fs::rename(&place, &link);
                let _ = fs::rename(&spare, &place);
                counted.fetch_add(2, Ordering::Relaxed);
            }
        });
        Self {
            stop,
            swaps,
            thread: Some(thread),
        }
    }

    fn swaps(&self) -> u64 {
        self.swaps.load(Ordering::Relaxed)
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Starts containers while `place` is swapped for `link`: 60 times, or, in full, at least 1,000 times and for 10^6 swaps.
fn start_while_swapped(bundle: &Bundle, bait: &Bait, place: &Path, link: &Path) {
    bundle.write();
    let (starts, swaps) = match hoist_testing::full() {
        true => (1000, 1_000_000),
        false => (20, 0),
    };
    let swapper = Swapper::start(place.to_owned(), link.to_owned(), bundle.path("spare"));
    let mut done = 0;
    while done < starts || swapper.swaps() < swaps {
        let said = bundle.call(&["run", &bundle.id]);
        assert!(said.code == Some(0) || said.code == Some(1), "{said:?}");
        bundle.call(&["delete", "--force", &bundle.id]).ok();
        bait.assert_untouched();
        done += 1;
    }
    assert!(swapper.swaps() > 0);
}

fn swapped_target() {
    for kind in ["tmpfs", "bind", "mqueue"] {
        let bait = Bait::new();
        let mut bundle = Bundle::new(&["exit", "0"]);
        let volume = bundle.path("volume");
        let other = bundle.path("other");
        let place = volume.join("place");
        fs::create_dir_all(&place).unwrap();
        fs::create_dir(&other).unwrap();
        let link = volume.join("link");
        symlink(bait.path().join("folder"), &link).unwrap();
        let mounts = bundle.config["mounts"].as_array_mut().unwrap();
        mounts.push(
            json!({"destination": "/volume", "type": "bind", "source": volume, "options": ["rbind"]}),
        );
        mounts.push(match kind {
            "bind" => json!({"destination": "/volume/place", "type": "bind", "source": other, "options": ["bind"]}),
            kind => json!({"destination": "/volume/place", "type": kind, "source": kind}),
        });
        if kind != "mqueue" {
            mounts.push(
                json!({"destination": "/volume/place/deep", "type": "tmpfs", "source": "tmpfs"}),
            );
        }
        start_while_swapped(&bundle, &bait, &place, &link);
        bundle.remove();
    }
}

fn swapped_proc() {
    for name in ["proc", "dev"] {
        let bait = Bait::new();
        let bundle = Bundle::new(&["exit", "0"]);
        let link = bundle.path("link");
        symlink(bait.path().join("folder"), &link).unwrap();
        start_while_swapped(&bundle, &bait, &bundle.rootfs().join(name), &link);
        bundle.remove();
    }
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

//! Section 2a to 2c of the field's history, what is left alone: files of the root and of the host that a start or a removal has no business
//! with, and what stands behind a field in whatever form the helper is told of it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use hoist_testing::Suite;
use serde_json::json;

use crate::kit::{Bait, Bundle, CONTAINERS};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "CVE-2025-24965, CVE-2024-5154, CVE-2022-4318: nothing is written into the root or through its links",
            CONTAINERS,
            files_of_the_root,
        )
        .test(
            "CVE-2024-23652: a mount point that was made is not removed where a link has come in its place",
            CONTAINERS,
            swapped_mount_points,
        )
        .test(
            "CVE-2021-43784: fields of more than 64 KiB hide nothing that stands behind them",
            CONTAINERS,
            long_fields,
        )
}

/// Each path below a folder, with what tells a change of it.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            if about.is_dir() {
                folders.push(path.clone());
            }
            let told = (
                about.mode(),
                about.size(),
                about.mtime(),
                about.mtime_nsec(),
            );
            found.insert(path, told);
        }
    }
    found
}

fn files_of_the_root() {
    let bait = Bait::new();
    let mut bundle = Bundle::new(&["report"]);
    let rootfs = bundle.rootfs();
    fs::create_dir_all(rootfs.join("etc")).unwrap();
    for name in [
        "etc/mtab",
        "etc/hosts",
        "etc/hostname",
        "etc/resolv.conf",
        "etc/passwd",
        "etc/group",
        ".krun_config.json",
    ] {
        let place = rootfs.join(name);
        // Some are there.
        let _ = fs::remove_file(&place);
        symlink(bait.path().join("file"), place).unwrap();
    }
    // Once, so that all mount points are there.
    bundle.run().ok();
    let before = tree(&rootfs);
    bundle.config["annotations"] =
        json!({"run.oci.handler": "krun", "x": "a\nroot::0:0::/:/bin/sh"});
    bundle.run().ok();
    assert_eq!(tree(&rootfs), before);
    bait.assert_untouched();
    bundle.remove();
}

fn swapped_mount_points() {
    let bait = Bait::new();
    let mut bundle = Bundle::new(&["idle"]);
    let source = bundle.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("kept"), "").unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.push(json!({"destination": "/mnt/folder", "type": "bind", "source": source, "options": ["bind"]}));
    mounts.push(json!({"destination": "/mnt/file", "type": "bind", "source": source.join("kept"), "options": ["bind"]}));
    bundle.start();
    // Another container with the same volume would do it so.
    for (name, target) in [("folder", "folder"), ("file", "file")] {
        let place = bundle.rootfs().join("mnt").join(name);
        fs::rename(&place, place.with_extension("old")).unwrap();
        symlink(bait.path().join(target), &place).unwrap();
    }
    bundle.call(&["delete", "--force", &bundle.id]).ok();
    bait.assert_untouched();
    assert!(source.join("kept").exists());
    for name in ["folder", "file"] {
        let place = bundle.rootfs().join("mnt").join(name);
        assert!(fs::symlink_metadata(place).unwrap().is_symlink());
    }
    bundle.remove();
}

fn long_fields() {
    let mut bundle = Bundle::new(&["report"]);
    let long = "x".repeat(0x1_0000 + 1);
    let variable = format!("LONG={long}");
    bundle.config["process"]["env"]
        .as_array_mut()
        .unwrap()
        .push(json!(variable));
    bundle.config["process"]["args"]
        .as_array_mut()
        .unwrap()
        .push(json!(long));
    bundle.config["annotations"] = json!({"long": long});
    let all: Vec<_> = (0..0x1_0001).map(|number| json!(number)).collect();
    bundle.config["annotations"]["many"] = json!(format!("{all:?}"));
    let said = bundle.run().ok();
    let report = said.report();
    assert!(report.environment.contains(&variable));
    assert!(report.arguments.contains(&long));
    for (name, own) in &report.namespaces {
        let host = fs::read_link(Path::new("/proc/self/ns").join(name)).unwrap();
        let is_asked_for = ["mnt", "pid", "net", "ipc", "uts"].contains(&name.as_str());
        assert!(!is_asked_for || host != Path::new(own), "{name}");
    }
    // What cannot be that long is refused by name, and nothing is made.
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.push(json!({"destination": "/mnt/long", "type": "tmpfs", "source": "tmpfs", "options": [format!("mode=0{}", "0".repeat(0x1_0000))]}));
    let said = bundle.run();
    assert!(
        said.code == Some(0) || said.err.contains("/mnt/long"),
        "{said:?}"
    );
    bundle.remove();
}

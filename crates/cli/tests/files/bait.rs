//! What a container must not be able to do with the files of this machine, by way of whoever copies.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hoist_testing::{Swapper, command::Hoist};

use super::{act, remove, start};

/// A directory of this machine whose content must stay as it is, and a container that knows its path.
fn baited(hoist: &Hoist, probe: &[&str]) -> (String, String) {
    let bait = hoist.make_folder("bait");
    hoist.write("bait/secret", "secret");
    let root = hoist.copy_of_root("web-root");
    // Where the bait's path leads within the container, so that a link there is no dangling one.
    fs::create_dir_all(format!("{root}{bait}")).unwrap();
    let depth = "../".repeat(40);
    for (name, target) in [
        ("absolute", bait.clone()),
        (
            "relative",
            format!("{depth}{}", bait.trim_start_matches('/')),
        ),
        ("own-root", "/proc/1/root".to_owned()),
        (
            "own-cwd",
            format!("/proc/self/cwd/{depth}{}", bait.trim_start_matches('/')),
        ),
        ("chain", "absolute/../bait".to_owned()),
    ] {
        symlink(target, format!("{root}/mnt/{name}")).unwrap();
    }
    if let Some(user) = hoist.user() {
        // The way down to it is the user's.
        let mut path = Path::new(&root).to_owned();
        for part in Path::new(bait.trim_start_matches('/')) {
            path.push(part);
            std::os::unix::fs::chown(&path, Some(user), Some(user)).unwrap();
        }
    }
    start(hoist, "web", &["--rootfs", &root], probe);
    (bait, root)
}

fn assert_untouched(bait: &str) {
    let names: Vec<_> = fs::read_dir(bait)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(
        fs::read_to_string(format!("{bait}/secret")).unwrap(),
        "secret"
    );
}

pub(super) fn links(hoist: &Hoist) {
    let (bait, root) = baited(hoist, &["idle"]);
    let file = hoist.write("file", "new");
    for link in ["absolute", "relative", "own-root", "own-cwd", "chain"] {
        for place in [
            format!("web:/mnt/{link}"),
            format!("web:/mnt/{link}/"),
            format!("web:/mnt/{link}/secret"),
        ] {
            // Whether it is refused or lands in the container: this machine's is left alone.
            hoist.hoist(&["cp", &file, &place]);
            assert_untouched(&bait);
        }
        let out = hoist.path("out");
        for place in [
            format!("web:/mnt/{link}/secret"),
            format!("web:/mnt/{link}{bait}/secret"),
        ] {
            if hoist.hoist(&["cp", "-L", &place, &out]).code == 0 {
                assert_ne!(fs::read_to_string(&out).unwrap(), "secret", "{place}");
                fs::remove_file(&out).unwrap();
            }
        }
    }
    // In the container's own root the path is a directory like any other.
    hoist
        .hoist(&["cp", &file, "web:/mnt/absolute/landed"])
        .succeeded();
    assert_eq!(
        fs::read_to_string(format!("{root}{bait}/landed")).unwrap(),
        "new"
    );
    // A tree that is copied in goes through no link that it meets.
    let tree = hoist.make_folder("tree");
    hoist.make_folder("tree/absolute");
    hoist.write("tree/absolute/secret", "new");
    hoist
        .hoist(&["cp", &format!("{tree}/."), "web:/mnt"])
        .failed_with(1, &["absolute", "cannot overwrite what is no directory"]);
    assert_untouched(&bait);
    remove(hoist, "web");
}

pub(super) fn race(hoist: &Hoist) {
    let (bait, root) = baited(hoist, &["idle"]);
    act(hoist, "web", &["folder", "/mnt/there"]);
    act(hoist, "web", &["put", "/mnt/there/secret", "own"]);
    let file = hoist.write("file", "new");
    let mounts = Path::new(&root).join("mnt");
    let mut swapper = Swapper::start(&mounts.join("there"), &mounts.join("absolute"), 2000);
    while swapper.goes_on() {
        let copied = hoist.hoist(&["cp", &file, "web:/mnt/there/secret"]);
        swapper.ended(copied.code == 0);
        hoist.hoist(&["cp", &file, "web:/mnt/there"]);
        assert_untouched(&bait);
        let out = hoist.path("out");
        for source in ["web:/mnt/there/secret", "web:/mnt/absolute/secret"] {
            if hoist.hoist(&["cp", "-L", source, &out]).code == 0 {
                assert_ne!(fs::read_to_string(&out).unwrap(), "secret");
            }
        }
        // The whole directory, in which the two change places while it is walked.
        let tree = hoist.path("tree");
        if hoist.hoist(&["cp", "web:/mnt", &tree]).code == 0 {
            for name in ["there", "absolute"] {
                let place = Path::new(&tree).join(name);
                let is_real = fs::symlink_metadata(&place).is_ok_and(|found| found.is_dir());
                if is_real {
                    assert_ne!(
                        fs::read(place.join("secret")).unwrap_or_default(),
                        b"secret"
                    );
                }
            }
        }
        let _ = fs::remove_dir_all(&tree);
        assert_untouched(&bait);
    }
    drop(swapper);
    remove(hoist, "web");
}

pub(super) fn devices(hoist: &Hoist) {
    let root = hoist.copy_of_root("web-root");
    use std::process::Command;
    let node = format!("{root}/tmp/node");
    assert!(
        Command::new("mknod")
            .args([&node, "c", "1", "3"])
            .status()
            .unwrap()
            .success()
    );
    start(hoist, "web", &["--rootfs", &root], &["idle"]);
    let out = hoist.make_folder("out");
    hoist
        .hoist(&["cp", "-a", "web:/tmp/node", &out])
        .failed_with(1, &["it is a device"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    // In an archive, and in the container, it is what it was.
    let archive = hoist.hoist(&["cp", "web:/tmp/node", "-"]);
    archive.ended_with(0);
    hoist_testing::command::finish(
        &mut hoist.command(&["cp", "-", "web:/mnt"]),
        &archive.stdout,
    )
    .succeeded();
    let made = fs::metadata(format!("{root}/mnt/node")).unwrap();
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    assert!(made.file_type().is_char_device());
    assert_eq!(made.rdev(), 0x103);
    assert_eq!(
        made.permissions().mode() & 0o777,
        fs::metadata(&node).unwrap().mode() & 0o777
    );
    remove(hoist, "web");
}

pub(super) fn kernel(hoist: &Hoist) {
    let (_, _) = baited(hoist, &["idle"]);
    let file = hoist.write("file", "-1000");
    for place in [
        "web:/proc",
        "web:/proc/self",
        "web:/proc/1/oom_score_adj",
        "web:/sys",
    ] {
        hoist.hoist(&["cp", &file, place]).ended_with(1);
    }
    hoist
        .hoist(&["cp", "web:/proc/1/environ", &hoist.path("environ")])
        .failed_with(1, &["a file system of the kernel's own"]);
    act(hoist, "web", &["put", "/tmp/f", "text"]);
    let out = hoist.path("out");
    hoist.hoist(&["cp", "web:/", &out]).succeeded();
    let text = fs::read_to_string(format!("{out}/tmp/f")).unwrap();
    assert_eq!(text, "text");
    for empty in ["proc", "sys", "dev"] {
        let names = fs::read_dir(format!("{out}/{empty}")).unwrap();
        assert_eq!(names.count(), 0, "{empty}");
    }
    remove(hoist, "web");
}

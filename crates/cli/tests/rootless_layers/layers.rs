//! The layers that are shown, and the processes of fuse-overlayfs that show them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use hoist_testing::command::Hoist;

use super::user::USER;

/// A base, and what hides and covers parts of it: the lowest first.
pub(super) fn layers(hoist: &Hoist) -> Vec<String> {
    let base = hoist.copy_of_root("base");
    let top = hoist.make_folder("top");
    for folder in ["merged", "opaque", "gone-with-all/deep"] {
        fs::create_dir_all(format!("{base}/{folder}")).unwrap();
    }
    for (path, text) in [
        ("merged/below", "below"),
        ("merged/covered", "below"),
        ("opaque/hidden", "x"),
        ("gone", "x"),
        ("gone-with-all/deep/file", "x"),
        ("was-a-file", "x"),
    ] {
        fs::write(format!("{base}/{path}"), text).unwrap();
    }
    for folder in ["merged", "opaque", "was-a-file"] {
        fs::create_dir(format!("{top}/{folder}")).unwrap();
    }
    for (path, text) in [
        ("merged/covered", "above"),
        ("opaque/shown", "y"),
        ("was-a-file/now", "z"),
    ] {
        fs::write(format!("{top}/{path}"), text).unwrap();
    }
    fs::set_permissions(format!("{top}/merged"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("merged/below", format!("{top}/link")).unwrap();
    for name in ["gone", "gone-with-all"] {
        let path = format!("{top}/{name}");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path,
            rustix::fs::FileType::CharacterDevice,
            rustix::fs::Mode::empty(),
            0,
        )
        .unwrap();
    }
    let opaque = format!("{top}/opaque");
    rustix::fs::setxattr(
        opaque,
        "user.overlay.opaque",
        b"y",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    for layer in [&base, &top] {
        own(Path::new(layer));
    }
    vec![base, top]
}

/// Gives the user a tree.
pub(super) fn own(path: &Path) {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path());
        }
    }
}

/// The ids of the fuse-overlayfs processes that show these layers.
pub(super) fn servers(layers: &[String]) -> Vec<u32> {
    let shows = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|words| words.contains("fuse-overlayfs") && words.contains(&layers[0]))
    };
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(shows)
        .collect()
}

pub(super) fn no_servers_soon(layers: &[String]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !servers(layers).is_empty() {
        assert!(
            Instant::now() < deadline,
            "fuse-overlayfs goes on: {:?}",
            servers(layers)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! What a copy of layers keeps of its original: attributes, times, holes, and names of the same file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use hoist_testing::command::Hoist;

use super::layers::{layers, own};
use super::user::{Method, USER, User};

/// `security.capability` of the third version (linux/capability.h): to bind to low ports, for who has this root.
fn capability(root: Option<u32>) -> Vec<u8> {
    let (version, root) = match root {
        None => (0x0200_0000_u32, None),
        Some(root) => (0x0300_0000, Some(root)),
    };
    let words = [version | 1, 1 << 10, 0, 0, 0];
    words
        .into_iter()
        .chain(root)
        .flat_map(u32::to_le_bytes)
        .collect()
}

/// `system.posix_acl_access` (linux/posix_acl_xattr.h) that gives one user more than the group.
fn access_list(user: u32) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (0x01_u16, 6_u16, NOBODY),
        (0x02, 6, user),
        (0x04, 0, NOBODY),
        (0x10, 6, NOBODY),
        (0x20, 0, NOBODY),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn attribute(path: &str, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

fn give(path: &str, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

pub(super) fn faithful_copy(hoist: &Hoist) {
    use std::os::unix::fs::{FileExt, MetadataExt};
    const HOLE: u64 = 64 << 20;
    let layers = layers(hoist);
    let base = &layers[0];
    let file = |name: &str| {
        let path = format!("{base}/merged/{name}");
        fs::write(&path, name).unwrap();
        chown(&path, Some(USER), Some(USER)).unwrap();
        path
    };
    give(&file("noted"), "user.note", b"mine");
    give(&file("noted"), "user.empty", b"");
    give(&format!("{base}/merged"), "user.note", b"below");
    give(&format!("{}/merged", layers[1]), "user.note", b"above");
    give(
        &file("own-root"),
        "security.capability",
        &capability(Some(USER)),
    );
    give(&file("host-root"), "security.capability", &capability(None));
    fs::set_permissions(file("shared"), fs::Permissions::from_mode(0o600)).unwrap();
    give(
        &format!("{base}/merged/shared"),
        "system.posix_acl_access",
        &access_list(1234),
    );
    for name in ["merged/second", "opaque-not/third"] {
        fs::create_dir_all(format!("{base}/opaque-not")).unwrap();
        let first = format!("{base}/merged/first");
        if !Path::new(&first).exists() {
            file("first");
        }
        fs::hard_link(&first, format!("{base}/{name}")).unwrap();
    }
    symlink("first", format!("{base}/merged/link")).unwrap();
    fs::hard_link(
        format!("{base}/merged/link"),
        format!("{base}/merged/same-link"),
    )
    .unwrap();
    let sparse = fs::File::create(file("sparse")).unwrap();
    sparse.write_all_at(b"middle", HOLE / 2).unwrap();
    sparse.set_len(HOLE).unwrap();
    own(Path::new(base));
    // The change of owners has taken it away.
    give(
        &format!("{base}/merged/own-root"),
        "security.capability",
        &capability(Some(USER)),
    );
    give(
        &format!("{base}/merged/host-root"),
        "security.capability",
        &capability(None),
    );
    let times = |seconds| {
        let at = |tv_nsec| rustix::fs::Timespec {
            tv_sec: seconds,
            tv_nsec,
        };
        rustix::fs::Timestamps {
            last_access: at(5),
            last_modification: at(7),
        }
    };
    let no_follow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    for (path, seconds) in [
        ("opaque-not", 1_000_000),
        ("merged/first", 2_000_000),
        ("merged/link", 3_000_000),
    ] {
        let path = format!("{base}/{path}");
        rustix::fs::utimensat(rustix::fs::CWD, path, &times(seconds), no_follow).unwrap();
    }
    let user = User::with(hoist, Method::Copy);
    let kept = user.folder("kept");
    let options = ["--rm", "--layer-folder", &kept];
    user.run(&layers, &options, &["exit", "0"]).succeeded();
    let at = |name: &str| format!("{kept}/copy/{name}");
    let found = |name: &str| fs::symlink_metadata(at(name)).unwrap();

    assert_eq!(
        attribute(&at("merged/noted"), "user.note").unwrap(),
        b"mine"
    );
    assert_eq!(attribute(&at("merged/noted"), "user.empty").unwrap(), b"");
    assert_eq!(attribute(&at("merged"), "user.note").unwrap(), b"above");
    // A mark of the overlay's is none of the copy's.
    assert_eq!(attribute(&at("opaque"), "user.overlay.opaque"), None);
    // Capabilities are this user's root's in the copy, whosever they were, and the host's root's never.
    for name in ["merged/own-root", "merged/host-root"] {
        let value = attribute(&at(name), "security.capability").unwrap();
        assert_eq!(value, capability(Some(USER)), "{name}");
    }
    // A list that names somebody without a number here is not kept, and its mask is nobody's permission then.
    assert_eq!(
        attribute(&at("merged/shared"), "system.posix_acl_access"),
        None
    );
    assert_eq!(found("merged/shared").mode() & 0o7777, 0o600);

    let first = found("merged/first");
    assert_eq!(first.nlink(), 3);
    for other in ["merged/second", "opaque-not/third"] {
        assert_eq!(found(other).ino(), first.ino(), "{other}");
    }
    assert_eq!(found("merged/link").ino(), found("merged/same-link").ino());
    assert_eq!(found("merged/link").nlink(), 2);
    let top = fs::read_dir(at("")).unwrap();
    let names: Vec<_> = top.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !names
            .iter()
            .any(|name| name.to_str().unwrap().contains("hoist-links")),
        "{names:?}"
    );

    assert_eq!(
        (
            found("opaque-not").mtime(),
            found("opaque-not").mtime_nsec()
        ),
        (1_000_000, 7)
    );
    assert_eq!((first.mtime(), first.mtime_nsec()), (2_000_000, 7));
    assert_eq!(
        (
            found("merged/link").mtime(),
            found("merged/link").mtime_nsec()
        ),
        (3_000_000, 7)
    );

    let sparse = found("merged/sparse");
    assert_eq!(sparse.len(), HOLE);
    assert!(
        sparse.blocks() * 512 < 1 << 20,
        "{} blocks",
        sparse.blocks()
    );
    let mut middle = [0; 8];
    let copy = fs::File::open(at("merged/sparse")).unwrap();
    copy.read_exact_at(&mut middle, HOLE / 2 - 1).unwrap();
    assert_eq!(&middle, b"\0middle\0");

    // In memory the same: 64 MiB of nothing take nothing, and no helper of the copy is to be seen.
    let ran = user.run(&layers, &["--rm"], &["list", "/"]);
    assert!(!ran.succeeded().contains("hoist-links"));
}

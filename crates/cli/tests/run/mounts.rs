//! `-v`, `--mount` and `--tmpfs`.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt};

use hoist_testing::{
    command::Hoist,
    probe::report::{Mount, Report},
};

pub(super) fn find<'a>(report: &'a Report, target: &str) -> &'a Mount {
    let mut found = report.mounts.iter().filter(|mount| mount.target == target);
    let Some(mount) = found.next_back() else {
        panic!("nothing is mounted on {target}: {:?}", report.mounts)
    };
    mount
}

pub(super) fn has(options: &str, wanted: &str) -> bool {
    options.split(',').any(|option| option == wanted)
}

pub(super) fn volume(hoist: &Hoist) {
    let folder = hoist.make_folder("data");
    hoist.write("data/file", "content");
    let both = format!("{folder}:/mnt");
    let ran = hoist.run(
        &["-v", &both],
        &["read", "/mnt/file", "+", "put", "/mnt/new", "written"],
    );
    assert_eq!(ran.succeeded(), "content");
    let new = format!("{folder}/new");
    assert_eq!(fs::read_to_string(&new).unwrap(), "written");
    let owner = fs::metadata(&new).unwrap().uid();
    assert_eq!(owner, hoist.user().unwrap_or(owner));
    let opened = |volume: &str, path: &str| -> i32 {
        let opened: BTreeMap<String, i32> = hoist.run(&["-v", volume], &["open", "w", path]).json();
        opened[path]
    };
    assert_eq!(opened(&format!("{folder}:/mnt:ro"), "/mnt/file"), 30);
    assert_eq!(opened(&format!("{folder}:/mnt:rw"), "/mnt/file"), 0);
    assert_eq!(opened("./data:/mnt", "/mnt/file"), 0);
    assert_eq!(
        opened(&format!("{folder}/file:/etc/group"), "/etc/group"),
        0
    );
    assert_eq!(
        opened(&format!("{folder}/file:/etc/group:ro"), "/etc/group"),
        30
    );
    // Two at once, the later one below the earlier.
    let below = hoist.make_folder("below");
    fs::create_dir(format!("{folder}/sub")).unwrap();
    hoist.write("below/deep", "deep");
    let ran = hoist.run(
        &[
            "-v",
            &format!("{below}:/mnt/sub"),
            "-v",
            &format!("{folder}:/mnt"),
        ],
        &["read", "/mnt/file", "+", "read", "/mnt/sub/deep"],
    );
    assert_eq!(ran.succeeded(), "contentdeep");
}

pub(super) fn volume_below(hoist: &Hoist) {
    use hoist_testing::probe::sys;
    let folder = hoist.make_folder("data");
    let below = hoist.make_folder("data/below");
    // In a mount namespace of this thread's own, so that nobody else sees the mount.
    let ran = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                sys::unshare_mounts().unwrap();
                sys::mount("tmpfs", &below, "tmpfs", 0).unwrap();
                fs::write(format!("{below}/file"), "").unwrap();
                hoist.run(
                    &["-v", &format!("{folder}:/mnt:ro")],
                    &["open", "w", "/mnt/below/file"],
                )
            })
            .join()
            .unwrap()
    });
    let opened: BTreeMap<String, i32> = ran.json();
    assert_eq!(opened["/mnt/below/file"], 30, "EROFS");
}

pub(super) fn mount(hoist: &Hoist) {
    let folder = hoist.make_folder("data");
    hoist.write("data/file", "content");
    let bind = format!("type=bind,source={folder},target=/mnt");
    let ran = hoist.run(
        &["--mount", &bind],
        &["put", "/mnt/new", "x", "+", "read", "/mnt/file"],
    );
    assert_eq!(ran.succeeded(), "content");
    for flag in ["readonly", "ro", "readonly=true"] {
        let report = hoist.report(&["--mount", &format!("{bind},{flag}")]);
        assert!(has(&find(&report, "/mnt").options, "ro"), "{flag}");
    }
    let report = hoist.report(&[
        "--mount",
        "type=tmpfs,target=/mnt,tmpfs-size=1m,tmpfs-mode=700",
    ]);
    let mount = find(&report, "/mnt");
    assert_eq!(mount.kind, "tmpfs");
    assert!(has(&mount.super_options, "size=1024k"), "{mount:?}");
    assert!(has(&mount.super_options, "mode=700"), "{mount:?}");
}

pub(super) fn tmpfs(hoist: &Hoist) {
    let report = hoist.report(&["--tmpfs", "/run"]);
    let mount = find(&report, "/run");
    assert_eq!(mount.kind, "tmpfs");
    for option in ["rw", "nosuid", "nodev", "noexec"] {
        assert!(has(&mount.options, option), "{option}: {mount:?}");
    }
    let report = hoist.report(&["--tmpfs", "/new/place:size=64k,mode=1777,exec,ro"]);
    let mount = find(&report, "/new/place");
    assert!(has(&mount.super_options, "size=64k"), "{mount:?}");
    assert!(
        has(&mount.options, "ro") && !has(&mount.options, "noexec"),
        "{mount:?}"
    );
    fs::remove_dir_all(hoist.root().join("new")).unwrap();
    let ran = hoist.run(&["--tmpfs", "/etc"], &["list", "/etc"]);
    assert_eq!(ran.succeeded(), "[]\n");
}

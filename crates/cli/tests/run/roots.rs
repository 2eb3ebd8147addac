//! What the root is of, and what can be written there.

use std::{collections::BTreeMap, fs};

use hoist_testing::{
    command::{Hoist, finish},
    probe::report::Report,
};

use super::mounts::{find, has};

/// `hoist run` in the composed root, with the probe on /probe.
fn in_default_root(hoist: &Hoist, options: &[&str], probe: &[&str]) -> hoist_testing::command::Ran {
    let volume = format!("{}:/probe:ro", hoist.root().join("probe").display());
    let mut command = hoist.command(&["run", "--rm", "-e", "HOIST_TEST_TAG", "-v", &volume]);
    command.args(options).args(["/probe", "probe"]).args(probe);
    finish(&mut command, b"")
}

pub(super) fn default_root(hoist: &Hoist) {
    let names =
        |folder: &str| -> Vec<String> { in_default_root(hoist, &[], &["list", folder]).json() };
    for folder in ["/home", "/root", "/run", "/tmp", "/srv", "/boot", "/mnt"] {
        assert_eq!(names(folder), Vec::<String>::new(), "{folder}");
    }
    // Of /var the two directories that programs rely on, and both are empty.
    for name in names("/var") {
        assert_eq!(
            names(&format!("/var/{name}")),
            Vec::<String>::new(),
            "{name}"
        );
    }
    let mut shown = names("/bin");
    shown.sort();
    let own = fs::read_dir("/bin").unwrap();
    let mut own: Vec<String> = own
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    own.sort();
    assert!(own.contains(&"sh".to_owned()), "{own:?}");
    assert_eq!(shown, own);
    for name in names("/") {
        assert!(
            matches!(
                &*name,
                "bin"
                    | "sbin"
                    | "usr"
                    | "etc"
                    | "opt"
                    | "dev"
                    | "proc"
                    | "sys"
                    | "probe"
                    | "boot"
                    | "home"
                    | "media"
                    | "mnt"
                    | "root"
                    | "run"
                    | "srv"
                    | "tmp"
                    | "var"
            ) || name.starts_with("lib"),
            "{name} is shown"
        );
    }
    // Its own programs run, found by PATH.
    let ran = hoist.hoist(&["run", "--rm", "sh", "-c", "echo $((6*7)) && id -u"]);
    assert_eq!(ran.succeeded(), "42\n0\n");
    let report: Report = in_default_root(hoist, &[], &["report"]).json();
    assert_eq!(find(&report, "/usr").kind, "overlay");
    let folder = std::env::temp_dir();
    assert_eq!(
        names(&folder.display().to_string()),
        Vec::<String>::new(),
        "the caller's temporary files"
    );
}

pub(super) fn default_root_is_written(hoist: &Hoist) {
    let name = format!("/etc/hoist-{}", hoist.tag());
    let ran = in_default_root(hoist, &[], &["put", &name, "text", "+", "read", &name]);
    assert_eq!(ran.succeeded(), "text");
    if !hoist.is_ordinary_user() {
        // Below the first level the directories are root's, whom a user namespace of one id does not have.
        in_default_root(hoist, &[], &["put", "/usr/bin/new", "x"]).succeeded();
        assert!(!std::path::Path::new("/usr/bin/new").exists());
    }
    assert!(!std::path::Path::new(&name).exists());
    let ran = in_default_root(hoist, &[], &["read", &name]);
    assert_eq!(ran.code, hoist_testing::probe::FAILED, "it was thrown away");
    let report: Report = in_default_root(hoist, &["--read-only"], &["report"]).json();
    for folder in ["/", "/etc", "/usr"] {
        assert!(has(&find(&report, folder).options, "ro"), "{folder}");
    }
}

fn in_root(hoist: &Hoist, options: &[&str], probe: &[&str]) -> hoist_testing::command::Ran {
    let mut command = hoist.command(&["run", "--rm", "-e", "HOIST_TEST_TAG"]);
    command
        .args(options)
        .args(["--", "/probe", "probe"])
        .args(probe);
    finish(&mut command, b"")
}

pub(super) fn rootfs(hoist: &Hoist) {
    let root = hoist.copy_of_root("own-root");
    in_root(hoist, &["--rootfs", &root], &["put", "/etc/new", "text"]).succeeded();
    let path = format!("{root}/etc/new");
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    // A path as seen from where the caller is.
    let ran = in_root(hoist, &["--rootfs", "./own-root"], &["read", "/etc/new"]);
    assert_eq!(ran.succeeded(), "text");
    fs::remove_dir_all(root).unwrap();
}

pub(super) fn layers(hoist: &Hoist) {
    let base = hoist.copy_of_root("base");
    let second = hoist.make_folder("second");
    let third = hoist.make_folder("third");
    hoist.write("base/etc/which", "base");
    hoist.make_folder("second/etc");
    hoist.write("second/etc/which", "second");
    hoist.write("second/from-second", "yes");
    hoist.make_folder("third/etc");
    hoist.write("third/etc/which", "third");
    let options = ["--layer", &base, "--layer", &second, "--layer", &third];
    let ran = in_root(
        hoist,
        &options,
        &[
            "read",
            "/etc/which",
            "+",
            "read",
            "/from-second",
            "+",
            "put",
            "/etc/which",
            "new",
            "+",
            "read",
            "/etc/which",
        ],
    );
    assert_eq!(ran.succeeded(), "thirdyesnew");
    let ran = in_root(hoist, &options[..4], &["read", "/etc/which"]);
    assert_eq!(ran.succeeded(), "second");
    for (folder, text) in [("base", "base"), ("second", "second"), ("third", "third")] {
        let path = hoist.path(&format!("{folder}/etc/which"));
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    for folder in [base, second, third] {
        fs::remove_dir_all(folder).unwrap();
    }
}

pub(super) fn odd_layers(hoist: &Hoist) {
    let base = hoist.copy_of_root("base:with,odd\\characters");
    let outer = hoist.make_folder(&"l".repeat(140));
    let long = hoist.make_folder(&["l".repeat(140), "m".repeat(140)].join("/"));
    fs::write(format!("{long}/from-afar"), "afar").unwrap();
    let ran = in_root(
        hoist,
        &["--layer", &base, "--layer", &long],
        &["read", "/from-afar"],
    );
    assert_eq!(ran.succeeded(), "afar");
    for folder in [base, outer] {
        fs::remove_dir_all(folder).unwrap();
    }
}

pub(super) fn read_only(hoist: &Hoist) {
    let root = hoist.copy_of_root("own-root");
    let options = ["--rootfs", &root, "--read-only", "--tmpfs", "/run"];
    let opened: BTreeMap<String, i32> =
        in_root(hoist, &options, &["open", "w", "/etc/passwd", "/dev/null"]).json();
    assert_eq!((opened["/etc/passwd"], opened["/dev/null"]), (30, 0));
    let ran = in_root(
        hoist,
        &options,
        &[
            "put",
            "/run/x",
            "1",
            "+",
            "put",
            "/dev/shm/x",
            "2",
            "+",
            "read",
            "/run/x",
            "+",
            "read",
            "/dev/shm/x",
        ],
    );
    assert_eq!(ran.succeeded(), "12");
    in_root(hoist, &options, &["put", "/new", "x"]).ended_with(hoist_testing::probe::FAILED);
    fs::remove_dir_all(root).unwrap();
}

pub(super) fn nothing_above(hoist: &Hoist) {
    let root = hoist.root().to_str().unwrap();
    let folder = hoist.make_folder("writes");
    for (name, options) in [
        ("directory", &["--rootfs", root][..]),
        ("layer", &["--layer", root]),
        ("kept", &["--layer", root, "--layer-folder", &folder]),
    ] {
        let mut words = vec!["run", "-d", "--name", name, "-e", "HOIST_TEST_TAG"];
        words.extend(options);
        words.extend(["--", "/probe", "probe", "idle"]);
        hoist.hoist(&words).succeeded();
        let pid = hoist.inspect(name)["State"]["Pid"].as_u64().unwrap();
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        let at_root = mounts
            .lines()
            .filter(|line| line.split(' ').nth(4) == Some("/"));
        assert_eq!(at_root.count(), 1, "{name}: {mounts}");
        for path in ["/", "/..", "/../.."] {
            let listed = hoist.exec(&[], name, &["list", path]).succeeded();
            assert!(
                listed.contains("\"probe\"") && !listed.contains("\"usr\""),
                "{name}, {path}: {listed}"
            );
        }
        hoist.hoist(&["rm", "-f", name]).succeeded();
    }
    // This machine's own root, of which not everything is shown.
    let own = in_default_root(hoist, &[], &["list", "/../home"]);
    assert_eq!(own.succeeded().trim(), "[]");
    let mounts = in_default_root(hoist, &[], &["read", "/proc/self/mountinfo"]).succeeded();
    let at_root = mounts
        .lines()
        .filter(|line| line.split(' ').nth(4) == Some("/"));
    assert_eq!(at_root.count(), 1, "{mounts}");
}

pub(super) fn bind_of_sys(hoist: &Hoist) {
    let ran = in_default_root(
        hoist,
        &["-v", "/sys/kernel:/mnt"],
        &["read", "/mnt/uevent_seqnum"],
    );
    let number = ran.succeeded();
    assert!(number.trim().parse::<u64>().is_ok(), "{number}");
}

//! `diff` and `export`.

use std::collections::BTreeMap;
use std::fs;

use hoist_testing::command::Hoist;

use super::{act, layered, remove, start};

/// What a container does to its root, and what diff says of it.
const ACTIONS: &[&str] = &[
    "put",
    "/etc/new",
    "new",
    "+",
    "put",
    "/bin/text",
    "other",
    "+",
    "remove",
    "/bin/garbage",
    "+",
    "folder",
    "/made",
    "+",
    "put",
    "/made/f",
    "f",
    "+",
    "remove",
    "/home",
    "+",
    "folder",
    "/home",
    "+",
    "put",
    "/home/h",
    "h",
];
const CHANGES: &[&str] = &[
    "C /bin",
    "D /bin/garbage",
    "C /bin/text",
    "C /etc",
    "A /etc/new",
    "C /home",
    "A /home/h",
    "A /made",
    "A /made/f",
];

/// The lines of diff, without those of what Hoist itself makes to mount on.
fn diff(hoist: &Hoist, name: &str) -> Vec<String> {
    let text = hoist.hoist(&["diff", name]).succeeded();
    text.lines()
        .map(str::to_owned)
        .filter(|line| !line.contains("/dev"))
        .collect()
}

pub(super) fn kept(hoist: &Hoist) {
    let folder = hoist.make_folder("writes");
    let layer = layered(hoist, "web", &["--layer-folder", &folder]);
    // In a directory that is made anew, what was in it before is gone.
    assert!(
        fs::read_dir(format!("{layer}/home"))
            .unwrap()
            .next()
            .is_none()
    );
    hoist.hoist(&["rm", "-f", "web"]).succeeded();
    fs::write(format!("{layer}/home/before"), "before").unwrap();
    let options = ["--layer", &layer, "--layer-folder", &folder];
    start(hoist, "web", &options, &["idle"]);
    assert_eq!(diff(hoist, "web"), [""; 0]);
    act(hoist, "web", ACTIONS);
    let mut wanted: Vec<&str> = CHANGES.to_vec();
    wanted.push("D /home/before");
    wanted.sort_by_key(|line| line[2..].to_owned());
    assert_eq!(diff(hoist, "web"), wanted);
    hoist.hoist(&["kill", "web"]).succeeded();
    hoist.hoist(&["wait", "web"]).ended_with(0);
    assert_eq!(diff(hoist, "web"), wanted);
    let json: Vec<serde_json::Value> = hoist.hoist(&["diff", "--format", "json", "web"]).json();
    assert!(
        json.contains(&serde_json::json!({"Path": "/etc/new", "Kind": "added"})),
        "{json:?}"
    );
    remove(hoist, "web");
}

pub(super) fn ephemeral(hoist: &Hoist) {
    layered(hoist, "web", &[]);
    act(hoist, "web", ACTIONS);
    let found = diff(hoist, "web");
    for change in CHANGES.iter().filter(|change| **change != "C /home") {
        assert!(
            found.iter().any(|line| line == change),
            "{change} is not in {found:?}"
        );
    }
    hoist.hoist(&["kill", "web"]).succeeded();
    hoist.hoist(&["wait", "web"]).ended_with(0);
    hoist
        .hoist(&["diff", "web"])
        .failed_with(1, &["it is stopped", "--layer-folder"]);
    remove(hoist, "web");
}

pub(super) fn none(hoist: &Hoist) {
    let running = hoist.background("plain", &[], &["idle"]);
    hoist
        .hoist(&["diff", "plain"])
        .failed_with(1, &["it has no writable layer", "--layer"]);
    let words = [
        "run",
        "-d",
        "--name",
        "host",
        "-e",
        "HOIST_TEST_TAG",
        "sleep",
        "600",
    ];
    hoist.hoist(&words).succeeded();
    hoist
        .hoist(&["diff", "host"])
        .failed_with(1, &["its root is this machine's own", "--layer"]);
    remove(hoist, "host");
    hoist
        .hoist(&["diff", "nosuch"])
        .failed_with(1, &["no such container"]);
    drop(running);
}

pub(super) fn export(hoist: &Hoist) {
    let folder = hoist.make_folder("bound");
    hoist.write("bound/private", "private");
    let volume = format!("{folder}:/mnt");
    layered(hoist, "web", &["-v", &volume]);
    act(
        hoist,
        "web",
        &[
            "put",
            "/etc/new",
            "new",
            "+",
            "link",
            "new",
            "/etc/link",
            "+",
            "remove",
            "/bin/garbage",
        ],
    );
    let file = hoist.path("root.tar");
    assert_eq!(hoist.hoist(&["export", "-o", &file, "web"]).succeeded(), "");
    let bytes = fs::read(&file).unwrap();
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        found.insert(name, (entry.header().entry_type(), entry.size()));
    }
    assert_eq!(found["etc/new"], (tar::EntryType::Regular, 3));
    assert_eq!(found["etc/link"].0, tar::EntryType::Symlink);
    assert!(found.contains_key("probe") && !found.contains_key("bin/garbage"));
    for mounted in ["proc/", "sys/", "dev/", "mnt/"] {
        assert_eq!(found[mounted].0, tar::EntryType::Directory, "{mounted}");
        let inside: Vec<_> = found
            .keys()
            .filter(|name| name.starts_with(mounted) && *name != mounted)
            .collect();
        assert!(inside.is_empty(), "{inside:?}");
    }
    // The same at standard output.
    let out = hoist.hoist(&["export", "web"]);
    out.ended_with(0);
    assert_eq!(out.stdout.len(), bytes.len());
    hoist
        .hoist(&["export", "-o", "/dev/null", "web"])
        .failed_with(1, &["/dev/null", "no regular file"]);
    let is_device = std::os::unix::fs::FileTypeExt::is_char_device;
    assert!(is_device(&fs::metadata("/dev/null").unwrap().file_type()));
    hoist
        .hoist(&["export", "-o", "/no/such/place", "web"])
        .failed_with(1, &["write /no/such/place"]);
    remove(hoist, "web");
}

//! `mount add` and `mount rm`.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use hoist_testing::command::Hoist;
use serde_json::Value;

use super::{act, idle, remove, start};

fn added_of(hoist: &Hoist, name: &str) -> Vec<(String, String, bool)> {
    let mounts = hoist.inspect(name)["Mounts"].clone();
    let mounts = mounts.as_array().unwrap().iter();
    let added = mounts.filter(|mount| mount["Added"] == Value::Bool(true));
    let text = |mount: &Value, member: &str| mount[member].as_str().unwrap().to_owned();
    added
        .map(|mount| {
            (
                text(mount, "Type"),
                text(mount, "Destination"),
                mount["RW"] == Value::Bool(true),
            )
        })
        .collect()
}

pub(super) fn added(hoist: &Hoist) {
    idle(hoist, "web", &[]);
    let folder = hoist.make_folder("data");
    let file = hoist.write("data/f", "from here");
    let bind = format!("type=bind,source={folder},target=/mnt/data,readonly");
    hoist
        .hoist(&["mount", "add", "--mount", &bind, "web"])
        .succeeded();
    assert_eq!(act(hoist, "web", &["read", "/mnt/data/f"]), "from here");
    let put = hoist.exec(&[], "web", &["put", "/mnt/data/new", "x"]);
    assert!(
        put.stderr.contains("Read-only file system"),
        "{}",
        put.stderr
    );
    let one = format!("{file}:/mnt/file");
    hoist
        .hoist(&[
            "mount",
            "add",
            "-v",
            &one,
            "--tmpfs",
            "/mnt/memory:size=64k",
            "web",
        ])
        .succeeded();
    assert_eq!(act(hoist, "web", &["read", "/mnt/file"]), "from here");
    act(hoist, "web", &["put", "/mnt/memory/x", "y"]);
    let told = |kind: &str, target: &str, rw| (kind.to_owned(), target.to_owned(), rw);
    assert_eq!(
        added_of(hoist, "web"),
        [
            told("bind", "/mnt/data", false),
            told("bind", "/mnt/file", true),
            told("tmpfs", "/mnt/memory", true),
        ]
    );
    hoist
        .hoist(&["mount", "add", "-v", &one, "web"])
        .failed_with(
            1,
            &["add a mount at /mnt/file", "one was added there before"],
        );
    hoist
        .hoist(&[
            "mount",
            "rm",
            "web",
            "/mnt/data",
            "/mnt/file",
            "/mnt/memory/",
        ])
        .succeeded();
    assert_eq!(
        act(
            hoist,
            "web",
            &["list", "/mnt/data", "+", "list", "/mnt/memory"]
        )
        .trim(),
        "[]\n[]"
    );
    assert_eq!(act(hoist, "web", &["read", "/mnt/file"]), "");
    assert_eq!(added_of(hoist, "web"), []);
    // What is added lasts as long as the run.
    hoist
        .hoist(&["mount", "add", "-v", &one, "web"])
        .succeeded();
    hoist.hoist(&["kill", "web"]).succeeded();
    hoist.hoist(&["wait", "web"]).ended_with(0);
    assert_eq!(added_of(hoist, "web").len(), 1);
    hoist.hoist(&["start", "web"]).succeeded();
    assert_eq!(added_of(hoist, "web"), []);
    hoist
        .hoist(&["mount", "rm", "web", "/mnt/file"])
        .failed_with(1, &["none was added there"]);
    remove(hoist, "web");
    hoist
        .hoist(&["mount", "add", "--tmpfs", "/x", "web"])
        .failed_with(1, &["no such container"]);
}

pub(super) fn only_added(hoist: &Hoist) {
    let folder = hoist.make_folder("data");
    hoist.write("data/f", "own");
    let own = format!("{folder}:/own");
    idle(hoist, "web", &["-v", &own]);
    for target in ["/own", "/proc", "/dev", "/proc/kcore", "/", "/nosuch"] {
        hoist
            .hoist(&["mount", "rm", "web", target])
            .failed_with(1, &["remove the mount at", "none was added there"]);
    }
    assert_eq!(act(hoist, "web", &["read", "/own/f"]), "own");
    // Somebody with the right to do so has put something over it.
    hoist
        .hoist(&["mount", "add", "--tmpfs", "/mnt/a", "web"])
        .succeeded();
    hoist
        .hoist(&["mount", "add", "--tmpfs", "/mnt/b", "web"])
        .succeeded();
    let record = hoist
        .records()
        .join(hoist.ids().remove(0))
        .join("mounts.json");
    let text = fs::read_to_string(&record).unwrap();
    let mut told: Value = serde_json::from_str(&text).unwrap();
    let other = told["mounts"][1]["id"].clone();
    told["mounts"][0]["id"] = other;
    fs::write(&record, told.to_string()).unwrap();
    hoist
        .hoist(&["mount", "rm", "web", "/mnt/a"])
        .failed_with(1, &["what was added is not there any more"]);
    act(hoist, "web", &["put", "/mnt/a/f", "x"]);
    hoist.hoist(&["mount", "rm", "web", "/mnt/b"]).succeeded();
    remove(hoist, "web");
}

pub(super) fn in_root(hoist: &Hoist) {
    idle(hoist, "web", &[]);
    let bait = hoist.make_folder("bait");
    let outside = format!("/../../../..{bait}");
    act(
        hoist,
        "web",
        &[
            "link",
            &outside,
            "/mnt/out",
            "+",
            "link",
            "/proc",
            "/mnt/proc",
            "+",
            "put",
            "/mnt/f",
            "x",
            "+",
            "link",
            "f",
            "/mnt/l",
        ],
    );
    hoist.hoist(&["mount", "add", "--tmpfs", "/mnt/out/made", "web"]);
    assert_eq!(fs::read_dir(&bait).unwrap().count(), 0);
    for target in ["/proc", "/proc/self", "/sys"] {
        hoist
            .hoist(&["mount", "add", "--tmpfs", target, "web"])
            .ended_with(1);
    }
    // What is mounted on a file must be found again by that name.
    let file = hoist.write("file", "here");
    hoist
        .hoist(&["mount", "add", "-v", &format!("{file}:/mnt/l"), "web"])
        .failed_with(1, &["/mnt/l", "through no symbolic link"]);
    hoist
        .hoist(&["mount", "add", "-v", "/no/such/source:/mnt/x", "web"])
        .failed_with(1, &["/no/such/source"]);
    hoist
        .hoist(&["mount", "add", "web"])
        .failed_with(1, &["nothing to mount is given"]);
    assert_eq!(
        added_of(hoist, "web")
            .iter()
            .filter(|(_, target, _)| target != "/mnt/out/made")
            .count(),
        0
    );
    remove(hoist, "web");
}

pub(super) fn user_namespace(hoist: &Hoist) {
    let root = hoist.copy_of_root("mapped");
    chown(&root, Some(100_000), Some(100_000)).unwrap();
    chown(format!("{root}/mnt"), Some(100_000), Some(100_000)).unwrap();
    let maps = "0:100000:65536";
    let options = ["--rootfs", &root, "--uidmap", maps, "--gidmap", maps];
    start(hoist, "web", &options, &["idle"]);
    let folder = hoist.make_folder("data");
    chown(&folder, Some(100_000), Some(100_000)).unwrap();
    hoist
        .hoist(&[
            "mount",
            "add",
            "--tmpfs",
            "/mnt/memory",
            "-v",
            &format!("{folder}:/mnt/data"),
            "web",
        ])
        .succeeded();
    act(
        hoist,
        "web",
        &["put", "/mnt/memory/f", "x", "+", "put", "/mnt/data/f", "x"],
    );
    assert_eq!(fs::metadata(format!("{folder}/f")).unwrap().uid(), 100_000);
    hoist
        .hoist(&["mount", "rm", "web", "/mnt/memory", "/mnt/data"])
        .succeeded();
    remove(hoist, "web");
}

pub(super) fn id_mapped(hoist: &Hoist) {
    let folder = hoist.make_folder("data");
    chown(&folder, Some(5000), Some(5000)).unwrap();
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mount =
        format!("type=bind,source={folder},target=/mnt,idmap=uids=5000-1000-1;gids=5000-1001-1");
    let put = |name: &str| vec!["put".to_owned(), format!("/mnt/{name}"), "x".to_owned()];
    let owner = |name: &str| {
        let found = fs::metadata(format!("{folder}/{name}")).unwrap();
        (found.uid(), found.gid())
    };
    // The folder is this user's inside, and what it makes there is on this machine whose the folder is.
    let first = put("first");
    let probe: Vec<&str> = first.iter().map(String::as_str).collect();
    hoist
        .run(&["-u", "tester", "--mount", &mount], &probe)
        .succeeded();
    assert_eq!(owner("first"), (5000, 5000));
    let plain = format!("type=bind,source={folder},target=/mnt");
    assert_ne!(
        hoist.run(&["-u", "tester", "--mount", &plain], &probe).code,
        0
    );
    // The same for a mount that is added.
    let root = hoist.root().to_str().unwrap();
    start(hoist, "web", &["--rootfs", root, "-u", "tester"], &["idle"]);
    hoist
        .hoist(&["mount", "add", "--mount", &mount, "web"])
        .succeeded();
    let second = put("second");
    let probe: Vec<&str> = second.iter().map(String::as_str).collect();
    act(hoist, "web", &probe);
    assert_eq!(owner("second"), (5000, 5000));
    let other = format!("type=bind,source={folder},target=/tmp,idmap=uids=1-1");
    hoist
        .hoist(&["mount", "add", "--mount", &other, "web"])
        .failed_with(1, &["uids=INSIDE-OUTSIDE-COUNT"]);
    remove(hoist, "web");
}

//! Volumes, and what else `--mount` can say.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use hoist_testing::command::Hoist;

/// Where a volume keeps what it holds.
fn data(hoist: &Hoist, name: &str) -> String {
    let shown: Vec<serde_json::Value> = hoist.hoist(&["volume", "inspect", name]).json();
    shown[0]["Mountpoint"].as_str().unwrap().to_owned()
}

/// Removes the case's volumes.
fn clean(hoist: &Hoist) {
    hoist.hoist(&["volume", "prune", "-f"]).ended_with(0);
    fs::remove_dir(hoist.state().join("volumes")).unwrap();
}

pub(super) fn first_use(hoist: &Hoist) {
    // It is filled with what the image has there.
    let ran = hoist.run(
        &["-v", "data:/bin"],
        &["read", "/bin/text", "+", "put", "/bin/new", "kept"],
    );
    assert_eq!(ran.succeeded(), "no program\n");
    assert!(!hoist.root().join("bin/new").exists());
    let place = data(hoist, "data");
    assert_eq!(fs::read_to_string(format!("{place}/new")).unwrap(), "kept");
    assert!(
        fs::symlink_metadata(format!("{place}/loop"))
            .unwrap()
            .is_symlink()
    );
    // But once: what it holds stays as it is.
    fs::remove_file(format!("{place}/text")).unwrap();
    let mount = "type=volume,source=data,target=/bin,readonly";
    let ran = hoist.run(
        &["--mount", mount],
        &["list", "/bin", "+", "put", "/bin/x", "x"],
    );
    assert!(
        !ran.text().contains("text") && ran.text().contains("new"),
        "{}",
        ran.text()
    );
    assert!(
        ran.stderr.contains("Read-only file system"),
        "{}",
        ran.stderr
    );
    // And not where it is asked not to be.
    for (name, options) in [
        ("empty1", ["-v", "empty1:/bin:nocopy"]),
        (
            "empty2",
            ["--mount", "source=empty2,target=/bin,volume-nocopy"],
        ),
    ] {
        assert_eq!(
            hoist.run(&options, &["list", "/bin"]).succeeded().trim(),
            "[]",
            "{name}"
        );
    }
    clean(hoist);
}

pub(super) fn subpath(hoist: &Hoist) {
    let bait = hoist.make_folder("bait");
    hoist.write("bait/secret", "secret");
    hoist
        .run(
            &["-v", "data:/mnt"],
            &[
                "folder", "/mnt/a", "+", "put", "/mnt/a/f", "in a", "+", "put", "/mnt/g", "g",
            ],
        )
        .succeeded();
    let mount = |below: &str| {
        format!("type=volume,source=data,target=/tmp,volume-nocopy,volume-subpath={below}")
    };
    assert_eq!(
        hoist
            .run(&["--mount", &mount("a")], &["read", "/tmp/f"])
            .succeeded(),
        "in a"
    );
    // A link there is another container's making.
    let place = data(hoist, "data");
    symlink(&bait, format!("{place}/out")).unwrap();
    symlink(format!("{}{bait}", "../".repeat(30)), format!("{place}/up")).unwrap();
    for below in ["out", "up", "out/secret", "nosuch"] {
        let ran = hoist.run(&["--mount", &mount(below)], &["list", "/tmp"]);
        assert!(!ran.text().contains("secret"), "{below}: {}", ran.text());
        ran.ended_with(125);
    }
    for below in ["/a", "../x", "a/../../x"] {
        hoist
            .run(&["--mount", &mount(below)], &["exit", "0"])
            .failed_with(125, &["no path within the source"]);
    }
    clean(hoist);
}

pub(super) fn commands(hoist: &Hoist) {
    assert_eq!(
        hoist.hoist(&["volume", "ls"]).succeeded(),
        "DRIVER   VOLUME NAME\n"
    );
    assert_eq!(
        hoist
            .hoist(&["volume", "create", "--label", "a=b", "one"])
            .succeeded(),
        "one\n"
    );
    assert_eq!(
        hoist.hoist(&["volume", "create", "one"]).succeeded(),
        "one\n"
    );
    let made = hoist.hoist(&["volume", "create"]).succeeded();
    assert_eq!(made.trim().len(), 64);
    hoist
        .hoist(&["volume", "create", "../x"])
        .failed_with(1, &["is no name of a volume"]);
    // Nobody says yes: its input is at an end.
    hoist.hoist(&["volume", "prune"]).failed_with(1, &["[y/N]"]);
    let shown: Vec<serde_json::Value> = hoist.hoist(&["volume", "inspect", "one"]).json();
    assert_eq!(shown[0]["Labels"]["a"], "b");
    assert_eq!(shown[0]["Driver"], "local");
    let listed = hoist
        .hoist(&["volume", "ls", "--format", "json"])
        .json_lines();
    assert_eq!(listed.len(), 2);

    let running = hoist.background("web", &["-v", "one:/mnt"], &["idle"]);
    for (filters, found) in [
        (&["name=on"][..], "one\n"),
        (&["label=a"], "one\n"),
        (&["label=a=c"], ""),
        (&["label=a=b", "driver=local"], "one\n"),
        (&["driver=nfs"], ""),
        (&["dangling=true"], &made),
        (&["dangling=false"], "one\n"),
    ] {
        let mut words = vec!["volume", "ls", "-q"];
        filters
            .iter()
            .for_each(|filter| words.extend(["--filter", filter]));
        assert_eq!(hoist.hoist(&words).succeeded(), found, "{filters:?}");
    }
    hoist
        .hoist(&["volume", "ls", "-f", "size=1"])
        .failed_with(1, &["size=1", "dangling=true|false"]);
    let mount = hoist.inspect("web")["Mounts"][0].clone();
    assert_eq!(
        (mount["Type"].as_str(), mount["Name"].as_str()),
        (Some("volume"), Some("one"))
    );
    hoist
        .hoist(&["volume", "rm", "one"])
        .failed_with(1, &["it is in use by web"]);
    assert_eq!(hoist.hoist(&["volume", "prune", "-f"]).succeeded(), made);
    drop(running);
    assert_eq!(hoist.hoist(&["volume", "rm", "one"]).succeeded(), "one\n");
    hoist
        .hoist(&["volume", "rm", "one"])
        .failed_with(1, &["no such volume: one"]);
    hoist.hoist(&["volume", "rm", "-f", "one"]).succeeded();
    assert_eq!(hoist.hoist(&["volume", "ls", "-q"]).succeeded(), "");
    clean(hoist);
}

pub(super) fn anonymous(hoist: &Hoist) {
    let root = hoist.root().to_str().unwrap();
    let run = |options: &[&str], probe: &[&str]| {
        let mut words = vec!["run", "-e", "HOIST_TEST_TAG", "--rootfs", root];
        words.extend(options);
        words.extend(["--", "/probe", "probe"]);
        words.extend(probe);
        hoist.hoist(&words)
    };
    let names = || -> Vec<String> {
        let shown = hoist.hoist(&["volume", "ls", "-q"]).succeeded();
        shown.lines().map(str::to_owned).collect()
    };
    // One for each container, filled with what the image has there; it outlives the container, if not with --rm.
    for mount in [["-v", "/bin"], ["--mount", "type=volume,target=/bin"]] {
        let ran = run(
            &[&mount[..], &["--rm"]].concat(),
            &["read", "/bin/text", "+", "put", "/bin/new", "x"],
        );
        assert_eq!(ran.succeeded(), "no program\n");
        assert_eq!(names(), Vec::<String>::new());
    }
    assert!(!hoist.root().join("bin/new").exists());
    run(
        &["--name", "one", "-v", "/bin", "-v", "named:/mnt"],
        &["put", "/bin/new", "x"],
    )
    .succeeded();
    run(&["--name", "two", "-v", "/bin"], &["exit", "0"]).succeeded();
    assert_eq!(names().len(), 3);
    let inspected: serde_json::Value = hoist.hoist(&["inspect", "one"]).json();
    let mounts = inspected[0]["Mounts"].as_array().unwrap();
    let own = mounts
        .iter()
        .find(|mount| mount["Destination"] == "/bin")
        .unwrap();
    let own = own["Name"].as_str().unwrap();
    assert!(
        own.len() == 64 && names().iter().any(|name| name == own),
        "{inspected}"
    );
    hoist.hoist(&["rm", "two"]).succeeded();
    assert_eq!(names().len(), 3);
    // With -v it goes, and what somebody has named stays.
    hoist.hoist(&["rm", "-v", "one"]).succeeded();
    let left = names();
    assert!(
        left.len() == 2 && left.iter().any(|name| name == "named"),
        "{left:?}"
    );
    assert!(!left.iter().any(|name| name == own));
    // Of a start that fails nothing is left, either.
    let words = ["run", "--rootfs", root, "-v", "/bin", "/no/such"];
    hoist.hoist(&words).ended_with(127);
    assert_eq!(names(), left);
    clean(hoist);
}

pub(super) fn pruned_with_a_failure(hoist: &Hoist) {
    for name in ["good", "held", "other"] {
        hoist.hoist(&["volume", "create", name]).succeeded();
    }
    let held = hoist.state().join("volumes/held");
    let mount = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        assert!(
            command
                .args(&words[1..])
                .arg(&held)
                .status()
                .unwrap()
                .success()
        );
    };
    // What is mounted on cannot be renamed.
    mount(&["mount", "--bind", held.to_str().unwrap()]);
    let pruned = hoist.hoist(&["volume", "prune", "-f"]);
    mount(&["umount"]);
    assert_eq!(pruned.text(), "good\nother\n");
    pruned.ended_with(1);
    assert!(
        pruned.stderr.contains("remove volume held"),
        "{}",
        pruned.stderr
    );
    clean(hoist);
}

pub(super) fn in_use_by_another_path(hoist: &Hoist) {
    let above = hoist.path("another-way");
    symlink(hoist.state().parent().unwrap(), &above).unwrap();
    let link = format!(
        "{above}/{}",
        hoist.state().file_name().unwrap().to_str().unwrap()
    );
    let root = hoist.root().to_str().unwrap();
    let words = [
        "--state-root",
        &link,
        "run",
        "--name",
        "one",
        "-v",
        "data:/mnt",
        "--rootfs",
        root,
        "/probe",
        "probe",
        "exit",
        "0",
    ];
    hoist_testing::command::finish(&mut hoist.without_state_root(&words), b"").succeeded();
    let refused = hoist.hoist(&["volume", "rm", "data"]);
    refused.failed_with(1, &["in use by one"]);
    assert_eq!(hoist.hoist(&["volume", "prune", "-f"]).succeeded(), "");
    hoist.hoist(&["rm", "one"]).succeeded();
    clean(hoist);
}

pub(super) fn recursive(hoist: &Hoist) {
    let folder = hoist.make_folder("data");
    let below = hoist.make_folder("data/below");
    assert!(
        Command::new("mount")
            .args(["-t", "tmpfs", "tmpfs", &below])
            .status()
            .unwrap()
            .success()
    );
    let mount = |more: &str| format!("type=bind,source={folder},target=/mnt,readonly{more}");
    let writes = |more: &str| {
        hoist
            .run(&["--mount", &mount(more)], &["put", "/mnt/below/f", "x"])
            .code
            == 0
    };
    let outcomes = [
        writes(""),
        writes(",bind-recursive=readonly"),
        writes(",bind-recursive=writable"),
    ];
    let alone = hoist.run(
        &["--mount", &mount(",bind-recursive=disabled")],
        &["list", "/mnt/below"],
    );
    assert!(
        Command::new("umount")
            .arg(&below)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(outcomes, [false, false, true]);
    assert_eq!(alone.succeeded().trim(), "[]");
}

pub(super) fn others(hoist: &Hoist) {
    let ran = hoist.run(
        &["--tmpfs", "/bin:tmpcopyup"],
        &["read", "/bin/text", "+", "put", "/bin/new", "x"],
    );
    assert_eq!(ran.succeeded(), "no program\n");
    assert!(!hoist.root().join("bin/new").exists());
    let name = format!("hoist-test-{}", hoist.tag());
    let shared = Path::new("/dev/shm").join(&name);
    fs::write(&shared, "seen").unwrap();
    let inside = format!("/dev/shm/{name}");
    let seen = hoist.run(&["--ipc", "host"], &["read", &inside]);
    let own = hoist.run(&[], &["read", &inside]);
    fs::remove_file(&shared).unwrap();
    own.ended_with(90);
    if hoist.is_ordinary_user() && !Path::new("/dev/mqueue").exists() {
        // The kernel lets an ordinary user see this machine's message queues only where they are mounted.
        seen.failed_with(125, &["/dev/mqueue"]);
    } else {
        assert_eq!(seen.succeeded(), "seen");
    }
}

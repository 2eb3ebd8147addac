//! `exec --with-root`: one's own tools in a container.

use std::fs;

use hoist_testing::{Need, Suite, root};
use serde_json::Value;

use super::hoist::Hoist;

pub(super) fn add(suite: Suite) -> Suite {
    let needs = &[Need::Root, Need::Tool("busybox")];
    suite
        .test(
            "one's own tools run in a container that has no shell, with its root below theirs",
            needs,
            beside_its_root,
        )
        .test(
            "a process with a root of its own has all else from its container, and that sees nothing of its root",
            needs,
            all_else_is_the_containers,
        )
        .test(
            "one's own tools look at what was kept of a container that has ended, and leave nothing",
            needs,
            after_its_end,
        )
        .test(
            "a root that cannot be one is refused with what to do, and nothing is changed",
            needs,
            no_root,
        )
}

/// A folder with a root that has no shell and one that has tools.
fn roots() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (bare, tools) = (folder.path().join("bare"), folder.path().join("tools"));
    root::minimal(&bare).unwrap();
    fs::write(bare.join("etc/marker"), "of the container\n").unwrap();
    root::busybox(&tools).unwrap().unwrap();
    fs::create_dir(tools.join("container")).unwrap();
    let text = |path: std::path::PathBuf| path.display().to_string();
    (folder, text(bare), text(tools))
}

fn start(hoist: &Hoist, bare: &str) -> String {
    hoist.ok(&[
        "run", "-d", "--rootfs", bare, "--", "/probe", "probe", "idle",
    ])
}

fn report(hoist: &Hoist, words: &[&str]) -> Value {
    let words = [&["exec"], words, &["/probe", "probe", "report"]].concat();
    serde_json::from_str(&hoist.ok(&words)).unwrap()
}

fn beside_its_root() {
    let hoist = Hoist::new();
    let (folder, bare, tools) = roots();
    let id = start(&hoist, &bare);
    hoist.fails(127, &["exec", &id, "sh"]);
    let with = |script: &str| hoist.ok(&["exec", "--with-root", &tools, &id, "sh", "-c", script]);
    assert_eq!(with("cat /container/etc/marker"), "of the container");
    assert_eq!(with("pwd"), "/");
    // The container's processes, by the container's numbers.
    assert!(with("ps").contains("/probe probe idle"));
    assert!(with("cat /proc/1/cmdline").starts_with("/probe"));
    assert_eq!(
        with("echo x > /dev/null; cat /dev/null; touch /x 2>&1 || echo no")
            .lines()
            .last(),
        Some("no")
    );
    // What is written into the container stays there.
    with("echo kept > /container/tmp/new");
    let written = folder.path().join("bare/tmp/new");
    assert_eq!(fs::read_to_string(written).unwrap(), "kept\n");
    assert!(!folder.path().join("tools/x").exists());
    // Also in the background, and with a terminal.
    let process = hoist.ok(&[
        "exec",
        "-dt",
        "--with-root",
        &tools,
        &id,
        "sh",
        "-c",
        "test -t 0; exit $?",
    ]);
    assert_eq!(hoist.ok(&["process", "wait", &process]), "0");
    hoist.fails(127, &["exec", "--with-root", &tools, &id, "no-such-tool"]);
}

fn all_else_is_the_containers() {
    let hoist = Hoist::new();
    let (_folder, bare, tools) = roots();
    let id = start(&hoist, &bare);
    let before = report(&hoist, &[&id]);
    let mut plain = before.clone();
    let mut own = report(&hoist, &["--with-root", &tools, &id]);
    assert_ne!(own["namespaces"]["mnt"], plain["namespaces"]["mnt"]);
    let mounted = own["mounts"].as_array().unwrap();
    let at = |path: &str| mounted.iter().any(|mount| mount["target"] == path);
    assert!(
        at("/container") && at("/proc") && at("/dev") && at("/container/proc"),
        "{mounted:?}"
    );
    for all in [&mut plain, &mut own] {
        let all = all.as_object_mut().unwrap();
        // What differs between any two processes, or is the root itself.
        for name in [
            "pid",
            "processes",
            "session",
            "group",
            "mounts",
            "root",
            "descriptors",
            "executable",
            "working_directory",
        ] {
            all.remove(name);
        }
        all["namespaces"].as_object_mut().unwrap().remove("mnt");
    }
    assert_eq!(own, plain);
    // The container sees no mount of it.
    assert_eq!(report(&hoist, &[&id])["mounts"], before["mounts"]);
}

fn after_its_end() {
    let hoist = Hoist::new();
    let (folder, bare, tools) = roots();
    hoist.ok(&[
        "run", "--name", "ended", "--rootfs", &bare, "--", "/probe", "probe", "exit", "0",
    ]);
    let with = |name: &str, script: &str| {
        hoist.ok(&["exec", "--with-root", &tools, name, "sh", "-c", script])
    };
    assert_eq!(
        with("ended", "cat /container/etc/marker; pwd"),
        "of the container\n/"
    );
    with("ended", "echo more >> /container/etc/marker");
    let marker = fs::read_to_string(folder.path().join("bare/etc/marker")).unwrap();
    assert_eq!(marker, "of the container\nmore\n");
    hoist.fails(
        7,
        &["exec", "--with-root", &tools, "ended", "sh", "-c", "exit 7"],
    );
    // Layers, with what was written kept in a folder.
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let kept = kept.display().to_string();
    let layers = ["--layer", &tools, "--layer-folder", &kept];
    let words = [
        &["run", "--name", "layers"][..],
        &layers,
        &["--", "sh", "-c", "echo written > /new"],
    ];
    hoist.ok(&words.concat());
    assert_eq!(
        with("layers", "cat /container/new; ls -d /container/bin"),
        "written\n/container/bin"
    );
    // Of this one nothing was kept.
    hoist.ok(&["run", "--name", "gone", "--", "true"]);
    let error = hoist.fails(125, &["exec", "--with-root", &tools, "gone", "true"]);
    assert!(error.contains("nothing of its root was kept"), "{error}");
    assert_eq!(hoist.ok(&["ps", "-aq"]).lines().count(), 3);
}

fn no_root() {
    let hoist = Hoist::new();
    let (folder, bare, _) = roots();
    let id = start(&hoist, &bare);
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let empty = empty.display().to_string();
    let error = hoist.fails(125, &["exec", "--with-root", &empty, &id, "true"]);
    assert!(
        error.contains("mkdir") && error.contains("/container"),
        "{error}"
    );
    let error = hoist.fails(125, &["exec", "--with-root", "/no/such", &id, "true"]);
    assert!(error.contains("it is no directory"), "{error}");
    assert_eq!(
        hoist.ok(&["top", "--format", "json", &id]).lines().count(),
        1
    );
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}

//! Layers that fuse-overlayfs shows: its process, whom it serves, and files that are reached from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hoist_testing::command::Hoist;
use serde_json::Value;

use super::layers::{layers, no_servers_soon, servers};
use super::user::{Method, User};

pub(super) fn ends_with_container(hoist: &Hoist) {
    let layers = layers(hoist);
    let user = User::with(hoist, Method::Fuse);
    let start = |name| {
        user.run(&layers, &["-d", "--name", name], &["idle"])
            .succeeded()
    };
    let inside = |name| {
        let inspected: Value = user.hoist(&["inspect", name]).json();
        inspected[0]["State"]["Pid"].as_u64().unwrap()
    };
    start("web");
    let [server] = servers(&layers)[..] else {
        panic!("{:?}", servers(&layers))
    };
    let namespace = |pid: u64, kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
    let pid = inside("web");
    assert_eq!(namespace(server.into(), "user"), namespace(pid, "user"));
    for kind in ["pid", "mnt"] {
        assert_ne!(
            namespace(server.into(), kind),
            namespace(pid, kind),
            "{kind}"
        );
    }
    let status = fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let words = [
        "exec",
        "web",
        "/probe",
        "probe",
        "put",
        "/merged/below",
        "new",
        "+",
        "read",
        "/merged/below",
    ];
    assert_eq!(user.hoist(&words).succeeded().trim(), "new");
    assert!(
        user.hoist(&["diff", "web"])
            .succeeded()
            .contains("C /merged/below")
    );
    user.hoist(&["rm", "-f", "web"]).succeeded();
    no_servers_soon(&layers);
    // The supervisor is killed, and with it the container.
    start("lost");
    let [server] = servers(&layers)[..] else {
        panic!("{:?}", servers(&layers))
    };
    let stat = fs::read_to_string(format!("/proc/{server}/stat")).unwrap();
    let parent = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let parent = rustix::process::Pid::from_raw(parent).unwrap();
    rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
    no_servers_soon(&layers);
    user.hoist(&["rm", "-f", "lost"]).succeeded();
    // One that hangs ends when its container is removed, which has its number.
    start("stuck");
    let [server] = servers(&layers)[..] else {
        panic!("{:?}", servers(&layers))
    };
    let server = rustix::process::Pid::from_raw(server as i32).unwrap();
    rustix::process::kill_process(server, rustix::process::Signal::STOP).unwrap();
    user.hoist(&["rm", "-f", "stuck"]).succeeded();
    no_servers_soon(&layers);
}

pub(super) fn failing_server(hoist: &Hoist) {
    let layers = layers(hoist);
    let mut user = User::with(hoist, Method::Fuse);
    user.path = hoist.make_folder("bad-programs");
    let program = format!("{}/fuse-overlayfs", user.path);
    fs::write(&program, "#!/bin/sh\necho no such luck >&2\nexit 1\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let ran = user.run(&layers, &["--name", "web"], &["exit", "0"]);
    ran.failed_with(125, &["fuse-overlayfs", "no such luck"]);
    assert_eq!(user.hoist(&["ps", "-aq"]).succeeded(), "");
    let odd = hoist.make_folder("odd:layer");
    let ran = User::with(hoist, Method::Fuse).run(&[odd], &["--rm"], &["exit", "0"]);
    ran.failed_with(125, &["takes no path with a colon"]);
}

pub(super) fn many_users(hoist: &Hoist) {
    let layers = layers(hoist);
    let user = User {
        lent: Some("65534:100000:65536\n"),
        ..User::with(hoist, Method::Fuse)
    };
    let options = ["-d", "--name", "web", "-u", "tester"];
    user.run(&layers, &options, &["idle"]).succeeded();
    assert_eq!(servers(&layers).len(), 1);
    let words = ["exec", "-u", "tester", "web", "/probe", "probe", "report"];
    let report: Value = user.hoist(&words).json();
    assert_eq!(report["uids"][0], 1000, "{report}");
    // Who may do what is for the kernel to say.
    let words = [
        "exec",
        "-u",
        "tester",
        "web",
        "/probe",
        "probe",
        "put",
        "/merged/covered",
        "x",
    ];
    assert_ne!(user.hoist(&words).code, 0);
    // From outside it cannot be seen, and that is said.
    let export = hoist.path("out.tar");
    for words in [
        &["diff", "web"][..],
        &["cp", "web:/etc/passwd", "-"],
        &["cp", &layers[1], "web:/merged"],
        &["export", "-o", &export, "web"],
    ] {
        user.hoist(words)
            .failed_with(1, &["fuse-overlayfs", "hoist exec"]);
    }
    assert!(!Path::new(&export).exists());
    user.hoist(&["rm", "-f", "web"]).succeeded();
    no_servers_soon(&layers);
}

pub(super) fn files_of_served(hoist: &Hoist) {
    let layers = layers(hoist);
    let user = User::with(hoist, Method::Fuse);
    let kept = user.folder("kept");
    let options = ["-d", "--name", "web", "--layer-folder", &kept];
    user.run(&layers, &options, &["idle"]).succeeded();
    let given = hoist.write("given", "from outside");
    user.hoist(&["cp", &given, "web:/merged/covered"])
        .succeeded();
    let words = ["exec", "web", "/probe", "probe", "read", "/merged/covered"];
    assert_eq!(user.hoist(&words).succeeded().trim(), "from outside");
    let out = user.folder("out");
    user.hoist(&["cp", "web:/merged", &out]).succeeded();
    let read = |name: &str| fs::read_to_string(format!("{out}/{name}")).unwrap();
    assert_eq!(read("merged/below"), "below");
    assert_eq!(read("merged/covered"), "from outside");
    assert_eq!(
        user.hoist(&["diff", "web"]).succeeded(),
        "C /merged\nC /merged/covered\n"
    );
    let export = format!("{out}/root.tar");
    user.hoist(&["export", "-o", &export, "web"]).succeeded();
    let mut archive = tar::Archive::new(fs::File::open(&export).unwrap());
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    for (name, is_there) in [
        ("merged/covered", true),
        ("opaque/shown", true),
        ("opaque/hidden", false),
        ("gone", false),
    ] {
        assert_eq!(
            names.iter().any(|found| found == name),
            is_there,
            "{name}: {names:?}"
        );
    }
    // Without its server nobody shows what it wrote: that is said, and what it changed can be told all the same.
    user.hoist(&["kill", "web"]).succeeded();
    user.hoist(&["wait", "web"]).succeeded();
    user.hoist(&["cp", "web:/merged/covered", "-"])
        .failed_with(1, &["while it does not run", "start it first"]);
    let changes = user.hoist(&["diff", "web"]).succeeded();
    assert!(changes.contains("C /merged/covered"), "{changes}");
    user.hoist(&["start", "web"]).succeeded();
    user.hoist(&["cp", "web:/merged/covered", &out]).succeeded();
    assert_eq!(read("covered"), "from outside");
    user.hoist(&["rm", "-f", "web"]).succeeded();
    no_servers_soon(&layers);
}

//! Checkpoint and restore, with Debian's criu, where that works: `cargo xtask vm --systemd` has a kernel that it knows.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use hoist_testing::{Need, Suite};
use serde_json::json;

use crate::kit::{Bundle, Said, await_that};

/// criu, what it calls, and a host on which it works.
const CRIU: &[Need] = &[Need::Root, Need::Tool("criu"), Need::Criu];

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "checkpoint: a shell that counts is written down, and restored counts on, with exec, pause, kill and delete",
            CRIU,
            counts_on,
        )
        .test(
            "checkpoint: what is left running goes on, and what it was before a pre-dump, too",
            CRIU,
            goes_on,
        )
        .test(
            "restore: a checkpoint that others can write to, or of a container with more rights, is refused and nothing is left",
            CRIU,
            refused,
        )
        .test(
            "restore: a restore whose owner is killed half-way leaves no process, and a container that can be deleted",
            CRIU,
            killed,
        )
}

const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i > /data/count; sleep 0.1; done";

/// A shell that counts into a file of the host's.
fn counting() -> Bundle {
    let mut bundle = Bundle::shell(COUNT).unwrap();
    fs::create_dir(bundle.path("data")).unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.push(json!({
        "destination": "/data",
        "type": "bind",
        "source": "data",
        "options": ["rbind", "rw"],
    }));
    let source = bundle.path("data").display().to_string();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.last_mut().unwrap()["source"] = json!(source);
    bundle
}

/// With streams that others can take the place of.
#[track_caller]
fn start(bundle: &Bundle) {
    bundle.write();
    call(bundle, &["run", "-d", "--pid-file", "pid", &bundle.id]).ok();
}

/// Calls the runtime; the streams of the process that it leaves are the null device.
fn call(bundle: &Bundle, words: &[&str]) -> Said {
    let status = bundle
        .command(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    // What fails is in the log, too.
    let err = match status.success() {
        true => String::new(),
        false => bundle.read("log.json"),
    };
    Said {
        code: status.code(),
        out: String::new(),
        err,
    }
}

fn count(bundle: &Bundle) -> u64 {
    // It may be looked at between its opening and its writing.
    bundle.read("data/count").trim().parse().unwrap_or_default()
}

#[track_caller]
fn counts(bundle: &Bundle) -> u64 {
    let before = count(bundle);
    await_that("it counts", || count(bundle) > before);
    count(bundle)
}

#[track_caller]
fn checkpoint(bundle: &Bundle, words: &[&str]) {
    let all = [&["checkpoint", "--work-path", "work"], words, &[&bundle.id]].concat();
    fs::create_dir_all(bundle.path("work")).unwrap();
    bundle.call(&all).ok();
}

/// Options of the host's own cgroup hierarchies.
fn cgroup_mounts() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let lines = table.lines().filter(|line| line.contains(" - cgroup"));
    lines.map(str::to_owned).collect()
}

fn counts_on() {
    let bundle = counting();
    start(&bundle);
    counts(&bundle);
    checkpoint(&bundle, &["--image-path", "image"]);
    // As with runc, the checkpoint takes its place.
    bundle.assert_nothing_is_recorded();
    let at = count(&bundle);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(count(&bundle), at);
    let mounts = cgroup_mounts();

    let words = [
        "restore",
        "-d",
        "--image-path",
        "image",
        "--pid-file",
        "pid",
        &bundle.id,
    ];
    call(&bundle, &words).ok();
    assert_eq!(cgroup_mounts(), mounts);
    let state = bundle.state();
    assert_eq!(
        (&state["status"], &state["pid"]),
        (&json!("running"), &json!(bundle.pid()))
    );
    let after = counts(&bundle);
    assert!(after > at && at > 1, "{at} {after}");
    // Nothing of the way there is left on the host.
    assert!(
        !fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains("criu")
    );
    let place = fs::read_to_string(format!("/proc/{}/cgroup", bundle.pid())).unwrap();
    assert!(
        place.contains(&format!("/hoist-tests/{}", bundle.id)),
        "{place}"
    );
    let pids = bundle.call(&["ps", "-f", "json", &bundle.id]).ok().json();
    assert!(
        pids.as_array().unwrap().contains(&json!(bundle.pid())),
        "{pids}"
    );
    let said = bundle
        .call(&["exec", &bundle.id, "cat", "/proc/1/cmdline"])
        .ok();
    assert!(said.out.contains("count"), "{said:?}");
    bundle.call(&["pause", &bundle.id]).ok();
    assert_eq!(bundle.status(), "paused");
    bundle.call(&["resume", &bundle.id]).ok();
    counts(&bundle);
    bundle.call(&["kill", &bundle.id, "KILL"]).ok();
    bundle.await_status("stopped");
    bundle.call(&["delete", &bundle.id]).ok();
    bundle.remove();
}

fn goes_on() {
    let bundle = counting();
    start(&bundle);
    counts(&bundle);
    checkpoint(&bundle, &["--pre-dump", "--image-path", "before"]);
    let at = counts(&bundle);
    checkpoint(
        &bundle,
        &[
            "--leave-running",
            "--parent-path",
            "../before",
            "--image-path",
            "image",
        ],
    );
    assert!(bundle.path("image/parent").is_symlink());
    assert!(counts(&bundle) > at);
    assert_eq!(bundle.status(), "running");
    bundle.remove();
}

fn refused() {
    let mut bundle = counting();
    start(&bundle);
    counts(&bundle);
    checkpoint(&bundle, &["--image-path", "image"]);
    let restore = ["restore", "-d", "--image-path", "image", &bundle.id];
    let mode = |mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(bundle.path("image/files.img"), permissions).unwrap();
    };
    mode(0o666);
    call(&bundle, &restore).fails(1, "files.img");
    mode(0o600);
    bundle.assert_nothing_is_recorded();

    let at = count(&bundle);
    let id = bundle.id.clone();
    let restore = ["restore", "-d", "--image-path", "image", &id];
    // The processes of the checkpoint have more than these allow.
    let all = bundle.config.clone();
    bundle.config["process"]["capabilities"]["bounding"] = json!(["CAP_KILL"]);
    bundle.write();
    bundle
        .launch(&restore)
        .fails(1, "more than process.capabilities.bounding");
    bundle.assert_nothing_is_recorded();
    bundle.config = all.clone();
    bundle.config["linux"]["maskedPaths"] = json!(["/proc/version"]);
    bundle.write();
    bundle
        .launch(&restore)
        .fails(1, "/proc/version is not masked");
    bundle.assert_nothing_is_recorded();
    // None of them has run.
    assert_eq!(count(&bundle), at);

    bundle.config = all;
    bundle.write();
    call(&bundle, &restore).ok();
    counts(&bundle);
    bundle.remove();
}

/// A hook is run while criu waits: the restore is killed there.
fn killed() {
    let mut bundle = counting();
    start(&bundle);
    counts(&bundle);
    checkpoint(&bundle, &["--image-path", "image"]);
    let script = bundle.path("hook");
    let text = format!(
        "#!/bin/sh\nkill -9 $PPID\n: > {}\n",
        bundle.path("hooked").display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    bundle.config["hooks"] = json!({"createRuntime": [{"path": script}]});
    bundle.write();
    let at = count(&bundle);
    let said = call(
        &bundle,
        &["restore", "-d", "--image-path", "image", &bundle.id],
    );
    assert_eq!(said.code, None, "{said:?}");
    assert!(bundle.path("hooked").exists());
    let shells = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut lines = processes.map(|entry| fs::read(entry.path().join("cmdline")));
        lines.any(|line| {
            line.is_ok_and(|line| String::from_utf8_lossy(&line).contains("/data/count"))
        })
    };
    await_that("no process is left", || !shells());
    assert_eq!(count(&bundle), at);
    bundle.call(&["delete", &bundle.id]).ok();
    bundle.remove();
}

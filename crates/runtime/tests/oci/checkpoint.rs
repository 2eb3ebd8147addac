//! Checkpoint and restore, with Debian's criu, where that works: `cargo xtask vm --systemd` has a kernel that it knows.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    process::Stdio,
};

use hoist_testing::{Need, Suite};
use serde_json::json;

use crate::kit::{Bundle, LONG, Said, await_that, receive_console};

/// criu, what it calls, and a host on which it works.
pub(crate) const CRIU: &[Need] = &[Need::Root, Need::Tool("criu"), Need::Criu];

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
        .test(
            "restore: in the foreground it writes to the streams of its caller, and ends with the status of the process",
            CRIU,
            in_the_foreground,
        )
        .test(
            "restore: without a checkpoint, with a broken one, or with an id that is in use it fails and makes nothing (failure 39)",
            CRIU,
            no_checkpoint,
        )
        .test(
            "restore: a console goes to the caller's socket, and is its process's terminal again, as often as it is written down",
            CRIU,
            with_console,
        )
}

const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i > /data/count; sleep 0.1; done";

/// A shell that counts into a file of the host's.
pub(crate) fn counting() -> Bundle {
    with_data(Bundle::shell(COUNT).unwrap())
}

/// With a folder of the host's as `/data`.
pub(crate) fn with_data(mut bundle: Bundle) -> Bundle {
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
pub(crate) fn start(bundle: &Bundle) {
    bundle.write();
    call(bundle, &["run", "-d", "--pid-file", "pid", &bundle.id]).ok();
}

/// Calls the runtime; the streams of the process that it leaves are the null device.
pub(crate) fn call(bundle: &Bundle, words: &[&str]) -> Said {
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

pub(crate) fn count(bundle: &Bundle) -> u64 {
    // It may be looked at between its opening and its writing.
    bundle.read("data/count").trim().parse().unwrap_or_default()
}

#[track_caller]
pub(crate) fn counts(bundle: &Bundle) -> u64 {
    let before = count(bundle);
    await_that("it counts", || count(bundle) > before);
    count(bundle)
}

#[track_caller]
pub(crate) fn checkpoint(bundle: &Bundle, words: &[&str]) {
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
        "#!/bin/sh\n: > {}\nkill -9 $PPID\n",
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

/// The caller's own pipe, and what comes out of it.
#[track_caller]
fn first_line(bundle: &Bundle, words: &[&str]) -> String {
    let mut command = bundle.command(words);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Else it would be closed now.
    let _input = child.stdin.take();
    assert!(child.wait().unwrap().success());
    let mut output = child.stdout.take().unwrap();
    let mut byte = [0];
    let mut line = String::new();
    while output.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0].into());
    }
    line
}

fn in_the_foreground() {
    const SCRIPT: &str =
        "echo one; while [ ! -e /data/end ]; do sleep 0.1; done; echo two; read x; echo $x; exit 7";
    let bundle = with_data(Bundle::shell(SCRIPT).unwrap());
    bundle.write();
    let before = first_line(&bundle, &["run", "-d", &bundle.id]);
    assert_eq!(before, "one");
    checkpoint(&bundle, &["--image-path", "image"]);
    bundle.assert_nothing_is_recorded();

    let restore = ["restore", "--image-path", "image", "--pid-file", "pid"];
    let mut command = bundle.command(&[&restore[..], &[&bundle.id]].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    await_that("it is restored", || {
        let said = bundle.read("log.json");
        assert!(said.is_empty(), "{said}");
        !bundle.read("pid").is_empty()
    });
    assert_eq!(bundle.status(), "running");
    fs::write(bundle.path("data/end"), "").unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"given\n").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(said, "two\ngiven\n", "{output:?}");
    bundle.assert_nothing_is_recorded();
    bundle.remove();
}

fn no_checkpoint() {
    let bundle = counting();
    start(&bundle);
    counts(&bundle);
    checkpoint(&bundle, &["--image-path", "image", "--leave-running"]);
    let mut other = counting();
    let data = bundle.config["mounts"].as_array().unwrap().last().unwrap();
    *other.config["mounts"]
        .as_array_mut()
        .unwrap()
        .last_mut()
        .unwrap() = data.clone();
    other.write();
    let restore = |bundle: &Bundle, image: &str| {
        let image = image
            .strip_prefix('/')
            .map_or_else(|| bundle.path(image), |_| image.into());
        let image = image.display().to_string();
        let said = call(
            bundle,
            &["restore", "-d", "--image-path", &image, &bundle.id],
        );
        assert_eq!(said.code, Some(1), "{image}: {said:?}");
        said
    };
    let whole = bundle.path("image").display().to_string();
    restore(&bundle, &whole).fails(1, "container with given ID already exists");
    assert_eq!(bundle.status(), "running");
    counts(&bundle);

    restore(&other, "nothing").fails(1, "there is no checkpoint in");
    fs::create_dir(other.path("image")).unwrap();
    restore(&other, "image").fails(1, "descriptors.json");
    // Its streams are known, and nothing else.
    let copy = |name: &str| {
        fs::copy(
            bundle.path("image").join(name),
            other.path("image").join(name),
        )
        .unwrap();
    };
    copy("descriptors.json");
    restore(&other, "image").fails(1, "criu failed");
    for (broken, length) in [("inventory.img", 6), ("core-1.img", 40), ("pstree.img", 9)] {
        for entry in fs::read_dir(&whole).unwrap().flatten() {
            copy(entry.file_name().to_str().unwrap());
        }
        let file = File::options()
            .write(true)
            .open(other.path("image").join(broken));
        file.unwrap().set_len(length).unwrap();
        restore(&other, "image").fails(1, "criu failed");
        other.assert_nothing_is_recorded();
    }
    // The cgroup is that of a container that runs.
    other.config["linux"]["cgroupsPath"] = bundle.config["linux"]["cgroupsPath"].clone();
    other.write();
    restore(&other, &whole).fails(1, "it exists and is in use");
    other.remove();
    assert_eq!(bundle.status(), "running");
    counts(&bundle);
    bundle.remove();
}

/// What is at the other side of a console, up to these words.
#[track_caller]
fn await_said(console: &File, words: &str) -> String {
    use rustix::event::{PollFd, PollFlags, poll};
    let deadline = std::time::Instant::now() + LONG;
    let mut text = String::new();
    let mut buffer = [0; 256];
    while !text.contains(words) {
        assert!(
            std::time::Instant::now() < deadline,
            "{words:?} never came: {text:?}"
        );
        let mut waited = [PollFd::new(console, PollFlags::IN)];
        let second = rustix::time::Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        if poll(&mut waited, Some(&second)).unwrap() == 1 {
            let count = (&*console).read(&mut buffer).unwrap();
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }
    text
}

fn with_console() {
    // An interrupt comes from the terminal to its foreground processes alone.
    const SCRIPT: &str = "trap 'echo interrupted' INT; echo ready; \
        while :; do read x && echo \"got $x by $(tty) of $(stty size), $(stat -c %t:%T /dev/console)\"; done";
    let mut bundle = with_data(Bundle::shell(SCRIPT).unwrap());
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({"height": 33, "width": 77});
    bundle.write();
    let listener = UnixListener::bind(bundle.path("console")).unwrap();
    let socket = ["--console-socket", "console"];
    let run = [&["run", "-d"], &socket[..], &[&bundle.id]].concat();
    call(&bundle, &run).ok();
    let mut console = receive_console(&listener);
    await_said(&console, "ready");
    console.write_all(b"one\n").unwrap();
    await_said(&console, "got one by /dev/pts/0 of 33 77, 88:0");
    for round in ["two", "three"] {
        let image = format!("image-{round}");
        checkpoint(&bundle, &["--image-path", &image]);
        bundle.assert_nothing_is_recorded();
        drop(console);
        let restore = ["restore", "-d", "--image-path", &image];
        let without = [&restore[..], &[&bundle.id]].concat();
        call(&bundle, &without).fails(1, "cannot allocate tty if runc will detach");
        let words = [&restore[..], &socket, &[&bundle.id]].concat();
        call(&bundle, &words).ok();
        console = receive_console(&listener);
        console.write_all(format!("{round}\n").as_bytes()).unwrap();
        let said = format!("got {round} by /dev/pts/0 of 33 77, 88:0");
        await_said(&console, &said);
        console.write_all(&[3]).unwrap();
        await_said(&console, "interrupted");
    }
    checkpoint(&bundle, &["--image-path", "image"]);
    drop(console);
    let whole = bundle.config.clone();
    bundle.config["process"]["terminal"] = json!(false);
    bundle.write();
    let restore = ["restore", "-d", "--image-path", "image", &bundle.id];
    call(&bundle, &restore).fails(1, "had a console");
    bundle.assert_nothing_is_recorded();

    // In the foreground its caller's streams are the other side.
    bundle.config = whole;
    bundle.write();
    let mut child = bundle
        .command(&["restore", "--image-path", "image", &bundle.id])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"four\n").unwrap();
    let output = std::os::fd::OwnedFd::from(child.stdout.take().unwrap()).into();
    await_said(&output, "got four by /dev/pts/0");
    bundle.call(&["kill", &bundle.id, "KILL"]).ok();
    assert_eq!(child.wait().unwrap().code(), Some(137));
    drop((input, output, listener));
    bundle.remove();
}

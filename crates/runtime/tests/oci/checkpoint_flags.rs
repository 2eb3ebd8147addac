//! Flags of checkpoint and restore: what each of them makes criu do.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::PermissionsExt,
    process::Stdio,
};

use hoist_testing::Suite;
use serde_json::json;

use crate::{
    checkpoint::{CRIU, call, checkpoint, count, counting, counts, start, with_data},
    kit::{Bundle, await_that},
};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "checkpoint: locks of files and TCP connections are kept where that is asked for, and are an error where it is not",
            CRIU,
            kept,
        )
        .test(
            "checkpoint: memory is handed out when it is first used, and who waits for it is told",
            CRIU,
            lazily,
        )
        .test(
            "checkpoint: memory is sent to a page server, and a second image takes memory out of the first",
            CRIU,
            sent_and_once,
        )
        .test(
            "checkpoint: a file without a name is given one, and connections that nobody has taken are left out, where that is asked for",
            CRIU,
            unnamed_and_in_flight,
        )
        .test(
            "restore: what criu itself refuses is told in its words",
            CRIU,
            in_words_of_criu,
        )
        .test(
            "checkpoint: every mode of cgroups that criu has, and an empty network namespace",
            CRIU,
            modes,
        )
}

fn kept() {
    let mut locking = with_data(Bundle::new(&["lock", "/data/lock", "+", "idle"]));
    locking.config["linux"]["seccomp"] = json!(null);
    start(&locking);
    let lock = || File::open(locking.path("data/lock")).unwrap().try_lock();
    let is_held = || matches!(lock(), Err(TryLockError::WouldBlock));
    await_that("it has locked", || {
        locking.path("data/lock").exists() && is_held()
    });
    let words = ["checkpoint", "--image-path", "image", &locking.id];
    locking.call(&words).fails(1, "ile lock");
    assert_eq!(locking.status(), "running");
    assert!(is_held() && !locking.path("image").exists());
    checkpoint(&locking, &["--image-path", "image", "--file-locks"]);
    assert!(!is_held());
    let words = [
        "restore",
        "-d",
        "--image-path",
        "image",
        "--file-locks",
        &locking.id,
    ];
    call(&locking, &words).ok();
    assert!(is_held());
    locking.remove();

    const SCRIPT: &str = "sleep 600 | busybox nc -l -p 7000 > /data/got & sleep 1; \
        (while [ ! -e /data/end ]; do sleep 0.1; done; echo over tcp) | busybox nc 127.0.0.1 7000; sleep 600";
    let connected = with_data(Bundle::shell(SCRIPT).unwrap());
    start(&connected);
    let has_connection = || {
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", connected.pid()));
        table.unwrap().contains(" 01 ")
    };
    await_that("it is connected", has_connection);
    let words = ["checkpoint", "--image-path", "image", &connected.id];
    connected.call(&words).fails(1, "--tcp-established");
    assert_eq!(connected.status(), "running");
    checkpoint(&connected, &["--image-path", "image", "--tcp-established"]);
    let words = [
        "restore",
        "-d",
        "--image-path",
        "image",
        "--tcp-established",
        &connected.id,
    ];
    call(&connected, &words).ok();
    fs::write(connected.path("data/end"), "").unwrap();
    connected.await_words("data/got", "over tcp");
    connected.remove();
}

fn modes() {
    for words in [
        &["--manage-cgroups-mode", "ignore"][..],
        &["--manage-cgroups-mode", "full"],
        &["--empty-ns", "network"],
    ] {
        let bundle = counting();
        start(&bundle);
        let at = counts(&bundle);
        checkpoint(&bundle, &[words, &["--image-path", "image"]].concat());
        let restore = [
            "restore",
            "-d",
            "--pid-file",
            "pid",
            "--image-path",
            "image",
        ];
        let strict = ["--manage-cgroups-mode", "strict"];
        call(&bundle, &[&restore[..], &strict, &[&bundle.id]].concat()).fails(1, "strict mode");
        bundle.assert_nothing_is_recorded();
        call(&bundle, &[&restore[..], words, &[&bundle.id]].concat()).ok();
        assert!(counts(&bundle) > at);
        let place = fs::read_to_string(format!("/proc/{}/cgroup", bundle.pid())).unwrap();
        assert!(place.contains(&bundle.id), "{words:?}: {place}");
        let devices = format!("/proc/{}/net/dev", bundle.pid());
        // Two lines of titles, and the loopback device.
        assert_eq!(fs::read_to_string(devices).unwrap().lines().count(), 3);
        bundle.remove();
    }
}

/// Another container of the same bundle, in a cgroup of its own.
fn twin(bundle: &Bundle) -> Bundle {
    let mut other = Bundle::new(&[]);
    let cgroup = other.config["linux"]["cgroupsPath"].clone();
    other.config = bundle.config.clone();
    other.config["linux"]["cgroupsPath"] = cgroup;
    other.config["root"]["path"] = json!(bundle.rootfs());
    other.write();
    other
}

/// A program of criu's that serves, in the folder of the bundle.
fn criu(bundle: &Bundle, words: &[&str]) -> std::process::Child {
    let mut command = std::process::Command::new("criu");
    command.args(words).current_dir(bundle.folder.path());
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.stderr(Stdio::null()).spawn().unwrap()
}

fn lazily() {
    const AT: [&str; 4] = ["--address", "127.0.0.1", "--port", "27001"];
    let bundle = counting();
    start(&bundle);
    counts(&bundle);
    for folder in ["work", "served"] {
        fs::create_dir(bundle.path(folder)).unwrap();
    }
    let call_of = bundle.command(&[
        "checkpoint",
        "--lazy-pages",
        "--page-server",
        "127.0.0.1:27001",
        "--status-fd",
        "7",
        "--work-path",
        "work",
        "--image-path",
        "image",
        &bundle.id,
    ]);
    // A descriptor that the runtime is left with.
    let mut checkpoint = std::process::Command::new("sh");
    checkpoint
        .args(["-c", "exec \"$@\" 7>status", "sh"])
        .arg(call_of.get_program())
        .args(call_of.get_args())
        .current_dir(bundle.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut checkpoint = checkpoint.spawn().unwrap();
    await_that("memory is handed out", || {
        let said = bundle.read("log.json");
        assert!(said.is_empty(), "{said}");
        fs::metadata(bundle.path("status")).is_ok_and(|found| found.len() == 1)
    });
    let at = count(&bundle);
    let words = ["lazy-pages", "--page-server", "-D", "image", "-W", "served"];
    let mut served = criu(&bundle, &[&words[..], &AT].concat());
    await_that("pages are served", || {
        bundle.path("served/lazy-pages.socket").exists()
    });
    let other = twin(&bundle);
    let path = |name| bundle.path(name).display().to_string();
    let (image, work) = (path("image"), path("served"));
    let mut restore = vec!["restore", "-d", "--lazy-pages", "--image-path", &image];
    restore.extend(["--work-path", &work, &other.id]);
    call(&other, &restore).ok();
    assert!(checkpoint.wait().unwrap().success());
    assert!(served.wait().unwrap().success());
    bundle.assert_nothing_is_recorded();
    assert!(counts(&bundle) > at);
    other.remove();
    bundle.remove();
}

fn sent_and_once() {
    let bundle = counting();
    start(&bundle);
    counts(&bundle);
    // What a page server writes is only its own to read.
    fs::create_dir(bundle.path("before")).unwrap();
    fs::set_permissions(bundle.path("before"), fs::Permissions::from_mode(0o700)).unwrap();
    let words = "page-server -D before --address 127.0.0.1 --port 27002 -o server.log -v4";
    let words: Vec<&str> = words.split(' ').collect();
    let mut server = criu(&bundle, &words);
    await_that("it serves", || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        // 27002, listening.
        table.contains(":697A 00000000:0000 0A")
    });
    let sent = ["--page-server", "127.0.0.1:27002"];
    checkpoint(
        &bundle,
        &[&["--pre-dump", "--image-path", "before"], &sent[..]].concat(),
    );
    assert!(server.wait().unwrap().success());
    let blocks = || {
        use std::os::unix::fs::MetadataExt;
        let files = fs::read_dir(bundle.path("before")).unwrap().flatten();
        let pages = files.filter(|file| file.file_name().to_string_lossy().starts_with("pages-"));
        pages
            .map(|file| file.metadata().unwrap().blocks())
            .sum::<u64>()
    };
    let whole = blocks();
    assert!(whole > 0);
    let at = counts(&bundle);
    let words = ["--auto-dedup", "--parent-path", "../before"];
    checkpoint(&bundle, &[&words[..], &["--image-path", "image"]].concat());
    assert!(blocks() < whole, "{} {whole}", blocks());
    let restore = ["restore", "-d", "--image-path", "image", &bundle.id];
    call(&bundle, &restore).ok();
    assert!(counts(&bundle) > at);
    bundle.remove();
}

fn unnamed_and_in_flight() {
    const SCRIPT: &str = "exec 3>/data/a; ln /data/a /data/b; rm /data/a; : > /data/ready; \
        while [ ! -e /data/end ]; do sleep 0.1; done; echo kept >&3; sleep 600";
    let bundle = with_data(Bundle::shell(SCRIPT).unwrap());
    start(&bundle);
    await_that("it is ready", || bundle.path("data/ready").exists());
    let words = ["checkpoint", "--image-path", "image", &bundle.id];
    bundle.call(&words).fails(1, "link-remap");
    assert_eq!(bundle.status(), "running");
    checkpoint(&bundle, &["--link-remap", "--image-path", "image"]);
    let restore = ["restore", "-d", "--image-path", "image", &bundle.id];
    call(&bundle, &restore).ok();
    fs::write(bundle.path("data/end"), "").unwrap();
    bundle.await_words("data/b", "kept");
    bundle.remove();

    let mut bundle = Bundle::new(&["backlog", "+", "put", "/data/ready", "x", "+", "idle"]);
    bundle.config["linux"]["seccomp"] = json!(null);
    let bundle = with_data(bundle);
    start(&bundle);
    await_that("it is ready", || bundle.path("data/ready").exists());
    let established = ["--tcp-established", "--image-path", "image"];
    let words = [&["checkpoint"], &established[..], &[&bundle.id]].concat();
    bundle.call(&words).fails(1, "n-flight connection");
    assert_eq!(bundle.status(), "running");
    checkpoint(
        &bundle,
        &[&["--tcp-skip-in-flight"], &established[..]].concat(),
    );
    let words = [&["restore", "-d"], &established[..], &[&bundle.id]].concat();
    call(&bundle, &words).ok();
    assert_eq!(bundle.status(), "running");
    bundle.remove();
}

fn in_words_of_criu() {
    let bundle = counting();
    start(&bundle);
    counts(&bundle);
    checkpoint(&bundle, &["--image-path", "image"]);
    for (flags, words) in [
        (&["--lsm-profile", "selinux:a_t"][..], "LSM"),
        (&["--lazy-pages"], "lazy-pages"),
    ] {
        let restore = ["restore", "-d", "--image-path", "image"];
        call(&bundle, &[&restore[..], flags, &[&bundle.id]].concat()).fails(1, words);
        bundle.assert_nothing_is_recorded();
    }
    // It has no terminal of somebody else's.
    let at = count(&bundle);
    let restore = ["restore", "-d", "--shell-job", "--image-path", "image"];
    call(&bundle, &[&restore[..], &[&bundle.id]].concat()).ok();
    assert!(counts(&bundle) > at);
    bundle.remove();
}

//! The systemd cgroup driver, with a real systemd: `cargo xtask vm` has one.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use hoist_testing::{Need, Suite};
use serde_json::{Value, json};

use crate::kit::{Bundle, LONG, Said, await_that};

const SYSTEMD: &[Need] = &[Need::Root, Need::Systemd, Need::Tool("systemctl")];

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "systemd: a container is in the scope of its path, systemd knows its limits, and the scope ends with it",
            SYSTEMD,
            scope,
        )
        .test(
            "failure 33: systemd's left-over failed unit is reset, an active one is an error and lives on",
            SYSTEMD,
            left_over,
        )
        .test(
            "failure 34: after systemd's daemon-reload and an update every device of the spec opens, and no other",
            SYSTEMD,
            devices,
        )
        .test(
            "systemd: a start that fails, or dies, leaves no scope behind",
            SYSTEMD,
            failed_start,
        )
}

/// What systemd says of a unit.
fn show(unit: &str, property: &str) -> String {
    let output = Command::new("systemctl")
        .args(["show", "--value", "--property", property, unit])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn unit_of(bundle: &Bundle) -> String {
    format!("box-{}.scope", bundle.id)
}

fn in_slice(words: &[&str]) -> Bundle {
    let mut bundle = Bundle::new(words);
    bundle.config["linux"]["cgroupsPath"] = json!(format!("hoist-tests.slice:box:{}", bundle.id));
    bundle
}

fn call(bundle: &Bundle, words: &[&str]) -> Said {
    bundle.call(&[&["--systemd-cgroup"], words].concat())
}

#[track_caller]
fn start(bundle: &Bundle) {
    bundle.write();
    let words = [
        "--systemd-cgroup",
        "create",
        "--pid-file",
        "pid",
        &bundle.id,
    ];
    bundle.launch(&words).ok();
    call(bundle, &["start", &bundle.id]).ok();
}

#[track_caller]
fn assert_is_in_scope(bundle: &Bundle, pid: u32) {
    let place = format!("/hoist.slice/hoist-tests.slice/{}", unit_of(bundle));
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    for line in text.lines() {
        // A hierarchy that is mounted nowhere is nobody's.
        let is_mounted = line.starts_with("0::") || Path::new("/sys/fs/cgroup/memory").exists();
        assert!(
            !is_mounted || line.ends_with(&place),
            "{line} is not {place}"
        );
    }
}

#[track_caller]
fn assert_is_gone(bundle: &Bundle) {
    let unit = unit_of(bundle);
    let deadline = Instant::now() + LONG;
    while show(&unit, "LoadState") != "not-found" {
        let state = Command::new("systemctl")
            .args(["show", &unit])
            .output()
            .unwrap();
        let state = String::from_utf8_lossy(&state.stdout).into_owned();
        assert!(
            Instant::now() < deadline,
            "the scope is still there: {state}"
        );
        thread::sleep(Duration::from_millis(100));
    }
    let mut left = Vec::new();
    find(Path::new("/sys/fs/cgroup"), &unit, &mut left);
    assert!(left.is_empty(), "{left:?}");
}

fn find(folder: &Path, name: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.file_name() == name {
            found.push(entry.path().display().to_string());
        } else if is_folder {
            find(&entry.path(), name, found);
        }
    }
}

fn is_unified() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn scope() {
    let mut bundle = in_slice(&["idle"]);
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
    bundle.config["linux"]["resources"]["pids"] = json!({"limit": 30});
    bundle.config["linux"]["resources"]["cpu"] = json!({"quota": 50_000, "period": 100_000});
    let memory = if is_unified() {
        "MemoryMax"
    } else {
        "MemoryLimit"
    };
    for _ in 0..3 {
        start(&bundle);
        let unit = unit_of(&bundle);
        assert_is_in_scope(&bundle, bundle.pid());
        assert_eq!(show(&unit, "ActiveState"), "active");
        assert_eq!(show(&unit, "Slice"), "hoist-tests.slice");
        assert_eq!(show(&unit, "Delegate"), "yes");
        assert_eq!(show(&unit, memory), (64 << 20).to_string());
        assert_eq!(show(&unit, "TasksMax"), "30");
        assert_eq!(show(&unit, "CPUQuotaPerSecUSec"), "500ms");
        let words = [
            "exec",
            "--detach",
            "--pid-file",
            "further",
            &bundle.id,
            "/probe",
            "probe",
            "idle",
        ];
        bundle.launch(&words).ok();
        assert_is_in_scope(&bundle, bundle.read("further").trim().parse().unwrap());
        call(&bundle, &["pause", &bundle.id]).ok();
        assert_eq!(bundle.status(), "paused");
        call(&bundle, &["resume", &bundle.id]).ok();
        call(
            &bundle,
            &[
                "update",
                "--pids-limit",
                "40",
                "--memory",
                "134217728",
                &bundle.id,
            ],
        )
        .ok();
        assert_eq!(show(&unit, "TasksMax"), "40");
        assert_eq!(show(&unit, memory), (128 << 20).to_string());
        call(&bundle, &["kill", &bundle.id, "KILL"]).ok();
        bundle.await_status("stopped");
        // Made again at once: systemd may not have noticed the end yet.
        call(&bundle, &["delete", &bundle.id]).ok();
    }
    assert_is_gone(&bundle);
    bundle.config["process"]["args"] = json!(["/probe", "probe", "exit", "3"]);
    bundle.write();
    assert_eq!(call(&bundle, &["run", &bundle.id]).code, Some(3));
    assert_is_gone(&bundle);
    bundle.remove();
}

fn left_over() {
    let bundle = in_slice(&["idle"]);
    let unit = unit_of(&bundle);
    let run = |limit: &str, seconds: &str| {
        Command::new("systemd-run")
            .args(["--quiet", "--scope", "--unit", &unit, "--property", limit])
            .args(["busybox", "sleep", seconds])
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut failed = run("RuntimeMaxSec=1", "1000");
    await_that("the failed unit", || show(&unit, "ActiveState") == "failed");
    failed.wait().unwrap();
    start(&bundle);
    assert_is_in_scope(&bundle, bundle.pid());
    bundle.call(&["delete", "--force", &bundle.id]).ok();
    assert_is_gone(&bundle);

    let mut active = run("RuntimeMaxSec=1000", "1000");
    await_that("the active unit", || show(&unit, "ActiveState") == "active");
    let words = ["--systemd-cgroup", "create", &bundle.id];
    bundle.launch(&words).fails(1, "it exists and is active");
    bundle.assert_nothing_is_recorded();
    assert_eq!(show(&unit, "ActiveState"), "active");
    assert!(active.try_wait().unwrap().is_none(), "it lives on");
    active.kill().unwrap();
    active.wait().unwrap();
    assert_is_gone(&bundle);
    bundle.remove();
}

fn devices() {
    let mut bundle = in_slice(&["idle"]);
    let device = |name: &str, major: u32, minor: u32| json!({"path": name, "type": "c", "major": major, "minor": minor, "fileMode": 0o666});
    // The machine's console, which nobody can take as his own; and a serial port that is not there: opening that fails
    // otherwise than opening what is denied.
    bundle.config["linux"]["devices"] =
        json!([device("/dev/given", 5, 1), device("/dev/denied", 4, 65)]);
    bundle.config["linux"]["resources"]["devices"] = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 1, "access": "rw"},
    ]);
    start(&bundle);
    let look = || -> Value {
        let words = ["exec", &bundle.id, "/probe", "probe", "open", "r"];
        let devices = [
            "/dev/null",
            "/dev/zero",
            "/dev/urandom",
            "/dev/given",
            "/dev/denied",
        ];
        call(&bundle, &[&words[..], &devices[..]].concat())
            .ok()
            .json()
    };
    let before = look();
    for device in ["null", "zero", "urandom", "given"] {
        assert_eq!(before[format!("/dev/{device}")], 0, "{before}");
    }
    assert_eq!(before["/dev/denied"], libc::EPERM);
    for round in 0..10 {
        let reload = Command::new("systemctl").arg("daemon-reload").status();
        assert!(reload.unwrap().success());
        assert_eq!(look(), before, "after reload {round}");
    }
    call(
        &bundle,
        &[
            "update",
            "--cpu-quota",
            "30000",
            "--cpu-period",
            "100000",
            &bundle.id,
        ],
    )
    .ok();
    assert_eq!(look(), before, "after an update");
    let reload = Command::new("systemctl").arg("daemon-reload").status();
    assert!(reload.unwrap().success());
    assert_eq!(look(), before, "after both");
    bundle.remove();
}

fn failed_start() {
    let mut bundle = in_slice(&["idle"]);
    bundle.config["process"]["args"] = json!(["/no-such-program"]);
    bundle.write();
    let words = ["--systemd-cgroup", "create", &bundle.id];
    bundle.launch(&words).fails(1, "no such file or directory");
    bundle.assert_nothing_is_recorded();
    assert_is_gone(&bundle);
    // The runtime dies while a hook holds it up: the scope is there by then.
    bundle.probe(&["idle"]);
    bundle.config["hooks"] =
        json!({"createRuntime": [{"path": "/bin/busybox", "args": ["busybox", "sleep", "1000"]}]});
    bundle.write();
    let words = ["--systemd-cgroup", "create", &bundle.id];
    let mut creating = bundle.command(&words).spawn().unwrap();
    await_that("the scope", || {
        show(&unit_of(&bundle), "ActiveState") == "active"
    });
    creating.kill().unwrap();
    creating.wait().unwrap();
    bundle.call(&["delete", "--force", &bundle.id]).ok();
    assert_is_gone(&bundle);
    bundle.remove();
}

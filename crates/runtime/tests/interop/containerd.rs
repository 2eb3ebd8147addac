//! containerd, whose own shim for runc is told to use this runtime.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use hoist_testing::{Need, Suite};

use crate::kit::{Step, archive, await_that, folder, run_steps, runtime, terminate};

const CONTAINERD: &[Need] = &[
    Need::Root,
    Need::Tool("containerd"),
    Need::Tool("ctr"),
    Need::Tool("containerd-shim-runc-v2"),
];

pub(crate) fn add(suite: Suite) -> Suite {
    suite.test_or_skip(
        "containerd with the runtime as BinaryName: run, exec, signals, pause, checkpoints refused, and nothing left",
        CONTAINERD,
        run,
    )
}

/// Ends with the test, however that ends.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        terminate(&mut self.0);
    }
}

fn run() -> Result<(), String> {
    let folder = folder();
    archive(folder.path()).ok_or("there is no static busybox")?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
        path("root"),
        path("state"),
        path("sock"),
    );
    fs::write(path("config.toml"), config).unwrap();
    let log = File::create(path("log")).unwrap();
    let daemon = Command::new("containerd")
        .args(["--config", &path("config.toml")])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let _daemon = Daemon(daemon);
    let set_up = |script: &str| {
        let script = format!(
            "C='ctr --address {} --namespace interop'\nB='--runtime io.containerd.runc.v2 --runc-binary {} --runc-root {}'\nT={}\n{script}",
            path("sock"),
            runtime().display(),
            path("runtime"),
            path("tree"),
        );
        let mut command = Command::new("timeout");
        command
            .args(["60", "bash", "-o", "pipefail", "-c", &script])
            .stdin(Stdio::null());
        command
    };
    await_that("containerd", || {
        set_up("$C version").output().unwrap().status.success()
    });
    run_steps(STEPS, &set_up);
    let state = fs::read_dir(folder.path().join("runtime/interop/containers"));
    assert_eq!(state.into_iter().flatten().count(), 0);
    Ok(())
}

const STEPS: &[Step<'_>] = &[
    ("run", "$C run --rm $B --rootfs $T a echo hi", "hi"),
    (
        "exit status",
        "$C run --rm $B --rootfs $T a sh -c 'exit 42'; echo =$?",
        "=42",
    ),
    (
        "run -d",
        "$C run -d $B --rootfs $T b sh -c 'trap \"exit 7\" TERM; while :; do sleep 0.1; done' && $C task ls",
        "RUNNING",
    ),
    (
        "exec",
        "$C task exec --exec-id x b sh -c 'echo inside; exit 5'; echo =$?",
        "=5",
    ),
    ("ps", "$C task ps b", "PID"),
    ("metrics", "$C task metrics b", "memory"),
    (
        "pause and resume",
        "$C task pause b && $C task ls && $C task resume b",
        "PAUSED",
    ),
    (
        "kill",
        "$C task kill -s TERM b && for i in $(seq 50); do $C task ls | grep STOPPED && break; sleep 0.1; done",
        "STOPPED",
    ),
    (
        "delete",
        "$C task rm b; $C container rm b",
        "non-zero exit code 7",
    ),
    (
        "no such command",
        "! $C run --rm $B --rootfs $T c /nope",
        "no such file or directory",
    ),
    (
        "nothing is left",
        "$C task ls -q | wc -l; $C container rm c; true",
        "0",
    ),
];

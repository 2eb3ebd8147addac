//! containerd, whose own shim for runc is told to use this runtime.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use hoist_testing::{Need, Suite};
use tempfile::TempDir;

use crate::kit::{Step, archive, await_that, folder, run_steps, runtime, terminate};

const CONTAINERD: &[Need] = &[
    Need::Root,
    Need::Tool("containerd"),
    Need::Tool("ctr"),
    Need::Tool("containerd-shim-runc-v2"),
];

pub(crate) fn add(suite: Suite) -> Suite {
    suite.test_or_skip(
        "containerd with the runtime as BinaryName: run, exec, signals, pause, and nothing left",
        CONTAINERD,
        || {
            steps(&Containerd::start()?, STEPS);
            Ok(())
        },
    )
}

/// A daemon with folders of its own. It ends with the test, however that ends.
pub(crate) struct Containerd {
    folder: TempDir,
    daemon: Child,
}

impl Drop for Containerd {
    fn drop(&mut self) {
        terminate(&mut self.daemon);
    }
}

impl Containerd {
    /// Starts it; `Err` with the reason where that cannot be.
    pub(crate) fn start() -> Result<Self, String> {
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
        let containerd = Self { folder, daemon };
        await_that("containerd", || {
            let asked = containerd.shell("$C version").output();
            asked.unwrap().status.success()
        });
        Ok(containerd)
    }

    /// A shell with `$C` to speak to it, `$B` to have the runtime used, `$T` with a root, and `$F` for files.
    fn shell(&self, script: &str) -> Command {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let script = format!(
            "C='ctr --address {} --namespace interop'\nB='--runtime io.containerd.runc.v2 --runc-binary {} --runc-root {}'\nT={}\nF={}\n{script}",
            path("sock"),
            runtime().display(),
            path("runtime"),
            path("tree"),
            path(""),
        );
        let mut command = Command::new("timeout");
        command
            .args(["60", "bash", "-o", "pipefail", "-c", &script])
            .stdin(Stdio::null());
        command
    }
}

/// Runs the steps, after which nothing of the runtime's is left.
#[track_caller]
pub(crate) fn steps(containerd: &Containerd, steps: &[Step<'_>]) {
    run_steps(steps, &|script| containerd.shell(script));
    let state = fs::read_dir(containerd.folder.path().join("runtime/interop/containers"));
    assert_eq!(state.into_iter().flatten().count(), 0);
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

//! Steps of a shell, and the engines that they talk to.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use hoist_testing::root;
use tempfile::TempDir;

/// Long enough for a slow machine: only a hang takes so long.
const LONG: Duration = Duration::from_secs(120);

/// The runtime's program.
pub(crate) fn runtime() -> PathBuf {
    env::var_os("HOIST_TEST_RUNTIME")
        .map_or_else(|| env!("CARGO_BIN_EXE_hoist-oci").into(), PathBuf::from)
}

/// What a step must print, in part.
pub(crate) type Step<'a> = (&'a str, &'a str, &'a str);

/// Runs each step in a shell and panics with all that went wrong.
#[track_caller]
pub(crate) fn run_steps(steps: &[Step<'_>], set_up: &dyn Fn(&str) -> Command) {
    let failed: Vec<String> = steps
        .iter()
        .filter_map(|(name, script, words)| {
            let script = format!("exec 2>&1\n{script}");
            let output = set_up(&script).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let good = output.status.success() && text.contains(words);
            (!good).then(|| format!("{name}: {words:?} is not in {text:?} ({})", output.status))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Waits for something that must become true.
#[track_caller]
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A folder below /var/tmp: file systems of engines do not lie on a tmpfs, nor with long names.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("hoist-interop.")
        .tempdir_in("/var/tmp")
        .unwrap()
}

/// An archive of a busybox root in `folder`; `None` where there is no busybox.
pub(crate) fn archive(folder: &Path) -> Option<PathBuf> {
    let tree = folder.join("tree");
    root::busybox(&tree).unwrap()?;
    // All of its commands, not only those of other tests.
    let names = Command::new("busybox").arg("--list").output().unwrap();
    for name in String::from_utf8_lossy(&names.stdout).lines() {
        let _ = std::os::unix::fs::symlink("/bin/busybox", tree.join("bin").join(name));
    }
    let archive = folder.join("busybox.tar");
    let packed = Command::new("tar")
        .arg("--directory")
        .arg(&tree)
        .args(["--owner", "0", "--group", "0", "--create", "--file"])
        .arg(&archive)
        .arg(".")
        .status();
    assert!(packed.unwrap().success());
    Some(archive)
}

/// A docker daemon with the runtime as its default one, in a network and a mount namespace of its own.
pub(crate) struct Docker {
    pub(crate) folder: TempDir,
    /// Keeps the namespaces.
    holder: Child,
    /// Not the daemon's own, which would end with it.
    containerd: Option<Child>,
    daemon: Option<Child>,
    /// Further flags of the daemon.
    flags: &'static [&'static str],
}

/// What containers are made from.
pub(crate) const IMAGE: &str = "busybox:interop";

impl Docker {
    /// Starts it and imports the image; `Err` with the reason where that cannot be.
    pub(crate) fn start() -> Result<Self, String> {
        Self::start_with(&[])
    }

    /// As [`Docker::start`], with further flags of the daemon. Where it runs, `nobody` has subordinate ids from 100000 on.
    pub(crate) fn start_with(flags: &'static [&'static str]) -> Result<Self, String> {
        let folder = folder();
        // Users of a user namespace have to get through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let ids = folder.path().join("sub_ids");
        fs::write(&ids, "nobody:100000:65536\nnogroup:100000:65536\n").unwrap();
        let archive = archive(folder.path()).ok_or("there is no static busybox")?;
        let holder = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private"])
            .args(["sh", "-c", "ip link set lo up && mount --bind $0 /etc/subuid && mount --bind $0 /etc/subgid && exec sleep infinity"])
            .arg(&ids)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut docker = Self {
            folder,
            holder,
            containerd: None,
            daemon: None,
            flags,
        };
        await_that("the namespaces", || {
            let program = fs::read_to_string(format!("/proc/{}/comm", docker.holder.id()));
            program.is_ok_and(|program| program.trim() == "sleep")
        });
        docker.start_containerd();
        docker.start_daemon();
        let imported = docker.call(&["import", &archive.display().to_string(), IMAGE]);
        assert!(imported.status.success(), "{imported:?}");
        Ok(docker)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    /// A program in the daemon's network.
    pub(crate) fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--net", "--mount", "--target"])
            .arg(self.holder.id().to_string())
            .arg(program)
            .env("DOCKER_HOST", self.host())
            .env("IMAGE", IMAGE)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn call(&self, words: &[&str]) -> Output {
        Command::new("docker")
            .args(words)
            .env("DOCKER_HOST", self.host())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn start_containerd(&mut self) {
        let quoted = |name: &str| format!("{:?}", self.path(name).display().to_string());
        let config = format!(
            "version = 2\nroot = {}\nstate = {}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {}\n",
            quoted("containerd-root"),
            quoted("containerd-state"),
            quoted("containerd.sock"),
        );
        fs::write(self.path("containerd.toml"), config).unwrap();
        let log = File::create(self.path("containerd.log")).unwrap();
        let mut command = self.inside("containerd");
        command
            .arg("--config")
            .arg(self.path("containerd.toml"))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.containerd = Some(command.spawn().unwrap());
        await_that("containerd", || self.path("containerd.sock").exists());
    }

    /// Starts the daemon, or another one in its place.
    pub(crate) fn start_daemon(&mut self) {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.path("daemon.log"))
            .unwrap();
        let mut command = self.inside("dockerd");
        command
            .args(["--host", &self.host()])
            .arg("--data-root")
            .arg(self.path("root"))
            .arg("--exec-root")
            .arg(self.path("exec"))
            .arg("--containerd")
            .arg(self.path("containerd.sock"))
            .arg("--pidfile")
            .arg(self.path("daemon.pid"))
            .arg("--add-runtime")
            .arg(format!("tested={}", runtime().display()))
            .args(["--default-runtime", "tested", "--live-restore"])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--cgroup-parent", &self.cgroup()])
            .args(self.flags)
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.daemon = Some(command.spawn().unwrap());
        let deadline = Instant::now() + LONG;
        while !self.call(&["version"]).status.success() {
            let log = fs::read_to_string(self.path("daemon.log")).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(8).collect();
            assert!(Instant::now() < deadline, "no daemon came: {end:#?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills the daemon; what it has started goes on.
    pub(crate) fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    pub(crate) fn cgroup(&self) -> String {
        format!("/hoist-interop-{}", self.holder.id())
    }

    /// Ends what containerd runs and docker has forgotten: a container whose start the daemon's death has met is, for the next
    /// daemon, one that was never started.
    pub(crate) fn end_forgotten(&self) {
        let tasks = |words: &[&str]| -> Output {
            Command::new("ctr")
                .arg("--address")
                .arg(self.path("containerd.sock"))
                .args(["--namespace", "moby", "tasks"])
                .args(words)
                .output()
                .unwrap()
        };
        let forgotten = tasks(&["list", "--quiet"]).stdout;
        for task in String::from_utf8_lossy(&forgotten).split_whitespace() {
            tasks(&["kill", "--signal", "KILL", task]);
            await_that("the end of what docker has forgotten", || {
                tasks(&["delete", task]).status.success()
            });
        }
    }

    /// No container, no state of the runtime's, no cgroup and no supervisor is left.
    #[track_caller]
    pub(crate) fn assert_nothing_is_left(&self) {
        let all = self.call(&["ps", "--all", "--quiet"]);
        assert_eq!(String::from_utf8_lossy(&all.stdout), "");
        let state = self.path("exec/runtime-tested/moby");
        let mut left = Vec::new();
        await_that("the end of everything", || {
            left = names(&state);
            left.retain(|name| name != "containers");
            left.extend(names(&state.join("containers")));
            for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
                left.extend(folders(&hierarchy.path().join(&self.cgroup()[1..])));
            }
            left.extend(folders(
                &Path::new("/sys/fs/cgroup").join(&self.cgroup()[1..]),
            ));
            left.extend(self.supervisors());
            left.is_empty()
        });
    }

    fn supervisors(&self) -> Vec<String> {
        let folder = self.folder.path().display().to_string();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok())
            .filter(|words| words.contains("containerd-shim") && words.contains(&folder))
            .map(|words| words.replace('\0', " "))
            .collect()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            let all = self.call(&["ps", "--all", "--quiet"]);
            let text = String::from_utf8_lossy(&all.stdout).into_owned();
            for id in text.split_whitespace() {
                self.call(&["rm", "--force", id]);
            }
        }
        if let Some(mut daemon) = self.daemon.take() {
            terminate(&mut daemon);
        }
        if let Some(mut containerd) = self.containerd.take() {
            terminate(&mut containerd);
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = fs::remove_dir(hierarchy.path().join(&self.cgroup()[1..]));
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn folders(folder: &Path) -> Vec<String> {
    names(folder)
        .into_iter()
        .filter(|name| Path::new(name).is_dir())
        .collect()
}

/// Ends a process that was started here, gently first.
pub(crate) fn terminate(child: &mut Child) {
    signal(child.id(), libc::SIGTERM);
    let deadline = Instant::now() + Duration::from_secs(60);
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn signal(pid: u32, number: i32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let number = rustix::process::Signal::from_named_raw(number).unwrap();
    let _ = rustix::process::kill_process(pid, number);
}

//! A bundle, and the runtime under test run on it: `hoist-oci`, or what `HOIST_TEST_RUNTIME` names.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::IoSliceMut,
    mem::MaybeUninit,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use hoist_testing::{Leaks, Need, probe::report::Report, root, spec};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What containers need.
pub(crate) const CONTAINERS: &[Need] = &[Need::Root];
/// Long enough for a slow machine: only a hang takes so long.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The runtime's program.
pub(crate) fn runtime() -> OsString {
    env::var_os("HOIST_TEST_RUNTIME").unwrap_or_else(|| env!("CARGO_BIN_EXE_hoist-oci").into())
}

/// What a call of the runtime has said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Of a call that must succeed.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Of a call that must fail with `code` and say `words`.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(words), "{words:?} is not in {self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What the probe has reported.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A bundle with a state root of its own.
pub(crate) struct Bundle {
    pub(crate) folder: TempDir,
    pub(crate) config: Value,
    pub(crate) id: String,
    leaks: Option<Leaks>,
}

impl Bundle {
    /// A bundle whose program is the probe with these words.
    pub(crate) fn new(probe: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("oci-test-{}-{number}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let rootfs = folder.path().join("rootfs");
        root::minimal(&rootfs).unwrap();
        let container = spec::container(&rootfs, &id, probe);
        let mut config = serde_json::to_value(&container.oci).unwrap();
        config["root"]["path"] = json!("rootfs");
        config["linux"]["cgroupsPath"] = json!(format!("/hoist-tests/{id}"));
        let leaks = Some(Leaks::before(&id, &[]).within(&[folder.path()]));
        Self {
            folder,
            config,
            id,
            leaks,
        }
    }

    /// A bundle with a busybox root, whose program is a shell with this script; `None` where there is no busybox.
    pub(crate) fn shell(script: &str) -> Option<Self> {
        let mut bundle = Self::new(&[]);
        fs::remove_dir_all(bundle.rootfs()).unwrap();
        root::busybox(&bundle.rootfs()).unwrap()?;
        bundle.config["process"]["args"] = json!(["sh", "-c", script]);
        Some(bundle)
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the probe with other words.
    pub(crate) fn probe(&mut self, words: &[&str]) {
        let mut arguments = vec!["/probe", "probe"];
        arguments.extend(words);
        self.config["process"]["args"] = json!(arguments);
    }

    pub(crate) fn write(&self) {
        self.write_text(&self.config.to_string());
    }

    pub(crate) fn write_text(&self, text: &str) {
        fs::write(self.path("config.json"), text).unwrap();
    }

    /// The runtime with this bundle's state root and log, in the bundle's folder.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(runtime());
        command
            .arg("--root")
            .arg(self.path("state"))
            .arg("--log")
            .arg(self.path("log.json"))
            .args(["--log-format", "json"])
            .args(words)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Calls the runtime and waits for all that it says.
    pub(crate) fn call(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().unwrap())
    }

    /// Calls it for a process that goes on afterwards: its output goes to the files `out` and `err`.
    pub(crate) fn launch(&self, words: &[&str]) -> Said {
        let file = |name| File::create(self.path(name)).unwrap();
        let status = self
            .command(words)
            .stdout(file("out"))
            .stderr(file("err"))
            .status()
            .unwrap();
        Said {
            code: status.code(),
            out: String::new(),
            err: self.read("err"),
        }
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `run`, attended.
    pub(crate) fn run(&self) -> Said {
        self.write();
        self.call(&["run", &self.id])
    }

    /// `create`.
    pub(crate) fn create(&self) -> Said {
        self.write();
        self.launch(&["create", &self.id, "--pid-file", "pid"])
    }

    /// `create` and `start` that must succeed.
    #[track_caller]
    pub(crate) fn start(&self) {
        self.create().ok();
        self.call(&["start", &self.id]).ok();
    }

    #[track_caller]
    pub(crate) fn state(&self) -> Value {
        self.call(&["state", &self.id]).ok().json()
    }

    #[track_caller]
    pub(crate) fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.read("pid").trim().parse().unwrap()
    }

    /// Waits until the file holds `words`.
    #[track_caller]
    pub(crate) fn await_words(&self, file: &str, words: &str) {
        await_that(words, || self.read(file).contains(words));
    }

    #[track_caller]
    pub(crate) fn await_status(&self, status: &str) {
        await_that(status, || self.status() == status);
    }

    /// Nothing of any container is recorded.
    #[track_caller]
    pub(crate) fn assert_nothing_is_recorded(&self) {
        let containers = self.path("state").join("containers");
        let names: Vec<_> = fs::read_dir(containers)
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        assert!(names.is_empty(), "{names:?}");
    }

    /// Removes the container, and nothing of it is left.
    #[track_caller]
    pub(crate) fn remove(mut self) {
        self.call(&["delete", "--force", &self.id]).ok();
        self.assert_nothing_is_recorded();
        if let Some(leaks) = self.leaks.take() {
            leaks.assert_none();
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // A test that failed may have left it.
        let _ = self.command(&["delete", "--force", &self.id]).output();
    }
}

/// Waits for something that must become true.
#[track_caller]
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The controlling side of a console, as engines take it from the runtime.
#[track_caller]
pub(crate) fn receive_console(listener: &UnixListener) -> File {
    let (connection, _) = listener.accept().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 64];
    let received = recvmsg(
        &connection,
        &mut [IoSliceMut::new(&mut name)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    assert!(
        received.bytes > 0,
        "engines want a name beside the descriptor"
    );
    let console = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    console.unwrap().into()
}

/// A folder and a file of the host that nothing may change.
pub(crate) struct Bait {
    folder: TempDir,
}

impl Bait {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "bait").unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        let mut names: Vec<_> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["file", "folder"]);
        assert_eq!(
            fs::read_to_string(self.path().join("file")).unwrap(),
            "bait"
        );
        assert_eq!(fs::read_dir(self.path().join("folder")).unwrap().count(), 0);
    }
}

//! The built `hoist` command, driven as a user drives it.
//!
//! A test binary names its cases and ends in [`main`]. Each case gets a [`Hoist`] of its own: a state root in a
//! temporary folder, a root file system that holds the probe, and a tag by which all that it starts is known. After the case
//! nothing may be left: that is counted for every one. A case that anybody can run is run twice where the tests are run by
//! root, the second time by an ordinary user.
//!
//! `HOIST_TEST_RUNTIME` names another program to be driven instead, to prove that a test can fail.

use std::{
    fs,
    io::{self, Write},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::{Leaks, Need, Suite, hangs_after, probe, probe::report::Report, probe::sys, root};

mod ran;
mod running;

pub use ran::Ran;
pub use running::Running;

/// A command that has not ended by then hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The user and group that root becomes to be an ordinary user: `nobody` on every distribution.
const NOBODY: u32 = 65534;

/// Who can run a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Root alone.
    Root,
    /// An ordinary user alone.
    User,
    /// Both.
    Anyone,
    /// Whoever runs the tests, once: for what takes long.
    Caller,
}

/// One test of the command.
#[derive(Clone, Copy)]
pub struct Case {
    /// What holds, as a sentence.
    pub name: &'static str,
    /// Who can run it.
    pub by: By,
    /// What else it needs.
    pub needs: &'static [Need],
    /// Fails by a panic.
    pub run: fn(&Hoist),
}

/// Runs the cases with the built command `program`: `env!("CARGO_BIN_EXE_hoist")`.
pub fn main(program: &str, cases: &'static [Case]) -> ExitCode {
    probe::main_if_asked();
    let program = std::env::var_os("HOIST_TEST_RUNTIME").map_or(program.into(), PathBuf::from);
    let shared = Arc::new(Shared::new(&program).unwrap());
    let mut suite = Suite::new().serial();
    for case in cases {
        let caller_is_root = sys::effective_uid() == 0;
        if case.by != By::User || !caller_is_root {
            let shared = Arc::clone(&shared);
            suite = suite.test_or_skip(case.name, case.needs, move || {
                let need = match case.by {
                    By::Root => Need::Root,
                    By::User => Need::OrdinaryUser,
                    By::Anyone | By::Caller => Need::Namespaces,
                };
                need.missing().map_or(Ok(()), Err)?;
                shared.run(case, None);
                Ok(())
            });
        }
        if matches!(case.by, By::User | By::Anyone) && caller_is_root {
            let shared = Arc::clone(&shared);
            let name = format!("as an ordinary user: {}", case.name);
            suite = suite.test_or_skip(name, case.needs, move || {
                shared.no_namespaces_for_nobody().map_or(Ok(()), Err)?;
                shared.run(case, Some(NOBODY));
                Ok(())
            });
        }
    }
    suite.run()
}

/// What the cases of one test binary have in common.
struct Shared {
    folder: TempDir,
}

impl Shared {
    fn new(program: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir()?;
        open_to_all(folder.path())?;
        let place = folder.path().join("hoist");
        // A link to another folder's program would not help a user who may not enter that.
        fs::copy(program, &place)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
        let shared = Self { folder };
        for owner in [None, Some(NOBODY)] {
            let folder = shared.root(owner);
            fs::create_dir(&folder)?;
            root::minimal(&folder)?;
            if owner.is_some() && sys::effective_uid() == 0 {
                give(&folder, NOBODY)?;
            }
        }
        Ok(shared)
    }

    /// The root file system for a user. Cases must not change it.
    fn root(&self, user: Option<u32>) -> PathBuf {
        self.folder.path().join(match user {
            None => "root",
            Some(_) => "user-root",
        })
    }

    /// Why `nobody` can make no containers here.
    fn no_namespaces_for_nobody(&self) -> Option<String> {
        static SEEN: OnceLock<Option<String>> = OnceLock::new();
        let look = || {
            let mut command = Command::new(self.root(Some(NOBODY)).join("probe"));
            command
                .args(["probe", "namespaces", "user"])
                .current_dir("/");
            let output = command.uid(NOBODY).gid(NOBODY).output();
            match output {
                Ok(output) if output.status.success() => None,
                Ok(output) => Some(format!(
                    "an ordinary user can make no containers here: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                )),
                Err(error) => Some(format!("no ordinary user can be had here: {error}")),
            }
        };
        SEEN.get_or_init(look).clone()
    }

    fn run(&self, case: &Case, user: Option<u32>) {
        let hoist = Hoist::new(self, user);
        // What the first container makes for all that follow.
        let _ = hoist
            .command(&["run", "--rm", "--name", "first", "--rootfs"])
            .arg(&hoist.root)
            .args(["/probe", "probe", "exit", "0"])
            .output();
        let records = hoist.records();
        let leaks = Leaks::before(&hoist.tag, &[&hoist.state, &hoist.root]);
        let leaks = leaks.within(&[hoist.folder(), self.folder.path()]);
        let leaks = if records.is_dir() {
            leaks.of_records(&records)
        } else {
            leaks
        };
        (case.run)(&hoist);
        leaks.assert_none();
    }
}

fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

/// Gives a directory and all in it to a user and their group.
fn give(folder: &Path, owner: u32) -> io::Result<()> {
    chown(folder, Some(owner), Some(owner))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            give(&entry.path(), owner)?;
        } else if kind.is_file() {
            chown(entry.path(), Some(owner), Some(owner))?;
        }
    }
    Ok(())
}

/// The command, with a state root of its own.
pub struct Hoist {
    program: PathBuf,
    folder: TempDir,
    state: PathBuf,
    root: PathBuf,
    tag: String,
    user: Option<u32>,
}

impl Hoist {
    fn new(shared: &Shared, user: Option<u32>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir().unwrap();
        open_to_all(folder.path()).unwrap();
        if let Some(user) = user {
            chown(folder.path(), Some(user), Some(user)).unwrap();
        }
        Self {
            program: shared.folder.path().join("hoist"),
            state: folder.path().join("state"),
            folder,
            root: shared.root(user),
            tag: format!(
                "e2e{}n{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            ),
            user,
        }
    }

    /// A folder for the case's own files, in which the user may make some.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in [`Hoist::folder`].
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A new directory of the user's in [`Hoist::folder`].
    pub fn make_folder(&self, name: &str) -> String {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        self.own(&path);
        path
    }

    /// A new file of the user's in [`Hoist::folder`].
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        self.own(&path);
        path
    }

    fn own(&self, path: &str) {
        if let Some(user) = self.user {
            chown(path, Some(user), Some(user)).unwrap();
        }
    }

    /// The root file system of [`Hoist::container`], which holds the probe. To be left as it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A copy of the root file system that the case may change.
    pub fn copy_of_root(&self, name: &str) -> String {
        let path = self.make_folder(name);
        root::minimal(Path::new(&path)).unwrap();
        if let Some(user) = self.user {
            give(Path::new(&path), user).unwrap();
        }
        path
    }

    /// Where containers are recorded.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Where each container has a folder named after its id.
    pub fn records(&self) -> PathBuf {
        self.state.join("containers")
    }

    /// The ids that are recorded now.
    pub fn ids(&self) -> Vec<String> {
        probe::report::names(&self.records().to_string_lossy())
    }

    /// By what everything is known that this case starts ([`Leaks`]).
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The id of an ordinary user who runs the command instead of the caller.
    pub fn user(&self) -> Option<u32> {
        self.user
    }

    /// Whether an ordinary user runs the command.
    pub fn is_ordinary_user(&self) -> bool {
        self.user.is_some() || sys::effective_uid() != 0
    }

    /// The program under test.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// `hoist WORD…`, not started yet.
    pub fn command(&self, words: &[&str]) -> Command {
        let state = self.state.to_string_lossy();
        let mut line = vec!["--state-root", &state];
        line.extend(words);
        self.without_state_root(&line)
    }

    /// As [`Hoist::command`], with the state root that the user has otherwise.
    pub fn without_state_root(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .env("HOIST_TEST_TAG", &self.tag)
            .env("NO_COLOR", "1")
            // The caller's own is not open to another user.
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// `hoist run OPTION… /probe probe WORD…` in [`Hoist::root`], not started yet.
    pub fn container(&self, options: &[&str], probe: &[&str]) -> Command {
        let mut command = self.command(&["run", "-e", "HOIST_TEST_TAG", "--rootfs"]);
        command
            .arg(&self.root)
            .args(options)
            .args(["--", "/probe", "probe"])
            .args(probe);
        command
    }

    /// `hoist exec OPTION… CONTAINER /probe probe WORD…`, not started yet.
    pub fn further(&self, options: &[&str], container: &str, probe: &[&str]) -> Command {
        let mut command = self.command(&["exec", "-e", "HOIST_TEST_TAG"]);
        command
            .args(options)
            .args([container, "/probe", "probe"])
            .args(probe);
        command
    }

    /// Runs `hoist WORD…` to its end.
    pub fn hoist(&self, words: &[&str]) -> Ran {
        finish(&mut self.command(words), b"")
    }

    /// Runs [`Hoist::container`] with `--rm` to its end.
    pub fn run(&self, options: &[&str], probe: &[&str]) -> Ran {
        let mut words = vec!["--rm"];
        words.extend(options);
        finish(&mut self.container(&words, probe), b"")
    }

    /// What the probe sees in a container with such options.
    pub fn report(&self, options: &[&str]) -> Report {
        self.run(options, &["report"]).json()
    }

    /// Runs [`Hoist::further`] to its end.
    pub fn exec(&self, options: &[&str], container: &str, probe: &[&str]) -> Ran {
        finish(&mut self.further(options, container, probe), b"")
    }

    /// Starts a container of this name in the background and waits until its probe, which has to be one that prints
    /// `ready`, has printed that.
    pub fn background(&self, name: &str, options: &[&str], probe: &[&str]) -> Running<'_> {
        let mut words = vec!["--name", name];
        words.extend(options);
        Running::start(self, name, self.container(&words, probe))
    }

    /// `hoist inspect CONTAINER`, as docker writes it.
    pub fn inspect(&self, container: &str) -> serde_json::Value {
        let mut list: Vec<serde_json::Value> = self.hoist(&["inspect", container]).json();
        assert_eq!(list.len(), 1);
        list.remove(0)
    }

    /// Removes a container that has ended.
    pub fn remove(&self, container: &str) {
        self.hoist(&["rm", container]).succeeded();
    }
}

/// Runs a command to its end with this on its standard input; one that hangs fails the test.
pub fn finish(command: &mut Command, input: &[u8]) -> Ran {
    finish_within(DEADLINE, command, input)
}

/// As [`finish`], with another deadline.
pub fn finish_within(deadline: Duration, command: &mut Command, input: &[u8]) -> Ran {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        // A program that reads none of it is no fault.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let line = format!("{command:?}");
    ended_within(deadline, child, line)
}

/// Waits for a started command's end.
pub fn ended_within(deadline: Duration, child: Child, line: String) -> Ran {
    let pid = child.id();
    let (done, result) = mpsc::channel();
    thread::spawn(move || drop(done.send(child.wait_with_output())));
    match result.recv_timeout(deadline) {
        Ok(output) => Ran::new(line, output.unwrap()),
        Err(_) => {
            sys::kill(pid.cast_signed(), 9).unwrap();
            let said = hangs_after(DEADLINE, move || result.recv().unwrap().unwrap());
            panic!(
                "it hangs: {line} has not ended within {deadline:?}; it had said {:?} {:?}",
                String::from_utf8_lossy(&said.stdout),
                String::from_utf8_lossy(&said.stderr)
            );
        }
    }
}

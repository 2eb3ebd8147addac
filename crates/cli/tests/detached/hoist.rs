//! The built command with a state directory of its own.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// What has not happened by then never will.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A state directory; its containers end with it.
pub(crate) struct Hoist {
    folder: tempfile::TempDir,
}

impl Hoist {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::Builder::new().prefix("hoist-").tempdir().unwrap(),
        }
    }

    pub(crate) fn state_root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hoist"));
        command
            .arg("--state-root")
            .arg(self.state_root())
            .args(words);
        command
    }

    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.command(words).stdin(Stdio::null()).output().unwrap()
    }

    /// The standard output of a command that succeeds, without the last line feed.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert!(
            output.status.success(),
            "{words:?}: {} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// The error text of a command that fails with this code.
    pub(crate) fn fails(&self, code: i32, words: &[&str]) -> String {
        let output = self.output(words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {errors}");
        errors
    }

    /// A container in the background that runs a script of the shell, with these options of `run`; its id.
    pub(crate) fn detached(&self, options: &[&str], script: &str) -> String {
        let words: Vec<&str> = [&["run", "-d"], options, &["--", "sh", "-c", script]].concat();
        self.ok(&words)
    }

    pub(crate) fn spawn(&self, words: &[&str]) -> Child {
        self.command(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The process id of a container's supervisor, while that lives.
    pub(crate) fn supervisor(&self, id: &str) -> Option<u32> {
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.into_iter().find(|pid| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
            words.len() >= 3 && words[1] == b"supervise" && words[2] == id.as_bytes()
        })
    }

    /// Waits until so many are connected to the container's supervisor, `clients` among them, and all that these have asked of
    /// it has reached it: each sleeps, and then it sleeps, too.
    pub(crate) fn until_connected(&self, id: &str, count: usize, clients: &[Child]) {
        let supervisor = self.supervisor(id).unwrap();
        until("all are connected, and wait", || {
            connections(supervisor) >= count
                && clients.iter().all(|client| sleeps(client.id()))
                && sleeps(supervisor)
        });
    }

    /// What `ps -a` says of the container.
    pub(crate) fn status(&self, id: &str) -> String {
        let list = self.ok(&["ps", "-a", "--no-trunc", "--format", "json"]);
        let found = list
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .find(|container| container["ID"] == id || container["Names"] == id);
        found.map_or_else(String::new, |container| {
            container["Status"].as_str().unwrap().to_owned()
        })
    }
}

impl Drop for Hoist {
    fn drop(&mut self) {
        let ids = self.output(&["ps", "-aq", "--no-trunc"]).stdout;
        for id in String::from_utf8_lossy(&ids).lines() {
            self.output(&["rm", "-f", id]);
        }
    }
}

/// How many have connected to a socket of this process.
fn connections(pid: u32) -> usize {
    let own: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.ok()?.path()).ok()?;
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    // Num RefCount Protocol Flags Type State Inode Path: one that was accepted is connected (3) and has its listener's path.
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    let is_connection = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [.., "03", inode, _] if own.iter().any(|one| one == inode))
    };
    sockets.lines().skip(1).filter(is_connection).count()
}

/// Whether this process waits for something (proc_pid_stat(5)).
fn sleeps(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().unwrap().starts_with('S'))
}

/// Asks again and again until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to be that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

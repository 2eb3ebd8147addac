//! What the probe sees where it runs.

use std::{collections::BTreeMap, fs, os::unix::ffi::OsStrExt};

use serde::{Deserialize, Serialize};

use super::sys;

/// Everything the probe can see of itself. What needs `/proc` is `None` or empty where that is not mounted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its process id, in its own namespace.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its session.
    pub session: i32,
    /// Its process group.
    pub group: i32,
    /// Its arguments, from the program's name on.
    pub arguments: Vec<String>,
    /// Its environment, as it is in memory.
    pub environment: Vec<String>,
    /// Its working directory.
    pub working_directory: Option<String>,
    /// The root directory's names.
    pub root: Vec<String>,
    /// Its umask.
    pub umask: u32,
    /// The host's name.
    pub hostname: String,
    /// The NIS domain's name.
    pub domainname: String,
    /// Real, effective, saved and file system user id.
    pub uids: Vec<u32>,
    /// Real, effective, saved and file system group id.
    pub gids: Vec<u32>,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Its five capability sets.
    pub capabilities: Option<Capabilities>,
    /// The no_new_privs bit.
    pub no_new_privileges: Option<bool>,
    /// The seccomp mode: 0 none, 2 filtered.
    pub seccomp: Option<u32>,
    /// Soft and hard resource limits by their name without `RLIMIT_`, in small letters.
    pub limits: BTreeMap<String, [u64; 2]>,
    /// Its open descriptors and what they lead to.
    pub descriptors: BTreeMap<u32, String>,
    /// The mounts it sees.
    pub mounts: Vec<Mount>,
    /// Its namespaces by name: `mnt:[4026531841]`.
    pub namespaces: BTreeMap<String, String>,
    /// The lines of its cgroup file.
    pub cgroups: Vec<String>,
    /// Its signal masks.
    pub signals: Option<Signals>,
    /// Its out-of-memory score adjustment.
    pub oom_score_adjustment: Option<i32>,
    /// What it was executed from.
    pub executable: Option<String>,
    /// What PID 1 was executed from, or the error number of asking.
    pub first_executable: String,
    /// The processes it sees.
    pub processes: Vec<u32>,
    /// What is in /dev.
    pub devices: Vec<String>,
    /// The network interfaces it sees.
    pub interfaces: Vec<String>,
    /// Rows and columns of the terminals behind descriptors 0, 1 and 2.
    pub terminals: [Option<[u16; 2]>; 3],
    /// Whether the terminal on standard input controls its session.
    pub controls_terminal: bool,
}

/// Capability sets, bit by number (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// CapInh.
    pub inheritable: u64,
    /// CapPrm.
    pub permitted: u64,
    /// CapEff.
    pub effective: u64,
    /// CapBnd.
    pub bounding: u64,
    /// CapAmb.
    pub ambient: u64,
}

/// Signal masks, bit by number less one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signals {
    /// SigBlk.
    pub blocked: u64,
    /// SigIgn as it was when the probe was executed.
    pub ignored: u64,
}

/// One line of mountinfo (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What part of the file system is mounted.
    pub root: String,
    /// Where.
    pub target: String,
    /// Its own options.
    pub options: String,
    /// Propagation: `shared:1`, `master:2`.
    pub propagation: Vec<String>,
    /// The file system's type.
    pub kind: String,
    /// The source.
    pub source: String,
    /// The file system's options.
    pub super_options: String,
}

impl Report {
    /// Looks at everything.
    pub fn now() -> Self {
        let (session, group) = sys::session_and_group();
        Self {
            pid: std::process::id(),
            parent: std::os::unix::process::parent_id(),
            session,
            group,
            arguments: std::env::args_os()
                .map(|argument| text(&argument))
                .collect(),
            environment: std::env::vars_os()
                .map(|(name, value)| format!("{}={}", text(&name), text(&value)))
                .collect(),
            working_directory: std::env::current_dir()
                .ok()
                .map(|path| text(path.as_os_str())),
            root: names("/"),
            umask: sys::umask(),
            hostname: line("/proc/sys/kernel/hostname"),
            domainname: line("/proc/sys/kernel/domainname"),
            uids: ids("Uid"),
            gids: ids("Gid"),
            groups: ids("Groups"),
            capabilities: capabilities(),
            no_new_privileges: status("NoNewPrivs").map(|value| value == "1"),
            seccomp: status("Seccomp").and_then(|value| value.parse().ok()),
            limits: limits(),
            descriptors: descriptors(),
            mounts: mounts().unwrap_or_default(),
            namespaces: names("/proc/self/ns")
                .into_iter()
                .filter_map(|name| Some((name.clone(), link(&format!("/proc/self/ns/{name}"))?)))
                .collect(),
            cgroups: lines("/proc/self/cgroup"),
            signals: signals(),
            oom_score_adjustment: line("/proc/self/oom_score_adj").parse().ok(),
            executable: link("/proc/self/exe"),
            first_executable: match fs::read_link("/proc/1/exe") {
                Ok(path) => text(path.as_os_str()),
                Err(error) => format!("error {}", error.raw_os_error().unwrap_or(0)),
            },
            processes: names("/proc")
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
            devices: names("/dev"),
            interfaces: lines("/proc/self/net/dev")
                .iter()
                .skip(2)
                .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
                .collect(),
            terminals: [0, 1, 2].map(sys::terminal_size),
            controls_terminal: sys::terminal_session(0) == Some(session),
        }
    }
}

fn text(text: &std::ffi::OsStr) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

fn line(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

fn lines(path: &str) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn link(path: &str) -> Option<String> {
    fs::read_link(path).ok().map(|path| text(path.as_os_str()))
}

/// The names in a directory, sorted; none where it cannot be read.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| text(&entry.file_name()))
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

fn status(key: &str) -> Option<String> {
    lines("/proc/self/status").into_iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == key).then(|| value.trim().to_owned())
    })
}

fn ids(key: &str) -> Vec<u32> {
    status(key)
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

fn mask(key: &str) -> Option<u64> {
    u64::from_str_radix(&status(key)?, 16).ok()
}

/// The capability sets of this process.
pub fn capabilities() -> Option<Capabilities> {
    Some(Capabilities {
        inheritable: mask("CapInh")?,
        permitted: mask("CapPrm")?,
        effective: mask("CapEff")?,
        bounding: mask("CapBnd")?,
        ambient: mask("CapAmb")?,
    })
}

fn signals() -> Option<Signals> {
    const PIPE: u64 = 1 << (libc::SIGPIPE - 1);
    let was_ignored = if sys::pipe_signal_was_ignored() {
        PIPE
    } else {
        0
    };
    Some(Signals {
        blocked: mask("SigBlk")?,
        ignored: mask("SigIgn")? & !PIPE | was_ignored,
    })
}

fn limits() -> BTreeMap<String, [u64; 2]> {
    [
        ("as", libc::RLIMIT_AS),
        ("core", libc::RLIMIT_CORE),
        ("cpu", libc::RLIMIT_CPU),
        ("data", libc::RLIMIT_DATA),
        ("fsize", libc::RLIMIT_FSIZE),
        ("locks", libc::RLIMIT_LOCKS),
        ("memlock", libc::RLIMIT_MEMLOCK),
        ("msgqueue", libc::RLIMIT_MSGQUEUE),
        ("nice", libc::RLIMIT_NICE),
        ("nofile", libc::RLIMIT_NOFILE),
        ("nproc", libc::RLIMIT_NPROC),
        ("rss", libc::RLIMIT_RSS),
        ("rtprio", libc::RLIMIT_RTPRIO),
        ("rttime", libc::RLIMIT_RTTIME),
        ("sigpending", libc::RLIMIT_SIGPENDING),
        ("stack", libc::RLIMIT_STACK),
    ]
    .into_iter()
    .filter_map(|(name, resource)| Some((name.to_owned(), sys::limit(resource)?)))
    .collect()
}

/// The open descriptors of this process, but the one that lists them.
pub fn descriptors() -> BTreeMap<u32, String> {
    names("/proc/self/fd")
        .iter()
        // The listing's own descriptor is closed by now, so its link cannot be read any more.
        .filter_map(|name| Some((name.parse().ok()?, link(&format!("/proc/self/fd/{name}"))?)))
        .collect()
}

/// The mounts of this process's namespace.
pub fn mounts() -> Option<Vec<Mount>> {
    let table = fs::read("/proc/self/mountinfo").ok()?;
    Some(
        String::from_utf8_lossy(&table)
            .lines()
            .filter_map(mount)
            .collect(),
    )
}

fn mount(line: &str) -> Option<Mount> {
    let (own, of_file_system) = line.split_once(" - ")?;
    let mut own = own.split(' ').skip(3).map(str::to_owned);
    let mut rest = of_file_system.split(' ').map(str::to_owned);
    Some(Mount {
        root: own.next()?,
        target: own.next()?,
        options: own.next()?,
        propagation: own.collect(),
        kind: rest.next()?,
        source: rest.next()?,
        super_options: rest.next().unwrap_or_default(),
    })
}

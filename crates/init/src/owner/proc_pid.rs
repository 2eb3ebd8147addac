//! What the kernel tells of one process in `/proc/PID` (proc(5)), and of the boot it lives in.
//!
//! A process that is gone is `None`, never an error: it may end at any moment.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::{fs, io, time::Duration};

use serde::{Deserialize, Serialize};

use hoist_compute::{ProcessEntry, Timestamp};
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
    time::{ClockId, Timespec, clock_gettime},
};

use super::{wait::until_ready, whole_file};

/// Clock ticks per second in `/proc`: `USER_HZ`, which is 100 on every architecture that Rust's Linux targets have.
const TICKS_PER_SECOND: u64 = 100;

/// A process, told from a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its id.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was (proc_pid_stat(5), field 22).
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// The identity of a process that is there.
    pub fn of(pid: u32) -> io::Result<Self> {
        let start_ticks = start_ticks(pid)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { pid, start_ticks })
    }

    /// Whether the process is still there, if only as a zombie.
    pub fn exists(self) -> bool {
        start_ticks(self.pid).is_ok_and(|ticks| ticks == Some(self.start_ticks))
    }

    /// Whether the process is there and has not ended. One whose first thread has ended looks like a zombie, and lives for as long
    /// as any of its other threads.
    ///
    /// # Errors
    ///
    /// Where the kernel does not let it be looked at.
    pub fn is_alive(self) -> io::Result<bool> {
        let Some(stat) = stat(self.pid)?.filter(|stat| stat.start_ticks == self.start_ticks) else {
            return Ok(false);
        };
        match stat.state {
            'X' => Ok(false),
            'Z' => match open(self.pid)?.filter(|_| self.exists()) {
                // It is ready when all of its threads have ended (pidfd_open(2)).
                Some(pidfd) => until_ready(pidfd.as_fd(), Some(Duration::ZERO)).map(|ended| !ended),
                None => Ok(false),
            },
            _ => Ok(true),
        }
    }
}

/// A part of `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    /// The name of its program's file, cut to 15 bytes.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, …
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// Processor time it has used, in user and in system mode, in clock ticks.
    pub cpu_ticks: u64,
    /// When it was started, in clock ticks since boot. With the boot id it tells a process from any other that
    /// ever bears its number.
    pub start_ticks: u64,
}

/// Reads `/proc/PID/stat`.
pub fn stat(pid: u32) -> io::Result<Option<ProcessStat>> {
    let Some(text) = read(pid, "stat")? else {
        return Ok(None);
    };
    parse_stat(&String::from_utf8_lossy(&text))
        .map(Some)
        .ok_or_else(|| invalid(pid, "stat"))
}

/// When a process was started, in clock ticks since boot.
pub fn start_ticks(pid: u32) -> io::Result<Option<u64>> {
    Ok(stat(pid)?.map(|stat| stat.start_ticks))
}

/// What a list of processes shows of one.
pub fn entry(pid: u32) -> io::Result<Option<ProcessEntry>> {
    let (Some(stat), Some(status), Some(command)) =
        (stat(pid)?, read(pid, "status")?, read(pid, "cmdline")?)
    else {
        return Ok(None);
    };
    let uid = parse_uid(&String::from_utf8_lossy(&status)).ok_or_else(|| invalid(pid, "status"))?;
    Ok(Some(ProcessEntry {
        pid,
        parent: stat.parent,
        uid,
        cpu_milliseconds: stat.cpu_ticks.saturating_mul(1000 / TICKS_PER_SECOND),
        started_at: time_of(stat.start_ticks),
        waits_in_kernel: (stat.state == 'D').then(|| wait_channel(pid)),
        command: command_line(&command).unwrap_or_else(|| format!("[{}]", stat.name)),
    }))
}

/// The function of the kernel in which a process waits, as far as the kernel tells.
fn wait_channel(pid: u32) -> String {
    let told = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    match told.trim() {
        "" | "0" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}

/// A process by its id, held fast from now on (pidfd_open(2)).
///
/// `None` where no process bears that id: it has ended and been reaped, or the id is a thread's (by now).
pub fn open(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        // For a thread ENOENT, before Linux 6.15 EINVAL; the latter also for a process that is being reaped meanwhile.
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The id of the process that a pidfd refers to (pidfd_open(2), "fdinfo").
pub fn of_pidfd(pidfd: BorrowedFd<'_>) -> io::Result<u32> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// An id that differs with each boot (random(4)).
pub fn boot_id() -> io::Result<String> {
    Ok(whole_file::read_text("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Which pid namespace a process is in: the inode of `/proc/PID/ns/pid`.
pub fn pid_namespace(pid: u32) -> io::Result<Option<u64>> {
    match rustix::fs::stat(format!("/proc/{pid}/ns/pid")) {
        Ok(stat) => Ok(Some(stat.st_ino)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The processes in a pid namespace, those in namespaces below it left out. Processes that the caller may not look
/// at are left out too.
pub fn pids_in_namespace(namespace: u64) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        match pid_namespace(pid) {
            Ok(found) if found == Some(namespace) => pids.push(pid),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(pids)
}

fn read(pid: u32, file: &str) -> io::Result<Option<Vec<u8>>> {
    match whole_file::read(format!("/proc/{pid}/{file}")) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

fn invalid(pid: u32, file: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("/proc/{pid}/{file} is not what proc(5) says"),
    )
}

fn parse_stat(text: &str) -> Option<ProcessStat> {
    // The name may contain spaces and parentheses: it ends at the last one.
    let (start, rest) = text.rsplit_once(") ")?;
    let (_, name) = start.split_once(" (")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The state is the third field of the file, so a field's index here is its number there less three.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(ProcessStat {
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: number(4)?.try_into().ok()?,
        cpu_ticks: number(14)?.saturating_add(number(15)?),
        start_ticks: number(22)?,
    })
}

/// The effective user id: the second of the four.
fn parse_uid(status: &str) -> Option<u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// `None` for a kernel thread or a process that has ended.
fn command_line(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let words: Vec<_> = bytes
        .split(|&byte| byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    let line = words.join(" ");
    (!line.trim().is_empty()).then_some(line)
}

fn time_of(start_ticks: u64) -> Timestamp {
    let nanoseconds = |time: Timespec| {
        let time = Duration::new(
            time.tv_sec.try_into().unwrap_or(0),
            time.tv_nsec.try_into().unwrap_or(0),
        );
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    };
    let since_boot = nanoseconds(clock_gettime(ClockId::Boottime));
    let boot = nanoseconds(clock_gettime(ClockId::Realtime)).saturating_sub(since_boot);
    let started = start_ticks.saturating_mul(1_000_000_000 / TICKS_PER_SECOND);
    Timestamp(boot.saturating_add(started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_thread_or_of_nothing_opens_no_process() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid()).unwrap();
            let _ = wait.recv();
        });
        let id = told.recv().unwrap().as_raw_nonzero().get() as u32;
        assert!(open(id).unwrap().is_none());
        assert!(open(0).unwrap().is_none());
        assert!(open(u32::MAX).unwrap().is_none());
        assert!(open(std::process::id()).unwrap().is_some());
        drop(end);
        thread.join().unwrap();
    }

    const LINE: &str = "12 (a) b (c) S 7 12 12 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 4711 1000 200 18446744073709551615 1 1";

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        assert_eq!(
            parse_stat(LINE),
            Some(ProcessStat {
                name: "a) b (c".to_owned(),
                state: 'S',
                parent: 7,
                cpu_ticks: 42,
                start_ticks: 4711,
            })
        );
    }

    #[test]
    fn a_torn_stat_is_refused() {
        for end in 0..LINE.find(" 4711").unwrap() {
            assert_eq!(parse_stat(&LINE[..end]), None);
        }
    }

    #[test]
    fn the_effective_user_is_the_second_number() {
        assert_eq!(
            parse_uid("Name:\tx\nUid:\t1000\t0\t1000\t1000\nGid:\t5\t5\t5\t5\n"),
            Some(0)
        );
        assert_eq!(parse_uid("Name:\tUid:\n"), None);
    }

    #[test]
    fn a_command_line_has_spaces_where_the_kernel_has_nul_bytes() {
        assert_eq!(
            command_line(b"sh\0-c\0true\0").as_deref(),
            Some("sh -c true")
        );
        assert_eq!(command_line(b"sh\0\0x\0").as_deref(), Some("sh  x"));
        assert_eq!(command_line(b""), None);
        assert_eq!(command_line(b"\0"), None);
    }

    #[test]
    fn this_process_is_told_as_it_is() {
        let own = std::process::id();
        let entry = entry(own).unwrap().unwrap();
        assert_eq!(entry.pid, own);
        assert_eq!(entry.parent, std::os::unix::process::parent_id());
        assert_eq!(entry.uid, rustix::process::geteuid().as_raw());
        assert!(entry.started_at <= Timestamp::now());
        assert_eq!(
            start_ticks(own).unwrap(),
            stat(own).unwrap().map(|stat| stat.start_ticks)
        );
        let namespace = pid_namespace(own).unwrap().unwrap();
        assert!(pids_in_namespace(namespace).unwrap().contains(&own));
        assert_eq!(boot_id().unwrap().len(), 36);
    }

    #[test]
    fn a_process_that_is_gone_is_none() {
        // Above the largest number that the kernel gives (PID_MAX_LIMIT).
        let nobody = (1 << 22) + 1;
        assert_eq!(stat(nobody).unwrap(), None);
        assert_eq!(entry(nobody).unwrap(), None);
        assert_eq!(pid_namespace(nobody).unwrap(), None);
    }
}

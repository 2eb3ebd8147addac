//! A process's keeper: its parent, and the reaper of all that it starts, whatever sessions, groups and parents that gives itself. So
//! nothing of it escapes an end by force, without any isolation.
//!
//! The keeper is nobody's child but init's, and outlives its owner. `SIGTERM` asks it to end all that it keeps by force.

use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use hoist_init::wire::{Call, KeptEnd, Message, MessageKind};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat, renameat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::fault::{At, Fault, Result};
use super::{control, sys};

const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;
const SIGCHLD: u32 = 17;
const ALL_SIGNALS: sys::SignalSet = !0;
/// `struct signalfd_siginfo` (signalfd(2)), which begins with the signal's number.
const SIGNAL_LENGTH: usize = 128;

/// How long those that were killed may take before it is looked again who there is, in milliseconds.
const AGAIN: u64 = 5;

/// The children of a thread (proc_tid_children(5)); needs `CONFIG_PROC_CHILDREN`.
const CHILDREN: &core::ffi::CStr = c"/proc/thread-self/children";

/// In the process, where to tell the keeper that the program was not executed.
static NOT_EXECUTED: AtomicI32 = AtomicI32::new(-1);

/// Tells the keeper, where there is one, that this process ends without having executed its program: its end means nothing then.
pub(crate) fn not_executed() {
    let number = NOT_EXECUTED.load(Relaxed);
    if number >= 0 {
        // SAFETY: the number is of a descriptor that this process keeps for this.
        #[allow(unsafe_code, reason = "a descriptor by its number")]
        let pipe = unsafe { sys::descriptor(number) };
        let _ = rustix::io::write(pipe, &[1]);
    }
}

/// A keeper that has forked its process.
pub(crate) struct Keeper {
    process: u32,
    signals: OwnedFd,
    /// Where the process says that it was not executed.
    word: OwnedFd,
    whole: bool,
    /// In nanoseconds of the monotonic clock.
    deadline: Option<u64>,
}

impl Keeper {
    /// Becomes a process of its own and forks the one to be kept: none there, the keeper in the parent.
    pub(crate) fn fork(whole: bool, timeout: u64) -> Result<Option<Self>> {
        if sys::fork(0).at(Call::Clone)?.is_some() {
            sys::exit(0);
        }
        rustix::process::setsid().at(Call::Setsid)?;
        rustix::process::chdir(c"/").at(Call::Chdir)?;
        sys::prctl(sys::PR_SET_CHILD_SUBREAPER, 1, 0).at(Call::Prctl)?;
        // Without it nobody could be ended later.
        children(&mut [0; 64])?;
        sys::set_signal_mask(ALL_SIGNALS).at(Call::Prctl)?;
        let signals = sys::signalfd(ALL_SIGNALS).at(Call::Poll)?;
        let (word, says) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).at(Call::Fcntl)?;
        let Some(process) = sys::fork(SIGCHLD).at(Call::Clone)? else {
            sys::set_signal_mask(0).at(Call::Prctl)?;
            NOT_EXECUTED.store(says.into_raw_fd(), Relaxed);
            return Ok(None);
        };
        let own = rustix::process::getpid().as_raw_nonzero().get() as u64;
        // An owner that is gone leaves the process with nobody to let it go: it ends, and so does this.
        let _ = control::send(Message {
            value: own << 32 | u64::from(process.get()),
            ..Message::of(MessageKind::Cloned)
        });
        control::hang_up();
        for number in 0..3 {
            // SAFETY: the standard streams are the process's; nothing here uses them.
            #[allow(unsafe_code, reason = "descriptors by their numbers")]
            unsafe {
                rustix::io::close(number)
            };
        }
        Ok(Some(Self {
            process: process.get(),
            signals,
            word,
            whole,
            deadline: (timeout != 0)
                .then(|| now().saturating_add(timeout.saturating_mul(1_000_000))),
        }))
    }

    /// Keeps the process and all that it starts until nothing of that is left.
    pub(crate) fn keep(
        self,
        folder: BorrowedFd<'_>,
        mut told: Option<OwnedFd>,
        with: Option<BorrowedFd<'_>>,
    ) -> ! {
        let (mut ending, mut timed_out) = (false, false);
        let mut end = None;
        let mut has_reaped = false;
        loop {
            let pause = match (ending, has_reaped) {
                (false, _) => self.deadline.map(|deadline| deadline.saturating_sub(now())),
                // Whoever has forked meanwhile shall not do so again.
                (true, true) => Some(0),
                (true, false) => Some(AGAIN * 1_000_000),
            };
            ending |= self.is_asked_to_end(with.filter(|_| !ending), pause);
            if !timed_out && self.deadline.is_some_and(|deadline| now() >= deadline) {
                (timed_out, ending) = (end.is_none(), true);
            }
            if ending {
                kill_children();
            }
            let (reaped, is_alone) = reap(|pid, status| {
                if pid == self.process {
                    end = Some(KeptEnd {
                        wait_status: status,
                        timed_out: timed_out && status & 0x7f == SIGKILL as i32,
                        finished_at: nanoseconds(clock_gettime(ClockId::Realtime)),
                    });
                }
            });
            ending |= self.whole && end.is_some();
            if let Some(end) = end.filter(|_| is_alone || !self.whole)
                && let Some(told) = told.take()
                && !self.was_not_executed()
            {
                // Who waits learns it by the pipe, though nobody can write it down any more.
                let _ = record(folder, &end);
                let _ = rustix::io::write(told, &end.to_bytes());
            }
            if is_alone {
                sys::exit(0);
            }
            has_reaped = reaped;
        }
    }

    /// Waits until something happens; whether it is that all is to be ended.
    fn is_asked_to_end(&self, with: Option<BorrowedFd<'_>>, pause: Option<u64>) -> bool {
        let limit = pause.map(|pause| Timespec {
            tv_sec: (pause / 1_000_000_000) as i64,
            tv_nsec: (pause % 1_000_000_000) as i64,
        });
        let signals = self.signals.as_fd();
        let mut waited = [
            PollFd::new(&signals, PollFlags::IN),
            PollFd::from_borrowed_fd(with.unwrap_or(signals), PollFlags::IN),
        ];
        let _ = poll(&mut waited, limit.as_ref());
        let mut asked = with.is_some() && !waited[1].revents().is_empty();
        let mut signal = [0_u8; SIGNAL_LENGTH];
        while let Ok(SIGNAL_LENGTH) = rustix::io::read(&self.signals, &mut signal) {
            let [a, b, c, d, ..] = signal;
            asked |= u32::from_ne_bytes([a, b, c, d]) == SIGTERM;
        }
        asked
    }

    fn was_not_executed(&self) -> bool {
        matches!(rustix::io::read(&self.word, &mut [0_u8; 1]), Ok(1))
    }
}

fn now() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Reaps every child that has ended. Whether there was one, and whether there is no child any more.
fn reap(mut tell: impl FnMut(u32, i32)) -> (bool, bool) {
    let mut reaped = false;
    loop {
        match sys::reap_one() {
            Ok(Some((pid, status))) => {
                reaped = true;
                tell(pid, status);
            }
            Ok(None) => return (reaped, false),
            Err(Errno::INTR) => {}
            Err(_) => return (reaped, true),
        }
    }
}

/// As much as fits of the list of children, as the kernel writes it.
fn children(list: &mut [u8]) -> Result<usize> {
    let file = openat(
        CWD,
        CHILDREN,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Call::Openat)?;
    rustix::io::read(&file, list).at(Call::Openat)
}

/// Kills the children there are. What they leave behind becomes this process's children, and is killed next.
fn kill_children() {
    let mut list = [0_u8; 8192];
    let length = children(&mut list).unwrap_or(0);
    let mut pid = 0_i32;
    for byte in &list[..length] {
        match byte {
            b'0'..=b'9' => pid = pid.wrapping_mul(10).wrapping_add(i32::from(byte - b'0')),
            // A number that the buffer has cut has nothing behind it.
            _ if pid > 1 => {
                // Only a child of this process bears it until that is reaped. One of another user is not ended so.
                let _ = sys::kill(pid, SIGKILL);
                pid = 0;
            }
            _ => pid = 0,
        }
    }
}

/// Writes the end down.
fn record(folder: BorrowedFd<'_>, end: &KeptEnd) -> core::result::Result<(), Fault> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = openat(folder, c".end", flags, Mode::from_raw_mode(0o600)).at(Call::Openat)?;
    rustix::io::write(&file, &end.to_bytes()).at(Call::Write)?;
    renameat(folder, c".end", folder, c"end").at(Call::Write)
}

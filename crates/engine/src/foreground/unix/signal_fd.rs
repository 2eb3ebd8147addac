//! signalfd(2): the signals of a foreground command as a descriptor.
#![allow(
    unsafe_code,
    reason = "rustix has neither signalfd nor a signal mask outside its unstable runtime module"
)]

use std::{
    fs::File,
    io::{self, Read},
    mem::{self, MaybeUninit},
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
};

use hoist_compute::Result;
use hoist_spec::Signal;

use super::{
    failed,
    signals::{Caught, SignalSource},
};

/// Signals that are left alone: the two that cannot be caught; those of our own faults; those with which a shell stops a
/// job; and those that speak of our own children, pipes and sockets. The C library keeps 32 and 33 for itself.
const LEFT_ALONE: [i32; 18] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCHLD,
    libc::SIGPIPE,
    libc::SIGURG,
    libc::SIGXFSZ,
    32,
    33,
];

/// Every signal that a foreground command passes on, read from a descriptor instead of ending the command.
#[derive(Debug)]
pub struct SignalFd {
    file: File,
}

impl SignalFd {
    /// Blocks these signals for the calling thread, for good, and opens a descriptor from which they are read.
    ///
    /// This is for a program that is a command, never for a library inside another: it changes how the whole
    /// program can be ended. Call it once, at the beginning, before there is a second thread (threads inherit
    /// the mask; one that did not would still be ended by the signal). A `SIGTERM` that came before the container's process was
    /// started waits in the descriptor and is passed on then. Programs started otherwise than by the engine inherit the
    /// mask.
    pub fn new() -> Result<Self> {
        Self::open((1..=libc::SIGRTMAX()).filter(|signal| !LEFT_ALONE.contains(signal)))
    }

    /// As [`SignalFd::new`], for a supervisor: the signals that ask a program to end, and those that tell of its children.
    pub(crate) fn of_a_supervisor() -> Result<Self> {
        Self::open(
            [
                libc::SIGHUP,
                libc::SIGINT,
                libc::SIGQUIT,
                libc::SIGTERM,
                libc::SIGCHLD,
            ]
            .into_iter(),
        )
    }

    fn open(signals: impl Iterator<Item = libc::c_int>) -> Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the whole set that its pointer leads to, the set is used after that only,
        // and every pointer is to a local that outlives its call. pthread_sigmask changes this thread's mask alone.
        let descriptor = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            let errno = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            if errno != 0 {
                return Err(failed(
                    "block signals",
                    "pthread_sigmask",
                    io::Error::from_raw_os_error(errno),
                ));
            }
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if descriptor < 0 {
            return Err(failed(
                "open a descriptor for signals",
                "signalfd",
                io::Error::last_os_error(),
            ));
        }
        // SAFETY: signalfd has just returned this descriptor, and nobody else knows it.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { file: owned.into() })
    }
}

impl SignalSource for SignalFd {
    fn readiness(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn next(&mut self) -> Result<Option<Caught>> {
        const SIZE: usize = mem::size_of::<libc::signalfd_siginfo>();
        let mut record = [0; SIZE];
        loop {
            match self.file.read(&mut record) {
                Ok(SIZE) => {}
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed("read a signal", "read", error)),
            }
            // signalfd_siginfo: ssi_signo: u32, ssi_errno: i32, ssi_code: i32, …
            let [a, b, c, d, _, _, _, _, e, f, g, h, ..] = record;
            let number = i32::from_ne_bytes([a, b, c, d]);
            let code = i32::from_ne_bytes([e, f, g, h]);
            if let Some(signal) = Signal::from_number(number) {
                return Ok(Some(Caught {
                    signal,
                    from_kernel: code == libc::SI_KERNEL,
                }));
            }
        }
    }
}

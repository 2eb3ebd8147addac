//! Console events as signals: what Ctrl+C, Ctrl+Break and the end of the console or session ask of the command.
#![allow(unsafe_code, reason = "console events have no safe interface")]

use std::{
    io,
    os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use hoist_compute::{Readiness, Result};
use hoist_spec::Signal;
use windows_sys::{
    Win32::System::{
        Console::{
            CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT,
            CTRL_SHUTDOWN_EVENT, SetConsoleCtrlHandler,
        },
        Threading::{CreateEventW, INFINITE, ResetEvent, SetEvent, Sleep},
    },
    core::BOOL,
};

use super::failed;
use crate::foreground::signals::{Caught, SignalSource};

/// `SIGQUIT` (signal(7)), whose console event is Ctrl+Break.
const QUIT: &str = "QUIT";

/// The events that have come and were not asked for yet, a bit each.
static COME: AtomicU32 = AtomicU32::new(0);
/// Signalled while there are any.
static ARRIVAL: OnceLock<OwnedHandle> = OnceLock::new();

/// Every console event that a foreground command passes on, read instead of ending the command.
#[derive(Debug)]
pub struct ConsoleEvents {
    arrival: &'static OwnedHandle,
}

impl ConsoleEvents {
    /// Takes the console events of this program from now on, for good.
    ///
    /// This is for a program that is a command, never for a library inside another: it changes how the whole program can be ended.
    pub fn new() -> Result<Self> {
        let arrival = match ARRIVAL.get() {
            Some(arrival) => arrival,
            None => {
                let made =
                    event().map_err(|error| failed("make an event", "CreateEvent", error))?;
                ARRIVAL.get_or_init(|| made)
            }
        };
        // SAFETY: the handler is a function of this program, touches only atomics and an event, and is never taken away.
        if unsafe { SetConsoleCtrlHandler(Some(note), 1) } == 0 {
            let error = io::Error::last_os_error();
            return Err(failed(
                "take console events",
                "SetConsoleCtrlHandler",
                error,
            ));
        }
        Ok(Self { arrival })
    }
}

/// An event that stays signalled until it is reset.
fn event() -> io::Result<OwnedHandle> {
    // SAFETY: no attributes and no name are given.
    let handle = unsafe { CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new, and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Called by Windows, in a thread of its own.
unsafe extern "system" fn note(kind: u32) -> BOOL {
    if signal(kind).is_none() {
        return 0;
    }
    COME.fetch_or(1 << kind, SeqCst);
    if let Some(arrival) = ARRIVAL.get() {
        // SAFETY: the handle is an event's, and never closed.
        unsafe { SetEvent(arrival.as_raw_handle()) };
    }
    if matches!(
        kind,
        CTRL_CLOSE_EVENT | CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT
    ) {
        // The program is ended as soon as this returns: what it has to do first, it does meanwhile, and Windows waits only so long.
        // SAFETY: this thread holds nothing.
        unsafe { Sleep(INFINITE) };
    }
    1
}

/// The signal that a console event is.
fn signal(kind: u32) -> Option<Signal> {
    match kind {
        CTRL_C_EVENT => Some(Signal::INT),
        CTRL_BREAK_EVENT => QUIT.parse().ok(),
        CTRL_CLOSE_EVENT => Some(Signal::HUP),
        CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT => Some(Signal::TERM),
        _ => None,
    }
}

impl SignalSource for ConsoleEvents {
    fn readiness(&self) -> Readiness<'_> {
        self.arrival.as_handle()
    }

    fn next(&mut self) -> Result<Option<Caught>> {
        // Before looking: what comes afterwards signals it again.
        // SAFETY: the handle is an event's, and never closed.
        unsafe { ResetEvent(self.arrival.as_raw_handle()) };
        let come = COME.load(SeqCst);
        if come == 0 {
            return Ok(None);
        }
        let kind = come.trailing_zeros();
        let left = COME.fetch_and(!(1 << kind), SeqCst) & !(1 << kind);
        if left != 0 {
            // SAFETY: as above.
            unsafe { SetEvent(self.arrival.as_raw_handle()) };
        }
        Ok(signal(kind).map(|signal| Caught {
            signal,
            from_kernel: true,
        }))
    }
}

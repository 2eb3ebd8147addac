//! The caller's console, and the copying between it and a process's.
#![allow(
    unsafe_code,
    reason = "the modes and the size of a console have no safe interface"
)]

use std::{
    fs::File,
    io::{self, Read, Write},
    os::windows::io::{AsHandle, AsRawHandle, OwnedHandle},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{Error, ErrorKind, ExitStatus, Phase, Process, Result};
use hoist_spec::ConsoleSize;
use windows_sys::Win32::System::{
    Console::{
        CONSOLE_SCREEN_BUFFER_INFO, DISABLE_NEWLINE_AUTO_RETURN, ENABLE_ECHO_INPUT,
        ENABLE_LINE_INPUT, ENABLE_PROCESSED_INPUT, ENABLE_PROCESSED_OUTPUT,
        ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode,
        GetConsoleScreenBufferInfo, SetConsoleMode,
    },
    IO::CancelSynchronousIo,
};

use super::{failed, wait};
use crate::foreground::{
    Descriptor,
    signals::{SignalSource, pass_on},
};

/// How often the size of the caller's console is looked at: its changes come to nobody who does not read its input events.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked at whether the output has been taken, after the process's end.
const DRAINING: Duration = Duration::from_millis(10);

/// The caller's side.
pub(in super::super) struct Ends<'a> {
    pub(in super::super) input: Option<Descriptor<'a>>,
    pub(in super::super) output: Descriptor<'a>,
    pub(in super::super) drain_limit: Duration,
}

/// The size of the console at `handle`; `None` where that is none.
pub fn terminal_size(handle: Descriptor<'_>) -> Option<ConsoleSize> {
    let mut info = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the handle is borrowed for the call, which fills the structure and fails for what is no console.
    if unsafe { GetConsoleScreenBufferInfo(handle.as_raw_handle(), &mut info) } == 0 {
        return None;
    }
    let window = info.srWindow;
    let extent = |first: i16, last: i16| {
        u16::try_from(i32::from(last) - i32::from(first) + 1)
            .ok()
            .filter(|extent| *extent > 0)
    };
    Some(ConsoleSize {
        height: extent(window.Top, window.Bottom)?,
        width: extent(window.Left, window.Right)?,
    })
}

/// A console in another mode; dropped, it is as before.
struct Mode {
    console: OwnedHandle,
    before: u32,
}

impl Mode {
    /// Changes the mode; `None` where `handle` is no console, or one that does not know the new mode.
    fn change(handle: Descriptor<'_>, clear: u32, set: u32) -> io::Result<Option<Self>> {
        let mut before = 0;
        // SAFETY: the handle is borrowed for the call, which fails for what is no console.
        if unsafe { GetConsoleMode(handle.as_raw_handle(), &mut before) } == 0 {
            return Ok(None);
        }
        let console = handle.try_clone_to_owned()?;
        let wanted = (before & !clear) | set;
        // SAFETY: the handle is a console's.
        let changed = unsafe { SetConsoleMode(console.as_raw_handle(), wanted) } != 0;
        Ok(changed.then_some(Self { console, before }))
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        // SAFETY: the handle is a console's. Nothing can be done where it is gone.
        unsafe { SetConsoleMode(self.console.as_raw_handle(), self.before) };
    }
}

/// As [`attach`](crate::foreground::attach).
pub(in super::super) fn attach(
    process: &dyn Process,
    ends: Ends<'_>,
    mut signals: Option<&mut dyn SignalSource>,
    failures: &mut Vec<Error>,
) -> Result<ExitStatus> {
    let streams = process.take_streams();
    let (Some(to_console), Some(from_console)) = (streams.stdin, streams.stdout) else {
        return Err(Error::new(
            ErrorKind::InvalidState,
            Phase::Operate,
            "attach to the console of the process",
        )
        .because("it has none, or it was taken before"));
    };
    let _modes = [
        ends.input.map(|input| {
            let typed = ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT | ENABLE_PROCESSED_INPUT;
            Mode::change(input, typed, ENABLE_VIRTUAL_TERMINAL_INPUT)
        }),
        Some(Mode::change(
            ends.output,
            0,
            ENABLE_PROCESSED_OUTPUT
                | ENABLE_VIRTUAL_TERMINAL_PROCESSING
                | DISABLE_NEWLINE_AUTO_RETURN,
        )),
    ]
    .map(|mode| match mode {
        Some(Err(error)) => {
            failures.push(failed("change the console's mode", "SetConsoleMode", error));
            None
        }
        Some(Ok(mode)) => mode,
        None => None,
    });
    let output = Output::start(from_console, ends.output)?;
    let input = match ends.input {
        Some(input) => Some(Input::start(input, to_console)?),
        None => None,
    };
    let size = || terminal_size(ends.output).or_else(|| ends.input.and_then(terminal_size));
    let mut known = size();
    loop {
        let ready = {
            let signalled = signals.as_ref().map(|signals| signals.readiness());
            wait::any(process.readiness(), signalled, Some(LOOK))
                .map_err(|error| failed("wait for the process", "WaitForMultipleObjects", error))?
        };
        pass_on(process, signals.as_deref_mut(), failures)?;
        if ready == Some(wait::Which::First) {
            break;
        }
        let now = size();
        if let Some(new) = now.filter(|_| now != known) {
            known = now;
            match process.resize_console(new) {
                Err(error) if error.kind() != ErrorKind::InvalidState => failures.push(error),
                _ => {}
            }
        }
    }
    drop(input);
    output.drain(ends.drain_limit);
    process.wait(None)
}

fn no_thread(error: io::Error) -> Error {
    failed("copy between consoles", "CreateThread", error)
}

fn duplicate(handle: Descriptor<'_>) -> Result<File> {
    handle
        .try_clone_to_owned()
        .map(File::from)
        .map_err(|error| failed("duplicate a standard stream", "DuplicateHandle", error))
}

/// The copying of what is typed; dropped, it ends.
struct Input {
    thread: thread::JoinHandle<()>,
}

impl Input {
    fn start(from: Descriptor<'_>, mut to: File) -> Result<Self> {
        let mut from = duplicate(from)?;
        let copy = move || {
            // What the process does not read any more is of no use to it; the end of the input ends its own.
            let _ = io::copy(&mut from, &mut to);
        };
        let thread = thread::Builder::new().name("hoist input".to_owned());
        Ok(Self {
            thread: thread.spawn(copy).map_err(no_thread)?,
        })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: the handle is a thread's. A read that waits for keys ends with an error; where there is none, nothing happens, and
        // the thread ends with the program.
        unsafe { CancelSynchronousIo(self.thread.as_handle().as_raw_handle()) };
    }
}

/// The copying of output.
struct Output {
    copied: Arc<AtomicUsize>,
    writes: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Output {
    fn start(mut from: File, to: Descriptor<'_>) -> Result<Self> {
        let mut to = duplicate(to)?;
        let (copied, writes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, writing) = (Arc::clone(&copied), Arc::clone(&writes));
        let copy = move || {
            let mut piece = [0; 8192];
            while let Ok(length @ 1..) = from.read(&mut piece) {
                writing.store(true, SeqCst);
                if to.write_all(&piece[..length]).is_err() {
                    break;
                }
                count.fetch_add(length, SeqCst);
                writing.store(false, SeqCst);
            }
        };
        let thread = thread::Builder::new().name("hoist output".to_owned());
        Ok(Self {
            copied,
            writes,
            thread: thread.spawn(copy).map_err(no_thread)?,
        })
    }

    /// Waits until all is copied, or for so long nothing more has come.
    fn drain(self, limit: Duration) {
        let mut seen = self.copied.load(SeqCst);
        let mut deadline = Instant::now() + limit;
        while !self.thread.is_finished() {
            let now = self.copied.load(SeqCst);
            if now != seen || self.writes.load(SeqCst) {
                (seen, deadline) = (now, Instant::now() + limit);
            } else if Instant::now() >= deadline {
                return;
            }
            thread::sleep(DRAINING);
        }
    }
}

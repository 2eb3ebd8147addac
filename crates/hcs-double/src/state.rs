//! What the double keeps: systems, their processes, and who is to be called back.

use std::{
    collections::HashMap,
    os::windows::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, MutexGuard},
    thread,
};

use crate::documents;

/// `NOTIFICATION_CALLBACK` with its context as a number.
#[derive(Clone, Copy)]
pub(crate) struct Callback {
    pub(crate) handle: usize,
    pub(crate) function: extern "system" fn(u32, *const std::ffi::c_void, i32, *const u16) -> i32,
    pub(crate) context: usize,
}

pub(crate) struct System {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) alive: bool,
    pub(crate) callback: Option<Callback>,
}

pub(crate) struct Process {
    pub(crate) system: usize,
    pub(crate) pid: u32,
    pub(crate) child: Option<Child>,
    pub(crate) code: Option<u32>,
    pub(crate) callback: Option<Callback>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) systems: HashMap<usize, System>,
    pub(crate) processes: HashMap<usize, Process>,
    next: usize,
}

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);

pub(crate) fn state() -> MutexGuard<'static, State> {
    STATE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl State {
    pub(crate) fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }
}

/// Calls back on a thread of the double's own.
pub(crate) fn notify(callback: Option<Callback>, kind: u32) {
    if let Some(callback) = callback {
        thread::spawn(move || {
            (callback.function)(
                kind,
                std::ptr::without_provenance(callback.context),
                0,
                std::ptr::null(),
            )
        });
    }
}

/// Starts a process of this machine.
pub(crate) fn start(document: &documents::Process) -> std::io::Result<Child> {
    let line = document.command_line.trim_start();
    let (program, arguments) = match line.strip_prefix('"') {
        Some(rest) => rest.split_once('"').unwrap_or((rest, "")),
        None => line.split_once(' ').unwrap_or((line, "")),
    };
    let piped = |wanted| {
        if wanted {
            Stdio::piped()
        } else {
            Stdio::null()
        }
    };
    let mut command = Command::new(program);
    command
        .raw_arg(arguments.trim_start())
        .envs(&document.environment)
        .stdin(piped(document.create_std_in_pipe))
        .stdout(piped(document.create_std_out_pipe))
        .stderr(piped(document.create_std_err_pipe));
    if !document.working_directory.is_empty() {
        command.current_dir(&document.working_directory);
    }
    command.spawn()
}

/// Watches a process until it ends.
pub(crate) fn watch(process: usize) {
    thread::spawn(move || {
        loop {
            let mut state = state();
            let Some(known) = state.processes.get_mut(&process) else {
                return;
            };
            let Some(child) = &mut known.child else {
                return;
            };
            if let Ok(Some(status)) = child.try_wait() {
                known.code = Some(status.code().unwrap_or(-1).cast_unsigned());
                known.child = None;
                let callback = known.callback;
                drop(state);
                notify(callback, 0x1_0000);
                return;
            }
            drop(state);
            thread::sleep(std::time::Duration::from_millis(5));
        }
    });
}

/// Ends a system and its processes.
pub(crate) fn end(system: usize) {
    let mut state = state();
    for process in state.processes.values_mut() {
        if process.system == system
            && let Some(child) = &mut process.child
        {
            // It may have ended by itself.
            let _ = child.kill();
        }
    }
    let callback = state.systems.get_mut(&system).and_then(|system| {
        system.alive = false;
        system.callback
    });
    drop(state);
    notify(callback, 0x1);
}

//! Streams by named pipes, as Docker 1.8 had them, over any exports.
//!
//! The pipes are there before the process's parameters are sent. Where nobody connects in time the process is ended and the call fails.
//! The first process's names are those of the run before: whoever keeps an end of its output is in the next one's way, and that is an error.

use std::{
    collections::HashMap,
    fs::File,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use hoist_windows::{
    named_pipe::{Listener, is_taken},
    pipe_names::{ExecId, PipeName, PipeSpace, StandardStream},
};
use serde_json::json;

use crate::{
    Guid, Hresult,
    calls::{
        CallbackHandle, CreatedProcess, HcsExports, Issued, NotificationSink, ProcessHandle,
        SystemHandle,
    },
    documents::process::with_named_pipes,
};

/// `ERROR_TIMEOUT`.
const TIMEOUT: i32 = 1460;
/// `ERROR_BAD_PIPE`.
const BAD_PIPE: i32 = 230;

/// Exports whose processes have named pipes.
pub struct NamedPipes<E> {
    exports: E,
    space: PipeSpace,
    limit: Duration,
    systems: Mutex<HashMap<SystemHandle, Opened>>,
}

struct Opened {
    id: String,
    /// It was started by this handle, and has no process yet.
    starts: bool,
}

impl<E: HcsExports> NamedPipes<E> {
    /// Over `exports`, with the pipes in `space`; within `limit` the process's side has to connect.
    pub fn new(exports: E, space: PipeSpace, limit: Duration) -> Self {
        Self {
            exports,
            space,
            limit,
            systems: Mutex::default(),
        }
    }

    fn systems(&self) -> MutexGuard<'_, HashMap<SystemHandle, Opened>> {
        self.systems
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn opened(&self, system: SystemHandle, id: &str) {
        let opened = Opened {
            id: id.to_owned(),
            starts: false,
        };
        self.systems().insert(system, opened);
    }

    /// The system's id, and whether the next process is its first.
    fn next_process(&self, system: SystemHandle) -> (String, bool) {
        match self.systems().get_mut(&system) {
            Some(opened) => (opened.id.clone(), std::mem::take(&mut opened.starts)),
            None => (String::new(), false),
        }
    }
}

fn failed(what: &str, name: &PipeName, error: &io::Error) -> Issued {
    let code = match error.kind() {
        io::ErrorKind::TimedOut => TIMEOUT,
        // Not the error's own: that there is no such path is said of programs.
        _ => BAD_PIPE,
    };
    let hresult = Hresult(0x8007_0000 | (code.cast_unsigned() & 0xFFFF));
    let mut words = format!("{what} the pipe {}: {error}", name.server);
    if is_taken(error) {
        words.push_str("; another process has a pipe of this name");
    }
    Issued {
        hresult,
        document: Some(
            json!({"Error": hresult.0.cast_signed(), "ErrorMessage": words}).to_string(),
        ),
    }
}

impl<E: HcsExports> HcsExports for NamedPipes<E> {
    fn create_compute_system(
        &self,
        id: &str,
        configuration: &str,
    ) -> Result<(Hresult, SystemHandle), Issued> {
        let made = self.exports.create_compute_system(id, configuration)?;
        self.opened(made.1, id);
        Ok(made)
    }

    fn open_compute_system(&self, id: &str) -> Result<SystemHandle, Issued> {
        let system = self.exports.open_compute_system(id)?;
        self.opened(system, id);
        Ok(system)
    }

    fn close_compute_system(&self, system: SystemHandle) -> Hresult {
        self.systems().remove(&system);
        self.exports.close_compute_system(system)
    }

    fn start_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        let issued = self.exports.start_compute_system(system, options);
        if (issued.hresult.is_success() || issued.hresult.is_pending())
            && let Some(opened) = self.systems().get_mut(&system)
        {
            opened.starts = true;
        }
        issued
    }

    fn create_process(
        &self,
        system: SystemHandle,
        parameters: &str,
    ) -> Result<CreatedProcess<ProcessHandle>, Issued> {
        let (id, first) = self.next_process(system);
        let exec = (!first).then(ExecId::fresh);
        let named = with_named_pipes(parameters, |stream| {
            PipeName::of(self.space, &id, exec.as_ref(), stream)
        });
        let (parameters, named) = named.map_err(|_| Issued::from(Hresult(0xC037_010D)))?;
        let mut listeners = Vec::new();
        for (stream, name) in named {
            let listener = Listener::when_free(&name.server, stream.into())
                .map_err(|error| failed("make", &name, &error))?;
            listeners.push((stream, name, listener));
        }
        let mut created = self.exports.create_process(system, &parameters)?;
        let deadline = Instant::now() + self.limit;
        for (stream, name, listener) in listeners {
            let left = deadline.saturating_duration_since(Instant::now());
            let place: &mut Option<File> = match stream {
                StandardStream::Input => &mut created.stdin,
                StandardStream::Output => &mut created.stdout,
                StandardStream::Error => &mut created.stderr,
            };
            match listener.accept(left) {
                Ok(pipe) => *place = Some(pipe),
                Err(error) => {
                    // Without its streams it is of no use.
                    self.exports.terminate_process(created.handle);
                    self.exports.close_process(created.handle);
                    return Err(failed("wait for somebody at", &name, &error));
                }
            }
        }
        Ok(created)
    }

    fn name_to_guid(&self, name: &str) -> Result<Guid, Hresult> {
        self.exports.name_to_guid(name)
    }

    fn enumerate(&self, query: &str) -> Result<String, Issued> {
        self.exports.enumerate(query)
    }

    fn register_system_callback(
        &self,
        system: SystemHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        self.exports.register_system_callback(system, sink)
    }

    fn unregister_system_callback(&self, callback: CallbackHandle) -> Hresult {
        self.exports.unregister_system_callback(callback)
    }

    fn shutdown_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        self.exports.shutdown_compute_system(system, options)
    }

    fn terminate_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        self.exports.terminate_compute_system(system, options)
    }

    fn pause_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        self.exports.pause_compute_system(system, options)
    }

    fn resume_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        self.exports.resume_compute_system(system, options)
    }

    fn system_properties(&self, system: SystemHandle, query: &str) -> Result<String, Issued> {
        self.exports.system_properties(system, query)
    }

    fn modify_compute_system(&self, system: SystemHandle, request: &str) -> Issued {
        self.exports.modify_compute_system(system, request)
    }

    fn open_process(&self, system: SystemHandle, pid: u32) -> Result<ProcessHandle, Issued> {
        self.exports.open_process(system, pid)
    }

    fn close_process(&self, process: ProcessHandle) -> Hresult {
        self.exports.close_process(process)
    }

    fn terminate_process(&self, process: ProcessHandle) -> Issued {
        self.exports.terminate_process(process)
    }

    fn signal_process(&self, process: ProcessHandle, options: &str) -> Issued {
        self.exports.signal_process(process, options)
    }

    fn process_properties(&self, process: ProcessHandle) -> Result<String, Issued> {
        self.exports.process_properties(process)
    }

    fn modify_process(&self, process: ProcessHandle, request: &str) -> Issued {
        self.exports.modify_process(process, request)
    }

    fn register_process_callback(
        &self,
        process: ProcessHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        self.exports.register_process_callback(process, sink)
    }

    fn unregister_process_callback(&self, callback: CallbackHandle) -> Hresult {
        self.exports.unregister_process_callback(callback)
    }

    fn terminate_process_by_id(&self, id: &str, pid: u32) -> Hresult {
        self.exports.terminate_process_by_id(id, pid)
    }

    fn hns_call(&self, method: &str, path: &str, object: &str) -> Result<String, Hresult> {
        self.exports.hns_call(method, path, object)
    }
}

//! From the exports to the service: in this process, or in another behind a named pipe.
//!
//! The service of `HOIST_HCS_DOUBLE_PIPE` is another process's, so that several see the same systems; without the variable each process
//! has one of its own. `HOIST_HCS_DOUBLE_FAULTS` names the file of faults of a service.

#![allow(unsafe_code, reason = "named pipes are made by raw calls")]

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::windows::io::{AsRawHandle, FromRawHandle},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use windows_sys::Win32::{
    Foundation::{ERROR_PIPE_CONNECTED, INVALID_HANDLE_VALUE},
    Storage::FileSystem::PIPE_ACCESS_DUPLEX,
    System::Pipes::{ConnectNamedPipe, CreateNamedPipeW, PIPE_UNLIMITED_INSTANCES},
};

use crate::{
    faults::Faults,
    protocol::{Notice, Reply, Request, receive, send},
    service::Service,
};

/// `ERROR_BROKEN_PIPE`: what clients see when the service has died.
const BROKEN_PIPE: i32 = 0x8007_006D_u32.cast_signed();
const SERVICE_DISCONNECT: u32 = 0x100_0000;

pub(crate) type Function = extern "system" fn(u32, *const std::ffi::c_void, i32, *const u16) -> i32;

#[derive(Clone, Copy)]
struct Callback {
    function: Function,
    context: usize,
}

static CALLBACKS: LazyLock<Mutex<HashMap<usize, Callback>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicUsize = AtomicUsize::new(1);

fn callbacks() -> MutexGuard<'static, HashMap<usize, Callback>> {
    CALLBACKS
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The number under which a function is called back.
pub(crate) fn callback(function: Function, context: usize) -> usize {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    callbacks().insert(number, Callback { function, context });
    number
}

/// It is called no more.
pub(crate) fn forget(number: usize) {
    callbacks().remove(&number);
}

fn call_back(notice: Notice) {
    let found = callbacks().get(&notice.callback).copied();
    if let Some(callback) = found {
        (callback.function)(
            notice.kind,
            std::ptr::without_provenance(callback.context),
            notice.status,
            std::ptr::null(),
        );
    }
}

enum Link {
    Here(Arc<Service>),
    There {
        name: String,
        idle: Mutex<Vec<File>>,
        /// It stays open as long as this process lives.
        _attached: Mutex<Option<File>>,
    },
}

static LINK: LazyLock<Link> = LazyLock::new(Link::new);

/// Asks the service.
pub(crate) fn call(mut request: Request) -> Reply {
    request.client = std::process::id();
    match &*LINK {
        Link::Here(service) => service.call(&request),
        Link::There { name, idle, .. } => ask(name, idle, &request).unwrap_or_else(|_| Reply {
            hresult: BROKEN_PIPE,
            ..Reply::default()
        }),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn ask(name: &str, idle: &Mutex<Vec<File>>, request: &Request) -> io::Result<Reply> {
    let free = lock(idle).pop();
    let mut pipe = match free {
        Some(pipe) => pipe,
        None => connect(name, "call")?,
    };
    send(&mut pipe, request)?;
    let reply = receive(&mut pipe)?;
    lock(idle).push(pipe);
    Ok(reply)
}

/// Opens a connection and says what it is for.
fn connect(name: &str, purpose: &str) -> io::Result<File> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match File::options().read(true).write(true).open(name) {
            Ok(mut pipe) => {
                let hello = Request {
                    function: purpose.to_owned(),
                    client: std::process::id(),
                    ..Request::default()
                };
                send(&mut pipe, &hello)?;
                return Ok(pipe);
            }
            // All instances are taken for the moment.
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn faults() -> Faults {
    Faults::of(std::env::var_os("HOIST_HCS_DOUBLE_FAULTS").map(Into::into))
}

/// A thread that calls in order of what it is sent.
fn in_order(call: impl Fn(Notice) -> io::Result<()> + Send + 'static) -> Sender<Notice> {
    let (sender, notices) = mpsc::channel();
    thread::spawn(move || {
        for notice in notices {
            if call(notice).is_err() {
                return;
            }
        }
    });
    sender
}

fn telling(sender: Sender<Notice>) -> Arc<dyn Fn(Notice) + Send + Sync> {
    let sender = Mutex::new(sender);
    Arc::new(move |notice| {
        // Nobody listens any more.
        let _ = lock(&sender).send(notice);
    })
}

impl Link {
    fn new() -> Self {
        let Ok(name) = std::env::var("HOIST_HCS_DOUBLE_PIPE") else {
            let service = Service::new(faults());
            let sender = in_order(|notice| {
                call_back(notice);
                Ok(())
            });
            service.attach(std::process::id(), telling(sender));
            return Self::Here(service);
        };
        let attached = connect(&name, "attach").ok();
        if let Ok(mut notices) = connect(&name, "notices")
            && receive::<Reply>(&mut notices).is_ok()
        {
            thread::spawn(move || {
                while let Ok(notice) = receive(&mut notices) {
                    call_back(notice);
                }
                let all: Vec<usize> = callbacks().keys().copied().collect();
                for callback in all {
                    call_back(Notice {
                        callback,
                        kind: SERVICE_DISCONNECT,
                        status: 0,
                    });
                }
            });
        }
        Self::There {
            name,
            idle: Mutex::default(),
            _attached: Mutex::new(attached),
        }
    }
}

/// Is the service for other processes at the named pipe `name`; returns only where it cannot be.
pub(crate) fn serve(name: &str) -> io::Error {
    let service = Service::new(faults());
    let units: Vec<u16> = name.encode_utf16().chain([0]).collect();
    loop {
        // SAFETY: the name ends with NUL and outlives the call.
        let pipe = unsafe {
            CreateNamedPipeW(
                units.as_ptr(),
                PIPE_ACCESS_DUPLEX,
                0,
                PIPE_UNLIMITED_INSTANCES,
                1 << 16,
                1 << 16,
                0,
                std::ptr::null(),
            )
        };
        if pipe == INVALID_HANDLE_VALUE {
            return io::Error::last_os_error();
        }
        // SAFETY: the handle is new, and nobody else's.
        let pipe = unsafe { File::from_raw_handle(pipe) };
        // SAFETY: the handle is open for synchronous use.
        let connected = unsafe { ConnectNamedPipe(pipe.as_raw_handle(), std::ptr::null_mut()) };
        if connected == 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(ERROR_PIPE_CONNECTED.cast_signed()) {
                continue;
            }
        }
        let service = Arc::clone(&service);
        thread::spawn(move || {
            // A client that ends is no failure of the service.
            let _ = attend(&service, pipe);
        });
    }
}

fn attend(service: &Arc<Service>, mut pipe: File) -> io::Result<()> {
    let hello: Request = receive(&mut pipe)?;
    match hello.function.as_str() {
        "notices" => {
            let pipe = Arc::new(Mutex::new(pipe));
            let notices = Arc::clone(&pipe);
            let sender = in_order(move |notice| send(&mut *lock(&notices), &notice));
            // The first thing that it is told is that it will be told of the rest.
            let mut first = lock(&pipe);
            service.attach(hello.client, telling(sender));
            send(&mut *first, &Reply::default())
        }
        "attach" => {
            let ended = receive::<Request>(&mut pipe);
            service.detach(hello.client);
            ended.map(drop)
        }
        _ => loop {
            let request: Request = receive(&mut pipe)?;
            let reply = service.call(&request);
            if let Err(error) = send(&mut pipe, &reply) {
                // It has gone during the call: what that has opened for it is closed, too.
                service.detach(hello.client);
                return Err(error);
            }
        },
    }
}

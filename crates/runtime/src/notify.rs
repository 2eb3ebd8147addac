//! Telling a service manager that the container is ready (sd_notify(3)).
//!
//! The container gets a socket of its own at `/run/notify/notify.sock`, never the manager's: of what it says there only that it
//! is ready is passed on, with the process's id as the host numbers it.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::Duration;

use hoist_linux::LinuxService;
use hoist_linux::runtime::RuntimeContainer;
use hoist_spec::{ContainerId, oci};

use crate::failure::Failure;

const VARIABLE: &str = "NOTIFY_SOCKET";
const FOLDER: &str = "notify";
const NAME: &str = "notify.sock";
const IN_CONTAINER: &str = "/run/notify";
/// The longest message that is looked at; longer ones are cut, as the kernel does with datagrams.
const LONGEST: usize = 4096;
/// How often it is looked whether the container still lives.
const LOOK: Duration = Duration::from_millis(100);

/// The way from one container to the service manager.
pub(crate) struct Notify {
    /// The manager's socket.
    manager: OsString,
    /// The folder that is mounted in the container.
    folder: PathBuf,
}

impl Notify {
    /// Where the caller is started by a service manager that wants to know.
    pub(crate) fn of_caller(service: &LinuxService, id: &ContainerId) -> Option<Self> {
        let manager = env::var_os(VARIABLE).filter(|socket| !socket.is_empty())?;
        Some(Self {
            manager,
            folder: service.folder_of(id).join(FOLDER),
        })
    }

    /// Lets the container find its socket.
    pub(crate) fn add_to(&self, spec: &mut oci::Spec) {
        let mut mount = oci::Mount::default();
        mount
            .set_destination(IN_CONTAINER.into())
            .set_typ(Some("bind".to_owned()))
            .set_source(Some(self.folder.clone()))
            .set_options(Some(
                ["bind", "ro", "nosuid", "nodev", "noexec"]
                    .map(str::to_owned)
                    .to_vec(),
            ));
        let mut mounts = spec.mounts().clone().unwrap_or_default();
        mounts.push(mount);
        spec.set_mounts(Some(mounts));
        if let Some(process) = spec.process_mut() {
            let mut environment = process.env().clone().unwrap_or_default();
            environment.retain(|entry| !entry.starts_with("NOTIFY_SOCKET="));
            environment.push(format!("{VARIABLE}={IN_CONTAINER}/{NAME}"));
            process.set_env(Some(environment));
        }
    }

    /// Makes the folder, once that of the container is there.
    pub(crate) fn make_folder(&self) -> Result<(), Failure> {
        let made = DirBuilder::new()
            .mode(0o755)
            .create(&self.folder)
            .and_then(|()| fs::set_permissions(&self.folder, Permissions::from_mode(0o755)));
        made.map_err(|error| failed("make the folder", &error))
    }

    /// Whether the container was made with this way, and nobody has listened at it yet.
    pub(crate) fn is_open(&self) -> bool {
        self.folder.is_dir() && !self.folder.join(NAME).exists()
    }

    /// Listens at the container's socket, before the container can speak.
    pub(crate) fn listen(&self) -> Result<UnixDatagram, Failure> {
        let listen = || -> io::Result<UnixDatagram> {
            let folder = File::open(&self.folder)?;
            // By the folder's descriptor: an address holds only 107 bytes.
            let path = format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd());
            let socket = UnixDatagram::bind(&path)?;
            // Whoever the container's process is.
            fs::set_permissions(&path, Permissions::from_mode(0o777))?;
            socket.set_read_timeout(Some(LOOK))?;
            Ok(socket)
        };
        listen().map_err(|error| failed("listen", &error))
    }

    /// Waits until the container says that it is ready, or has ended, and passes that on.
    pub(crate) fn wait(
        &self,
        socket: &UnixDatagram,
        container: &RuntimeContainer,
    ) -> Result<(), Failure> {
        let mut message = [0; LONGEST];
        loop {
            match socket.recv(&mut message) {
                Ok(length) if is_ready(&message[..length]) => return self.pass_on(container),
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    if !container.has_process()? {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("listen", &error)),
            }
        }
    }

    fn pass_on(&self, container: &RuntimeContainer) -> Result<(), Failure> {
        let pid = container.oci_state()?.pid;
        let mut message = String::from("READY=1\n");
        if let Some(pid) = pid {
            message.push_str(&format!("MAINPID={pid}\n"));
        }
        let send = || -> io::Result<()> {
            let name = self.manager.as_bytes();
            let address = match name.strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(&self.manager)?,
            };
            UnixDatagram::unbound()?
                .send_to_addr(message.as_bytes(), &address)
                .map(drop)
        };
        send().map_err(|error| failed("tell the service manager", &error))
    }
}

/// Whether a message says that its sender is ready.
pub(crate) fn is_ready(message: &[u8]) -> bool {
    let mut lines = message.split(|byte| *byte == b'\n');
    lines.any(|line| line == b"READY=1")
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(format!("{VARIABLE}: {what}: {error}"))
}

//! The manager of systemd, `org.freedesktop.systemd1.Manager`.

use std::io;
use std::path::Path;
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};

use super::bus::{CallError, Connection};
use super::message::{Body, Method};
use super::unit::Value;

/// How long all of one start may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the system's bus listens (D-Bus specification, "Well-known Message Bus Instances").
const BUS: &str = "/run/dbus/system_bus_socket";
/// Where systemd itself does, for root: also where no bus runs.
const PRIVATE: &str = "/run/systemd/private";

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const OBJECT: &str = "/org/freedesktop/systemd1";

/// A connection to the manager of the system.
pub(super) struct Manager {
    connection: Connection,
    /// Whether there is a bus between, which must be asked for signals.
    on_bus: bool,
}

/// Why a unit was not started.
pub(super) enum StartError {
    /// There is one of that name.
    Exists,
    /// Another reason.
    Other(Error),
}

impl Manager {
    pub(super) fn connect() -> Result<Self> {
        let (connection, on_bus) = match Connection::open(Path::new(BUS), PATIENCE) {
            Ok(connection) => (connection, true),
            Err(first) => match Connection::open(Path::new(PRIVATE), PATIENCE) {
                Ok(connection) => (connection, false),
                Err(_) => {
                    return Err(error("connect to systemd", CallError::Failed(first))
                        .about(BUS)
                        .remedy("is systemd this machine's first process, and is dbus started? else use the cgroupfs driver"));
                }
            },
        };
        let mut manager = Self { connection, on_bus };
        if on_bus {
            manager.call_bus("Hello", &Body::default())?;
        }
        Ok(manager)
    }

    fn call_bus(&mut self, member: &str, body: &Body) -> Result<()> {
        let method = Method {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member,
        };
        match self.connection.call(&method, body) {
            Ok(_) => Ok(()),
            Err(reason) => Err(error(&format!("call {member} of the bus"), reason)),
        }
    }

    fn call(
        &mut self,
        member: &str,
        body: &Body,
    ) -> std::result::Result<super::message::Received, CallError> {
        let method = Method {
            destination: SYSTEMD,
            path: OBJECT,
            interface: MANAGER,
            member,
        };
        self.connection.call(&method, body)
    }

    /// Starts a unit that is there for as long as it runs, and waits until that is done.
    pub(super) fn start_transient(
        &mut self,
        unit: &str,
        properties: &[(&str, Value)],
    ) -> std::result::Result<(), StartError> {
        self.listen().map_err(StartError::Other)?;
        let body = Body::default()
            .text(unit)
            .text("fail")
            .properties(properties)
            .no_further_units();
        let what = format!("start systemd unit {unit}");
        let answer = match self.call("StartTransientUnit", &body) {
            Ok(answer) => answer,
            Err(CallError::Refused { name, .. }) if name.ends_with(".UnitExists") => {
                return Err(StartError::Exists);
            }
            Err(reason) => return Err(StartError::Other(error(&what, reason))),
        };
        let job = answer.body().text().unwrap_or_default();
        self.await_job(&what, &job).map_err(StartError::Other)
    }

    /// Stops a unit and waits until that is done. One that is gone is success.
    pub(super) fn stop(&mut self, unit: &str) -> Result<()> {
        self.listen()?;
        let what = format!("stop systemd unit {unit}");
        match self.call("StopUnit", &Body::default().text(unit).text("replace")) {
            Ok(answer) => {
                let job = answer.body().text().unwrap_or_default();
                self.await_job(&what, &job)
            }
            Err(CallError::Refused { name, .. }) if name.ends_with(".NoSuchUnit") => Ok(()),
            Err(reason) => Err(error(&what, reason)),
        }
    }

    /// Forgets that a unit has failed. One that is gone is success.
    pub(super) fn reset_failed(&mut self, unit: &str) -> Result<()> {
        match self.call("ResetFailedUnit", &Body::default().text(unit)) {
            Ok(_) => Ok(()),
            Err(CallError::Refused { name, .. }) if name.ends_with(".NoSuchUnit") => Ok(()),
            Err(reason) => Err(error(&format!("reset failed systemd unit {unit}"), reason)),
        }
    }

    /// Changes properties of a unit that runs.
    pub(super) fn set_properties(
        &mut self,
        unit: &str,
        properties: &[(&str, Value)],
    ) -> Result<()> {
        // Until the unit or the machine stops.
        let body = Body::default().text(unit).flag(true).properties(properties);
        match self.call("SetUnitProperties", &body) {
            Ok(_) => Ok(()),
            Err(reason) => Err(error(
                &format!("set properties of systemd unit {unit}"),
                reason,
            )),
        }
    }

    /// A property of a unit that is a string; none where there is no such unit.
    pub(super) fn property(
        &mut self,
        unit: &str,
        interface: &str,
        name: &str,
    ) -> Result<Option<String>> {
        let what = format!("read {name} of systemd unit {unit}");
        let path = match self.call("GetUnit", &Body::default().text(unit)) {
            Ok(answer) => answer.body().text().unwrap_or_default(),
            Err(CallError::Refused { name, .. }) if name.ends_with(".NoSuchUnit") => {
                return Ok(None);
            }
            Err(reason) => return Err(error(&what, reason)),
        };
        let method = Method {
            destination: SYSTEMD,
            path: &path,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
        };
        let body = Body::default()
            .text(&format!("{SYSTEMD}.{interface}"))
            .text(name);
        match self.connection.call(&method, &body) {
            Ok(answer) => Ok(answer.body().text_in_variant()),
            Err(reason) => Err(error(&what, reason)),
        }
    }

    /// Has signals of the manager sent here, before there can be one that matters.
    fn listen(&mut self) -> Result<()> {
        if self.on_bus {
            let rule = format!(
                "type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'"
            );
            self.call_bus("AddMatch", &Body::default().text(&rule))?;
        }
        match self.call("Subscribe", &Body::default()) {
            Ok(_) => Ok(()),
            Err(CallError::Refused { name, .. }) if name.ends_with(".AlreadySubscribed") => Ok(()),
            Err(reason) => Err(error("subscribe to systemd's signals", reason)),
        }
    }

    /// Waits until a job is done, and looks how it ended.
    fn await_job(&mut self, what: &str, job: &str) -> Result<()> {
        loop {
            let signal = match self.connection.signal() {
                Ok(signal) => signal,
                Err(reason) => return Err(error(what, CallError::Failed(reason))),
            };
            if signal.member != "JobRemoved" {
                continue;
            }
            // Its id, its path, its unit, its result.
            let mut body = signal.body();
            body.number();
            if body.text().as_deref() != Some(job) {
                continue;
            }
            body.text();
            return match body.text().as_deref() {
                Some("done") => Ok(()),
                result => Err(refused(what, format!("its job ended with {result:?}"))),
            };
        }
    }
}

fn refused(what: &str, reason: String) -> Error {
    Error::new(ErrorKind::System, Phase::Create, what).because(reason)
}

fn error(what: &str, reason: CallError) -> Error {
    match reason {
        CallError::Refused { name, text } => refused(what, format!("{name}: {text}")),
        CallError::Failed(reason) => {
            let kind = match reason.kind() {
                io::ErrorKind::TimedOut => ErrorKind::Timeout,
                _ => ErrorKind::System,
            };
            let made = Error::new(kind, Phase::Create, what);
            match reason.raw_os_error() {
                Some(errno) => made.code(OsCode::Errno(errno)),
                None => made.because(reason),
            }
        }
    }
}

//! Execs that outlive who asks for them: the container's supervisor owns them, or an owner of their own.

use hoist_compute::{Error, ErrorKind, ExecSpec, Phase, Result};
use hoist_spec::ConsoleSize;

use super::detached::{connect, failed};
use crate::{
    Engine, ExecRef, LaunchOptions,
    supervise::{
        AttachRequest, Attachment, Connection, Launch, Packet, StartExecRequest, SupervisorFolder,
        is_gone,
    },
};

impl Engine {
    /// Starts a further process in a running container that outlives the caller: makes it an object, and starts it as
    /// [`Engine::start_exec_detached`]. After an error nothing of it is left, and nothing was changed in the container.
    pub fn exec_detached(
        &self,
        container: &hoist_spec::ContainerId,
        spec: &ExecSpec,
        launch: LaunchOptions<'_>,
    ) -> Result<ExecRef> {
        let exec = self.create_exec(container, spec)?;
        self.start_exec_detached(&exec, launch).inspect_err(|_| {
            // What cannot be removed now goes with the container.
            let _ = self.remove_exec(&exec, true);
        })?;
        Ok(exec)
    }

    /// Starts an exec that outlives the caller; returns the id of its process when its program was executed. The container's
    /// supervisor owns it, where there is one that lives, else a small process of its own.
    pub fn start_exec_detached(&self, exec: &ExecRef, launch: LaunchOptions<'_>) -> Result<u32> {
        let launched = self.launch_exec(exec, launch, None);
        Ok(launched
            .map_err(|error| self.unless_restarting(&exec.container, error))?
            .0)
    }

    /// As [`Engine::start_exec_detached`], and attaches to it before it starts.
    pub fn start_exec_attached(
        &self,
        exec: &ExecRef,
        input: bool,
        launch: LaunchOptions<'_>,
    ) -> Result<Attachment> {
        let spec = self.exec_spec(exec)?;
        let attach = Attachment::of_launcher(input);
        let (_, connection) = self
            .launch_exec(exec, launch, Some(attach))
            .map_err(|error| self.unless_restarting(&exec.container, error))?;
        let has_console = spec.process.oci.terminal() == Some(true);
        Ok(Attachment::launched(connection, has_console))
    }

    fn launch_exec(
        &self,
        exec: &ExecRef,
        launch: LaunchOptions<'_>,
        attach: Option<AttachRequest>,
    ) -> Result<(u32, Connection)> {
        let request = StartExecRequest {
            console: launch.console,
            attach,
        };
        if let Some(connection) = connect(&self.supervisor_folder(&exec.container))?
            && let Some(started) = ask_to_start(connection, exec, request)?
        {
            return Ok(started);
        }
        let absolute = |path: &std::path::Path| {
            std::path::absolute(path).map_err(|error| failed("find the state directory", error))
        };
        let launched = launch.launcher.launch(Launch {
            state_root: absolute(&self.state_root)?,
            data_root: absolute(&self.data_root)?,
            id: exec.container.clone(),
            console: launch.console,
            attach,
            exec: Some(exec.id.clone()),
        })?;
        Ok((launched.pid, launched.connection))
    }

    /// Attaches to the streams of an exec that runs in the background; with `input` one may send it input, too. As
    /// [`Engine::attach`].
    pub fn attach_exec(&self, exec: &ExecRef, input: bool) -> Result<Attachment> {
        match self.exec_owner(exec)? {
            Some(connection) => Attachment::open_exec(connection, &exec.id, input),
            None => Err(no_owner(exec)),
        }
    }

    /// Gives the console of an exec that runs in the background another size.
    pub fn resize_exec(&self, exec: &ExecRef, size: ConsoleSize) -> Result<()> {
        let attachment = self.attach_exec(exec, false)?;
        if !attachment.has_console() {
            let operation = format!("resize the console of exec {}: it has none", exec.id);
            return Err(Error::new(
                ErrorKind::InvalidState,
                Phase::Operate,
                operation,
            ));
        }
        attachment.resize(size)
    }

    /// A connection to whoever owns it in the background.
    fn exec_owner(&self, exec: &ExecRef) -> Result<Option<Connection>> {
        // It must be there.
        self.exec_spec(exec)?;
        let own = SupervisorFolder::of_exec(&self.state_root, &exec.container, &exec.id);
        match connect(&own)? {
            Some(connection) => Ok(Some(connection)),
            None => connect(&self.supervisor_folder(&exec.container)),
        }
    }

    /// Removes what the owner of an exec that is gone has not lived to remove.
    pub(super) fn forget_exec_owner(&self, exec: &ExecRef) -> Result<()> {
        let own = SupervisorFolder::of_exec(&self.state_root, &exec.container, &exec.id);
        match own.is_alive() {
            // It is about to remove it itself.
            Ok(true) => Ok(()),
            _ => own.remove(),
        }
    }
}

/// Asks a supervisor to start an exec; `None` where it is gone, or ends at this moment.
fn ask_to_start(
    mut connection: Connection,
    exec: &ExecRef,
    request: StartExecRequest,
) -> Result<Option<(u32, Connection)>> {
    for packet in [Packet::About(exec.id.clone()), Packet::StartExec(request)] {
        match connection.send(&packet) {
            Err(error) if is_gone(&error) => return Ok(None),
            sent => sent.map_err(|error| failed("ask the supervisor", error))?,
        }
    }
    let answer = connection
        .receive()
        .map_err(|error| failed("ask the supervisor", error))?;
    match answer {
        Some(Packet::Started(pid)) => Ok(Some((pid, connection))),
        Some(Packet::Failed(error)) => {
            Err(Error::from_json(error).unwrap_or_else(|| no_owner(exec)))
        }
        _ => Ok(None),
    }
}

fn no_owner(exec: &ExecRef) -> Error {
    let operation = format!(
        "attach to exec {}: it does not run in the background",
        exec.id
    );
    Error::new(ErrorKind::InvalidState, Phase::Operate, operation).about(exec.id.as_str())
}

//! From a container's spec to the service's documents.

use std::path::Path;

use hoist_compute::{Error, ErrorKind, Phase, Result, Stdio};
use hoist_spec::{ConsoleSize, ContainerId, ContainerSpec, ProcessSpec, RootSource};
use hoist_windows::{pipe_names::StandardStream, streams::is_carried};

use crate::{
    Plan, Settings,
    calls::{CallError, Calls},
    lower::{self, Pipes},
    request::{ContainerRequest, ProcessRequest, Refusal},
};

fn invalid(operation: String, subject: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSpec, Phase::Plan, operation).about(subject)
}

fn refusal(refusal: Refusal, about: &str) -> Error {
    invalid(refusal.to_string(), about)
}

/// Plans a container, and refuses what is not there or cannot be had.
pub(super) fn plan(id: &ContainerId, spec: &ContainerSpec, settings: &Settings) -> Result<Plan> {
    let mut request = ContainerRequest::from_spec(id.as_str(), &spec.oci)
        .map_err(|error| refusal(error, id.as_str()))?;
    match &spec.root {
        RootSource::Directory(path) => request.volume_path = path.to_string_lossy().into_owned(),
        RootSource::Layers { .. } => {
            return Err(invalid(
                format!("stack layers for container {id}"),
                id.as_str(),
            )
            .remedy("name the volume of a prepared layer as root and its folders as windows.layerFolders"));
        }
        RootSource::Host | RootSource::Unisolated => {
            return Err(invalid(
                format!("give container {id} this machine's own files as root"),
                id.as_str(),
            )
            .remedy("name the volume of a prepared layer as root and its folders as windows.layerFolders"));
        }
    }
    if spec.init {
        return Err(invalid(
            format!("run an init process in container {id}"),
            id.as_str(),
        ));
    }
    if let Some(user) = &spec.user {
        request.process.user.clone_from(user);
    }
    check_directory(&request.process)?;
    let folders = request
        .layer_paths
        .iter()
        .chain([&request.layer_folder])
        .chain(request.hyperv.is_none().then_some(&request.volume_path));
    for folder in folders.filter(|folder| !folder.is_empty()) {
        if !Path::new(folder).exists() {
            return Err(Error::new(
                ErrorKind::NotFound,
                Phase::Plan,
                format!("find the layer {folder}"),
            )
            .about(folder));
        }
    }
    Plan::new(request, true, settings).map_err(|error| refusal(error, id.as_str()))
}

/// Why no document was made.
pub(super) enum NoDocument {
    Refused(Refusal),
    Call(CallError),
}

pub(super) fn refused(error: NoDocument, id: &ContainerId) -> Error {
    match error {
        NoDocument::Refused(reason) => refusal(reason, id.as_str()),
        NoDocument::Call(error) => error
            .into_error(Phase::Create, format!("create container {id}"))
            .about(id.as_str()),
    }
}

/// The document that makes a planned system.
pub(super) fn configuration<C: Calls>(
    plan: &Plan,
    calls: &C,
    settings: &Settings,
) -> std::result::Result<String, NoDocument> {
    if plan.endpoint().is_some() {
        return Err(NoDocument::Refused(Refusal::NotExpressible {
            what: "a network device".to_owned(),
            why: "name the endpoints of the host networking service instead",
        }));
    }
    let layers = plan
        .layer_names()
        .map(|name| calls.layer_guid(name))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(NoDocument::Call)?;
    lower::configuration(plan.request(), &layers, &[], settings).map_err(NoDocument::Refused)
}

/// Which pipes a process is given.
pub(super) fn pipes(stdio: &Stdio) -> Pipes {
    Pipes {
        stdin: is_carried(stdio, StandardStream::Input),
        stdout: is_carried(stdio, StandardStream::Output),
        stderr: is_carried(stdio, StandardStream::Error),
    }
}

/// The parameters of a container's first process.
pub(super) fn first_process(
    id: &ContainerId,
    spec: &ContainerSpec,
    pipes: Pipes,
    console: Option<ConsoleSize>,
    settings: &Settings,
) -> Result<(String, ProcessRequest)> {
    let mut request = spec
        .oci
        .process()
        .as_ref()
        .map(ProcessRequest::from)
        .unwrap_or_default();
    if let Some(user) = &spec.user {
        request.user.clone_from(user);
    }
    parameters(id, request, "", pipes, console, settings)
}

/// The build of the Windows of a container's image, where its spec tells it.
pub(super) fn image_build(spec: &ContainerSpec) -> Option<u32> {
    ContainerRequest::image_build_of(&spec.oci)
}

/// The parameters of a further process.
pub(super) fn further_process(
    id: &ContainerId,
    spec: &ContainerSpec,
    process: &ProcessSpec,
    pipes: Pipes,
    console: Option<ConsoleSize>,
    settings: &Settings,
) -> Result<(String, ProcessRequest)> {
    let mut request = ProcessRequest::from(&process.oci);
    if let Some(user) = &process.user {
        request.user.clone_from(user);
    }
    check_directory(&request)?;
    let first = spec.oci.process().as_ref();
    let directory = first.map_or_else(String::new, |first| {
        first.cwd().to_string_lossy().into_owned()
    });
    parameters(id, request, &directory, pipes, console, settings)
}

fn parameters(
    id: &ContainerId,
    mut request: ProcessRequest,
    directory: &str,
    pipes: Pipes,
    console: Option<ConsoleSize>,
    settings: &Settings,
) -> Result<(String, ProcessRequest)> {
    request.console = console.is_some();
    request.console_size = console;
    let text = lower::process_parameters(&request, directory, pipes, settings)
        .map_err(|error| refusal(error, id.as_str()))?;
    Ok((text, request))
}

/// A working directory begins with a drive or a slash of either kind.
fn check_directory(request: &ProcessRequest) -> Result<()> {
    let directory = request.working_directory.as_str();
    let begins = directory.as_bytes();
    let absolute = match begins {
        [] | [b'/' | b'\\', ..] => true,
        [drive, b':', b'/' | b'\\', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    };
    if absolute {
        return Ok(());
    }
    Err(invalid(
        format!("begin in the directory {directory}, which is not absolute"),
        directory,
    ))
}

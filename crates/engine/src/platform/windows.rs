//! Windows: the Host Compute Service, and plain processes in jobs, with their records below `%ProgramData%\hoist`.

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::BuildHasher,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hoist_compute::{
    ComputeService, ComputeSystem, Error, ErrorKind, Feature, Features, Phase, Result,
    StreamTransport, Summary, Survey, Timeline,
};
use hoist_hcs::{
    Dialect, HcsService, Patience, Settings,
    calls::{HcsCalls, HcsExports, Limits},
    sys::{NamedPipes, Vmcompute},
};
use hoist_host::{HostOptions, HostService};
use hoist_spec::{ContainerId, ContainerSpec};
use hoist_windows::{pipe_names::PipeSpace, records::Records};

use super::{Ownership, backends::Backends};

/// How long the service has to connect to the named pipes of a process.
const UNTIL_CONNECTED: Duration = Duration::from_secs(30);

/// `%ProgramData%\hoist`: the service is the whole machine's, and so are its records.
pub(crate) fn default_state_root() -> Result<PathBuf> {
    let data = std::env::var_os("ProgramData").map(PathBuf::from);
    match data.filter(|folder| folder.is_absolute()) {
        Some(folder) => Ok(folder.join("hoist")),
        None => Err(Error::new(
            ErrorKind::NotFound,
            Phase::Plan,
            "find the folder for records",
        )
        .because("the variable ProgramData names no folder")
        .remedy("choose a state directory")),
    }
}

/// `%ProgramData%\hoist\data`.
pub(crate) fn default_data_root() -> Result<PathBuf> {
    Ok(default_state_root()?.join("data"))
}

/// The service's containers that are recorded below `state_root`, which is made where it is not there yet.
pub(crate) fn service(
    state_root: &Path,
    _timeline: Option<Arc<Timeline>>,
    ownership: Ownership,
    transport: StreamTransport,
) -> Result<Arc<dyn ComputeService>> {
    // Whoever waits or does not: one thread of the backend sees to every end.
    let Ownership {
        waits_for_each: _waits,
        takes_containers_along,
        force_kill,
    } = ownership;
    if takes_containers_along {
        return Err(Error::new(
            ErrorKind::Unsupported,
            Phase::Plan,
            "end containers with the thread that has started them",
        )
        .because("the host compute service runs on when its clients end"));
    }
    let isolated = match Vmcompute::load() {
        Ok(dll) => Isolated::Service(match transport {
            StreamTransport::Direct => isolated(dll, state_root, force_kill)?,
            StreamTransport::NamedPipes => {
                let pipes = NamedPipes::new(dll, PipeSpace::Container, UNTIL_CONNECTED);
                isolated(pipes, state_root, force_kill)?
            }
        }),
        Err(error) => Isolated::Missing(Missing {
            why: error.to_string(),
            records: Records::new(state_root.to_path_buf())?,
        }),
    };
    Ok(Arc::new(Backends {
        isolated,
        unisolated: HostService::with_options(state_root.to_path_buf(), HostOptions { transport })?,
    }))
}

/// The service's containers over these exports.
fn isolated<E: HcsExports>(
    exports: E,
    state_root: &Path,
    force_kill: bool,
) -> Result<Box<dyn ComputeService>> {
    let calls = HcsCalls::new(exports, Dialect::Schema1, Limits::default());
    let root = state_root.to_path_buf();
    let settings = Settings {
        force_kill,
        ..Settings::hoist()
    };
    let service = HcsService::new(calls, root, settings, Patience::default())?;
    Ok(Box::new(service))
}

/// The host compute service, where there is one.
enum Isolated {
    Service(Box<dyn ComputeService>),
    Missing(Missing),
}

/// A machine without the service. Containers that it had are not forgotten: what would have to look at them is refused.
struct Missing {
    why: String,
    records: Records,
}

impl Missing {
    fn error(&self) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            Phase::Plan,
            "use the host compute service",
        )
        .because(self.why.clone())
        .remedy("install the Windows feature Containers, or use --isolation none")
    }
}

impl ComputeService for Isolated {
    fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Box<dyn ComputeSystem>> {
        match self {
            Self::Service(service) => service.create(id, spec),
            Self::Missing(missing) => Err(missing.error()),
        }
    }

    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>> {
        match self {
            Self::Service(service) => service.open(id),
            Self::Missing(missing) if missing.records.of(id).is_made() => Err(missing.error()),
            Self::Missing(_) => Err(Error::new(
                ErrorKind::NotFound,
                Phase::Operate,
                format!("find container {id}"),
            )
            .about(id.as_str())),
        }
    }

    fn enumerate(&self) -> Result<Vec<Summary>> {
        match self {
            Self::Service(service) => service.enumerate(),
            Self::Missing(missing) if missing.records.ids("")?.is_empty() => Ok(Vec::new()),
            Self::Missing(missing) => Err(missing.error()),
        }
    }

    fn survey(&self) -> Result<Survey> {
        match self {
            Self::Service(service) => service.survey(),
            Self::Missing(_) => Ok(Survey {
                summaries: self.enumerate()?,
                unreadable: Vec::new(),
            }),
        }
    }

    fn remove_damaged(&self, id: &ContainerId) -> Result<Vec<String>> {
        match self {
            Self::Service(service) => service.remove_damaged(id),
            Self::Missing(missing) if missing.records.of(id).exists() => Err(missing.error()),
            Self::Missing(_) => Ok(Vec::new()),
        }
    }

    fn ids(&self, beginning: &str) -> Result<Vec<ContainerId>> {
        match self {
            Self::Service(service) => service.ids(beginning),
            Self::Missing(missing) => missing.records.ids(beginning),
        }
    }

    fn features(&self) -> Features {
        match self {
            Self::Service(service) => service.features(),
            Self::Missing(missing) => Features {
                backend: "hcs",
                features: vec![Feature {
                    name: "host compute service",
                    available: false,
                    detail: missing.why.clone(),
                    remedy: Some("install the Windows feature Containers".to_owned()),
                }],
            },
        }
    }
}

/// Fills `buffer` with numbers that nobody can guess: those of a keyed hash whose keys come from the system's random numbers, as every
/// hash map's do.
pub(crate) fn random(buffer: &mut [u8]) -> Result<()> {
    for (number, part) in buffer.chunks_mut(8).enumerate() {
        let value = RandomState::new().hash_one(number).to_le_bytes();
        part.copy_from_slice(&value[..part.len()]);
    }
    Ok(())
}

/// Whether an open file still has a name in a directory; taken for granted, since one that is open keeps it.
pub(crate) fn is_linked(_file: &File) -> io::Result<bool> {
    Ok(true)
}

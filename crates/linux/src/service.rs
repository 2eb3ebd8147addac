//! The contract on Linux: where containers are kept, made, opened and listed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use hoist_compute::{
    ComputeService, ComputeSystem, Error, ErrorKind, Features, OsCode, Phase, Result, Summary,
    Timeline,
};
use hoist_spec::{ContainerId, ContainerSpec};

use crate::cgroup::CgroupRecord;
use crate::execute::Tracer;
use crate::features::HostFeatures;
use crate::plan::{Plan, plan};
use crate::proc_pid;
use crate::process::OwnedProcess;
use crate::record::{Created, Folder, remove_graves};
use crate::root_facts::RootFacts;
use crate::system::LinuxSystem;

/// The containers of this machine that are recorded below one directory.
#[derive(Clone)]
pub struct LinuxService(pub(crate) Arc<Shared>);

/// What all handles of one service share.
pub(crate) struct Shared {
    pub(crate) containers: PathBuf,
    pub(crate) timeline: Option<Arc<Timeline>>,
    /// The first processes that this program has started, by container: it alone can reap them, whichever handle asks.
    pub(crate) owned: Mutex<HashMap<ContainerId, Arc<OwnedProcess>>>,
    features: OnceLock<HostFeatures>,
    /// The kernel ends containers when the thread that has started them ends.
    pub(crate) dies_with_owner: bool,
}

impl LinuxService {
    /// The containers below `state_root/containers`, which is made (0700) where it is missing.
    pub fn new(state_root: PathBuf) -> Result<Self> {
        Self::open(state_root, None, OnceLock::new())
    }

    /// As [`LinuxService::new`]; what takes time in starts is noted in `timeline`.
    pub fn with_timeline(state_root: PathBuf, timeline: Arc<Timeline>) -> Result<Self> {
        Self::open(state_root, Some(timeline), OnceLock::new())
    }

    /// As [`LinuxService::new`], on a host that is taken to have just these features: so is each fallback forced.
    pub fn with_features(state_root: PathBuf, features: HostFeatures) -> Result<Self> {
        Self::open(state_root, None, OnceLock::from(features))
    }

    /// The containers that this service starts are ended by the kernel when the thread that has started them ends, however it
    /// does (prctl(2), `PR_SET_PDEATHSIG`): nothing runs on that nobody owns. For programs that start containers in their
    /// main thread alone.
    pub fn taking_containers_along(self) -> Self {
        let shared = Arc::try_unwrap(self.0).map(|shared| Shared {
            dies_with_owner: true,
            ..shared
        });
        Self(shared.map_or_else(|shared| shared, Arc::new))
    }

    fn open(
        state_root: PathBuf,
        timeline: Option<Arc<Timeline>>,
        features: OnceLock<HostFeatures>,
    ) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let containers = state_root.join("containers");
        if !containers.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&containers)
                .map_err(|error| system(format!("make {}", containers.display()), error))?;
        }
        Ok(Self(Arc::new(Shared {
            containers,
            timeline,
            owned: Mutex::default(),
            features,
            dies_with_owner: false,
        })))
    }

    /// What would be done to start a container from `spec`. Nothing is changed.
    pub fn plan(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Plan> {
        let facts = RootFacts::read(spec).map_err(Error::from)?;
        Ok(plan(id, spec, self.0.features()?, &facts)?)
    }
}

impl Shared {
    /// What this host can do, looked at once.
    pub(crate) fn features(&self) -> Result<&HostFeatures> {
        if let Some(features) = self.features.get() {
            return Ok(features);
        }
        let found = HostFeatures::quick().map_err(|error| system("look at this host", error))?;
        Ok(self.features.get_or_init(|| found))
    }

    pub(crate) fn folder(&self, id: &ContainerId) -> Folder {
        Folder::of(&self.containers, id)
    }

    /// The first process of the container, where this program has started it.
    pub(crate) fn owned(&self, id: &ContainerId) -> Option<Arc<OwnedProcess>> {
        self.owned
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(id)
            .cloned()
    }
}

impl ComputeService for LinuxService {
    fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Box<dyn ComputeSystem>> {
        let mut tracer = Tracer::new(self.0.timeline.clone());
        let features = self.0.features()?;
        let facts = RootFacts::read(spec).map_err(Error::from)?;
        tracer.mark("look at host and root");
        let plan = plan(id, spec, features, &facts)?;
        tracer.mark("plan");
        let folder = self.0.folder(id);
        folder.make(id)?;
        let mut record = Created::new(id, boot_id()?);
        record.namespaces = plan.namespaces.separate();
        record.id_maps.clone_from(&plan.id_maps);
        record.cgroup = plan
            .cgroup
            .as_ref()
            .map(|cgroup| CgroupRecord::intended(&features.cgroup, cgroup.base, &cgroup.name));
        if let Err(error) = folder.write_created(spec, &record) {
            let _ = folder.remove();
            return Err(error);
        }
        tracer.mark("write the record");
        Ok(Box::new(LinuxSystem::new(
            self.0.clone(),
            id.clone(),
            spec.clone(),
            Some(plan),
        )))
    }

    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>> {
        let folder = self.0.folder(id);
        let spec = folder
            .read_spec()
            .map_err(|error| not_found(id, &folder, error))?;
        Ok(Box::new(LinuxSystem::new(
            self.0.clone(),
            id.clone(),
            spec,
            None,
        )))
    }

    fn enumerate(&self) -> Result<Vec<Summary>> {
        let containers = &self.0.containers;
        let read = |error| system(format!("list {}", containers.display()), error);
        remove_graves(containers).map_err(read)?;
        let mut summaries = Vec::new();
        for entry in fs::read_dir(containers).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            let Some(Ok(id)) = name.to_str().map(str::parse::<ContainerId>) else {
                continue;
            };
            let summary = self
                .open(&id)
                .and_then(|system| system.properties(Default::default()));
            match summary {
                Ok(properties) => summaries.push(properties.summary),
                // Being made or removed at this moment.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        summaries.sort_by_key(|summary| summary.created_at);
        Ok(summaries)
    }

    fn features(&self) -> Features {
        match self.0.features() {
            Ok(features) => features.report(),
            Err(_) => Features {
                backend: "linux",
                features: Vec::new(),
            },
        }
    }
}

/// The error for a container that cannot be opened.
pub(crate) fn not_found(id: &ContainerId, folder: &Folder, error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let made = Error::new(
        ErrorKind::NotFound,
        Phase::Operate,
        format!("no such container: {id}"),
    )
    .about(id.as_str());
    if folder.exists() {
        return made
            .because("its record was not finished")
            .remedy(format!("remove it: hoist rm --force {id}"));
    }
    made
}

/// Which run of the machine this is.
pub(crate) fn boot_id() -> Result<String> {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = BOOT_ID.get() {
        return Ok(id.clone());
    }
    let id = proc_pid::boot_id().map_err(|error| system("read the boot id", error))?;
    Ok(BOOT_ID.get_or_init(|| id).clone())
}

/// An error of the operating system while doing `operation`.
pub(crate) fn system(operation: impl Into<String>, error: io::Error) -> Error {
    let made = Error::new(ErrorKind::System, Phase::Operate, operation);
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}

//! The contract on Linux: where containers are kept, made, opened and listed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use hoist_compute::{
    ComputeService, ComputeSystem, Error, ErrorKind, Features, OsCode, Phase, Result, Summary,
    Survey, Timeline,
};
use hoist_spec::{ContainerId, ContainerSpec, ExecId};

use crate::cgroup::CgroupRecord;
use crate::execute::Tracer;
use crate::features::HostFeatures;
use crate::plan::{Fault, Plan, RuntimeOptions, plan, plan_for_runtime};
use crate::process::OwnedProcess;
use crate::record::{Created, Folder, SpecVersion, remove_graves};
use crate::root_facts::RootFacts;
use crate::system::{LinuxSystem, Prepared, Unwritten};
use crate::{intel_rdt, proc_pid, remains};

/// The containers of this machine that are recorded below one directory.
#[derive(Clone)]
pub struct LinuxService(pub(crate) Arc<Shared>);

/// How a [`LinuxService`] is opened.
#[derive(Clone, Debug, Default)]
pub struct LinuxOptions {
    /// Where to note what takes time in starts.
    pub timeline: Option<Arc<Timeline>>,
    /// What the host is taken to be able to do, instead of looking: so is each fallback forced.
    pub features: Option<HostFeatures>,
    /// What every start meets before the step of this index, if its plan has so many: so is it tested that nothing is left
    /// behind, whatever goes wrong.
    pub fault: Option<(u32, Fault)>,
    /// The caller waits for every process it starts. Otherwise one thread, for all services of the program, reaps each at its
    /// end and writes its status down, whether or not somebody waits for it.
    pub waits_for_each: bool,
    /// Containers are ended by the kernel when the thread that has started them ends, however it does (prctl(2),
    /// `PR_SET_PDEATHSIG`): nothing runs on that nobody owns. For programs that start containers in their main thread alone.
    pub takes_containers_along: bool,
}

/// When a container is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Before it is handed out.
    Now,
    /// While its process is being made, and before anything else of it is that stays: for a caller that starts it next
    /// ([`ComputeService::create_to_start`]).
    WithStart,
}

/// What all handles of one service share.
pub(crate) struct Shared {
    pub(crate) containers: PathBuf,
    pub(crate) timeline: Option<Arc<Timeline>>,
    /// The first processes that this program has started, by container: it alone can reap them, whichever handle asks.
    pub(crate) owned: Mutex<HashMap<ContainerId, Arc<OwnedProcess>>>,
    /// The execs that this program has started and that have not ended, by container and id.
    pub(crate) owned_execs: Mutex<HashMap<(ContainerId, ExecId), Arc<OwnedProcess>>>,
    pub(crate) waits_for_each: bool,
    last_opened: Mutex<Option<(SpecVersion, Arc<ContainerSpec>)>>,
    features: OnceLock<HostFeatures>,
    fault: Option<(u32, Fault)>,
    pub(crate) takes_containers_along: bool,
}

impl LinuxService {
    /// The containers below `state_root/containers`, which is made (0700) where it is missing.
    pub fn new(state_root: PathBuf) -> Result<Self> {
        Self::with_options(state_root, LinuxOptions::default())
    }

    /// As [`LinuxService::new`], with options.
    pub fn with_options(state_root: PathBuf, options: LinuxOptions) -> Result<Self> {
        use std::fs::Permissions;
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let containers = state_root.join("containers");
        if !containers.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&containers)
                // Whatever the umask.
                .and_then(|()| fs::set_permissions(&containers, Permissions::from_mode(0o700)))
                .map_err(|error| system(format!("make {}", containers.display()), error))?;
        }
        Ok(Self(Arc::new(Shared {
            containers,
            timeline: options.timeline,
            owned: Mutex::default(),
            owned_execs: Mutex::default(),
            waits_for_each: options.waits_for_each,
            last_opened: Mutex::default(),
            features: options.features.map(OnceLock::from).unwrap_or_default(),
            fault: options.fault,
            takes_containers_along: options.takes_containers_along,
        })))
    }

    /// What would be done to start a container from `spec`. Nothing is changed.
    pub fn plan(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Plan> {
        let spec = self.0.with_joined(spec)?;
        let facts = RootFacts::read(&spec).map_err(Error::from)?;
        Ok(plan(id, &spec, self.0.features()?, &facts)?)
    }

    /// Makes a container, as [`ComputeService::create`], with what an OCI runtime's caller asks for.
    pub(crate) fn create_for_runtime(
        &self,
        id: &ContainerId,
        spec: Arc<ContainerSpec>,
        bundle: Option<&Path>,
        options: &RuntimeOptions,
        recording: Recording,
    ) -> Result<LinuxSystem> {
        let mut tracer = Tracer::new(self.0.timeline.clone());
        let features = self.0.features()?;
        let planned = self.0.with_joined(&spec)?;
        let facts = RootFacts::read(&planned).map_err(Error::from)?;
        tracer.mark("look at host and root");
        let plan = plan_for_runtime(id, &planned, features, &facts, options)?;
        tracer.mark("plan");
        let rdt = match &plan.rdt {
            Some(group) => Some(intel_rdt::intended(&intel_rdt::mount_point()?, group)),
            None => None,
        };
        let folder = self.0.folder(id);
        let making = folder.make("container", id)?;
        let mut created = Created::new(id, boot_id()?);
        created.namespaces = plan.namespaces.separate();
        created.id_maps.clone_from(&plan.id_maps);
        created.bundle = bundle.map(Path::to_owned);
        created.keyring.clone_from(&options.keyring);
        let unit = plan.cgroup.as_ref().and_then(|cgroup| cgroup.unit.as_ref());
        created.rdt = rdt;
        created.unit = unit.map(|unit| unit.name.clone());
        created.cgroup = plan.cgroup.as_ref().map(|cgroup| {
            CgroupRecord::intended(features.own_cgroups(), cgroup.base, &cgroup.name)
        });
        let mut prepared = Prepared {
            plan: Some(plan),
            ..Prepared::default()
        };
        match recording {
            Recording::Now => {
                if let Err(error) = folder.write_created(spec.to_json(), &created) {
                    let _ = folder.remove();
                    return Err(error);
                }
                tracer.mark("write the record");
            }
            Recording::WithStart => prepared.unwritten = Some(Unwritten { created, making }),
        }
        drop(planned);
        Ok(LinuxSystem::new(self.0.clone(), id.clone(), spec, prepared))
    }

    fn create_with(
        &self,
        id: &ContainerId,
        spec: &ContainerSpec,
        recording: Recording,
    ) -> Result<Box<dyn ComputeSystem>> {
        let options = RuntimeOptions::usual(id);
        let spec = Arc::new(spec.clone());
        let system = self.create_for_runtime(id, spec, None, &options, recording)?;
        Ok(Box::new(system))
    }

    pub(crate) fn open_system(&self, id: &ContainerId) -> Result<LinuxSystem> {
        let folder = self.0.folder(id);
        let spec = self
            .0
            .spec(&folder)
            .map_err(|error| not_found(id, &folder, error))?;
        let prepared = Prepared::default();
        Ok(LinuxSystem::new(self.0.clone(), id.clone(), spec, prepared))
    }
}

impl Shared {
    /// The spec of a container, read once where the same one is opened several times in a row.
    pub(crate) fn spec(&self, folder: &Folder) -> Result<Arc<ContainerSpec>> {
        let version = folder.spec_version()?;
        let mut last = self
            .last_opened
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((known, spec)) = &*last
            && *known == version
        {
            return Ok(spec.clone());
        }
        let spec = Arc::new(folder.read_spec()?);
        *last = Some((version, spec.clone()));
        Ok(spec)
    }

    /// What this host can do, looked at once.
    pub(crate) fn features(&self) -> Result<&HostFeatures> {
        if let Some(features) = self.features.get() {
            return Ok(features);
        }
        let found = HostFeatures::quick().map_err(|error| system("look at this host", error))?;
        Ok(self.features.get_or_init(|| found))
    }

    /// The plan as it is carried out: itself, but where a fault is wanted.
    pub(crate) fn faulty(&self, plan: Plan) -> Plan {
        match self.fault {
            Some((before, fault)) => plan.with_fault(before, fault),
            None => plan,
        }
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
        self.create_with(id, spec, Recording::Now)
    }

    fn create_to_start(
        &self,
        id: &ContainerId,
        spec: &ContainerSpec,
    ) -> Result<Box<dyn ComputeSystem>> {
        self.create_with(id, spec, Recording::WithStart)
    }

    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>> {
        self.open_system(id)
            .map(|system| Box::new(system) as Box<dyn ComputeSystem>)
    }

    fn enumerate(&self) -> Result<Vec<Summary>> {
        self.survey()?.whole()
    }

    fn survey(&self) -> Result<Survey> {
        let containers = &self.0.containers;
        let read = |error| system(format!("list {}", containers.display()), error);
        remove_graves(containers).map_err(read)?;
        let mut survey = Survey::default();
        for entry in fs::read_dir(containers).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            let Some(Ok(id)) = name.to_str().map(str::parse::<ContainerId>) else {
                continue;
            };
            let looked = self
                .open(&id)
                .and_then(|system| system.properties(Default::default()));
            survey.note(&id, looked.map(|properties| properties.summary));
        }
        survey.summaries.sort_by_key(|summary| summary.created_at);
        Ok(survey)
    }

    fn remove_damaged(&self, id: &ContainerId) -> Result<Vec<String>> {
        remains::remove(&self.0, id)
    }

    fn ids(&self, beginning: &str) -> Result<Vec<ContainerId>> {
        let containers = &self.0.containers;
        let read = |error| system(format!("list {}", containers.display()), error);
        let mut ids = Vec::new();
        for entry in fs::read_dir(containers).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            let id = name.to_str().filter(|name| name.starts_with(beginning));
            ids.extend(id.and_then(|id| id.parse::<ContainerId>().ok()));
        }
        ids.sort();
        Ok(ids)
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
            .because("it is being made")
            .remedy("try again in a moment");
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

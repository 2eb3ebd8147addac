//! From a spec to a plan: what will be done to start a container, or a process in one, as a plain value.
//!
//! [`plan`] and [`plan_process`] are pure: they look at the spec, at what the host can do and at what was read of the root
//! beforehand, and touch nothing. `execute` carries a plan out; [`Plan::steps`] tells it in words.

mod added;
mod constants;
mod debug_root;
mod devices;
mod error;
mod explain;
mod fault;
pub(crate) mod hooks;
mod intel_rdt;
mod mounts;
mod namespaces;
mod net_devices;
mod options;
mod process;
mod program;
mod root;
mod scheduling;
mod served;
mod user_namespace;
mod words;

use hoist_init::wire::{Slot, Step};
use hoist_spec::oci::{LinuxResources, Spec};
use hoist_spec::{ContainerId, ContainerSpec, ProcessSpec};

pub(crate) use added::{plan_mount, plan_unmount, plan_user_namespace};
pub(crate) use constants::namespace::{
    CGROUP as CGROUP_NAMESPACE, NETWORK as NETWORK_NAMESPACE, PID as PID_NAMESPACE,
    USER as USER_NAMESPACE,
};
pub use debug_root::OwnRoot;
pub use error::PlanError;
pub(crate) use explain::{explain, explain_late};
pub use fault::Fault;
pub use intel_rdt::RdtGroup;
pub(crate) use mounts::{known_options, of_another_process};
pub(crate) use namespaces::{KINDS as NAMESPACE_KINDS, Namespaces, name as namespace_name};
pub use net_devices::NetDevice;
pub use options::{MOST_PRESERVED, RuntimeOptions};
pub(crate) use process::Sets;
pub use program::{Descriptor, TreeIds};
pub(crate) use root::{COPY, UPPER};
pub(crate) use scheduling::mask_of;
pub(crate) use served::{plan_lend, plan_lend_overlay, plan_lend_tree};
pub use user_namespace::{IdMapping, IdMaps};
pub use words::{Lane, PlannedStep};

use self::constants::{namespace, propagation};
use self::options::RuntimeSlots;
use self::process::ProcessPlan;
use self::program::{Descriptors, Steps, c_string};
use std::path::{Path, PathBuf};

use crate::cgroup::DeviceRule;
use crate::cgroup::layout::{Base, Hierarchy, Layout, Unusable, Version};
use crate::cgroup::limits::{DeviceControl, Limits, plan_limits};
use crate::features::{HostFeatures, NO_CGROUP_OF_USER};
use crate::root_facts::RootFacts;
use crate::seccomp::filter_for;
use crate::systemd::Unit;
use crate::user;

/// What will be done to start a container's first process, or a further one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The cgroup to make; none for a further process, and where the caller may make none.
    pub(crate) cgroup: Option<CgroupPlan>,
    /// How ids are mapped, where the container gets a user namespace.
    pub(crate) id_maps: Option<IdMaps>,
    /// The container's namespaces.
    pub(crate) namespaces: Namespaces,
    /// The host's network devices that it gets.
    pub(crate) net_devices: Vec<NetDevice>,
    /// The class of Intel's RDT that it is in.
    pub(crate) rdt: Option<RdtGroup>,
    /// Who shows its layers, where the kernel does not.
    pub(crate) servers: Vec<Plan>,
    /// What the helper gets.
    pub(crate) descriptors: Vec<Descriptor>,
    /// What the helper and the process do.
    pub(crate) program: Steps,
}

/// The cgroup that a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupPlan {
    pub(crate) base: Base,
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) places: Vec<CgroupPlace>,
    /// The scope that systemd makes it for, where it does.
    pub(crate) unit: Option<Unit>,
}

impl CgroupPlan {
    /// Whether a part of it is in v1 hierarchies.
    pub(crate) fn has_v1(&self) -> bool {
        self.places.iter().any(|place| place.version == Version::V1)
    }

    /// Its directory in a hierarchy, where it has one there: an ordinary user may have been given no part of it.
    pub(crate) fn part_of(&self, hierarchy: &Hierarchy) -> Option<&str> {
        let directory = hierarchy.directory(self.base, &self.name);
        let is_there = |place: &&CgroupPlace| match hierarchy.version {
            Version::V1 => Path::new(&place.directory) == directory,
            Version::V2 => place.version == Version::V2,
        };
        let place = self.places.iter().find(is_there);
        place.map(|place| place.directory.as_str())
    }

    /// The paths of its directories.
    pub(crate) fn directories(&self) -> Vec<&Path> {
        self.places
            .iter()
            .map(|place| Path::new(&place.directory))
            .collect()
    }
}

/// The directory of a container's cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPlace {
    /// Its path.
    pub directory: String,
    /// The hierarchy's interface.
    pub version: Version,
}

/// What the parts of a plan are made from.
pub(crate) struct Context<'a> {
    pub(crate) features: &'a HostFeatures,
    pub(crate) facts: &'a RootFacts,
    pub(crate) namespaces: &'a Namespaces,
    pub(crate) id_maps: Option<&'a IdMaps>,
    pub(crate) cgroup: Option<&'a CgroupPlan>,
    /// The SELinux context of file systems that are made for the container.
    pub(crate) mount_label: Option<&'a str>,
}

impl Plan {
    /// The descriptors that are there before the helper is started, and those that are made in the meantime.
    pub(crate) fn early_and_late(&self) -> (&[Descriptor], &[Descriptor]) {
        let has_late = self.cgroup.as_ref().is_some_and(CgroupPlan::has_v1);
        let is_late = |descriptor: &Descriptor| has_late && *descriptor == Descriptor::CgroupTasks;
        let first = self.descriptors.iter().position(is_late);
        self.descriptors
            .split_at(first.unwrap_or(self.descriptors.len()))
    }
}

impl Context<'_> {
    fn in_user_namespace(&self) -> bool {
        self.namespaces.has(namespace::USER) || !self.features.initial_user_namespace
    }

    /// mknod(2) of devices is for the first user namespace only.
    fn may_make_devices(&self) -> bool {
        !self.in_user_namespace()
    }
}

/// Plans the start of a container.
///
/// # Errors
///
/// A [`PlanError`] where the spec is wrong, or asks for what this host or this version cannot do.
pub fn plan(
    id: &ContainerId,
    spec: &ContainerSpec,
    features: &HostFeatures,
    facts: &RootFacts,
) -> Result<Plan, PlanError> {
    plan_for_runtime(id, spec, features, facts, &RuntimeOptions::default())
}

/// As [`plan`], with what an OCI runtime's caller asks for.
///
/// # Errors
///
/// As [`plan`].
pub fn plan_for_runtime(
    id: &ContainerId,
    spec: &ContainerSpec,
    features: &HostFeatures,
    facts: &RootFacts,
    options: &RuntimeOptions,
) -> Result<Plan, PlanError> {
    let oci = &spec.oci;
    let process = oci
        .process()
        .as_ref()
        .ok_or_else(|| PlanError::invalid("process", "", "the spec has none"))?;
    hooks::check(oci)?;
    let mut namespaces = Namespaces::of(oci)?;
    let id_maps = IdMaps::of(oci, &mut namespaces, features)?;
    let cgroup = plan_cgroup(id, oci, features, &namespaces, options.systemd_cgroup)?;
    let mut identity = user::resolve(
        spec.user.as_deref(),
        process.user(),
        &facts.passwd,
        &facts.group,
    )?;
    user::add_groups(&mut identity, &spec.groups, &facts.group)?;
    if let Some(maps) = &id_maps {
        maps.check(&identity)?;
    }
    if let Some(target) = facts.linked_targets.first() {
        return Err(PlanError::invalid(
            "root",
            target,
            "it is not a real directory, and mounts must go there",
        ));
    }
    let context = Context {
        features,
        facts,
        namespaces: &namespaces,
        id_maps: id_maps.as_ref(),
        cgroup: cgroup.as_ref(),
        mount_label: oci
            .linux()
            .as_ref()
            .and_then(|linux| linux.mount_label().as_deref())
            .filter(|label| !label.is_empty()),
    };

    let mut steps = Steps::default();
    let mut descriptors = Descriptors::default();
    scheduling::set_oom_score(&mut steps, process)?;
    namespaces.join(&mut steps, &mut descriptors)?;
    let slots = runtime_slots(&mut descriptors, options)?;
    if namespaces.makes(namespace::TIME) {
        steps.push(Step::NewTimeNamespace {
            offsets: &c_string("time offsets", &time_offsets(oci))?,
        });
    }
    let places = cgroup.as_ref().map_or(&[][..], |cgroup| &cgroup.places);
    let born = clone(
        &mut steps,
        &mut descriptors,
        namespaces.at_clone(cgroup.is_some()),
        places,
    );
    if cgroup.as_ref().is_some_and(CgroupPlan::has_v1) {
        steps.push(Step::ReceiveDescriptors {});
    }
    if id_maps.is_some() {
        steps.push(Step::AwaitIdMaps {});
    }
    steps.push(Step::NewSession {});
    if let Some(name) = &options.keyring {
        let name = &c_string("keyring", name)?;
        steps.push(Step::NewKeyring { name });
    }
    join_cgroups(&mut steps, &mut descriptors, places, born)?;
    if namespaces.makes(namespace::CGROUP) && cgroup.is_some() {
        steps.push(Step::NewCgroupNamespace {});
    }
    let working_directory = options.make_working_directory.then(|| process.cwd());
    let mut servers = Vec::new();
    file_systems(
        &mut steps,
        &mut descriptors,
        &mut servers,
        spec,
        working_directory.map(PathBuf::as_path),
        &context,
    )?;
    if hooks::are_asked_for(oci) {
        steps.push(Step::AwaitHooks {});
    }
    hooks::run(&mut steps, "createContainer", hooks::create_container(oci))?;
    steps.push(match options.no_pivot {
        false => Step::PivotRoot {},
        true => Step::ChangeRoot {},
    });
    root_propagation(&mut steps, oci)?;
    names_and_network(&mut steps, oci, &namespaces)?;
    let sets = Sets::of(process.capabilities().as_ref());
    let seccomp = oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.seccomp().as_ref());
    let filter = filter_for(spec.seccomp, seccomp, sets.all().bits())?;
    ProcessPlan {
        oci: process,
        identity: &identity,
        id_maps: id_maps.as_ref(),
        setgroups_denied: features.setgroups_denied,
        filter: filter.as_ref(),
        init: spec.init,
        bind_console: true,
        slots,
        start_hooks: hooks::start_container(oci),
        personality: oci
            .linux()
            .as_ref()
            .and_then(|linux| linux.personality().as_ref()),
        memory_policy: oci
            .linux()
            .as_ref()
            .and_then(|linux| linux.memory_policy().as_ref()),
    }
    .make(&mut steps)?;
    Ok(Plan {
        cgroup,
        id_maps,
        net_devices: net_devices::of(oci, &namespaces)?,
        rdt: intel_rdt::of(oci, id)?,
        namespaces,
        servers,
        descriptors: descriptors.0,
        program: steps,
    })
}

/// What must be known of a running container to start a further process in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningContainer {
    /// The kinds of namespaces in which it differs from the host (`CLONE_NEW*`).
    pub namespaces: u32,
    /// How its ids are mapped, where it has a user namespace.
    pub id_maps: Option<IdMaps>,
    /// setgroups(2) is denied in the user namespace that it shares with whoever starts the process.
    pub setgroups_denied: bool,
    /// The directories of its cgroup; none where it has no cgroup.
    pub cgroup: Vec<CgroupPlace>,
}

/// Plans the start of a further process in a running container made from `spec`.
///
/// # Errors
///
/// As [`plan`].
pub fn plan_process(
    spec: &ContainerSpec,
    process: &ProcessSpec,
    container: &RunningContainer,
    facts: &RootFacts,
    options: &RuntimeOptions,
) -> Result<Plan, PlanError> {
    let identity = user::resolve(
        process.user.as_deref(),
        process.oci.user(),
        &facts.passwd,
        &facts.group,
    )?;
    if let Some(maps) = &container.id_maps {
        maps.check(&identity)?;
    }
    let mut steps = Steps::default();
    let mut descriptors = Descriptors::default();
    scheduling::set_oom_score(&mut steps, &process.oci)?;
    let pidfd = descriptors.add(Descriptor::ContainerProcess);
    steps.push(Step::EnterProcess {
        pidfd,
        namespaces: container.namespaces & !namespace::CGROUP,
    });
    let slots = runtime_slots(&mut descriptors, options)?;
    let own_root = options.own_root.as_ref();
    let tree = own_root.map(|root| root.describe(&mut descriptors));
    // From within a user namespace the host's cgroup would not let the clone in; the file that was opened outside does.
    let birthplaces = match container.namespaces & namespace::USER {
        0 => container.cgroup.as_slice(),
        _ => &[],
    };
    let affinity = process.oci.exec_cpu_affinity().as_ref();
    scheduling::set_affinity(
        &mut steps,
        affinity.and_then(|cpus| cpus.initial().as_deref()),
    )?;
    let new = own_root.map_or(0, |_| namespace::MOUNT);
    let born = clone(&mut steps, &mut descriptors, new, birthplaces);
    steps.push(Step::NewSession {});
    if options.adopts_orphans {
        steps.push(Step::AdoptOrphans {});
    }
    join_cgroups(&mut steps, &mut descriptors, &container.cgroup, born)?;
    // Not before: a hierarchy that is mounted with `nsdelegate`, as systemd does, lets nobody in from outside the namespace's root.
    if container.namespaces & namespace::CGROUP != 0 {
        steps.push(Step::EnterProcess {
            pidfd,
            namespaces: namespace::CGROUP,
        });
    }
    if let (Some(root), Some(tree)) = (own_root, tree) {
        root.make(tree, &mut steps)?;
    }
    let last = affinity.and_then(|cpus| cpus.cpu_affinity_final().as_deref());
    scheduling::set_affinity(&mut steps, last)?;
    let sets = Sets::of(process.oci.capabilities().as_ref());
    let seccomp = spec
        .oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.seccomp().as_ref());
    let filter = filter_for(spec.seccomp, seccomp, sets.all().bits())?;
    ProcessPlan {
        oci: &process.oci,
        identity: &identity,
        id_maps: container.id_maps.as_ref(),
        setgroups_denied: container.setgroups_denied,
        filter: filter.as_ref(),
        init: false,
        bind_console: false,
        slots,
        start_hooks: &[],
        personality: spec
            .oci
            .linux()
            .as_ref()
            .and_then(|linux| linux.personality().as_ref()),
        memory_policy: spec
            .oci
            .linux()
            .as_ref()
            .and_then(|linux| linux.memory_policy().as_ref()),
    }
    .make(&mut steps)?;
    Ok(Plan {
        cgroup: None,
        id_maps: None,
        namespaces: Namespaces {
            new,
            joined: Vec::new(),
        },
        net_devices: Vec::new(),
        rdt: None,
        servers: Vec::new(),
        descriptors: descriptors.0,
        program: steps,
    })
}

/// The slots of the descriptors that `options` ask for.
fn runtime_slots(
    descriptors: &mut Descriptors,
    options: &RuntimeOptions,
) -> Result<RuntimeSlots, PlanError> {
    let count = options.preserved_descriptors;
    if count > MOST_PRESERVED {
        return Err(PlanError::unsupported(
            format!("preserving {count} descriptors"),
            format!("at most {MOST_PRESERVED} can be"),
        ));
    }
    let listener = options
        .await_start
        .then(|| descriptors.add(Descriptor::StartListener));
    let preserved: Vec<_> = (0..count)
        .map(|index| descriptors.add(Descriptor::Preserved(index)))
        .collect();
    Ok(RuntimeSlots {
        listener,
        preserved: preserved.first().map(|first| (*first, count)),
        own_streams: options.own_streams,
    })
}

/// Appends the clone; whether the process is born in its cgroup of the unified hierarchy. Moving it there later takes a
/// lock that all of the machine shares.
fn clone(
    steps: &mut Steps,
    descriptors: &mut Descriptors,
    namespaces: u32,
    places: &[CgroupPlace],
) -> bool {
    let born = places.iter().any(|place| place.version == Version::V2);
    let cgroup = match born {
        true => descriptors.add(Descriptor::CgroupDirectory),
        false => Slot::NONE,
    };
    steps.push(Step::Clone { namespaces, cgroup });
    born
}

/// The v1 hierarchies have no birth: the process moves itself, which spares the lock as long as it is alone.
fn join_cgroups(
    steps: &mut Steps,
    descriptors: &mut Descriptors,
    places: &[CgroupPlace],
    born: bool,
) -> Result<(), PlanError> {
    for place in places {
        let descriptor = match place.version {
            Version::V1 => Descriptor::CgroupTasks,
            Version::V2 if born => continue,
            Version::V2 => Descriptor::CgroupProcs,
        };
        let file = descriptors.add(descriptor);
        steps.push(Step::JoinCgroup {
            file,
            path: &c_string("cgroup", &place.directory)?,
        });
    }
    Ok(())
}

fn plan_cgroup(
    id: &ContainerId,
    oci: &Spec,
    features: &HostFeatures,
    namespaces: &Namespaces,
    by_systemd: bool,
) -> Result<Option<CgroupPlan>, PlanError> {
    let linux = oci.linux().as_ref();
    let resources = linux
        .and_then(|linux| linux.resources().clone())
        .unwrap_or_default();
    let in_user_namespace = namespaces.has(namespace::USER) || !features.initial_user_namespace;
    let devices = if in_user_namespace {
        DeviceControl::Leave
    } else {
        DeviceControl::Enforce
    };
    if !features.privileged && by_systemd {
        return Err(PlanError::unsupported(
            "the systemd cgroup driver for an ordinary user",
            "it asks the system's manager, which serves root alone: use the cgroupfs driver",
        ));
    }
    if !features.privileged && features.delegated.hierarchies.is_empty() {
        // No limit is dropped silently: with an empty layout each that is asked for is an error with this reason.
        let nothing = Layout {
            unusable: vec![Unusable {
                controllers: Vec::new(),
                reason: NO_CGROUP_OF_USER.to_owned(),
            }],
            ..Layout::default()
        };
        plan_limits(&resources, &nothing, devices)?;
        return Ok(None);
    }
    let own = features.own_cgroups();
    let limits = plan_limits(&resources, own, devices)?;
    if own.hierarchies.is_empty() {
        return Ok(None);
    }
    let path = linux.and_then(|linux| linux.cgroups_path().as_ref());
    let path = path.map(|path| path.display().to_string());
    let unit = match by_systemd {
        true => Some(plan_unit(
            path.as_deref(),
            id,
            &limits,
            &resources,
            devices,
        )?),
        false => None,
    };
    let name = match (&unit, path) {
        (Some(unit), _) => unit.path.clone(),
        (None, Some(path)) => cgroup_name(&path)?,
        (None, None) => format!("hoist/{id}"),
    };
    let hierarchies = own.hierarchies.iter();
    // An ordinary user has what was delegated to it: its own cgroup.
    let base = match features.privileged {
        true => Base::Mount,
        false => Base::Own,
    };
    let places = hierarchies
        .map(|hierarchy| CgroupPlace {
            directory: hierarchy.directory(base, &name).display().to_string(),
            version: hierarchy.version,
        })
        .collect();
    Ok(Some(CgroupPlan {
        base,
        name,
        limits,
        places,
        unit,
    }))
}

/// The scope of a container, and all that systemd must know of it.
fn plan_unit(
    path: Option<&str>,
    id: &ContainerId,
    limits: &Limits,
    resources: &LinuxResources,
    devices: DeviceControl,
) -> Result<Unit, PlanError> {
    let mut unit = Unit::of(path, id)
        .map_err(|reason| PlanError::invalid("cgroups path", path.unwrap_or_default(), reason))?;
    let rules = match devices {
        DeviceControl::Leave => None,
        DeviceControl::Enforce => Some(DeviceRule::for_container(
            resources.devices().as_deref().unwrap_or_default(),
        )?),
    };
    unit.tell(&limits.writes, rules.as_deref())?;
    Ok(unit)
}

fn cgroup_name(path: &str) -> Result<String, PlanError> {
    let name = path.trim_matches('/');
    if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(PlanError::invalid(
            "cgroups path",
            path,
            "it is no path below the root of a cgroup hierarchy",
        ));
    }
    if path.contains(':') {
        return Err(PlanError::unsupported(
            format!("cgroups path {path}"),
            "it is of the form that the systemd cgroup driver takes: give --systemd-cgroup",
        ));
    }
    Ok(name.to_owned())
}

fn file_systems(
    steps: &mut Steps,
    descriptors: &mut Descriptors,
    servers: &mut Vec<Plan>,
    spec: &ContainerSpec,
    working_directory: Option<&Path>,
    context: &Context<'_>,
) -> Result<(), PlanError> {
    let oci = &spec.oci;
    let linux = oci.linux().as_ref();
    let mounts = oci.mounts().as_deref().unwrap_or_default();
    // A bind mount that is to follow the host's needs the host's mounts as slaves; else nothing of them comes in.
    let follows = mounts
        .iter()
        .flat_map(|mount| mount.options().iter().flatten())
        .any(|option| matches!(option.as_str(), "slave" | "rslave" | "shared" | "rshared"));
    steps.push(Step::SetPropagation {
        propagation: if follows {
            propagation::SLAVE
        } else {
            propagation::PRIVATE
        },
    });
    let root_is_read_only = oci
        .root()
        .as_ref()
        .and_then(|root| root.readonly())
        .unwrap_or(false);
    root::make(steps, servers, &spec.root, root_is_read_only, context)?;
    mounts::make(steps, descriptors, mounts, context)?;
    devices::make(steps, oci, context)?;
    if let Some(path) = working_directory.filter(|path| path.as_os_str() != "/") {
        steps.push(Step::MakeDirectory {
            root: Slot::ROOT,
            path: &c_string("working directory", &path.display().to_string())?,
            mode: 0o755,
            out: Slot::NONE,
        });
    }
    let masked = linux
        .and_then(|linux| linux.masked_paths().as_deref())
        .unwrap_or_default();
    for path in masked {
        steps.push(Step::Mask {
            path: &c_string("masked path", path)?,
        });
    }
    let read_only = linux
        .and_then(|linux| linux.readonly_paths().as_deref())
        .unwrap_or_default();
    for path in read_only {
        steps.push(Step::MakeReadOnly {
            path: &c_string("read-only path", path)?,
        });
    }
    if root_is_read_only {
        root::make_read_only(steps, &spec.root, context)?;
    }
    Ok(())
}

/// How the root hands mounts on: among namespaces that are made from within the container. The host's mounts are told at each
/// bind mount.
fn root_propagation(steps: &mut Steps, oci: &Spec) -> Result<(), PlanError> {
    let word = oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.rootfs_propagation().as_deref())
        .unwrap_or_default();
    let plain = word.strip_prefix('r').unwrap_or(word);
    let propagation = match plain {
        // So it is already: a root that is nobody's peer takes mounts from nobody.
        "" | "private" | "slave" => return Ok(()),
        "shared" => propagation::SHARED,
        "unbindable" => propagation::UNBINDABLE,
        _ => {
            return Err(PlanError::invalid(
                "root propagation",
                word,
                "it is none of private, slave, shared, unbindable and their recursive forms",
            ));
        }
    };
    steps.push(Step::SetRootPropagation {
        propagation,
        recursive: plain != word,
    });
    Ok(())
}

fn names_and_network(
    steps: &mut Steps,
    oci: &Spec,
    namespaces: &Namespaces,
) -> Result<(), PlanError> {
    let own = |what: &str, name: &str| -> Result<(), PlanError> {
        if namespaces.has(namespace::UTS) {
            return Ok(());
        }
        Err(PlanError::invalid(
            what,
            name,
            "the container shares the host's UTS namespace, whose name it would change",
        ))
    };
    if let Some(name) = oci.hostname().as_deref().filter(|name| !name.is_empty()) {
        own("hostname", name)?;
        steps.push(Step::SetHostname {
            name: &c_string("hostname", name)?,
        });
    }
    if let Some(name) = oci.domainname().as_deref().filter(|name| !name.is_empty()) {
        own("domain name", name)?;
        steps.push(Step::SetDomainname {
            name: &c_string("domain name", name)?,
        });
    }
    if namespaces.makes(namespace::NETWORK) {
        steps.push(Step::LoopbackUp {});
    }
    let mut parameters: Vec<_> = oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.sysctl().as_ref())
        .into_iter()
        .flatten()
        .collect();
    parameters.sort();
    for (name, value) in parameters {
        require_namespace(name, namespaces)?;
        let path = c_string("sysctl", &name.replace('.', "/"))?;
        steps.push(Step::SetSysctl {
            path: &path,
            value: &c_string("sysctl", value)?,
        });
    }
    Ok(())
}

/// Refuses a kernel parameter that is not of one of the container's own namespaces: it would change the host.
fn require_namespace(name: &str, namespaces: &Namespaces) -> Result<(), PlanError> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let dotted = name.replace('/', ".");
    let kind = if dotted.split('.').any(|part| part.is_empty()) {
        None
    } else if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        Some(namespace::IPC)
    } else if dotted.starts_with("net.") {
        Some(namespace::NETWORK)
    } else if matches!(dotted.as_str(), "kernel.domainname" | "kernel.hostname") {
        Some(namespace::UTS)
    } else {
        None
    };
    match kind {
        Some(kind) if namespaces.has(kind) => Ok(()),
        Some(kind) => Err(PlanError::invalid(
            "sysctl",
            name,
            format!(
                "the container shares the host's {} namespace, whose parameter it would change",
                namespaces::name(kind)
            ),
        )),
        None => Err(PlanError::invalid(
            "sysctl",
            name,
            "it is no parameter of a namespace; it would change the host",
        )),
    }
}

fn time_offsets(oci: &Spec) -> String {
    let offsets = oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.time_offsets().as_ref());
    let mut lines: Vec<String> = offsets
        .into_iter()
        .flatten()
        .map(|(clock, offset)| {
            format!(
                "{clock} {} {}\n",
                offset.secs().unwrap_or_default(),
                offset.nanosecs().unwrap_or_default()
            )
        })
        .collect();
    lines.sort();
    lines.concat()
}

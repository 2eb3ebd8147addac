//! From a spec to a plan: what will be done to start a container, or a process in one, as a plain value.
//!
//! [`plan`] and [`plan_process`] are pure: they look at the spec, at what the host can do and at what was read of the root
//! beforehand, and touch nothing. `execute` carries a plan out; [`Plan::steps`] tells it in words.

mod added;
mod cgroup;
mod cgroup_mounts;
mod constants;
mod debug_root;
mod devices;
mod error;
mod explain;
mod fault;
pub(crate) mod hooks;
mod intel_rdt;
mod mount_options;
mod mounts;
mod namespaces;
mod net_devices;
mod options;
mod process;
mod program;
mod root;
mod scheduling;
mod served;
mod sysctls;
mod user_namespace;
mod words;

use std::path::{Path, PathBuf};

use hoist_init::wire::{Slot, Step};
use hoist_spec::oci::{Process, Spec};
use hoist_spec::{ContainerId, ContainerSpec, ProcessSpec};

pub(crate) use added::{plan_mount, plan_unmount, plan_user_namespace};
pub use cgroup::CgroupPlace;
pub(crate) use cgroup::{CgroupPlan, cgroup_name};
pub(crate) use constants::namespace::{
    CGROUP as CGROUP_NAMESPACE, NETWORK as NETWORK_NAMESPACE, PID as PID_NAMESPACE,
    USER as USER_NAMESPACE,
};
pub use debug_root::OwnRoot;
pub use error::PlanError;
pub(crate) use explain::{explain, explain_late, under_label};
pub use fault::Fault;
pub use intel_rdt::RdtGroup;
pub(crate) use mount_options::known_options;
pub(crate) use mounts::of_another_process;
pub(crate) use namespaces::{KINDS as NAMESPACE_KINDS, Namespaces, name as namespace_name};
pub use net_devices::NetDevice;
pub use options::{MOST_PRESERVED, RuntimeOptions, session_keyring};
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
use crate::cgroup::layout::Version;
use crate::features::HostFeatures;
use crate::root_facts::RootFacts;
use crate::seccomp::filter_for;
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
    /// The SELinux label that its program is to run under.
    pub(crate) fn selinux_label(&self) -> Option<&str> {
        self.program.iter().find_map(|step| match step {
            Step::WriteOwnProcess { file, value } if file == c"attr/exec" => value.to_str().ok(),
            _ => None,
        })
    }

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
    plan_for_runtime(id, spec, features, facts, &RuntimeOptions::usual(id))
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
    let cgroup = cgroup::of(id, oci, features, &namespaces, options.systemd_cgroup)?;
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
            offsets: &c_string("time offsets", &namespaces::time_offsets(oci))?,
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
        keyring(&mut steps, name, process)?;
    }
    cgroup::join(&mut steps, &mut descriptors, places, born)?;
    if namespaces.makes(namespace::CGROUP) && cgroup.is_some() {
        steps.push(Step::NewCgroupNamespace {});
    }
    if cgroup.is_some() {
        steps.push(Step::TellPlaced {});
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
    /// The name of the session keyring that each process of it gets; none where they stay in their starter's.
    pub keyring: Option<String>,
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
    if let Some(name) = &container.keyring {
        keyring(&mut steps, name, &process.oci)?;
    }
    if options.adopts_orphans {
        steps.push(Step::AdoptOrphans {});
    }
    cgroup::join(&mut steps, &mut descriptors, &container.cgroup, born)?;
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

/// A session keyring of this name, which the process may use under its label.
fn keyring(steps: &mut Steps, name: &str, process: &Process) -> Result<(), PlanError> {
    // What it was told of keys, the process forgets when it executes its program.
    if let Some(label) = process::selinux_label(process)? {
        steps.push(Step::WriteOwnProcess {
            file: c"attr/keycreate",
            value: &label,
        });
    }
    steps.push(Step::NewKeyring {
        name: &c_string("keyring", name)?,
    });
    Ok(())
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
    let label = c_string("mount label", context.mount_label.unwrap_or_default())?;
    for path in masked {
        steps.push(Step::Mask {
            path: &c_string("masked path", path)?,
            label: &label,
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
    sysctls::set(steps, oci, namespaces)
}

//! Which namespaces a container has of its own, joins, or shares with the host.

use hoist_init::wire::Step;
use hoist_spec::oci::{LinuxNamespaceType, Spec};

use super::program::{Descriptor, Descriptors, Steps, c_string};
use super::{PlanError, constants::namespace};

/// The namespaces of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespaces {
    /// Those made for it (`CLONE_NEW*`).
    pub(crate) new: u32,
    /// Those of somebody else, by kind and path.
    pub(crate) joined: Vec<(u32, String)>,
}

/// The kinds, with the names that the kernel has for them in `/proc/PID/ns`, in the order in which they are joined: a
/// user namespace first, for the rights it gives over the others.
pub(crate) const KINDS: [(u32, &str); 8] = [
    (namespace::USER, "user"),
    (namespace::MOUNT, "mnt"),
    (namespace::PID, "pid"),
    (namespace::NETWORK, "net"),
    (namespace::IPC, "ipc"),
    (namespace::UTS, "uts"),
    (namespace::CGROUP, "cgroup"),
    (namespace::TIME, "time"),
];

impl Namespaces {
    /// Reads them from a spec.
    pub(crate) fn of(oci: &Spec) -> Result<Self, PlanError> {
        let mut found = Self::default();
        let namespaces = oci
            .linux()
            .as_ref()
            .and_then(|linux| linux.namespaces().as_ref());
        for namespace in namespaces.into_iter().flatten() {
            let kind = kind_of(namespace.typ());
            if found.has(kind) {
                return Err(PlanError::invalid(
                    "namespace",
                    name(kind),
                    "it is named twice",
                ));
            }
            match namespace.path() {
                Some(path) => found.joined.push((kind, path.display().to_string())),
                None => found.new |= kind,
            }
        }
        if !found.makes(namespace::MOUNT) {
            return Err(PlanError::unsupported(
                "a container without a mount namespace of its own",
                "its root could not be separated from the host's",
            ));
        }
        found
            .joined
            .sort_by_key(|(kind, _)| KINDS.iter().position(|(known, _)| known == kind));
        Ok(found)
    }

    /// Whether the container has a namespace of this kind made for it.
    pub(crate) fn makes(&self, kind: u32) -> bool {
        self.new & kind != 0
    }

    /// Whether the container's namespace of this kind is not the host's.
    pub(crate) fn has(&self, kind: u32) -> bool {
        self.makes(kind) || self.joined.iter().any(|(joined, _)| *joined == kind)
    }

    /// All kinds in which the container differs from the host.
    pub(crate) fn separate(&self) -> u32 {
        self.joined
            .iter()
            .fold(self.new, |all, (kind, _)| all | kind)
    }

    /// Appends the steps that come before the clone.
    pub(crate) fn join(
        &self,
        steps: &mut Steps,
        descriptors: &mut Descriptors,
    ) -> Result<(), PlanError> {
        for (kind, path) in &self.joined {
            let namespace = descriptors.add(Descriptor::Namespace(path.clone()));
            let path = c_string("namespace path", path)?;
            steps.push(Step::EnterNamespace {
                namespace,
                kind: *kind,
                path: &path,
            });
        }
        Ok(())
    }

    /// Those that clone3(2) makes: a time namespace comes before it, and a cgroup namespace behind it where there is a cgroup to
    /// be joined first.
    pub(crate) fn at_clone(&self, joins_cgroup: bool) -> u32 {
        let later = if joins_cgroup { namespace::CGROUP } else { 0 };
        self.new & !(namespace::TIME | later)
    }
}

/// The kernel's name of a kind.
pub(crate) fn name(kind: u32) -> &'static str {
    KINDS
        .iter()
        .find(|(known, _)| *known == kind)
        .map_or("unknown", |(_, name)| name)
}

fn kind_of(kind: LinuxNamespaceType) -> u32 {
    match kind {
        LinuxNamespaceType::Mount => namespace::MOUNT,
        LinuxNamespaceType::Cgroup => namespace::CGROUP,
        LinuxNamespaceType::Uts => namespace::UTS,
        LinuxNamespaceType::Ipc => namespace::IPC,
        LinuxNamespaceType::User => namespace::USER,
        LinuxNamespaceType::Pid => namespace::PID,
        LinuxNamespaceType::Network => namespace::NETWORK,
        LinuxNamespaceType::Time => namespace::TIME,
    }
}

/// What is written to `timens_offsets` (time_namespaces(7)).
pub(super) fn time_offsets(oci: &Spec) -> String {
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

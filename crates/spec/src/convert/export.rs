//! The OCI runtime spec of a container as other runtimes read it.

use oci_spec::runtime::{Arch, Spec};

use crate::{CapabilitySet, ContainerSpec, RootSource, SeccompPolicy, seccomp};

impl ContainerSpec {
    /// The OCI runtime spec, complete: with the built-in seccomp profile where that is the policy, for
    /// the capabilities that the container keeps, on a machine of this architecture.
    ///
    /// What OCI has no words for is left out: a root made of layers (`root.path` then says `rootfs`), a user
    /// by name, an init process, how to stop.
    pub fn to_oci(&self, architecture: Arch) -> Spec {
        let mut spec = self.oci.clone();
        if let (RootSource::Directory(path), Some(root)) = (&self.root, spec.root_mut()) {
            root.set_path(path.clone());
        }
        let bounding = self.bounding();
        if let Some(linux) = spec.linux_mut() {
            match self.seccomp {
                SeccompPolicy::Default => {
                    linux.set_seccomp(Some(seccomp::default_profile(
                        bounding.bits(),
                        architecture,
                    )));
                }
                SeccompPolicy::Unconfined => {
                    linux.set_seccomp(None);
                }
                SeccompPolicy::Oci => {}
            }
        }
        spec
    }

    /// The capabilities that the first process, or any it becomes, can ever have.
    pub fn bounding(&self) -> CapabilitySet {
        self.oci
            .process()
            .as_ref()
            .and_then(|process| process.capabilities().as_ref())
            .and_then(|capabilities| capabilities.bounding().as_ref())
            .map(CapabilitySet::from)
            .unwrap_or_default()
    }
}

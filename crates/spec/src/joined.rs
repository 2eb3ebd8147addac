//! The namespaces of other containers, put into a spec.

use std::borrow::Cow;
use std::path::PathBuf;

use oci_spec::runtime::LinuxNamespaceType;

use crate::{ContainerId, ContainerSpec, convert};

impl ContainerSpec {
    /// The spec with the paths of the namespaces that it joins ([`joined`](Self::joined)), below `/proc` of the process that
    /// `first_process` tells of each of those containers. With an IPC namespace comes its container's `/dev/shm`, as with docker, in
    /// place of the usual one.
    ///
    /// # Errors
    /// Those of `first_process`.
    pub fn with_joined<E>(
        &self,
        first_process: impl Fn(&ContainerId, LinuxNamespaceType) -> Result<u32, E>,
    ) -> Result<Cow<'_, Self>, E> {
        let mut spec = Cow::Borrowed(self);
        for joined in &self.joined {
            let pid = first_process(&joined.container, joined.kind)?;
            let oci = &mut spec.to_mut().oci;
            let namespaces = oci
                .linux_mut()
                .as_mut()
                .and_then(|linux| linux.namespaces_mut().as_mut());
            for namespace in namespaces.into_iter().flatten() {
                if namespace.typ() == joined.kind {
                    let file = file_name(joined.kind);
                    namespace.set_path(Some(PathBuf::from(format!("/proc/{pid}/ns/{file}"))));
                }
            }
            if joined.kind == LinuxNamespaceType::Ipc {
                for mount in oci.mounts_mut().iter_mut().flatten() {
                    if convert::is_usual_shared_memory(mount) {
                        *mount = convert::shared_memory_of(pid);
                    }
                }
            }
        }
        Ok(spec)
    }
}

/// The name of the kind below `/proc/PID/ns` (namespaces(7)).
fn file_name(kind: LinuxNamespaceType) -> &'static str {
    match kind {
        LinuxNamespaceType::Mount => "mnt",
        LinuxNamespaceType::Cgroup => "cgroup",
        LinuxNamespaceType::Uts => "uts",
        LinuxNamespaceType::Ipc => "ipc",
        LinuxNamespaceType::User => "user",
        LinuxNamespaceType::Pid => "pid",
        LinuxNamespaceType::Network => "net",
        LinuxNamespaceType::Time => "time",
    }
}

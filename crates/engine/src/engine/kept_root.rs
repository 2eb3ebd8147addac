//! Looking at what is left of a container that has ended, with tools of one's own.

use std::path::{Path, PathBuf};

use hoist_compute::{Error, ErrorKind, ExecSpec, Phase, Result};
use hoist_spec::{ContainerId, ContainerSpec, RootSource, WritableLayer, oci};

use crate::Engine;

/// Mounts of a container that are its own, and not of its root.
const SYSTEM: [&str; 3] = ["/proc", "/dev", "/sys"];
/// Where the kept root may be mounted: the first that is there.
const PLACES: [&str; 2] = ["/container", "/mnt"];

impl Engine {
    /// The spec of a container that runs `exec`'s process on its root ([`Confinement::root`](hoist_compute::Confinement)) beside the
    /// kept root of a container that has ended, with the identity, capabilities, filter and limits of that one.
    ///
    /// `InvalidState` where nothing of its root was kept: only a directory, and layers with a folder for what is written, are.
    pub fn spec_beside_kept_root(
        &self,
        id: &ContainerId,
        exec: &ExecSpec,
    ) -> Result<ContainerSpec> {
        let mut spec = self.container(id)?.spec().clone();
        let refused = |kind, reason: &str| {
            let operation = format!("run a process beside the root of container {id}");
            Error::new(kind, Phase::Plan, operation)
                .about(id.as_str())
                .because(reason)
        };
        let tools =
            exec.confinement.root.clone().ok_or_else(|| {
                refused(ErrorKind::InvalidSpec, "it names no root with its program")
            })?;
        if !exec.confinement.has_no_bounds() {
            let reason = "limits and a time of its own are for processes of containers that run";
            return Err(refused(ErrorKind::InvalidSpec, reason));
        }
        let has = |path: &str| tools.join(path.trim_start_matches('/')).is_dir();
        let place = PLACES.into_iter().find(|path| has(path)).ok_or_else(|| {
            refused(
                ErrorKind::InvalidSpec,
                "its root has no directory for the container's",
            )
            .remedy(format!("make one: mkdir {}/container", tools.display()))
        })?;
        let kept = kept(&spec.root).ok_or_else(|| {
            refused(ErrorKind::InvalidState, "nothing of its root was kept")
                .remedy("what is kept is a --rootfs directory, or layers with --layer-folder")
        })?;
        let given = spec.oci.mounts().clone().unwrap_or_default();
        let (own, of_root): (Vec<_>, Vec<_>) = given.into_iter().partition(|mount| {
            SYSTEM
                .iter()
                .any(|top| mount.destination().starts_with(top))
        });
        let mut mounts: Vec<oci::Mount> = own
            .into_iter()
            .filter(|mount| {
                let top = SYSTEM
                    .iter()
                    .find(|top| mount.destination().starts_with(top));
                top.is_some_and(|top| has(top))
            })
            .collect();
        mounts.push(kept_at(kept, Path::new(place)));
        mounts.extend(of_root.into_iter().map(|mut mount| {
            let inside = mount.destination().strip_prefix("/").map(Path::to_path_buf);
            mount.set_destination(Path::new(place).join(inside.unwrap_or_default()));
            mount
        }));
        let mut root = oci::Root::default();
        root.set_path(tools.clone());
        root.set_readonly(Some(true));
        spec.oci
            .set_mounts(Some(mounts))
            .set_root(Some(root))
            .set_hooks(None)
            .set_process(Some(exec.process.oci.clone()));
        if let Some(linux) = spec.oci.linux_mut() {
            linux.set_cgroups_path(None);
        }
        spec.root = RootSource::Directory(tools);
        spec.user.clone_from(&exec.process.user);
        spec.init = false;
        Ok(spec)
    }
}

/// The mount, without its place, that shows what was kept of a root.
fn kept(root: &RootSource) -> Option<(&'static str, PathBuf, Vec<String>)> {
    match root {
        RootSource::Directory(path) => Some((
            "bind",
            path.clone(),
            vec!["rbind".to_owned(), "rprivate".to_owned()],
        )),
        RootSource::Layers {
            layers,
            writable: WritableLayer::Folder(folder),
        } => {
            let layers: Vec<String> = layers
                .iter()
                .map(|layer| layer.display().to_string().replace(':', "\\:"))
                .collect();
            let options = vec![
                format!("lowerdir={}", layers.join(":")),
                format!("upperdir={}/upper", folder.display()),
                format!("workdir={}/work", folder.display()),
            ];
            Some(("overlay", "overlay".into(), options))
        }
        RootSource::Layers { .. } | RootSource::Host | RootSource::Unisolated => None,
    }
}

fn kept_at((kind, source, options): (&str, PathBuf, Vec<String>), place: &Path) -> oci::Mount {
    let mut mount = oci::Mount::default();
    mount
        .set_destination(place.to_path_buf())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source))
        .set_options(Some(options));
    mount
}

//! Reading [`RootFacts`]: the few files and checks that one spec needs of its root, and no more.

use hoist_spec::{ContainerSpec, ProcessSpec, RootSource, WritableLayer, oci::Process};

use super::{LARGEST_FILE, Root, RootError};
use crate::{
    accounts,
    plan::{COPY, UPPER},
    root_facts::{HostRoot, KeptLayer, RootFacts},
    user::{UserRequest, is_group_name},
};

/// The directories that the kernel's own file systems are mounted on; a link there was made to deceive.
const KERNEL_DIRECTORIES: [&str; 3] = ["proc", "sys", "dev"];

impl RootFacts {
    /// Reads what planning the container of `spec` needs of the root that it names.
    pub fn read(spec: &ContainerSpec) -> Result<Self, RootError> {
        let root = Root::open(&spec.root)?;
        let mut facts = Self::default();
        if let Some(process) = spec.oci.process() {
            facts.read_accounts(&root, spec.user.as_deref(), process)?;
        }
        facts.read_groups(&root, &spec.groups)?;
        let mounts = spec.oci.mounts().as_deref().unwrap_or_default();
        let directories: &[&str] = match spec.root {
            // The composed root has directories of its own in these places.
            RootSource::Host => &[],
            RootSource::Directory(_) | RootSource::Layers { .. } | RootSource::Unisolated => {
                &KERNEL_DIRECTORIES
            }
        };
        let destinations = mounts
            .iter()
            .filter_map(|mount| mount.destination().to_str());
        let targets = root.look_at_targets(destinations, directories)?;
        facts.climbing_targets = targets.climbing;
        facts.linked_targets = targets.not_directories;
        for name in &mut facts.linked_targets {
            name.insert(0, '/');
        }
        if let RootSource::Layers {
            writable: WritableLayer::Folder(folder),
            ..
        } = &spec.root
        {
            facts.kept_layer = match (folder.join(COPY).exists(), folder.join(UPPER).exists()) {
                (true, _) => Some(KeptLayer::Copy),
                (false, true) => Some(KeptLayer::Upper),
                (false, false) => None,
            };
        }
        if spec.root == RootSource::Host {
            facts.host_root = Some(HostRoot::read()?);
        }
        Ok(facts)
    }

    /// Reads what planning a further process needs of the running container's `root`.
    pub fn read_for_process(root: &Root, process: &ProcessSpec) -> Result<Self, RootError> {
        let mut facts = Self::default();
        facts.read_accounts(root, process.user.as_deref(), &process.oci)?;
        Ok(facts)
    }

    /// Keeps the lines of further groups that are asked for by name.
    fn read_groups(&mut self, root: &Root, groups: &[String]) -> Result<(), RootError> {
        if !groups.iter().any(|group| is_group_name(group)) {
            return Ok(());
        }
        let text = root.read_file("/etc/group", LARGEST_FILE)?;
        let text = text.unwrap_or_default();
        let named = accounts::group(&text, None).filter(|entry| groups.contains(&entry.name));
        self.group.extend(named);
        Ok(())
    }

    /// Keeps the lines that `user`, or the numbers of `process`, can be about. A request that is wrong in
    /// itself needs no lines: resolving it says so.
    fn read_accounts(
        &mut self,
        root: &Root,
        user: Option<&str>,
        process: &Process,
    ) -> Result<(), RootError> {
        let Ok(request) = UserRequest::of(user, process.user()) else {
            return Ok(());
        };
        if request.needs_passwd() || !has_home(process) {
            let text = root.read_file("/etc/passwd", LARGEST_FILE)?;
            self.passwd = accounts::passwd(&text.unwrap_or_default())
                .find(|entry| request.is_user(entry))
                .into_iter()
                .collect();
        }
        if request.needs_group(!self.passwd.is_empty()) {
            let name = self.passwd.first().map(|entry| entry.name.as_str());
            let text = root.read_file("/etc/group", LARGEST_FILE)?;
            self.group = accounts::group(&text.unwrap_or_default(), name)
                .filter(|entry| request.is_group(entry, name))
                .collect();
        }
        Ok(())
    }
}

fn has_home(process: &Process) -> bool {
    process
        .env()
        .iter()
        .flatten()
        .any(|variable| variable.starts_with("HOME="))
}

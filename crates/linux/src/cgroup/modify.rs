//! Changes the limits of a cgroup in use: all of them, or none.

use hoist_spec::oci::LinuxResources;

use super::{
    error::CgroupError,
    fs::Cgroup,
    layout::{Hierarchy, Layout, Version},
    limits::{Check, Write, plan_change, undo},
};

impl Cgroup {
    /// Changes the limits that `resources` names; the others stay. The result is what was written.
    ///
    /// # Errors
    ///
    /// One limit cannot be had, or is refused by the kernel: then all are as before. Device rules are refused always.
    pub fn modify(&self, resources: &LinuxResources) -> Result<Vec<Write>, CgroupError> {
        let current = |index: usize, file: &str| self.directories.get(index)?.read(file).ok();
        let writes = plan_change(resources, &self.layout(), &current)?;
        let mut done: Vec<Write> = Vec::with_capacity(writes.len());
        for write in &writes {
            let before = self.undo_of(write);
            if let Err(error) = self.apply(std::slice::from_ref(write)) {
                // The kernel may have taken a value and kept another.
                for undo in before.iter().chain(done.iter().rev()) {
                    let _ = self.apply(std::slice::from_ref(undo));
                }
                return Err(error);
            }
            done.extend(before);
        }
        Ok(writes)
    }

    /// What to write to have the present value again. `None` where it cannot be read.
    fn undo_of(&self, write: &Write) -> Option<Write> {
        let directory = self.directories.get(write.hierarchy)?;
        let from = |file: &str, value: &str| Some(undo(file, value, &directory.read(file).ok()?));
        let value = from(&write.file, &write.value);
        let instead = write
            .instead
            .as_ref()
            .and_then(|(file, value)| Some((file.clone(), from(file, value)?)));
        if value.is_none() && instead.is_none() {
            return None;
        }
        Some(Write {
            value: value.unwrap_or_default(),
            instead,
            check: Check::No,
            ..write.clone()
        })
    }

    /// The hierarchies that this cgroup is in, each as if it were mounted at the cgroup.
    pub(crate) fn layout(&self) -> Layout {
        let hierarchies = self
            .directories
            .iter()
            .map(|directory| Hierarchy {
                controllers: match directory.version {
                    Version::V1 => directory.controllers.clone(),
                    // Those that reach this cgroup, not all that the root offers.
                    Version::V2 => directory
                        .read("cgroup.controllers")
                        .unwrap_or_default()
                        .split_ascii_whitespace()
                        .map(str::to_owned)
                        .collect(),
                },
                version: directory.version,
                mount_point: directory.path.clone(),
                own_path: "/".to_owned(),
            })
            .collect();
        Layout {
            hierarchies,
            unusable: Vec::new(),
        }
    }
}

//! The steps by which a further process gets a root of its own, in a mount namespace derived from the container's.
//!
//! The directory is a detached copy that the owner has made, so it is the host's and nothing in the container leads there. It is
//! read-only: a process of the container that may look at this one's root can read it. What of the container is bound into it
//! is found by a process that has entered the container already, and has the masks that the container has.

use hoist_init::wire::{Slot, Step};

use super::PlanError;
use super::constants::{attribute, propagation};
use super::program::{Descriptor, Descriptors, Steps, c_string};

/// A root of the host's for a further process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRoot {
    /// The directory.
    pub directory: String,
    /// Where in it the container's root is mounted: a directory that is there.
    pub container: &'static str,
    /// Which of the container's `/proc` and `/dev` are mounted in it, too: there are directories for them.
    pub shared: Vec<&'static str>,
}

impl OwnRoot {
    /// Names the copy of the directory among the descriptors.
    pub(super) fn describe(&self, descriptors: &mut Descriptors) -> Slot {
        descriptors.add(Descriptor::Tree {
            path: self.directory.clone(),
            recursive: true,
            ids: None,
        })
    }

    /// Appends the steps from the new mount namespace to the new root.
    pub(super) fn make(&self, tree: Slot, steps: &mut Steps) -> Result<(), PlanError> {
        steps.push(Step::SetPropagation {
            propagation: propagation::PRIVATE,
        });
        let places = [Slot::DEV, Slot::DIRECTORY];
        let shared: Vec<_> = self.shared.iter().copied().zip(places).collect();
        steps.push(Step::CopyTree {
            path: c"/",
            out: Slot::SCRATCH,
        });
        for (path, out) in &shared {
            let path = &c_string("path", path)?;
            steps.push(Step::CopyTree { path, out: *out });
        }
        steps.push(Step::TakeRoot {
            tree,
            path: &c_string("root", &self.directory)?,
            attributes: attribute::RDONLY | attribute::NOSUID | attribute::NODEV,
        });
        steps.push(Step::AttachRoot {});
        let own = std::iter::once((self.container, Slot::SCRATCH));
        for (target, mount) in own.chain(shared) {
            let target = &c_string("path", target)?;
            steps.push(Step::AttachTree { mount, target });
        }
        steps.push(Step::PivotRoot {});
        Ok(())
    }
}

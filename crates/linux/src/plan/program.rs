//! What the steps of a program under construction refer to: texts, and descriptors that are handed over.

use std::ffi::CString;

use hoist_init::wire::Slot;

pub(crate) use hoist_init::steps::{ListBytes, Steps};

use super::{IdMaps, PlanError};

/// The list of these strings.
pub(crate) fn list_of_texts<T: AsRef<str>>(
    what: &str,
    texts: impl IntoIterator<Item = T>,
) -> Result<ListBytes, PlanError> {
    let mut list = ListBytes::default();
    for text in texts {
        list.push(c_string(what, text.as_ref())?.as_c_str());
    }
    Ok(list)
}

/// `text` as the kernel takes it. A NUL in it is the requester's fault, in what `what` names.
pub(crate) fn c_string(what: &str, text: &str) -> Result<CString, PlanError> {
    CString::new(text).map_err(|_| PlanError::invalid(what, text, "it contains a NUL character"))
}

/// The descriptors that the owner hands to the helper, in order; each has the slot of its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// The file by which a process joins the container's cgroup in the next v1 hierarchy.
    CgroupTasks,
    /// The same in the unified hierarchy.
    CgroupProcs,
    /// The directory of the container's cgroup in the unified hierarchy.
    CgroupDirectory,
    /// A namespace of the host, by its path.
    Namespace(String),
    /// The container's first process, as a pidfd.
    ContainerProcess,
    /// A detached copy of a path of the host, made in the owner's mount namespace.
    Tree {
        /// The path.
        path: String,
        /// With what is mounted below it.
        recursive: bool,
        /// How the ids of its files are mapped, where they are.
        ids: Option<TreeIds>,
    },
    /// The socket at which the process waits to be started.
    StartListener,
    /// A descriptor that the program gets, by its place behind the standard streams.
    Preserved(u8),
}

/// How the ids of a mount's files are mapped (mount_setattr(2), "ID-mapped mounts").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeIds {
    /// From the file system's to those that are seen.
    pub maps: IdMaps,
    /// On what is mounted below, too.
    pub recursive: bool,
}

/// How many descriptors come before the first of [`Descriptor`]: the plan, the helper, the file of times.
const FIRST_SLOT: u8 = 3;

/// The descriptors that a program's steps refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptors(pub(crate) Vec<Descriptor>);

impl Descriptors {
    /// The slot of a copy of a mount of this machine, of which there are as many as descriptors can be handed over.
    pub(crate) fn add_tree(
        &mut self,
        path: &str,
        recursive: bool,
        ids: Option<TreeIds>,
    ) -> Result<Slot, PlanError> {
        const MOST: usize = 40;
        if self.0.len() >= MOST {
            return Err(PlanError::unsupported(
                format!("mount {path}"),
                format!("more than {MOST} mounts cannot be shared or have their ids mapped"),
            ));
        }
        Ok(self.add(Descriptor::Tree {
            path: path.to_owned(),
            recursive,
            ids,
        }))
    }

    /// The slot that `descriptor` will be in.
    pub(crate) fn add(&mut self, descriptor: Descriptor) -> Slot {
        let slot = Slot::received(FIRST_SLOT + self.0.len() as u8);
        self.0.push(descriptor);
        slot
    }
}

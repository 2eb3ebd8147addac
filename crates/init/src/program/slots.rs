//! The descriptors that the walk holds, by slot.

use hoist_init::wire::{Call, Slot};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use super::fault::{Fault, Result};

/// One descriptor or none per [`Slot`].
pub(crate) struct Slots([Option<OwnedFd>; Slot::COUNT]);

impl Slots {
    pub(crate) fn new() -> Self {
        Self([const { None }; Slot::COUNT])
    }

    /// Puts a descriptor in a slot, closing what was there. [`Slot::NONE`] drops it.
    pub(crate) fn put(&mut self, slot: Slot, descriptor: OwnedFd) {
        if let Some(place) = self.0.get_mut(usize::from(slot.0)) {
            *place = Some(descriptor);
        }
    }

    /// The descriptor in a slot that the plan has filled before.
    pub(crate) fn get(&self, slot: Slot) -> Result<BorrowedFd<'_>> {
        self.find(slot).ok_or(Fault::new(Call::Decode, Errno::BADF))
    }

    /// The descriptor in a slot, where there is one.
    pub(crate) fn find(&self, slot: Slot) -> Option<BorrowedFd<'_>> {
        Some(self.0.get(usize::from(slot.0))?.as_ref()?.as_fd())
    }

    /// What is in a slot, which is empty then.
    pub(crate) fn take(&mut self, slot: Slot) -> Option<OwnedFd> {
        self.0.get_mut(usize::from(slot.0)).and_then(Option::take)
    }

    /// Moves what is in one slot to another.
    pub(crate) fn rename(&mut self, from: Slot, to: Slot) {
        if let Some(descriptor) = self.take(from) {
            self.put(to, descriptor);
        }
    }

    /// Closes every slot for which `keep` does not ask.
    pub(crate) fn retain(&mut self, keep: impl Fn(Slot) -> bool) {
        for (index, place) in (0..).zip(&mut self.0) {
            if !keep(Slot(index)) {
                *place = None;
            }
        }
    }

    pub(crate) fn close(&mut self, slot: Slot) {
        if let Some(place) = self.0.get_mut(usize::from(slot.0)) {
            *place = None;
        }
    }
}

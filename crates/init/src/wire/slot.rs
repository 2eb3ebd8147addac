//! The descriptors that the helper holds, by name.

use super::operand::{Operand, Sink};

/// A name for a descriptor that the helper holds.
///
/// The owner hands descriptors over in a fixed order ([`Slot::received`]); steps put further ones in the named slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u8);

impl Slot {
    /// How many slots there are.
    pub const COUNT: usize = 64;
    /// No descriptor.
    pub const NONE: Self = Self(u8::MAX);
    /// The container's root.
    pub const ROOT: Self = Self(0);
    /// The container's `/dev`.
    pub const DEV: Self = Self(1);
    /// The file system that holds an ephemeral writable layer.
    pub const SCRATCH: Self = Self(2);
    /// The container's pseudo-terminal file system.
    pub const DEVPTS: Self = Self(3);
    /// An upper or work directory while an overlay is made.
    pub const UPPER: Self = Self(4);
    /// As [`Slot::UPPER`].
    pub const WORK: Self = Self(5);
    /// The directory that the next entries go to.
    pub const DIRECTORY: Self = Self(6);
    /// The container's state as hooks read it (OCI runtime spec, "State").
    pub const HOOK_STATE: Self = Self(7);
    /// Where hooks of the container's namespaces write to.
    pub const HOOK_OUTPUT: Self = Self(8);
    /// The helper's own sealed program, as handed over by the owner.
    pub const SELF: Self = Self::received(1);

    /// The slot of the `index`-th descriptor that the owner handed over. The first is the plan, the second
    /// the helper's own program, the third where times go (where they are asked for).
    pub const fn received(index: u8) -> Self {
        Self(16 + index)
    }
}

impl<'a> Operand<'a> for Slot {
    fn encode(&self, sink: &mut impl Sink) {
        self.0.encode(sink);
    }
    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        u8::decode(bytes).map(Self)
    }
}

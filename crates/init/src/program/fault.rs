//! Why a step failed: the system call and its error number.

use hoist_init::wire::Call;
use rustix::io::Errno;

/// A failed system call.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    pub(crate) errno: Errno,
}

impl Fault {
    pub(crate) fn new(call: Call, errno: Errno) -> Self {
        Self { call, errno }
    }

    /// A value read back is not the one that was set.
    pub(crate) fn mismatch() -> Self {
        Self::new(Call::Verify, Errno::PERM)
    }
}

pub(crate) type Result<T> = core::result::Result<T, Fault>;

/// Names the system call of an error.
pub(crate) trait At<T> {
    fn at(self, call: Call) -> Result<T>;
}

impl<T> At<T> for core::result::Result<T, Errno> {
    fn at(self, call: Call) -> Result<T> {
        self.map_err(|errno| Fault::new(call, errno))
    }
}

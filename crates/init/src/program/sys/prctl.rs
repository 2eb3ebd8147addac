//! What prctl(2) sets, and the execution domain.
#![allow(unsafe_code, reason = "raw system calls")]

use super::call::{Result, syscall};
use super::number;

pub(crate) const PR_SET_DUMPABLE: usize = 4;
pub(crate) const PR_SET_PDEATHSIG: usize = 1;
pub(crate) const PR_SET_KEEPCAPS: usize = 8;
pub(crate) const PR_CAPBSET_READ: usize = 23;
pub(crate) const PR_CAPBSET_DROP: usize = 24;
pub(crate) const PR_SET_CHILD_SUBREAPER: usize = 36;
pub(crate) const PR_SET_NO_NEW_PRIVS: usize = 38;
pub(crate) const PR_GET_NO_NEW_PRIVS: usize = 39;
pub(crate) const PR_CAP_AMBIENT: usize = 47;
pub(crate) const PR_CAP_AMBIENT_RAISE: usize = 2;
pub(crate) const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;

/// prctl(2), for the operations above, which take numbers only.
pub(crate) fn prctl(operation: usize, second: usize, third: usize) -> Result<usize> {
    // SAFETY: none of the operations named in this module takes a pointer.
    unsafe { syscall(number::PRCTL, [operation, second, third, 0, 0, 0]) }
}

/// personality(2): sets the execution domain.
pub(crate) fn personality(personality: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    unsafe { syscall(number::PERSONALITY, [personality as usize, 0, 0, 0, 0, 0]) }?;
    Ok(())
}

//! Who this process is: its ids, groups and capabilities.
#![allow(unsafe_code, reason = "raw system calls")]

use super::call::{Result, syscall};
use super::number;

/// getresuid(2) and getresgid(2): real, effective and saved ids.
pub(crate) fn ids() -> Result<([u32; 3], [u32; 3])> {
    let (mut users, mut groups) = ([0_u32; 3], [0_u32; 3]);
    for (number, ids) in [
        (number::GETRESUID, &mut users),
        (number::GETRESGID, &mut groups),
    ] {
        let [real, effective, saved] = ids.each_mut().map(|id| id as *mut u32 as usize);
        // SAFETY: the kernel writes one id through each pointer.
        unsafe { syscall(number, [real, effective, saved, 0, 0, 0]) }?;
    }
    Ok((users, groups))
}

/// getgroups(2) into `groups`; how many there are. More than fit is `EINVAL`.
pub(crate) fn getgroups(groups: &mut [u32]) -> Result<usize> {
    // SAFETY: the kernel writes at most as many ids as the slice is long.
    unsafe {
        syscall(
            number::GETGROUPS,
            [groups.len(), groups.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    }
}

/// The three classic capability sets, bit by number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
}

/// `_LINUX_CAPABILITY_VERSION_3`, for the calling thread (capget(2)).
static CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];

/// capget(2).
pub(crate) fn capget() -> Result<Capabilities> {
    let mut data = [[0_u32; 3]; 2];
    // SAFETY: version 3 of the header goes with two structures of three numbers.
    unsafe {
        syscall(
            number::CAPGET,
            [
                &raw const CAPABILITY_HEADER as usize,
                data.as_mut_ptr() as usize,
                0,
                0,
                0,
                0,
            ],
        )
    }?;
    let set = |index: usize| u64::from(data[0][index]) | u64::from(data[1][index]) << 32;
    Ok(Capabilities {
        effective: set(0),
        permitted: set(1),
        inheritable: set(2),
    })
}

/// capset(2).
pub(crate) fn capset(sets: Capabilities) -> Result<()> {
    let half = |shift: u32| {
        [
            (sets.effective >> shift) as u32,
            (sets.permitted >> shift) as u32,
            (sets.inheritable >> shift) as u32,
        ]
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 of the header goes with two structures of three numbers.
    unsafe {
        syscall(
            number::CAPSET,
            [
                &raw const CAPABILITY_HEADER as usize,
                data.as_ptr() as usize,
                0,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(())
}

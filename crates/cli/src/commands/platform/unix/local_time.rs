//! This machine's local time.

#![allow(
    unsafe_code,
    reason = "localtime_r(3), which knows the variable TZ and /etc/localtime, has no safe interface"
)]

use std::mem::MaybeUninit;

use hoist_compute::Timestamp;

/// The seconds by which local time is ahead of UTC at that time.
pub(super) fn ahead_of_utc(at: Timestamp) -> i64 {
    let seconds = (at.0 / 1_000_000_000).cast_signed();
    let mut local = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both places are the callee's for the call alone, and nothing in this program changes its variables.
    let told = unsafe { libc::localtime_r(&seconds, local.as_mut_ptr()) };
    if told.is_null() {
        // Its year would be too large a number: not of a time that is counted in nanoseconds.
        return 0;
    }
    // SAFETY: it has filled all of it in.
    unsafe { local.assume_init() }.tm_gmtoff
}

//! Ids, capabilities and the filter, and reading them back.

use crate::Request;
use crate::{filter, sys};

/// Docker's fourteen default capabilities.
const CAPABILITIES: u64 = 0xa804_25fb;
/// The kernel's last capability.
const LAST: u64 = 40;
/// `_LINUX_CAPABILITY_VERSION_3`, and the calling thread.
const HEADER: [u32; 2] = [0x2008_0522, 0];

/// Becomes root with docker's default capabilities, and reads it back.
pub(crate) fn take(request: &Request) {
    sys::umask(0o022).must();
    sys::setgroups(&[0]).must();
    sys::setresgid(0).must();
    for capability in (0..=LAST).filter(|bit| CAPABILITIES >> bit & 1 == 0) {
        sys::prctl(libc::PR_CAPBSET_DROP, capability, 0).must();
    }
    sys::prctl(libc::PR_SET_KEEPCAPS, 1, 0).must();
    sys::setresuid(0).must();
    sys::getgroups(&mut [0; 32]).must();
    sys::getresgid(&mut [0; 3]).must();
    sys::getresuid(&mut [0; 3]).must();
    for capability in 0..=LAST {
        sys::prctl(libc::PR_CAPBSET_READ, capability, 0).must();
    }
    sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0).must();
    sys::close_from(3).must();
    if request.seccomp {
        filter::load();
    }
    let set = CAPABILITIES as u32;
    sys::capset(&HEADER, &[set, set, 0, 0, 0, 0]).must();
    sys::capget(&HEADER, &mut [0; 6]).must();
}

//! Who the container's process is: ids, groups, capabilities, no_new_privs. Set here and nowhere else, and read back.

use hoist_init::wire::{Call, List};
use rustix::fs::{Gid, Uid};

use super::fault::{At, Fault, Result};
use super::sys::{self, Capabilities};

/// The highest capability number that 64 bits can hold; the kernel answers `EINVAL` above its own highest.
const CAPABILITIES: core::ops::Range<usize> = 0..64;
/// The most supplementary groups that are read back at once; `NGROUPS_MAX` is 65,536, no user has near as many.
const MOST_GROUPS: usize = 1024;

/// What to become.
pub(crate) struct Identity<'a> {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: List<'a>,
    pub(crate) set_groups: bool,
    pub(crate) bounding: u64,
    pub(crate) no_new_privileges: bool,
}

/// Becomes `identity`. The permitted capabilities stay, and stay effective, for loading a seccomp filter;
/// [`set_capabilities`] gives them up.
pub(crate) fn become_identity(identity: &Identity<'_>) -> Result<()> {
    limit_bounding_set(identity.bounding)?;
    sys::prctl(sys::PR_SET_KEEPCAPS, 1, 0).at(Call::Prctl)?;
    if identity.set_groups {
        let mut groups = [Gid::ROOT; MOST_GROUPS];
        let count = gather(identity.groups, &mut groups, Gid::from_raw)?;
        rustix::thread::set_thread_groups(&groups[..count]).at(Call::Setgroups)?;
    }
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(Call::Setresgid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(Call::Setresuid)?;
    let permitted = sys::capget().at(Call::Capset)?.permitted;
    let kept = Capabilities {
        effective: permitted,
        permitted,
        inheritable: 0,
    };
    sys::capset(kept).at(Call::Capset)?;
    if identity.no_new_privileges {
        sys::prctl(sys::PR_SET_NO_NEW_PRIVS, 1, 0).at(Call::Prctl)?;
    }
    verify(identity, kept)
}

fn limit_bounding_set(wanted: u64) -> Result<()> {
    for capability in CAPABILITIES {
        if wanted & 1 << capability != 0 {
            continue;
        }
        match sys::prctl(sys::PR_CAPBSET_READ, capability, 0) {
            Ok(0) => {}
            Ok(_) => {
                sys::prctl(sys::PR_CAPBSET_DROP, capability, 0).at(Call::Prctl)?;
            }
            // The kernel's highest capability is passed.
            Err(_) => break,
        }
    }
    Ok(())
}

fn verify(identity: &Identity<'_>, kept: Capabilities) -> Result<()> {
    let (users, groups) = sys::ids().at(Call::Verify)?;
    let bounding = CAPABILITIES
        .map(|capability| (capability, sys::prctl(sys::PR_CAPBSET_READ, capability, 0)))
        .take_while(|(_, read)| read.is_ok())
        .filter(|(_, read)| *read == Ok(1))
        .fold(0_u64, |set, (capability, _)| set | 1 << capability);
    let no_new_privileges = sys::prctl(sys::PR_GET_NO_NEW_PRIVS, 0, 0).at(Call::Verify)? == 1;
    let is_identity = users == [identity.uid; 3]
        && groups == [identity.gid; 3]
        && bounding & !identity.bounding == 0
        && sys::capget().at(Call::Verify)? == kept
        && (no_new_privileges || !identity.no_new_privileges);
    if !is_identity || (identity.set_groups && !has_groups(identity.groups)?) {
        return Err(Fault::mismatch());
    }
    Ok(())
}

fn has_groups(wanted: List<'_>) -> Result<bool> {
    let (mut wanted_groups, mut groups) = ([0_u32; MOST_GROUPS], [0_u32; MOST_GROUPS]);
    let wanted = gather(wanted, &mut wanted_groups, |group| group)?;
    let count = sys::getgroups(&mut groups).at(Call::Verify)?;
    // The kernel keeps them sorted.
    wanted_groups[..wanted].sort_unstable();
    Ok(wanted_groups[..wanted] == groups[..count])
}

fn gather<T>(list: List<'_>, into: &mut [T], make: fn(u32) -> T) -> Result<usize> {
    let count = list.count as usize;
    let places = into
        .get_mut(..count)
        .ok_or(Fault::new(Call::Setgroups, rustix::io::Errno::INVAL))?;
    for (place, group) in places.iter_mut().zip(list.iter::<u32>()) {
        *place = make(group);
    }
    Ok(count)
}

/// Sets the capabilities that the program starts with.
pub(crate) fn set_capabilities(sets: Capabilities, ambient: u64) -> Result<()> {
    sys::capset(sets).at(Call::Capset)?;
    sys::prctl(sys::PR_CAP_AMBIENT, sys::PR_CAP_AMBIENT_CLEAR_ALL, 0).at(Call::Prctl)?;
    for capability in CAPABILITIES.filter(|capability| ambient & 1 << capability != 0) {
        sys::prctl(sys::PR_CAP_AMBIENT, sys::PR_CAP_AMBIENT_RAISE, capability).at(Call::Prctl)?;
    }
    Ok(())
}

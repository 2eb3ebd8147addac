//! System calls that `rustix` does not offer, or not to a program without libc: one function per call, named as in the
//! manual.

mod call;
mod credentials;
mod descriptor;
mod keyring;
mod memory;
mod mount;
mod network;
#[cfg(target_arch = "x86_64")]
mod number;
mod prctl;
mod process;
mod scheduling;
mod seccomp;
mod signal;
mod thread;

pub(crate) use call::Result;
pub(crate) use credentials::{Capabilities, capget, capset, getgroups, ids};
pub(crate) use descriptor::{close_on_exec_from, descriptor, duplicate};
pub(crate) use keyring::{join_new_keyring, session_keyring};
pub(crate) use memory::{map, pointers};
pub(crate) use mount::{mount_setattr, working_directory_is_below_root};
pub(crate) use network::bring_loopback_up;
pub(crate) use prctl::{
    PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP,
    PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, PR_SET_KEEPCAPS,
    PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, personality, prctl,
};
pub(crate) use process::{
    CLONE_INTO_CGROUP, CLONE_PARENT, clone3, execute_file, execve, exit, fork, reap_one, trap, wait,
};
pub(crate) use scheduling::{ioprio_set, sched_setaffinity, sched_setattr, set_mempolicy};
pub(crate) use seccomp::{NEW_LISTENER, load_seccomp};
pub(crate) use signal::{
    SIGKILL, SignalSet, kill, reset_signals, set_signal_mask, signalfd, wait_for_signal,
};
pub(crate) use thread::{exit_thread, sched_yield, start_thread};

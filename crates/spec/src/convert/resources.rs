//! Limits in the OCI runtime spec's form.

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::defaults;
use crate::Resources;

/// The limits of a container; a kind without a limit is left out.
pub(super) fn of(given: &Resources) -> LinuxResources {
    let mut resources = LinuxResources::default();
    resources.set_devices(Some(defaults::device_rules()));

    let memory = some(given.memory);
    let mut limits = LinuxMemory::default();
    limits
        .set_limit(memory)
        // Docker's default: as much swap as memory.
        .set_swap(memory.map(|limit| limit.saturating_mul(2)))
        .set_reservation(some(given.memory_reservation));
    resources.set_memory(given_only(limits));

    let mut cpu = LinuxCpu::default();
    cpu.set_shares(unsigned(given.cpu_shares))
        .set_quota(some(given.cpu_quota))
        .set_period(unsigned(given.cpu_period));
    if !given.cpuset_cpus.is_empty() {
        cpu.set_cpus(Some(given.cpuset_cpus.clone()));
    }
    resources.set_cpu(given_only(cpu));

    resources.set_pids(some(given.pids_limit).map(|limit| {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        pids
    }));

    let mut block = LinuxBlockIo::default();
    block.set_weight(some(given.blkio_weight).and_then(|weight| u16::try_from(weight).ok()));
    resources.set_block_io(given_only(block));
    resources
}

fn some(number: i64) -> Option<i64> {
    (number != 0).then_some(number)
}

fn unsigned(number: i64) -> Option<u64> {
    some(number).and_then(|number| u64::try_from(number).ok())
}

fn given_only<T: Default + PartialEq>(limits: T) -> Option<T> {
    (limits != T::default()).then_some(limits)
}

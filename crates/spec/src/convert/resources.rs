//! Limits in the OCI runtime spec's form.

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::{defaults, settings};
use crate::{Command, Faults, Resources};

/// The limits of a container; a kind without a limit is left out.
pub(super) fn of(command: &Command) -> LinuxResources {
    let given = &command.resources;
    let mut resources = limits(given);
    let mut rules = defaults::device_rules();
    rules.extend(settings::device_rules(command));
    resources.set_devices(Some(rules));
    resources
}

/// The limits alone.
pub(super) fn limits(given: &Resources) -> LinuxResources {
    let mut resources = LinuxResources::default();
    resources.set_devices(None);

    let memory = some(given.memory);
    let mut limits = LinuxMemory::default();
    limits
        .set_limit(memory)
        // Docker's default: as much swap as memory.
        .set_swap(some(given.memory_swap).or(memory.map(|limit| limit.saturating_mul(2))))
        .set_reservation(some(given.memory_reservation));
    resources.set_memory(given_only(limits));

    let mut cpu = LinuxCpu::default();
    cpu.set_shares(unsigned(given.cpu_shares))
        .set_quota(some(given.cpu_quota))
        .set_period(unsigned(given.cpu_period));
    if !given.cpuset_cpus.is_empty() {
        cpu.set_cpus(Some(given.cpuset_cpus.clone()));
    }
    if !given.cpuset_mems.is_empty() {
        cpu.set_mems(Some(given.cpuset_mems.clone()));
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

impl Resources {
    /// The changes that an update of a running container asks for: what is zero or empty here stays as it is.
    ///
    /// # Errors
    /// Everything that is wrong, by field.
    pub fn to_update(&self) -> Result<LinuxResources, Faults> {
        let mut found = Faults::default();
        super::validate::resources(self, &mut found);
        let mut limits = limits(self);
        if self.memory_swap == 0
            && let Some(memory) = limits.memory_mut()
        {
            // The limit of swap that there is stays; one of memory above it is refused by the kernel.
            memory.set_swap(None);
        }
        found.into_result(limits)
    }
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

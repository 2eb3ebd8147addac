//! Steps for how a process is scheduled: policy, I/O priority, CPUs, execution domain (OCI runtime spec, "Linux Process").

use hoist_init::wire::Step;
use hoist_spec::oci::{
    IOPriorityClass, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain,
    LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType, Process,
    Scheduler,
};

use super::PlanError;
use super::program::{Steps, c_string};

/// The largest number of CPUs that a kernel is built for.
const MOST_CPUS: usize = 8192;
/// From where on the class stands in an I/O priority (ioprio_set(2)).
const CLASS_SHIFT: u32 = 13;
/// `SCHED_ATTR_SIZE_VER1`.
const ATTRIBUTES_SIZE: u32 = 56;

/// Appends what the process asks for.
pub(crate) fn make(
    steps: &mut Steps,
    process: &Process,
    personality: Option<&LinuxPersonality>,
    memory_policy: Option<&LinuxMemoryPolicy>,
) -> Result<(), PlanError> {
    if let Some(policy) = memory_policy {
        set_memory_policy(steps, policy)?;
    }
    if let Some(personality) = personality {
        set_personality(steps, personality)?;
    }
    if let Some(priority) = process.io_priority() {
        let level = priority.priority();
        let class = match priority.class() {
            IOPriorityClass::IoprioClassRt => 1,
            IOPriorityClass::IoprioClassBe => 2,
            IOPriorityClass::IoprioClassIdle => 3,
        };
        let level = u32::try_from(level)
            .ok()
            .filter(|level| *level < 8)
            .ok_or_else(|| {
                PlanError::invalid("I/O priority", level.to_string(), "it is not 0 to 7")
            })?;
        steps.push(Step::SetIoPriority {
            priority: class << CLASS_SHIFT | level,
        });
    }
    if let Some(scheduler) = process.scheduler() {
        steps.push(Step::SetScheduler {
            attributes: &attributes(scheduler)?,
        });
    }
    Ok(())
}

/// The helper's own score, before it has entered any namespace: the process has it by birth. In a user namespace it could not write
/// to its own file, which is the host's root's.
pub(crate) fn set_oom_score(steps: &mut Steps, process: &Process) -> Result<(), PlanError> {
    if let Some(score) = process.oom_score_adj() {
        steps.push(Step::WriteOnHost {
            file: c"oom_score_adj",
            value: &c_string("OOM score", &score.to_string())?,
        });
    }
    Ok(())
}

fn set_personality(steps: &mut Steps, personality: &LinuxPersonality) -> Result<(), PlanError> {
    if let Some(flag) = personality.flags().iter().flatten().next() {
        return Err(PlanError::invalid(
            "personality flag",
            flag,
            "the OCI runtime spec has none",
        ));
    }
    let personality = match personality.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    };
    steps.push(Step::SetPersonality { personality });
    Ok(())
}

/// `MPOL_*` and `MPOL_F_*` (set_mempolicy(2)).
fn set_memory_policy(steps: &mut Steps, policy: &LinuxMemoryPolicy) -> Result<(), PlanError> {
    let mode = match policy.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flags = policy.flags().iter().flatten().fold(0_u32, |bits, flag| {
        bits | match flag {
            MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
            MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
            MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
        }
    });
    let nodes = match policy.nodes().as_deref().filter(|list| !list.is_empty()) {
        None => Vec::new(),
        Some(list) => mask_of(list).ok_or_else(|| {
            PlanError::invalid("memory policy's nodes", list, "it is no list of nodes")
        })?,
    };
    steps.push(Step::SetMemoryPolicy {
        mode: mode | flags,
        nodes: &nodes,
    });
    Ok(())
}

/// `struct sched_attr` (sched_setattr(2)).
fn attributes(scheduler: &Scheduler) -> Result<Vec<u8>, PlanError> {
    let policy: u32 = match scheduler.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => 4,
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let flags = scheduler
        .flags()
        .iter()
        .flatten()
        .fold(0_u64, |bits, flag| {
            bits | match flag {
                LinuxSchedulerFlag::SchedResetOnFork => 0x01,
                LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
                LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
                LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
                LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
                LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
                LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
            }
        });
    let priority = scheduler.priority().unwrap_or_default();
    let priority = u32::try_from(priority).map_err(|_| {
        PlanError::invalid(
            "scheduler priority",
            priority.to_string(),
            "it is below zero",
        )
    })?;
    let mut bytes = Vec::with_capacity(ATTRIBUTES_SIZE as usize);
    bytes.extend(ATTRIBUTES_SIZE.to_ne_bytes());
    bytes.extend(policy.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(scheduler.nice().unwrap_or_default().to_ne_bytes());
    bytes.extend(priority.to_ne_bytes());
    for time in [
        scheduler.runtime(),
        scheduler.deadline(),
        scheduler.period(),
    ] {
        bytes.extend(time.unwrap_or_default().to_ne_bytes());
    }
    bytes.resize(ATTRIBUTES_SIZE as usize, 0);
    Ok(bytes)
}

/// Appends the CPUs of a list such as `0-3,7`, where there is one.
pub(crate) fn set_affinity(steps: &mut Steps, list: Option<&str>) -> Result<(), PlanError> {
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return Ok(());
    };
    let mask = mask_of(list)
        .ok_or_else(|| PlanError::invalid("CPU affinity", list, "it is no list of CPUs"))?;
    steps.push(Step::SetAffinity { mask: &mask });
    Ok(())
}

/// A list such as `0-3,7`, bit by number; none for one that is damaged.
pub(crate) fn mask_of(list: &str) -> Option<Vec<u8>> {
    let mut mask = Vec::new();
    for part in list.split(',') {
        let (first, last) = part
            .trim()
            .split_once('-')
            .unwrap_or((part.trim(), part.trim()));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST_CPUS {
            return None;
        }
        // The kernel takes whole words only.
        let length = (last / 64 + 1) * 8;
        mask.resize(mask.len().max(length), 0);
        for cpu in first..=last {
            mask[cpu / 8] |= 1 << (cpu % 8);
        }
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cpus_becomes_a_mask_of_whole_words() {
        assert_eq!(mask_of("0,2-3").unwrap(), [0b1101, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(mask_of("64").unwrap().len(), 16);
        for wrong in ["", "a", "3-1", "0-9999", "-1"] {
            assert_eq!(mask_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_attributes_of_a_scheduler_stand_where_the_kernel_reads_them() {
        let mut scheduler = Scheduler::default();
        scheduler.set_policy(LinuxSchedulerPolicy::SchedBatch);
        scheduler.set_nice(Some(-5));
        let bytes = attributes(&scheduler).unwrap();
        assert_eq!(bytes.len(), 56);
        assert_eq!(bytes[..8], [56, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(bytes[16..20], (-5_i32).to_ne_bytes());
    }
}

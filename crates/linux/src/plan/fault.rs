//! Faults put into a plan, for tests of what is left behind: the code that meets them is the one that ships.

use hoist_init::wire::Step;

use super::Plan;
use super::program::Steps;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A step fails with this error number.
    Fail(i32),
    /// Who carries out the step, the helper or the container's process, dies without a word.
    Die,
    /// The owner is killed (SIGKILL): the very program that starts the container. Helper and process go on when it
    /// is gone.
    LoseOwner,
    /// The step itself is left out, and nobody is told.
    LeaveOut,
}

impl Plan {
    /// The plan with `fault` before the step of this [`index`](super::PlannedStep::index), or in its place. Behind the last step, where the number
    /// goes on, come those of the programs that show its layers, one after the other; behind those the fault is never met.
    #[must_use]
    pub fn with_fault(&self, before: u32, fault: Fault) -> Self {
        let mut faulty = self.clone();
        let Some(mut left) = before.checked_sub(self.count()) else {
            faulty.program = Steps::default();
            for (index, step) in (0..).zip(self.program.iter()) {
                if index == before {
                    match fault {
                        Fault::Fail(errno) => faulty.program.push(Step::FailHere { errno }),
                        Fault::Die => faulty.program.push(Step::DieHere {}),
                        Fault::LoseOwner => faulty.program.push(Step::LoseOwnerHere {}),
                        Fault::LeaveOut => continue,
                    }
                }
                faulty.program.push(step);
            }
            return faulty;
        };
        for server in &mut faulty.servers {
            let count = server.count();
            *server = server.with_fault(left, fault);
            match left.checked_sub(count) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        faulty
    }

    fn count(&self) -> u32 {
        self.program.iter().map(|_| 1).sum()
    }

    /// Whether carrying out the plan kills the owner.
    pub(crate) fn loses_owner(&self) -> bool {
        self.program
            .iter()
            .any(|step| step == Step::LoseOwnerHere {})
    }
}

#[cfg(test)]
mod tests {
    use hoist_spec::{Command, ContainerId, ProcessConfig};

    use super::*;
    use crate::features::{HostFeatures, KernelVersion};
    use crate::root_facts::RootFacts;

    #[test]
    fn a_fault_is_one_step_more_or_less_and_changes_no_other() {
        let id: ContainerId = "web01".parse().unwrap();
        let spec = Command::new()
            .rootfs("/srv/root")
            .process(ProcessConfig::new("sh"))
            .to_container_spec()
            .unwrap();
        let features = HostFeatures {
            privileged: false,
            ..HostFeatures::assume(KernelVersion::OLDEST)
        };
        let plan = crate::plan::plan(&id, &spec, &features, &RootFacts::default()).unwrap();
        let words = |plan: &Plan| -> Vec<String> {
            plan.steps()
                .into_iter()
                .filter(|step| step.index.is_some())
                .map(|step| step.words)
                .collect()
        };
        let whole = words(&plan);
        for before in 0..whole.len() {
            let faulty = plan.with_fault(before as u32, Fault::Fail(5));
            let mut steps = words(&faulty);
            assert_eq!(
                steps.remove(before),
                "fail with Input/output error (EIO)",
                "{before}"
            );
            assert_eq!(steps, whole);
            assert!(!faulty.loses_owner());
            let mut without = whole.clone();
            without.remove(before);
            let faulty = plan.with_fault(before as u32, Fault::LeaveOut);
            assert_eq!(words(&faulty), without);
        }
        assert_eq!(plan.with_fault(whole.len() as u32, Fault::Die), plan);
        assert!(plan.with_fault(0, Fault::LoseOwner).loses_owner());
    }
}

//! Steps that make a process what the spec says and execute its program: the same for the first process of a container
//! and for every further one.

use std::ffi::CString;

use hoist_init::wire::{Slot, Step};
use hoist_spec::oci::{Capabilities, Hook, LinuxMemoryPolicy, LinuxPersonality, Process};
use hoist_spec::{CapabilitySet, capability_number, program};

use super::options::RuntimeSlots;
use super::program::{ListBytes, Steps, c_string, list_of_texts};
use super::user_namespace::IdMaps;
use super::{PlanError, hooks, scheduling};
use crate::seccomp::Filter;
use crate::user::Identity;

/// What a process is, apart from where it runs.
pub(crate) struct ProcessPlan<'a> {
    pub(crate) oci: &'a Process,
    pub(crate) identity: &'a Identity,
    pub(crate) id_maps: Option<&'a IdMaps>,
    /// setgroups(2) is denied where the caller is.
    pub(crate) setgroups_denied: bool,
    pub(crate) filter: Option<&'a Filter>,
    /// Run it below an init process.
    pub(crate) init: bool,
    /// Mount its console over `/dev/console`.
    pub(crate) bind_console: bool,
    /// Where what an OCI runtime hands over is.
    pub(crate) slots: RuntimeSlots,
    /// What to run in the container before the program.
    pub(crate) start_hooks: &'a [Hook],
    /// The execution domain.
    pub(crate) personality: Option<&'a LinuxPersonality>,
    /// The nodes that memory is taken on.
    pub(crate) memory_policy: Option<&'a LinuxMemoryPolicy>,
}

/// The SELinux label that a process is to have, where it is to have one of its own.
pub(crate) fn selinux_label(process: &Process) -> Result<Option<CString>, PlanError> {
    let label = process.selinux_label().as_deref().unwrap_or_default();
    if label.is_empty() {
        return Ok(None);
    }
    // To another security module, words before a name say what to do with it.
    if label.split(':').count() < 3 || label.contains(char::is_whitespace) {
        return Err(PlanError::invalid(
            "SELinux label",
            label,
            "it is not of the form USER:ROLE:TYPE[:LEVEL]",
        ));
    }
    c_string("SELinux label", label).map(Some)
}

impl ProcessPlan<'_> {
    /// Appends the steps from the console to the execve.
    pub(crate) fn make(&self, steps: &mut Steps) -> Result<(), PlanError> {
        self.limits(steps);
        scheduling::make(steps, self.oci, self.personality, self.memory_policy)?;
        self.labels(steps)?;
        if self.oci.terminal().unwrap_or(false) {
            steps.push(Step::OpenConsole {
                uid: self.identity.uid,
                bind_console: self.bind_console,
            });
        }
        let directory = self.oci.cwd().display().to_string();
        let directory = if directory.is_empty() {
            "/".to_owned()
        } else {
            directory
        };
        if !directory.starts_with('/') {
            return Err(PlanError::invalid(
                "working directory",
                directory,
                "it is not absolute",
            ));
        }
        if self.slots.own_streams && !self.oci.terminal().unwrap_or(false) {
            steps.push(Step::OwnStreams {
                uid: self.identity.uid,
            });
        }
        steps.push(Step::ChangeDirectory {
            path: &c_string("working directory", &directory)?,
        });
        steps.push(Step::SetUmask {
            mask: self.oci.user().umask().unwrap_or(0o022) as u16,
        });
        let program = self.program()?;
        self.identity_and_release(steps, &program)?;
        steps.push(Step::Execute {
            candidates: program.candidates.as_list(),
            arguments: program.arguments.as_list(),
            environment: program.environment.as_list(),
            init: self.init,
        });
        Ok(())
    }

    fn limits(&self, steps: &mut Steps) {
        for limit in self.oci.rlimits().iter().flatten() {
            steps.push(Step::SetLimit {
                resource: program::rlimit_number(limit.typ()),
                soft: limit.soft(),
                hard: limit.hard(),
            });
        }
    }

    /// Labels that take effect when the program is executed. Where the host has no such security module, writing one fails, and
    /// so does the start.
    fn labels(&self, steps: &mut Steps) -> Result<(), PlanError> {
        let given = |label: &'_ Option<String>| label.clone().filter(|label| !label.is_empty());
        if let Some(profile) = given(self.oci.apparmor_profile()) {
            steps.push(Step::WriteOwnProcess {
                file: c"attr/apparmor/exec",
                value: &c_string("AppArmor profile", &format!("exec {profile}"))?,
            });
        }
        if let Some(label) = selinux_label(self.oci)? {
            steps.push(Step::WriteOwnProcess {
                file: c"attr/exec",
                value: &label,
            });
        }
        Ok(())
    }

    fn identity_and_release(&self, steps: &mut Steps, program: &Program) -> Result<(), PlanError> {
        let sets = Sets::of(self.oci.capabilities().as_ref());
        let no_new_privileges = self.oci.no_new_privileges().unwrap_or(false);
        let mut groups = ListBytes::default();
        self.identity
            .groups
            .iter()
            .for_each(|group| groups.push(*group));
        steps.push(Step::SetIdentity {
            uid: self.identity.uid,
            gid: self.identity.gid,
            groups: groups.as_list(),
            set_groups: !match self.id_maps {
                Some(maps) => maps.deny_setgroups,
                None => self.setgroups_denied,
            },
            bounding: sets.bounding,
            no_new_privileges,
        });
        // A process that somebody else will start tells those who make it what can be known now.
        if self.slots.listener.is_some() {
            steps.push(Step::FindProgram {
                candidates: program.candidates.as_list(),
                name: &program.name,
            });
        }
        // The owner is told before the filter is loaded: after it, this process makes only the calls that it must.
        steps.push(Step::AwaitRelease {});
        let (preserved, count) = self.slots.preserved.unwrap_or((Slot::NONE, 0));
        let count = u32::from(count);
        if let Some(listener) = self.slots.listener {
            steps.push(Step::AwaitStart {
                listener,
                preserved,
                count,
            });
        }
        hooks::run(steps, "startContainer", self.start_hooks)?;
        if count > 0 {
            steps.push(Step::PlaceDescriptors {
                first: preserved,
                count,
            });
        }
        steps.push(Step::CloseDescriptors {
            keep_control: self.init,
            preserved: count,
        });
        let capabilities = Step::SetCapabilities {
            effective: sets.effective,
            permitted: sets.permitted,
            inheritable: sets.inheritable,
            ambient: sets.ambient,
        };
        let bytes = self.filter.map(Filter::to_bytes).unwrap_or_default();
        let filter = self.filter.map(|filter| Step::LoadSeccomp {
            filter: &bytes,
            flags: filter.flags,
        });
        // Without no_new_privs, loading a filter needs CAP_SYS_ADMIN; with it, the filter comes last.
        let (first, last) = if no_new_privileges {
            (Some(capabilities), filter)
        } else {
            (filter, Some(capabilities))
        };
        first
            .into_iter()
            .chain(last)
            .for_each(|step| steps.push(step));
        Ok(())
    }

    fn program(&self) -> Result<Program, PlanError> {
        let arguments = self.oci.args().as_deref().unwrap_or_default();
        let name = arguments
            .first()
            .filter(|program| !program.is_empty())
            .ok_or_else(|| PlanError::invalid("command", "", "no program is named"))?;
        let environment = program::environment(self.oci, self.identity);
        let candidates = program::candidates(name, &environment);
        Ok(Program {
            name: c_string("command", name)?,
            candidates: list_of_texts("command", candidates)?,
            arguments: list_of_texts("argument", arguments)?,
            environment: list_of_texts("environment", &environment)?,
        })
    }
}

/// What is executed.
struct Program {
    name: CString,
    candidates: ListBytes,
    arguments: ListBytes,
    environment: ListBytes,
}

/// The capability sets of a process, bit by number.
#[derive(Default)]
pub(crate) struct Sets {
    pub(crate) bounding: u64,
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

impl Sets {
    /// The sets of an OCI process; none at all where it names none.
    pub(crate) fn of(oci: Option<&hoist_spec::oci::LinuxCapabilities>) -> Self {
        let Some(oci) = oci else {
            return Self::default();
        };
        let bits = |set: &Option<Capabilities>| {
            set.iter().flatten().fold(0, |bits, capability| {
                bits | 1_u64 << capability_number(*capability)
            })
        };
        let (permitted, inheritable) = (bits(oci.permitted()), bits(oci.inheritable()));
        Self {
            bounding: bits(oci.bounding()),
            effective: bits(oci.effective()),
            permitted,
            inheritable,
            // No other can ever be ambient (capabilities(7)), but `runc spec` up to 1.1 asks for some.
            ambient: bits(oci.ambient()) & permitted & inheritable,
        }
    }

    /// Everything that any of the sets holds.
    pub(crate) fn all(&self) -> CapabilitySet {
        CapabilitySet::from_bits(
            self.bounding | self.effective | self.permitted | self.inheritable | self.ambient,
        )
    }
}

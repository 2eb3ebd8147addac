//! The kernel parameters of a container: those of its own namespaces alone.

use hoist_init::wire::Step;
use hoist_spec::oci::Spec;
use hoist_spec::sysctl::namespace_of;

use super::PlanError;
use super::namespaces::{self, Namespaces, kind_of};
use super::program::{Steps, c_string};

pub(super) fn set(steps: &mut Steps, oci: &Spec, namespaces: &Namespaces) -> Result<(), PlanError> {
    let mut parameters: Vec<_> = oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.sysctl().as_ref())
        .into_iter()
        .flatten()
        .collect();
    parameters.sort();
    for (name, value) in parameters {
        require_namespace(name, namespaces)?;
        let path = c_string("sysctl", &name.replace('.', "/"))?;
        steps.push(Step::SetSysctl {
            path: &path,
            value: &c_string("sysctl", value)?,
        });
    }
    Ok(())
}

/// Refuses a kernel parameter that is not of one of the container's own namespaces: it would change the host.
fn require_namespace(name: &str, namespaces: &Namespaces) -> Result<(), PlanError> {
    let kind = namespace_of(name).map(kind_of);
    match kind {
        Some(kind) if namespaces.has(kind) => Ok(()),
        Some(kind) => Err(PlanError::invalid(
            "sysctl",
            name,
            format!(
                "the container shares the host's {} namespace, whose parameter it would change",
                namespaces::name(kind)
            ),
        )),
        None => Err(PlanError::invalid(
            "sysctl",
            name,
            "it is no parameter of a namespace; it would change the host",
        )),
    }
}

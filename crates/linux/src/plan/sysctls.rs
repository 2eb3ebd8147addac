//! The kernel parameters of a container: those of its own namespaces alone.

use hoist_init::wire::Step;
use hoist_spec::oci::Spec;

use super::PlanError;
use super::constants::namespace;
use super::namespaces::{self, Namespaces};
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
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let dotted = name.replace('/', ".");
    let kind = if dotted.split('.').any(|part| part.is_empty()) {
        None
    } else if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        Some(namespace::IPC)
    } else if dotted.starts_with("net.") {
        Some(namespace::NETWORK)
    } else if matches!(dotted.as_str(), "kernel.domainname" | "kernel.hostname") {
        Some(namespace::UTS)
    } else {
        None
    };
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

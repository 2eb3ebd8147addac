//! Steps for OCI hooks: those of the host's namespaces are the owner's to run, at one point of the program; those of the
//! container's namespaces are run by the process itself.

use hoist_init::wire::Step;
use hoist_spec::oci::{Hook, Spec};

use super::PlanError;
use super::program::{Steps, c_string, list_of_texts};

/// Whether the owner has hooks to run, or the process needs what hooks read.
pub(crate) fn are_asked_for(oci: &Spec) -> bool {
    runtime_hooks(oci).next().is_some()
        || !create_container(oci).is_empty()
        || !start_container(oci).is_empty()
}

/// The hooks that run in the host's namespaces before the container's root is entered, with their kinds.
#[allow(
    deprecated,
    reason = "prestart hooks are deprecated, and docker's network depends on them"
)]
pub(crate) fn runtime_hooks(oci: &Spec) -> impl Iterator<Item = (&'static str, &Hook)> {
    let hooks = oci.hooks().as_ref();
    let prestart = hooks.and_then(|hooks| hooks.prestart().as_deref());
    let create = hooks.and_then(|hooks| hooks.create_runtime().as_deref());
    let of = |kind, hooks: Option<_>| (kind, hooks.unwrap_or_default());
    [of("prestart", prestart), of("createRuntime", create)]
        .into_iter()
        .flat_map(|(kind, hooks): (_, &[Hook])| hooks.iter().map(move |hook| (kind, hook)))
}

/// The hooks that run in the container's namespaces, found in the host's.
pub(crate) fn create_container(oci: &Spec) -> &[Hook] {
    oci.hooks()
        .as_ref()
        .and_then(|hooks| hooks.create_container().as_deref())
        .unwrap_or_default()
}

/// The hooks that run in the container before its program.
pub(crate) fn start_container(oci: &Spec) -> &[Hook] {
    oci.hooks()
        .as_ref()
        .and_then(|hooks| hooks.start_container().as_deref())
        .unwrap_or_default()
}

/// Appends a step per hook.
pub(crate) fn run(steps: &mut Steps, kind: &str, hooks: &[Hook]) -> Result<(), PlanError> {
    let kind = c_string("hook", kind)?;
    for hook in hooks {
        let path = hook.path().display().to_string();
        let timeout_seconds = timeout(hook)?;
        let arguments = match hook.args().as_deref() {
            None | Some([]) => list_of_texts("hook argument", [&path])?,
            Some(arguments) => list_of_texts("hook argument", arguments)?,
        };
        let environment = list_of_texts("hook environment", hook.env().iter().flatten())?;
        steps.push(Step::RunHook {
            kind: &kind,
            path: &c_string("hook", &path)?,
            arguments: arguments.as_list(),
            environment: environment.as_list(),
            timeout_seconds,
        });
    }
    Ok(())
}

/// Refuses hooks that could never run.
pub(crate) fn check(oci: &Spec) -> Result<(), PlanError> {
    let hooks = oci.hooks().as_ref();
    let after = [
        hooks.and_then(|hooks| hooks.poststart().as_deref()),
        hooks.and_then(|hooks| hooks.poststop().as_deref()),
    ];
    runtime_hooks(oci)
        .map(|(_, hook)| hook)
        .chain(create_container(oci))
        .chain(start_container(oci))
        .chain(after.into_iter().flatten().flatten())
        .try_for_each(|hook| {
            let path = hook.path();
            if !path.display().to_string().starts_with('/') {
                return Err(PlanError::invalid(
                    "hook",
                    path.display().to_string(),
                    "its path is not absolute",
                ));
            }
            timeout(hook).map(drop)
        })
}

/// The seconds that a hook may take; 0 for any.
pub(crate) fn timeout(hook: &Hook) -> Result<u32, PlanError> {
    match hook.timeout() {
        None => Ok(0),
        Some(seconds) if seconds > 0 => Ok(u32::try_from(seconds).unwrap_or(u32::MAX)),
        Some(seconds) => Err(PlanError::invalid(
            "hook timeout",
            seconds.to_string(),
            "it is not above zero",
        )),
    }
}

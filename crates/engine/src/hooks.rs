//! What a caller has run around a container's life: before its start, at its start, after its end.

use hoist_compute::{Error, ErrorKind, Phase};
use hoist_spec::{ContainerId, ContainerSpec};

use crate::OomNotice;

/// Any error of a hook.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A hook before the start or after the end.
pub type Hook<'a> = Box<dyn FnMut(&HookContext<'_>) -> Result<(), BoxError> + 'a>;

/// A hook at the start: it gets the process's id on this machine and a notice of out-of-memory kills that
/// may be taken to another thread.
pub type StartHook<'a> =
    Box<dyn FnMut(&HookContext<'_>, u32, OomNotice) -> Result<(), BoxError> + 'a>;

/// The container that a hook is called for.
#[derive(Clone, Copy, Debug)]
pub struct HookContext<'a> {
    /// Its id.
    pub id: &'a ContainerId,
    /// Its name, where it has one.
    pub name: Option<&'a str>,
    /// What it was made from.
    pub spec: &'a ContainerSpec,
}

/// The hooks of one container, in the order in which they are called; each is called at most once and is
/// used up by that.
///
/// | hook | when | where it fails |
/// | --- | --- | --- |
/// | [`pre_start`](Self::pre_start) | the container is made, its process not started | the start stops; the container is removed |
/// | [`start`](Self::start) | the process runs | the container is terminated and removed; of an exec, the process is killed |
/// | [`post_stop`](Self::post_stop) | the process has ended, or the start has failed after a pre-start hook was called | it stands in [`failures`](Self::failures); cleaning up goes on |
#[derive(Default)]
pub struct Hooks<'a> {
    /// Before the start.
    pub pre_start: Vec<Hook<'a>>,
    /// At the start, of the container's first process or of an exec.
    pub start: Option<StartHook<'a>>,
    /// After the end.
    pub post_stop: Vec<Hook<'a>>,
    /// What went wrong without changing a result: post-stop hooks, cleaning up after another error, signals that could
    /// not be forwarded. The engine adds to it and never reads it.
    pub failures: Vec<Error>,
}

impl std::fmt::Debug for Hooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks")
            .field("pre_start", &self.pre_start.len())
            .field("start", &self.start.is_some())
            .field("post_stop", &self.post_stop.len())
            .field("failures", &self.failures)
            .finish()
    }
}

impl Hooks<'_> {
    /// Calls the pre-start hooks up to the first that fails.
    pub(crate) fn run_pre_start(&mut self, context: &HookContext<'_>) -> Result<(), Error> {
        for mut hook in std::mem::take(&mut self.pre_start) {
            hook(context).map_err(|cause| failed("pre-start", Phase::Start, context, cause))?;
        }
        Ok(())
    }

    /// Calls the start hook.
    pub(crate) fn run_start(
        &mut self,
        context: &HookContext<'_>,
        pid: u32,
        notice: impl FnOnce() -> OomNotice,
    ) -> Result<(), Error> {
        match self.start.take() {
            Some(mut hook) => hook(context, pid, notice())
                .map_err(|cause| failed("start", Phase::Start, context, cause)),
            None => Ok(()),
        }
    }

    /// Calls every post-stop hook, whichever of them fail.
    pub(crate) fn run_post_stop(&mut self, context: &HookContext<'_>) {
        for mut hook in std::mem::take(&mut self.post_stop) {
            if let Err(cause) = hook(context) {
                self.failures
                    .push(failed("post-stop", Phase::Operate, context, cause));
            }
        }
    }
}

fn failed(which: &str, phase: Phase, context: &HookContext<'_>, cause: BoxError) -> Error {
    Error::new(ErrorKind::System, phase, format!("run a {which} hook"))
        .about(context.id.as_str())
        .because(cause)
}

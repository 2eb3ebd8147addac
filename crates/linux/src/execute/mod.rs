//! Carrying a plan out: starting the helper, handing it the plan, following its messages, letting the process go.

mod id_maps;
mod operation;
mod times;
pub(crate) mod verify;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result, Stdio, Streams};
pub(crate) use hoist_init::owner::reap::{exit_info, reap, waitid};
pub(crate) use hoist_init::owner::{control, helper, spawn, streams};
use hoist_init::wire::{Call, Message, MessageKind, Step};
use hoist_spec::ConsoleSize;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::termios::{Winsize, tcsetwinsize};

use self::control::Control;
pub(crate) use self::operation::{lend, new_user_namespace, operate};
pub(crate) use self::spawn::without_signals;
pub(crate) use self::times::Tracer;
use crate::features::HostFeatures;
use crate::plan::{Plan, explain, under_label};
use crate::process::wait_for;

/// How long a process that is ending may take to be ended.
const LAST_MOMENTS: Duration = Duration::from_millis(500);

/// A process that runs its program.
pub(crate) struct Started {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) streams: Streams,
}

/// How the messages of a start came to their end.
enum End {
    Executed,
    Failed(Error),
}

/// Somebody who must know how far a start has come, and has part in it.
pub(crate) trait Witness {
    /// The helper starts; what it gets with the plan is opened now.
    fn helper_starts(&mut self) -> Result<Vec<OwnedFd>>;
    /// The helper is at work; what is not written down of the process's container yet is now, before anything is made that stays.
    /// Whether there was anything.
    fn record(&mut self) -> Result<bool>;
    /// The helper is at work; what it gets later is made now.
    fn helper_started(&mut self) -> Result<Vec<OwnedFd>>;
    /// The process is there; while it sets itself up, there is time.
    fn cloned(&mut self, pid: u32) -> Result<()>;
    /// Everything of the process is mounted and it waits: the hooks of the host's namespaces are run now. What comes back is
    /// what the hooks of its own namespaces read and what they write to.
    fn hooks(&mut self, pid: u32) -> Result<[OwnedFd; 2]>;
    /// The process is as planned and about to be let go; it waits.
    fn releasing(&mut self) -> Result<()>;
    /// The process has its seccomp filter, with this listener, and goes on to execute its program.
    fn listener(&mut self, pid: u32, listener: OwnedFd) -> Result<()>;
    /// The process has mounted a FUSE file system with this connection, which the plan's server of this number is to serve.
    fn serve(&mut self, pid: u32, server: u64, connection: OwnedFd) -> Result<()>;
    /// What a hook of the process's own namespaces has written, where one failed.
    fn hook_output(&self) -> Option<String>;
}

/// What a start needs beside the plan.
pub(crate) struct Start<'a> {
    pub(crate) plan: &'a Plan,
    /// What this host can do; looked at when a failure is to be explained.
    pub(crate) features: &'a dyn Fn() -> Result<&'a HostFeatures>,
    pub(crate) tracer: &'a mut Tracer,
    /// The size of the console, where there is one.
    pub(crate) console: Option<ConsoleSize>,
    /// The kernel ends the process when the calling thread ends.
    pub(crate) dies_with_owner: bool,
    /// Told what becomes of the process.
    pub(crate) witness: &'a mut dyn Witness,
}

impl Start<'_> {
    /// Starts the process; returns when it has executed its program. After an error no process is left.
    pub(crate) fn run(&mut self, stdio: Stdio) -> Result<Started> {
        self.console = match &stdio {
            Stdio::Console(size) => Some(*size),
            Stdio::Streams { .. } => None,
        };
        let mut prepared = streams::prepare(stdio).map_err(failed("open the standard streams"))?;
        let (control, other_end) = control::pair().map_err(failed("make the control socket"))?;
        let program = helper::sealed()?;
        self.tracer.mark("prepare the helper");
        let [stdin, stdout, stderr] = &prepared.process;
        let streams = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let helper = spawn::spawn(program.as_fd(), streams, other_end.as_fd())
            .map_err(failed("start the helper"))?;
        // What is still held here would keep pipes open that the process must be the last to close.
        drop(prepared.process);
        drop(other_end);
        self.tracer.mark("start the helper");
        let mut process = None;
        let mut times = None;
        let outcome = self
            .hand_over_plan(&control, program)
            .and_then(|shared| {
                times = shared;
                self.hand_over_rest(&control)
            })
            .and_then(|()| self.follow(&control, &mut process, &mut prepared.caller));
        let outcome = match outcome {
            Ok(End::Executed) => Ok(()),
            Ok(End::Failed(error)) => Err(error),
            Err(error) => Err(self.unless_ended(&control, process.as_ref(), error)),
        };
        if outcome.is_err() {
            end(&control, &mut process);
        }
        drop(control);
        let reaped = reap(&helper).map_err(failed("wait for the helper"));
        if let Some(times) = times {
            self.tracer.collect(&times, self.plan);
        }
        match (outcome.and(reaped), process) {
            (Ok(()), Some((pid, pidfd))) => Ok(Started {
                pid,
                pidfd,
                streams: prepared.caller,
            }),
            (Ok(()), None) => Err(died("the helper")),
            (Err(error), _) => Err(error),
        }
    }

    /// Gives the helper its plan and the descriptors that are there already, made while it starts. The result is the memory for
    /// the steps' times, where somebody wants them.
    fn hand_over_plan(&mut self, control: &Control, program: &OwnedFd) -> Result<Option<OwnedFd>> {
        let plan = helper::seal("hoist-plan", self.plan.program.as_bytes(), false)
            .map_err(io::Error::from)
            .map_err(failed("put the plan into memory"))?;
        let opened = self.witness.helper_starts()?;
        let times = self
            .tracer
            .share(self.plan)
            .map_err(failed("share memory for times"))?;
        // The slots are counted from a fixed place; without times, the plan takes theirs.
        let third = times.as_ref().map_or(plan.as_fd(), |times| times.as_fd());
        let mut descriptors = vec![plan.as_fd(), program.as_fd(), third];
        descriptors.extend(opened.iter().map(AsFd::as_fd));
        control
            .hand_over(&descriptors, times.is_some())
            .map_err(failed("hand the plan to the helper"))?;
        self.tracer.mark("hand over the plan");
        Ok(times)
    }

    /// Makes what the process will need, while it is being made.
    fn hand_over_rest(&mut self, control: &Control) -> Result<()> {
        if self.witness.record()? {
            self.tracer.mark("write the record");
        }
        let made = self.witness.helper_started()?;
        if made.is_empty() {
            return Ok(());
        }
        let made: Vec<_> = made.iter().map(AsFd::as_fd).collect();
        let handed = control
            .hand_over(&made, false)
            .or_else(|error| match error.raw_os_error() {
                // The other end is closed: why, its messages tell.
                Some(libc::EPIPE | libc::ECONNRESET) => Ok(()),
                _ => Err(error),
            });
        self.tracer.mark("make the cgroup");
        handed.map_err(failed("hand the cgroup to the process"))
    }

    /// Follows the messages to the end of the socket. An error is one of this program's own.
    fn follow(
        &mut self,
        control: &Control,
        process: &mut Option<(u32, OwnedFd)>,
        streams: &mut Streams,
    ) -> Result<End> {
        let (mut ready, mut released, mut asks_for_hooks) = (false, false, false);
        let (mut placed, mut verified) = (false, self.plan.cgroup.is_none());
        loop {
            if let (true, Some((pid, _))) = (asks_for_hooks, process.as_ref()) {
                let given = self.witness.hooks(*pid)?;
                let given: Vec<_> = given.iter().map(AsFd::as_fd).collect();
                control
                    .hand_over(&given, false)
                    .map_err(failed("let the process go on"))?;
                self.tracer.mark("run the hooks");
                asks_for_hooks = false;
            }
            if let (true, false, Some((pid, _))) = (placed, verified, process.as_ref()) {
                // While it goes on: it waits before its program, and does nothing by itself that leads it elsewhere.
                verify::once_placed(self.plan, *pid)?;
                verified = true;
            }
            if ready && verified && !released && process.is_some() {
                self.tracer.mark("wait for the process");
                self.witness.releasing()?;
                match control.release(self.dies_with_owner) {
                    Ok(()) => released = true,
                    // Killed while it waited: the end of its messages tells so.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                    Err(error) => return Err(failed("let the process go")(error)),
                }
                self.tracer.mark("release the process");
            }
            let Some((message, descriptor)) =
                control.receive().map_err(failed("listen to the helper"))?
            else {
                return Ok(if released {
                    End::Executed
                } else {
                    End::Failed(died(process_or_helper(process.as_ref())))
                });
            };
            match message.kind {
                MessageKind::Cloned => {
                    let pid = message.value as u32;
                    *process = Some((pid, open(pid)?));
                    if let Some(maps) = &self.plan.id_maps {
                        id_maps::write(maps, pid, (self.features)()?)?;
                    }
                    // Before it goes on: when it has become another user, nobody but root may look into it.
                    verify::after_clone(self.plan, pid)?;
                    if self.plan.id_maps.is_some() {
                        control.go().map_err(failed("let the process go"))?;
                    }
                    self.witness.cloned(pid)?;
                }
                MessageKind::Placed => placed = true,
                // It says first that it is in its place.
                MessageKind::Ready if placed || verified => ready = true,
                MessageKind::Hooks => asks_for_hooks = true,
                MessageKind::Console => streams.console = Some(self.console(descriptor)?.into()),
                MessageKind::Listener => match (process.as_ref(), descriptor) {
                    (Some((pid, _)), Some(listener)) => self.witness.listener(*pid, listener)?,
                    _ => return Err(died("the helper")),
                },
                MessageKind::Serve => match (process.as_ref(), descriptor) {
                    (Some((pid, _)), Some(connection)) => {
                        self.witness.serve(*pid, message.value, connection)?;
                        control.go().map_err(failed("let the process go on"))?;
                        self.tracer.mark("start fuse-overlayfs");
                    }
                    _ => return Err(died("the helper")),
                },
                MessageKind::Failed => return Ok(End::Failed(self.explain(&message))),
                MessageKind::LoseOwner if self.plan.loses_owner() => {
                    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
                }
                MessageKind::LoseOwner
                | MessageKind::Ready
                | MessageKind::Go
                | MessageKind::Done
                | MessageKind::Lent => {
                    return Err(died("the helper"));
                }
            }
        }
    }

    /// `error`; or where the process has ended by itself, what it said of that. To a process that is ending, nothing can be done
    /// any more, and that is not the reason for its end.
    fn unless_ended(
        &self,
        control: &Control,
        process: Option<&(u32, OwnedFd)>,
        error: Error,
    ) -> Error {
        let has_ended = |(_, pidfd): &(u32, OwnedFd)| {
            wait_for(pidfd.as_fd(), Some(LAST_MOMENTS)).unwrap_or(false)
        };
        if !process.is_some_and(has_ended) {
            return error;
        }
        while let Ok(Some((message, _))) = control.receive() {
            if message.kind == MessageKind::Failed {
                return self.explain(&message);
            }
        }
        died("the new process").because(error)
    }

    /// The controlling side of the process's console, which has its size before the process can ask for it.
    fn console(&self, descriptor: Option<OwnedFd>) -> Result<OwnedFd> {
        let console = descriptor.ok_or_else(|| died("the helper"))?;
        if let Some(ConsoleSize { height, width }) = self.console {
            let size = Winsize {
                ws_row: height,
                ws_col: width,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            tcsetwinsize(&console, size)
                .map_err(io::Error::from)
                .map_err(failed("set the size of the console"))?;
        }
        Ok(console)
    }

    fn explain(&self, message: &Message) -> Error {
        let call = Call::from_code(message.call).unwrap_or(Call::None);
        let features = (self.features)().ok();
        // The init process does not know the index of the step that made it: that is the last one.
        let mut steps = self.plan.program.iter();
        let step = match message.step {
            u32::MAX => steps.last(),
            index => steps.nth(index as usize),
        };
        match step {
            Some(step @ Step::RunHook { .. }) => {
                let error = explain(&step, call, message.errno, features);
                match self
                    .witness
                    .hook_output()
                    .filter(|output| !output.is_empty())
                {
                    Some(output) => error.because(output),
                    None => error,
                }
            }
            Some(step) => under_label(
                explain(&step, call, message.errno, features),
                self.plan.selinux_label(),
            ),
            None => died("the helper").code(OsCode::Errno(message.errno)),
        }
    }
}

/// Ends what was started, and waits for the process's end.
fn end(control: &Control, process: &mut Option<(u32, OwnedFd)>) {
    let kill = |pidfd: &OwnedFd| {
        // It may have ended by itself.
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
    };
    control.hang_up();
    if let Some((_, pidfd)) = process {
        kill(pidfd);
    }
    // The helper may have cloned the process and not yet said so.
    while let Ok(Some((message, _))) = control.receive() {
        if message.kind == MessageKind::Cloned
            && let Ok(pidfd) = open(message.value as u32)
        {
            kill(&pidfd);
            *process = Some((message.value as u32, pidfd));
        }
    }
    if let Some((_, pidfd)) = process {
        let _ = reap(pidfd);
    }
}

/// The process, a child of this program that nobody has waited for: its id cannot have been given to another.
fn open(pid: u32) -> Result<OwnedFd> {
    let number = Pid::from_raw(pid as i32).ok_or_else(|| died("the helper"))?;
    pidfd_open(number, PidfdFlags::empty())
        .map_err(io::Error::from)
        .map_err(failed("open the process"))
}

/// Who is at work: the helper ends when the process is there.
fn process_or_helper(process: Option<&(u32, OwnedFd)>) -> &'static str {
    match process {
        Some(_) => "the new process",
        None => "the helper",
    }
}

fn died(who: &str) -> Error {
    Error::new(ErrorKind::System, Phase::Start, format!("start the process: {who} ended unexpectedly"))
        .code(OsCode::Errno(libc::ECONNRESET))
        .remedy("something on this host killed it: look for an out-of-memory kill or a security module in the kernel's log")
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| {
        let made = Error::new(ErrorKind::System, Phase::Start, what);
        match error.raw_os_error() {
            Some(errno) => made.code(OsCode::Errno(errno)),
            None => made.because(error),
        }
    }
}

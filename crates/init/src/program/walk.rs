//! The walk over the plan: first the helper's steps, then, from [`Step::Clone`] on, those of the container's process.

use hoist_init::wire::{Call, Message, MessageKind, Program, Slot, Step};
use rustix::fd::AsFd;
use rustix::fs::{Mode, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags};
use rustix::time::{ClockId, clock_gettime};

use super::execute::Prepared;
use super::fault::{At, Fault, Result};
use super::hook::{self, Hook};
use super::identity::{self, Identity};
use super::keep::{self, Keeper};
use super::mounts::{self, Binding, Covers, NewFilesystem, Node, Overlay};
use super::root::{self, Target};
use super::slots::Slots;
use super::{added, console, control, layers, lend, listener, network, procfs, release, sys};

const DONE: i32 = 0;
const FAILED: i32 = 1;

/// Walks the plan that the owner sends. In the container's process this ends in the program that the plan names.
pub(crate) fn run() -> ! {
    let mut step = 0;
    let fault = match Walk::prepare() {
        Ok(mut walk) => match walk.steps(&mut step) {
            Ok(()) => sys::exit(DONE),
            Err(fault) => fault,
        },
        Err(fault) => fault,
    };
    let message = Message {
        step,
        errno: fault.errno.raw_os_error(),
        call: fault.call as u32,
        ..Message::of(MessageKind::Failed)
    };
    let _ = control::send(message);
    keep::not_executed();
    sys::exit(FAILED)
}

struct Walk {
    plan: &'static [u8],
    slots: Slots,
    /// The index of the next descriptor to be received.
    next: u8,
    covers: Covers,
    own_process: procfs::OwnProcess,
    /// The program, made ready before a filter is loaded.
    prepared: Option<Prepared>,
    /// Where the time of each step goes: beginning and end, in nanoseconds of the monotonic clock.
    times: Option<&'static mut [u8]>,
}

impl Walk {
    fn prepare() -> Result<Self> {
        // The owner blocked every signal, so that none of its handlers could run in this process before execve.
        sys::set_signal_mask(0).at(Call::Prctl)?;
        sys::reset_signals().at(Call::Prctl)?;
        rustix::process::umask(Mode::empty());
        let mut slots = Slots::new();
        let greeting = control::receive_descriptors(&mut slots, 0)?;
        let plan = map_whole(&slots, Slot::received(0), false)?;
        let times = if greeting.wants_times {
            Some(map_whole(&slots, Slot::received(2), true)?)
        } else {
            None
        };
        slots.close(Slot::received(0));
        Ok(Self {
            plan,
            slots,
            next: greeting.next,
            covers: Covers::default(),
            own_process: procfs::OwnProcess::default(),
            prepared: None,
            times,
        })
    }

    fn steps(&mut self, index: &mut u32) -> Result<()> {
        let mut program = Program(self.plan);
        while let Some(step) = program.next() {
            if matches!(step, Step::CloseDescriptors { .. }) {
                self.prepared = Some(Prepared::of(program)?);
            }
            let begun = self.times.is_some().then(now);
            if self.step(step)? == Goes::Away {
                return Ok(());
            }
            if let Some(begun) = begun {
                self.keep_time(*index, begun);
            }
            *index += 1;
        }
        // A plan ends in execve, or in the helper's exit.
        Err(Fault::new(Call::Decode, Errno::NOEXEC))
    }

    fn keep_time(&mut self, index: u32, begun: u64) {
        let first = index as usize * 16;
        if let Some(place) = self
            .times
            .as_mut()
            .and_then(|times| times.get_mut(first..first + 16))
        {
            place[..8].copy_from_slice(&begun.to_ne_bytes());
            place[8..].copy_from_slice(&now().to_ne_bytes());
        }
    }

    fn step(&mut self, step: Step<'_>) -> Result<Goes> {
        let slots = &mut self.slots;
        match step {
            Step::EnterProcess { pidfd, namespaces } => {
                hide()?;
                let namespaces = ThreadNameSpaceType::from_bits_retain(namespaces);
                rustix::thread::move_into_thread_name_spaces(slots.get(pidfd)?, namespaces)
                    .at(Call::Setns)?;
            }
            Step::EnterNamespace {
                namespace, kind, ..
            } => {
                hide()?;
                let kind = namespace_kind(kind);
                rustix::thread::move_into_link_name_space(slots.get(namespace)?, kind)
                    .at(Call::Setns)?;
            }
            Step::WriteOnHost { file, value } => procfs::write_on_host(file, value)?,
            Step::NewTimeNamespace { offsets } => {
                unshare(UnshareFlags::NEWTIME)?;
                if !offsets.is_empty() {
                    procfs::write_on_host(c"timens_offsets", offsets)?;
                }
            }
            Step::Clone { namespaces, cgroup } => {
                let cgroup = slots.find(cgroup);
                let into_cgroup = cgroup.map_or(0, |_| sys::CLONE_INTO_CGROUP);
                let flags = u64::from(namespaces) | sys::CLONE_PARENT | into_cgroup;
                // With CLONE_PARENT the child has the exit signal of the helper, which is none: the owner's program
                // gets no SIGCHLD that it did not expect.
                if let Some(pid) = sys::clone3(flags, 0, cgroup).at(Call::Clone3)? {
                    control::send(Message {
                        value: pid.get().into(),
                        ..Message::of(MessageKind::Cloned)
                    })?;
                    return Ok(Goes::Away);
                }
            }
            Step::AwaitIdMaps {} => {
                control::await_go()?;
                become_root()?;
            }
            Step::ReceiveDescriptors {} => {
                self.next = control::receive_descriptors(slots, self.next)?.next;
            }
            Step::Keep {
                folder,
                told,
                with,
                whole,
                timeout,
            } => {
                if let Some(keeper) = Keeper::fork(whole, timeout)? {
                    let told = slots.take(told);
                    keeper.keep(slots.get(folder)?, told, slots.find(with))
                }
                slots.close(told);
            }
            Step::TakeTerminal { uid } => console::take(uid)?,
            Step::NewSession {} => {
                rustix::process::setsid().at(Call::Setsid)?;
            }
            Step::JoinCgroup { file, .. } => {
                rustix::io::write(slots.get(file)?, b"0").at(Call::Write)?;
                slots.close(file);
            }
            Step::TellPlaced {} => control::send(Message::of(MessageKind::Placed))?,
            Step::NewCgroupNamespace {} => unshare(UnshareFlags::NEWCGROUP)?,
            Step::SetPropagation { propagation } => mounts::set_propagation(propagation)?,
            Step::OpenRoot { path, attributes } => {
                let root = mounts::open_root(path, attributes)?;
                slots.put(Slot::ROOT, root);
            }
            Step::NewFilesystem {
                kind,
                source,
                options,
                attributes,
                out,
            } => {
                let mount = mounts::new_filesystem(kind, source, options, attributes)?;
                slots.put(out, mount);
            }
            Step::MakeDirectory {
                root,
                path,
                mode,
                out,
            } => {
                let mode = Mode::from_raw_mode(mode.into());
                let directory = root::open_or_make(
                    slots.get(root)?,
                    root::relative(path),
                    Target::Directory,
                    mode,
                    ResolveFlags::empty(),
                )?;
                slots.put(out, directory);
            }
            Step::MakeFile { path, mode } => {
                let mode = Mode::from_raw_mode(mode.into());
                root::open_or_make(
                    slots.get(Slot::ROOT)?,
                    root::relative(path),
                    Target::File,
                    mode,
                    ResolveFlags::empty(),
                )?;
            }
            Step::NewOverlay {
                layers,
                upper,
                work,
                user_attributes,
                append,
                attributes,
                out,
            } => {
                let overlay = Overlay {
                    layers,
                    upper,
                    work,
                    user_attributes,
                    append,
                    attributes,
                };
                let mount = mounts::new_overlay(&overlay, slots)?;
                slots.put(out, mount);
            }
            Step::NewServedLayers {
                server,
                everybody,
                out,
                ..
            } => {
                let mount = layers::served(server, everybody)?;
                slots.put(out, mount);
            }
            Step::CopyLayers { layers, tree, name } => {
                layers::copied(layers, slots.get(tree)?, name)?;
            }
            Step::LendFiles { tree, paths } => {
                lend::files(slots.get(tree)?, paths)?;
                return Ok(Goes::Away);
            }
            Step::LendTree { tree } => {
                lend::tree(slots.find(tree))?;
                return Ok(Goes::Away);
            }
            Step::AdoptOrphans {} => {
                sys::prctl(sys::PR_SET_CHILD_SUBREAPER, 1, 0).at(Call::Prctl)?;
            }
            Step::AttachOver { mount, path } => mounts::attach_over(slots.get(mount)?, path)?,
            Step::AttachRoot {} => mounts::attach(slots.get(Slot::ROOT)?)?,
            Step::CopyTree { path, out } => {
                if let Some(tree) = mounts::copy_tree(path)? {
                    slots.put(out, tree);
                }
            }
            Step::TakeRoot {
                tree, attributes, ..
            } => {
                sys::mount_setattr(slots.get(tree)?, attributes, 0, 0, true)
                    .at(Call::MountSetattr)?;
                slots.rename(tree, Slot::ROOT);
            }
            Step::AttachTree { mount, target } => {
                if let Some(tree) = slots.find(mount) {
                    mounts::attach_in(slots.get(Slot::ROOT)?, tree, target)?;
                }
                slots.close(mount);
            }
            Step::AttachScratch {} => mounts::attach(slots.get(Slot::SCRATCH)?)?,
            Step::Mount {
                kind,
                source,
                options,
                attributes,
                propagation,
                target,
                no_links,
                covered,
                out,
            } => {
                let filesystem = NewFilesystem {
                    kind,
                    source,
                    options,
                    attributes,
                    covered,
                };
                let root = slots.get(Slot::ROOT)?;
                let mount = mounts::mount_new(root, target, no_links, &filesystem)?;
                if propagation != 0 {
                    sys::mount_setattr(mount.as_fd(), 0, 0, propagation, true)
                        .at(Call::MountSetattr)?;
                }
                slots.put(out, mount);
            }
            Step::MountDetached { mount, target } => {
                mounts::mount_at(
                    slots.get(Slot::ROOT)?,
                    slots.get(mount)?,
                    target,
                    Target::Directory,
                    true,
                )?;
            }
            Step::Bind {
                source,
                tree,
                target,
                recursive,
                set,
                clear,
                attributes_recursive,
                propagation,
                device,
                below,
                copy_up,
            } => {
                let binding = Binding {
                    below,
                    copy_up,
                    recursive,
                    set,
                    clear,
                    attributes_recursive,
                    propagation,
                    device,
                };
                let given = slots.find(tree);
                mounts::bind(slots.get(Slot::ROOT)?, source, target, &binding, given)?;
                slots.close(tree);
            }
            Step::MakeDevice {
                path,
                mode,
                major,
                minor,
                uid,
                gid,
            } => {
                let node = Node {
                    path,
                    mode,
                    device: (major, minor),
                    owner: (uid, gid),
                };
                mounts::make_device(slots.get(Slot::DEV)?, &node)?;
            }
            Step::MakeLink {
                directory,
                name,
                content,
                may_exist,
            } => match rustix::fs::symlinkat(content, slots.get(directory)?, name) {
                Err(Errno::EXIST) if may_exist => {}
                result => result.at(Call::Symlinkat)?,
            },
            Step::Mask { path, label } => self.covers.mask(slots.get(Slot::ROOT)?, path, label)?,
            Step::LabelMount { mount, label, .. } => {
                mounts::set_label(slots.get(mount)?, label)?;
                slots.close(mount);
            }
            Step::MakeReadOnly { path } => mounts::make_read_only(slots.get(Slot::ROOT)?, path)?,
            Step::MakeMountReadOnly { mount, .. } => {
                mounts::make_mount_read_only(slots.get(mount)?)?
            }
            Step::PivotRoot {} => mounts::pivot(slots.get(Slot::ROOT)?)?,
            Step::SetHostname { name } => {
                rustix::system::sethostname(name.to_bytes()).at(Call::Sethostname)?;
            }
            Step::SetDomainname { name } => {
                rustix::system::setdomainname(name.to_bytes()).at(Call::Setdomainname)?;
            }
            Step::LoopbackUp {} => network::loopback_up()?,
            Step::SetSysctl { path, value } => procfs::write_sysctl(path, value)?,
            Step::SetLimit {
                resource,
                soft,
                hard,
            } => set_limit(resource, soft, hard)?,
            Step::WriteOwnProcess { file, value } => self.own_process.write_label(file, value)?,
            Step::SetUmask { mask } => {
                rustix::process::umask(Mode::from_raw_mode(mask.into()));
            }
            Step::OpenConsole { uid, bind_console } => console::open(uid, bind_console, slots)?,
            Step::ChangeDirectory { path } => console::change_directory(path)?,
            Step::SetIdentity {
                uid,
                gid,
                groups,
                set_groups,
                bounding,
                no_new_privileges,
            } => {
                identity::become_identity(&Identity {
                    uid,
                    gid,
                    groups,
                    set_groups,
                    bounding,
                    no_new_privileges,
                })?;
            }
            Step::AwaitRelease {} => {
                control::send(Message::of(MessageKind::Ready))?;
                // A change of identity would undo it: none follows that the kernel would count as one.
                if control::await_go()? & Message::DIES_WITH_OWNER != 0 {
                    control::die_with_owner()?;
                }
            }
            Step::CloseDescriptors {
                keep_control,
                preserved,
            } => {
                sys::close_on_exec_from(control::CONTROL + u32::from(keep_control) + preserved)
                    .at(Call::CloseRange)?;
            }
            Step::LoadSeccomp { filter, flags } if flags & sys::NEW_LISTENER != 0 => {
                listener::load(filter, flags)?;
            }
            Step::LoadSeccomp { filter, flags } => {
                sys::load_seccomp(filter, flags).at(Call::Seccomp)?;
            }
            Step::SetCapabilities {
                effective,
                permitted,
                inheritable,
                ambient,
            } => {
                identity::set_capabilities(
                    sys::Capabilities {
                        effective,
                        permitted,
                        inheritable,
                    },
                    ambient,
                )?;
            }
            Step::Execute { .. } => {
                let program = self.prepared.as_ref();
                let program = program.ok_or(Fault::new(Call::Decode, Errno::NOEXEC))?;
                return Err(program.execute(slots.find(Slot::SELF)));
            }
            Step::FailHere { errno } => {
                return Err(Fault::new(Call::None, Errno::from_raw_os_error(errno)));
            }
            Step::DieHere {} => {
                // No trace of it shall be left either: an undumpable process leaves no core.
                hide()?;
                sys::trap()
            }
            Step::LoseOwnerHere {} => {
                control::send(Message::of(MessageKind::LoseOwner))?;
                control::await_hangup()?;
            }
            Step::OpenFolder { path, out } => {
                let folder = mounts::open_layer(path)?;
                slots.put(out, folder);
            }
            Step::CloseSlot { slot } => slots.close(slot),
            Step::BecomeRoot {} => become_root()?,
            Step::NewMountNamespace {} => unshare(UnshareFlags::NEWNS)?,
            Step::CloneTree {
                source,
                recursive,
                out,
            } => {
                let tree = mounts::clone_tree(rustix::fs::CWD, source, recursive)?;
                slots.put(out, tree);
            }
            Step::ShapeTree {
                tree,
                recursive,
                set,
                clear,
                attributes_recursive,
                propagation,
            } => {
                let binding = Binding {
                    recursive,
                    set,
                    clear,
                    attributes_recursive,
                    propagation,
                    device: false,
                    below: c"",
                    copy_up: false,
                };
                mounts::shape(slots.get(tree)?, &binding)?;
            }
            Step::NewUserNamespace {} => {
                unshare(UnshareFlags::NEWUSER)?;
                control::send(Message::of(MessageKind::Done))?;
                control::await_hangup()?;
                return Ok(Goes::Away);
            }
            Step::OpenEnteredRoot {} => slots.put(Slot::ROOT, mounts::open_layer(c"/")?),
            Step::AddMount { mount, target } => {
                let id = added::add(slots.get(Slot::ROOT)?, slots.get(mount)?, target)?;
                return done(id);
            }
            Step::RemoveMount { target, id } => {
                added::remove(slots.get(Slot::ROOT)?, target, id)?;
                return done(0);
            }
            Step::AwaitHooks {} => {
                control::send(Message::of(MessageKind::Hooks))?;
                let first = self.next;
                self.next = control::receive_descriptors(slots, first)?.next;
                slots.rename(Slot::received(first), Slot::HOOK_STATE);
                slots.rename(Slot::received(first + 1), Slot::HOOK_OUTPUT);
            }
            Step::RunHook {
                path,
                arguments,
                environment,
                timeout_seconds,
                ..
            } => {
                let hook = Hook {
                    path,
                    arguments,
                    environment,
                    timeout_seconds,
                };
                hook::run(&hook, slots)?;
            }
            Step::FindProgram { candidates, .. } => release::find_program(candidates)?,
            Step::AwaitStart {
                listener,
                preserved,
                count,
            } => {
                // From now on the container's other processes can see this one, for as long as nobody starts it.
                hide()?;
                self.covers = Covers::default();
                self.own_process = procfs::OwnProcess::default();
                let last = u32::from(preserved.0) + count;
                slots.retain(|slot| {
                    [listener, Slot::HOOK_STATE, Slot::HOOK_OUTPUT, Slot::SELF].contains(&slot)
                        || (u32::from(preserved.0)..last).contains(&u32::from(slot.0))
                });
                release::await_start(slots.get(listener)?)?;
                slots.close(listener);
            }
            Step::NewKeyring { name } => match sys::join_new_keyring(name) {
                // A kernel without keyrings has nothing to be kept apart.
                Err(Errno::NOSYS) => {}
                // The filter of whoever started the owner: it stays with the container, and keeps it from every key.
                Err(Errno::PERM) if sys::session_keyring() == Err(Errno::PERM) => {}
                result => result.at(Call::Keyctl)?,
            },
            Step::SetRootPropagation {
                propagation,
                recursive,
            } => sys::mount_setattr(slots.get(Slot::ROOT)?, 0, 0, propagation, recursive)
                .at(Call::MountSetattr)?,
            Step::SetPersonality { personality } => {
                sys::personality(personality).at(Call::Personality)?;
            }
            Step::SetScheduler { attributes } => {
                sys::sched_setattr(attributes).at(Call::SchedSetattr)?;
            }
            Step::SetIoPriority { priority } => {
                sys::ioprio_set(priority).at(Call::IoprioSet)?;
            }
            Step::SetAffinity { mask } => {
                sys::sched_setaffinity(mask).at(Call::SchedSetaffinity)?;
            }
            Step::SetMemoryPolicy { mode, nodes } => {
                sys::set_mempolicy(mode, nodes).at(Call::SetMempolicy)?;
            }
            Step::OwnStreams { uid } => release::own_streams(uid),
            Step::ChangeRoot {} => mounts::change_root(slots.get(Slot::ROOT)?)?,
            Step::PlaceDescriptors { first, count } => {
                release::place_descriptors(slots, first, count)?;
            }
        }
        Ok(Goes::On)
    }
}

const ROOT_USER: rustix::fs::Uid = rustix::fs::Uid::ROOT;
const ROOT_GROUP: rustix::fs::Gid = rustix::fs::Gid::ROOT;

/// Whether this process has further steps.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    Away,
}

/// The ids and with them the capabilities of the user namespace's root.
fn become_root() -> Result<()> {
    rustix::thread::set_thread_res_gid(ROOT_GROUP, ROOT_GROUP, ROOT_GROUP).at(Call::Setresgid)?;
    rustix::thread::set_thread_res_uid(ROOT_USER, ROOT_USER, ROOT_USER).at(Call::Setresuid)
}

/// Tells the owner that a plan which starts no process has been carried out.
fn done(value: u64) -> Result<Goes> {
    control::send(Message {
        value,
        ..Message::of(MessageKind::Done)
    })?;
    Ok(Goes::Away)
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn map_whole(slots: &Slots, slot: Slot, writable: bool) -> Result<&'static mut [u8]> {
    let file = slots.get(slot)?;
    let length = rustix::fs::fstat(file).at(Call::Fstat)?.st_size as usize;
    sys::map(file, length, writable).at(Call::Mmap)
}

/// Keeps the processes of a container that is about to be entered from looking into this one (CVE-2016-9962).
fn hide() -> Result<()> {
    sys::prctl(sys::PR_SET_DUMPABLE, 0, 0).at(Call::Prctl)?;
    Ok(())
}

fn unshare(flags: UnshareFlags) -> Result<()> {
    #[allow(
        deprecated,
        reason = "its only danger, CLONE_FILES of a threaded program, is not in question here"
    )]
    rustix::thread::unshare(flags).at(Call::Unshare)
}

fn namespace_kind(kind: u32) -> Option<LinkNameSpaceType> {
    [
        LinkNameSpaceType::ControlGroup,
        LinkNameSpaceType::InterProcessCommunication,
        LinkNameSpaceType::Network,
        LinkNameSpaceType::ProcessID,
        LinkNameSpaceType::Time,
        LinkNameSpaceType::User,
        LinkNameSpaceType::HostNameAndNISDomainName,
        LinkNameSpaceType::Mount,
    ]
    .into_iter()
    .find(|known| *known as u32 == kind)
}

fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    const RESOURCES: [Resource; 16] = [
        Resource::Cpu,
        Resource::Fsize,
        Resource::Data,
        Resource::Stack,
        Resource::Core,
        Resource::Rss,
        Resource::Nproc,
        Resource::Nofile,
        Resource::Memlock,
        Resource::As,
        Resource::Locks,
        Resource::Sigpending,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Rtprio,
        Resource::Rttime,
    ];
    let resource = RESOURCES
        .get(resource as usize)
        .ok_or(Fault::new(Call::Prlimit, Errno::INVAL))?;
    let bound = |value: u64| (value != u64::MAX).then_some(value);
    rustix::process::setrlimit(
        *resource,
        Rlimit {
            current: bound(soft),
            maximum: bound(hard),
        },
    )
    .at(Call::Prlimit)
}

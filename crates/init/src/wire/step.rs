//! The steps of a plan.

use core::ffi::CStr;

use super::operand::{List, Operand, Sink};
use super::slot::Slot;

/// What the root of a new file system takes from the directory that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Covered {
    /// Nothing.
    Ignored = 0,
    /// Its mode.
    Mode = 1,
    /// Its mode and owner, and a copy of all that is in it.
    Content = 2,
}

impl<'a> Operand<'a> for Covered {
    fn encode(&self, sink: &mut impl Sink) {
        (*self as u8).encode(sink);
    }
    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        match u8::decode(bytes)? {
            0 => Some(Self::Ignored),
            1 => Some(Self::Mode),
            2 => Some(Self::Content),
            _ => None,
        }
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $code:literal $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        /// One step of a plan. The program is walked in order; the first failure ends it.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Step<'a> {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type),* },)*
        }

        impl Step<'_> {
            /// What sort of step it is.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name),)* }
            }
        }

        impl<'a> Operand<'a> for Step<'a> {
            fn encode(&self, sink: &mut impl Sink) {
                match self {
                    $(Self::$name { $($field),* } => { ($code as u8).encode(sink); $($field.encode(sink);)* })*
                }
            }
            fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
                match u8::decode(bytes)? {
                    $($code => Some(Self::$name { $($field: Operand::decode(bytes)?),* }),)*
                    _ => None,
                }
            }
        }
    };
}

steps! {
    /// Enters several namespaces of a process at once (setns(2) with a pidfd).
    1 EnterProcess {
        /// The process.
        pidfd: Slot,
        /// `CLONE_NEW*`.
        namespaces: u32,
    }
    /// Enters one namespace by its file.
    2 EnterNamespace {
        /// The namespace.
        namespace: Slot,
        /// Its `CLONE_NEW*`.
        kind: u32,
        /// Its path, for people.
        path: &'a CStr,
    }
    /// Makes a time namespace for the next child and sets its offsets (time_namespaces(7)).
    3 NewTimeNamespace {
        /// Lines for `/proc/self/timens_offsets`; none where empty.
        offsets: &'a CStr,
    }
    /// Clones the container's process, a child of the helper's own parent; the steps that follow are its.
    4 Clone {
        /// `CLONE_NEW*`.
        namespaces: u32,
        /// A cgroup v2 directory to be born in, or none.
        cgroup: Slot,
    }
    /// Waits until the owner has written the id maps, then becomes root of the user namespace.
    5 AwaitIdMaps {}
    /// Leaves the caller's session.
    6 NewSession {}
    /// Moves itself into a cgroup by writing to the file in this slot.
    7 JoinCgroup {
        /// `tasks` or `cgroup.procs`, open for writing.
        file: Slot,
        /// The cgroup's path, for people.
        path: &'a CStr,
    }
    /// Makes a cgroup namespace, whose root is the cgroup just joined.
    8 NewCgroupNamespace {}
    /// Changes how every mount of the new mount namespace propagates.
    9 SetPropagation {
        /// `MS_PRIVATE`, `MS_SLAVE`, ….
        propagation: u32,
    }
    /// Takes a directory of the host, with what is mounted below it, as the root.
    10 OpenRoot {
        /// The directory.
        path: &'a CStr,
        /// `MOUNT_ATTR_*` to set on it.
        attributes: u32,
    }
    /// Makes a detached file system.
    11 NewFilesystem {
        /// Its type.
        kind: &'a CStr,
        /// Its source, as shown in mountinfo.
        source: &'a CStr,
        /// Pairs of option and value; an empty value makes it a flag.
        options: List<'a>,
        /// `MOUNT_ATTR_*`.
        attributes: u32,
        /// Where it goes.
        out: Slot,
    }
    /// Makes a directory, and what is missing above it, in the tree of `root`.
    12 MakeDirectory {
        /// The tree.
        root: Slot,
        /// The path in it.
        path: &'a CStr,
        /// Its mode, whatever the umask.
        mode: u16,
        /// Where a handle of it goes, or none.
        out: Slot,
    }
    /// Makes a detached overlay.
    13 NewOverlay {
        /// The read-only layers, top-most first.
        layers: List<'a>,
        /// The writable layer, or none.
        upper: Slot,
        /// The work directory beside it.
        work: Slot,
        /// Keep overlay attributes in `user.*` (needed in a user namespace).
        user_attributes: bool,
        /// Name the layers one by one (Linux 6.8); else in one option.
        append: bool,
        /// `MOUNT_ATTR_*`.
        attributes: u32,
        /// Where it goes.
        out: Slot,
    }
    /// Makes a detached FUSE file system, and waits until the owner has somebody show the layers through it.
    81 NewServedLayers {
        /// The read-only layers, top-most first, for people.
        layers: List<'a>,
        /// Which of the plan's servers shows them.
        server: u8,
        /// Let in everybody in the user namespace, and then nobody outside of it; else the one user that it maps.
        everybody: bool,
        /// Where it goes.
        out: Slot,
    }
    /// Copies layers into one tree, as an overlay would show them: with owners, modes, times, extended attributes, holes, and
    /// several names of one file in one layer. What cannot be made or set in a user namespace, such as a device, is left out, and
    /// so are sockets.
    82 CopyLayers {
        /// The layers, top-most first.
        layers: List<'a>,
        /// The tree.
        tree: Slot,
        /// A directory in it that gets the copy, made whole or not at all; one that is there is left as it is. Empty for the
        /// tree itself.
        name: &'a CStr,
    }
    /// Opens regular files of a tree for the owner, who may not look into it himself, hands them over, and ends.
    75 LendFiles {
        /// The tree.
        tree: Slot,
        /// Their paths in it. What is something else, or not there, is told and not opened.
        paths: List<'a>,
    }
    /// Hands a detached tree over to the owner, and ends.
    78 LendTree {
        /// The tree.
        tree: Slot,
    }
    /// Has what this process's descendants leave behind become its own children, as the init process of a namespace has: so they
    /// stay its descendants (prctl(2), `PR_SET_CHILD_SUBREAPER`). Its program keeps that.
    77 AdoptOrphans {}
    /// Attaches a detached mount over a directory of the private mount namespace, where paths lead to it.
    76 AttachOver {
        /// The mount.
        mount: Slot,
        /// The directory.
        path: &'a CStr,
    }
    /// Attaches the root over `/` of the private mount namespace, so that mounts can be moved onto it.
    14 AttachRoot {}
    /// Attaches the layer that receives the container's writes over `/` of the private mount namespace, where the root then
    /// covers it: before Linux 6.15 overlayfs takes no directory of a mount that is attached nowhere.
    59 AttachScratch {}
    /// Copies what a path of the present root names, with what is mounted below it, as a detached tree. Links in it do not lead
    /// out of the root, nor through /proc to a descriptor. A path that does not exist makes none.
    70 CopyTree {
        /// The path.
        path: &'a CStr,
        /// Where the tree goes.
        out: Slot,
    }
    /// Makes a detached tree that the owner has handed over the root.
    71 TakeRoot {
        /// The tree.
        tree: Slot,
        /// Where it is on the host, for people.
        path: &'a CStr,
        /// `MOUNT_ATTR_*` to set on it and on everything below.
        attributes: u32,
    }
    /// Mounts a detached tree, where there is one, on a directory of the root that is there.
    72 AttachTree {
        /// The tree.
        mount: Slot,
        /// Where.
        target: &'a CStr,
    }
    /// Makes a file system and mounts it in the root.
    15 Mount {
        /// Its type.
        kind: &'a CStr,
        /// Its source, as shown in mountinfo.
        source: &'a CStr,
        /// Pairs of option and value; an empty value makes it a flag.
        options: List<'a>,
        /// `MOUNT_ATTR_*`.
        attributes: u32,
        /// `MS_PRIVATE`, …; 0 leaves it.
        propagation: u32,
        /// Where in the root; made where it is missing.
        target: &'a CStr,
        /// Refuse a target that is or lies behind a symbolic link.
        no_links: bool,
        /// What its own root takes from the directory that it covers.
        covered: Covered,
        /// Where a handle of it goes, or none.
        out: Slot,
    }
    /// Mounts a detached file system in the root.
    16 MountDetached {
        /// The file system.
        mount: Slot,
        /// Where in the root; made where it is missing.
        target: &'a CStr,
    }
    /// Binds a file or directory of the host into the root.
    17 Bind {
        /// The host's path.
        source: &'a CStr,
        /// A detached copy of it that the owner made, or none: one that hands mounts on to the host's is made in its namespace.
        tree: Slot,
        /// Where in the root; made where it is missing, as file or directory like the source.
        target: &'a CStr,
        /// Take what is mounted below the source, too.
        recursive: bool,
        /// `MOUNT_ATTR_*` to set.
        set: u32,
        /// `MOUNT_ATTR_*` to clear.
        clear: u32,
        /// Set and clear on everything below, too.
        attributes_recursive: bool,
        /// `MS_PRIVATE`, …; 0 leaves it.
        propagation: u32,
        /// Refuse a source that is no character or block device.
        device: bool,
        /// A directory or file below the source that is bound instead, resolved within the source; empty for itself.
        below: &'a CStr,
        /// An empty directory first gets a copy of what is in the one that it covers.
        copy_up: bool,
    }
    /// Makes a device in the container's `/dev`.
    18 MakeDevice {
        /// Its path below `/dev`.
        path: &'a CStr,
        /// `S_IFCHR` or the like, and permissions.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    }
    /// Makes a symbolic link in the directory of a slot.
    19 MakeLink {
        /// The directory.
        directory: Slot,
        /// The link's name.
        name: &'a CStr,
        /// What it points at.
        content: &'a CStr,
        /// An entry of that name is as good.
        may_exist: bool,
    }
    /// Hides a path of the root: a file behind the null device, a directory behind an empty one. A path that does not
    /// exist stays so.
    20 Mask {
        /// The path.
        path: &'a CStr,
        /// The SELinux label of the empty directory, or empty.
        label: &'a CStr,
    }
    /// Makes a path of the root, and what is mounted below it, read-only. A path that does not exist stays so.
    21 MakeReadOnly {
        /// The path.
        path: &'a CStr,
    }
    /// Makes a mount itself read-only; what is mounted in it stays as it is.
    22 MakeMountReadOnly {
        /// The mount.
        mount: Slot,
        /// Where it is in the container, for people.
        target: &'a CStr,
    }
    /// Changes to the new root and lets go of the host's.
    23 PivotRoot {}
    /// Sets the host name of the UTS namespace.
    24 SetHostname {
        /// The name.
        name: &'a CStr,
    }
    /// Sets the NIS domain name of the UTS namespace.
    25 SetDomainname {
        /// The name.
        name: &'a CStr,
    }
    /// Brings the loopback interface of the network namespace up.
    26 LoopbackUp {}
    /// Sets a kernel parameter of the container's namespaces, through a procfs of its own.
    27 SetSysctl {
        /// Its path below `/proc/sys`.
        path: &'a CStr,
        /// Its value.
        value: &'a CStr,
    }
    /// Sets a resource limit (setrlimit(2)).
    28 SetLimit {
        /// `RLIMIT_*`.
        resource: u32,
        /// The soft limit.
        soft: u64,
        /// The hard limit.
        hard: u64,
    }
    /// Writes to a file of `/proc/self`, through a private procfs handle.
    29 WriteOwnProcess {
        /// The file's name.
        file: &'a CStr,
        /// What to write.
        value: &'a CStr,
    }
    /// Sets the umask.
    30 SetUmask {
        /// The mask.
        mask: u16,
    }
    /// Opens a pseudo-terminal of the container, hands its controlling side to the owner, and takes the other
    /// as controlling terminal and standard streams.
    31 OpenConsole {
        /// Owner of the terminal.
        uid: u32,
        /// Mount it over `/dev/console`, too.
        bind_console: bool,
    }
    /// Changes the working directory, and proves that it lies in the root.
    32 ChangeDirectory {
        /// The directory.
        path: &'a CStr,
    }
    /// Sets user, groups, bounding set and no_new_privs, keeping the permitted capabilities for the steps that
    /// follow, and reads all of it back.
    33 SetIdentity {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
        /// Supplementary group ids.
        groups: List<'a>,
        /// setgroups(2) is allowed here.
        set_groups: bool,
        /// The bounding set, bit by capability number.
        bounding: u64,
        /// no_new_privs (prctl(2)).
        no_new_privileges: bool,
    }
    /// Tells the owner that all is ready, and waits until it lets go.
    34 AwaitRelease {}
    /// Forks the process, and stays as its keeper: the parent and the reaper of all that it starts, which records its end in a
    /// folder and tells it at a pipe. The owner is told the id of the process and, above 32 bits, the keeper's.
    73 Keep {
        /// Where the end is recorded.
        folder: Slot,
        /// The writing end of the pipe; it is closed when the end is told.
        told: Slot,
        /// A process, as a pidfd, with whose end all that is kept ends by force; or none.
        with: Slot,
        /// End by force, when the process has ended, what it leaves behind, and tell the end only then.
        whole: bool,
        /// When to end it all by force, in milliseconds from now; 0 for never.
        timeout: u64,
    }
    /// Makes standard input the controlling terminal.
    74 TakeTerminal {
        /// Whose it is from then on.
        uid: u32,
    }
    /// Marks every descriptor but the standard streams to be closed by execve(2).
    35 CloseDescriptors {
        /// Keep the way back to the owner open across the execve of the init process.
        keep_control: bool,
        /// How many descriptors behind the standard streams the program gets, too.
        preserved: u32,
    }
    /// Loads a seccomp filter.
    36 LoadSeccomp {
        /// `struct sock_filter` after `struct sock_filter`.
        filter: &'a [u8],
        /// `SECCOMP_FILTER_FLAG_*`.
        flags: u32,
    }
    /// Sets the capabilities that the program starts with.
    37 SetCapabilities {
        /// Effective.
        effective: u64,
        /// Permitted.
        permitted: u64,
        /// Inheritable.
        inheritable: u64,
        /// Ambient.
        ambient: u64,
    }
    /// Executes the program, or the init process that starts it.
    38 Execute {
        /// Paths to try, in order.
        candidates: List<'a>,
        /// Its arguments, the zeroth included.
        arguments: List<'a>,
        /// Its environment.
        environment: List<'a>,
        /// Start it below an init process.
        init: bool,
    }
    /// A fault for tests: fails with this errno.
    39 FailHere {
        /// The errno.
        errno: i32,
    }
    /// A fault for tests: the process dies without a word.
    40 DieHere {}
    /// A fault for tests: the owner kills itself; the process goes on when it is gone.
    60 LoseOwnerHere {}
    /// Opens a folder of the host.
    43 OpenFolder {
        /// The folder.
        path: &'a CStr,
        /// Where it goes.
        out: Slot,
    }
    /// Receives further descriptors from the owner, which made them in the meantime, into the slots behind the first
    /// ones.
    44 ReceiveDescriptors {}
    /// Tells the owner that everything is mounted and the root not yet changed, and waits while it runs the hooks of the
    /// host's namespaces; receives what further hooks read and write.
    45 AwaitHooks {}
    /// Runs a hook in the process's own namespaces, and waits for its end.
    46 RunHook {
        /// What it is called in the spec, for people.
        kind: &'a CStr,
        /// Its program.
        path: &'a CStr,
        /// Its arguments, the zeroth included.
        arguments: List<'a>,
        /// Its environment.
        environment: List<'a>,
        /// How many seconds it may take; 0 for any.
        timeout_seconds: u32,
    }
    /// Looks whether one of the program's candidates is there and may be executed, so that a start that cannot succeed is
    /// refused early.
    47 FindProgram {
        /// Paths to try, in order.
        candidates: List<'a>,
        /// The name it was asked for by, for people.
        name: &'a CStr,
    }
    /// Lets go of the owner and of every descriptor that is not needed any more, and waits for another process to come by
    /// this socket and start the program; that is the owner from now on.
    48 AwaitStart {
        /// The socket that it connects to.
        listener: Slot,
        /// The first of the slots whose descriptors the program gets.
        preserved: Slot,
        /// How many they are.
        count: u32,
    }
    /// Joins a new session keyring, so that the keys of whoever started the container are out of reach (keyctl(2)).
    49 NewKeyring {
        /// Its name.
        name: &'a CStr,
    }
    /// Changes to the new root by chroot(2), where the host's is one that pivot_root(2) refuses to leave.
    50 ChangeRoot {}
    /// Puts descriptors behind the standard streams, from 3 on.
    51 PlaceDescriptors {
        /// The slot of the first; the others follow.
        first: Slot,
        /// How many.
        count: u32,
    }
    /// Gives the pipes and sockets among the standard streams to the program's user, so that it can open them by
    /// `/dev/stdout` and the like. A device, and a file of the host, keeps its owner.
    52 OwnStreams {
        /// The user.
        uid: u32,
    }
    /// Changes how the container's root hands mounts on to others and takes theirs.
    53 SetRootPropagation {
        /// `MS_PRIVATE`, `MS_SLAVE`, ….
        propagation: u32,
        /// That of everything mounted in it, too.
        recursive: bool,
    }
    /// Sets the execution domain (personality(2)).
    54 SetPersonality {
        /// `PER_*`.
        personality: u32,
    }
    /// Sets policy and parameters of the scheduler (sched_setattr(2)).
    55 SetScheduler {
        /// `struct sched_attr`, whole.
        attributes: &'a [u8],
    }
    /// Sets class and priority of input and output (ioprio_set(2)).
    56 SetIoPriority {
        /// Class in the upper bits from 13 on, priority below.
        priority: u32,
    }
    /// Sets on which CPUs the process may run (sched_setaffinity(2)).
    57 SetAffinity {
        /// Bit by CPU.
        mask: &'a [u8],
    }
    /// Becomes root of the user namespace that was entered.
    69 BecomeRoot {}
    /// Makes a mount namespace, a copy of the present one.
    62 NewMountNamespace {}
    /// Makes a detached copy of a file or directory of the present mount namespace.
    63 CloneTree {
        /// Its path.
        source: &'a CStr,
        /// With what is mounted below it.
        recursive: bool,
        /// Where it goes.
        out: Slot,
    }
    /// Changes the attributes of a detached copy.
    64 ShapeTree {
        /// The copy.
        tree: Slot,
        /// The propagation is that of everything mounted below, too.
        recursive: bool,
        /// `MOUNT_ATTR_*` to set.
        set: u32,
        /// `MOUNT_ATTR_*` to clear.
        clear: u32,
        /// Set and clear on everything below, too.
        attributes_recursive: bool,
        /// `MS_PRIVATE`, …; 0 leaves it.
        propagation: u32,
    }
    /// Takes the root of the mount namespace that was entered as the root.
    65 OpenEnteredRoot {}
    /// Mounts a detached file system in the root, tells the owner which mount that is, and ends.
    66 AddMount {
        /// The file system.
        mount: Slot,
        /// Where in the root; made where it is missing. A file goes through no symbolic link.
        target: &'a CStr,
    }
    /// Takes a mount away, if it is the one on the target, tells the owner so, and ends.
    67 RemoveMount {
        /// Where it is in the root.
        target: &'a CStr,
        /// Which one it is (statx(2), `stx_mnt_id`).
        id: u64,
    }
    /// Makes a user namespace, tells the owner that it is there, and waits to be ended: whoever maps its ids and opens it, has it.
    68 NewUserNamespace {}
    /// Sets on which nodes memory is taken (set_mempolicy(2)); what the process executes keeps it.
    61 SetMemoryPolicy {
        /// `MPOL_*` with `MPOL_F_*`.
        mode: u32,
        /// Bit by node.
        nodes: &'a [u8],
    }
    /// Closes a slot.
    41 CloseSlot {
        /// The slot.
        slot: Slot,
    }
    /// Makes an empty regular file in the tree of the root, where it is missing.
    42 MakeFile {
        /// The path.
        path: &'a CStr,
        /// Its mode.
        mode: u16,
    }
    /// Gives an SELinux label to the root of a mount, which is one of the container's own (`security.selinux`, xattr(7)).
    83 LabelMount {
        /// The mount.
        mount: Slot,
        /// Where it is.
        target: &'a CStr,
        /// The label.
        label: &'a CStr,
    }
    /// Tells the owner that the process is in its cgroup and cgroup namespace, which it never leaves by itself.
    84 TellPlaced {}
    /// Writes to a file of the helper's own `/proc/self`, before it has entered any namespace: what is cloned from it has it, too.
    80 WriteOnHost {
        /// The file's name.
        file: &'a CStr,
        /// What to write.
        value: &'a CStr,
    }
}

/// An encoded sequence of steps.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a>(pub &'a [u8]);

impl<'a> Iterator for Program<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        Step::decode(&mut self.0)
    }
}

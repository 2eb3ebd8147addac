//! What is said on the control socket, and by a keeper of the end of its process.

use super::operand::Operand;

/// What a keeper tells of the end of its process ([`Step::Keep`](super::Step::Keep)); 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptEnd {
    /// As wait(2) has it.
    pub wait_status: i32,
    /// It was ended by force because its time was over.
    pub timed_out: bool,
    /// When, in nanoseconds since 1970.
    pub finished_at: u64,
}

impl KeptEnd {
    /// The length of its encoding in bytes.
    pub const LENGTH: usize = 24;
    /// What an encoding begins with: this form of it.
    const FORM: u64 = 0x4b45_4550_0000_0001;

    /// It as bytes.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0..8].copy_from_slice(&Self::FORM.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.wait_status.to_ne_bytes());
        bytes[12..16].copy_from_slice(&u32::from(self.timed_out).to_ne_bytes());
        bytes[16..24].copy_from_slice(&self.finished_at.to_ne_bytes());
        bytes
    }

    /// The end in these bytes, where they are one.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        if u64::decode(bytes)? != Self::FORM {
            return None;
        }
        let found = Self {
            wait_status: i32::decode(bytes)?,
            timed_out: u32::decode(bytes)? != 0,
            finished_at: u64::decode(bytes)?,
        };
        bytes.is_empty().then_some(found)
    }
}

/// What a message on the control socket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MessageKind {
    /// Helper to owner: the container's process is there, `value` is its id.
    Cloned = 1,
    /// Process to owner: everything is set up; let me go.
    Ready = 2,
    /// Helper or process to owner: step `step` failed in `call` with `errno`.
    Failed = 3,
    /// Helper or process to owner, only where the plan has a step that says so: kill yourself.
    LoseOwner = 16,
    /// Process to owner: the console's controlling side comes with this message.
    Console = 4,
    /// Owner to process: go on.
    Go = 5,
    /// Process to owner: run the hooks of the host's namespaces.
    Hooks = 6,
    /// Process to owner: the descriptor of its seccomp filter's listener comes with this message.
    Listener = 7,
    /// Helper to owner: what was to be done in a running container is done.
    Done = 8,
    /// Process to owner: the connection of a FUSE file system comes with this message; have the plan's server `value` serve it.
    Serve = 9,
    /// Helper to owner: the next of the files that are lent comes with this message; none, where `errno` says why.
    Lent = 10,
    /// Process to owner: I am where the plan puts me; see for yourself while I go on.
    Placed = 11,
}

/// A message on the control socket; 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub kind: MessageKind,
    /// The step's index in the program.
    pub step: u32,
    /// The error number.
    pub errno: i32,
    /// The system call, by [`Call::from_code`](super::Call::from_code).
    pub call: u32,
    /// A process id, or what the kind says.
    pub value: u64,
}

impl Message {
    /// The length of an encoded message in bytes.
    pub const LENGTH: usize = 24;

    /// In the value of the [`MessageKind::Go`] that releases the process: the kernel ends it when its owner's thread ends.
    pub const DIES_WITH_OWNER: u64 = 1;

    /// A message that says only its kind.
    pub fn of(kind: MessageKind) -> Self {
        Self {
            kind,
            step: 0,
            errno: 0,
            call: 0,
            value: 0,
        }
    }

    /// The message as bytes.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0..4].copy_from_slice(&(self.kind as u32).to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.step.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.errno.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.call.to_ne_bytes());
        bytes[16..24].copy_from_slice(&self.value.to_ne_bytes());
        bytes
    }

    /// The message in these bytes, where they are one.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let kind = match u32::decode(bytes)? {
            1 => MessageKind::Cloned,
            2 => MessageKind::Ready,
            3 => MessageKind::Failed,
            16 => MessageKind::LoseOwner,
            4 => MessageKind::Console,
            5 => MessageKind::Go,
            6 => MessageKind::Hooks,
            7 => MessageKind::Listener,
            8 => MessageKind::Done,
            9 => MessageKind::Serve,
            10 => MessageKind::Lent,
            11 => MessageKind::Placed,
            _ => return None,
        };
        Some(Self {
            kind,
            step: u32::decode(bytes)?,
            errno: i32::decode(bytes)?,
            call: u32::decode(bytes)?,
            value: u64::decode(bytes)?,
        })
    }
}

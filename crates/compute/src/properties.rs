//! What can be asked of a container.

use hoist_spec::ContainerId;
use serde::{Deserialize, Serialize};

use crate::{ExitStatus, State, Timestamp};

/// Which parts of [`Properties`] to fill in. State, times and exit status always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Fill in [`Properties::statistics`].
    pub statistics: bool,
    /// Fill in [`Properties::processes`].
    pub processes: bool,
}

/// One container in a list, or one exec of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its id.
    pub id: ContainerId,
    /// Its state, as the kernel says it at this moment.
    pub state: State,
    /// Its first process, while that lives.
    pub pid: Option<u32>,
    /// The arguments of its first process.
    pub command: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first process was started.
    pub started_at: Option<Timestamp>,
    /// How its first process ended.
    pub exit: Option<ExitStatus>,
}

/// What one container, or one exec of it, is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Properties {
    /// What a list shows of it.
    pub summary: Summary,
    /// Its processes, where asked for.
    pub processes: Option<Vec<ProcessEntry>>,
    /// What it uses, where asked for.
    pub statistics: Option<Statistics>,
}

/// One process of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEntry {
    /// Its id on this machine, outside the container.
    pub pid: u32,
    /// Its parent's id on this machine.
    pub parent: u32,
    /// Its user id on this machine (Linux).
    pub uid: u32,
    /// Processor time it has used, in milliseconds.
    pub cpu_milliseconds: u64,
    /// When it was started.
    pub started_at: Timestamp,
    /// Where in the kernel it waits in a way that no signal ends (Linux, state `D` of ps(1)): the name of the kernel's function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_in_kernel: Option<String>,
    /// Its command line, or its name in brackets where it has none.
    pub command: String,
}

/// What a container uses. A member is `None` where the host does not account for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Processor time.
    pub cpu: Option<CpuStatistics>,
    /// Memory.
    pub memory: Option<MemoryStatistics>,
    /// The number of processes and threads.
    pub pids: Option<u64>,
    /// Its network, where that is its own and not the host's; of an exec never, for that is the container's.
    #[serde(default)]
    pub network: Option<NetworkStatistics>,
    /// Reads from and writes to block devices.
    #[serde(default)]
    pub block_io: Option<BlockIoStatistics>,
}

/// What went over all interfaces of a container's network but the loopback one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatistics {
    /// Received, in bytes.
    pub received_bytes: u64,
    /// Sent, in bytes.
    pub sent_bytes: u64,
}

/// What a container has read from and written to block devices; what the page cache answers is no such read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIoStatistics {
    /// Read, in bytes.
    pub read_bytes: u64,
    /// Written, in bytes.
    pub written_bytes: u64,
}

/// Processor time that a container has used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuStatistics {
    /// In all, in nanoseconds.
    pub usage_nanoseconds: u64,
}

/// Memory that a container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatistics {
    /// Now, in bytes, page cache included.
    pub usage_bytes: u64,
    /// The most it ever was, where the kernel keeps it.
    pub peak_bytes: Option<u64>,
    /// The limit in bytes, where there is one.
    pub limit_bytes: Option<u64>,
    /// How many of its processes the out-of-memory killer has killed.
    pub oom_kills: u64,
}

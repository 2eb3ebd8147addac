//! The limits of a command.

use serde::{Deserialize, Serialize};

use super::is_default;

/// A container's limits; zero and empty mean no limit of that kind.
///
/// Every number is an `i64`, as in the original, so that one out of range is a fault with a reason and
/// not a number that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Memory in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub memory: i64,
    /// Memory in bytes that it keeps when the machine runs short.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_reservation: i64,
    /// Memory and swap together in bytes, at least as much as memory; −1: no limit. Where zero, twice the memory.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_swap: i64,
    /// Weight of processor time against other containers: 2 to 262144, usually 1024 (Windows: to 10000).
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_shares: i64,
    /// Microseconds of processor time in each period: at least 1000, or −1 for no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_quota: i64,
    /// The period in microseconds: 1000 to 1000000, usually 100000.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_period: i64,
    /// The processors that it may use, as the kernel writes lists: `0-3,7`.
    #[serde(skip_serializing_if = "is_default")]
    pub cpuset_cpus: String,
    /// The memory nodes that it may use, written so, too.
    #[serde(skip_serializing_if = "is_default")]
    pub cpuset_mems: String,
    /// Processes and threads; −1: no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub pids_limit: i64,
    /// Weight of block I/O against other containers: 10 to 1000.
    #[serde(skip_serializing_if = "is_default")]
    pub blkio_weight: i64,
}

//! What a cgroup uses, and how often the out-of-memory killer came.

use std::io;

use hoist_compute::{BlockIoStatistics, CpuStatistics, MemoryStatistics, Statistics};

use super::{
    directory::{Directory, is_gone, value_of},
    error::CgroupError,
    fs::Cgroup,
    layout::Version,
};
use crate::whole_file::read_text_at;

/// v1 tells "no limit" as the largest number of whole pages.
const V1_UNLIMITED: u64 = i64::MAX as u64 - (1 << 20);

impl Cgroup {
    /// What the container uses now. What the host does not account for is `None`.
    pub fn statistics(&self) -> Result<Statistics, CgroupError> {
        let cpu = self
            .account("cpuacct", |directory| match directory.version {
                Version::V1 => directory.number("cpuacct.usage"),
                Version::V2 => Ok(directory
                    .keyed("cpu.stat", "usage_usec")?
                    .map(|microseconds| microseconds.saturating_mul(1000))),
            })?
            .map(|usage_nanoseconds| CpuStatistics { usage_nanoseconds });
        let memory = self.account("memory", |directory| {
            let (usage, peak) = match directory.version {
                Version::V1 => ("memory.usage_in_bytes", "memory.max_usage_in_bytes"),
                Version::V2 => ("memory.current", "memory.peak"),
            };
            let Some(usage_bytes) = directory.number(usage)? else {
                return Ok(None);
            };
            Ok(Some(MemoryStatistics {
                usage_bytes,
                // Linux before 5.19 does not keep it on v2.
                peak_bytes: directory.number(peak).ok().flatten(),
                limit_bytes: limit_of(directory)?,
                oom_kills: oom_kills_of(directory)?,
            }))
        })?;
        let pids = self.account("pids", |directory| directory.number("pids.current"))?;
        let controller = match self.v1("blkio") {
            Some(_) => "blkio",
            None => "io",
        };
        let block_io = self.account(controller, block_io_of)?;
        Ok(Statistics {
            cpu,
            memory,
            pids,
            network: None,
            block_io,
        })
    }

    /// How many processes of the container the out-of-memory killer has killed: to be read after a process has ended
    /// and before the cgroup is removed. Zero where memory is not accounted for.
    pub fn oom_kills(&self) -> Result<u64, CgroupError> {
        let kills = self.account("memory", |directory| oom_kills_of(directory).map(Some))?;
        Ok(kills.unwrap_or(0))
    }

    /// The memory limit in bytes, where there is one.
    pub fn memory_limit(&self) -> Result<Option<u64>, CgroupError> {
        self.account("memory", limit_of)
    }

    /// The directory whose memory limit holds for the container: what an out-of-memory kill is reported with.
    pub fn memory_path(&self) -> Option<&std::path::Path> {
        self.v1("memory")
            .or_else(|| self.unified())
            .map(|directory| directory.path.as_path())
    }

    /// Reads an account of a controller from wherever it is; `None` where it is nowhere.
    fn account<T>(
        &self,
        controller: &str,
        read: impl FnOnce(&Directory) -> io::Result<Option<T>>,
    ) -> Result<Option<T>, CgroupError> {
        let Some(directory) = self.v1(controller).or_else(|| self.unified()) else {
            return Ok(None);
        };
        match read(directory) {
            Ok(account) => Ok(account),
            // Without its controller a cgroup has no such file either.
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(CgroupError::system(
                "read statistics of",
                &directory.path,
                error,
            )),
        }
    }
}

fn limit_of(directory: &Directory) -> io::Result<Option<u64>> {
    match directory.version {
        Version::V1 => Ok(directory
            .number("memory.limit_in_bytes")?
            .filter(|&limit| limit < V1_UNLIMITED)),
        Version::V2 => directory.number("memory.max"),
    }
}

fn oom_kills_of(directory: &Directory) -> io::Result<u64> {
    match directory.version {
        // Each v1 cgroup counts for itself alone.
        Version::V1 => {
            let mut kills = 0;
            directory.walk(&mut |below| {
                let text = read_text_at(below, "memory.oom_control")?;
                kills += value_of(&text, "oom_kill").unwrap_or(0);
                Ok(())
            })?;
            Ok(kills)
        }
        Version::V2 => Ok(directory.keyed("memory.events", "oom_kill")?.unwrap_or(0)),
    }
}

/// The sums over all devices: v1's lines are `MAJOR:MINOR Read BYTES`, v2's `MAJOR:MINOR rbytes=BYTES wbytes=BYTES …`.
fn block_io_of(directory: &Directory) -> io::Result<Option<BlockIoStatistics>> {
    let mut used = BlockIoStatistics::default();
    match directory.version {
        Version::V1 => {
            let text = directory.read("blkio.throttle.io_service_bytes_recursive")?;
            for line in text.lines() {
                let mut words = line.split_whitespace().skip(1);
                let (what, bytes) = (words.next(), words.next());
                let bytes: u64 = bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
                match what {
                    Some("Read") => used.read_bytes += bytes,
                    Some("Write") => used.written_bytes += bytes,
                    _ => {}
                }
            }
        }
        Version::V2 => {
            let text = directory.read("io.stat")?;
            let sum = |key| -> u64 {
                let words = text.split_whitespace();
                let values = words.filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
                values.sum()
            };
            used.read_bytes = sum("rbytes=");
            used.written_bytes = sum("wbytes=");
        }
    }
    Ok(Some(used))
}

#[cfg(test)]
mod tests {
    use super::super::directory::tests::fake;
    use super::*;

    #[test]
    fn v2_accounts_are_read_from_their_files() {
        let (_folder, cgroup) = fake(
            Version::V2,
            &[
                ("cpu.stat", "usage_usec 1500\nuser_usec 1000\n"),
                ("memory.current", "4096\n"),
                ("memory.peak", "8192\n"),
                ("memory.max", "max\n"),
                ("memory.events", "low 0\noom 2\noom_kill 1\n"),
                ("pids.current", "3\n"),
                (
                    "io.stat",
                    "8:0 rbytes=4096 wbytes=10 rios=1 wios=1 dbytes=7 dios=0\n253:1 rbytes=1 wbytes=2 rios=1 wios=1\n",
                ),
            ],
        );
        let statistics = cgroup.statistics().unwrap();
        assert_eq!(
            statistics.cpu.map(|cpu| cpu.usage_nanoseconds),
            Some(1_500_000)
        );
        assert_eq!(
            statistics.memory,
            Some(MemoryStatistics {
                usage_bytes: 4096,
                peak_bytes: Some(8192),
                limit_bytes: None,
                oom_kills: 1,
            })
        );
        assert_eq!(statistics.pids, Some(3));
        let block_io = BlockIoStatistics {
            read_bytes: 4097,
            written_bytes: 12,
        };
        assert_eq!(statistics.block_io, Some(block_io));
    }

    #[test]
    fn what_is_not_accounted_for_is_none_and_never_zero() {
        let (_folder, cgroup) = fake(Version::V2, &[("cpu.stat", "usage_usec 5\n")]);
        let statistics = cgroup.statistics().unwrap();
        assert_eq!(statistics.memory, None);
        assert_eq!(statistics.pids, None);
        assert_eq!(statistics.block_io, None);
        assert_eq!(cgroup.memory_limit().unwrap(), None);
        assert_eq!(cgroup.oom_kills().unwrap(), 0);
    }

    #[test]
    fn v1_reads_and_writes_are_summed_over_devices() {
        let (_folder, cgroup) = fake(
            Version::V1,
            &[(
                "blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 100\n8:0 Write 20\n8:0 Sync 120\n8:0 Total 120\n8:16 Read 1\n8:16 Write 2\nTotal 123\n",
            )],
        );
        let block_io = cgroup.statistics().unwrap().block_io.unwrap();
        assert_eq!((block_io.read_bytes, block_io.written_bytes), (101, 22));
    }

    #[test]
    fn v1_kills_are_summed_over_nested_cgroups_and_no_limit_is_none() {
        let control = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n";
        let (_folder, cgroup) = fake(
            Version::V1,
            &[
                ("memory.oom_control", control),
                ("a/memory.oom_control", control),
                ("memory.limit_in_bytes", "9223372036854771712\n"),
            ],
        );
        assert_eq!(cgroup.oom_kills().unwrap(), 2);
        assert_eq!(cgroup.memory_limit().unwrap(), None);
    }
}

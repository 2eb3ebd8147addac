//! What a cgroup uses in every detail that its kernel keeps, by the names and in the units of runc's `events`. What runc leaves
//! out where it is nothing is left out here, too.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::{
    directory::{Directory, is_gone, value_of},
    error::CgroupError,
    fs::Cgroup,
    layout::Version,
};

/// The unit of `cpuacct.stat`, `USER_HZ`, in nanoseconds.
const TICK: u64 = 10_000_000;

/// What a container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Processor time.
    pub cpu: Cpu,
    /// Which processors and memory nodes it may use, on cgroup v1.
    pub cpuset: Cpuset,
    /// Memory.
    pub memory: Memory,
    /// Processes and threads.
    pub pids: Pids,
    /// Requests to block devices.
    pub blkio: BlockIo,
    /// Huge pages, by their size.
    pub hugetlb: BTreeMap<String, HugePages>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// What was used.
    pub usage: CpuUsage,
    /// How often there was none left.
    pub throttling: Throttling,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuUsage {
    /// In all.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    /// By processor, on cgroup v1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// That of the kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// That of programs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// That of the kernel.
    pub kernel: u64,
    /// That of programs.
    pub user: u64,
}

/// What a limit of processor time has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// How many periods there were.
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    /// In how many of them the limit was reached.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// For how long nothing ran, in nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// The files `cpuset.*` of cgroup v1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each is the kernel's file of that name")]
pub struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The page cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    /// Memory.
    pub usage: Amount,
    /// Memory and swap together.
    pub swap: Amount,
    /// The kernel's, on cgroup v1.
    pub kernel: Amount,
    /// That of TCP's buffers, on cgroup v1.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Amount,
    /// All of `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
}

/// What is used of something that can be limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// The limit; the largest number where there is none.
    pub limit: u64,
    /// Now.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// At most until now.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was reached, on cgroup v1.
    pub failcnt: u64,
}

/// Processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pids {
    /// How many there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    /// How many there may be; left out where there is no limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Requests to block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockIo {
    /// Bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlockEntry>,
    /// Requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlockEntry>,
}

/// An account of one device and one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlockEntry {
    /// The device.
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    /// The device.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    /// `Read`, `Write` and others, as the kernel calls them on cgroup v1.
    pub op: String,
    /// How many.
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HugePages {
    /// Now.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// At most until now, on cgroup v1.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was reached.
    pub failcnt: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Cgroup {
    /// What the container uses now. What the host does not account for is as if it were nothing.
    pub fn usage(&self) -> Result<Usage, CgroupError> {
        let mut usage = Usage::default();
        self.each("cpuacct", |files| cpu_usage(files, &mut usage.cpu.usage))?;
        self.each("cpu", |files| throttling(files, &mut usage.cpu.throttling))?;
        self.each("cpuset", |files| cpuset(files, &mut usage.cpuset))?;
        self.each("memory", |files| memory(files, &mut usage.memory))?;
        self.each("pids", |files| {
            usage.pids.current = files.number("pids.current")?;
            usage.pids.limit = files.number("pids.max")?;
            Ok(())
        })?;
        self.each("blkio", |files| block_io(files, &mut usage.blkio))?;
        self.each("hugetlb", |files| huge_pages(files, &mut usage.hugetlb))?;
        Ok(usage)
    }

    fn each(
        &self,
        controller: &str,
        mut read: impl FnMut(&Files<'_>) -> io::Result<()>,
    ) -> Result<(), CgroupError> {
        let Some(directory) = self.v1(controller).or_else(|| self.unified()) else {
            return Ok(());
        };
        read(&Files(directory))
            .map_err(|error| CgroupError::system("read statistics of", &directory.path, error))
    }
}

/// The files of one directory. One that is missing is empty.
struct Files<'a>(&'a Directory);

impl Files<'_> {
    fn is_v1(&self) -> bool {
        self.0.version == Version::V1
    }

    fn text(&self, file: &str) -> io::Result<String> {
        match self.0.read(file) {
            Err(error) if is_gone(&error) || is_not_kept(&error) => Ok(String::new()),
            text => text,
        }
    }

    /// 0 where it is no number.
    fn number(&self, file: &str) -> io::Result<u64> {
        Ok(self.text(file)?.trim().parse().unwrap_or_default())
    }

    /// The largest number where it is `max`.
    fn limit(&self, file: &str) -> io::Result<u64> {
        let text = self.text(file)?;
        Ok(match text.trim() {
            "max" => u64::MAX,
            number => number.parse().unwrap_or_default(),
        })
    }

    /// The files `PREFIX.limit_in_bytes` and so on of cgroup v1.
    fn amount(&self, prefix: &str) -> io::Result<Amount> {
        let number = |name: &str| self.number(&format!("{prefix}.{name}"));
        Ok(Amount {
            limit: number("limit_in_bytes")?,
            usage: number("usage_in_bytes")?,
            max: number("max_usage_in_bytes")?,
            failcnt: number("failcnt")?,
        })
    }
}

/// Some files can be opened and not read where the kernel was told not to account for them (`swapaccount=0` and others).
fn is_not_kept(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EOPNOTSUPP)
}

fn cpu_usage(files: &Files<'_>, usage: &mut CpuUsage) -> io::Result<()> {
    if !files.is_v1() {
        let text = files.text("cpu.stat")?;
        let time = |key| {
            value_of(&text, key)
                .unwrap_or_default()
                .saturating_mul(1000)
        };
        usage.total = time("usage_usec");
        (usage.kernel, usage.user) = (time("system_usec"), time("user_usec"));
        return Ok(());
    }
    usage.total = files.number("cpuacct.usage")?;
    let numbers = files.text("cpuacct.usage_percpu")?;
    usage.percpu = numbers.split_whitespace().flat_map(str::parse).collect();
    let text = files.text("cpuacct.stat")?;
    let time = |key| {
        value_of(&text, key)
            .unwrap_or_default()
            .saturating_mul(TICK)
    };
    (usage.kernel, usage.user) = (time("system"), time("user"));
    // Below a line of titles: the processor, then the time of programs and of the kernel.
    for line in files.text("cpuacct.usage_all")?.lines().skip(1) {
        let mut numbers = line.split_whitespace().skip(1).flat_map(str::parse::<u64>);
        usage.percpu_user.extend(numbers.next());
        usage.percpu_kernel.extend(numbers.next());
    }
    Ok(())
}

fn throttling(files: &Files<'_>, throttling: &mut Throttling) -> io::Result<()> {
    let text = files.text("cpu.stat")?;
    let value = |key| value_of(&text, key).unwrap_or_default();
    throttling.periods = value("nr_periods");
    throttling.throttled_periods = value("nr_throttled");
    throttling.throttled_time = match files.is_v1() {
        true => value("throttled_time"),
        false => value("throttled_usec").saturating_mul(1000),
    };
    Ok(())
}

fn cpuset(files: &Files<'_>, cpuset: &mut Cpuset) -> io::Result<()> {
    if !files.is_v1() {
        return Ok(());
    }
    let number = |name: &str| files.number(&format!("cpuset.{name}"));
    let level = files.text("cpuset.sched_relax_domain_level")?;
    *cpuset = Cpuset {
        cpus: list(&files.text("cpuset.cpus")?),
        cpu_exclusive: number("cpu_exclusive")?,
        mems: list(&files.text("cpuset.mems")?),
        mem_hardwall: number("mem_hardwall")?,
        mem_exclusive: number("mem_exclusive")?,
        memory_migrate: number("memory_migrate")?,
        memory_spread_page: number("memory_spread_page")?,
        memory_spread_slab: number("memory_spread_slab")?,
        memory_pressure: number("memory_pressure")?,
        sched_load_balance: number("sched_load_balance")?,
        sched_relax_domain_level: level.trim().parse().unwrap_or_default(),
    };
    Ok(())
}

/// The numbers of a list such as `0-3,7`.
fn list(text: &str) -> Vec<u16> {
    let parts = text.trim().split(',');
    let ranges = parts.filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

fn memory(files: &Files<'_>, memory: &mut Memory) -> io::Result<()> {
    let text = files.text("memory.stat")?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    memory.raw = lines
        .filter_map(|(key, value)| Some((key.to_owned(), value.trim().parse().ok()?)))
        .collect();
    let raw = |key| memory.raw.get(key).copied().unwrap_or_default();
    if files.is_v1() {
        memory.cache = raw("cache");
        memory.usage = files.amount("memory")?;
        memory.swap = files.amount("memory.memsw")?;
        memory.kernel = files.amount("memory.kmem")?;
        memory.kernel_tcp = files.amount("memory.kmem.tcp")?;
        return Ok(());
    }
    memory.cache = raw("file");
    let amount = |prefix: &str| -> io::Result<Amount> {
        Ok(Amount {
            limit: files.limit(&format!("{prefix}.max"))?,
            usage: files.number(&format!("{prefix}.current"))?,
            max: files.number(&format!("{prefix}.peak"))?,
            failcnt: 0,
        })
    };
    memory.usage = amount("memory")?;
    let swap = amount("memory.swap")?;
    // As cgroup v1 has it: together.
    memory.swap = Amount {
        limit: swap.limit.saturating_add(memory.usage.limit),
        usage: swap.usage.saturating_add(memory.usage.usage),
        ..Amount::default()
    };
    Ok(())
}

fn block_io(files: &Files<'_>, io: &mut BlockIo) -> io::Result<()> {
    if files.is_v1() {
        let entries = |text: String| text.lines().filter_map(v1_entry).collect();
        io.io_service_bytes_recursive =
            entries(files.text("blkio.throttle.io_service_bytes_recursive")?);
        io.io_serviced_recursive = entries(files.text("blkio.throttle.io_serviced_recursive")?);
        return Ok(());
    }
    for line in files.text("io.stat")?.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else {
            continue;
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut io.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut io.io_service_bytes_recursive, "Write"),
                "dbytes" => (&mut io.io_service_bytes_recursive, "Discard"),
                "rios" => (&mut io.io_serviced_recursive, "Read"),
                "wios" => (&mut io.io_serviced_recursive, "Write"),
                "dios" => (&mut io.io_serviced_recursive, "Discard"),
                _ => continue,
            };
            let (op, value) = (op.to_owned(), value.parse().unwrap_or_default());
            list.push(BlockEntry {
                major,
                minor,
                op,
                value,
            });
        }
    }
    Ok(())
}

/// `8:0 Read 4096`; the sum of all devices has no device.
fn v1_entry(line: &str) -> Option<BlockEntry> {
    let mut words = line.split_whitespace();
    let (major, minor) = device(words.next()?)?;
    Some(BlockEntry {
        major,
        minor,
        op: words.next()?.to_owned(),
        value: words.next()?.parse().ok()?,
    })
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn huge_pages(files: &Files<'_>, pages: &mut BTreeMap<String, HugePages>) -> io::Result<()> {
    let now = match files.is_v1() {
        true => ".usage_in_bytes",
        false => ".current",
    };
    let entries = match std::fs::read_dir(&files.0.path) {
        Err(error) if is_gone(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let Some(size) = name
            .to_str()
            .and_then(|name| name.strip_prefix("hugetlb.")?.strip_suffix(now))
            // Another account of the same pages is `SIZE.rsvd`.
            .filter(|size| !size.contains('.'))
        else {
            continue;
        };
        let file = |name: &str| format!("hugetlb.{size}{name}");
        let one = match files.is_v1() {
            true => HugePages {
                usage: files.number(&file(now))?,
                max: files.number(&file(".max_usage_in_bytes"))?,
                failcnt: files.number(&file(".failcnt"))?,
            },
            false => HugePages {
                usage: files.number(&file(now))?,
                max: 0,
                failcnt: value_of(&files.text(&file(".events"))?, "max").unwrap_or_default(),
            },
        };
        pages.insert(size.to_owned(), one);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::directory::tests::fake;
    use super::*;

    #[test]
    fn the_unified_hierarchys_files_are_told_as_those_of_v1() {
        let (_folder, cgroup) = fake(
            Version::V2,
            &[
                (
                    "cpu.stat",
                    "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 9\nnr_throttled 1\nthrottled_usec 7\n",
                ),
                ("memory.stat", "anon 10\nfile 20\n"),
                ("memory.current", "100\n"),
                ("memory.max", "max\n"),
                ("memory.peak", "300\n"),
                ("memory.swap.current", "11\n"),
                ("memory.swap.max", "22\n"),
                ("pids.current", "2\n"),
                ("pids.max", "max\n"),
                (
                    "io.stat",
                    "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
                ),
                ("hugetlb.2MB.current", "2097152\n"),
                ("hugetlb.2MB.rsvd.current", "0\n"),
                ("hugetlb.2MB.events", "max 6\n"),
            ],
        );
        let usage = cgroup.usage().unwrap();
        let cpu = &usage.cpu.usage;
        assert_eq!((cpu.total, cpu.kernel, cpu.user), (5000, 2000, 3000));
        let throttling = &usage.cpu.throttling;
        assert_eq!((throttling.periods, throttling.throttled_time), (9, 7000));
        assert_eq!((usage.memory.cache, usage.memory.raw["anon"]), (20, 10));
        assert_eq!(
            (usage.memory.usage.limit, usage.memory.usage.max),
            (u64::MAX, 300)
        );
        assert_eq!(
            (usage.memory.swap.limit, usage.memory.swap.usage),
            (u64::MAX, 111)
        );
        assert_eq!((usage.pids.current, usage.pids.limit), (2, 0));
        let read = &usage.blkio.io_service_bytes_recursive[0];
        assert_eq!((read.major, read.op.as_str(), read.value), (8, "Read", 1));
        assert_eq!(usage.blkio.io_serviced_recursive.len(), 3);
        assert_eq!(usage.hugetlb.len(), 1);
        assert_eq!(usage.hugetlb["2MB"].failcnt, 6);
    }

    #[test]
    fn the_files_of_v1_are_told_and_what_is_missing_is_nothing() {
        // It has the memory controller alone.
        let (_folder, cgroup) = fake(
            Version::V1,
            &[
                ("memory.stat", "cache 7\n"),
                ("memory.usage_in_bytes", "5\n"),
                ("memory.memsw.failcnt", "3\n"),
                ("memory.kmem.tcp.limit_in_bytes", "9\n"),
            ],
        );
        let memory = cgroup.usage().unwrap().memory;
        assert_eq!((memory.cache, memory.usage.usage), (7, 5));
        assert_eq!((memory.swap.failcnt, memory.kernel_tcp.limit), (3, 9));
        let text = serde_json::to_string(&cgroup.usage().unwrap().cpu).unwrap();
        assert_eq!(text, r#"{"usage":{"kernel":0,"user":0},"throttling":{}}"#);
        assert_eq!(list("0-2,7\n"), [0, 1, 2, 7]);
        assert_eq!(v1_entry("Total 5"), None);
    }
}

//! From the resources of an OCI spec to the files of a layout: which value is written where, in which order.
//!
//! Pure. A limit whose controller the host does not offer is an error that names it: it is never left out silently.
//! "Unlimited" is what a new cgroup has anyway: for a new container it writes nothing and needs no controller.
//! Zero means "not set", as docker and runc have it. `memory.kernel` and `memory.useHierarchy` are ignored: kernels
//! since 5.4 and 5.11 have only one behaviour.

use std::{borrow::Cow, collections::BTreeMap};

use hoist_spec::oci::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxHugepageLimit, LinuxMemory, LinuxNetwork,
    LinuxPids, LinuxRdma, LinuxResources, LinuxThrottleDevice,
};
use serde::Serialize;

use super::{
    devices::{DevicePolicy, DeviceRule},
    layout::{Layout, Version},
};

/// Why a limit cannot be planned. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The host does not offer the controller.
    #[error("set {what}: the cgroup controller {controller} is not available: {reason}")]
    MissingController {
        /// What was asked for.
        what: &'static str,
        /// The controller, by the name it has on this host's cgroup version.
        controller: String,
        /// Why it is not there.
        reason: String,
    },
    /// The value makes no sense.
    #[error("{what} {value}: {reason}")]
    Invalid {
        /// What was asked for.
        what: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This host's cgroup version has no such limit.
    #[error("set {what} to {value}: {reason}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// The value.
        value: String,
        /// Why it cannot be had.
        reason: String,
    },
}

/// How a value is read back after it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The file cannot be read, or tells something else.
    No,
    /// The file holds this value; further words after it are the kernel's own.
    Words,
    /// A number that the kernel rounds down by less than this.
    Bytes(u64),
    /// A list of numbers and ranges, which the kernel writes its own way.
    List,
}

/// One value to write to one file of a container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Write {
    /// The index of the hierarchy in [`Layout::hierarchies`].
    pub hierarchy: usize,
    /// The controller.
    pub controller: &'static str,
    /// What it limits, in words.
    pub what: &'static str,
    /// The file.
    pub file: Cow<'static, str>,
    /// The value.
    pub value: String,
    /// How it is checked.
    pub check: Check,
    /// File and value where the kernel has not the first file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<(Cow<'static, str>, String)>,
}

impl Write {
    /// The step in words: `set memory limit: memory.limit_in_bytes = 536870912`.
    pub fn words(&self) -> String {
        let verb = if self.controller == "devices" {
            ""
        } else {
            "set "
        };
        format!("{verb}{}: {} = {}", self.what, self.file, self.value)
    }
}

/// What is to be done for a container's resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// The values to write, in order, after the cgroup was made and before a process is in it.
    pub writes: Vec<Write>,
    /// Controllers of the unified hierarchy that the writes need: they must be in `cgroup.subtree_control` of every
    /// ancestor.
    pub required: Vec<String>,
    /// Controllers of the unified hierarchy that no write needs and that account for what the container uses:
    /// enabled where that is allowed.
    pub accounting: Vec<String>,
    /// Where devices are governed by the unified hierarchy: the rules of the program to attach to the cgroup
    /// ([`DeviceProgram`](super::DeviceProgram)).
    pub device_program: Option<Vec<DeviceRule>>,
}

/// Whether a cgroup governs a container's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceControl {
    /// It does; a host where it cannot is an error.
    Enforce,
    /// It does not: in a user namespace the kernel itself allows neither mknod(2) nor nodes of others.
    Leave,
}

/// Plans the limits of a container that is to be made.
///
/// # Errors
///
/// See [`LimitError`]. All of `resources` is looked at, and the first fault is returned.
pub fn plan_limits(
    resources: &LinuxResources,
    layout: &Layout,
    devices: DeviceControl,
) -> Result<Limits, LimitError> {
    let mut planner = Planner::new(layout, None);
    if devices == DeviceControl::Enforce {
        planner.devices(resources.devices().as_deref().unwrap_or_default())?;
    }
    planner.resources(resources)?;
    planner.plan.accounting = planner.accounting();
    Ok(planner.plan)
}

/// What a file of a container's cgroup holds now: by the index of its hierarchy and its name.
pub type Current<'a> = &'a dyn Fn(usize, &str) -> Option<String>;

/// Plans a change of the limits of a container that runs, in an order that the kernel accepts at every step. `layout` has
/// the hierarchies that the container is in.
///
/// # Errors
///
/// As [`plan_limits`]; and device rules are refused: they are fixed when a container is made.
pub fn plan_change(
    resources: &LinuxResources,
    layout: &Layout,
    current: Current<'_>,
) -> Result<Vec<Write>, LimitError> {
    if resources
        .devices()
        .as_ref()
        .is_some_and(|rules| !rules.is_empty())
    {
        return Err(LimitError::Unsupported {
            what: "device rules",
            value: "other rules".to_owned(),
            reason: "they are fixed when a container is made".to_owned(),
        });
    }
    let mut planner = Planner::new(layout, Some(current));
    planner.resources(resources)?;
    Ok(planner.plan.writes)
}

/// A controller and where it is.
#[derive(Clone, Copy)]
struct At {
    hierarchy: usize,
    version: Version,
    controller: &'static str,
}

struct Planner<'a> {
    layout: &'a Layout,
    current: Option<Current<'a>>,
    plan: Limits,
}

/// The largest page size of any architecture: memory limits are rounded down to a page.
const PAGE: Check = Check::Bytes(64 << 10);

impl<'a> Planner<'a> {
    fn new(layout: &'a Layout, current: Option<Current<'a>>) -> Self {
        Self {
            layout,
            current,
            plan: Limits::default(),
        }
    }

    fn resources(&mut self, resources: &LinuxResources) -> Result<(), LimitError> {
        if let Some(memory) = resources.memory() {
            self.memory(memory)?;
        }
        if let Some(cpu) = resources.cpu() {
            self.cpu(cpu)?;
        }
        if let Some(pids) = resources.pids() {
            self.pids(pids)?;
        }
        if let Some(io) = resources.block_io() {
            self.block_io(io)?;
        }
        for limit in resources.hugepage_limits().iter().flatten() {
            self.huge_pages(limit)?;
        }
        if let Some(network) = resources.network() {
            self.network(network)?;
        }
        // The order of a hash table would make two plans of one spec differ.
        for (device, limit) in resources
            .rdma()
            .iter()
            .flatten()
            .collect::<BTreeMap<_, _>>()
        {
            self.rdma(device, limit)?;
        }
        for (key, value) in resources
            .unified()
            .iter()
            .flatten()
            .collect::<BTreeMap<_, _>>()
        {
            self.unified(key, value)?;
        }
        Ok(())
    }

    fn is_new(&self) -> bool {
        self.current.is_none()
    }

    fn now(&self, at: At, file: &str) -> Option<String> {
        self.current.and_then(|read| read(at.hierarchy, file))
    }

    /// Where the controller is that is called `v1` or `v2`.
    fn locate(
        &mut self,
        what: &'static str,
        v1: &'static str,
        v2: &'static str,
    ) -> Result<At, LimitError> {
        let hierarchy =
            self.layout
                .find(v1, v2)
                .map_err(|reason| LimitError::MissingController {
                    what,
                    controller: if self.layout.unified() == Some(0) {
                        v2
                    } else {
                        v1
                    }
                    .to_owned(),
                    reason,
                })?;
        let version = self.layout.hierarchies[hierarchy].version;
        let controller = match version {
            Version::V1 => v1,
            Version::V2 => {
                if !self.plan.required.iter().any(|required| required == v2) {
                    self.plan.required.push(v2.to_owned());
                }
                v2
            }
        };
        Ok(At {
            hierarchy,
            version,
            controller,
        })
    }

    fn write(
        &mut self,
        at: At,
        what: &'static str,
        file: impl Into<Cow<'static, str>>,
        value: impl ToString,
        check: Check,
    ) -> &mut Write {
        let writes = &mut self.plan.writes;
        writes.push(Write {
            hierarchy: at.hierarchy,
            controller: at.controller,
            what,
            file: file.into(),
            value: value.to_string(),
            check,
            instead: None,
        });
        // Just pushed.
        let last = writes.len() - 1;
        &mut writes[last]
    }

    fn memory(&mut self, memory: &LinuxMemory) -> Result<(), LimitError> {
        const LIMIT: &str = "memory limit";
        const SWAP: &str = "memory and swap limit";
        const RESERVATION: &str = "memory reservation";
        let limit = Bound::of(LIMIT, memory.limit())?;
        let swap = Bound::of(SWAP, memory.swap())?;
        let reservation = Bound::of(RESERVATION, memory.reservation())?;
        if let (Some(Bound::At(limit)), Some(Bound::At(swap))) = (limit, swap)
            && swap < limit
        {
            return Err(invalid(
                SWAP,
                swap,
                &format!("it holds the memory limit, {limit}, and cannot be less"),
            ));
        }
        // What stays above a limit that is taken away would be refused by the kernel.
        let swap = match (limit, swap) {
            (Some(Bound::None), None) => limit,
            _ => swap,
        };
        let (limit, swap) = (self.wanted(limit), self.wanted(swap));
        if let (true, Some(Bound::At(both)), None) = (self.is_new(), swap, limit) {
            return Err(invalid(SWAP, both, "it needs a memory limit"));
        }
        if limit.is_some() || swap.is_some() {
            let what = if limit.is_some() { LIMIT } else { SWAP };
            let at = self.locate(what, "memory", "memory")?;
            if let Some(limit) = limit
                && memory.check_before_update() == Some(true)
            {
                self.check_usage(at, limit)?;
            }
            match at.version {
                Version::V1 => self.memory_v1(at, limit, swap),
                Version::V2 => self.memory_v2(at, limit, swap)?,
            }
        }
        if let Some(reservation) = self.wanted(reservation) {
            let at = self.locate(RESERVATION, "memory", "memory")?;
            match at.version {
                Version::V1 => {
                    let value = reservation.text("-1");
                    self.write(at, RESERVATION, "memory.soft_limit_in_bytes", value, PAGE)
                }
                Version::V2 => {
                    let value = reservation.text("0");
                    self.write(at, RESERVATION, "memory.low", value, PAGE)
                }
            };
        }
        if let Some(tcp) = self.wanted(Bound::of("TCP memory limit", memory.kernel_tcp())?) {
            let at = self.v1_only("TCP memory limit", "memory", tcp.text("-1"))?;
            let file = "memory.kmem.tcp.limit_in_bytes";
            self.write(at, "TCP memory limit", file, tcp.text("-1"), PAGE);
        }
        if let Some(swappiness) = memory.swappiness() {
            if swappiness > 200 {
                return Err(invalid("swappiness", swappiness, "it is at most 200"));
            }
            let at = self.v1_only("swappiness", "memory", swappiness)?;
            self.write(
                at,
                "swappiness",
                "memory.swappiness",
                swappiness,
                Check::Words,
            );
        }
        if memory.disable_oom_killer() == Some(true) {
            let at = self.v1_only("OOM killer", "memory", "off")?;
            self.write(at, "OOM killer off", "memory.oom_control", 1, Check::No);
        }
        Ok(())
    }

    fn memory_v1(&mut self, at: At, limit: Option<Bound>, swap: Option<Bound>) {
        const SWAP: &str = "memory.memsw.limit_in_bytes";
        let now = self
            .now(at, SWAP)
            .and_then(|text| text.trim().parse::<u64>().ok());
        let mut values = [
            limit.map(|limit| ("memory limit", "memory.limit_in_bytes", limit)),
            swap.map(|swap| ("memory and swap limit", SWAP, swap)),
        ];
        // The kernel keeps "memory ≤ memory and swap" at every moment: the sum goes first when it grows.
        let grows = match (swap, now) {
            (Some(Bound::At(swap)), Some(now)) => swap >= now,
            (Some(Bound::None), _) => true,
            _ => false,
        };
        if grows {
            values.reverse();
        }
        for (what, file, bound) in values.into_iter().flatten() {
            self.write(at, what, file, bound.text("-1"), PAGE);
        }
    }

    /// v2 limits swap alone, OCI memory and swap together.
    fn memory_v2(
        &mut self,
        at: At,
        limit: Option<Bound>,
        swap: Option<Bound>,
    ) -> Result<(), LimitError> {
        if let Some(swap) = swap {
            let memory = match limit {
                Some(Bound::At(limit)) => Some(limit),
                Some(Bound::None) => None,
                None => self
                    .now(at, "memory.max")
                    .and_then(|text| text.trim().parse().ok()),
            };
            let alone = match (swap, memory) {
                (Bound::None, _) => Bound::None,
                (Bound::At(both), Some(memory)) if memory <= both => Bound::At(both - memory),
                (Bound::At(both), _) => {
                    return Err(invalid(
                        "memory and swap limit",
                        both,
                        "it needs a memory limit that is not higher",
                    ));
                }
            };
            let value = alone.text("max");
            self.write(at, "swap limit", "memory.swap.max", value, PAGE);
        }
        if let Some(limit) = limit {
            self.write(at, "memory limit", "memory.max", limit.text("max"), PAGE);
        }
        Ok(())
    }

    fn check_usage(&self, at: At, limit: Bound) -> Result<(), LimitError> {
        let file = match at.version {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        };
        let usage = self
            .now(at, file)
            .and_then(|text| text.trim().parse::<u64>().ok());
        match (limit, usage) {
            (Bound::At(limit), Some(usage)) if limit < usage => Err(invalid(
                "memory limit",
                limit,
                &format!("the container uses {usage}, and the limit is to be checked before"),
            )),
            _ => Ok(()),
        }
    }

    fn cpu(&mut self, cpu: &LinuxCpu) -> Result<(), LimitError> {
        let idle = cpu.idle();
        if let Some(idle) = idle
            && !matches!(idle, 0 | 1)
        {
            return Err(invalid("CPU idle", idle, "it is 0 or 1"));
        }
        // An idle cgroup refuses shares.
        if idle == Some(0) {
            self.idle(0)?;
        }
        if let Some(shares) = cpu.shares().filter(|&shares| shares != 0) {
            self.shares(shares)?;
        }
        if idle == Some(1) {
            self.idle(1)?;
        }
        self.bandwidth(cpu)?;
        if let Some(period) = cpu.realtime_period().filter(|&period| period != 0) {
            const WHAT: &str = "CPU realtime period";
            let at = self.v1_only(WHAT, "cpu", period)?;
            self.write(at, WHAT, "cpu.rt_period_us", period, Check::Words);
        }
        if let Some(runtime) = cpu.realtime_runtime().filter(|&runtime| runtime != 0) {
            const WHAT: &str = "CPU realtime runtime";
            let at = self.v1_only(WHAT, "cpu", runtime)?;
            self.write(at, WHAT, "cpu.rt_runtime_us", runtime, Check::Words);
        }
        for (what, file, list) in [
            ("CPUs", "cpuset.cpus", cpu.cpus()),
            ("memory nodes", "cpuset.mems", cpu.mems()),
        ] {
            let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else {
                continue;
            };
            if numbers(list).is_none() {
                return Err(invalid(
                    what,
                    list,
                    "it is a list of numbers and ranges, such as 0-2,7",
                ));
            }
            let at = self.locate(what, "cpuset", "cpuset")?;
            self.write(at, what, file, list, Check::List);
        }
        Ok(())
    }

    fn idle(&mut self, idle: i64) -> Result<(), LimitError> {
        if idle == 0 && self.is_new() {
            return Ok(());
        }
        let at = self.locate("CPU idle", "cpu", "cpu")?;
        self.write(at, "CPU idle", "cpu.idle", idle, Check::Words);
        Ok(())
    }

    fn shares(&mut self, shares: u64) -> Result<(), LimitError> {
        if !(2..=262_144).contains(&shares) {
            return Err(invalid("CPU shares", shares, "they are from 2 to 262144"));
        }
        let at = self.locate("CPU shares", "cpu", "cpu")?;
        match at.version {
            Version::V1 => self.write(at, "CPU shares", "cpu.shares", shares, Check::Words),
            Version::V2 => self.write(
                at,
                "CPU weight",
                "cpu.weight",
                weight_of(shares),
                Check::Words,
            ),
        };
        Ok(())
    }

    fn bandwidth(&mut self, cpu: &LinuxCpu) -> Result<(), LimitError> {
        const QUOTA: &str = "CPU quota";
        const PERIOD: &str = "CPU period";
        const BURST: &str = "CPU burst";
        let quota = Bound::of(QUOTA, cpu.quota())?;
        let period = cpu.period().filter(|&period| period != 0);
        let burst = cpu
            .burst()
            .filter(|&burst| burst != 0 || self.current.is_some());
        if let (Some(Bound::At(quota)), Some(burst)) = (quota, burst)
            && burst > quota
        {
            return Err(invalid(
                BURST,
                burst,
                &format!("it is at most the CPU quota, {quota}"),
            ));
        }
        let first = self.plan.writes.len();
        let quota = self.wanted(quota);
        if quota.is_some() || period.is_some() {
            let at = self.locate(if quota.is_some() { QUOTA } else { PERIOD }, "cpu", "cpu")?;
            match at.version {
                Version::V1 => {
                    if let Some(period) = period {
                        self.write(at, PERIOD, "cpu.cfs_period_us", period, Check::Words);
                    }
                    if let Some(quota) = quota {
                        let value = quota.text("-1");
                        self.write(at, QUOTA, "cpu.cfs_quota_us", value, Check::Words);
                    }
                }
                Version::V2 => {
                    let quota = match quota {
                        Some(quota) => quota.text("max"),
                        None => self
                            .now(at, "cpu.max")
                            .and_then(|text| text.split(' ').next().map(str::to_owned))
                            .unwrap_or_else(|| "max".to_owned()),
                    };
                    let value = match period {
                        Some(period) => format!("{quota} {period}"),
                        None => quota,
                    };
                    self.write(at, "CPU quota", "cpu.max", value, Check::Words);
                }
            }
        }
        if let Some(burst) = burst {
            let at = self.locate(BURST, "cpu", "cpu")?;
            let file = match at.version {
                Version::V1 => "cpu.cfs_burst_us",
                Version::V2 => "cpu.max.burst",
            };
            self.write(at, BURST, file, burst, Check::Words);
            // The kernel keeps "burst ≤ quota" at every moment: what shrinks goes first.
            let now = self
                .now(at, file)
                .and_then(|text| text.trim().parse::<u64>().ok());
            if now.is_some_and(|now| burst <= now) {
                self.plan.writes[first..].rotate_right(1);
            }
        }
        Ok(())
    }

    fn pids(&mut self, pids: &LinuxPids) -> Result<(), LimitError> {
        const WHAT: &str = "process limit";
        let limit = match pids.limit() {
            0 => return Ok(()),
            negative @ ..0 => Bound::of(WHAT, Some(negative.max(-1)))?,
            limit => Bound::of(WHAT, Some(limit))?,
        };
        if let Some(limit) = self.wanted(limit) {
            let at = self.locate(WHAT, "pids", "pids")?;
            self.write(at, WHAT, "pids.max", limit.text("max"), Check::Words);
        }
        Ok(())
    }

    fn block_io(&mut self, io: &LinuxBlockIo) -> Result<(), LimitError> {
        const WEIGHT: &str = "block I/O weight";
        let in_range = |weight: u16| {
            if (10..=1000).contains(&weight) {
                Ok(weight)
            } else {
                Err(invalid(WEIGHT, weight, "it is from 10 to 1000"))
            }
        };
        if let Some(weight) = io.weight().filter(|&weight| weight != 0) {
            let weight = in_range(weight)?;
            let at = self.locate(WEIGHT, "blkio", "io")?;
            let (file, instead) = match at.version {
                Version::V1 => (
                    "blkio.bfq.weight",
                    (Cow::from("blkio.weight"), weight.to_string()),
                ),
                Version::V2 => (
                    "io.bfq.weight",
                    (Cow::from("io.weight"), io_weight(weight).to_string()),
                ),
            };
            self.write(at, WEIGHT, file, weight, Check::No).instead = Some(instead);
        }
        for device in io.weight_device().iter().flatten() {
            if let Some(leaf) = device.leaf_weight().filter(|&leaf| leaf != 0) {
                return Err(leaf_weight(leaf));
            }
            let Some(weight) = device.weight().filter(|&weight| weight != 0) else {
                continue;
            };
            let at = self.locate(WEIGHT, "blkio", "io")?;
            let key = format!("{}:{}", device.major(), device.minor());
            let value = format!("{key} {}", in_range(weight)?);
            let (file, instead) = match at.version {
                Version::V1 => (
                    "blkio.bfq.weight_device",
                    ("blkio.weight_device", value.clone()),
                ),
                Version::V2 => (
                    "io.bfq.weight",
                    ("io.weight", format!("{key} {}", io_weight(weight))),
                ),
            };
            self.write(at, WEIGHT, file, value, Check::No).instead =
                Some((instead.0.into(), instead.1));
        }
        if let Some(leaf) = io.leaf_weight().filter(|&leaf| leaf != 0) {
            return Err(leaf_weight(leaf));
        }
        self.throttle(
            io.throttle_read_bps_device().as_deref(),
            "read_bps_device",
            "rbps",
        )?;
        self.throttle(
            io.throttle_write_bps_device().as_deref(),
            "write_bps_device",
            "wbps",
        )?;
        self.throttle(
            io.throttle_read_iops_device().as_deref(),
            "read_iops_device",
            "riops",
        )?;
        self.throttle(
            io.throttle_write_iops_device().as_deref(),
            "write_iops_device",
            "wiops",
        )
    }

    fn throttle(
        &mut self,
        devices: Option<&[LinuxThrottleDevice]>,
        v1: &str,
        v2: &str,
    ) -> Result<(), LimitError> {
        const WHAT: &str = "block I/O rate";
        for device in devices.unwrap_or_default() {
            let at = self.locate(WHAT, "blkio", "io")?;
            let (key, rate) = (
                format!("{}:{}", device.major(), device.minor()),
                device.rate(),
            );
            match at.version {
                Version::V1 => {
                    let file = format!("blkio.throttle.{v1}");
                    self.write(at, WHAT, file, format!("{key} {rate}"), Check::No)
                }
                Version::V2 => {
                    // On v1, and so in OCI, zero takes the rate away.
                    let rate = if rate == 0 {
                        "max".to_owned()
                    } else {
                        rate.to_string()
                    };
                    self.write(at, WHAT, "io.max", format!("{key} {v2}={rate}"), Check::No)
                }
            };
        }
        Ok(())
    }

    fn huge_pages(&mut self, limit: &LinuxHugepageLimit) -> Result<(), LimitError> {
        const WHAT: &str = "huge page limit";
        let size = limit.page_size();
        let Some(bytes) = huge_page_bytes(size) else {
            return Err(invalid(WHAT, size, "a page size is such as 64KB, 2MB, 1GB"));
        };
        let bound = match limit.limit() {
            0 => Bound::At(0),
            other => Bound::of(WHAT, Some(other))?.unwrap_or(Bound::None),
        };
        if bound == Bound::None && self.is_new() {
            return Ok(());
        }
        let at = self.locate(WHAT, "hugetlb", "hugetlb")?;
        let (last, unlimited) = match at.version {
            Version::V1 => ("limit_in_bytes", "-1"),
            Version::V2 => ("max", "max"),
        };
        // What is reserved by mmap(2) and what is in use are accounted apart.
        for kind in ["", "rsvd."] {
            let file = format!("hugetlb.{size}.{kind}{last}");
            self.write(at, WHAT, file, bound.text(unlimited), Check::Bytes(bytes));
        }
        Ok(())
    }

    fn network(&mut self, network: &LinuxNetwork) -> Result<(), LimitError> {
        if let Some(class) = network.class_id().filter(|&class| class != 0) {
            let at = self.v1_only("network class", "net_cls", class)?;
            self.write(at, "network class", "net_cls.classid", class, Check::Words);
        }
        for priority in network.priorities().iter().flatten() {
            let value = format!("{} {}", priority.name(), priority.priority());
            let at = self.v1_only("network priority", "net_prio", &value)?;
            self.write(
                at,
                "network priority",
                "net_prio.ifpriomap",
                value,
                Check::No,
            );
        }
        Ok(())
    }

    fn rdma(&mut self, device: &str, limit: &LinuxRdma) -> Result<(), LimitError> {
        let at = self.locate("RDMA limit", "rdma", "rdma")?;
        let mut value = device.to_owned();
        for (name, limit) in [
            ("hca_handle", limit.hca_handles()),
            ("hca_object", limit.hca_objects()),
        ] {
            if let Some(limit) = limit {
                value.push_str(&format!(" {name}={limit}"));
            }
        }
        self.write(at, "RDMA limit", "rdma.max", value, Check::No);
        Ok(())
    }

    fn unified(&mut self, key: &str, value: &str) -> Result<(), LimitError> {
        const WHAT: &str = "unified resource";
        let controller = match key.split_once('.') {
            Some((controller, rest)) if !rest.is_empty() && !key.contains(['/', '\n', '\0']) => {
                controller
            }
            _ => {
                return Err(invalid(
                    WHAT,
                    key,
                    "it is the name of a file of a controller",
                ));
            }
        };
        let own_file = matches!(key, "cgroup.max.depth" | "cgroup.max.descendants");
        if controller == "cgroup" && !own_file {
            return Err(invalid(
                WHAT,
                key,
                "it would change what Hoist does with the cgroup itself",
            ));
        }
        let Some(hierarchy) = self.layout.unified() else {
            return Err(LimitError::Unsupported {
                what: WHAT,
                value: format!("{key} = {value}"),
                reason: "this host has no cgroup v2 hierarchy".to_owned(),
            });
        };
        if !own_file {
            let offered = &self.layout.hierarchies[hierarchy].controllers;
            if !offered.iter().any(|offered| offered == controller) {
                return Err(LimitError::MissingController {
                    what: WHAT,
                    controller: controller.to_owned(),
                    reason: "the cgroup v2 hierarchy does not offer it".to_owned(),
                });
            }
            if !self.plan.required.iter().any(|name| name == controller) {
                self.plan.required.push(controller.to_owned());
            }
        }
        let at = At {
            hierarchy,
            version: Version::V2,
            controller: "unified",
        };
        self.write(at, WHAT, key.to_owned(), value, Check::No);
        Ok(())
    }

    fn devices(&mut self, rules: &[LinuxDeviceCgroup]) -> Result<(), LimitError> {
        const WHAT: &str = "device rules";
        let rules = DeviceRule::for_container(rules)?;
        let reason = match self.layout.find("devices", "devices") {
            Ok(hierarchy) => {
                return self.v1_devices(hierarchy, &rules);
            }
            Err(reason) => reason,
        };
        if self.layout.unified().is_none() {
            return Err(LimitError::MissingController {
                what: WHAT,
                controller: "devices".to_owned(),
                reason,
            });
        }
        let everything = DevicePolicy::from_rules(&rules)
            .is_ok_and(|policy| policy.allow && policy.exceptions.is_empty());
        self.plan.device_program = (!everything).then_some(rules);
        Ok(())
    }

    fn v1_devices(&mut self, hierarchy: usize, rules: &[DeviceRule]) -> Result<(), LimitError> {
        let policy = DevicePolicy::from_rules(rules)?;
        let at = At {
            hierarchy,
            version: Version::V1,
            controller: "devices",
        };
        // A new cgroup has its parent's policy, and can have no wider one.
        if !policy.allow {
            self.write(at, "deny all devices", "devices.deny", "a", Check::No);
        }
        let (what, file) = if policy.allow {
            ("deny device", "devices.deny")
        } else {
            ("allow device", "devices.allow")
        };
        for exception in policy.exceptions {
            self.write(at, what, file, exception, Check::No);
        }
        Ok(())
    }

    fn v1_only(
        &mut self,
        what: &'static str,
        controller: &'static str,
        value: impl ToString,
    ) -> Result<At, LimitError> {
        let at = self.locate(what, controller, controller)?;
        match at.version {
            Version::V1 => Ok(at),
            Version::V2 => Err(LimitError::Unsupported {
                what,
                value: value.to_string(),
                reason: "cgroup v2 has no such setting".to_owned(),
            }),
        }
    }

    /// Leaves out what a new cgroup has anyway.
    fn wanted(&self, bound: Option<Bound>) -> Option<Bound> {
        bound.filter(|bound| *bound != Bound::None || !self.is_new())
    }

    fn accounting(&self) -> Vec<String> {
        let Some(unified) = self.layout.unified() else {
            return Vec::new();
        };
        ["cpu", "memory", "pids"]
            .into_iter()
            .filter(|name| {
                self.layout.hierarchies[unified]
                    .controllers
                    .iter()
                    .any(|offered| offered == name)
                    && !self.plan.required.iter().any(|required| required == name)
            })
            .map(str::to_owned)
            .collect()
    }
}

/// A limit: a number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    At(u64),
    None,
}

impl Bound {
    fn of(what: &'static str, value: Option<i64>) -> Result<Option<Self>, LimitError> {
        Ok(match value {
            None | Some(0) => None,
            Some(-1) => Some(Self::None),
            Some(value) => Some(Self::At(u64::try_from(value).map_err(|_| {
                invalid(what, value, "it is a positive number, or -1 for unlimited")
            })?)),
        })
    }

    fn text(self, unlimited: &str) -> String {
        match self {
            Self::At(value) => value.to_string(),
            Self::None => unlimited.to_owned(),
        }
    }
}

fn invalid(what: &'static str, value: impl ToString, reason: &str) -> LimitError {
    LimitError::Invalid {
        what,
        value: value.to_string(),
        reason: reason.to_owned(),
    }
}

fn leaf_weight(leaf: u16) -> LimitError {
    LimitError::Unsupported {
        what: "block I/O leaf weight",
        value: leaf.to_string(),
        reason: "only the CFQ scheduler had it, which kernels since 5.0 have not".to_owned(),
    }
}

/// The v2 weight (1 to 10000, by default 100) of v1 shares (2 to 262144, by default 1024).
///
/// The curve through those three points that Kubernetes, runc and crun agreed on; a straight line would make the
/// default 39.
fn weight_of(shares: u64) -> u64 {
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    (10f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

/// The v2 weight (1 to 10000) of a v1 weight (10 to 1000).
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight) - 10) * 9999 / 990
}

fn huge_page_bytes(size: &str) -> Option<u64> {
    let (number, unit) = [("KB", 10), ("MB", 20), ("GB", 30)]
        .into_iter()
        .find_map(|(name, shift)| size.strip_suffix(name).map(|number| (number, shift)))?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << unit)
}

/// The ranges of a list such as `0-2,7`, sorted and joined.
fn numbers(list: &str) -> Option<Vec<(u32, u32)>> {
    let mut ranges = list
        .trim()
        .split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some((first, last))
        })
        .collect::<Option<Vec<(u32, u32)>>>()?;
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    Some(joined)
}

/// Whether a file that now reads as `kept` holds what was written.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "used where limits are applied")
)]
pub(crate) fn agrees(check: Check, written: &str, kept: &str) -> bool {
    match check {
        Check::No => true,
        Check::Words => {
            let mut kept = kept.split_ascii_whitespace();
            written
                .split_ascii_whitespace()
                .all(|word| kept.next() == Some(word))
        }
        Check::Bytes(step) => match (written.parse::<u64>(), kept.trim().parse::<u64>()) {
            (Ok(written), Ok(kept)) => kept <= written && written - kept < step,
            // "-1" reads as a number near 2^63 on v1, and as "max" on v2.
            (Err(_), Ok(kept)) => kept > i64::MAX as u64 - (1 << 40),
            (_, Err(_)) => written == kept.trim(),
        },
        Check::List => numbers(written) == numbers(kept),
    }
}

/// What to write to make a file whose text was `before` hold that again, after `written` was written to it.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "used where limits are applied")
)]
pub(crate) fn undo(file: &str, written: &str, before: &str) -> String {
    let key = written.split(' ').next().unwrap_or_default();
    if !key.contains(':') {
        return before.lines().next().unwrap_or_default().to_owned();
    }
    let line = before
        .lines()
        .find(|line| line.split(' ').next() == Some(key));
    match line {
        Some(line) => line.to_owned(),
        None if file == "io.max" => format!("{key} rbps=max wbps=max riops=max wiops=max"),
        None if file == "io.weight" || file == "io.bfq.weight" => format!("{key} default"),
        None => format!("{key} 0"),
    }
}

#[cfg(test)]
mod tests;

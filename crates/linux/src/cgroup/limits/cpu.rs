//! CPU time and CPUs.

use hoist_spec::oci::LinuxCpu;

use super::{Bound, Check, LimitError, Planner, Version, check::numbers, invalid};

impl Planner<'_> {
    pub(super) fn cpu(&mut self, cpu: &LinuxCpu) -> Result<(), LimitError> {
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
}

/// The v2 weight (1 to 10000, by default 100) of v1 shares (2 to 262144, by default 1024).
///
/// The curve through those three points that Kubernetes, runc and crun agreed on; a straight line would make the
/// default 39.
pub(super) fn weight_of(shares: u64) -> u64 {
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    (10f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

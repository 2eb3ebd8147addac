//! Memory and swap.

use hoist_spec::oci::LinuxMemory;

use super::{At, Bound, Check, LimitError, PAGE, Planner, Version, invalid};

impl Planner<'_> {
    pub(super) fn memory(&mut self, memory: &LinuxMemory) -> Result<(), LimitError> {
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
}

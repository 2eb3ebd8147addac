//! What is counted or named: processes, huge pages, network classes, RDMA handles, and keys of the unified hierarchy.

use hoist_spec::oci::{LinuxHugepageLimit, LinuxNetwork, LinuxPids, LinuxRdma};

use super::{At, Bound, Check, LimitError, Planner, Version, invalid};

impl Planner<'_> {
    pub(super) fn pids(&mut self, pids: &LinuxPids) -> Result<(), LimitError> {
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

    pub(super) fn huge_pages(&mut self, limit: &LinuxHugepageLimit) -> Result<(), LimitError> {
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

    pub(super) fn network(&mut self, network: &LinuxNetwork) -> Result<(), LimitError> {
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

    pub(super) fn rdma(&mut self, device: &str, limit: &LinuxRdma) -> Result<(), LimitError> {
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

    pub(super) fn unified(&mut self, key: &str, value: &str) -> Result<(), LimitError> {
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

//! Weights and rates of block devices.

use std::borrow::Cow;

use hoist_spec::oci::{LinuxBlockIo, LinuxThrottleDevice};

use super::{Check, LimitError, Planner, Version, invalid};

impl Planner<'_> {
    pub(super) fn block_io(&mut self, io: &LinuxBlockIo) -> Result<(), LimitError> {
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
}

fn leaf_weight(leaf: u16) -> LimitError {
    LimitError::Unsupported {
        what: "block I/O leaf weight",
        value: leaf.to_string(),
        reason: "only the CFQ scheduler had it, which kernels since 5.0 have not".to_owned(),
    }
}

/// The v2 weight (1 to 10000) of a v1 weight (10 to 1000).
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight) - 10) * 9999 / 990
}

//! Devices, by the files of version 1 or a program of version 2.

use hoist_spec::oci::LinuxDeviceCgroup;

use super::{At, Check, LimitError, Planner, Version};
use crate::cgroup::devices::{DevicePolicy, DeviceRule};

impl Planner<'_> {
    pub(super) fn devices(&mut self, rules: &[LinuxDeviceCgroup]) -> Result<(), LimitError> {
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
}

//! A spec with other limits than it had.

use oci_spec::runtime::{Linux, LinuxResources};
use serde_json::Value;

use crate::ContainerSpec;

/// What tells one entry of a list of limits from another: the others say how much.
const KEYS: [&str; 4] = ["major", "minor", "pageSize", "name"];

impl ContainerSpec {
    /// The spec with those limits that `changed` names in place of its own; its device rules stay.
    ///
    /// # Errors
    /// The two do not make resources together.
    pub fn with_resources(mut self, changed: &LinuxResources) -> serde_json::Result<Self> {
        let linux = self.oci.linux_mut().get_or_insert_with(Linux::default);
        let own = linux.resources().clone().unwrap_or_default();
        let is_lifted = changed.memory().is_some_and(|memory| {
            memory.limit().is_some_and(|limit| limit < 0) && memory.swap().is_none()
        });
        let mut all = serde_json::to_value(&own)?;
        merge(&mut all, serde_json::to_value(changed)?);
        let mut all: LinuxResources = serde_json::from_value(all)?;
        all.set_devices(own.devices().clone());
        if is_lifted && let Some(memory) = all.memory_mut() {
            // The limit of both together is nothing without that of memory.
            memory.set_swap(Some(-1));
        }
        linux.set_resources(Some(all));
        Ok(self)
    }
}

fn merge(own: &mut Value, changed: Value) {
    match (own, changed) {
        (_, Value::Null) => {}
        (Value::Object(own), Value::Object(changed)) => {
            for (name, value) in changed {
                merge(own.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(own), Value::Array(changed)) => {
            let is_about = |entry: &Value| KEYS.map(|key| entry.get(key).cloned());
            own.retain(|entry| !changed.iter().any(|new| is_about(new) == is_about(entry)));
            own.extend(changed);
        }
        (own, changed) => *own = changed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Command;

    #[test]
    fn limits_that_are_named_take_the_place_of_those_of_the_spec_and_the_others_stay() {
        let mut command = Command::new();
        command.process_config.entrypoint = "/bin/sh".to_owned();
        command.resources.memory = 100 << 20;
        command.resources.cpu_shares = 7;
        let spec = command.to_container_spec().unwrap();
        let change = |spec: ContainerSpec, change: Value| {
            let change: LinuxResources = serde_json::from_value(change).unwrap();
            spec.with_resources(&change).unwrap()
        };
        let rate = |minor: u64, rate: u64| json!({"major": 8, "minor": minor, "rate": rate});
        let changed = change(
            spec.clone(),
            json!({
                "memory": {"limit": 5},
                "blockIO": {"throttleReadBpsDevice": [rate(0, 1), rate(1, 2)]},
            }),
        );
        let changed = change(
            changed,
            json!({"blockIO": {"throttleReadBpsDevice": [rate(1, 3)]}}),
        );
        let all = serde_json::to_value(&changed.oci).unwrap()["linux"]["resources"].take();
        assert_eq!(all["memory"]["limit"], 5);
        assert_eq!(all["cpu"]["shares"], 7);
        let lifted = change(changed.clone(), json!({"memory": {"limit": -1}}));
        let lifted = serde_json::to_value(&lifted.oci).unwrap();
        let memory = &lifted["linux"]["resources"]["memory"];
        assert_eq!(memory, &json!({"limit": -1, "swap": -1}));
        let rates = json!([rate(0, 1), rate(1, 3)]);
        assert_eq!(all["blockIO"]["throttleReadBpsDevice"], rates);
        let devices = |spec: &ContainerSpec| {
            let linux = spec.oci.linux().clone().unwrap();
            linux.resources().clone().unwrap().devices().clone()
        };
        assert_eq!(devices(&changed), devices(&spec));
    }
}

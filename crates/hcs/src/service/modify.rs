//! Changes of limits as the service's requests.

use hoist_compute::{Error, ErrorKind, Phase, Result};
use hoist_spec::{ContainerId, oci::LinuxResources};

use crate::documents::{modify::ModifySetting, schema2::Processor, to_text};

fn refused(id: &ContainerId, what: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        Phase::Plan,
        format!("change {what} of container {id}: {why}"),
    )
    .about(id.as_str())
}

/// The requests for all that `resources` names, or an error for what the service cannot change; then nothing is to be sent.
pub(super) fn requests(id: &ContainerId, resources: &LinuxResources) -> Result<Vec<String>> {
    let unreadable = |error| refused(id, "limits", "they have no form in JSON").because(error);
    let value = serde_json::to_value(resources).map_err(unreadable)?;
    let mut settings = Vec::new();
    for (group, members) in value.as_object().into_iter().flatten() {
        for (name, wanted) in members.as_object().into_iter().flatten() {
            if wanted.is_null() {
                continue;
            }
            let number = wanted.as_u64();
            settings.push(match (group.as_str(), name.as_str(), number) {
                ("memory", "limit", Some(bytes)) if bytes > 0 => ModifySetting::memory(bytes),
                ("cpu", "shares", Some(weight @ 1..=10_000)) => {
                    let processor = Processor {
                        weight: u32::try_from(weight).unwrap_or_default(),
                        ..Processor::default()
                    };
                    ModifySetting::processor(processor).map_err(unreadable)?
                }
                _ => {
                    return Err(refused(
                        id,
                        &format!("{group}.{name}"),
                        "Windows changes the memory limit and a processor weight of 1 to 10000 while a container runs",
                    ));
                }
            });
        }
        let is_plain = !members.is_object() && !members.is_null();
        if is_plain && members.as_array().is_none_or(|all| !all.is_empty()) {
            return Err(refused(id, group, "Windows has nothing like it"));
        }
    }
    settings
        .iter()
        .map(|setting| to_text(setting).map_err(unreadable))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(resources: serde_json::Value) -> Result<Vec<String>> {
        let resources = serde_json::from_value(resources).unwrap();
        requests(&"c1".parse().unwrap(), &resources)
    }

    #[test]
    fn what_windows_can_change_becomes_a_request_and_all_else_is_refused_by_name() {
        let memory = ask(serde_json::json!({"memory": {"limit": 64 << 20}})).unwrap();
        assert_eq!(
            memory,
            [
                r#"{"ResourcePath":"Container/Memory/SizeInMB","RequestType":"Update","Settings":64}"#
            ]
        );
        let refused = ask(serde_json::json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 4}}));
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("pids.limit"), "{error}");
        assert!(ask(serde_json::json!({"cpu": {"shares": 20_000}})).is_err());
        assert!(ask(serde_json::json!({})).unwrap().is_empty());
    }
}

//! Which class of Intel's Resource Director Technology a container is in, and what that is limited to (OCI runtime spec,
//! "IntelRdt"). Pure.

use hoist_spec::ContainerId;
use hoist_spec::oci::Spec;

use super::PlanError;

/// What the kernel has in a resctrl file system beside groups.
const TAKEN: [&str; 3] = ["info", "mon_groups", "mon_data"];

/// A group of resctrl, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdtGroup {
    /// Its directory in the resctrl file system; empty for the root group, which every process is in.
    pub name: String,
    /// Whether it must be there: nothing is said of what it would be limited to.
    pub must_exist: bool,
    /// Whether it bears the container's own id, and is to be made for it alone.
    pub is_own: bool,
    /// The lines of its `schemata`.
    pub schemata: Vec<String>,
    /// The monitoring group that is made in it for the container.
    pub monitoring: Option<String>,
}

/// The group that a spec asks for.
pub(super) fn of(oci: &Spec, id: &ContainerId) -> Result<Option<RdtGroup>, PlanError> {
    let asked = oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.intel_rdt().as_ref());
    let Some(asked) = asked else {
        return Ok(None);
    };
    let invalid = |what: &str, value: &str, reason: &str| PlanError::invalid(what, value, reason);
    let mut schemata = Vec::new();
    let cache = asked
        .l3_cache_schema()
        .iter()
        .flat_map(|lines| lines.lines());
    let bandwidth = asked.mem_bw_schema().iter().flat_map(|lines| lines.lines());
    // The list is the newer field, and counts where it has the same.
    let listed = asked.schemata().iter().flatten().map(String::as_str);
    for (name, line) in cache
        .map(|line| ("linux.intelRdt.l3CacheSchema", line))
        .chain(bandwidth.map(|line| ("linux.intelRdt.memBwSchema", line)))
        .chain(listed.map(|line| ("linux.intelRdt.schemata", line)))
    {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if !is_line(line) {
            return Err(invalid(
                name,
                line,
                "it is no line of schemata, RESOURCE:ID=VALUE;ID=VALUE",
            ));
        }
        if name.ends_with("memBwSchema") && line.starts_with("L3:")
            || name.ends_with("l3CacheSchema") && line.starts_with("MB:")
        {
            return Err(invalid(name, line, "it is of the other field"));
        }
        schemata.push(line.to_owned());
    }
    let given = asked.clos_id().as_deref().filter(|given| !given.is_empty());
    let name = given.unwrap_or(id.as_str());
    let is_root = name == "/";
    if !is_root && (name.contains('/') || TAKEN.contains(&name) || matches!(name, "." | "..")) {
        return Err(invalid(
            "linux.intelRdt.closID",
            name,
            "it is no name of a group of resctrl",
        ));
    }
    Ok(Some(RdtGroup {
        name: if is_root {
            String::new()
        } else {
            name.to_owned()
        },
        must_exist: is_root || (given.is_some() && schemata.is_empty()),
        is_own: given.is_none(),
        schemata,
        monitoring: asked
            .enable_monitoring()
            .unwrap_or(false)
            .then(|| id.as_str().to_owned()),
    }))
}

/// Whether it is of the form that the kernel reads (Documentation/filesystems/resctrl.rst, "Schemata files").
fn is_line(line: &str) -> bool {
    let Some((resource, values)) = line.split_once(':') else {
        return false;
    };
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_value = |value: &str| {
        let parts = value.trim().split_once('=');
        parts.is_some_and(|(id, value)| {
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) && is_word(value.trim())
        })
    };
    is_word(resource.trim()) && values.split(';').all(is_value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn planned(rdt: serde_json::Value) -> Result<Option<RdtGroup>, PlanError> {
        let oci =
            serde_json::from_value(json!({"ociVersion": "1.3.0", "linux": {"intelRdt": rdt}}));
        of(&oci.unwrap(), &"web01".parse().unwrap())
    }

    #[test]
    fn without_a_class_the_container_has_one_of_its_own_id() {
        let group =
            planned(json!({"l3CacheSchema": "L3:0=7f;1=1f", "memBwSchema": "MB:0=20;1=70"}));
        assert_eq!(
            group.unwrap(),
            Some(RdtGroup {
                name: "web01".into(),
                must_exist: false,
                is_own: true,
                schemata: vec!["L3:0=7f;1=1f".into(), "MB:0=20;1=70".into()],
                monitoring: None,
            })
        );
    }

    #[test]
    fn a_class_without_limits_must_exist_and_one_with_limits_may() {
        let group = planned(json!({"closID": "gold", "enableMonitoring": true}))
            .unwrap()
            .unwrap();
        assert_eq!(
            (group.name.as_str(), group.must_exist, group.is_own),
            ("gold", true, false)
        );
        assert_eq!(group.monitoring.as_deref(), Some("web01"));
        let group = planned(json!({"closID": "gold", "schemata": ["L2:0=3"]}))
            .unwrap()
            .unwrap();
        assert!(!group.must_exist);
        let group = planned(json!({"closID": "/"})).unwrap().unwrap();
        assert_eq!((group.name.as_str(), group.must_exist), ("", true));
    }

    #[test]
    fn what_is_no_class_and_no_line_is_refused_by_the_field() {
        for (rdt, field) in [
            (json!({"closID": "../x"}), "closID"),
            (json!({"closID": "info"}), "closID"),
            (json!({"closID": ".."}), "closID"),
            (json!({"schemata": ["L3:0=7f\nMB:0=1"]}), "schemata"),
            (json!({"schemata": ["L3"]}), "schemata"),
            (json!({"l3CacheSchema": "L3:x=1"}), "l3CacheSchema"),
            (json!({"l3CacheSchema": "MB:0=10"}), "l3CacheSchema"),
            (json!({"memBwSchema": "L3:0=f"}), "memBwSchema"),
        ] {
            let error = planned(rdt.clone()).unwrap_err().to_string();
            assert!(error.contains(field), "{rdt}: {error}");
        }
    }
}

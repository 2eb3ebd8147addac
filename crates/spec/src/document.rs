//! Parts of an OCI spec that come as documents of their own: the process of an exec, the resources of an update.

use oci_spec::runtime::{LinuxResources, Process};
use serde::{Serialize, de::DeserializeOwned};

use crate::{ContainerSpec, Fault, Faults, ProcessSpec, json, unknown_fields};

impl ProcessSpec {
    /// Reads an OCI process object.
    ///
    /// # Errors
    /// Each field of a wrong type or that is not known, a program that is missing, a working directory that is not
    /// absolute.
    pub fn from_process_json(text: &str) -> Result<Self, Faults> {
        let oci: Process = read(text, "process")?;
        let mut faults = Faults::default();
        if oci.args().as_ref().is_none_or(Vec::is_empty) {
            faults.push(Fault::new("args", "is empty"));
        }
        let cwd = oci.cwd().to_string_lossy();
        if !cwd.starts_with('/') {
            faults.push(Fault::of_value("cwd", cwd, "is not an absolute path"));
        }
        faults.into_result(Self { oci, user: None })
    }
}

impl ContainerSpec {
    /// Reads what [`ContainerSpec::to_json`] has written.
    ///
    /// Here and not where it is used, so that a program holds the code for it once.
    ///
    /// # Errors
    /// The text is damaged, or of another version of Hoist.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        json::parse(text).map(|(spec, _)| spec)
    }

    /// The spec as one line of JSON.
    ///
    /// # Errors
    /// A path that is not UTF-8.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// Reads an OCI resources object.
///
/// # Errors
/// Each field of a wrong type or that is not known.
pub fn resources_from_json(text: &str) -> Result<LinuxResources, Faults> {
    read(text, "resources")
}

/// Reads a document; a field that is not known may ask for a confinement, and is a fault.
fn read<T: DeserializeOwned + Serialize>(text: &str, document: &str) -> Result<T, Faults> {
    let (value, unknown) = unknown_fields::read(text, document)?;
    let mut faults = Faults::default();
    for path in unknown {
        faults.push(Fault::new(path.to_string(), "is not known"));
    }
    faults.into_result(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_and_its_unknown_fields_are_refused() {
        let good = r#"{"user":{"uid":1,"gid":2},"args":["true"],"cwd":"/"}"#;
        assert_eq!(
            ProcessSpec::from_process_json(good)
                .unwrap()
                .oci
                .user()
                .uid(),
            1
        );
        let bad = r#"{"user":{"uid":1,"gid":2},"args":[],"cwd":"tmp"}"#;
        let faults = ProcessSpec::from_process_json(bad).unwrap_err();
        assert_eq!(faults.iter().count(), 2, "{faults}");
        let odd = r#"{"user":{"uid":1,"gid":2},"args":["true"],"cwd":"/","cage":"tight"}"#;
        let faults = ProcessSpec::from_process_json(odd).unwrap_err();
        assert_eq!(faults.to_string(), "cage: is not known");
    }

    #[test]
    fn resources_are_read_and_what_is_not_known_is_refused() {
        let read = resources_from_json(r#"{"memory":{"limit":4096},"pids":{"limit":5}}"#).unwrap();
        assert_eq!(read.memory().as_ref().unwrap().limit(), Some(4096));
        assert!(resources_from_json(r#"{"memory":{"limit":"x"}}"#).is_err());
        assert!(resources_from_json(r#"{"power":{"limit":1}}"#).is_err());
    }
}

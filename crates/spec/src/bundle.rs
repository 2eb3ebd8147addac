//! A container's description read from an OCI bundle's `config.json`.

use std::path::Path;

use oci_spec::runtime::Spec;
use serde::Deserialize;

use crate::{
    ContainerSpec, Fault, Faults, RootSource, SeccompPolicy, StopPolicy,
    convert::is_absolute_on_windows, json::Segment, unknown_fields,
};

/// What a bundle describes.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The container.
    pub spec: ContainerSpec,
    /// Fields that Hoist does not know and that ask for no isolation: they have no effect.
    pub ignored: Faults,
}

/// Sections in which an unknown field asks for something that a container would run without.
const CONFINING: [&str; 4] = ["linux", "process", "mounts", "root"];

/// A field that `oci-spec` spells otherwise than the OCI runtime spec (`utilityVmPath`), and so does not read.
const UTILITY_VM_PATH: &str = "windows.hyperv.utilityVMPath";

impl ContainerSpec {
    /// Reads a bundle's `config.json`, of any version 1.x of the OCI runtime spec; a relative `root.path`
    /// is seen from `bundle_dir`.
    ///
    /// # Errors
    /// The first field of a wrong type, by path and line; a version, root or process that is missing or
    /// cannot be; and every unknown field below `linux`, `process`, `mounts` and `root`.
    pub fn from_bundle_json(config_json: &str, bundle_dir: &Path) -> Result<Bundle, Faults> {
        let (mut oci, unknown): (Spec, _) = unknown_fields::read(config_json, "config.json")?;
        let mut faults = Faults::default();
        let mut ignored = Faults::default();
        if let Err(fault) = take_utility_vm_path(config_json, &mut oci) {
            faults.push(fault);
        }

        let version = oci.version();
        if version.split('.').next() != Some("1") {
            faults.push(Fault::of_value(
                "ociVersion",
                version,
                "is not version 1 of the OCI runtime spec",
            ));
        }
        let root = match oci.root_mut() {
            Some(root) if !root.path().as_os_str().is_empty() => {
                let path = bundle_dir.join(root.path());
                root.set_path(path.clone());
                path
            }
            _ => {
                faults.push(Fault::new("root.path", "is missing"));
                Path::new("").to_path_buf()
            }
        };
        if let Some(process) = oci.process() {
            let cwd = process.cwd().to_string_lossy();
            // A container of Windows alone: one with a `linux` section is Linux in a machine of Windows.
            let of_windows = oci.windows().is_some() && oci.linux().is_none();
            if !(cwd.starts_with('/') || of_windows && is_absolute_on_windows(&cwd)) {
                faults.push(Fault::of_value(
                    "process.cwd",
                    process.cwd().to_string_lossy(),
                    "is not an absolute path",
                ));
            }
            if process.args().as_ref().is_none_or(Vec::is_empty) {
                faults.push(Fault::new("process.args", "is empty"));
            }
        }
        for path in unknown {
            if path.to_string() == UTILITY_VM_PATH {
                continue;
            }
            let confining = matches!(
                path.0.first(),
                Some(Segment::Key(section)) if CONFINING.contains(&section.as_str())
            );
            let fault = Fault::new(path.to_string(), "is not known");
            if confining {
                faults.push(fault);
            } else {
                ignored.push(fault);
            }
        }
        faults.into_result(Bundle {
            spec: Self {
                oci,
                root: RootSource::Directory(root),
                user: None,
                groups: Vec::new(),
                seccomp: SeccompPolicy::Oci,
                init: false,
                stop: StopPolicy::default(),
                joined: Vec::new(),
            },
            ignored,
        })
    }
}

/// Takes the field of [`UTILITY_VM_PATH`] from the text.
fn take_utility_vm_path(text: &str, oci: &mut Spec) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct Document {
        windows: Windows,
    }
    #[derive(Deserialize)]
    struct Windows {
        hyperv: HyperV,
    }
    #[derive(Deserialize)]
    struct HyperV {
        #[serde(default, rename = "utilityVMPath")]
        path: Option<String>,
    }
    // Most have no such section, and are read once.
    let Some(windows) = oci.windows_mut() else {
        return Ok(());
    };
    let Some(mut hyperv) = windows.hyperv().clone() else {
        return Ok(());
    };
    // The rest of it could be read: what fails is this field.
    let document: Document = serde_json::from_str(text)
        .map_err(|error| Fault::new(UTILITY_VM_PATH, error.to_string()))?;
    if let Some(path) = document.windows.hyperv.path {
        hyperv.set_utility_vm_path(Some(path));
        windows.set_hyperv(Some(hyperv));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn config() -> Value {
        json!({
            "ociVersion": "1.0.2-dev",
            "root": {"path": "rootfs", "readonly": true},
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["sh"],
                "cwd": "/",
                "capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"], "inheritable": []},
                "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            },
            "hostname": "runc",
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "annotations": {"org.example": "x"},
            "linux": {
                "resources": {"devices": [{"allow": false, "access": "rwm"}], "memory": {"limit": null}},
                "namespaces": [{"type": "pid"}, {"type": "mount"}],
                "sysctl": {"net.ipv4.ip_forward": "1"},
                "maskedPaths": ["/proc/kcore"],
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []},
                "intelRdt": {"schemata": []},
            },
        })
    }

    fn read(config: &Value) -> Result<Bundle, Faults> {
        ContainerSpec::from_bundle_json(&config.to_string(), Path::new("/bundle"))
    }

    #[test]
    fn a_bundle_becomes_a_container_with_its_root_beside_it() {
        let bundle = read(&config()).unwrap();
        assert!(bundle.ignored.is_empty(), "{}", bundle.ignored);
        assert_eq!(
            bundle.spec.root,
            RootSource::Directory(Path::new("/bundle").join("rootfs"))
        );
        assert_eq!(bundle.spec.seccomp, SeccompPolicy::Oci);
        assert_eq!(bundle.spec.oci.hostname().as_deref(), Some("runc"));
    }

    #[test]
    fn unknown_fields_that_may_ask_for_isolation_are_refused_by_name() {
        let mut config = config();
        config["linux"]["newWall"] = json!({"height": 3});
        config["linux"]["namespaces"][1]["depth"] = json!(2);
        config["process"]["sandbox"] = json!("tight");
        config["mounts"][0]["idmap"] = json!(true);
        let faults = read(&config).unwrap_err();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "linux.namespaces[1].depth",
                "linux.newWall",
                "mounts[0].idmap",
                "process.sandbox"
            ]
        );
    }

    /// Every object of the spec that has fields of its own.
    fn whole_config() -> Value {
        let mapping = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
        let hook = json!([{"path": "/bin/true", "args": ["true"], "env": [], "timeout": 1}]);
        let device = json!([{"major": 1, "minor": 2, "rate": 3}]);
        json!({
            "ociVersion": "1.2.0",
            "root": {"path": "rootfs"},
            "process": {
                "user": {"uid": 0, "gid": 0, "additionalGids": [1]},
                "consoleSize": {"height": 1, "width": 1},
                "args": ["sh"],
                "cwd": "/",
                "capabilities": {"bounding": ["CAP_KILL"]},
                "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}],
                "scheduler": {"policy": "SCHED_OTHER", "nice": 1},
                "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 1},
                "execCPUAffinity": {"initial": "0", "final": "0"},
            },
            "mounts": [{
                "destination": "/proc", "type": "proc",
                "uidMappings": mapping, "gidMappings": mapping,
            }],
            "hooks": {
                "prestart": hook, "createRuntime": hook, "createContainer": hook,
                "startContainer": hook, "poststart": hook, "poststop": hook,
            },
            "linux": {
                "uidMappings": mapping,
                "gidMappings": mapping,
                "namespaces": [{"type": "pid"}],
                "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2}],
                "resources": {
                    "devices": [{"allow": false}],
                    "memory": {"limit": 1},
                    "cpu": {"shares": 1},
                    "pids": {"limit": 1},
                    "blockIO": {
                        "weight": 10,
                        "weightDevice": [{"major": 1, "minor": 2, "weight": 3}],
                        "throttleReadBpsDevice": device, "throttleWriteBpsDevice": device,
                        "throttleReadIOPSDevice": device, "throttleWriteIOPSDevice": device,
                    },
                    "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
                    "network": {"classID": 1, "priorities": [{"name": "eth0", "priority": 1}]},
                },
                "intelRdt": {"closID": "x"},
                "personality": {"domain": "LINUX"},
                "seccomp": {
                    "defaultAction": "SCMP_ACT_ERRNO",
                    "syscalls": [{
                        "names": ["read"], "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}],
                    }],
                },
            },
        })
    }

    /// `value` and each of the objects in it, with the path to it.
    fn objects(value: &Value, path: String, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    objects(member, format!("{path}/{key}"), found);
                }
                found.push(path);
            }
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    objects(element, format!("{path}/{index}"), found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn an_unknown_field_is_found_in_every_object_there_is() {
        let config = whole_config();
        let read_whole = read(&config).unwrap();
        assert!(read_whole.ignored.is_empty(), "{}", read_whole.ignored);
        let mut places = Vec::new();
        objects(&config, String::new(), &mut places);
        assert!(places.len() > 40, "{places:?}");
        for place in places {
            let mut config = config.clone();
            config.pointer_mut(&place).unwrap()["aNewField"] = json!(1);
            let found = match read(&config) {
                Ok(bundle) => bundle.ignored.to_string(),
                Err(faults) => faults.to_string(),
            };
            assert!(
                found.ends_with("aNewField: is not known"),
                "{place}: {found}"
            );
        }
    }

    #[test]
    fn other_unknown_fields_are_told_and_ignored() {
        let mut config = config();
        config["freebsd"] = json!({"jail": {"host": "new"}});
        config["linux"]["nothing"] = json!({"asked": [], "for": null});
        let bundle = read(&config).unwrap();
        assert_eq!(bundle.ignored.to_string(), "freebsd: is not known");
    }

    #[test]
    fn the_path_of_the_utility_vm_is_read_as_the_oci_spec_spells_it() {
        let mut config = json!({
            "ociVersion": "1.2.0",
            "root": {"path": r"\\?\Volume{ec84d99e-3f02-11e7-ac6c-00155d7682cf}\"},
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["cmd"], "cwd": r"C:\app"},
            "windows": {"layerFolders": [r"C:\l"], "hyperv": {"utilityVMPath": r"C:\uvm"}},
        });
        let path = |config: &Value| {
            let bundle = read(config).unwrap();
            assert!(bundle.ignored.is_empty(), "{}", bundle.ignored);
            // As a record keeps it, too.
            let kept = ContainerSpec::from_json(&bundle.spec.to_json().unwrap()).unwrap();
            assert_eq!(kept, bundle.spec);
            let hyperv = kept.oci.windows().as_ref().unwrap().hyperv().clone();
            hyperv.unwrap().utility_vm_path().clone()
        };
        assert_eq!(path(&config).as_deref(), Some(r"C:\uvm"));
        config["windows"]["hyperv"] = json!({});
        assert_eq!(path(&config), None);
        config["windows"]["hyperv"] = json!({"utilityVMPath": 3});
        assert!(read(&config).is_err());
        // Linux in a machine of Windows has Linux' paths.
        config["windows"]["hyperv"] = json!({});
        config["linux"] = json!({});
        let faults = read(&config).unwrap_err();
        assert_eq!(faults.iter().next().unwrap().field, "process.cwd");
    }

    #[test]
    fn a_bundle_without_root_version_or_program_names_each() {
        let mut config = config();
        config["ociVersion"] = json!("2.0.0");
        config["root"] = json!({"path": ""});
        config["process"]["cwd"] = json!("tmp");
        config["process"]["args"] = json!([]);
        let faults = read(&config).unwrap_err();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            ["ociVersion", "root.path", "process.cwd", "process.args"]
        );
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path() {
        let mut config = config();
        config["linux"]["resources"]["memory"]["limit"] = json!("lots");
        let faults = read(&config).unwrap_err();
        assert!(
            faults
                .to_string()
                .starts_with("linux.resources.memory.limit: invalid type"),
            "{faults}"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(cut in 0_usize..900, junk in r#"[{}\[\]",:0-9a-z]{0,9}"#) {
            let mut text = config().to_string();
            text.truncate(cut);
            text.push_str(&junk);
            let _ = ContainerSpec::from_bundle_json(&text, Path::new("/bundle"));
        }
    }
}

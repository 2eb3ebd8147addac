//! The contract over the double: what is refused before anything is made.

use std::path::Path;

use hoist_compute::{ComputeService, ErrorKind};
use hoist_hcs::{
    Dialect, HcsService, Patience, Settings,
    calls::{HcsCalls, HcsExports, Limits},
    sys::Vmcompute,
};
use hoist_spec::{ContainerSpec, RootSource};
use hoist_testing::unfiltered;
use serde_json::json;

use crate::cases::Case;

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "a layer that is not there is an error with its path, and nothing is made",
        a_missing_layer,
    ),
    (
        "a dll that lacks a function is an error with its name and the build that has it",
        a_dll_that_is_too_old,
    ),
];

pub(crate) fn service<E: HcsExports>(exports: E, folder: &Path) -> HcsService<E> {
    let calls = HcsCalls::new(exports, Dialect::Schema1, Limits::default());
    let patience = Patience::default();
    HcsService::new(calls, folder.to_owned(), Settings::hoist(), patience).unwrap()
}

pub(crate) fn spec(arguments: &[&str]) -> ContainerSpec {
    let oci = json!({
        "ociVersion": "1.2.0", "root": {"path": "C:\\"},
        "process": {"args": arguments, "cwd": "C:\\", "user": {"uid": 0, "gid": 0}},
    });
    unfiltered(oci, RootSource::Directory("C:\\".into()))
}

fn a_missing_layer(double: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let service = service(Vmcompute::load_double(double).unwrap(), folder.path());
    let there = folder.path().to_string_lossy().into_owned();
    let missing = folder.path().join("missing").to_string_lossy().into_owned();
    for layers in [[&missing, &there], [&there, &missing]] {
        let mut spec = spec(&["cmd", "/c", "exit 0"]);
        let windows = json!({"layerFolders": layers});
        spec.oci
            .set_windows(serde_json::from_value(windows).unwrap());
        let error = service.create(&"c6".parse().unwrap(), &spec).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains(&missing), "{error}");
        assert!(service.enumerate().unwrap().is_empty());
    }
}

fn a_dll_that_is_too_old(_double: &Path) {
    let folder = tempfile::tempdir().unwrap();
    // It has none of the functions.
    let other = Path::new("C:\\windows\\system32\\kernel32.dll");
    let service = service(Vmcompute::load_double(other).unwrap(), folder.path());
    let made = service.create(&"c7".parse().unwrap(), &spec(&["cmd", "/c", "exit 0"]));
    let error = made.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(
        format!("{error:?}").contains("HcsCreateComputeSystem"),
        "{error:?}"
    );
    assert!(error.what_to_do().unwrap().contains("14393"), "{error:?}");
    assert!(service.enumerate().unwrap().is_empty());
}

//! The contract over the double: what is refused before anything is made.

use std::{fs, path::Path, time::Duration};

use hoist_compute::{ComputeService, ComputeSystem, ErrorKind, Stdio};
use hoist_hcs::{
    Dialect, HcsService, Patience, Settings,
    calls::{HcsCalls, HcsExports, Limits},
    sys::Vmcompute,
};
use hoist_spec::{ContainerSpec, RootSource};
use hoist_testing::unfiltered;
use serde_json::json;

use crate::cases::Case;

const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "a layer that is not there is an error with its path, and nothing is made",
        a_missing_layer,
    ),
    (
        "updates that a run has left are installed by a servicing run, once",
        updates_are_installed,
    ),
    (
        "a servicing run that fails is an error with its code, and the updates wait on",
        updates_that_cannot_be_installed,
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

/// A run that has left updates, of a program that writes to the file `runs` in its folder what kind of run it is in.
fn left_updates(
    double: &Path,
    folder: &Path,
    id: &str,
    script: &str,
) -> (HcsService<Vmcompute>, Box<dyn ComputeSystem>) {
    let calls = HcsCalls::new(
        Vmcompute::load_double(double).unwrap(),
        Dialect::Schema1,
        Limits::default(),
    );
    let settings = Settings {
        asks_for_updates: true,
        ..Settings::hoist()
    };
    let patience = Patience::default();
    let service = HcsService::new(calls, folder.to_owned(), settings, patience).unwrap();
    let mut spec = spec(&["cmd", "/c", script]);
    let mut process = spec.oci.process().clone().unwrap();
    process.set_env(Some(vec!["HOIST_HCS_DOUBLE_LEAVES_UPDATES=1".to_owned()]));
    process.set_cwd(folder.to_owned());
    spec.oci.set_process(Some(process));
    let container = service.create(&id.parse().unwrap(), &spec).unwrap();
    let first = container.start(Stdio::null()).unwrap();
    assert_eq!(first.wait(Some(DEADLINE)).unwrap().code, Some(0));
    (service, container)
}

fn updates_are_installed(double: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo servicing=%HOIST_HCS_DOUBLE_IS_SERVICING%>> runs";
    let (service, container) = left_updates(double, folder.path(), "c8", script);
    let runs = || {
        let text = fs::read_to_string(folder.path().join("runs")).unwrap();
        let lines = text.lines().map(|line| line.ends_with("=1"));
        lines.collect::<Vec<bool>>()
    };
    assert_eq!(runs(), [false]);
    for _ in 0..2 {
        container.install_updates().unwrap();
        assert_eq!(runs(), [false, true]);
    }
    assert_eq!(container.wait(None).unwrap().code, Some(0));
    container.delete().unwrap();
    assert!(service.enumerate().unwrap().is_empty());
}

fn updates_that_cannot_be_installed(double: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let script = "if exist once (exit 5) else (echo x> once)";
    let (_service, container) = left_updates(double, folder.path(), "c9", script);
    for _ in 0..2 {
        let error = container.install_updates().unwrap_err();
        assert!(format!("{error:?}").contains("code 5"), "{error:?}");
    }
    fs::remove_file(folder.path().join("once")).unwrap();
    container.install_updates().unwrap();
    container.delete().unwrap();
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

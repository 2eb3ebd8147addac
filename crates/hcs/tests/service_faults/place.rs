//! The service of the cases, and what it is asked for.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hoist_compute::ComputeService;
use hoist_hcs::{
    Dialect, HcsService, Patience, Settings,
    calls::{HcsCalls, Limits},
    sys::Vmcompute,
};
use hoist_spec::{ContainerId, ContainerSpec, ProcessSpec, RootSource};
use hoist_testing::{unfiltered, windows::Double};
use serde_json::{Value, json};

/// The variable that names the file of faults.
const FAULTS: &str = "HOIST_HCS_DOUBLE_FAULTS";

/// What the service is given in these tests, so that its silence is noticed soon.
pub(crate) const PATIENCE: Patience = Patience {
    shutdown: Duration::from_secs(2),
    terminate: Duration::from_secs(2),
    poll: Duration::from_millis(100),
};

/// Generous: the machine may be slow, and stand still for minutes.
pub(crate) const HANGS_AFTER: Duration = Duration::from_secs(600);

pub(crate) type Case = fn(&Place);

/// The service of a case, whose faults it makes.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) service: Arc<dyn ComputeService>,
    pub(crate) double: Double,
}

pub(crate) fn service(folder: &Path) -> Arc<dyn ComputeService> {
    service_with(folder, Settings::hoist())
}

pub(crate) fn service_with(folder: &Path, settings: Settings) -> Arc<dyn ComputeService> {
    let dll = Vmcompute::load_double(&Double::path().unwrap()).unwrap();
    let limits = Limits {
        operation: Duration::from_secs(5),
        poll: PATIENCE.poll,
    };
    let calls = HcsCalls::new(dll, Dialect::Schema1, limits);
    let root = folder.join("records");
    Arc::new(HcsService::new(calls, root, settings, PATIENCE).unwrap())
}

pub(crate) fn process(arguments: &[&str]) -> Value {
    let mut all = vec![
        std::env::current_exe()
            .unwrap()
            .to_string_lossy()
            .into_owned(),
    ];
    all.extend(arguments.iter().map(|&word| word.to_owned()));
    json!({"args": all, "cwd": "C:\\", "user": {"uid": 0, "gid": 0}})
}

pub(crate) fn spec(arguments: &[&str]) -> ContainerSpec {
    let oci =
        json!({"ociVersion": "1.2.0", "root": {"path": "C:\\"}, "process": process(arguments)});
    unfiltered(oci, RootSource::Directory("C:\\".into()))
}

pub(crate) fn further(arguments: &[&str]) -> ProcessSpec {
    ProcessSpec {
        oci: serde_json::from_value(process(arguments)).unwrap(),
        user: None,
    }
}

pub(crate) fn id(text: &str) -> ContainerId {
    format!("{text}-{}", std::process::id()).parse().unwrap()
}

impl Place {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            service: service(folder),
            double: Double::load().unwrap(),
        }
    }

    pub(crate) fn faults(&self, rules: &Value) {
        let file = std::env::var_os(FAULTS).unwrap();
        fs::write(file, rules.to_string()).unwrap();
    }

    pub(crate) fn assert_nothing_left(&self) {
        self.assert_nothing_left_after("");
    }

    pub(crate) fn assert_nothing_left_after(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = self.double.report();
            let records = fs::read_dir(self.folder.join("records").join("containers"))
                .unwrap()
                .count();
            let none = ["handles", "callbacks", "systems", "processes"]
                .iter()
                .all(|kind| left[*kind] == 0);
            if none && records == 0 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "left: {left} and {records} records {what}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

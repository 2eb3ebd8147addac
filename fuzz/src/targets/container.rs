//! What a container, a process or limits are described by: read, and planned for hosts of every sort.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use hoist_hcs::request::ContainerRequest;
use hoist_hcs::{Dialect, Plan as HcsPlan, Settings};
use hoist_linux::cgroup::{DeviceControl, Hierarchy, Layout, Version, plan_change, plan_limits};
use hoist_linux::features::{HostFeatures, KernelVersion};
use hoist_linux::plan::{RunningContainer, RuntimeOptions, plan_for_runtime, plan_process};
use hoist_linux::root_facts::RootFacts;
use hoist_spec::{Command, ContainerId, ContainerSpec, ProcessSpec, resources_from_json};

const CONTROLLERS: &[&str] = &[
    "cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "hugetlb", "blkio",
    "net_cls", "net_prio", "rdma",
];

fn hierarchy(version: Version, controllers: &[&str]) -> Hierarchy {
    Hierarchy {
        controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
        version,
        mount_point: PathBuf::from(format!("/sys/fs/cgroup/{}", controllers.join(","))),
        own_path: "/user.slice".to_owned(),
    }
}

fn layout(hierarchies: Vec<Hierarchy>) -> Layout {
    Layout {
        hierarchies,
        ..Layout::default()
    }
}

/// cgroup v2 alone, v1 alone.
static LAYOUTS: LazyLock<[Layout; 2]> = LazyLock::new(|| {
    let v2 = [
        "cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma", "misc",
    ];
    let v1 = CONTROLLERS
        .iter()
        .map(|&name| hierarchy(Version::V1, &[name]));
    [
        layout(vec![hierarchy(Version::V2, &v2)]),
        layout(v1.collect()),
    ]
});

/// A new kernel with v2, an old one with v1, an ordinary user.
static HOSTS: LazyLock<[HostFeatures; 3]> = LazyLock::new(|| {
    let newest = KernelVersion {
        major: 6,
        minor: 18,
    };
    let host = |kernel, cgroup: usize| HostFeatures {
        cgroup: LAYOUTS[cgroup].clone(),
        ..HostFeatures::assume(kernel)
    };
    let user = HostFeatures {
        uid: 1000,
        gid: 1000,
        privileged: false,
        ..host(newest, 0)
    };
    [host(newest, 0), host(KernelVersion::OLDEST, 1), user]
});

fn plan(spec: &ContainerSpec) {
    let Ok(id) = "fuzz".parse::<ContainerId>() else {
        return;
    };
    for (number, host) in HOSTS.iter().enumerate() {
        let options = RuntimeOptions {
            await_start: number == 0,
            systemd_cgroup: number == 1,
            make_working_directory: true,
            ..RuntimeOptions::default()
        };
        match plan_for_runtime(&id, spec, host, &RootFacts::default(), &options) {
            Ok(plan) => drop(plan.steps()),
            Err(error) => drop(error.to_string()),
        }
    }
    if let Ok(request) = ContainerRequest::from_spec(id.as_str(), &spec.oci) {
        plan_for_hcs(request);
    }
}

fn plan_for_hcs(request: ContainerRequest) {
    for settings in [Settings::hoist(), Settings::docker(Dialect::Schema1)] {
        if let Ok(plan) = HcsPlan::new(request.clone(), true, &settings) {
            let _ = (plan.steps(), plan.configuration(&[], &[]));
        }
    }
}

/// `config.json` of a bundle. What is kept of it in a record is read as it was written.
pub(super) fn oci_config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let bundle = match ContainerSpec::from_bundle_json(text, Path::new("/bundle")) {
        Ok(bundle) => bundle,
        Err(faults) => return drop(faults.to_string()),
    };
    let _ = bundle.ignored.to_string();
    if let Ok(kept) = bundle.spec.to_json() {
        let read = ContainerSpec::from_json(&kept);
        assert!(read.is_ok_and(|read| read == bundle.spec), "{kept}");
    }
    plan(&bundle.spec);
}

/// The process of `exec --process`.
pub(super) fn oci_process(bytes: &[u8]) {
    static CONTAINER: LazyLock<Option<ContainerSpec>> =
        LazyLock::new(|| Command::new().to_container_spec().ok());
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let process = match ProcessSpec::from_process_json(text) {
        Ok(process) => process,
        Err(faults) => return drop(faults.to_string()),
    };
    let running = RunningContainer {
        namespaces: 0x6e02_0000,
        id_maps: None,
        setgroups_denied: false,
        cgroup: Vec::new(),
        keyring: Some("_ses.a".to_owned()),
    };
    let (facts, options) = (RootFacts::default(), RuntimeOptions::default());
    if let Some(spec) = &*CONTAINER {
        match plan_process(spec, &process, &running, &facts, &options) {
            Ok(plan) => drop(plan.steps()),
            Err(error) => drop(error.to_string()),
        }
    }
}

/// The limits of `update --resources`.
pub(super) fn oci_resources(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let resources = match resources_from_json(text) {
        Ok(resources) => resources,
        Err(faults) => return drop(faults.to_string()),
    };
    for layout in &*LAYOUTS {
        for held in [None, Some("max"), Some("1048576"), Some("-1"), Some("0-3")] {
            let held = held.map(str::to_owned);
            match plan_change(&resources, layout, &|_, _| held.clone()) {
                Ok(writes) => writes.iter().for_each(|write| drop(write.words())),
                Err(error) => drop(error.to_string()),
            }
        }
        let _ = plan_limits(&resources, layout, DeviceControl::Enforce);
    }
}

/// The driver's `Command`.
pub(super) fn command(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let command = match Command::from_json(text) {
        Ok(command) => command,
        Err(faults) => return drop(faults.to_string()),
    };
    if let Ok(kept) = serde_json::to_string(&command) {
        let read = Command::from_json(&kept);
        assert!(read.is_ok_and(|read| read == command), "{kept}");
    }
    plan_for_hcs(ContainerRequest::from_command(&command, &Settings::hoist()));
    match command.to_container_spec() {
        Ok(spec) => plan(&spec),
        Err(faults) => drop(faults.to_string()),
    }
}

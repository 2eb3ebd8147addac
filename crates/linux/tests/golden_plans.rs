//! Plans in words: what would be done to start representative containers, on hosts of every sort.
//!
//! A plan is pure data, so these tests need no privileges and run on every platform. Where a change alters a plan, the
//! difference is what a reviewer should see: look at it, then take it with `INSTA_UPDATE=always`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use hoist_linux::cgroup::{Hierarchy, Layout, Version};
use hoist_linux::features::{HostFeatures, KernelVersion};
use hoist_linux::plan::{
    CgroupPlace, IdMapping, IdMaps, OwnRoot, Plan, PlanError, RunningContainer, RuntimeOptions,
    plan, plan_process,
};
use hoist_linux::root_facts::{
    GroupEntry, HostEntry, HostEntryKind, HostRoot, KeptLayer, PasswdEntry, RootFacts,
};
use hoist_spec::{
    Command, ConsoleSize, ContainerId, ContainerSpec, Mount, Network, ProcessConfig, Resources,
};
use serde_json::{Value, json};

/// A kernel that has everything the planner knows of.
const NEWEST: KernelVersion = KernelVersion {
    major: 6,
    minor: 18,
};

/// `CLONE_NEWNS`, `CLONE_NEWCGROUP`, `CLONE_NEWUTS`, `CLONE_NEWIPC`, `CLONE_NEWPID` and `CLONE_NEWNET` (clone(2)).
const USUAL_NAMESPACES: u32 = 0x6e02_0000;
/// `CLONE_NEWUSER`.
const USER_NAMESPACE: u32 = 0x1000_0000;

fn id() -> ContainerId {
    "web01".parse().unwrap()
}

/// `sh` in a directory, with docker's defaults.
fn sh() -> Command {
    Command::new()
        .id("web01")
        .rootfs("/srv/root")
        .process(ProcessConfig::new("sh"))
}

fn spec(command: &Command) -> ContainerSpec {
    command.to_container_spec().unwrap()
}

fn with_cgroups(layout: Layout) -> HostFeatures {
    HostFeatures {
        cgroup: layout,
        ..HostFeatures::assume(NEWEST)
    }
}

/// Root on the newest kernel with the unified hierarchy.
fn root() -> HostFeatures {
    with_cgroups(only_v2())
}

/// An ordinary user to whom no cgroup is delegated.
fn ordinary_user() -> HostFeatures {
    HostFeatures {
        uid: 1000,
        gid: 1001,
        privileged: false,
        ..root()
    }
}

fn v1(controllers: &[&str]) -> Hierarchy {
    Hierarchy {
        controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
        version: Version::V1,
        mount_point: PathBuf::from(format!("/sys/fs/cgroup/{}", controllers.join(","))),
        own_path: "/".to_owned(),
    }
}

fn unified(mount_point: &str, controllers: &[&str]) -> Hierarchy {
    Hierarchy {
        controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
        version: Version::V2,
        mount_point: PathBuf::from(mount_point),
        own_path: "/user.slice".to_owned(),
    }
}

fn only_v1() -> Layout {
    Layout {
        hierarchies: vec![
            v1(&["memory"]),
            v1(&["cpu", "cpuacct"]),
            v1(&["cpuset"]),
            v1(&["pids"]),
            v1(&["blkio"]),
            v1(&["devices"]),
            v1(&["freezer"]),
        ],
        unusable: Vec::new(),
    }
}

fn only_v2() -> Layout {
    Layout {
        hierarchies: vec![unified(
            "/sys/fs/cgroup",
            &["cpuset", "cpu", "io", "memory", "pids"],
        )],
        unusable: Vec::new(),
    }
}

fn hybrid() -> Layout {
    let mut layout = only_v1();
    layout
        .hierarchies
        .push(unified("/sys/fs/cgroup/unified", &[]));
    layout
}

/// A machine whose `/bin` leads to `/usr/bin` and whose `/etc` has a mount in it.
fn host_root() -> RootFacts {
    let entry = |path: &str, kind| HostEntry {
        path: path.to_owned(),
        kind,
    };
    RootFacts {
        host_root: Some(HostRoot {
            entries: vec![
                entry("/bin", HostEntryKind::Link("usr/bin".to_owned())),
                entry("/etc", HostEntryKind::Directory { mode: 0o755 }),
                entry("/etc/hosts", HostEntryKind::BindFile),
                entry("/etc/ssl", HostEntryKind::BindDirectory),
                entry("/root", HostEntryKind::Directory { mode: 0o700 }),
                entry("/tmp", HostEntryKind::Directory { mode: 0o1777 }),
                entry("/usr", HostEntryKind::Overlay),
            ],
        }),
        ..RootFacts::default()
    }
}

fn planned(spec: &ContainerSpec, features: &HostFeatures, facts: &RootFacts) -> String {
    match plan(&id(), spec, features, facts) {
        Ok(plan) => words(&plan),
        Err(error) => panic!("{error}"),
    }
}

/// A line per step: who carries it out, and what it does.
fn words(plan: &Plan) -> String {
    let mut lines = String::new();
    for step in plan.steps() {
        let what = match step.words.strip_prefix("load a seccomp filter of ") {
            // How long it is depends on the machine that the test runs on.
            Some(_) => "load a seccomp filter",
            None => &step.words,
        };
        writeln!(lines, "{:<7}  {what}", step.lane).unwrap();
    }
    lines
}

/// A bundle as other engines write it, with `linux` and `process` members of one's own.
fn bundle(process: &Value, linux: &Value) -> ContainerSpec {
    let mut config = json!({
        "ociVersion": "1.2.0",
        "root": {"path": "/srv/root"},
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sh"], "cwd": "/"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
    });
    for (section, members) in [("process", process), ("linux", linux)] {
        for (name, value) in members.as_object().into_iter().flatten() {
            config[section][name] = value.clone();
        }
    }
    ContainerSpec::from_bundle_json(&config.to_string(), Path::new("/bundle"))
        .unwrap()
        .spec
}

#[test]
fn a_container_with_dockers_defaults() {
    insta::assert_snapshot!(planned(
        &spec(&sh()),
        &with_cgroups(hybrid()),
        &RootFacts::default()
    ));
}

#[test]
fn a_container_in_this_machines_own_system() {
    let command = Command::new().process(ProcessConfig::new("/bin/true"));
    insta::assert_snapshot!(planned(&spec(&command), &root(), &host_root()));
}

#[test]
fn a_container_of_an_ordinary_user() {
    let command = Command::new().process(ProcessConfig::new("/bin/true"));
    insta::assert_snapshot!(planned(&spec(&command), &ordinary_user(), &host_root()));
}

#[test]
fn layers_under_a_layer_that_is_thrown_away() {
    let command = Command::new()
        .layer("/layers/top")
        .layer("/layers/middle")
        .layer("/layers/base")
        .process(ProcessConfig::new("/bin/sh"));
    insta::assert_snapshot!(planned(&spec(&command), &root(), &RootFacts::default()));
}

#[test]
fn layers_under_a_folder_that_is_kept_and_a_read_only_root() {
    let command = Command::new()
        .layer("/layers/base")
        .layer_folder("/layers/web01")
        .readonly_rootfs()
        .process(ProcessConfig::new("/bin/sh"));
    insta::assert_snapshot!(planned(&spec(&command), &root(), &RootFacts::default()));
}

#[test]
fn the_hosts_network_is_no_namespace_and_loopback_is_left_alone() {
    let command = sh().network(Network::host());
    insta::assert_snapshot!(planned(&spec(&command), &root(), &RootFacts::default()));
}

#[test]
fn an_init_process_and_a_console() {
    let size = ConsoleSize {
        height: 24,
        width: 80,
    };
    let command = sh()
        .init()
        .process(ProcessConfig::new("/bin/sh").tty(size).user("www:mail"));
    let facts = RootFacts {
        passwd: vec![PasswdEntry {
            name: "www".to_owned(),
            uid: 33,
            gid: 34,
            home: "/var/www".to_owned(),
        }],
        group: vec![
            GroupEntry {
                name: "mail".to_owned(),
                gid: 8,
                members: Vec::new(),
            },
            GroupEntry {
                name: "ssl".to_owned(),
                gid: 101,
                members: vec!["www".to_owned()],
            },
        ],
        ..RootFacts::default()
    };
    insta::assert_snapshot!(planned(&spec(&command), &root(), &facts));
}

#[test]
fn mounts_of_ones_own() {
    let command = sh()
        .mount(Mount::bind("/srv/data", "/data/deep").read_only())
        .mount(Mount::tmpfs("/data").option("size=1m"))
        .mount(
            Mount::bind("/srv/shared", "/shared")
                .option("rslave")
                .option("noexec"),
        );
    insta::assert_snapshot!(planned(&spec(&command), &root(), &RootFacts::default()));
}

#[test]
fn joined_namespaces_are_entered_before_the_clone_the_user_namespace_first() {
    let spec = bundle(
        &json!({}),
        &json!({"namespaces": [
            {"type": "mount"},
            {"type": "network", "path": "/run/netns/web"},
            {"type": "ipc", "path": "/proc/7/ns/ipc"},
            {"type": "user", "path": "/proc/7/ns/user"},
        ]}),
    );
    insta::assert_snapshot!(planned(&spec, &root(), &RootFacts::default()));
}

#[test]
fn every_namespace_and_every_setting_of_a_process() {
    let spec = bundle(
        &json!({
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}],
            "oomScoreAdj": 500,
            "user": {"uid": 5, "gid": 6, "umask": 63, "additionalGids": [7, 8]},
            "noNewPrivileges": true,
            "capabilities": {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]},
            "env": ["PATH=/bin:/usr/bin"],
            "args": ["sh"],
            "cwd": "/srv",
        }),
        &json!({
            "namespaces": [
                {"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"},
                {"type": "uts"}, {"type": "user"}, {"type": "cgroup"}, {"type": "time"},
            ],
            "uidMappings": [{"containerID": 0, "hostID": 100_000, "size": 65536}],
            "gidMappings": [{"containerID": 0, "hostID": 200_000, "size": 65536}],
            "timeOffsets": {"monotonic": {"secs": 172_800, "nanosecs": 5}},
            "sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "1048576"},
            "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
        }),
    );
    insta::assert_snapshot!(planned(&spec, &root(), &RootFacts::default()));
}

fn limited() -> ContainerSpec {
    let command = sh().resources(Resources {
        memory: 64 << 20,
        memory_reservation: 32 << 20,
        cpu_shares: 512,
        cpu_quota: 50_000,
        cpu_period: 100_000,
        cpuset_cpus: "0".to_owned(),
        pids_limit: 64,
        blkio_weight: 300,
        ..Resources::default()
    });
    // No file systems: here the cgroup is looked at.
    let mut spec = spec(&command);
    spec.oci.set_mounts(None);
    if let Some(linux) = spec.oci.linux_mut() {
        linux.set_masked_paths(None).set_readonly_paths(None);
    }
    spec
}

#[test]
fn limits_on_v1_hierarchies() {
    insta::assert_snapshot!(planned(
        &limited(),
        &with_cgroups(only_v1()),
        &RootFacts::default()
    ));
}

#[test]
fn limits_on_the_unified_hierarchy() {
    insta::assert_snapshot!(planned(&limited(), &root(), &RootFacts::default()));
}

#[test]
fn limits_on_both_together() {
    insta::assert_snapshot!(planned(
        &limited(),
        &with_cgroups(hybrid()),
        &RootFacts::default()
    ));
}

fn further(container: &RunningContainer) -> String {
    let spec = spec(&sh());
    let process = spec
        .exec_process(&ProcessConfig::new("ls").working_dir("/srv"))
        .unwrap();
    words(
        &plan_process(
            &spec,
            &process,
            container,
            &RootFacts::default(),
            &RuntimeOptions::default(),
        )
        .unwrap(),
    )
}

#[test]
fn a_further_process_is_born_in_a_unified_cgroup_and_moves_into_v1_ones() {
    let place = |directory: &str, version| CgroupPlace {
        directory: directory.to_owned(),
        version,
    };
    insta::assert_snapshot!(further(&RunningContainer {
        setgroups_denied: false,
        namespaces: USUAL_NAMESPACES,
        id_maps: None,
        cgroup: vec![
            place("/sys/fs/cgroup/memory/hoist/web01", Version::V1),
            place("/sys/fs/cgroup/unified/hoist/web01", Version::V2),
        ],
        keyring: None,
    }));
}

#[test]
fn a_further_process_of_an_ordinary_users_container() {
    let single = |outside| {
        vec![IdMapping {
            inside: 0,
            outside,
            count: 1,
        }]
    };
    insta::assert_snapshot!(further(&RunningContainer {
        setgroups_denied: false,
        namespaces: USUAL_NAMESPACES | USER_NAMESPACE,
        id_maps: Some(IdMaps {
            users: single(1000),
            groups: single(1001),
            deny_setgroups: true,
        }),
        cgroup: Vec::new(),
        keyring: None,
    }));
}

#[test]
fn a_further_process_with_a_root_of_its_own() {
    let spec = spec(&sh());
    let process = spec.exec_process(&ProcessConfig::new("ls")).unwrap();
    let container = RunningContainer {
        setgroups_denied: false,
        namespaces: USUAL_NAMESPACES,
        id_maps: None,
        cgroup: Vec::new(),
        keyring: None,
    };
    let options = RuntimeOptions {
        own_root: Some(OwnRoot {
            directory: "/srv/tools".to_owned(),
            container: "/container",
            shared: vec!["/dev", "/proc"],
        }),
        ..RuntimeOptions::default()
    };
    let facts = RootFacts::default();
    insta::assert_snapshot!(words(
        &plan_process(&spec, &process, &container, &facts, &options).unwrap()
    ));
}

/// The one step whose form depends on the kernel, where the words do not show it: so the steps are compared.
#[test]
fn before_linux_6_8_the_layers_of_an_overlay_are_given_as_one_text() {
    let spec = spec(
        &Command::new()
            .layer("/layers/top")
            .layer("/layers/base")
            .process(ProcessConfig::new("/bin/sh")),
    );
    let on = |minor| {
        let features = HostFeatures {
            cgroup: only_v2(),
            ..HostFeatures::assume(KernelVersion { major: 6, minor })
        };
        plan(&id(), &spec, &features, &RootFacts::default()).unwrap()
    };
    assert_ne!(on(7), on(8));
    assert_eq!(on(8), on(18));
    assert_eq!(words(&on(7)), words(&on(8)));
}

/// Each fallback for an ordinary user's layers, forced.
#[test]
fn without_overlayfs_of_its_own_an_ordinary_users_layers_are_served_or_copied() {
    let layered = Command::new()
        .layer("/layers/base")
        .layer("/layers/top")
        .process(ProcessConfig::new("/bin/sh"));
    let kept = layered.clone().layer_folder("/srv/kept");
    let copied = HostFeatures {
        overlay_userxattr: false,
        ..ordinary_user()
    };
    let served = HostFeatures {
        fuse_overlayfs: Some("/usr/bin/fuse-overlayfs".into()),
        ..copied.clone()
    };
    let of_layers = |command: &Command, features: &HostFeatures, facts: &RootFacts| -> String {
        let plan = plan(&id(), &spec(command), features, facts).unwrap();
        let all = words(&plan);
        let from = all
            .lines()
            .skip_while(|line| !line.contains("make every mount"));
        let until = from.take_while(|line| !line.contains("mount proc"));
        until.map(|line| format!("    {line}\n")).collect()
    };
    let default = RootFacts::default();
    let kept_as = |kept_layer| RootFacts {
        kept_layer: Some(kept_layer),
        ..RootFacts::default()
    };
    let mut text = String::new();
    for (what, command, features, facts) in [
        ("served", &layered, &served, &default),
        ("served, kept", &kept, &served, &default),
        ("copied", &layered, &copied, &default),
        ("copied, kept", &kept, &copied, &default),
        (
            "copied, kept by an overlay before",
            &kept,
            &copied,
            &kept_as(KeptLayer::Upper),
        ),
        (
            "an overlay, kept by a copy before",
            &kept,
            &ordinary_user(),
            &kept_as(KeptLayer::Copy),
        ),
        (
            "this machine's own root, served",
            &Command::new().process(ProcessConfig::new("sh")),
            &served,
            &host_root(),
        ),
        (
            "this machine's own root, read-only and without",
            &Command::new()
                .process(ProcessConfig::new("sh"))
                .readonly_rootfs(),
            &copied,
            &host_root(),
        ),
    ] {
        writeln!(text, "{what}:\n{}", of_layers(command, features, facts)).unwrap();
    }
    let command = Command::new().process(ProcessConfig::new("sh"));
    let error = plan(&id(), &spec(&command), &copied, &host_root()).unwrap_err();
    writeln!(text, "this machine's own root, without:\n    {error}").unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn the_same_request_gives_the_same_plan() {
    let one = || {
        plan(
            &id(),
            &limited(),
            &with_cgroups(hybrid()),
            &RootFacts::default(),
        )
        .unwrap()
    };
    for _ in 0..20 {
        assert_eq!(one(), one());
    }
}

#[test]
fn a_plan_says_the_same_on_the_oldest_kernel() {
    let oldest = HostFeatures {
        cgroup: only_v2(),
        ..HostFeatures::assume(KernelVersion::OLDEST)
    };
    let facts = RootFacts::default();
    assert_eq!(
        planned(&spec(&sh()), &oldest, &facts),
        planned(&spec(&sh()), &root(), &facts)
    );
}

#[test]
fn what_cannot_be_done_is_refused_with_its_reason() {
    let refused = |what: &str, spec: &ContainerSpec, features: &HostFeatures, facts: &RootFacts| {
        let error: PlanError = plan(&id(), spec, features, facts).unwrap_err();
        format!("{what}:\n    {error}\n")
    };
    let none = RootFacts::default();
    let nothing = json!({});
    let mut text = String::new();
    text += &refused(
        "a limit for an ordinary user",
        &limited(),
        &ordinary_user(),
        &none,
    );
    text += &refused(
        "a limit without its controller",
        &limited(),
        &with_cgroups(Layout {
            hierarchies: vec![v1(&["memory"])],
            unusable: Vec::new(),
        }),
        &none,
    );
    text += &refused(
        "an id that is not mapped",
        &bundle(
            &json!({"user": {"uid": 5, "gid": 0}}),
            &json!({"namespaces": [{"type": "mount"}]}),
        ),
        &ordinary_user(),
        &none,
    );
    text += &refused(
        "an unknown user",
        &spec(&sh().process(ProcessConfig::new("sh").user("nobody"))),
        &root(),
        &none,
    );
    text += &refused(
        "a link where /proc must be",
        &spec(&sh()),
        &root(),
        &RootFacts {
            linked_targets: vec!["/proc".to_owned()],
            ..RootFacts::default()
        },
    );
    text += &refused(
        "a mount that climbs out",
        &spec(&sh().mount(Mount::bind("/srv/data", "/data/x"))),
        &root(),
        &RootFacts {
            climbing_targets: vec!["/data/x".to_owned()],
            ..RootFacts::default()
        },
    );
    text += &refused(
        "the host's mount namespace",
        &bundle(&nothing, &json!({"namespaces": [{"type": "pid"}]})),
        &root(),
        &none,
    );
    text += &refused(
        "a kernel parameter of the host",
        &bundle(&nothing, &json!({"sysctl": {"vm.swappiness": "1"}})),
        &root(),
        &none,
    );
    text += &refused(
        "a kernel parameter of a namespace that is the host's",
        &bundle(&nothing, &json!({"sysctl": {"net.ipv4.ip_forward": "1"}})),
        &root(),
        &none,
    );
    text += &refused(
        "a user namespace without maps",
        &bundle(
            &nothing,
            &json!({"namespaces": [{"type": "mount"}, {"type": "user"}]}),
        ),
        &root(),
        &none,
    );
    text += &refused(
        "a cgroup outside",
        &bundle(&nothing, &json!({"cgroupsPath": "/../other"})),
        &root(),
        &none,
    );
    insta::assert_snapshot!(text);
}

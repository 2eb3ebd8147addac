//! The JSON form of a command, and its builder.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ConsoleSize;

/// A command that gives every field, in its JSON form.
fn everything() -> Value {
    json!({
        "id": "web01",
        "name": "web",
        "hostname": "web.example",
        "rootfs": "/srv/root",
        "layer_folder": "/srv/writable",
        "layer_paths": ["/srv/top", "/srv/base"],
        "working_dir": "/srv",
        "first_start": true,
        "hv_partition": true,
        "args_escaped": true,
        "readonly_rootfs": true,
        "mounts": [
            {"source": "/s", "destination": "/d", "writable": true},
            {"destination": "/t", "writable": false, "type": "tmpfs", "options": ["size=1m"]},
        ],
        "network": {
            "interface": {
                "mac": "02:42:ac:11:00:02",
                "bridge": "Virtual Switch",
                "ip": "172.17.0.2",
                "port_bindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            },
            "container_id": "db01",
            "mode": "none",
        },
        "resources": {
            "memory": 1 << 20,
            "memory_reservation": 1 << 19,
            "memory_swap": -1,
            "cpu_shares": 512,
            "cpu_quota": 50_000,
            "cpu_period": 100_000,
            "cpuset_cpus": "0-3,7",
            "cpuset_mems": "0",
            "pids_limit": 64,
            "blkio_weight": 300,
        },
        "process_config": {
            "tty": true,
            "entrypoint": "/bin/httpd",
            "arguments": ["-f", "", "ä b"],
            "env": ["A=1=2", "B="],
            "console_size": [24, 80],
            "user": "www:www",
            "working_dir": "/tmp",
        },
        "init": true,
        "cap_add": ["NET_ADMIN"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "privileged": true,
        "devices": [{
            "path_on_host": "/dev/fuse", "path_in_container": "/dev/f", "cgroup_permissions": "r",
            "type": "c", "major": 10, "minor": 229,
        }],
        "device_cgroup_rules": ["c 10:200 rwm"],
        "ulimits": ["nofile=1024:2048"],
        "sysctls": {"net.ipv4.ip_forward": "1"},
        "shm_size": 1 << 20,
        "namespaces": {
            "user": "private", "pid": "host", "ipc": "host", "uts": "host", "cgroup": "ns:/proc/7/ns/cgroup",
        },
        "uid_maps": ["0:1000:1"],
        "gid_maps": ["0:1000:1"],
        "group_add": ["7"],
        "cgroup_parent": "/jobs",
        "oom_score_adj": 0,
        "annotations": {"a": "b"},
        "stop_signal": "SIGINT",
        "stop_timeout": 0,
        "isolation": "process",
        "owner": "docker",
    })
}

fn fields(faults: &Faults) -> Vec<&str> {
    let mut fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    fields.sort_unstable();
    fields
}

#[test]
fn every_field_is_read_and_written_as_the_same_json() {
    let command = Command::from_json(&everything().to_string()).unwrap();
    assert_eq!(serde_json::to_value(&command).unwrap(), everything());
    assert_eq!(
        command.process_config.console_size,
        Some(ConsoleSize {
            height: 24,
            width: 80
        })
    );
    assert_eq!(
        command.stop_timeout,
        Some(0),
        "zero seconds are not none given"
    );
}

/// Were a field left out above, this test would not notice that it cannot be written.
#[test]
fn the_command_that_gives_every_field_does() {
    let Command {
        id,
        name,
        hostname,
        rootfs,
        layer_folder,
        layer_paths,
        working_dir,
        first_start,
        hv_partition,
        args_escaped,
        readonly_rootfs,
        mounts,
        network,
        resources,
        process_config,
        init,
        cap_add,
        cap_drop,
        security_opt,
        privileged,
        devices,
        device_cgroup_rules,
        ulimits,
        sysctls,
        shm_size,
        namespaces,
        uid_maps,
        gid_maps,
        group_add,
        cgroup_parent,
        oom_score_adj,
        annotations,
        stop_signal,
        stop_timeout,
        isolation,
        owner,
    } = Command::from_json(&everything().to_string()).unwrap();
    for text in [
        &id,
        &name,
        &hostname,
        &rootfs,
        &layer_folder,
        &working_dir,
        &owner,
        &cgroup_parent,
    ] {
        assert!(!text.is_empty());
    }
    for list in [
        &layer_paths,
        &cap_add,
        &cap_drop,
        &security_opt,
        &device_cgroup_rules,
        &ulimits,
        &uid_maps,
        &gid_maps,
        &group_add,
    ] {
        assert!(!list.is_empty());
    }
    assert!(privileged && shm_size > 0 && oom_score_adj.is_some() && devices.len() == 1);
    assert!(!sysctls.is_empty() && !annotations.is_empty());
    assert!(namespaces != SharedNamespaces::default());
    assert!(first_start && hv_partition && args_escaped && readonly_rootfs && init);
    assert!(mounts.len() == 2 && network != Network::default());
    assert!(resources != Resources::default() && process_config != ProcessConfig::default());
    assert!(stop_signal.is_some() && stop_timeout.is_some() && isolation != Isolation::Default);
}

#[test]
fn what_is_not_given_is_not_written() {
    assert_eq!(serde_json::to_string(&Command::new()).unwrap(), "{}");
    assert_eq!(Command::from_json("{}"), Ok(Command::default()));
}

#[test]
fn null_is_what_programs_in_go_write_for_nothing() {
    let text = r#"{
        "layer_paths": null, "mounts": null, "network": null, "resources": null, "process_config": null,
        "cap_add": null, "cap_drop": null, "security_opt": null, "stop_signal": null, "stop_timeout": null
    }"#;
    assert_eq!(Command::from_json(text), Ok(Command::default()));
    let text = r#"{
        "network": {"interface": {"port_bindings": null}},
        "process_config": {"arguments": null, "env": null, "console_size": null},
        "mounts": [{"source": "/s", "destination": "/d", "writable": true, "options": null}],
        "isolation": ""
    }"#;
    let command = Command::from_json(text).unwrap();
    assert_eq!(command.mounts, [Mount::bind("/s", "/d")]);
    assert_eq!(command.isolation, Isolation::Default);
}

#[test]
fn every_unknown_field_is_refused_by_name() {
    let mut json = everything();
    json["layer_path"] = json!("/x");
    json["mounts"][1]["destinaton"] = json!("/x");
    json["network"]["interface"]["port_bindings"]["80/tcp"][0]["host_port"] = json!("1");
    json["process_config"]["argv"] = json!([]);
    json["resources"]["memory_swappiness"] = json!(0);
    let faults = Command::from_json(&json.to_string()).unwrap_err();
    assert_eq!(
        fields(&faults),
        [
            "layer_path",
            "mounts[1].destinaton",
            "network.interface.port_bindings.80/tcp[0].host_port",
            "process_config.argv",
            "resources.memory_swappiness",
        ]
    );
}

#[test]
fn three_values_of_a_wrong_type_are_three_faults() {
    let text =
        r#"{"resources": {"memory": "64m"}, "init": 1, "process_config": {"console_size": [24]}}"#;
    let faults = Command::from_json(text).unwrap_err();
    assert_eq!(
        fields(&faults),
        ["init", "process_config.console_size", "resources.memory"]
    );
    for fault in &faults {
        assert!(fault.reason.ends_with("(line 1)"), "{fault}");
    }
}

#[test]
fn a_number_that_does_not_fit_is_refused_and_never_another_number() {
    for text in [
        r#"{"resources": {"memory": 9223372036854775808}}"#,
        r#"{"resources": {"memory": 1.5}}"#,
        r#"{"stop_timeout": 4294967296}"#,
        r#"{"stop_timeout": -1}"#,
        r#"{"process_config": {"console_size": [65536, 80]}}"#,
    ] {
        assert_eq!(Command::from_json(text).unwrap_err().len(), 1, "{text}");
    }
}

#[test]
fn the_builder_sets_what_its_methods_are_named_for() {
    let size = ConsoleSize {
        height: 24,
        width: 80,
    };
    let built = Command::new()
        .id("web01")
        .hostname("web.example")
        .rootfs("/srv/root")
        .layer("/srv/top")
        .layer("/srv/base")
        .layer_folder("/srv/writable")
        .working_dir("/srv")
        .readonly_rootfs()
        .mount(Mount::bind("/s", "/d"))
        .mount(Mount::tmpfs("/t").read_only().option("size=1m"))
        .network(Network::of_container("db01"))
        .resources(Resources {
            pids_limit: 64,
            ..Resources::default()
        })
        .process(
            ProcessConfig::new("/bin/httpd")
                .argument("-f")
                .arguments(["a", "b"])
                .env("A", "1=2")
                .tty(size)
                .user("www:www")
                .working_dir("/tmp"),
        )
        .init()
        .cap_add("NET_ADMIN")
        .cap_drop("ALL")
        .security_opt("no-new-privileges")
        .stop(Signal::INT, 3)
        .isolation(Isolation::Process);
    let expected = json!({
        "id": "web01",
        "hostname": "web.example",
        "rootfs": "/srv/root",
        "layer_paths": ["/srv/top", "/srv/base"],
        "layer_folder": "/srv/writable",
        "working_dir": "/srv",
        "readonly_rootfs": true,
        "mounts": [
            {"source": "/s", "destination": "/d", "writable": true},
            {"destination": "/t", "writable": false, "type": "tmpfs", "options": ["size=1m"]},
        ],
        "network": {"container_id": "db01"},
        "resources": {"pids_limit": 64},
        "process_config": {
            "tty": true,
            "entrypoint": "/bin/httpd",
            "arguments": ["-f", "a", "b"],
            "env": ["A=1=2"],
            "console_size": [24, 80],
            "user": "www:www",
            "working_dir": "/tmp",
        },
        "init": true,
        "cap_add": ["NET_ADMIN"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "stop_signal": "SIGINT",
        "stop_timeout": 3,
        "isolation": "process",
    });
    assert_eq!(serde_json::to_value(&built).unwrap(), expected);
    assert_eq!(Network::none().mode, Some(NetworkMode::None));
    assert_eq!(Network::host().mode, Some(NetworkMode::Host));
}

proptest! {
    /// Quotes, line ends, NUL and every other character survive the JSON form.
    #[test]
    fn whatever_a_command_says_is_read_back_from_its_json(
        texts in prop::array::uniform4(any::<String>()),
        list in prop::collection::vec(any::<String>(), 0..4),
        numbers in prop::array::uniform4(any::<i64>()),
        size in prop::option::of(any::<(u16, u16)>()),
        timeout in any::<Option<u32>>(),
        flags in any::<[bool; 4]>(),
    ) {
        let [id, hostname, program, user] = texts;
        let [memory, cpu_shares, cpu_quota, pids_limit] = numbers;
        let [tty, init, readonly_rootfs, writable] = flags;
        let command = Command {
            id,
            hostname,
            layer_paths: list.clone(),
            readonly_rootfs,
            init,
            mounts: list
                .iter()
                .map(|text| Mount { writable, ..Mount::bind(text, text) })
                .collect(),
            resources: Resources { memory, cpu_shares, cpu_quota, pids_limit, ..Resources::default() },
            process_config: ProcessConfig {
                tty,
                entrypoint: program,
                arguments: list.clone(),
                env: list,
                console_size: size.map(|(height, width)| ConsoleSize { height, width }),
                user,
                ..ProcessConfig::default()
            },
            stop_timeout: timeout,
            ..Command::default()
        };
        let text = serde_json::to_string(&command).unwrap();
        prop_assert_eq!(Command::from_json(&text), Ok(command));
    }

    #[test]
    fn no_text_makes_reading_panic(cut in 0_usize..1500, junk in r#"[{}\[\]",:0-9a-z]{0,9}"#) {
        let whole = everything().to_string();
        let mut text: String = whole.chars().take(cut).collect();
        text.push_str(&junk);
        let _ = Command::from_json(&text);
    }
}

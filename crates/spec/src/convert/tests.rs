//! What becomes of a command: its faults, and the OCI runtime spec with docker's defaults.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use oci_spec::runtime::Arch;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    Command, ConsoleSize, ContainerSpec, Faults, Mount, Network, NetworkInterface, ProcessConfig,
    Resources, RootSource, SeccompPolicy, Signal, WritableLayer,
};

fn sh() -> Command {
    Command::new().process(ProcessConfig::new("/bin/sh"))
}

fn spec(command: &Command) -> ContainerSpec {
    command
        .to_container_spec()
        .unwrap_or_else(|faults| panic!("{faults}"))
}

/// The complete OCI document, as other runtimes read it.
fn document(command: &Command) -> Value {
    let mut document = serde_json::to_value(spec(command).to_oci(Arch::ScmpArchX86_64)).unwrap();
    // Capabilities are sets, written in any order.
    for set in document["process"]["capabilities"]
        .as_object_mut()
        .into_iter()
        .flat_map(|sets| sets.values_mut())
    {
        if let Some(names) = set.as_array_mut() {
            names.sort_unstable_by_key(Value::to_string);
        }
    }
    document
}

/// The same without its seccomp profile, which is long and has its own tests.
fn golden(command: &Command) -> String {
    let mut document = document(command);
    if let Some(profile) = document["linux"].get_mut("seccomp") {
        *profile = json!("(left out)");
    }
    serde_json::to_string_pretty(&document).unwrap()
}

fn fields(command: &Command) -> Vec<String> {
    let faults = command.validate().unwrap_err();
    assert_eq!(
        command.to_container_spec().unwrap_err(),
        faults,
        "what cannot be validated cannot be made"
    );
    faults.into_iter().map(|fault| fault.field).collect()
}

#[test]
fn a_command_with_a_program_alone_gets_dockers_defaults() {
    insta::assert_snapshot!(golden(&sh()));
}

#[test]
fn everything_that_linux_can_do_finds_its_place() {
    let size = ConsoleSize {
        height: 24,
        width: 80,
    };
    let command = Command {
        init: true,
        ..sh()
            .id("0123456789abcdef")
            .rootfs("/srv/root")
            .readonly_rootfs()
            .working_dir("/srv")
            .mount(Mount::bind("/srv/data", "/data/deep").read_only())
            .mount(Mount::tmpfs("/data").option("size=1m"))
            .mount(Mount::bind("/srv/shm", "/dev/shm").option("rslave"))
            .network(Network::host())
            .resources(Resources {
                memory: 64 << 20,
                memory_reservation: 32 << 20,
                cpu_shares: 512,
                cpu_quota: 50_000,
                cpu_period: 100_000,
                cpuset_cpus: "0".to_owned(),
                pids_limit: 64,
                blkio_weight: 300,
                ..Resources::default()
            })
            .process(
                ProcessConfig::new("httpd")
                    .argument("-f")
                    .env("MODE", "a=b")
                    .tty(size)
                    .user("www"),
            )
            .cap_drop("ALL")
            .cap_add("NET_BIND_SERVICE")
            .security_opt("no-new-privileges")
            .stop(Signal::INT, 0)
    };
    insta::assert_snapshot!(golden(&command));
    let spec = spec(&command);
    assert_eq!(spec.root, RootSource::Directory("/srv/root".into()));
    assert_eq!(spec.user.as_deref(), Some("www"));
    assert_eq!(
        (spec.stop.signal, spec.stop.timeout_seconds),
        (Signal::INT, 0)
    );
    assert!(spec.init);
}

/// System calls that docker's profile allows and that the captured one, which is older, did not.
const ALLOWED_SINCE: &[&str] = &[
    "cachestat",
    "fchmodat2",
    "futex_requeue",
    "futex_wait",
    "futex_wake",
    "getxattrat",
    "listmount",
    "listxattrat",
    "map_shadow_stack",
    "mseal",
    "name_to_handle_at",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "process_vm_readv",
    "process_vm_writev",
    "removexattrat",
    "riscv_hwprobe",
    "setxattrat",
    "statmount",
    "uretprobe",
];
/// Those that it has forbidden since: many ways out of containers went through them.
const FORBIDDEN_SINCE: &[&str] = &["io_uring_enter", "io_uring_register", "io_uring_setup"];
/// Those that it allows since then for some arguments only: no sockets of families such as `AF_VSOCK`.
const NARROWED_SINCE: &[&str] = &["socket"];

/// What docker gives a container, as it was captured from it, against ours: each fact by itself.
#[test]
fn the_defaults_are_those_that_docker_was_seen_to_give() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/docker.json");
    let docker: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ours = document(&sh());

    for set in ["bounding", "effective", "permitted"] {
        assert_eq!(
            names(&ours["process"]["capabilities"][set]),
            names(&docker["process"]["capabilities"][set]),
            "{set} capabilities"
        );
    }
    for paths in ["maskedPaths", "readonlyPaths"] {
        assert_eq!(
            names(&ours["linux"][paths]),
            names(&docker["linux"][paths]),
            "{paths}"
        );
    }
    assert_eq!(
        kinds(&ours["linux"]["namespaces"]),
        kinds(&docker["linux"]["namespaces"])
    );
    assert_eq!(
        ours["linux"]["resources"]["devices"],
        docker["linux"]["resources"]["devices"]
    );
    assert_eq!(mounts(&ours), mounts(&docker));
    assert_eq!(ours["process"]["env"], docker["process"]["env"]);
    assert_eq!(ours["process"]["cwd"], docker["process"]["cwd"]);

    let (ours, docker) = (&ours["linux"]["seccomp"], &docker["linux"]["seccomp"]);
    assert_eq!(ours["defaultAction"], docker["defaultAction"]);
    assert_eq!(
        names(&ours["architectures"]),
        names(&docker["architectures"])
    );
    let (ours, docker) = (rules(ours), rules(docker));
    let mut differ: Vec<_> = ours
        .keys()
        .chain(docker.keys().filter(|name| !ours.contains_key(*name)))
        .copied()
        .filter(|name| ours.get(name) != docker.get(name))
        .collect();
    let mut known: Vec<_> = [ALLOWED_SINCE, FORBIDDEN_SINCE, NARROWED_SINCE].concat();
    known.sort_unstable();
    differ.sort_unstable();
    assert_eq!(differ, known);
    for name in ALLOWED_SINCE {
        assert!(
            ours.contains_key(name) && !docker.contains_key(name),
            "{name}"
        );
    }
    for name in FORBIDDEN_SINCE {
        assert!(!ours.contains_key(name), "{name}");
    }
    for name in NARROWED_SINCE {
        let conditional = |rules: &BTreeSet<String>| rules.iter().all(|rule| !rule.ends_with("[]"));
        assert!(
            conditional(&ours[name]) && !conditional(&docker[name]),
            "{name}"
        );
    }
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array()
        .unwrap_or_else(|| panic!("{list} is no list"))
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

fn kinds(namespaces: &Value) -> BTreeSet<&str> {
    namespaces
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|namespace| namespace["type"].as_str())
        .collect()
}

/// Each mount's type, source and options, by where it is.
fn mounts(document: &Value) -> BTreeMap<&str, (&str, &str, BTreeSet<&str>)> {
    document["mounts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|mount| {
            let text = |key: &str| mount[key].as_str().unwrap_or_default();
            (
                text("destination"),
                (text("type"), text("source"), names(&mount["options"])),
            )
        })
        .collect()
}

/// What may become of each system call: the actions with their conditions.
fn rules(profile: &Value) -> BTreeMap<&str, BTreeSet<String>> {
    let mut rules: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for rule in profile["syscalls"].as_array().into_iter().flatten() {
        let nothing = json!([]);
        let conditions = match &rule["args"] {
            Value::Null => &nothing,
            conditions => conditions,
        };
        for name in rule["names"].as_array().into_iter().flatten() {
            rules
                .entry(name.as_str().unwrap_or_default())
                .or_default()
                .insert(format!(
                    "{} {} {}",
                    rule["action"], rule["errnoRet"], conditions
                ));
        }
    }
    rules
}

#[test]
fn the_root_is_this_machine_a_directory_or_layers() {
    assert_eq!(spec(&sh()).root, RootSource::Host);
    assert_eq!(
        spec(&sh().layer("/top").layer("/base")).root,
        RootSource::Layers {
            layers: vec!["/top".into(), "/base".into()],
            writable: WritableLayer::Ephemeral,
        }
    );
    assert_eq!(
        spec(&sh().layer("/base").layer_folder("/writable")).root,
        RootSource::Layers {
            layers: vec!["/base".into()],
            writable: WritableLayer::Folder("/writable".into()),
        }
    );
}

#[test]
fn the_host_name_is_the_beginning_of_the_id_where_none_is_given() {
    let hostname = |command: &Command| spec(command).oci.hostname().clone();
    assert_eq!(hostname(&sh()), None);
    assert_eq!(
        hostname(&sh().id("0123456789abcdef")).as_deref(),
        Some("0123456789ab")
    );
    assert_eq!(hostname(&sh().id("a+b")).as_deref(), Some("a-b"));
    assert_eq!(
        hostname(&sh().id("abc").hostname("web")).as_deref(),
        Some("web")
    );
}

#[test]
fn a_mount_takes_the_place_of_dockers_own() {
    let destinations = |command: &Command| -> Vec<String> {
        let document = document(command);
        document["mounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|mount| mount["destination"].as_str().unwrap().to_owned())
            .collect()
    };
    let shm = destinations(&sh().mount(Mount::tmpfs("/dev/./shm/")));
    assert_eq!(shm.iter().filter(|path| *path == "/dev/shm").count(), 1);
    let dev = destinations(&sh().mount(Mount::bind("/dev", "/dev")));
    assert_eq!(
        dev.iter().filter(|path| path.starts_with("/dev")).count(),
        1,
        "{dev:?}"
    );
}

#[test]
fn an_apparmor_profile_is_that_of_the_first_process_and_of_further_ones() {
    let confined = sh().security_opt("apparmor=mine");
    assert_eq!(document(&confined)["process"]["apparmorProfile"], "mine");
    let further = spec(&confined).exec_process(&ProcessConfig::new("ls"));
    let further = further.unwrap().oci;
    assert_eq!(further.apparmor_profile().as_deref(), Some("mine"));
    let free = confined.security_opt("apparmor=unconfined");
    assert!(document(&free)["process"]["apparmorProfile"].is_null());
}

#[test]
fn security_options_lift_what_they_name_and_nothing_else() {
    let open = sh()
        .security_opt("systempaths=unconfined")
        .security_opt("seccomp=unconfined");
    let lifted = document(&open);
    let usual = document(&sh());
    for member in ["maskedPaths", "readonlyPaths", "seccomp"] {
        let value = &lifted["linux"][member];
        assert!(
            value.is_null() || value.as_array().is_some_and(Vec::is_empty),
            "{member}: {value}"
        );
    }
    for member in ["namespaces", "resources"] {
        assert_eq!(lifted["linux"][member], usual["linux"][member]);
    }
    assert_eq!(lifted["process"], usual["process"]);
    assert_eq!(lifted["mounts"], usual["mounts"]);
    assert_eq!(spec(&open).seccomp, SeccompPolicy::Unconfined);

    let own = sh().security_opt(r#"seccomp={"defaultAction": "SCMP_ACT_ALLOW"}"#);
    assert_eq!(spec(&own).seccomp, SeccompPolicy::Oci);
    assert_eq!(
        document(&own)["linux"]["seccomp"]["defaultAction"],
        "SCMP_ACT_ALLOW"
    );
}

#[test]
fn the_seccomp_profile_is_for_the_capabilities_that_are_kept() {
    let allowed =
        |command: &Command| rules(&document(command)["linux"]["seccomp"]).contains_key("bpf");
    assert!(!allowed(&sh()));
    assert!(allowed(&sh().cap_add("BPF")));
    assert!(!allowed(
        &sh().cap_add("ALL").cap_drop("BPF").cap_drop("SYS_ADMIN")
    ));
}

#[test]
fn three_bad_values_are_three_faults() {
    let command = sh().hostname("-x").resources(Resources {
        cpu_shares: 1,
        pids_limit: -2,
        ..Resources::default()
    });
    assert_eq!(
        fields(&command),
        ["hostname", "resources.cpu_shares", "resources.pids_limit"]
    );
}

#[test]
fn every_field_that_cannot_be_is_named() {
    let command = Command {
        name: "..".to_owned(),
        hv_partition: true,
        ..Command::new()
            .id("a/b")
            .hostname("a b")
            .rootfs("relative")
            .working_dir("srv")
            .mount(Mount::bind("data", "/data"))
            .mount(Mount::bind("/data", "/"))
            .mount(Mount {
                source: "/x".to_owned(),
                ..Mount::tmpfs("/t").option("colour=red")
            })
            .resources(Resources {
                memory: -1,
                memory_reservation: -1,
                cpu_shares: 262_145,
                cpu_quota: 999,
                cpu_period: 999,
                cpuset_cpus: "3-1".to_owned(),
                pids_limit: -2,
                blkio_weight: 1001,
                ..Resources::default()
            })
            .process(
                ProcessConfig::new("a\0b")
                    .argument("\0")
                    .env("", "x")
                    .user("a:b:c")
                    .working_dir("/x"),
            )
            .cap_add("FLY")
            .cap_drop("CAP_")
            .security_opt("odd")
    };
    assert_eq!(
        fields(&command),
        [
            "id",
            "name",
            "hostname",
            "rootfs",
            "working_dir",
            "hv_partition",
            "mounts[0].source",
            "mounts[1].destination",
            "mounts[2].source",
            "mounts[2].options[0]",
            "resources.memory",
            "resources.memory_reservation",
            "resources.cpu_shares",
            "resources.cpu_period",
            "resources.blkio_weight",
            "resources.cpu_quota",
            "resources.pids_limit",
            "resources.cpuset_cpus",
            "process_config.entrypoint",
            "process_config.arguments[0]",
            "process_config.env[0]",
            "process_config.user",
            "process_config.working_dir",
            "cap_add[0]",
            "cap_drop[0]",
            "security_opt[0]",
        ]
    );
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let interface = NetworkInterface {
        bridge: "b".to_owned(),
        ..NetworkInterface::default()
    };
    let cases: [(Command, &[&str]); 8] = [
        (sh().rootfs("/a").layer("/b"), &["rootfs"]),
        (sh().layer_folder("/w"), &["layer_folder"]),
        (
            sh().mount(Mount::tmpfs("/a/b"))
                .mount(Mount::bind("/x", "/a//b/")),
            &["mounts[1].destination"],
        ),
        (
            sh().resources(Resources {
                memory: 1 << 20,
                memory_reservation: 1 << 21,
                ..Resources::default()
            }),
            &["resources.memory_reservation"],
        ),
        (
            sh().network(Network {
                interface: Some(interface.clone()),
                ..Network::of_container("x")
            }),
            &["network.interface", "network.interface"],
        ),
        (
            sh().network(Network::of_container("no id")),
            &["network.container_id"],
        ),
        (
            sh().network(Network {
                interface: Some(interface),
                ..Network::host()
            }),
            &["network.mode", "network.interface"],
        ),
        (Command::new(), &["process_config.entrypoint"]),
    ];
    for (command, expected) in cases {
        assert_eq!(fields(&command), expected, "{command:?}");
    }
}

#[test]
fn the_faults_of_a_profile_are_told_with_all_others() {
    let command = Command::new().security_opt(r#"seccomp={"defaultAction": "X", "odd": 1}"#);
    let faults = command.validate().unwrap_err();
    assert!(faults.len() >= 3, "{faults}");
}

#[test]
fn a_further_process_is_as_the_first_one_but_for_what_it_says() {
    let first = spec(
        &sh()
            .working_dir("/srv")
            .process(ProcessConfig::new("/bin/sh").env("A", "1").user("www")),
    );
    let process = first
        .exec_process(&ProcessConfig::new("ls").argument("-l"))
        .unwrap();
    assert_eq!(process.user.as_deref(), Some("www"));
    assert_eq!(process.oci.cwd(), Path::new("/srv"));
    assert_eq!(process.oci.args().as_deref().unwrap(), ["ls", "-l"]);
    assert_eq!(
        process.oci.capabilities(),
        first.oci.process().as_ref().unwrap().capabilities()
    );
    let other = first
        .exec_process(
            &ProcessConfig::new("ls")
                .working_dir("/tmp")
                .user("0")
                .env("A", "2"),
        )
        .unwrap();
    assert_eq!(other.user.as_deref(), Some("0"));
    assert_eq!(other.oci.cwd(), Path::new("/tmp"));
    assert!(
        other
            .oci
            .env()
            .as_ref()
            .unwrap()
            .contains(&"A=2".to_owned())
    );

    let faults: Faults = first
        .exec_process(&ProcessConfig::new("").env("", "").working_dir("x"))
        .unwrap_err();
    assert_eq!(faults.len(), 3, "{faults}");
}

#[test]
fn what_is_written_for_other_runtimes_is_read_back_as_the_same_container() {
    let command = sh()
        .id("web01")
        .rootfs("/srv/root")
        .mount(Mount::bind("/s", "/d"))
        .cap_drop("KILL");
    let written = spec(&command).to_oci(Arch::ScmpArchX86_64);
    let text = serde_json::to_string(&written).unwrap();
    let bundle = ContainerSpec::from_bundle_json(&text, Path::new("/elsewhere")).unwrap();
    assert!(bundle.ignored.is_empty(), "{}", bundle.ignored);
    assert_eq!(bundle.spec.oci, written);
    assert_eq!(bundle.spec.root, RootSource::Directory("/srv/root".into()));
    assert_eq!(bundle.spec.to_oci(Arch::ScmpArchX86_64), written);
}

proptest! {
    /// A spec is plain data: it is read back from its JSON, and a bundle of it says the same.
    #[test]
    fn every_command_that_is_valid_makes_a_spec_that_survives_its_json(
        id in "[a-z][a-z0-9_.+-]{0,40}",
        program in "[^\0]{1,20}",
        arguments in prop::collection::vec("[^\0]{0,20}", 0..4),
        value in "[^\0]{0,20}",
        memory in 0..i64::MAX,
        shares in prop_oneof![Just(0), 2_i64..262_144],
        pids in -1_i64..i64::MAX,
        read_only in any::<bool>(),
        tty in any::<bool>(),
    ) {
        let command = Command {
            readonly_rootfs: read_only,
            ..Command::new()
                .id(id)
                .rootfs("/srv/root")
                .resources(Resources { memory, cpu_shares: shares, pids_limit: pids, ..Resources::default() })
                .process(ProcessConfig {
                    tty,
                    ..ProcessConfig::new(program.clone()).arguments(arguments.clone()).env("KEY", &value)
                })
        };
        let spec = command.to_container_spec().unwrap();
        let process = spec.oci.process().as_ref().unwrap();
        let mut words = vec![program];
        words.extend(arguments);
        prop_assert_eq!(process.args().as_ref(), Some(&words));
        let entry = format!("KEY={value}");
        prop_assert!(process.env().as_ref().unwrap().contains(&entry));

        let text = serde_json::to_string(&spec).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ContainerSpec>(&text).unwrap(), &spec);

        let written = spec.to_oci(Arch::ScmpArchX86_64);
        let text = serde_json::to_string(&written).unwrap();
        let bundle = ContainerSpec::from_bundle_json(&text, Path::new("/bundle")).unwrap();
        prop_assert!(bundle.ignored.is_empty(), "{}", bundle.ignored);
        prop_assert_eq!(bundle.spec.oci, written);
    }

    /// Whatever a field holds, it is made into a container or refused; nothing panics, no limit turns into another.
    #[test]
    fn no_field_is_taken_for_something_else(
        text in any::<String>(),
        memory in any::<i64>(),
        shares in any::<i64>(),
        quota in any::<i64>(),
        pids in any::<i64>(),
    ) {
        let odd = Command::new()
            .id(text.clone())
            .hostname(text.clone())
            .rootfs(text.clone())
            .working_dir(text.clone())
            .mount(Mount::bind(text.clone(), text.clone()).option(text.clone()))
            .cap_add(text.clone())
            .security_opt(text.clone())
            .process(ProcessConfig::new(text.clone()).argument(text.clone()).user(text.clone()));
        let _ = odd.to_container_spec();

        let command = sh().resources(Resources {
            memory,
            cpu_shares: shares,
            cpu_quota: quota,
            pids_limit: pids,
            ..Resources::default()
        });
        if let Ok(spec) = command.to_container_spec() {
            let resources = spec.oci.linux().as_ref().unwrap().resources().as_ref().unwrap();
            let given = |number: i64| (number != 0).then_some(number);
            prop_assert_eq!(resources.memory().as_ref().and_then(|memory| memory.limit()), given(memory));
            let cpu = resources.cpu().as_ref();
            prop_assert_eq!(cpu.and_then(|cpu| cpu.shares()).map(i128::from), given(shares).map(i128::from));
            prop_assert_eq!(cpu.and_then(|cpu| cpu.quota()), given(quota));
            prop_assert_eq!(resources.pids().as_ref().map(|pids| pids.limit()), given(pids));
        }
    }
}

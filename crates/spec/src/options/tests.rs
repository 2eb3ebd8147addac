//! Options as they are typed, and the command that they describe.

use std::{collections::HashMap, io};

use proptest::prelude::*;

use super::*;
use crate::{ContainerSpec, Device, Isolation, SharedNamespaces};

/// What the options may refer to in these tests: a working directory, a variable, and some files.
fn with_facts<T>(test: impl FnOnce(&OptionFacts<'_>) -> T) -> T {
    let files: HashMap<&Path, &str> = [
        (
            Path::new("vars"),
            "# a comment\n\nA=from file\n  B=2\nHOME\nUNSET\nC='x'\n",
        ),
        (Path::new("bad"), "OK=1\n=x\nA B=1\nexport D=1\n"),
        (
            Path::new("profile.json"),
            r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#,
        ),
        (
            Path::new("broken.json"),
            r#"{"defaultAction": "SCMP_ACT_MAYBE"}"#,
        ),
    ]
    .into();
    test(&OptionFacts {
        platform: crate::Platform::Linux,
        environment: &|name| (name == "HOME").then(|| "/home/me".to_owned()),
        current_dir: Path::new("/home/me"),
        read_file: &|path| {
            files
                .get(path)
                .map(|text| (*text).to_owned())
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        },
        selinux: &|| false,
    })
}

fn read(options: RunOptions) -> Result<Command, Faults> {
    with_facts(|facts| options.into_command(facts))
}

fn read_with(options: RunOptions, complete: &dyn Fn(&mut Command)) -> Result<Command, Faults> {
    with_facts(|facts| options.into_command_with(facts, complete))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn given(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn running(command: &[&str]) -> RunOptions {
    RunOptions {
        command: words(command),
        ..RunOptions::default()
    }
}

fn fields(faults: &Faults) -> Vec<&str> {
    faults.iter().map(|fault| fault.field.as_str()).collect()
}

#[test]
fn a_program_alone_is_a_command_with_nothing_else_given() {
    assert_eq!(
        read(running(&["echo", "hello", "--rm"])),
        Ok(Command::new().process(ProcessConfig::new("echo").arguments(["hello", "--rm"])))
    );
}

#[test]
fn every_option_finds_its_field() {
    let options = RunOptions {
        tty: true,
        name: given("web"),
        hostname: given("web.example"),
        rootfs: given("root"),
        layer: Vec::new(),
        read_only: true,
        volume: words(&["./data:/data:ro"]),
        mount: words(&["type=bind,src=/s,dst=/d"]),
        tmpfs: words(&["/run:size=1m"]),
        env: words(&["X=1", "HOME", "UNSET"]),
        env_file: vec![PathBuf::from("vars")],
        workdir: given("/srv"),
        user: given("www:www"),
        entrypoint: given("/bin/httpd"),
        init: true,
        stop_signal: given("int"),
        stop_timeout: given("0"),
        memory: given("64m"),
        cpus: given("1.5"),
        cpu_shares: given("512"),
        pids_limit: given("64"),
        memory_reservation: given("32m"),
        memory_swap: given("-1"),
        cpuset_cpus: given("0-1"),
        cpuset_mems: given("0"),
        blkio_weight: given("300"),
        device: words(&["/dev/fuse:/dev/f:r", "/dev/null"]),
        device_cgroup_rule: words(&["c 10:200 rwm"]),
        ulimit: words(&["nofile=1:2"]),
        sysctl: words(&["net.ipv4.ip_forward=1"]),
        shm_size: given("1m"),
        privileged: true,
        userns: None,
        uidmap: words(&["0:1:1"]),
        gidmap: words(&["0:2:1"]),
        pid: given("host"),
        ipc: given("private"),
        uts: given("host"),
        cgroupns: given("host"),
        group_add: words(&["7"]),
        cgroup_parent: given("/jobs"),
        oom_score_adj: given("-5"),
        annotation: words(&["a=b"]),
        label: words(&["c"]),
        layer_folder: None,
        isolation: given("process"),
        network: given("none"),
        cap_add: words(&["NET_ADMIN"]),
        cap_drop: words(&["ALL"]),
        security_opt: words(&["no-new-privileges", "seccomp=profile.json"]),
        command: words(&["-f"]),
    };
    let device = |path: &str| Device {
        path_on_host: path.to_owned(),
        kind: "c".to_owned(),
        major: 1,
        ..Device::default()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = Command {
        name: "web".to_owned(),
        isolation: Isolation::Process,
        privileged: true,
        devices: vec![
            Device {
                path_in_container: "/dev/f".to_owned(),
                cgroup_permissions: "r".to_owned(),
                ..device("/dev/fuse")
            },
            device("/dev/null"),
        ],
        device_cgroup_rules: words(&["c 10:200 rwm"]),
        ulimits: words(&["nofile=1:2"]),
        sysctls: [pair("net.ipv4.ip_forward", "1")].into(),
        shm_size: 1 << 20,
        namespaces: SharedNamespaces {
            user: "private".to_owned(),
            pid: "host".to_owned(),
            uts: "host".to_owned(),
            cgroup: "host".to_owned(),
            ..SharedNamespaces::default()
        },
        uid_maps: words(&["0:1:1"]),
        gid_maps: words(&["0:2:1"]),
        group_add: words(&["7"]),
        cgroup_parent: "/jobs".to_owned(),
        oom_score_adj: Some(-5),
        annotations: [pair("a", "b"), pair("c", "")].into(),
        ..Command::new()
            .hostname("web.example")
            .rootfs("/home/me/root")
            .readonly_rootfs()
            .mount(Mount::bind("/home/me/data", "/data").read_only())
            .mount(Mount {
                kind: "bind".to_owned(),
                ..Mount::bind("/s", "/d")
            })
            .mount(Mount::tmpfs("/run").option("size=1m"))
            .working_dir("/srv")
            .init()
            .stop(Signal::INT, 0)
            .resources(Resources {
                memory: 64 << 20,
                memory_reservation: 32 << 20,
                memory_swap: -1,
                cpuset_cpus: "0-1".to_owned(),
                cpuset_mems: "0".to_owned(),
                blkio_weight: 300,
                cpu_quota: 150_000,
                cpu_period: 100_000,
                cpu_shares: 512,
                pids_limit: 64,
            })
            .network(Network::none())
            .cap_add("NET_ADMIN")
            .cap_drop("ALL")
            .security_opt("no-new-privileges")
            .security_opt(r#"seccomp={"defaultAction": "SCMP_ACT_ALLOW"}"#)
            .process(ProcessConfig {
                tty: true,
                env: words(&[
                    "A=from file",
                    "B=2",
                    "HOME=/home/me",
                    "C='x'",
                    "X=1",
                    "HOME=/home/me",
                ]),
                ..ProcessConfig::new("/bin/httpd")
                    .argument("-f")
                    .user("www:www")
            })
    };
    let command = read_with(options, &|command| {
        for device in &mut command.devices {
            device.kind = "c".to_owned();
            device.major = 1;
        }
    })
    .unwrap();
    // A bind mount may say so or not.
    let unsaid = |mut command: Command| {
        for mount in &mut command.mounts {
            if mount.kind == "bind" {
                mount.kind.clear();
            }
        }
        command
    };
    assert_eq!(unsaid(command), unsaid(expected));
}

#[test]
fn layers_are_typed_from_the_base_up() {
    let command = read(RunOptions {
        layer: words(&["/base", "middle", "./top"]),
        ..running(&["sh"])
    })
    .unwrap();
    assert_eq!(
        command.layer_paths,
        ["/home/me/top", "/home/me/middle", "/base"]
    );
}

#[test]
fn three_bad_values_are_three_faults_with_what_was_typed() {
    let faults = read(RunOptions {
        memory: given("lots"),
        cpus: given("0"),
        user: given("a:b:c"),
        ..running(&["sh"])
    })
    .unwrap_err();
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (fault.field.as_str(), fault.value.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("--memory", Some("lots")),
            ("--cpus", Some("0")),
            ("--user", Some("a:b:c")),
        ]
    );
}

#[test]
fn every_wrong_option_is_told_at_once_by_its_own_name() {
    let faults = read(RunOptions {
        name: given(""),
        hostname: given("-x"),
        rootfs: given("/a"),
        layer: words(&["/b"]),
        volume: words(&["data:/data", "/s:/dup"]),
        mount: words(&["type=npipe"]),
        tmpfs: words(&["relative", "/dup"]),
        env: words(&["=x", ""]),
        env_file: vec![PathBuf::from("bad"), PathBuf::from("none")],
        workdir: given("srv"),
        stop_signal: given("STOPPED"),
        stop_timeout: given("1s"),
        cpu_shares: given("1"),
        pids_limit: given("many"),
        network: given("bridge"),
        cap_add: words(&["NET_ADMINS"]),
        cap_drop: words(&["KILL", "X"]),
        security_opt: words(&["seccomp=none.json", "seccomp=broken.json", "odd"]),
        ..RunOptions::default()
    })
    .unwrap_err();
    let mut found = fields(&faults);
    found.sort_unstable();
    found.dedup();
    assert_eq!(
        found,
        [
            "--cap-add",
            "--cap-drop",
            "--cpu-shares",
            "--env",
            "--env-file",
            "--hostname",
            "--mount",
            "--name",
            "--network",
            "--pids-limit",
            "--rootfs",
            "--security-opt",
            "--stop-signal",
            "--stop-timeout",
            "--tmpfs",
            "--volume",
            "--workdir",
            "COMMAND",
        ],
        "{faults}"
    );
    let count = |field: &str| fields(&faults).iter().filter(|one| **one == field).count();
    assert_eq!(count("--env-file"), 4, "{faults}");
    assert_eq!(count("--env"), 2, "{faults}");
    assert_eq!(count("--tmpfs"), 2, "{faults}");
}

#[test]
fn a_line_of_a_file_of_variables_is_told_by_its_number() {
    let faults = read(RunOptions {
        env_file: vec![PathBuf::from("bad")],
        ..running(&["sh"])
    })
    .unwrap_err();
    let values: Vec<_> = faults
        .iter()
        .filter_map(|fault| fault.value.as_deref())
        .collect();
    assert_eq!(values, ["bad:2", "bad:3", "bad:4"]);
}

#[test]
fn a_switch_of_a_mount_that_is_false_is_as_if_it_were_not_there() {
    let mounted = |more: &str| {
        let mount = format!("type=tmpfs,target=/t{more}");
        read(RunOptions {
            mount: vec![mount],
            ..running(&["sh"])
        })
    };
    let without = mounted("");
    assert!(without.is_ok());
    for key in ["tmpcopyup", "idmap", "ridmap", "readonly"] {
        assert_eq!(mounted(&format!(",{key}=false")), without, "{key}");
        assert_ne!(mounted(&format!(",{key}")), without, "{key}");
    }
}

#[test]
fn an_empty_entrypoint_is_none_as_docker_has_it() {
    let command = read(RunOptions {
        entrypoint: given(""),
        ..running(&["sh", "-c"])
    })
    .unwrap();
    assert_eq!(command.process_config.entrypoint, "sh");
}

#[test]
fn a_command_that_options_describe_can_be_made() {
    let spec: ContainerSpec = read(RunOptions {
        memory: given("64m"),
        ..running(&["sh"])
    })
    .unwrap()
    .to_container_spec()
    .unwrap();
    assert_eq!(spec.root, crate::RootSource::Host);
}

#[test]
fn exec_tells_all_that_is_wrong_too() {
    let process = with_facts(|facts| {
        ExecOptions {
            tty: true,
            env: words(&["A=1"]),
            env_file: Vec::new(),
            workdir: given("/srv"),
            user: given("www"),
            command: words(&["ls", "-l"]),
        }
        .into_process(facts)
    });
    assert_eq!(
        process,
        Ok(ProcessConfig {
            tty: true,
            ..ProcessConfig::new("ls")
                .argument("-l")
                .env("A", "1")
                .user("www")
                .working_dir("/srv")
        })
    );
    let faults = with_facts(|facts| {
        ExecOptions {
            env: words(&["=1"]),
            workdir: given("srv"),
            user: given(""),
            ..ExecOptions::default()
        }
        .into_process(facts)
    })
    .unwrap_err();
    assert_eq!(
        fields(&faults),
        ["--user", "COMMAND", "--env", "--workdir"],
        "{faults}"
    );
}

proptest! {
    /// Whatever is typed is kept as it is or refused: no number becomes another one, no text is cut.
    #[test]
    fn what_is_typed_is_kept_or_refused(
        text in r"[0-9a-z.:/=, -]{0,12}|\PC{0,8}",
        number in any::<i128>(),
    ) {
        let options = RunOptions {
            hostname: given(&text),
            workdir: given(&text),
            user: given(&text),
            pids_limit: given(&number.to_string()),
            cpu_shares: given(&number.to_string()),
            memory: given(&number.to_string()),
            env: vec![text.clone()],
            volume: vec![text.clone()],
            mount: vec![text.clone()],
            tmpfs: vec![text.clone()],
            security_opt: vec![text.clone()],
            ..running(&[&text])
        };
        let _ = read(options.clone());
        for keep in 0..6 {
            let mut one = running(&["sh"]);
            match keep {
                0 => one.hostname.clone_from(&options.hostname),
                1 => one.workdir.clone_from(&options.workdir),
                2 => one.user.clone_from(&options.user),
                3 => one.pids_limit.clone_from(&options.pids_limit),
                4 => one.cpu_shares.clone_from(&options.cpu_shares),
                _ => one.memory.clone_from(&options.memory),
            }
            let Ok(command) = read(one) else { continue };
            match keep {
                0 => prop_assert_eq!(command.hostname, text.clone()),
                1 => prop_assert_eq!(command.working_dir, text.clone()),
                2 => prop_assert_eq!(command.process_config.user, text.clone()),
                3 => prop_assert_eq!(i128::from(command.resources.pids_limit), number),
                4 => prop_assert_eq!(i128::from(command.resources.cpu_shares), number),
                _ => prop_assert_eq!(i128::from(command.resources.memory), number),
            }
        }
    }

    #[test]
    fn a_program_and_its_arguments_are_never_read_as_anything_else(
        command in prop::collection::vec("[^\0]{1,12}", 1..5),
    ) {
        let process = read(RunOptions { command: command.clone(), ..RunOptions::default() })
            .unwrap()
            .process_config;
        let mut all = vec![process.entrypoint];
        all.extend(process.arguments);
        prop_assert_eq!(all, command);
    }
}

#[test]
fn without_isolation_a_process_begins_where_its_caller_is_and_what_needs_some_is_refused_by_option()
{
    let plain = || RunOptions {
        isolation: given("none"),
        ..running(&["true"])
    };
    let command = read(plain()).unwrap();
    assert_eq!(command.isolation, Isolation::None);
    assert_eq!(command.working_dir, "/home/me");
    let faults = read(RunOptions {
        memory: given("64m"),
        rootfs: given("/srv"),
        read_only: true,
        volume: words(&["/a:/b"]),
        tmpfs: words(&["/t"]),
        network: given("none"),
        pid: given("host"),
        userns: given("private"),
        ..plain()
    })
    .unwrap_err();
    let options: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    for option in [
        "--memory",
        "--rootfs",
        "--read-only",
        "--volume",
        "--tmpfs",
        "--network",
        "--pid",
        "--userns",
    ] {
        assert!(options.contains(&option), "{option} is not in {options:?}");
    }
    assert!(
        read(RunOptions {
            isolation: given("some"),
            ..plain()
        })
        .is_err()
    );
}

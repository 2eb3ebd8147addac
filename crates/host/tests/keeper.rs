//! What only processes without isolation have: a keeper, from which nothing escapes, and refusals of all that needs isolation.

#![allow(
    clippy::unwrap_used,
    reason = "this is test code: a panic is how a test fails"
)]

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        io::{BufRead, BufReader, Read},
        path::Path,
        process::{Command, Stdio as ChildStdio},
        thread,
        time::{Duration, Instant},
    };

    use hoist_compute::{ComputeService, ErrorKind, State, Stdio, Stream};
    use hoist_host::{HostOptions, HostService};
    use hoist_spec::{ContainerSpec, RootSource, SeccompPolicy};
    use hoist_testing::unfiltered;
    use serde_json::{Value, json};

    const DEADLINE: Duration = Duration::from_secs(60);

    fn spec_of(oci: Value) -> ContainerSpec {
        unfiltered(oci, RootSource::Unisolated)
    }

    /// A container that runs a line of the shell, with this mark in its environment.
    fn shell(mark: &str, line: &str) -> ContainerSpec {
        spec_of(json!({
            "ociVersion": "1.2.0",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["/bin/sh", "-c", line],
                "env": ["PATH=/usr/bin:/bin", format!("HOIST_KEEPER_MARK={mark}")],
                "cwd": "/",
            },
        }))
    }

    /// How many processes bear the mark.
    fn marked(mark: &str) -> usize {
        let wanted = format!("HOIST_KEEPER_MARK={mark}");
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter(|entry| {
                fs::read(entry.path().join("environ")).is_ok_and(|environment| {
                    environment
                        .split(|byte| *byte == 0)
                        .any(|variable| variable == wanted.as_bytes())
                })
            })
            .count()
    }

    fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so() {
            assert!(Instant::now() < deadline, "it never came to be that {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn service(folder: &Path) -> HostService {
        HostService::new(folder.to_owned())
    }

    fn mark(name: &str) -> String {
        format!("{name}-{}", std::process::id())
    }

    #[test]
    fn nothing_escapes_an_end_by_force_that_forks_twice_begins_sessions_and_never_stops_forking() {
        let folder = tempfile::tempdir().unwrap();
        let service = service(folder.path());
        let mark = mark("escape");
        // One that becomes another process again and again, each in a session of its own whose parent has ended.
        let chain = "chain() { (setsid sh -c \"$CHAIN\" & ) ; } ; chain";
        let line = format!(
            "export CHAIN='sleep 0.01; (setsid sh -c \"$CHAIN\" &) ; exit 0'; \
             for i in 1 2 3 4; do {chain}; done; \
             (setsid sleep 3600 &); trap '' TERM INT HUP; while :; do sleep 1; done"
        );
        for round in 0..5 {
            let id = format!("escape{round}").parse().unwrap();
            let container = service.create(&id, &shell(&mark, &line)).unwrap();
            let process = container.start(Stdio::null()).unwrap();
            until("all of it runs", || marked(&mark) >= 4);
            container.terminate().unwrap();
            assert_eq!(marked(&mark), 0, "in round {round}");
            assert_eq!(process.wait(Some(DEADLINE)).unwrap().shell_code(), 137);
            container.delete().unwrap();
        }
    }

    #[test]
    fn what_the_first_process_leaves_behind_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let service = service(folder.path());
        let mark = mark("behind");
        let container = service
            .create(
                &"behind".parse().unwrap(),
                &shell(&mark, "(setsid sleep 3600 &); exit 3"),
            )
            .unwrap();
        let process = container.start(Stdio::null()).unwrap();
        assert_eq!(process.wait(Some(DEADLINE)).unwrap().code, Some(3));
        assert_eq!(marked(&mark), 0);
        container.delete().unwrap();
    }

    #[test]
    fn a_keeper_that_is_killed_takes_its_process_along_and_the_status_is_unknown_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let service = service(folder.path());
        let mark = mark("killed");
        let id = "killed".parse().unwrap();
        let container = service
            .create(&id, &shell(&mark, "exec sleep 3600"))
            .unwrap();
        let process = container.start(Stdio::null()).unwrap();
        let record = folder.path().join("unisolated/killed/runs/0/process.json");
        let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
        let keeper = record["keeper"]["pid"].as_u64().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args(["-9", &keeper])
                .status()
                .unwrap()
                .success()
        );
        let status = process.wait(Some(DEADLINE)).unwrap();
        assert!(
            status.unknown.is_some() && status.shell_code() != 0,
            "{status:?}"
        );
        until("its process has ended", || marked(&mark) == 0);
        assert_eq!(container.state().unwrap(), State::Stopped);
        assert_eq!(service.open(&id).unwrap().wait(None).unwrap(), status);
        container.delete().unwrap();
    }

    /// The other half of the next test, started by it.
    #[test]
    #[ignore = "a part of another test"]
    fn owner_for_another_test() {
        let folder = std::env::var("HOIST_KEEPER_FOLDER").unwrap();
        let mark = std::env::var("HOIST_KEEPER_OF").unwrap();
        let options = HostOptions {
            takes_containers_along: true,
            ..HostOptions::default()
        };
        let service = HostService::with_options(folder.into(), options);
        let line = "(setsid sleep 3600 &); exec sleep 3600";
        let container = service
            .create(&"along".parse().unwrap(), &shell(&mark, line))
            .unwrap();
        container.start(Stdio::null()).unwrap();
        println!("started");
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }

    #[test]
    fn an_owner_that_takes_its_containers_along_does_so_however_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mark = mark("along");
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "linux::owner_for_another_test",
            ])
            .env("HOIST_KEEPER_FOLDER", folder.path())
            .env("HOIST_KEEPER_OF", &mark)
            .stdin(ChildStdio::piped())
            .stdout(ChildStdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("started")));
        until("all of it runs", || marked(&mark) >= 2);
        owner.kill().unwrap();
        owner.wait().unwrap();
        until("nothing of it is left", || marked(&mark) == 0);
        let container = service(folder.path())
            .open(&"along".parse().unwrap())
            .unwrap();
        let status = container.wait(Some(DEADLINE)).unwrap();
        assert_eq!(status.shell_code(), 137, "{status:?}");
        container.delete().unwrap();
    }

    #[test]
    fn every_wish_that_needs_isolation_is_refused_by_name_and_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let service = service(folder.path());
        let mut spec = spec_of(json!({
            "ociVersion": "1.2.0",
            "hostname": "own",
            "mounts": [{"destination": "/data", "type": "bind", "source": "/srv"}],
            "linux": {
                "namespaces": [{"type": "pid"}],
                "resources": {"memory": {"limit": 1_000_000}},
                "sysctl": {"kernel.domainname": "x"},
            },
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["true"],
                "cwd": "relative",
                "capabilities": {"bounding": ["CAP_CHOWN"]},
            },
        }));
        spec.root = RootSource::Directory("/srv/root".into());
        spec.init = true;
        spec.seccomp = SeccompPolicy::Default;
        let id = "refused".parse().unwrap();
        let error = service.create(&id, &spec).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidSpec);
        let text = error.to_string();
        for named in [
            "root",
            "/srv/root",
            "init",
            "seccomp",
            "hostname",
            "mounts",
            "linux.namespaces",
            "linux.resources",
            "linux.sysctl",
            "process.capabilities",
            "process.cwd",
        ] {
            assert!(text.contains(named), "{named} is not in {text}");
        }
        assert_eq!(service.open(&id).err().unwrap().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_pause_holds_every_process_and_no_parent_sees_that_its_child_was_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let service = service(folder.path());
        let mark = mark("pause");
        let line = "(setsid sh -c 'while :; do echo x; sleep 0.01; done' &); read end; exit 0";
        let container = service
            .create(&"pause".parse().unwrap(), &shell(&mark, line))
            .unwrap();
        let streams = Stdio::Streams {
            stdin: Stream::Pipe,
            stdout: Stream::Pipe,
            stderr: Stream::Null,
        };
        let process = container.start(streams).unwrap();
        let streams = process.take_streams();
        let mut stdout = streams.stdout.unwrap();
        let mut byte = [0; 2];
        stdout.read_exact(&mut byte).unwrap();
        container.pause().unwrap();
        let pipe = |file: &fs::File| rustix::io::ioctl_fionread(file).unwrap();
        let before = pipe(&stdout);
        thread::sleep(Duration::from_millis(200));
        assert_eq!(pipe(&stdout), before, "it wrote while it was paused");
        container.resume().unwrap();
        until("it writes again", || pipe(&stdout) > before);
        drop(streams.stdin);
        assert_eq!(process.wait(Some(DEADLINE)).unwrap().code, Some(0));
        container.delete().unwrap();
    }
}

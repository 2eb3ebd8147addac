//! The backend as a library inside a program that has many threads and a state of its own.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]
mod linux {
    use std::collections::{BTreeMap, HashMap};
    use std::fs;
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
    use std::thread;
    use std::time::{Duration, Instant};

    use hoist_compute::{ComputeService, Confinement, ErrorKind, ExecSpec, State, Stdio, Stream};
    use hoist_linux::LinuxService;
    use hoist_spec::{ContainerId, SeccompPolicy, Signal};
    use hoist_testing::{Leaks, Need, Suite, full, hangs_after, probe, root, spec};

    pub(super) fn main() -> ExitCode {
        probe::main_if_asked();
        Suite::new()
            .serial()
            // Row 44.
            .test(
                "64 threads start containers and processes while others allocate and lock, nothing hangs, and the caller is as before",
                &[Need::Namespaces],
                many_threads,
            )
            // Row 44.
            .test(
                "a caller of many gigabytes starts containers and processes, and none of its memory is theirs",
                &[Need::Namespaces],
                a_large_caller,
            )
            // Row 44.
            .test(
                "the caller's directory, umask, signal mask, environment, limits and descriptors are as before",
                &[Need::Namespaces],
                the_callers_state,
            )
            // Row 22.
            .test(
                "of more than a thousand execs that have ended the oldest go, and none that runs",
                &[Need::Namespaces],
                the_number_of_execs_is_bounded,
            )
            // Row 30.
            .test(
                "500 masked paths hide what is there, and a container starts with them",
                &[Need::Root],
                many_masked_paths,
            )
            .test(
                "a container whose cgroup is removed at its end by another, as systemd does, is told as running or as stopped",
                &[Need::Root, Need::Limits],
                a_cgroup_that_goes_by_itself,
            )
            .test(
                "a container that is made to be started has its seccomp agent, and one whose agent is missing leaves nothing",
                &[Need::Root],
                an_agent_of_one_that_is_started_next,
            )
            .test(
                "a container that another program has started again, or made anew, runs for its first owner, too, who does not remove it",
                &[Need::Namespaces],
                a_container_that_others_go_on_with,
            )
            .run()
    }

    struct Place {
        folder: tempfile::TempDir,
        tag: String,
        service: LinuxService,
    }

    impl Place {
        fn new(name: &str) -> Self {
            let folder = tempfile::Builder::new()
                .prefix("hoist-library-")
                .tempdir()
                .unwrap();
            root::minimal(&folder.path().join("root")).unwrap();
            let service = LinuxService::new(folder.path().join("state")).unwrap();
            Self {
                tag: format!("{name}{}", std::process::id()),
                service,
                folder,
            }
        }

        /// Makes a container, runs it to its end, and removes it.
        fn run(&self, number: usize, probe: &[&str]) -> Option<i32> {
            let spec = spec::container(&self.folder.path().join("root"), &self.tag, probe);
            let id = format!("{}-{number}", self.tag).parse().unwrap();
            let system = self.service.create(&id, &spec).unwrap();
            let process = system.start(Stdio::null()).unwrap();
            let status = process.wait(Some(Duration::from_secs(60))).unwrap();
            system.delete().unwrap();
            status.code
        }
    }

    fn a_container_that_others_go_on_with() {
        let place = Place::new("others");
        let root = place.folder.path().join("root");
        let spec = spec::container(&root, &place.tag, &["sleep", "600000"]);
        let patience = Some(Duration::from_secs(60));
        // As another program: it has nothing of this one in memory.
        let other = LinuxService::new(place.folder.path().join("state")).unwrap();
        let id: ContainerId = place.tag.parse().unwrap();
        for is_made_anew in [false, true] {
            let system = place.service.create_to_start(&id, &spec).unwrap();
            let process = system.start(Stdio::null()).unwrap();
            system.terminate().unwrap();
            process.wait(patience).unwrap();

            let mut again = other.open(&id).unwrap();
            if is_made_anew {
                again.delete().unwrap();
                again = other.create(&id, &spec).unwrap();
            } else {
                again.reset().unwrap();
            }
            let process = again.start(Stdio::null()).unwrap();
            let error = system.delete().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidState, "{is_made_anew}");
            assert_eq!(system.state().unwrap(), State::Running);

            system.signal(Signal::KILL).unwrap();
            process.wait(patience).unwrap();
            system.delete().unwrap();
            assert_eq!(place.service.ids("").unwrap(), []);
        }
    }

    fn an_agent_of_one_that_is_started_next() {
        let place = Place::new("agent");
        let socket = place.folder.path().join("agent.sock");
        let root = place.folder.path().join("root");
        let mut container = spec::container(&root, &place.tag, &["exit", "7"]);
        let profile = serde_json::json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": &socket,
            "syscalls": [{"names": ["sethostname"], "action": "SCMP_ACT_NOTIFY"}],
        });
        container.seccomp = SeccompPolicy::Oci;
        let linux = container.oci.linux_mut().as_mut().unwrap();
        linux.set_seccomp(Some(serde_json::from_value(profile).unwrap()));
        let id: ContainerId = place.tag.parse().unwrap();

        let alone = place.service.create_to_start(&id, &container).unwrap();
        let error = alone.start(Stdio::null()).err().unwrap();
        assert!(error.to_string().contains("agent"), "{error}");
        assert_eq!(place.service.ids("").unwrap(), []);

        let agent = UnixListener::bind(&socket).unwrap();
        let system = place.service.create_to_start(&id, &container).unwrap();
        let process = system.start(Stdio::null()).unwrap();
        let mut told = String::new();
        agent.accept().unwrap().0.read_to_string(&mut told).unwrap();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["state"]["status"], "creating");
        assert_eq!(told["state"]["pid"], process.pid());
        let status = process.wait(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(status.code, Some(7));
        system.delete().unwrap();
    }

    fn many_threads() {
        let times = if full() { 10_000 } else { 300 };
        hangs_after(
            Duration::from_secs(if full() { 3600 } else { 120 }),
            move || {
                let place = Place::new("threads");
                let leaks = Leaks::before(&place.tag, &[]).within(&[place.folder.path()]);
                let before = own_state();
                let root = place.folder.path().join("root");
                let spec = spec::container(&root, &place.tag, &["idle"]);
                let id = format!("{}-idle", place.tag).parse().unwrap();
                let idle = place.service.create(&id, &spec).unwrap();
                let first = idle.start(Stdio::null()).unwrap();
                let (next, done) = (AtomicUsize::new(0), AtomicBool::new(false));
                let shared = Mutex::new(HashMap::new());
                thread::scope(|scope| {
                    // Whoever forks without care copies a lock that one of these holds.
                    for number in 0..48 {
                        let (done, shared) = (&done, &shared);
                        scope.spawn(move || {
                            while !done.load(Relaxed) {
                                let text = format!("{number}").repeat(100);
                                shared.lock().unwrap().insert(number, text);
                                thread::sleep(Duration::from_micros(200));
                            }
                        });
                    }
                    let workers: Vec<_> = (0..16)
                        .map(|_| {
                            let (next, place, idle) = (&next, &place, &*idle);
                            scope.spawn(move || {
                                loop {
                                    let number = next.fetch_add(1, Relaxed);
                                    if number >= times {
                                        return;
                                    }
                                    assert_eq!(place.run(number, &["exit", "7"]), Some(7));
                                    let exec = spec::process(&place.tag, &["exit", "5"]);
                                    let further = idle.create_process(&exec, Stdio::null());
                                    let status = further.unwrap().wait(None).unwrap();
                                    assert_eq!(status.code, Some(5));
                                }
                            })
                        })
                        .collect();
                    let outcomes: Vec<_> = workers
                        .into_iter()
                        .map(thread::ScopedJoinHandle::join)
                        .collect();
                    done.store(true, Relaxed);
                    outcomes.into_iter().for_each(|outcome| outcome.unwrap());
                });
                idle.terminate().unwrap();
                first.wait(None).unwrap();
                idle.delete().unwrap();
                drop(first);
                assert_eq!(own_state(), before);
                leaks.assert_none();
            },
        );
    }

    /// How much this test may take: what the row asks for, bounded by what the machine has.
    fn bytes_to_take() -> usize {
        let wanted: usize = if full() { 4 << 30 } else { 1 << 30 };
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let available = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok())
            .unwrap_or(0);
        wanted.min(available / 3 * 1024)
    }

    fn a_large_caller() {
        let mut memory = vec![0_u8; bytes_to_take()];
        // Touched, so that a plain fork would have tables to copy.
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        let before = own_state();
        hangs_after(Duration::from_secs(120), || {
            let place = Place::new("large");
            let spec = spec::container(&place.folder.path().join("root"), &place.tag, &["idle"]);
            let id = format!("{}-idle", place.tag).parse().unwrap();
            let system = place.service.create(&id, &spec).unwrap();
            let process = system.start(Stdio::null()).unwrap();
            let resident = fs::read_to_string(format!("/proc/{}/statm", process.pid())).unwrap();
            let pages: usize = resident.split(' ').nth(1).unwrap().parse().unwrap();
            assert!(pages < 4096, "{pages} pages are resident");
            for _ in 0..20 {
                let exec = spec::process(&place.tag, &["exit", "3"]);
                let further = system.create_process(&exec, Stdio::null()).unwrap();
                assert_eq!(further.wait(None).unwrap().code, Some(3));
            }
            system.terminate().unwrap();
            process.wait(None).unwrap();
            system.delete().unwrap();
            for number in 0..20 {
                assert_eq!(place.run(number, &["exit", "7"]), Some(7));
            }
        });
        assert!(memory.iter().step_by(4096).all(|byte| *byte == 1));
        assert_eq!(own_state(), before);
    }

    fn the_number_of_execs_is_bounded() {
        let place = Place::new("bounded");
        let spec = spec::container(&place.folder.path().join("root"), &place.tag, &["idle"]);
        let id: ContainerId = format!("{}-idle", place.tag).parse().unwrap();
        let system = place.service.create(&id, &spec).unwrap();
        let first = system.start(Stdio::null()).unwrap();
        let exec = |name: &str, probe: &[&str]| {
            let spec = ExecSpec {
                process: spec::process(&place.tag, probe),
                confinement: Confinement::default(),
                interactive: false,
            };
            system.create_exec(&name.parse().unwrap(), &spec).unwrap()
        };
        let runs = exec("runs", &["sleep", "3600000"]);
        let process = runs.start(Stdio::null()).unwrap();
        let ended = exec("ended", &["exit", "9"]);
        ended.start(Stdio::null()).unwrap().wait(None).unwrap();
        // As if it had been done so often.
        let folder = place.folder.path().join("state/containers");
        let folder = folder.join(id.as_str()).join("execs");
        for number in 0..1150 {
            let copy = folder.join(format!("copy-{number}"));
            fs::create_dir(&copy).unwrap();
            for file in fs::read_dir(folder.join("ended")).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
        let last = exec("last", &["exit", "8"]);
        last.start(Stdio::null()).unwrap().wait(None).unwrap();
        let left = system.execs().unwrap();
        assert_eq!(
            left.len(),
            1002,
            "a thousand, the last, and the one that runs"
        );
        assert!(left.iter().any(|exec| exec.state == State::Running));
        assert_eq!(last.wait(None).unwrap().code, Some(8));
        system.terminate().unwrap();
        process.wait(None).unwrap();
        first.wait(None).unwrap();
        system.delete().unwrap();
    }

    /// What a library must leave alone, as soon as the thread that reaps has let go of what has ended: that is after everybody else is told.
    fn own_state() -> BTreeMap<&'static str, String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let state = own_state_now();
            if !state["descriptors"].contains("[pidfd]") || Instant::now() > deadline {
                return state;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn own_state_now() -> BTreeMap<&'static str, String> {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let wanted = [
            "Umask",
            "SigBlk",
            "SigIgn",
            "SigCgt",
            "CapEff",
            "CapBnd",
            "NoNewPrivs",
            "Seccomp",
            "Uid",
            "Gid",
            "Groups",
        ];
        let lines = status
            .lines()
            .filter(|line| wanted.contains(&line.split(':').next().unwrap_or_default()));
        let mut descriptors: Vec<String> = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .map(|target| target.display().to_string())
            .filter(|target| {
                !target.starts_with("/proc/")
                    && !target.contains("hoist-init")
                    && !target.contains("eventpoll")
            })
            .collect();
        descriptors.sort();
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap();
        [
            ("status", lines.collect::<Vec<_>>().join("\n")),
            (
                "directory",
                std::env::current_dir().unwrap().display().to_string(),
            ),
            (
                "root",
                fs::read_link("/proc/self/root")
                    .unwrap()
                    .display()
                    .to_string(),
            ),
            (
                "environment",
                format!("{:?}", std::env::vars_os().collect::<Vec<_>>()),
            ),
            ("limits", read("limits")),
            ("cgroup", read("cgroup")),
            ("score", read("oom_score_adj")),
            (
                "namespaces",
                ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup"]
                    .map(|kind| {
                        fs::read_link(format!("/proc/self/ns/{kind}"))
                            .unwrap()
                            .display()
                            .to_string()
                    })
                    .join(" "),
            ),
            ("descriptors", descriptors.join("\n")),
        ]
        .into()
    }

    fn the_callers_state() {
        let place = Place::new("state");
        // The first start makes what stays for the life of the program.
        place.run(0, &["exit", "0"]);
        let before = own_state();
        for number in 1..10 {
            place.run(number, &["exit", "0"]);
            let spec = spec::container(&place.folder.path().join("root"), &place.tag, &["idle"]);
            let id = format!("{}-idle-{number}", place.tag).parse().unwrap();
            let system = place.service.create(&id, &spec).unwrap();
            let process = system.start(Stdio::null()).unwrap();
            let exec = spec::process(&place.tag, &["exit", "3"]);
            let further = system.create_process(&exec, Stdio::null()).unwrap();
            assert_eq!(further.wait(None).unwrap().code, Some(3));
            system.terminate().unwrap();
            process.wait(None).unwrap();
            drop((process, further));
            system.delete().unwrap();
        }
        assert_eq!(own_state(), before);
    }

    /// The directories of a process's cgroup that are of this test.
    fn cgroups(pid: u32, tag: &str) -> Vec<PathBuf> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let lines = text.lines().filter(|line| line.contains(tag));
        lines
            .flat_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let controllers = parts.next().unwrap();
                let path = parts.next().unwrap().trim_start_matches('/');
                [controllers, "unified", "."]
                    .map(|place| Path::new("/sys/fs/cgroup").join(place).join(path))
            })
            .filter(|path| path.is_dir())
            .collect()
    }

    fn a_cgroup_that_goes_by_itself() {
        let place = Place::new("goes");
        let other = LinuxService::new(place.folder.path().join("state")).unwrap();
        let root = place.folder.path().join("root");
        let spec = spec::container(&root, &place.tag, &["sleep", "3600000"]);
        for number in 0..if full() { 2000 } else { 100 } {
            let id: ContainerId = format!("{}-{number}", place.tag).parse().unwrap();
            let system = place.service.create(&id, &spec).unwrap();
            let process = system.start(Stdio::null()).unwrap();
            let mut left = cgroups(process.pid(), &place.tag);
            assert!(!left.is_empty());
            let seen = other.open(&id).unwrap();
            thread::scope(|scope| {
                let states = scope.spawn(|| {
                    while seen.state().unwrap() == State::Running {}
                    seen.state().unwrap()
                });
                process.signal(Signal::KILL).unwrap();
                while !left.is_empty() {
                    left.retain(|path| fs::remove_dir(path).is_err() && path.exists());
                }
                assert_eq!(states.join().unwrap(), State::Stopped);
            });
            process.wait(None).unwrap();
            system.delete().unwrap();
        }
    }

    fn many_masked_paths() {
        let place = Place::new("masked");
        let folder = place.folder.path().join("root/secret");
        let mut paths = Vec::new();
        for number in 0..500 {
            let path = folder.join(number.to_string());
            // Every other one is a directory.
            if number % 2 == 0 {
                fs::create_dir_all(path.join("x")).unwrap();
            } else {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, "secret").unwrap();
            }
            paths.push(format!("/secret/{number}"));
        }
        let probe = "read /secret/1 + read /secret/499 + list /secret/0 + list /secret/498";
        let probe: Vec<&str> = probe.split(' ').collect();
        let mut spec = spec::container(&place.folder.path().join("root"), &place.tag, &probe);
        spec.oci
            .linux_mut()
            .as_mut()
            .unwrap()
            .set_masked_paths(Some(paths));
        let id = format!("{}-masked", place.tag).parse().unwrap();
        let system = place.service.create(&id, &spec).unwrap();
        let stdio = Stdio::Streams {
            stdin: Stream::Null,
            stdout: Stream::Pipe,
            stderr: Stream::Null,
        };
        let process = system.start(stdio).unwrap();
        let mut seen = String::new();
        process
            .take_streams()
            .stdout
            .unwrap()
            .read_to_string(&mut seen)
            .unwrap();
        assert_eq!(seen, "[]\n[]\n");
        assert_eq!(process.wait(None).unwrap().code, Some(0));
        system.delete().unwrap();
    }
}

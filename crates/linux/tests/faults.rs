//! Faults at every single step of a start, and the owner's death at each: what the error says, and that nothing is left.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]
mod linux {
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};
    use std::time::Duration;

    use hoist_compute::{
        ComputeService, ComputeSystem, Error, ErrorKind, ExitStatus, OsCode, Phase, State, Stdio,
    };
    use hoist_linux::plan::{Fault, PlannedStep};
    use hoist_linux::{LinuxOptions, LinuxService};
    use hoist_spec::oci::LinuxResources;
    use hoist_spec::{ConsoleSize, ContainerId, ContainerSpec};
    use hoist_testing::conformance::chain;
    use hoist_testing::{Leaks, Need, Suite, full, hangs_after, probe, root, spec};
    use serde_json::json;

    const NEEDS: &[Need] = &[Need::Namespaces];
    const ROOT: &[Need] = &[Need::Root];
    const COPIED: &[Need] = &[
        Need::UserNamespaces,
        Need::Tool("setpriv"),
        Need::Tool("setarch"),
    ];
    const SERVED: &[Need] = &[
        Need::UserNamespaces,
        Need::Tool("setpriv"),
        Need::Tool("setarch"),
        Need::Tool("fuse-overlayfs"),
    ];
    const USER: u32 = 65534;
    /// Long enough for a slow machine and all the steps of a plan: only a hang takes so long.
    fn long() -> Duration {
        Duration::from_secs(if full() { 3600 } else { 300 })
    }
    /// The same for a single container.
    const PATIENCE: Duration = Duration::from_secs(60);
    const EIO: i32 = 5;
    const SIGKILL: i32 = 9;

    pub(crate) fn main() -> ExitCode {
        probe::main_if_asked();
        let arguments: Vec<String> = std::env::args().collect();
        if let [_, first, place, kind, id, step] = arguments.as_slice()
            && first == "owner"
        {
            return owner(Path::new(place), kind, id, step);
        }
        if let [_, first, place, kind] = arguments.as_slice()
            && first == "as-user"
        {
            at_every_step_of_layers(&Place(place.into()), kind);
            return ExitCode::SUCCESS;
        }

        mount_for_ourselves();
        let folder = tempfile::Builder::new()
            .prefix("faults-")
            .tempdir()
            .unwrap();
        std::fs::create_dir(folder.path().join("records")).unwrap();
        root::minimal(&folder.path().join("root")).unwrap();
        let place = folder.path().to_owned();
        let at = |test: fn(&Place)| {
            let place = Place(place.clone());
            move || hangs_after(long(), move || test(&place))
        };
        Suite::new()
            .serial()
            .test(
                "a start that fails at any step names it and leaves nothing",
                NEEDS,
                at(|place| fails_at_every_step(place, "plain")),
            )
            .test(
                "a start with console, init, layers, limits and devices that fails at any step names it and leaves nothing",
                ROOT,
                at(|place| fails_at_every_step(place, "rich")),
            )
            .test(
                "a process that dies at any step of a start is told and leaves nothing",
                NEEDS,
                at(|place| dies_at_every_step(place, "plain")),
            )
            .test(
                "a process with console, init, layers, limits and devices that dies at any step is told and leaves nothing",
                ROOT,
                at(|place| dies_at_every_step(place, "rich")),
            )
            .test(
                "a process that is left out of a cgroup, or in the host's cgroup namespace, is not let go",
                ROOT,
                at(is_not_let_go_elsewhere),
            )
            .test(
                "a container whose start failed is started by the next attempt",
                NEEDS,
                at(is_started_by_the_next_attempt),
            )
            .test(
                "a further process that fails or dies at any step leaves the container as it was",
                NEEDS,
                at(further_processes_fail),
            )
            .test(
                "an owner that is killed at any step leaves a container that can be removed",
                NEEDS,
                at(|place| owner_is_lost_at_every_step(place, "plain")),
            )
            .test(
                "an owner that is killed at any step of a start with console, init, layers, limits and devices leaves a container that can be removed",
                ROOT,
                at(|place| owner_is_lost_at_every_step(place, "rich")),
            )
            .test(
                "an owner that is killed at any moment leaves what can be removed",
                NEEDS,
                at(|place| owner_is_killed_at_any_moment(place, "plain")),
            )
            .test(
                "an owner that is killed at any moment of a whole run, its removal included, leaves what can be removed",
                NEEDS,
                at(|place| owner_is_killed_at_any_moment(place, "whole")),
            )
            .test(
                "the owner of a further process that is killed at any step leaves the container as it was",
                NEEDS,
                at(owner_of_a_further_process_is_lost),
            )
            .test(
                "a start with layers that fuse-overlayfs shows that fails, dies or loses its owner at any step leaves nothing, nor does the server's",
                SERVED,
                || hangs_after(3 * long(), || as_user("served")),
            )
            .test(
                "a start with a copy of layers that fails, dies or loses its owner at any step leaves nothing",
                COPIED,
                || hangs_after(3 * long(), || as_user("copied")),
            )
            .test(
                "a start with a copy of layers that is kept and fails at any step leaves a whole copy or none, and the next one starts",
                COPIED,
                || hangs_after(3 * long(), || as_user("kept")),
            )
            .run()
    }

    /// What others mount on this machine meanwhile is not to be taken for something left behind. An ordinary user cannot
    /// do without.
    fn mount_for_ourselves() {
        use rustix::mount::{MountPropagationFlags, mount_change};
        #[allow(
            deprecated,
            reason = "its only danger, CLONE_FILES of a threaded program, is not in question here"
        )]
        let alone = rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS);
        if alone.is_ok() {
            let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", flags).unwrap();
        }
    }

    /// Where the tests have their records and roots.
    struct Place(PathBuf);

    impl Place {
        fn service(&self) -> LinuxService {
            LinuxService::new(self.0.join("records")).unwrap()
        }

        fn faulty(&self, before: u32, fault: Fault) -> LinuxService {
            let options = LinuxOptions {
                fault: Some((before, fault)),
                ..LinuxOptions::default()
            };
            LinuxService::with_options(self.0.join("records"), options).unwrap()
        }

        fn leaks(&self, tag: &str) -> Leaks {
            // The first service makes its folder.
            drop(self.service());
            Leaks::before(tag, &[&self.0.join("records"), &self.0.join("root")]).within(&[&self.0])
        }

        /// A container: a plain one that idles, one that ends at once for a `whole` run, or a `rich` one, whose plan has
        /// steps of nearly every sort.
        fn spec(&self, kind: &str, tag: &str) -> ContainerSpec {
            let root = self.0.join("root");
            let program: &[&str] = match kind {
                "whole" => &["exit", "0"],
                "served" | "copied" | "kept" => &["exit", "7"],
                _ => &["idle"],
            };
            let mut spec = spec::container(&root, tag, program);
            if matches!(kind, "served" | "copied" | "kept") {
                spec.root = hoist_spec::RootSource::Layers {
                    layers: vec![root],
                    writable: match kind {
                        "kept" => hoist_spec::WritableLayer::Folder(self.0.join("kept")),
                        _ => hoist_spec::WritableLayer::Ephemeral,
                    },
                };
                return spec;
            }
            if kind != "rich" {
                return spec;
            }
            spec.root = hoist_spec::RootSource::Layers {
                layers: vec![root],
                writable: hoist_spec::WritableLayer::Ephemeral,
            };
            spec.init = true;
            let resources: LinuxResources = serde_json::from_value(json!({
                "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "access": "m"}],
                "pids": {"limit": 64},
            }))
            .unwrap();
            if let Some(linux) = spec.oci.linux_mut() {
                linux
                    .set_resources(Some(resources))
                    .set_masked_paths(Some(vec![
                        "/proc/kcore".to_owned(),
                        "/proc/keys".to_owned(),
                    ]))
                    .set_readonly_paths(Some(vec!["/proc/sys".to_owned()]));
            }
            if let Some(process) = spec.oci.process_mut() {
                process
                    .set_terminal(Some(true))
                    .set_oom_score_adj(Some(500));
            }
            spec
        }

        fn stdio(kind: &str) -> Stdio {
            match kind {
                "rich" => Stdio::Console(ConsoleSize {
                    height: 24,
                    width: 80,
                }),
                _ => Stdio::null(),
            }
        }

        /// The steps that helper and process carry out.
        fn steps(&self, kind: &str) -> Vec<PlannedStep> {
            let plan = self
                .service()
                .plan(&id("planned", 0), &self.spec(kind, "planned"))
                .unwrap();
            let mut steps = plan.steps();
            steps.retain(|step| step.index.is_some());
            assert!(steps.len() > 20, "{steps:?}");
            steps
        }
    }

    fn tag(name: &str) -> String {
        format!("fault{name}{}", std::process::id())
    }

    fn id(tag: &str, step: u32) -> ContainerId {
        format!("{tag}-{step}").parse().unwrap()
    }

    fn index_of(steps: &[PlannedStep], name: &str) -> u32 {
        steps
            .iter()
            .find(|step| step.name == name)
            .and_then(|step| step.index)
            .unwrap_or_else(|| panic!("no step {name} in {steps:#?}"))
    }

    /// The error of a start that must fail.
    fn why_not_started(system: &dyn ComputeSystem, stdio: Stdio, at: &str) -> Error {
        match system.start(stdio) {
            Ok(process) => {
                system.terminate().unwrap();
                panic!("{at}: process {} was started", process.pid());
            }
            Err(error) => error,
        }
    }

    /// Removes what was not started or has ended.
    fn leaves_nothing(system: Box<dyn ComputeSystem>, leaks: &Leaks, at: &str) {
        system
            .delete()
            .unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
        drop(system);
        leaks.after().unwrap_or_else(|left| panic!("{at}: {left}"));
    }

    fn fails_at_every_step(place: &Place, kind: &str) {
        let tag = tag(&format!("fail{kind}"));
        for step in place.steps(kind) {
            let (index, words) = (step.index.unwrap(), &step.words);
            let at = format!("before step {index}, {words}");
            let leaks = place.leaks(&tag);
            let service = place.faulty(index, Fault::Fail(EIO));
            let id = id(&tag, index);
            let system = service.create(&id, &place.spec(kind, &tag)).unwrap();
            let error = why_not_started(&*system, Place::stdio(kind), &at);
            assert_eq!(
                error.operation(),
                "fail with Input/output error (EIO)",
                "{at}"
            );
            assert_eq!(error.os_code(), Some(OsCode::Errno(EIO)), "{at}: {error}");
            assert_eq!(error.phase(), Phase::Start, "{at}: {error}");
            assert_eq!(system.state().unwrap(), State::Created, "{at}");
            leaves_nothing(system, &leaks, &at);
        }
    }

    fn dies_at_every_step(place: &Place, kind: &str) {
        let tag = tag(&format!("die{kind}"));
        let steps = place.steps(kind);
        let (clone, release) = (index_of(&steps, "clone"), index_of(&steps, "await_release"));
        for step in &steps {
            let (index, words) = (step.index.unwrap(), &step.words);
            let at = format!("before step {index}, {words}");
            let leaks = place.leaks(&tag);
            let service = place.faulty(index, Fault::Die);
            let id = id(&tag, index);
            let system = service.create(&id, &place.spec(kind, &tag)).unwrap();
            match system.start(Place::stdio(kind)) {
                // Let go, it is on its own: whatever ends it then is its exit status.
                Ok(process) => {
                    assert!(index > release, "{at}: it counts as started");
                    let status = process.wait(Some(PATIENCE)).unwrap();
                    assert!(status.signal.is_some(), "{at}: {status:?}");
                    assert_eq!(system.wait(Some(PATIENCE)).unwrap(), status, "{at}");
                }
                Err(error) => {
                    assert!(index <= release, "{at}: {}", chain(&error));
                    let who = if index <= clone {
                        "the helper"
                    } else {
                        "the new process"
                    };
                    assert_eq!(
                        error.operation(),
                        format!("start the process: {who} ended unexpectedly"),
                        "{at}"
                    );
                    assert_eq!(error.phase(), Phase::Start, "{at}: {error}");
                    assert_eq!(system.state().unwrap(), State::Created, "{at}");
                }
            }
            leaves_nothing(system, &leaks, &at);
        }
    }

    /// The process says that it is in its place; its owner looks.
    fn is_not_let_go_elsewhere(place: &Place) {
        let tag = tag("elsewhere");
        let mut steps = place.steps("plain");
        index_of(&steps, "new_cgroup_namespace");
        // Where cgroups are v2's alone, it is born in its own, and joins none.
        steps.retain(|step| ["join_cgroup", "new_cgroup_namespace"].contains(&&*step.name));
        for PlannedStep {
            index, name, words, ..
        } in &steps
        {
            let (index, at) = (index.unwrap(), format!("without the step {words}"));
            let leaks = place.leaks(&tag);
            let id = id(&tag, index);
            let system = place
                .faulty(index, Fault::LeaveOut)
                .create(&id, &place.spec("plain", &tag))
                .unwrap();
            let error = why_not_started(&*system, Stdio::null(), &at);
            let found = match name.as_str() {
                "join_cgroup" => "it is in cgroup ",
                _ => "it shares the host's cgroup namespace",
            };
            let said = chain(&error);
            assert!(
                said.contains(&format!("compare the process with the plan: {found}")),
                "{at}: {said}"
            );
            assert_eq!(error.phase(), Phase::Start, "{at}: {said}");
            assert_eq!(system.state().unwrap(), State::Created, "{at}");
            leaves_nothing(system, &leaks, &at);
        }
    }

    fn is_started_by_the_next_attempt(place: &Place) {
        let tag = tag("again");
        for step in place.steps("plain") {
            let index = step.index.unwrap();
            let leaks = place.leaks(&tag);
            let id = id(&tag, index);
            let faulty = place.faulty(index, Fault::Fail(EIO));
            let system = faulty.create(&id, &place.spec("plain", &tag)).unwrap();
            assert!(system.start(Stdio::null()).is_err(), "{}", step.words);
            let again = place.service().open(&id).unwrap();
            let process = again
                .start(Stdio::null())
                .unwrap_or_else(|error| panic!("{}: {}", step.words, chain(&error)));
            again.terminate().unwrap();
            assert_eq!(
                process
                    .wait(Some(PATIENCE))
                    .unwrap()
                    .signal
                    .map(|signal| signal.number()),
                Some(SIGKILL)
            );
            again.delete().unwrap();
            drop((system, again, process));
            leaks
                .after()
                .unwrap_or_else(|left| panic!("{}: {left}", step.words));
        }
    }

    fn further_processes_fail(place: &Place) {
        let tag = tag("exec");
        let leaks = place.leaks(&tag);
        let id = id(&tag, 0);
        let system = place
            .service()
            .create(&id, &place.spec("plain", &tag))
            .unwrap();
        let first = system.start(Stdio::pipes()).unwrap();
        // When it idles, it looks the same whenever it is looked at.
        let mut ready = [0; 6];
        let mut stdout = first.take_streams().stdout.unwrap();
        stdout.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        let inside = place.leaks(&tag);
        let further = |service: &LinuxService, probe: &[&str]| {
            let system = service.open(&id).unwrap();
            system.create_process(&spec::process(&tag, probe), Stdio::null())
        };
        let mut met = 0;
        for (fault, describe) in [
            (Fault::Fail(EIO), "fail with Input/output error (EIO)"),
            (Fault::Die, "ended unexpectedly"),
        ] {
            for index in 0.. {
                let started = further(&place.faulty(index, fault), &["exit", "7"]);
                let status = match started {
                    Err(error) => {
                        assert!(
                            error.operation().contains(describe),
                            "step {index}: {}",
                            chain(&error)
                        );
                        None
                    }
                    Ok(process) => Some(process.wait(Some(PATIENCE)).unwrap()),
                };
                inside
                    .after()
                    .unwrap_or_else(|left| panic!("step {index}: {left}"));
                assert_eq!(system.state().unwrap(), State::Running, "step {index}");
                match status {
                    None => met += 1,
                    // Behind the last step the fault is not met.
                    Some(ExitStatus {
                        code: Some(7),
                        signal: None,
                        ..
                    }) => break,
                    Some(status) => {
                        assert!(
                            fault == Fault::Die && status.signal.is_some(),
                            "step {index}: {status:?}"
                        );
                        met += 1;
                    }
                }
            }
        }
        assert!(met > 16, "only {met} steps");
        let process = further(&place.service(), &["exit", "7"]).unwrap();
        assert_eq!(process.wait(Some(PATIENCE)).unwrap().code, Some(7));
        drop(process);
        system.terminate().unwrap();
        first.wait(Some(PATIENCE)).unwrap();
        system.delete().unwrap();
        drop((system, first, stdout));
        leaks.assert_none();
    }

    /// This program again, as the owner of a container: it starts it, and is killed before the step; without a number,
    /// whenever the test wants.
    fn owner(place: &Path, kind: &str, id: &str, step: &str) -> ExitCode {
        let place = Place(place.to_owned());
        let service = match step.parse() {
            Ok(step) => place.faulty(step, Fault::LoseOwner),
            Err(_) => place.service(),
        };
        let tag = id.split('-').next().unwrap_or_default().to_owned();
        if kind == "further" {
            let system = service.open(&id.parse().unwrap()).unwrap();
            let process = system
                .create_process(&spec::process(&tag, &["exit", "7"]), Stdio::null())
                .unwrap();
            let status = process.wait(Some(long())).unwrap();
            return ExitCode::from(u8::try_from(status.code.unwrap()).unwrap());
        }
        let system = service
            .create(&id.parse().unwrap(), &place.spec(kind, &tag))
            .unwrap();
        match system.start(Place::stdio(kind)) {
            Ok(process) => {
                let _ = process.wait(Some(long()));
                if kind == "whole" {
                    system.delete().unwrap();
                }
            }
            Err(error) => eprintln!("{}", chain(&error)),
        }
        ExitCode::FAILURE
    }

    fn owner_command(place: &Place, kind: &str, id: &ContainerId, step: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .arg("owner")
            .arg(&place.0)
            .args([kind, id.as_str(), step]);
        command
    }

    fn owner_is_lost_at_every_step(place: &Place, kind: &str) {
        let tag = tag(&format!("lost{kind}"));
        let steps = place.steps(kind);
        let release = index_of(&steps, "await_release");
        for step in &steps {
            let (index, words) = (step.index.unwrap(), &step.words);
            let at = format!("before step {index}, {words}");
            let leaks = place.leaks(&tag);
            let id = id(&tag, index);
            let status = owner_command(place, kind, &id, &index.to_string())
                .status()
                .unwrap();
            assert_eq!(
                status.signal(),
                Some(SIGKILL),
                "{at}: the owner is {status}"
            );
            let was = remove(&place.service(), &id, &at);
            let is_let_go = index > release;
            match was {
                Some(State::Created) => assert!(!is_let_go, "{at}"),
                // It goes on without its owner, and may have ended since, as its console is gone.
                Some(State::Running | State::Stopped) => assert!(is_let_go, "{at}"),
                other => panic!("{at}: it was {other:?}"),
            }
            leaks.after().unwrap_or_else(|left| panic!("{at}: {left}"));
        }
    }

    fn owner_of_a_further_process_is_lost(place: &Place) {
        let tag = tag("further");
        let leaks = place.leaks(&tag);
        let id = id(&tag, 0);
        let system = place
            .service()
            .create(&id, &place.spec("plain", &tag))
            .unwrap();
        let first = system.start(Stdio::pipes()).unwrap();
        let mut ready = [0; 6];
        let mut stdout = first.take_streams().stdout.unwrap();
        stdout.read_exact(&mut ready).unwrap();
        let inside = place.leaks(&tag);
        let mut met = 0;
        for step in 0.. {
            let status = owner_command(place, "further", &id, &step.to_string())
                .status()
                .unwrap();
            // It goes on or gives up without its owner; either way it is soon gone.
            inside
                .after()
                .unwrap_or_else(|left| panic!("step {step}: {left}"));
            assert_eq!(system.state().unwrap(), State::Running, "step {step}");
            match (status.signal(), status.code()) {
                (Some(SIGKILL), _) => met += 1,
                (None, Some(7)) => break,
                _ => panic!("step {step}: {status}"),
            }
        }
        assert!(met > 8, "only {met} steps");
        system.terminate().unwrap();
        first.wait(Some(PATIENCE)).unwrap();
        system.delete().unwrap();
        drop((system, first, stdout));
        leaks.assert_none();
    }

    /// Runs [`at_every_step_of_layers`] as an ordinary user for whom the kernel's overlayfs is not: on a kernel that calls itself an
    /// old one (personality(2), `UNAME26`).
    fn as_user(kind: &str) {
        let folder = tempfile::Builder::new()
            .prefix("faults-")
            .tempdir()
            .unwrap();
        let at = |name: &str| folder.path().join(name);
        root::minimal(&at("root")).unwrap();
        for name in ["records", "kept", "no-programs"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::copy(std::env::current_exe().unwrap(), at("faults")).unwrap();
        let program = |name: &str| {
            std::env::split_paths(&std::env::var_os("PATH").unwrap())
                .map(|folder| folder.join(name))
                .find(|path| path.is_file())
                .unwrap()
        };
        let mut command = match rustix::process::geteuid().is_root() {
            true => {
                own(folder.path());
                let mut command = Command::new(program("setpriv"));
                let (uid, gid) = (format!("--reuid={USER}"), format!("--regid={USER}"));
                command
                    .args([&uid, &gid, "--clear-groups"])
                    .arg(program("setarch"));
                command
            }
            false => Command::new(program("setarch")),
        };
        command
            .arg("--uname-2.6")
            .arg(at("faults"))
            .arg("as-user")
            .arg(folder.path())
            .arg(kind);
        if kind != "served" {
            command.env("PATH", at("no-programs"));
        }
        let ran = command.output().unwrap();
        let (text, errors) = (
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr),
        );
        assert!(ran.status.success(), "{}: {text}{errors}", ran.status);
        eprint!("{errors}");
    }

    /// Gives the user a tree.
    fn own(path: &Path) {
        std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            for entry in std::fs::read_dir(path).unwrap() {
                own(&entry.unwrap().path());
            }
        }
    }

    /// The processes of fuse-overlayfs that show the root of this place.
    fn servers(place: &Place) -> Vec<String> {
        let root = place.0.join("root").display().to_string();
        let entries = std::fs::read_dir("/proc").unwrap();
        entries
            .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok())
            .filter(|words| words.contains("fuse-overlayfs") && words.contains(&root))
            .collect()
    }

    /// The steps of a server are among them: the faults' numbers go on through its plan.
    fn at_every_step_of_layers(place: &Place, kind: &str) {
        let tag = tag(kind);
        let kept = place.0.join("kept");
        let nothing_is_left = |leaks: &Leaks, at: &str| {
            leaks.after().unwrap_or_else(|left| panic!("{at}: {left}"));
            let deadline = std::time::Instant::now() + PATIENCE;
            while !servers(place).is_empty() {
                let left = servers(place);
                assert!(std::time::Instant::now() < deadline, "{at}: {left:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let steps = place.steps(kind);
        let what = match kind {
            "served" => "new_served_layers",
            _ => "copy_layers",
        };
        // It is the way to the root that is meant.
        index_of(&steps, what);
        let mut met = 0;
        for fault in [Fault::Fail(EIO), Fault::Die] {
            for index in 0.. {
                let at = format!("{fault:?} before step {index}");
                std::fs::remove_dir_all(&kept).unwrap();
                std::fs::create_dir(&kept).unwrap();
                let leaks = place.leaks(&tag);
                let id = id(&tag, index);
                let system = place
                    .faulty(index, fault)
                    .create(&id, &place.spec(kind, &tag))
                    .unwrap();
                let status = match system.start(Stdio::null()) {
                    Err(error) => {
                        assert_eq!(error.phase(), Phase::Start, "{at}: {}", chain(&error));
                        if let Fault::Fail(_) = fault {
                            let said = chain(&error);
                            assert!(
                                said.contains("fail with Input/output error (EIO)"),
                                "{at}: {said}"
                            );
                        }
                        assert_eq!(system.state().unwrap(), State::Created, "{at}");
                        None
                    }
                    Ok(process) => Some(process.wait(Some(PATIENCE)).unwrap()),
                };
                system
                    .delete()
                    .unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
                drop(system);
                nothing_is_left(&leaks, &at);
                assert!(!kept.join("copy.unfinished").exists(), "{at}");
                let is_met = match status {
                    None => true,
                    Some(status) if status.code == Some(7) => false,
                    Some(status) => {
                        assert!(
                            fault == Fault::Die && status.signal.is_some(),
                            "{at}: {status:?}"
                        );
                        true
                    }
                };
                if kind == "kept" && is_met {
                    let next = place
                        .service()
                        .create(&id, &place.spec(kind, &tag))
                        .unwrap();
                    let process = next
                        .start(Stdio::null())
                        .unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
                    assert_eq!(process.wait(Some(PATIENCE)).unwrap().code, Some(7), "{at}");
                    next.delete().unwrap();
                }
                if !is_met {
                    break;
                }
                met += 1;
            }
        }
        // Each kind of fault at every step; and those of the server, which has more than a dozen, too.
        let least = steps.len() + if kind == "served" { 12 } else { 0 };
        assert!(met >= 2 * least, "only {met} of {least} steps twice");
        let mut lost = 0;
        for index in 0.. {
            let at = format!("the owner is lost before step {index}");
            let leaks = place.leaks(&tag);
            let id = id(&tag, index);
            let owner = owner_command(place, kind, &id, &index.to_string())
                .status()
                .unwrap();
            remove(&place.service(), &id, &at).unwrap();
            nothing_is_left(&leaks, &at);
            match owner.signal() {
                Some(SIGKILL) => lost += 1,
                _ => break,
            }
        }
        assert!(lost >= least, "only {lost} of {least} steps");
        eprintln!("{met} faults, {lost} owners lost");
    }

    /// Between the owner's own steps, too: kills it after ever longer times, from its very start to beyond its end.
    fn owner_is_killed_at_any_moment(place: &Place, kind: &str) {
        let tag = tag(&format!("moment{kind}"));
        let times = if full() { 1000 } else { 120 };
        let (mut before_it_was, mut created, mut ran) = (0, 0, 0);
        for number in 0..times {
            let leaks = place.leaks(&tag);
            let id = id(&tag, number);
            let mut owner = owner_command(place, kind, &id, "none").spawn().unwrap();
            // A start takes some milliseconds; from there on it runs.
            let moment = u64::from(number) * 20_000 / u64::from(times);
            std::thread::sleep(Duration::from_micros(moment));
            owner.kill().unwrap();
            owner.wait().unwrap();
            let at = format!("try {number}");
            match remove(&place.service(), &id, &at) {
                None => before_it_was += 1,
                Some(State::Created) => created += 1,
                Some(_) => ran += 1,
            }
            // Whoever lists the containers sweeps what a removal that was cut short has left.
            place.service().enumerate().unwrap();
            leaks.after().unwrap_or_else(|left| panic!("{at}: {left}"));
        }
        eprintln!("unknown {before_it_was}, created {created}, started {ran}");
    }

    /// Ends and removes a container that lost its owner; its state before, or none where it was not even known.
    fn remove(service: &LinuxService, id: &ContainerId, at: &str) -> Option<State> {
        let system = match service.open(id) {
            Ok(system) => system,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{at}: {}", chain(&error));
                return None;
            }
        };
        let checked = |done: hoist_compute::Result<()>| {
            done.unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
        };
        let state = system
            .state()
            .unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
        if let Err(refused) = system.delete() {
            assert_eq!(refused.kind(), ErrorKind::InvalidState, "{at}");
            assert_eq!(state, State::Running, "{at}: {}", chain(&refused));
            checked(system.terminate());
            let status = system.wait(Some(PATIENCE)).unwrap();
            assert!(status.code != Some(0), "{at}: {status:?}");
            checked(system.delete());
        }
        let gone = service.open(id).map(|_| ()).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{at}");
        Some(state)
    }
}

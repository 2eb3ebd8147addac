//! `hoist.exe` over the `vmcompute.dll` of the system folder: under Wine that is the double, which `HOIST_TEST_HCS_INSTALLED=1` says and whose
//! service is started from `HOIST_TEST_HCS_DOUBLE`. On other platforms there are no cases.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::process::ExitCode;

#[cfg(not(windows))]
fn main() -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(windows)]
fn main() -> ExitCode {
    on_windows::main()
}

#[cfg(windows)]
#[path = "windows/damaged.rs"]
mod damaged;
#[cfg(windows)]
#[path = "windows/named_pipes.rs"]
mod named_pipes;

#[cfg(windows)]
mod on_windows {
    use std::{
        fs,
        io::{BufRead, BufReader, Write},
        path::{Path, PathBuf},
        process::{Child, Command, ExitCode, Stdio},
        sync::atomic::{AtomicU32, Ordering::Relaxed},
        time::Duration,
    };

    use hoist_testing::windows::{Double, probe_if_asked};
    use libtest_mimic::{Arguments, Completion, Trial};

    const INSTALLED: &str = "HOIST_TEST_HCS_INSTALLED";
    /// Generous: the machine may be slow.
    const HANGS_AFTER: Duration = Duration::from_secs(600);

    pub(crate) type Case = fn(&Place);

    const CASES: &[(&str, Case)] = &[
        (
            "the exit code of run is the process's with all its bits, and both of its streams come through",
            exit_codes_and_output,
        ),
        (
            "with -i the process reads the caller's input to its end, and without it none",
            input,
        ),
        (
            "a container that runs can be listed, looked at, executed in, paused, changed, stopped and removed",
            a_life,
        ),
        (
            "what cannot be executed gives 126 or 127, for run and exec, and leaves no container",
            no_programs,
        ),
        (
            "an end by force gives 137 to whoever has started the container",
            ended_by_force,
        ),
        (
            "what Windows does not have is refused by the name of its option, and nothing is made",
            refused_options,
        ),
        (
            "commands that are not there on Windows say so, and are not offered",
            refused_commands,
        ),
        (
            "info tells the build of Windows, and plan the calls that a start would make",
            info_and_plan,
        ),
        (
            "without isolation a process has its own exit code and streams, and what it asks for beyond is refused",
            without_isolation,
        ),
        (
            "a container without isolation lives as any other does, and its end by force leaves nothing of it",
            a_life_without_isolation,
        ),
        (
            "execs without isolation have ids, and whoever names one waits for it, ends it and forgets it",
            execs_by_their_ids,
        ),
        (
            "execs of the host compute service have ids, and whoever names one waits for it, ends it and forgets it",
            execs_of_the_service,
        ),
        (
            "without vmcompute.dll a command says what to install, and what needs none goes on working",
            without_the_dll,
        ),
    ];

    pub(super) fn main() -> ExitCode {
        probe_if_asked();
        let installed = std::env::var_os(INSTALLED).is_some();
        if installed && let Some(code) = Double::main(None) {
            return code;
        }
        let cases = CASES
            .iter()
            .chain(crate::damaged::CASES)
            .chain(crate::named_pipes::CASES);
        let trials = cases.map(|(name, case)| {
            Trial::ignorable_test(*name, move || {
                if !installed {
                    let reason = format!("{INSTALLED} does not say that the double is installed");
                    return Ok(Completion::ignored_with(reason));
                }
                hoist_testing::hangs_after(HANGS_AFTER, move || {
                    let place = Place::new();
                    case(&place);
                    assert_eq!(place.ids(), "", "containers are left");
                    fs::remove_dir_all(&place.0).unwrap();
                });
                Ok(Completion::Completed)
            })
        });
        let arguments = Arguments {
            // One takes the DLL away for a moment.
            test_threads: Some(1),
            ..Arguments::from_args()
        };
        libtest_mimic::run(&arguments, trials.collect()).exit_code()
    }

    /// A state root of its own.
    pub(crate) struct Place(PathBuf);

    /// How a command ended.
    #[derive(Debug)]
    pub(crate) struct Ran {
        pub(crate) code: i32,
        pub(crate) out: String,
        pub(crate) err: String,
    }

    impl Ran {
        #[track_caller]
        pub(crate) fn succeeded(self) -> String {
            assert_eq!(self.code, 0, "{self:?}");
            self.out
        }

        #[track_caller]
        pub(crate) fn failed_with(self, code: i32, words: &[&str]) {
            assert_eq!(self.code, code, "{self:?}");
            for word in words {
                assert!(self.err.contains(word), "no {word:?} in {self:?}");
            }
        }
    }

    /// The words that run this program as the probe.
    pub(crate) fn probe(actions: &[&str]) -> Vec<String> {
        let program = std::env::current_exe().unwrap();
        [&program.to_string_lossy(), "probe"]
            .iter()
            .chain(actions)
            .map(|&word| word.to_owned())
            .collect()
    }

    impl Place {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Relaxed);
            let name = format!("hoist-cli-{}-{number}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        pub(crate) fn command(&self, words: &[&str]) -> Command {
            let mut command = Command::new(env!("CARGO_BIN_EXE_hoist"));
            command.arg("--state-root").arg(&self.0).args(words);
            command
        }

        pub(crate) fn hoist(&self, words: &[&str]) -> Ran {
            finish(self.command(words), b"")
        }

        fn run_command(&self, options: &[&str], actions: &[&str]) -> Command {
            let mut command = self.command(&["run", "--rootfs", r"C:\"]);
            command.args(options).args(probe(actions));
            command
        }

        pub(crate) fn run(&self, options: &[&str], actions: &[&str]) -> Ran {
            finish(self.run_command(options, actions), b"")
        }

        pub(crate) fn exec(&self, options: &[&str], container: &str, actions: &[&str]) -> Ran {
            let mut command = self.command(&["exec"]);
            command.args(options).arg(container).args(probe(actions));
            finish(command, b"")
        }

        /// A container that runs until it is ended, and the command that has started it.
        pub(crate) fn running(&self, name: &str, options: &[&str]) -> Child {
            let mut all = vec!["--name", name];
            all.extend(options);
            ready(self.run_command(&all, &["idle"]))
        }

        /// The same, without isolation.
        pub(crate) fn running_unisolated(&self, name: &str) -> Child {
            ready(unisolated(self, &["--name", name], &["idle"]))
        }

        /// The folder of a container's record.
        pub(crate) fn record(&self, folder: &str, id: &str) -> PathBuf {
            self.0.join(folder).join(id)
        }

        pub(crate) fn inspect(&self, container: &str) -> serde_json::Value {
            let text = self.hoist(&["inspect", container]).succeeded();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()[0].clone()
        }

        pub(crate) fn ids(&self) -> String {
            self.hoist(&["ps", "-aq"]).succeeded()
        }
    }

    /// A command whose process says that it is ready, and idles.
    fn ready(mut command: Command) -> Child {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), "ready");
        child
    }

    pub(crate) fn finish(mut command: Command, input: &[u8]) -> Ran {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut writer = child.stdin.take().unwrap();
        let done = std::thread::scope(|scope| {
            // It may have failed before it read anything.
            scope.spawn(move || drop(writer.write_all(input)));
            child.wait_with_output().unwrap()
        });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        Ran {
            code: done.status.code().unwrap(),
            out: text(&done.stdout),
            err: text(&done.stderr),
        }
    }

    fn exit_codes_and_output(place: &Place) {
        for code in ["0", "1", "125", "255", "3010", "-1073741819"] {
            let ran = place.run(
                &["--rm"],
                &["say", "out", "+", "warn", "err", "+", "exit", code],
            );
            assert_eq!(ran.code.to_string(), code, "{ran:?}");
            assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"));
        }
        place
            .run(&["--name", "kept"], &["exit", "7"])
            .failed_with(7, &[]);
        assert_eq!(place.hoist(&["wait", "kept"]).succeeded(), "7\n");
        assert_eq!(place.inspect("kept")["State"]["ExitCode"], 7);
        let all = place.hoist(&["ps", "-a"]).succeeded();
        assert!(all.contains("Exited (7)") && all.contains("kept"), "{all}");
        place
            .run(&["--name", "kept"], &["exit", "0"])
            .failed_with(125, &["kept"]);
        place.hoist(&["rm", "kept"]).succeeded();
    }

    fn input(place: &Place) {
        let sent = "a line\nand more".repeat(10_000);
        let ran = finish(
            place.run_command(&["--rm", "-i"], &["cat"]),
            sent.as_bytes(),
        );
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out == sent, "{} bytes of {}", ran.out.len(), sent.len());
        let ran = finish(place.run_command(&["--rm"], &["cat"]), sent.as_bytes());
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    }

    fn a_life(place: &Place) {
        let mut owner = place.running("web", &["-e", "FROM_RUN=1=2"]);
        let listed = place.hoist(&["ps"]).succeeded();
        assert!(listed.contains("web") && listed.contains("Up "), "{listed}");
        assert_eq!(place.inspect("web")["State"]["Status"], "running");
        place.exec(&[], "web", &["exit", "9"]).failed_with(9, &[]);
        let told = place
            .exec(&["-e", "OWN=x y", "-w", r"C:\windows"], "web", &["report"])
            .succeeded();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let variables = told["environment"].to_string();
        assert!(
            variables.contains("FROM_RUN=1=2") && variables.contains("OWN=x y"),
            "{variables}"
        );
        let directory = told["working_directory"].to_string().to_lowercase();
        assert!(directory.contains("windows"), "{directory}");
        let mut further = place.command(&["exec", "-i", "web"]);
        further.args(probe(&["cat"]));
        assert_eq!(finish(further, b"typed").succeeded(), "typed");
        let top = place.hoist(&["top", "web"]).succeeded();
        assert!(top.lines().count() >= 2, "{top}");
        let stats = place.hoist(&["stats", "--no-stream", "web"]).succeeded();
        assert!(stats.contains("web"), "{stats}");
        place.hoist(&["pause", "web"]).succeeded();
        assert_eq!(place.inspect("web")["State"]["Status"], "paused");
        place.hoist(&["unpause", "web"]).succeeded();
        place
            .hoist(&["update", "--memory", "256m", "web"])
            .succeeded();
        place
            .hoist(&["update", "--pids-limit", "5", "web"])
            .failed_with(1, &["pids"]);
        place.hoist(&["rename", "web", "shop"]).succeeded();
        place.hoist(&["rm", "shop"]).failed_with(1, &["running"]);
        place.hoist(&["stop", "-t", "60", "shop"]).succeeded();
        owner.wait().unwrap();
        assert_eq!(place.inspect("shop")["State"]["Status"], "exited");
        place
            .exec(&[], "shop", &["exit", "0"])
            .failed_with(125, &[]);
        place.hoist(&["rm", "shop"]).succeeded();
        place.hoist(&["inspect", "shop"]).failed_with(1, &["shop"]);
    }

    /// Row 4 of the list of known failures.
    fn no_programs(place: &Place) {
        let mut owner = place.running("web", &[]);
        for (program, code) in [
            (r"C:\nosuch.exe", 127),
            (r"C:\nosuch\below.exe", 127),
            (r"C:\windows", 126),
        ] {
            let words = ["run", "--rm", "--rootfs", r"C:\", program];
            place.hoist(&words).failed_with(code, &[program]);
            let words = ["exec", "web", program];
            place.hoist(&words).failed_with(code, &[program]);
        }
        assert_eq!(place.ids().lines().count(), 1);
        // Row 9: none of these did the container any harm.
        place.exec(&[], "web", &["exit", "0"]).succeeded();
        place.hoist(&["rm", "-f", "web"]).succeeded();
        owner.wait().unwrap();
    }

    fn ended_by_force(place: &Place) {
        let mut owner = place.running("web", &[]);
        place
            .hoist(&["kill", "--signal", "USR1", "web"])
            .failed_with(1, &["USR1"]);
        place.hoist(&["kill", "web"]).succeeded();
        assert_eq!(owner.wait().unwrap().code(), Some(137));
        assert_eq!(place.hoist(&["wait", "web"]).succeeded(), "137\n");
        place.hoist(&["prune", "--force"]).succeeded();
    }

    fn refused_options(place: &Place) {
        let all = [
            "--cap-add",
            "NET_ADMIN",
            "--read-only",
            "--init",
            "--pids-limit",
            "5",
            "--tmpfs",
            r"C:\x",
            "--device",
            r"C:\y",
            "--privileged",
            "--workdir",
            "here",
            "-c",
            "20000",
        ];
        place.run(&all, &["exit", "0"]).failed_with(
            125,
            &[
                "--cap-add",
                "--read-only",
                "--init",
                "--pids-limit",
                "--tmpfs",
                "--device",
                "--privileged",
                "--workdir",
                "--cpu-shares",
            ],
        );
        let all = ["-d", "--restart", "always", "--log-driver", "none"];
        place
            .run(&all, &["exit", "0"])
            .failed_with(125, &["--detach", "--restart", "--log-driver"]);
        place
            .hoist(&["run", "cmd"])
            .failed_with(125, &["--rootfs", "prepared layer"]);
        place
            .hoist(&["run", "--rootfs", r"C:\no such root", "cmd"])
            .failed_with(125, &["no such root"]);
        place
            .run(&["-it"], &["exit", "0"])
            .failed_with(125, &["not a terminal"]);
        let mut owner = place.running("web", &[]);
        place
            .exec(&["-d"], "web", &["exit", "0"])
            .failed_with(125, &["--detach"]);
        place
            .exec(&["--timeout", "5"], "web", &["exit", "0"])
            .failed_with(125, &[]);
        place.hoist(&["rm", "-f", "web"]).succeeded();
        owner.wait().unwrap();
    }

    fn refused_commands(place: &Place) {
        let refused: [&[&str]; 6] = [
            &["logs", "web"],
            &["attach", "web"],
            &["start", "web"],
            &["restart", "web"],
            &["diff", "web"],
            &["cp", "web:x", "y"],
        ];
        for words in refused {
            place
                .hoist(words)
                .failed_with(1, &[&format!("hoist {}", words[0]), "on Windows yet"]);
        }
        let help = place.hoist(&["--help"]).succeeded();
        assert!(
            help.contains("  exec ") && !help.contains("  logs "),
            "{help}"
        );
        let script = place.hoist(&["completions", "powershell"]).succeeded();
        assert!(script.contains("'exec'"), "{script}");
    }

    /// Of security.md, section 2d: CVE-2021-26891 and CVE-2021-26865.
    fn info_and_plan(place: &Place) {
        let info = place.hoist(&["info"]).succeeded();
        assert!(info.contains("backend hcs"), "{info}");
        assert!(info.contains("windows build"), "{info}");
        let plan = place
            .hoist(&["plan", "--rootfs", r"C:\", "cmd", "/c", "two words"])
            .succeeded();
        assert!(
            plan.contains("HcsCreateComputeSystem") && plan.contains(r#"\"two words\""#),
            "{plan}"
        );
    }

    fn unisolated(place: &Place, options: &[&str], actions: &[&str]) -> Command {
        let mut command = place.command(&["run", "--isolation", "none"]);
        command.args(options).arg("--").args(probe(actions));
        command
    }

    fn without_isolation(place: &Place) {
        for code in ["0", "255", "-1073741819"] {
            let actions = ["say", "out", "+", "warn", "err", "+", "exit", code];
            let ran = finish(unisolated(place, &["--rm"], &actions), b"");
            assert_eq!(ran.code.to_string(), code, "{ran:?}");
            assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"));
        }
        let sent = "a line\nand more".repeat(10_000);
        let ran = finish(
            unisolated(place, &["--rm", "-i"], &["cat"]),
            sent.as_bytes(),
        );
        assert!(ran.code == 0 && ran.out == sent, "{} bytes", ran.out.len());
        let options = [
            "--rm",
            "-e",
            "OWN=x y",
            "-w",
            r"C:\windows",
            "--memory",
            "256m",
        ];
        let told = finish(unisolated(place, &options, &["report"]), b"").succeeded();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert!(
            told["environment"].to_string().contains("OWN=x y"),
            "{told}"
        );
        let directory = told["working_directory"].to_string().to_lowercase();
        assert!(directory.contains("windows"), "{told}");
        for (program, code) in [(r"C:\nosuch.exe", 127), (r"C:\windows", 126)] {
            let words = ["run", "--rm", "--isolation", "none", program];
            place.hoist(&words).failed_with(code, &[program]);
        }
        let wishes = ["--read-only", "--hostname", "h", "--cpu-shares", "5"];
        finish(unisolated(place, &wishes, &["exit", "0"]), b"")
            .failed_with(125, &["--read-only", "--hostname", "--cpu-shares"]);
        let drawn = finish(unisolated(place, &["--rm", "-t"], &["size"]), b"").succeeded();
        assert!(drawn.contains("24 80"), "{drawn:?}");
        place
            .hoist(&["run", "--isolation", "none", r"C:\run.bat"])
            .failed_with(125, &["is a script"]);
        let words = ["plan", "--isolation", "none", "--pids-limit", "7", "cmd"];
        let plan = place.hoist(&words).succeeded();
        assert!(
            plan.contains("AssignProcessToJobObject") && plan.contains("7 processes"),
            "{plan}"
        );
        let info = place.hoist(&["info"]).succeeded();
        assert!(info.contains("processes without isolation"), "{info}");
    }

    fn a_life_without_isolation(place: &Place) {
        let mut owner = unisolated(
            place,
            &["--name", "job"],
            &["orphan", "3600000", "+", "idle"],
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut output = BufReader::new(owner.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), "ready");
        assert_eq!(place.inspect("job")["State"]["Status"], "running");
        place.exec(&[], "job", &["exit", "9"]).failed_with(9, &[]);
        let top = place.hoist(&["top", "job"]).succeeded();
        assert_eq!(top.lines().count(), 3, "{top}");
        place.hoist(&["stats", "--no-stream", "job"]).succeeded();
        place.hoist(&["pause", "job"]).succeeded();
        assert_eq!(place.inspect("job")["State"]["Status"], "paused");
        place.exec(&[], "job", &["exit", "0"]).failed_with(125, &[]);
        place.hoist(&["unpause", "job"]).succeeded();
        place
            .hoist(&["update", "--memory", "256m", "job"])
            .succeeded();
        place.hoist(&["rm", "job"]).failed_with(1, &["running"]);
        place.hoist(&["kill", "job"]).succeeded();
        assert_eq!(owner.wait().unwrap().code(), Some(137));
        // What it has started had its output, too: that ends with the last of them.
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
        assert_eq!(rest, "");
        assert_eq!(place.hoist(&["wait", "job"]).succeeded(), "137\n");
        place.hoist(&["rm", "job"]).succeeded();
    }

    fn execs_by_their_ids(place: &Place) {
        let owner = place.running_unisolated("job");
        execs(place, owner, "job", 2);
    }

    fn execs_of_the_service(place: &Place) {
        let owner = place.running("web", &[]);
        for (option, value, word) in [("--memory", "64m", "limits"), ("--timeout", "5", "a time")] {
            let mut command = place.command(&["process", "create", option, value, "web"]);
            command.args(probe(&["exit", "0"]));
            finish(command, b"").failed_with(1, &[word, "no group of processes"]);
        }
        let all = place.hoist(&["process", "ls", "-a", "-q"]);
        assert_eq!(all.succeeded(), "", "a refused one is left");
        // The service tells of the process that it was asked for, and not what that has started.
        execs(place, owner, "web", 1);
    }

    /// Execs of a container that runs until its owner ends; one that has started another shows so many processes.
    fn execs(place: &Place, mut owner: Child, container: &str, processes: usize) {
        let create = |actions: &[&str]| {
            let mut command = place.command(&["process", "create", container]);
            command.args(probe(actions));
            finish(command, b"").succeeded().trim_end().to_owned()
        };
        // One that runs to its end: all 32 bits of its code, for whoever asks.
        let short = create(&["say", "out", "+", "exit", "-1073741819"]);
        place
            .hoist(&["process", "start", &short])
            .failed_with(1, &["--attach"]);
        let ran = place.hoist(&["process", "start", "--attach", &short]);
        assert_eq!((ran.code, ran.out.as_str()), (-1_073_741_819, "out\n"));
        let told = place.hoist(&["process", "wait", &short]).succeeded();
        assert_eq!(told, "-1073741819\n");
        place
            .hoist(&["process", "start", "--attach", &short])
            .failed_with(1, &["started before"]);
        // One that runs, seen and ended by others, with what it has started.
        let long = create(&["orphan", "3600000", "+", "stubborn"]);
        let mut attached = place
            .command(&["process", "start", "--attach", &long])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(attached.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), "ready");
        let list = ["process", "ls", "--no-trunc", "--format", "json"];
        let running = place.hoist(&list).succeeded();
        assert!(
            running.contains(&long) && !running.contains(&short),
            "{running}"
        );
        let found = place.hoist(&["process", "inspect", &long]).succeeded();
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found[0]["Running"], true);
        assert_eq!(
            found[0]["Pids"].as_array().unwrap().len(),
            processes,
            "{found}"
        );
        place
            .hoist(&["process", "rm", &long])
            .failed_with(1, &["running"]);
        place.hoist(&["process", "rm", "-f", &long]).succeeded();
        assert_eq!(attached.wait().unwrap().code(), Some(137));
        let all = ["process", "ls", "-a", "-q", "--no-trunc"];
        assert_eq!(place.hoist(&all).succeeded(), format!("{short}\n"));
        place.hoist(&["process", "rm", &short]).succeeded();
        place.hoist(&["kill", container]).succeeded();
        assert_eq!(owner.wait().unwrap().code(), Some(137));
        // What it had started had its output, too.
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
        assert_eq!(rest, "");
        place.hoist(&["rm", container]).succeeded();
    }

    /// Where Windows keeps its DLLs.
    fn system_folder() -> PathBuf {
        Path::new(&std::env::var_os("SystemRoot").unwrap()).join("system32")
    }

    fn without_the_dll(place: &Place) {
        let (dll, away) = (
            system_folder().join("vmcompute.dll"),
            system_folder().join("vmcompute.away"),
        );
        // One that the service has: it is not forgotten.
        let kept = place.run(&["--name", "kept"], &["exit", "0"]);
        kept.succeeded();
        fs::rename(&dll, &away).unwrap();
        let ran = [
            place.hoist(&["run", "--rootfs", r"C:\", "cmd"]),
            place.hoist(&["inspect", "kept"]),
            place.hoist(&["ps"]),
        ];
        let info = place.hoist(&["info"]);
        let plain = finish(unisolated(place, &["--rm"], &["exit", "3"]), b"");
        let unaffected = [
            place.hoist(&["version"]),
            place.hoist(&["completions", "powershell"]),
            place.hoist(&["plan", "--rootfs", r"C:\", "cmd"]),
        ];
        fs::rename(&away, &dll).unwrap();
        for (ran, code) in ran.into_iter().zip([125, 1, 1]) {
            ran.failed_with(code, &["vmcompute.dll", "Containers"]);
        }
        for ran in unaffected {
            ran.succeeded();
        }
        let info = info.succeeded();
        assert!(info.contains("vmcompute.dll cannot be loaded"), "{info}");
        plain.failed_with(3, &[]);
        place.hoist(&["rm", "kept"]).succeeded();
    }
}

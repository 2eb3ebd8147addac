//! What bad input gets: an error that names the thing, docker's exit code, and nothing left behind.
//!
//! That nothing is left (no cgroup, mount, process, file) is counted after every case.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod linux {
    use std::os::unix::fs::symlink;

    use hoist_testing::{
        Need,
        command::{
            By::{Anyone, Root, User},
            Case, Hoist,
        },
    };

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "a missing command, a missing program, a missing directory and a missing user are each named",
            by: Anyone,
            needs: &[],
            run: missing_things,
        },
        Case {
            name: "a missing root, a root that is no directory, and a missing layer are each named",
            by: Anyone,
            needs: &[],
            run: missing_roots,
        },
        Case {
            name: "a missing source of a mount is named, and not made",
            by: Anyone,
            needs: &[],
            run: missing_source,
        },
        Case {
            name: "a name in use is refused, and its holder is left alone",
            by: Anyone,
            needs: &[],
            run: name_in_use,
        },
        Case {
            name: "a name or a host name that is none is refused",
            by: Anyone,
            needs: &[],
            run: bad_names,
        },
        Case {
            name: "three bad values are three errors",
            by: Anyone,
            needs: &[],
            run: several_faults,
        },
        Case {
            name: "values that contradict each other are refused",
            by: Anyone,
            needs: &[],
            run: contradictions,
        },
        Case {
            name: "values that are out of range or no numbers are refused by their option's name",
            by: Anyone,
            needs: &[],
            run: bad_values,
        },
        Case {
            name: "named pipes, which Windows alone has, are refused by the option's name, and nothing is started",
            by: Anyone,
            needs: &[],
            run: named_pipes,
        },
        Case {
            name: "a mount target that climbs out of the root through a symlink stays inside",
            by: Anyone,
            needs: &[],
            run: climbing_target,
        },
        Case {
            name: "a mount target with .. in it cannot leave the root",
            by: Anyone,
            needs: &[],
            run: dotted_target,
        },
        Case {
            name: "a root's own links lead a working directory nowhere else",
            by: Anyone,
            needs: &[],
            run: linked_working_directory,
        },
        Case {
            name: "a limit that the kernel refuses is named with its controller, and nothing is left",
            by: Root,
            needs: &[Need::Limits],
            run: refused_limit,
        },
        Case {
            name: "an ordinary user's limit is refused, never left out",
            by: User,
            needs: &[],
            run: limit_of_user,
        },
        Case {
            name: "a capability, a signal, a security option and a network that there is not are refused",
            by: Anyone,
            needs: &[],
            run: unknown_words,
        },
        Case {
            name: "a seccomp profile that is missing, torn or foreign is refused",
            by: Anyone,
            needs: &[],
            run: bad_profiles,
        },
        Case {
            name: "an environment file that is missing or wrong is refused by name",
            by: Anyone,
            needs: &[],
            run: bad_environment,
        },
        Case {
            name: "a file for the id that exists is refused and stays as it is",
            by: Anyone,
            needs: &[],
            run: id_file_exists,
        },
        Case {
            name: "a file for the id is removed again when there is no container",
            by: Anyone,
            needs: &[],
            run: id_file_removed,
        },
        Case {
            name: "-it without a terminal is refused",
            by: Anyone,
            needs: &[],
            run: no_terminal,
        },
        Case {
            name: "a record that is torn or foreign is told and left as it is",
            by: Anyone,
            needs: &[],
            run: torn_record,
        },
        Case {
            name: "a state root that cannot be used is named",
            by: Anyone,
            needs: &[],
            run: bad_state_root,
        },
        Case {
            // Row 6 of the list of known failures: an error text of more than a pipe holds.
            name: "errors of any length are told in time, cut where one thing is too long",
            by: Anyone,
            needs: &[],
            run: long_errors,
        },
    ];

    fn missing_things(hoist: &Hoist) {
        let root = hoist.root().to_str().unwrap();
        let run = |words: &[&str]| {
            let mut line = vec!["run", "--rootfs", root];
            line.extend(words);
            hoist.hoist(&line)
        };
        run(&[]).failed_with(125, &["COMMAND", "no program"]);
        run(&["nosuch"]).failed_with(127, &["nosuch", "$PATH"]);
        run(&["/no/such"]).failed_with(127, &["/no/such"]);
        run(&["-w", "/no/such", "/probe"]).failed_with(127, &["/no/such", "--workdir"]);
        run(&["-u", "nosuch", "/probe"]).failed_with(125, &["nosuch", "/etc/passwd"]);
        run(&["-u", "0:nosuch", "/probe"]).failed_with(125, &["nosuch", "/etc/group"]);
        run(&["-u", "-1", "/probe"]).failed_with(125, &["-1"]);
        run(&["-u", "4294967295", "/probe"]).failed_with(125, &["4294967295"]);
        assert_eq!(hoist.ids(), Vec::<String>::new());
        let _running = hoist.background("web", &[], &["idle"]);
        let exec = hoist.hoist(&["exec", "web"]);
        exec.failed_with(125, &["COMMAND", "no program"]);
    }

    fn missing_roots(hoist: &Hoist) {
        let file = hoist.write("file", "");
        for (option, path) in [
            ("--rootfs", "/no/such/root"),
            ("--rootfs", &file),
            ("--layer", "/no/such/layer"),
            ("--layer", &file),
        ] {
            hoist
                .hoist(&["run", option, path, "/probe"])
                .failed_with(125, &[path]);
        }
        let root = hoist.root().to_str().unwrap();
        hoist
            .hoist(&["run", "--layer", root, "--layer", "/no/such", "/probe"])
            .failed_with(125, &["/no/such"]);
        assert_eq!(hoist.ids(), Vec::<String>::new());
    }

    fn missing_source(hoist: &Hoist) {
        let missing = hoist.path("missing");
        hoist
            .run(&["-v", &format!("{missing}:/mnt")], &["exit", "0"])
            .failed_with(125, &[&missing]);
        hoist
            .run(
                &[
                    "--mount",
                    &format!("type=bind,source={missing},target=/mnt"),
                ],
                &["exit", "0"],
            )
            .failed_with(125, &[&missing]);
        assert!(!std::path::Path::new(&missing).exists());
    }

    fn name_in_use(hoist: &Hoist) {
        let running = hoist.background("web", &[], &["idle"]);
        let [id] = hoist.ids().try_into().unwrap();
        hoist
            .run(&["--name", "web"], &["exit", "0"])
            .failed_with(125, &["web", "in use", &id]);
        assert_eq!(hoist.inspect("web")["Id"], id);
        assert_eq!(hoist.inspect("web")["State"]["Status"], "running");
        drop(running);
        hoist.run(&["--name", "web"], &["exit", "0"]).succeeded();
    }

    fn bad_names(hoist: &Hoist) {
        let long = "x".repeat(129);
        for name in ["", "-x", "a/b", "../x", "a b", ".", "ä", "x\n", &long] {
            let ran = hoist.run(&["--name", name], &["exit", "0"]);
            ran.failed_with(125, &["name"]);
        }
        for name in ["", "a b", "-x", &"x".repeat(65)] {
            hoist
                .run(&["--hostname", name], &["exit", "0"])
                .failed_with(125, &["--hostname"]);
        }
    }

    fn several_faults(hoist: &Hoist) {
        let ran = hoist.run(
            &["-m", "much", "--cpus", "none", "--pids-limit", "few"],
            &["exit", "0"],
        );
        ran.failed_with(125, &["--memory", "--cpus", "--pids-limit"]);
        assert_eq!(ran.stderr.lines().count(), 3, "{}", ran.stderr);
        let options = ["--sysctl", "a=b", "-u", "4294967296", "-w", "rel"];
        let ran = hoist.run(&options, &["exit", "0"]);
        ran.failed_with(125, &["--sysctl", "--user", "--workdir"]);
        // An unset variable of a shell: not the default root.
        let words = ["run", "--rm", "--rootfs", "", "--", "true"];
        hoist.hoist(&words).failed_with(125, &["--rootfs", "empty"]);
    }

    fn contradictions(hoist: &Hoist) {
        let root = hoist.root().to_str().unwrap();
        hoist
            .hoist(&["run", "--layer", root, "--rootfs", root, "/probe"])
            .failed_with(125, &["--layer", "--rootfs"]);
        for (options, words) in [
            (&["-v", "/usr:/mnt", "--tmpfs", "/mnt"][..], &["/mnt"][..]),
            (&["--network", "host", "--hostname", "x"], &[]),
            (
                &["--mount", "type=tmpfs,target=/mnt,bind-propagation=rshared"],
                &["--mount"],
            ),
            (
                &["--mount", "type=bind,target=/mnt"],
                &["--mount", "source"],
            ),
        ] {
            let ran = hoist.run(options, &["exit", "0"]);
            if words.is_empty() {
                // docker lets a container on the host's network have a name of its own.
                ran.succeeded();
            } else {
                ran.failed_with(125, words);
            }
        }
    }

    fn bad_values(hoist: &Hoist) {
        for (option, value) in [
            ("--memory", "0"),
            ("--memory", "-5"),
            ("--memory", "1x"),
            ("--memory", "99999999999g"),
            ("--cpus", "0"),
            ("--cpus", "-1"),
            ("--cpus", "one"),
            ("--cpu-shares", "1"),
            ("--cpu-shares", "300000"),
            ("--pids-limit", "many"),
            ("--stop-timeout", "-2"),
            ("--stop-signal", "65"),
            ("--stop-signal", "SIGNOSUCH"),
            ("--workdir", "relative"),
            ("--env", "=x"),
            ("--volume", "usr"),
            ("--volume", "/usr:relative"),
            ("--volume", "/usr:/mnt:nosuch"),
            ("--volume", "/a:/b:ro:more"),
            ("--mount", "type=nosuch,target=/mnt"),
            ("--mount", "target"),
            ("--tmpfs", "relative"),
        ] {
            hoist
                .run(&[option, value], &["exit", "0"])
                .failed_with(125, &[option]);
        }
        hoist
            .run(&["--tmpfs", "/mnt:size=much"], &["exit", "0"])
            .failed_with(125, &["/mnt", "size=much"]);
        assert_eq!(hoist.ids(), Vec::<String>::new());
    }

    fn named_pipes(hoist: &Hoist) {
        let named = ["--stdio", "named-pipes"];
        hoist
            .run(&named, &["say", "started"])
            .failed_with(125, &["--stdio", "named-pipes", "Windows"]);
        hoist
            .exec(&named, "web", &["say", "started"])
            .failed_with(125, &["--stdio", "Windows"]);
        for words in [
            &["create", "--stdio", "named-pipes", "true"][..],
            &["run", "-d", "--stdio", "named-pipes", "true"],
            &["run", "--stdio", "pigeons", "true"],
        ] {
            hoist.hoist(words).failed_with(125, &["--stdio"]);
        }
        for words in [
            ["process", "start", "--stdio", "named-pipes", "x"],
            ["plan", "--stdio", "direct", "--json", "true"],
        ] {
            hoist.hoist(&words).failed_with(1, &["--stdio"]);
        }
        assert_eq!(hoist.ids(), Vec::<String>::new());
        let ran = hoist.run(&["--rm", "--stdio", "direct"], &["say", "started"]);
        assert_eq!(ran.succeeded(), "started\n");
    }

    fn climbing_target(hoist: &Hoist) {
        let root = hoist.copy_of_root("own-root");
        let outside = hoist.make_folder("outside");
        let source = hoist.make_folder("source");
        hoist.write("source/seen", "");
        symlink(&outside, format!("{root}/absolute")).unwrap();
        symlink("../../../../../..", format!("{root}/climbing")).unwrap();
        symlink("/proc/self/root", format!("{root}/magic")).unwrap();
        for target in [
            "/mnt",
            "/absolute",
            "/absolute/new",
            "/climbing/new",
            "/magic/new",
        ] {
            let seen = format!("{target}/seen");
            let ran = hoist.hoist(&[
                "run",
                "--rm",
                "--rootfs",
                &root,
                "-v",
                &format!("{source}:{target}"),
                "--",
                "/probe",
                "probe",
                "open",
                "r",
                &seen,
            ]);
            // Either it is refused by name, or it is there, inside the root.
            if ran.code == 0 {
                assert_eq!(ran.text(), format!("{{\"{seen}\":0}}\n"));
            } else {
                assert_ne!(target, "/mnt");
                ran.failed_with(125, &[target]);
            }
            assert_eq!(
                std::fs::read_dir(&outside).unwrap().count(),
                0,
                "{target} reached outside"
            );
            assert!(!std::path::Path::new("/new").exists());
        }
        // The directory in the test's folder that the links named may have been made inside the root.
        assert!(std::path::Path::new(&outside).is_dir());
        std::fs::remove_dir_all(&root).unwrap();
        std::fs::remove_dir_all(&outside).unwrap();
        std::fs::remove_dir_all(&source).unwrap();
    }

    fn dotted_target(hoist: &Hoist) {
        let root = hoist.copy_of_root("own-root");
        let outside = hoist.make_folder("outside");
        let volume = format!("/usr:/mnt/../../../../../../../../..{outside}/new");
        // As docker has it, `..` at the root stays there.
        hoist
            .hoist(&[
                "run", "--rm", "--rootfs", &root, "-v", &volume, "--", "/probe", "probe", "exit",
                "0",
            ])
            .succeeded();
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        assert!(std::path::Path::new(&format!("{root}{outside}/new")).is_dir());
        std::fs::remove_dir_all(&root).unwrap();
    }

    fn linked_working_directory(hoist: &Hoist) {
        let root = hoist.copy_of_root("own-root");
        hoist.write("secret", "");
        symlink(hoist.folder(), format!("{root}/out")).unwrap();
        symlink("/proc/1/root", format!("{root}/up")).unwrap();
        let run = |folder: &str| {
            hoist.hoist(&[
                "run", "--rm", "--rootfs", &root, "-w", folder, "--", "/probe", "probe", "list",
                ".",
            ])
        };
        assert_eq!(run("/bin").succeeded(), run("/etc/../bin").succeeded());
        // The link's target does not exist inside the root, and is not looked for outside of it.
        run("/out").failed_with(127, &["/out"]);
        let ran = run("/up");
        if ran.code == 0 {
            assert_eq!(ran.text(), run("/").succeeded());
        } else {
            ran.failed_with(127, &["/up"]);
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    fn refused_limit(hoist: &Hoist) {
        hoist
            .run(&["--pids-limit", "99999999999999"], &["exit", "0"])
            .failed_with(125, &["pids", "99999999999999", "EINVAL"]);
        // Less than a program needs: the kernel takes it or not, but the container does not run without it.
        let ran = hoist.run(&["-m", "1"], &["exit", "0"]);
        ran.failed_with(125, &["memory"]);
        assert_eq!(hoist.ids(), Vec::<String>::new());
    }

    fn limit_of_user(hoist: &Hoist) {
        for options in [
            ["-m", "64m"],
            ["--cpus", "0.5"],
            ["--cpu-shares", "512"],
            ["--pids-limit", "50"],
        ] {
            let ran = hoist.run(&options, &["exit", "0"]);
            // Where cgroups are delegated to users, the limit is there, which the tests of limits look at.
            if ran.code != 0 {
                ran.failed_with(125, &["controller", "delegated"]);
            } else {
                assert!(std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists());
            }
        }
    }

    fn unknown_words(hoist: &Hoist) {
        for (option, value) in [
            ("--cap-add", "NOSUCH"),
            ("--cap-drop", "CAP_NOSUCH"),
            ("--security-opt", "nosuch"),
            ("--security-opt", "seccomp="),
            ("--network", "nosuch"),
            ("--network", ""),
        ] {
            hoist
                .run(&[option, value], &["exit", "0"])
                .failed_with(125, &[option]);
        }
    }

    fn bad_profiles(hoist: &Hoist) {
        for (name, text) in [
            ("torn.json", "{\"defaultAction\": \"SCMP_ACT_ER"),
            ("empty.json", ""),
            ("foreign.json", "{\"a\": 1}"),
            ("action.json", "{\"defaultAction\": \"SCMP_ACT_NOSUCH\"}"),
        ] {
            let file = hoist.write(name, text);
            hoist
                .run(
                    &["--security-opt", &format!("seccomp={file}")],
                    &["exit", "0"],
                )
                .failed_with(125, &["--security-opt"]);
        }
        let missing = hoist.path("missing.json");
        hoist
            .run(
                &["--security-opt", &format!("seccomp={missing}")],
                &["exit", "0"],
            )
            .failed_with(125, &["--security-opt", &missing]);
    }

    fn bad_environment(hoist: &Hoist) {
        let missing = hoist.path("missing");
        hoist
            .run(&["--env-file", &missing], &["exit", "0"])
            .failed_with(125, &["--env-file", &missing]);
        let file = hoist.write("bad", "GOOD=1\n=nameless\n");
        hoist
            .run(&["--env-file", &file], &["exit", "0"])
            .failed_with(125, &["--env-file"]);
    }

    fn id_file_exists(hoist: &Hoist) {
        let file = hoist.write("id", "mine");
        hoist
            .run(&["--cidfile", &file], &["exit", "0"])
            .failed_with(125, &[&file, "exists"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }

    fn id_file_removed(hoist: &Hoist) {
        let file = hoist.path("id");
        hoist
            .run(&["--cidfile", &file, "-w", "/nosuch"], &["exit", "0"])
            .failed_with(127, &["/nosuch"]);
        assert!(!std::path::Path::new(&file).exists());
        hoist
            .run(&["--cidfile", "/nosuch/id"], &["exit", "0"])
            .failed_with(125, &["/nosuch/id"]);
    }

    fn no_terminal(hoist: &Hoist) {
        hoist
            .run(&["-it"], &["exit", "0"])
            .failed_with(125, &["not a terminal"]);
        let _running = hoist.background("web", &[], &["idle"]);
        hoist
            .exec(&["-it"], "web", &["exit", "0"])
            .failed_with(125, &["not a terminal"]);
    }

    fn torn_record(hoist: &Hoist) {
        let mut running = hoist.background("web", &[], &["trap", "15", "0"]);
        hoist.hoist(&["stop", "web"]).succeeded();
        running.ended();
        let [id] = hoist.ids().try_into().unwrap();
        let file = hoist.records().join(&id).join("state.json");
        let whole = std::fs::read(&file).unwrap();
        for text in [&whole[..whole.len() / 2], b"", b"{}", b"{\"version\": 99}"] {
            std::fs::write(&file, text).unwrap();
            let ran = hoist.hoist(&["inspect", "web"]);
            ran.ended_with(1);
            assert!(ran.stderr.contains("state.json"), "{}", ran.stderr);
            assert_eq!(std::fs::read(&file).unwrap(), text, "it was left as it is");
        }
        std::fs::write(&file, &whole).unwrap();
        assert_eq!(hoist.inspect("web")["State"]["Status"], "exited");
    }

    fn bad_state_root(hoist: &Hoist) {
        let file = hoist.write("file", "");
        for command in [&["run", "/bin/true"][..], &["ps"]] {
            let mut words = vec!["--state-root", &file];
            words.extend(command);
            // The last one counts.
            let mut line = command.to_vec();
            line.insert(1, "--state-root");
            line.insert(2, &file);
            let ran = hoist.hoist(&line);
            assert_ne!(ran.code, 0);
            assert!(ran.stderr.contains(&file), "{}", ran.stderr);
        }
    }

    fn long_errors(hoist: &Hoist) {
        // One argument may have 128 KiB (execve(2)); a pipe holds 64.
        let long = format!("/{}", "x".repeat(120_000));
        let root = hoist.root().to_str().unwrap();
        let ran = hoist.hoist(&["run", "--rootfs", root, "--", &long]);
        assert!(ran.code == 126 || ran.code == 127, "{}", ran.code);
        assert!(ran.stderr.contains("ENAMETOOLONG"), "{}", tail(&ran.stderr));
        assert!(ran.stderr.len() < 16_384, "{} bytes", ran.stderr.len());
        assert!(ran.stderr.contains('…'), "{}", tail(&ran.stderr));
        let ran = hoist.hoist(&["inspect", &long]);
        ran.ended_with(1);
        assert!(ran.stderr.len() < 16_384, "{} bytes", ran.stderr.len());
        // Thousands of faults: each is told.
        let words: Vec<String> = (0..2000)
            .flat_map(|number| ["-v".to_owned(), format!("/a:/b:bad{number}")])
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = hoist.run(&words, &["exit", "0"]);
        ran.failed_with(125, &["bad0", "bad1999"]);
        assert!(ran.stderr.len() > 65_536);
    }

    fn tail(text: &str) -> &str {
        text.get(text.len().saturating_sub(300)..).unwrap_or(text)
    }
}

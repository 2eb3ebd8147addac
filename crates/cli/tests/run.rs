//! The options of `run`, each looked at from inside the container.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]
mod linux {
    use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt};

    use hoist_testing::{
        Need,
        command::{
            By::{Anyone, Root},
            Case, Hoist, finish,
        },
        probe::report::{Mount, Report},
        root::{EXTRA_GROUP, USER},
    };
    use serde_json::Value;

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "a container is alone: its own namespaces, processes, host name, network, devices and descriptors",
            by: Anyone,
            needs: &[],
            run: alone,
        },
        Case {
            name: "a container is confined as docker's: capabilities, a seccomp filter, masked and read-only paths",
            by: Anyone,
            needs: &[],
            run: confined,
        },
        Case {
            name: "without --rootfs and --layer the machine's programs are there and nothing private is",
            by: Anyone,
            needs: &[],
            run: default_root,
        },
        Case {
            name: "what is written into the composed root is thrown away and reaches no host file",
            by: Anyone,
            needs: &[],
            run: default_root_is_written,
        },
        Case {
            name: "a part of the machine's /sys can be bound, whatever the root is composed of",
            by: Anyone,
            needs: &[],
            run: bind_of_sys,
        },
        Case {
            name: "what is written into --rootfs stays there",
            by: Anyone,
            needs: &[],
            run: rootfs,
        },
        Case {
            name: "--layer stacks directories, the first at the base, and leaves them as they are",
            by: Anyone,
            needs: &[],
            run: layers,
        },
        Case {
            name: "a layer's path may be long, and have any characters",
            by: Anyone,
            needs: &[],
            run: odd_layers,
        },
        Case {
            name: "--read-only lets nothing be written but file systems in memory",
            by: Anyone,
            needs: &[],
            run: read_only,
        },
        Case {
            name: "-i gives the caller's input, and without it there is none",
            by: Anyone,
            needs: &[],
            run: interactive,
        },
        Case {
            name: "--rm removes the container after its end, and without it its record stays",
            by: Anyone,
            needs: &[],
            run: remove,
        },
        Case {
            name: "--name names the container, and the name is free again after it",
            by: Anyone,
            needs: &[],
            run: name,
        },
        Case {
            name: "-e and --env-file set variables, the later over the earlier, = in the value and all",
            by: Anyone,
            needs: &[],
            run: environment,
        },
        Case {
            name: "-w is where the program begins",
            by: Anyone,
            needs: &[],
            run: working_directory,
        },
        Case {
            name: "-u runs as a user by name or number, with their groups and without capabilities",
            by: Root,
            needs: &[],
            run: user,
        },
        Case {
            name: "-v shows a directory or a file, writable or not, also by a relative path",
            by: Anyone,
            needs: &[],
            run: volume,
        },
        Case {
            name: "-v with ro is read-only with every mount below it",
            by: Root,
            needs: &[],
            run: volume_below,
        },
        Case {
            name: "--mount binds or makes file systems in memory of a size and mode",
            by: Anyone,
            needs: &[],
            run: mount,
        },
        Case {
            name: "--tmpfs is empty, writable and not executable, and takes options",
            by: Anyone,
            needs: &[],
            run: tmpfs,
        },
        Case {
            name: "--hostname is the host's name inside, otherwise it is the beginning of the id",
            by: Anyone,
            needs: &[],
            run: hostname,
        },
        Case {
            name: "--cap-add and --cap-drop give and take capabilities, ALL too",
            by: Anyone,
            needs: &[],
            run: capabilities,
        },
        Case {
            name: "--security-opt no-new-privileges, seccomp=unconfined and seccomp=FILE",
            by: Anyone,
            needs: &[],
            run: security,
        },
        Case {
            name: "--network none has a loopback alone, and host has the caller's network",
            by: Anyone,
            needs: &[],
            run: network,
        },
        Case {
            name: "--init is PID 1, reaps what nobody waits for, and passes signals on",
            by: Anyone,
            needs: &[],
            run: init,
        },
        Case {
            name: "--cidfile receives the id",
            by: Anyone,
            needs: &[],
            run: id_file,
        },
        Case {
            name: "--entrypoint is the program, and the command its arguments",
            by: Anyone,
            needs: &[],
            run: entrypoint,
        },
        Case {
            name: "--timeline draws a well-formed picture with every lane",
            by: Anyone,
            needs: &[],
            run: picture,
        },
        Case {
            name: "--timeline to .json is a trace in Chrome's format whose steps do not overlap",
            by: Anyone,
            needs: &[],
            run: trace,
        },
        Case {
            name: "a timeline that cannot be written is told and does not end the container",
            by: Anyone,
            needs: &[],
            run: no_timeline,
        },
        Case {
            name: "arguments arrive as they were given",
            by: Anyone,
            needs: &[],
            run: arguments,
        },
        Case {
            // Row 38 of the list of known failures.
            name: "a call newer than the seccomp profile gets ENOSYS, and a forbidden one EPERM",
            by: Anyone,
            needs: &[],
            run: newer_calls,
        },
        Case {
            // Row 38: with a filter that kills on anything else, nothing else can have been called.
            name: "after the filter only capset, prctl, execve and one write are called",
            by: Anyone,
            needs: &[],
            run: calls_after_the_filter,
        },
        Case {
            name: "a filter that forbids every call, the exit too, leaves no process behind",
            by: Anyone,
            needs: &[],
            run: nothing_allowed,
        },
    ];

    fn find<'a>(report: &'a Report, target: &str) -> &'a Mount {
        let mut found = report.mounts.iter().filter(|mount| mount.target == target);
        let Some(mount) = found.next_back() else {
            panic!("nothing is mounted on {target}: {:?}", report.mounts)
        };
        mount
    }

    fn has(options: &str, wanted: &str) -> bool {
        options.split(',').any(|option| option == wanted)
    }

    fn alone(hoist: &Hoist) {
        let report = hoist.report(&[]);
        for name in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
            let own = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
            assert_ne!(
                report.namespaces[name],
                own.to_string_lossy(),
                "{name} is the host's"
            );
        }
        let user = fs::read_link("/proc/self/ns/user").unwrap();
        assert_eq!(
            report.namespaces["user"] != user.to_string_lossy(),
            hoist.is_ordinary_user()
        );
        assert_eq!((report.pid, report.parent), (1, 0));
        assert_eq!(report.processes, [1]);
        assert_eq!(report.interfaces, ["lo"]);
        assert_eq!(report.working_directory.as_deref(), Some("/"));
        assert_eq!(report.umask, 0o22);
        assert_eq!(report.hostname.len(), 12, "{}", report.hostname);
        assert_eq!(
            report.descriptors.keys().copied().collect::<Vec<_>>(),
            [0, 1, 2]
        );
        assert_eq!(report.executable.as_deref(), Some("/probe"));
        let names: Vec<&str> = report
            .devices
            .iter()
            .map(String::as_str)
            .filter(|name| *name != "console")
            .collect();
        assert_eq!(
            names,
            [
                "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr",
                "stdin", "stdout", "tty", "urandom", "zero"
            ]
        );
        assert!(
            report
                .environment
                .iter()
                .any(|variable| variable.starts_with("PATH=/"))
        );
        // Of the caller's own environment, nothing.
        assert!(
            !report
                .environment
                .iter()
                .any(|variable| variable.starts_with("NO_COLOR")),
            "{:?}",
            report.environment
        );
    }

    fn confined(hoist: &Hoist) {
        let report = hoist.report(&[]);
        // docker's documentation, "Runtime privilege and Linux capabilities".
        assert_eq!(report.capabilities.unwrap().effective, 0xa804_25fb);
        assert_eq!(report.capabilities.unwrap().bounding, 0xa804_25fb);
        assert_eq!(report.capabilities.unwrap().inheritable, 0);
        assert_eq!(report.seccomp, Some(2));
        assert_eq!(report.no_new_privileges, Some(false));
        assert_eq!(find(&report, "/proc").kind, "proc");
        assert!(has(&find(&report, "/sys").options, "ro"));
        for path in ["/proc/sys", "/proc/irq", "/proc/bus"] {
            assert!(has(&find(&report, path).options, "ro"), "{path}");
        }
        for mount in &report.mounts {
            assert_eq!(mount.propagation, Vec::<String>::new(), "{mount:?}");
        }
        let opened: BTreeMap<String, i32> = hoist
            .run(
                &[],
                &[
                    "open",
                    "w",
                    "/proc/sys/kernel/hostname",
                    "/sys/kernel/uevent_helper",
                ],
            )
            .json();
        assert!(opened.values().all(|errno| *errno != 0), "{opened:?}");
        // What is masked is empty.
        for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
            let ran = hoist.run(&[], &["read", path]);
            assert!(ran.stdout.is_empty(), "{path}");
        }
        let calls: BTreeMap<String, i32> = hoist
            .run(
                &[],
                &[
                    "calls",
                    "getpid",
                    "mount",
                    "unshare-user",
                    "keyctl",
                    "bpf",
                    "kexec_load",
                ],
            )
            .json();
        for (call, errno) in calls {
            assert_eq!(errno == 0, call == "getpid", "{call}: {errno}");
        }
    }

    /// `hoist run` in the composed root, with the probe on /probe.
    fn in_default_root(
        hoist: &Hoist,
        options: &[&str],
        probe: &[&str],
    ) -> hoist_testing::command::Ran {
        let volume = format!("{}:/probe:ro", hoist.root().join("probe").display());
        let mut command = hoist.command(&["run", "--rm", "-e", "HOIST_TEST_TAG", "-v", &volume]);
        command.args(options).args(["/probe", "probe"]).args(probe);
        finish(&mut command, b"")
    }

    fn default_root(hoist: &Hoist) {
        let names =
            |folder: &str| -> Vec<String> { in_default_root(hoist, &[], &["list", folder]).json() };
        for folder in ["/home", "/root", "/run", "/tmp", "/srv", "/boot", "/mnt"] {
            assert_eq!(names(folder), Vec::<String>::new(), "{folder}");
        }
        // Of /var the two directories that programs rely on, and both are empty.
        for name in names("/var") {
            assert_eq!(
                names(&format!("/var/{name}")),
                Vec::<String>::new(),
                "{name}"
            );
        }
        let shown = names("/usr/bin");
        assert!(shown.len() > 10, "{shown:?}");
        for name in names("/") {
            assert!(
                matches!(
                    &*name,
                    "bin"
                        | "sbin"
                        | "usr"
                        | "etc"
                        | "opt"
                        | "dev"
                        | "proc"
                        | "sys"
                        | "probe"
                        | "boot"
                        | "home"
                        | "media"
                        | "mnt"
                        | "root"
                        | "run"
                        | "srv"
                        | "tmp"
                        | "var"
                ) || name.starts_with("lib"),
                "{name} is shown"
            );
        }
        // Its own programs run, found by PATH.
        let ran = hoist.hoist(&["run", "--rm", "sh", "-c", "echo $((6*7)) && id -u"]);
        assert_eq!(ran.succeeded(), "42\n0\n");
        let report: Report = in_default_root(hoist, &[], &["report"]).json();
        assert_eq!(find(&report, "/usr").kind, "overlay");
        let folder = std::env::temp_dir();
        assert_eq!(
            names(&folder.display().to_string()),
            Vec::<String>::new(),
            "the caller's temporary files"
        );
    }

    fn default_root_is_written(hoist: &Hoist) {
        let name = format!("/etc/hoist-{}", hoist.tag());
        let ran = in_default_root(hoist, &[], &["put", &name, "text", "+", "read", &name]);
        assert_eq!(ran.succeeded(), "text");
        if !hoist.is_ordinary_user() {
            // Below the first level the directories are root's, whom a user namespace of one id does not have.
            in_default_root(hoist, &[], &["put", "/usr/bin/new", "x"]).succeeded();
            assert!(!std::path::Path::new("/usr/bin/new").exists());
        }
        assert!(!std::path::Path::new(&name).exists());
        let ran = in_default_root(hoist, &[], &["read", &name]);
        assert_eq!(ran.code, hoist_testing::probe::FAILED, "it was thrown away");
        let report: Report = in_default_root(hoist, &["--read-only"], &["report"]).json();
        for folder in ["/", "/etc", "/usr"] {
            assert!(has(&find(&report, folder).options, "ro"), "{folder}");
        }
    }

    fn in_root(hoist: &Hoist, options: &[&str], probe: &[&str]) -> hoist_testing::command::Ran {
        let mut command = hoist.command(&["run", "--rm", "-e", "HOIST_TEST_TAG"]);
        command
            .args(options)
            .args(["--", "/probe", "probe"])
            .args(probe);
        finish(&mut command, b"")
    }

    fn rootfs(hoist: &Hoist) {
        let root = hoist.copy_of_root("own-root");
        in_root(hoist, &["--rootfs", &root], &["put", "/etc/new", "text"]).succeeded();
        let path = format!("{root}/etc/new");
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        // A path as seen from where the caller is.
        let ran = in_root(hoist, &["--rootfs", "./own-root"], &["read", "/etc/new"]);
        assert_eq!(ran.succeeded(), "text");
        fs::remove_dir_all(root).unwrap();
    }

    fn layers(hoist: &Hoist) {
        let base = hoist.copy_of_root("base");
        let second = hoist.make_folder("second");
        let third = hoist.make_folder("third");
        hoist.write("base/etc/which", "base");
        hoist.make_folder("second/etc");
        hoist.write("second/etc/which", "second");
        hoist.write("second/from-second", "yes");
        hoist.make_folder("third/etc");
        hoist.write("third/etc/which", "third");
        let options = ["--layer", &base, "--layer", &second, "--layer", &third];
        let ran = in_root(
            hoist,
            &options,
            &[
                "read",
                "/etc/which",
                "+",
                "read",
                "/from-second",
                "+",
                "put",
                "/etc/which",
                "new",
                "+",
                "read",
                "/etc/which",
            ],
        );
        assert_eq!(ran.succeeded(), "thirdyesnew");
        let ran = in_root(hoist, &options[..4], &["read", "/etc/which"]);
        assert_eq!(ran.succeeded(), "second");
        for (folder, text) in [("base", "base"), ("second", "second"), ("third", "third")] {
            let path = hoist.path(&format!("{folder}/etc/which"));
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
        for folder in [base, second, third] {
            fs::remove_dir_all(folder).unwrap();
        }
    }

    fn odd_layers(hoist: &Hoist) {
        let base = hoist.copy_of_root("base:with,odd\\characters");
        let outer = hoist.make_folder(&"l".repeat(140));
        let long = hoist.make_folder(&["l".repeat(140), "m".repeat(140)].join("/"));
        fs::write(format!("{long}/from-afar"), "afar").unwrap();
        let ran = in_root(
            hoist,
            &["--layer", &base, "--layer", &long],
            &["read", "/from-afar"],
        );
        assert_eq!(ran.succeeded(), "afar");
        for folder in [base, outer] {
            fs::remove_dir_all(folder).unwrap();
        }
    }

    fn read_only(hoist: &Hoist) {
        let root = hoist.copy_of_root("own-root");
        let options = ["--rootfs", &root, "--read-only", "--tmpfs", "/run"];
        let opened: BTreeMap<String, i32> =
            in_root(hoist, &options, &["open", "w", "/etc/passwd", "/dev/null"]).json();
        assert_eq!((opened["/etc/passwd"], opened["/dev/null"]), (30, 0));
        let ran = in_root(
            hoist,
            &options,
            &[
                "put",
                "/run/x",
                "1",
                "+",
                "put",
                "/dev/shm/x",
                "2",
                "+",
                "read",
                "/run/x",
                "+",
                "read",
                "/dev/shm/x",
            ],
        );
        assert_eq!(ran.succeeded(), "12");
        in_root(hoist, &options, &["put", "/new", "x"]).ended_with(hoist_testing::probe::FAILED);
        fs::remove_dir_all(root).unwrap();
    }

    fn interactive(hoist: &Hoist) {
        let run = |options: &[&str]| {
            finish(&mut hoist.container(options, &["cat"]), b"some input\n").succeeded()
        };
        assert_eq!(run(&["--rm", "-i"]), "some input\n");
        assert_eq!(run(&["--rm"]), "");
    }

    fn remove(hoist: &Hoist) {
        hoist.run(&[], &["exit", "0"]).succeeded();
        hoist.run(&[], &["exit", "5"]).ended_with(5);
        assert_eq!(hoist.ids(), Vec::<String>::new());
        finish(&mut hoist.container(&[], &["exit", "5"]), b"").ended_with(5);
        let [id] = hoist.ids().try_into().unwrap();
        assert_eq!(hoist.inspect(&id)["State"]["ExitCode"], 5);
        hoist.remove(&id);
    }

    fn name(hoist: &Hoist) {
        for _ in 0..2 {
            hoist
                .run(&["--name", "a-name_1.x"], &["exit", "0"])
                .succeeded();
        }
        finish(&mut hoist.container(&["--name", "x"], &["exit", "0"]), b"").succeeded();
        assert_eq!(hoist.inspect("x")["Name"], "/x");
        hoist
            .run(&["--name", "x"], &["exit", "0"])
            .failed_with(125, &["in use"]);
        hoist.remove("x");
        hoist.run(&["--name", "x"], &["exit", "0"]).succeeded();
    }

    fn environment(hoist: &Hoist) {
        let file = hoist.write(
            "env",
            "# comment\n\nA=file\nB=x=y=z\nFROM_CALLER\nUNSET\nC= spaces \n",
        );
        let mut command = hoist.container(
            &[
                "--rm",
                "--env-file",
                &file,
                "-e",
                "A=option",
                "-e",
                "E=",
                "-e",
                "D=1",
                "-e",
                "D=2",
                "-e",
                "ALSO",
                "-e",
                "UNSET_TOO",
            ],
            &["report"],
        );
        command.env("FROM_CALLER", "given").env("ALSO", "ä 'q'");
        let report: Report = finish(&mut command, b"").json();
        let variables: Vec<(&str, &str)> = report
            .environment
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .collect();
        for (name, value) in [
            ("A", Some("option")),
            ("B", Some("x=y=z")),
            ("C", Some(" spaces ")),
            ("D", Some("2")),
            ("E", Some("")),
            ("FROM_CALLER", Some("given")),
            ("ALSO", Some("ä 'q'")),
            ("UNSET", None),
            ("UNSET_TOO", None),
            ("HOSTNAME", Some(&*report.hostname)),
        ] {
            let found: Vec<&str> = variables
                .iter()
                .filter(|(found, _)| *found == name)
                .map(|(_, value)| *value)
                .collect();
            assert_eq!(found, value.into_iter().collect::<Vec<_>>(), "{name}");
        }
    }

    fn working_directory(hoist: &Hoist) {
        for folder in ["/", "/home", "/proc"] {
            let report = hoist.report(&["-w", folder]);
            assert_eq!(report.working_directory.as_deref(), Some(folder));
        }
        let report = hoist.report(&["-w", "/home/../etc/."]);
        assert_eq!(report.working_directory.as_deref(), Some("/etc"));
    }

    fn user(hoist: &Hoist) {
        let (name, uid, gid) = USER;
        let look = |user: &str| {
            let report = hoist.report(&["-u", user]);
            assert_eq!(report.uids, [report.uids[0]; 4]);
            assert_eq!(report.gids, [report.gids[0]; 4]);
            let effective = report.capabilities.unwrap().effective;
            assert_eq!(effective == 0, report.uids[0] != 0, "{user}: {effective:x}");
            (report.uids[0], report.gids[0], report.groups)
        };
        let (found_uid, found_gid, groups) = look(name);
        assert_eq!((found_uid, found_gid), (uid, gid));
        assert!(groups.contains(&EXTRA_GROUP), "{groups:?}");
        assert_eq!(look(&format!("{uid}")).0, uid);
        let (found_uid, found_gid, groups) = look(&format!("{name}:helpers"));
        assert_eq!((found_uid, found_gid), (uid, EXTRA_GROUP));
        assert!(groups.is_empty() || groups == [EXTRA_GROUP], "{groups:?}");
        let (found_uid, found_gid, _) = look("4321:8765");
        assert_eq!((found_uid, found_gid), (4321, 8765));
        assert_eq!(
            look("4321").1,
            0,
            "a user that /etc/passwd does not know has group 0"
        );
        assert_eq!(look("0").0, 0);
        let home = hoist.report(&["-u", name]).environment;
        assert!(
            home.iter().any(|variable| variable == "HOME=/home"),
            "{home:?}"
        );
    }

    fn volume(hoist: &Hoist) {
        let folder = hoist.make_folder("data");
        hoist.write("data/file", "content");
        let both = format!("{folder}:/mnt");
        let ran = hoist.run(
            &["-v", &both],
            &["read", "/mnt/file", "+", "put", "/mnt/new", "written"],
        );
        assert_eq!(ran.succeeded(), "content");
        let new = format!("{folder}/new");
        assert_eq!(fs::read_to_string(&new).unwrap(), "written");
        let owner = fs::metadata(&new).unwrap().uid();
        assert_eq!(owner, hoist.user().unwrap_or(owner));
        let opened = |volume: &str, path: &str| -> i32 {
            let opened: BTreeMap<String, i32> =
                hoist.run(&["-v", volume], &["open", "w", path]).json();
            opened[path]
        };
        assert_eq!(opened(&format!("{folder}:/mnt:ro"), "/mnt/file"), 30);
        assert_eq!(opened(&format!("{folder}:/mnt:rw"), "/mnt/file"), 0);
        assert_eq!(opened("./data:/mnt", "/mnt/file"), 0);
        assert_eq!(
            opened(&format!("{folder}/file:/etc/group"), "/etc/group"),
            0
        );
        assert_eq!(
            opened(&format!("{folder}/file:/etc/group:ro"), "/etc/group"),
            30
        );
        // Two at once, the later one below the earlier.
        let below = hoist.make_folder("below");
        fs::create_dir(format!("{folder}/sub")).unwrap();
        hoist.write("below/deep", "deep");
        let ran = hoist.run(
            &[
                "-v",
                &format!("{below}:/mnt/sub"),
                "-v",
                &format!("{folder}:/mnt"),
            ],
            &["read", "/mnt/file", "+", "read", "/mnt/sub/deep"],
        );
        assert_eq!(ran.succeeded(), "contentdeep");
    }

    fn bind_of_sys(hoist: &Hoist) {
        let ran = in_default_root(
            hoist,
            &["-v", "/sys/kernel:/mnt"],
            &["read", "/mnt/uevent_seqnum"],
        );
        let number = ran.succeeded();
        assert!(number.trim().parse::<u64>().is_ok(), "{number}");
    }

    fn volume_below(hoist: &Hoist) {
        use hoist_testing::probe::sys;
        let folder = hoist.make_folder("data");
        let below = hoist.make_folder("data/below");
        // In a mount namespace of this thread's own, so that nobody else sees the mount.
        let ran = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    sys::unshare_mounts().unwrap();
                    sys::mount("tmpfs", &below, "tmpfs", 0).unwrap();
                    fs::write(format!("{below}/file"), "").unwrap();
                    hoist.run(
                        &["-v", &format!("{folder}:/mnt:ro")],
                        &["open", "w", "/mnt/below/file"],
                    )
                })
                .join()
                .unwrap()
        });
        let opened: BTreeMap<String, i32> = ran.json();
        assert_eq!(opened["/mnt/below/file"], 30, "EROFS");
    }

    fn mount(hoist: &Hoist) {
        let folder = hoist.make_folder("data");
        hoist.write("data/file", "content");
        let bind = format!("type=bind,source={folder},target=/mnt");
        let ran = hoist.run(
            &["--mount", &bind],
            &["put", "/mnt/new", "x", "+", "read", "/mnt/file"],
        );
        assert_eq!(ran.succeeded(), "content");
        for flag in ["readonly", "ro", "readonly=true"] {
            let report = hoist.report(&["--mount", &format!("{bind},{flag}")]);
            assert!(has(&find(&report, "/mnt").options, "ro"), "{flag}");
        }
        let report = hoist.report(&[
            "--mount",
            "type=tmpfs,target=/mnt,tmpfs-size=1m,tmpfs-mode=700",
        ]);
        let mount = find(&report, "/mnt");
        assert_eq!(mount.kind, "tmpfs");
        assert!(has(&mount.super_options, "size=1024k"), "{mount:?}");
        assert!(has(&mount.super_options, "mode=700"), "{mount:?}");
    }

    fn tmpfs(hoist: &Hoist) {
        let report = hoist.report(&["--tmpfs", "/run"]);
        let mount = find(&report, "/run");
        assert_eq!(mount.kind, "tmpfs");
        for option in ["rw", "nosuid", "nodev", "noexec"] {
            assert!(has(&mount.options, option), "{option}: {mount:?}");
        }
        let report = hoist.report(&["--tmpfs", "/new/place:size=64k,mode=1777,exec,ro"]);
        let mount = find(&report, "/new/place");
        assert!(has(&mount.super_options, "size=64k"), "{mount:?}");
        assert!(
            has(&mount.options, "ro") && !has(&mount.options, "noexec"),
            "{mount:?}"
        );
        fs::remove_dir_all(hoist.root().join("new")).unwrap();
        let ran = hoist.run(&["--tmpfs", "/etc"], &["list", "/etc"]);
        assert_eq!(ran.succeeded(), "[]\n");
    }

    fn hostname(hoist: &Hoist) {
        for option in ["--hostname", "-h"] {
            let report = hoist.report(&[option, "some-host.example"]);
            assert_eq!(report.hostname, "some-host.example");
        }
        let file = hoist.path("id");
        let report = hoist.report(&["--cidfile", &file]);
        assert!(
            fs::read_to_string(&file)
                .unwrap()
                .starts_with(&report.hostname)
        );
    }

    fn capabilities(hoist: &Hoist) {
        const DEFAULT: u64 = 0xa804_25fb;
        const CHOWN: u64 = 1;
        const NET_ADMIN: u64 = 1 << 12;
        const NET_RAW: u64 = 1 << 13;
        for (options, wanted) in [
            (&["--cap-add", "NET_ADMIN"][..], DEFAULT | NET_ADMIN),
            (&["--cap-drop", "CAP_NET_RAW"], DEFAULT & !NET_RAW),
            (
                &["--cap-drop", "net_raw", "--cap-add", "NET_ADMIN"],
                DEFAULT & !NET_RAW | NET_ADMIN,
            ),
            (&["--cap-drop", "ALL"], 0),
            (&["--cap-drop", "all", "--cap-add", "CHOWN"], CHOWN),
        ] {
            let sets = hoist.report(options).capabilities.unwrap();
            assert_eq!(sets.effective, wanted, "{options:?}");
            assert_eq!(sets.bounding, wanted, "{options:?}");
            assert_eq!(sets.permitted, wanted, "{options:?}");
        }
        if Need::Root.missing().is_none() {
            // All that the caller has: nobody can give more.
            let own = hoist_testing::probe::report::capabilities().unwrap();
            let ran = hoist.run(&["--cap-add", "ALL"], &["report"]);
            if ran.code == 0 {
                let report: Report = ran.json();
                let sets = report.capabilities.unwrap();
                assert!(sets.effective & !own.bounding == 0 || hoist.is_ordinary_user());
                assert!(sets.effective & 1 << 21 != 0, "CAP_SYS_ADMIN");
            } else {
                ran.failed_with(125, &["capabilit"]);
            }
        }
    }

    fn security(hoist: &Hoist) {
        for option in [
            "no-new-privileges",
            "no-new-privileges=true",
            "no-new-privileges:true",
        ] {
            let report = hoist.report(&["--security-opt", option]);
            assert_eq!(report.no_new_privileges, Some(true), "{option}");
            assert_eq!(report.seccomp, Some(2));
        }
        let report = hoist.report(&["--security-opt", "seccomp=unconfined"]);
        assert_eq!(report.seccomp, Some(0));
        let profile = hoist.write(
            "profile.json",
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]}"#,
        );
        let calls: BTreeMap<String, i32> = hoist
            .run(
                &["--security-opt", &format!("seccomp={profile}")],
                &["calls", "getpid"],
            )
            .json();
        assert_eq!(calls["getpid"], 99);
    }

    fn network(hoist: &Hoist) {
        assert_eq!(hoist.report(&["--network", "none"]).interfaces, ["lo"]);
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        for option in ["--network", "--net"] {
            let report = hoist.report(&[option, "host"]);
            assert_eq!(report.namespaces["net"], own.to_string_lossy());
        }
    }

    fn init(hoist: &Hoist) {
        let report: Report = hoist
            .run(
                &["--init"],
                &["zombies", "5", "+", "sleep", "300", "+", "report"],
            )
            .json();
        assert_ne!(report.pid, 1);
        assert_eq!(report.parent, 1);
        assert_eq!(report.processes, [1, report.pid], "zombies are left");
        assert!(
            report.first_executable.contains("memfd:hoist-init"),
            "{}",
            report.first_executable
        );
        assert_eq!(
            report.descriptors.keys().copied().collect::<Vec<_>>(),
            [0, 1, 2]
        );
        let report: Report = hoist
            .run(&[], &["zombies", "5", "+", "sleep", "300", "+", "report"])
            .json();
        assert!(report.processes.len() > 1, "the test sees no zombies");
        let mut running = hoist.background("x", &["--init"], &["trap", "10", "4"]);
        hoist.hoist(&["kill", "-s", "USR1", "x"]).succeeded();
        running.ended().ended_with(4);
    }

    fn id_file(hoist: &Hoist) {
        let file = hoist.path("id");
        finish(
            &mut hoist.container(&["--cidfile", &file], &["exit", "0"]),
            b"",
        )
        .succeeded();
        let id = fs::read_to_string(&file).unwrap();
        assert_eq!(hoist.ids(), std::slice::from_ref(&id));
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        hoist.remove(&id);
    }

    fn entrypoint(hoist: &Hoist) {
        let root = hoist.root().to_str().unwrap();
        let run = |words: &[&str]| {
            let mut line = vec!["run", "--rm", "--rootfs", root, "--entrypoint", "/probe"];
            line.extend(words);
            hoist.hoist(&line)
        };
        assert_eq!(run(&["probe", "say", "x"]).succeeded(), "x\n");
    }

    fn picture(hoist: &Hoist) {
        let file = hoist.path("start.svg");
        hoist
            .run(&["--timeline", &file, "-e", "X=<&>\""], &["say", "<&>"])
            .succeeded();
        let svg = fs::read_to_string(&file).unwrap();
        well_formed(&svg);
        for word in ["hoist run", "owner", "process", "helper", "execute"] {
            assert!(svg.contains(word), "{word}");
        }
    }

    /// Whether every element of an XML text ends where it should and nothing stands outside of the one root.
    fn well_formed(text: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = text.trim();
        let mut roots = 0;
        while let Some(start) = rest.find('<') {
            let between = &rest[..start];
            assert!(!between.contains('>'), "{between}");
            assert!(!open.is_empty() || between.trim().is_empty(), "{between}");
            for reference in between.split('&').skip(1) {
                assert!(reference.contains(';'), "a bare & in {between}");
            }
            let end = start + rest[start..].find('>').unwrap();
            let tag = &rest[start + 1..end];
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag
                .trim_start_matches('/')
                .split([' ', '/', '\n'])
                .next()
                .unwrap();
            if tag.starts_with(['?', '!']) {
            } else if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "{tag}");
            } else {
                roots += usize::from(open.is_empty());
                if !tag.ends_with('/') {
                    open.push(name);
                }
            }
            rest = &rest[end + 1..];
        }
        assert!(rest.trim().is_empty() && open.is_empty(), "{open:?} {rest}");
        assert_eq!(roots, 1);
    }

    fn trace(hoist: &Hoist) {
        let file = hoist.path("start.json");
        hoist
            .run(&["--timeline", &file], &["exit", "0"])
            .succeeded();
        let trace: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let mut lanes: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
        for event in events {
            match event["ph"].as_str().unwrap() {
                "X" => {
                    let number = |name: &str| event[name].as_f64().unwrap();
                    assert!(number("ts") >= 0.0 && number("dur") >= 0.0, "{event}");
                    assert!(!event["name"].as_str().unwrap().is_empty());
                    lanes
                        .entry(event["tid"].as_u64().unwrap())
                        .or_default()
                        .push((number("ts"), number("ts") + number("dur")));
                }
                "M" => assert!(event["args"]["name"].is_string(), "{event}"),
                other => panic!("{other}: {event}"),
            }
        }
        assert!(
            lanes.len() >= 3,
            "the owner, the helper and the process: {trace}"
        );
        for bars in lanes.values_mut() {
            bars.sort_by(|a, b| a.partial_cmp(b).unwrap());
            for pair in bars.windows(2) {
                let [(_, end), (begin, inner_end)] = pair else {
                    unreachable!()
                };
                let contained = inner_end <= end;
                // Nanoseconds, written as microseconds.
                assert!(begin + 0.001 >= *end || contained, "{pair:?}");
            }
        }
    }

    fn no_timeline(hoist: &Hoist) {
        let ran = hoist.run(&["--timeline", "/nosuch/x.svg"], &["say", "on"]);
        assert_eq!((ran.code, ran.text().as_str()), (0, "on\n"));
        assert!(ran.stderr.contains("/nosuch/x.svg"), "{}", ran.stderr);
    }

    fn arguments(hoist: &Hoist) {
        let given = [
            "arguments",
            "",
            " a b ",
            "\"quoted\"",
            "--rm",
            "-",
            "--",
            "*",
            "$HOME",
            "ä\n",
        ];
        let found: Vec<String> = hoist.run(&[], &given).json();
        assert_eq!(found, given[1..]);
    }

    fn newer_calls(hoist: &Hoist) {
        let calls: BTreeMap<String, i32> = hoist
            .run(&[], &["calls", "1000", "clone3", "keyctl", "getpid"])
            .json();
        assert_eq!(calls["1000"], libc_errno::ENOSYS);
        assert_eq!(
            calls["clone3"],
            libc_errno::ENOSYS,
            "glibc falls back to clone"
        );
        assert_eq!(calls["keyctl"], libc_errno::EPERM);
        assert_eq!(calls["getpid"], 0);
    }

    mod libc_errno {
        pub(super) const EPERM: i32 = 1;
        pub(super) const ENOSYS: i32 = 38;
    }

    fn calls_after_the_filter(hoist: &Hoist) {
        let profile = hoist.write(
            "strict.json",
            r#"{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [
                {"names": ["capset", "prctl", "execve", "write"], "action": "SCMP_ACT_ALLOW"}]}"#,
        );
        let option = format!("seccomp={profile}");
        for more in [
            &[][..],
            &["--security-opt", "no-new-privileges"],
            &["--cap-drop", "ALL"],
        ] {
            let mut options = vec!["--security-opt", &option];
            options.extend(more);
            // The program was executed: its own first call is the one that the filter kills for, by SIGSYS.
            hoist.run(&options, &["exit", "0"]).ended_with(128 + 31);
        }
    }

    fn nothing_allowed(hoist: &Hoist) {
        let profile = hoist.write("nothing.json", r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#);
        let option = format!("seccomp={profile}");
        // It can neither execute its program, nor say so, nor exit: what is left to it is an illegal instruction.
        hoist
            .run(&["--security-opt", &option], &["exit", "0"])
            .ended_with(128 + 4);
    }
}

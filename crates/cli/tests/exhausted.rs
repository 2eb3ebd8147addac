//! A machine that has run out of something: bounded time, a clear error, nothing left, and others unharmed.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod linux {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use hoist_testing::{
        Need,
        command::{
            By::{Anyone, Root},
            Case, Hoist, Ran, finish,
        },
        full,
    };

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "on a full disk a start says so and leaves nothing, and one that runs goes on",
            by: Root,
            needs: &[Need::Tool("unshare")],
            run: full_disk,
        },
        Case {
            name: "without a process slot a start says so and leaves nothing",
            by: Root,
            needs: &[
                Need::Tool("prlimit"),
                Need::Tool("setpriv"),
                Need::UserNamespaces,
            ],
            run: no_process_slot,
        },
        Case {
            name: "with too few descriptors a start says so and leaves nothing",
            by: Anyone,
            needs: &[Need::Tool("prlimit")],
            run: no_descriptors,
        },
        Case {
            name: "below a cgroup that is frozen a start says so and leaves nothing",
            by: Root,
            needs: &[Need::CgroupV1],
            run: frozen_parent,
        },
        // failures.md row 28.
        Case {
            name: "no cgroup is left of containers that end while something of them is still busy",
            by: Root,
            needs: &[Need::Limits],
            run: no_cgroup_is_left,
        },
        Case {
            name: "account files that are huge, fifos, devices or links out of the root are named, in time",
            by: Root,
            needs: &[Need::Tool("mknod"), Need::Tool("mkfifo")],
            run: account_files,
        },
        Case {
            name: "a user that is written in digits is a number, whatever a name looks like, and none beyond the last",
            by: Anyone,
            needs: &[],
            run: numbers_of_users,
        },
    ];

    fn full_disk(hoist: &Hoist) {
        let place = hoist.make_folder("small");
        let root = hoist.root().display().to_string();
        let script = "mount -t tmpfs -o size=256k none \"$1\" && cd \"$1\" && \
                      \"$2\" --state-root \"$1/state\" run -d --name first --rootfs \"$3\" -- /probe probe idle && \
                      dd if=/dev/zero of=\"$1/filler\" bs=1k 2>/dev/null; \
                      \"$2\" --state-root \"$1/state\" run --rm --name second --rootfs \"$3\" -- /probe probe exit 0; echo code $?; \
                      \"$2\" --state-root \"$1/state\" ps -aq --no-trunc | wc -l; \
                      \"$2\" --state-root \"$1/state\" exec first /probe probe say still-there; \
                      rm \"$1/filler\"; \"$2\" --state-root \"$1/state\" rm -f first; echo removed $?";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script, "sh", &place])
            .arg(hoist.program())
            .arg(&root);
        let ran = finish(&mut command, b"");
        let text = ran.text();
        assert!(
            text.contains("code 125\n1\nstill-there\n"),
            "{text}{}",
            ran.stderr
        );
        assert!(text.ends_with("removed 0\n"), "{text}{}", ran.stderr);
        assert!(
            ran.stderr.contains("No space left on device"),
            "{}",
            ran.stderr
        );
    }

    fn limited(hoist: &Hoist, state: &str, limit: &str, program: &[&str]) -> Ran {
        let mut command = Command::new("prlimit");
        command.arg(limit).args(program).arg(hoist.program());
        command
            .args([
                "--state-root",
                &hoist.path(state),
                "run",
                "--rm",
                "-e",
                "HOIST_TEST_TAG",
                "--rootfs",
            ])
            .arg(hoist.root())
            .args(["--", "/probe", "probe", "exit", "7"])
            .env("HOIST_TEST_TAG", hoist.tag())
            .current_dir(hoist.folder());
        if let Some(user) = hoist.user() {
            std::os::unix::process::CommandExt::uid(&mut command, user);
            std::os::unix::process::CommandExt::gid(&mut command, user);
        }
        finish(&mut command, b"")
    }

    fn no_process_slot(hoist: &Hoist) {
        // Nobody else's processes count for this one.
        let user = [
            "setpriv",
            "--reuid",
            "64321",
            "--regid",
            "64321",
            "--clear-groups",
        ];
        fs::set_permissions(
            hoist.folder(),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )
        .unwrap();
        let ran = limited(hoist, "other-state", "--nproc=1:1", &user);
        ran.failed_with(125, &["Resource temporarily unavailable"]);
        let left = fs::read_dir(hoist.path("other-state/containers")).unwrap();
        assert_eq!(left.count(), 0);
    }

    fn no_descriptors(hoist: &Hoist) {
        let mut failed = 0;
        for most in 4..24 {
            let ran = limited(hoist, "state", &format!("--nofile={most}:{most}"), &[]);
            // Where it suffices, it is as always; before that, an error that says what there are too few of.
            if ran.code != 7 {
                failed += 1;
                assert!(
                    ran.stderr.contains("Too many open files") || ran.code == 127,
                    "{most}: {} {}",
                    ran.code,
                    ran.stderr
                );
            }
            assert_eq!(hoist.ids(), [""; 0], "{most}");
        }
        assert!(failed > 0);
    }

    fn frozen_parent(hoist: &Hoist) {
        let name = format!("hoist-tests-frozen-{}", hoist.tag());
        let parent = Path::new("/sys/fs/cgroup/freezer").join(&name);
        fs::create_dir(&parent).unwrap();
        fs::write(parent.join("freezer.state"), "FROZEN").unwrap();
        let parents = format!("/{name}");
        let ran = hoist.run(&["--cgroup-parent", &parents], &["exit", "0"]);
        fs::write(parent.join("freezer.state"), "THAWED").unwrap();
        let left = fs::read_dir(&parent).unwrap().flatten();
        let left: Vec<_> = left
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = fs::remove_dir(hierarchy.path().join(&name));
        }
        ran.failed_with(125, &["the cgroup above it is frozen", "thaw it first"]);
        assert_eq!(left, Vec::<PathBuf>::new());
    }

    /// The directories of containers in every hierarchy.
    fn cgroups(id: &str) -> Vec<PathBuf> {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        let mut places: Vec<PathBuf> = hierarchies.map(|entry| entry.path()).collect();
        places.push(Path::new("/sys/fs/cgroup").to_owned());
        places.retain(|place| place.join("hoist").join(id).exists());
        places
    }

    fn no_cgroup_is_left(hoist: &Hoist) {
        for _ in 0..if full() { 10_000 } else { 10 } {
            // Memory that has to be given back, and processes that are not the first's children, take time to end.
            let words = [
                "run",
                "-d",
                "--name",
                "busy",
                "-e",
                "HOIST_TEST_TAG",
                "--rootfs",
                &hoist.root().display().to_string(),
                "--",
                "/probe",
                "probe",
                "fork",
                "20",
                "+",
                "daemon",
                "600000",
                "+",
                "allocate",
                "100000000",
                "+",
                "idle",
            ];
            let id = hoist.hoist(&words).succeeded().trim().to_owned();
            assert!(!cgroups(&id).is_empty());
            hoist.hoist(&["rm", "-f", "busy"]).succeeded();
            assert_eq!(cgroups(&id), Vec::<PathBuf>::new());
        }
    }

    fn account_files(hoist: &Hoist) {
        let root = hoist.copy_of_root("own-root");
        let secret = hoist.write("secret", "stolen:x:77:77::/:/bin/sh\n");
        let passwd = format!("{root}/etc/passwd");
        let make = |program: &str, words: &[&str]| {
            assert!(
                Command::new(program)
                    .args(words)
                    .status()
                    .unwrap()
                    .success()
            );
        };
        let run = |user: &str| {
            let words = [
                "run", "--rm", "--rootfs", &root, "-u", user, "--", "/probe", "probe", "report",
            ];
            hoist.hoist(&words)
        };
        for (what, said) in [
            ("huge", "is larger than 10485760 bytes"),
            ("fifo", "is a fifo, not a regular file"),
            ("device", "is a character device, not a regular file"),
            ("link", "unable to find user stolen"),
            ("folder", "is a directory, not a regular file"),
        ] {
            let _ = fs::remove_file(&passwd);
            match what {
                "huge" => fs::File::create(&passwd).unwrap().set_len(1 << 40).unwrap(),
                "fifo" => make("mkfifo", &[&passwd]),
                // One that would never end.
                "device" => make("mknod", &[&passwd, "c", "1", "5"]),
                "link" => std::os::unix::fs::symlink(&secret, &passwd).unwrap(),
                _ => fs::create_dir(&passwd).unwrap(),
            }
            run("stolen").failed_with(125, &[said]);
        }
        assert_eq!(hoist.ids(), [""; 0]);
    }

    fn numbers_of_users(hoist: &Hoist) {
        let root = hoist.copy_of_root("own-root");
        fs::write(
            format!("{root}/etc/passwd"),
            "root:x:0:0::/:/x\n0:x:0:0::/:/x\n1000:x:5:6::/:/x\nwide:x:4294967296:0::/:/x\nbelow:x:-1:0::/:/x\n",
        )
        .unwrap();
        let run = |user: &str| {
            let words = [
                "run", "--rm", "--rootfs", &root, "-u", user, "--", "/probe", "probe", "report",
            ];
            hoist.hoist(&words)
        };
        if hoist.is_ordinary_user() {
            // It has one id, and no name makes that another one.
            run("1000").failed_with(125, &["maps no user 1000"]);
        } else {
            let report: serde_json::Value = run("1000").json();
            assert_eq!(report["uids"][0], 1000);
        }
        for (user, said) in [
            ("4294967295", "out of range"),
            ("4294967296", "out of range"),
            ("99999999999999999999", "out of range"),
            ("0:4294967295", "out of range"),
            ("wide", "unable to find user wide"),
            ("below", "unable to find user below"),
            ("-1", "unable to find user -1"),
            ("+0", "unable to find user +0"),
            ("0x0", "unable to find user 0x0"),
        ] {
            run(user).failed_with(125, &[said]);
        }
    }
}

//! Containers of an ordinary user to whom this machine lends ids (subuid(5)).

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
    use std::os::unix::fs::{MetadataExt, chown};
    use std::path::PathBuf;
    use std::process::Command;

    use hoist_testing::{
        Need,
        command::{By::Root, Case, Hoist, Ran, finish},
    };

    const NEEDS: &[Need] = &[
        Need::UserNamespaces,
        Need::Tool("newuidmap"),
        Need::Tool("newgidmap"),
        Need::Tool("setpriv"),
        Need::Tool("unshare"),
    ];
    const USER: u32 = 65534;

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "a user to whom ids are lent gets them mapped, and its containers have many users",
            by: Root,
            needs: NEEDS,
            run: many_users,
        },
        Case {
            name: "a user may choose its own maps within what is lent, and no others",
            by: Root,
            needs: NEEDS,
            run: own_maps,
        },
        Case {
            name: "without ids that are lent, or without the helpers, one id is mapped, and info says why",
            by: Root,
            needs: NEEDS,
            run: single_id,
        },
    ];

    /// `hoist WORD…` as an ordinary user of a machine whose `/etc/subuid` and `/etc/subgid` have this text.
    fn as_user(hoist: &Hoist, lent: &str, path: &str, words: &[&str]) -> Ran {
        let table = hoist.write("lent", lent);
        let mut command = Command::new(found("unshare"));
        let script = "mount --bind \"$1\" /etc/subuid && mount --bind \"$1\" /etc/subgid && shift && \
                      exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
        let state = hoist.path("user-state");
        command
            .args(["--mount", "sh", "-c", script, "sh", &table])
            .arg(hoist.program())
            .args(["--state-root", &state])
            .args(words)
            .env("PATH", path)
            .env("HOIST_TEST_TAG", hoist.tag())
            .current_dir(hoist.folder());
        finish(&mut command, b"")
    }

    /// Where a program is.
    fn found(name: &str) -> PathBuf {
        std::env::split_paths(&path())
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
            .unwrap()
    }

    /// A root file system that the ordinary user may write.
    fn root(hoist: &Hoist) -> String {
        let root = hoist.copy_of_root("user-root");
        chown(hoist.folder(), Some(USER), Some(USER)).unwrap();
        for path in ["", "/tmp", "/etc", "/probe"] {
            chown(format!("{root}{path}"), Some(USER), Some(USER)).unwrap();
        }
        fs::set_permissions(
            format!("{root}/tmp"),
            std::os::unix::fs::PermissionsExt::from_mode(0o1777),
        )
        .unwrap();
        root
    }

    fn path() -> String {
        std::env::var("PATH").unwrap()
    }

    const LENT: &str = "65534:100000:65536\n";

    fn many_users(hoist: &Hoist) {
        let root = root(hoist);
        let run = |options: &[&str], probe: &[&str]| {
            let mut words = vec!["run", "--rm", "-e", "HOIST_TEST_TAG", "--rootfs", &root];
            words.extend(options);
            words.extend(["--", "/probe", "probe"]);
            words.extend(probe);
            as_user(hoist, LENT, &path(), &words)
        };
        let maps = run(
            &[],
            &[
                "read",
                "/proc/self/uid_map",
                "+",
                "read",
                "/proc/self/gid_map",
            ],
        );
        let maps = maps.succeeded();
        let numbers: Vec<&str> = maps.split_whitespace().collect();
        let one = ["0", "65534", "1", "1", "100000", "65536"];
        assert_eq!(numbers, [one, one].concat());
        // Another user, with the groups that the image gives it, writes as the id that was lent for it.
        run(&["-u", "tester"], &["put", "/tmp/f", "x"]).succeeded();
        let made = fs::metadata(format!("{root}/tmp/f")).unwrap();
        assert_eq!((made.uid(), made.gid()), (100_999, 101_000));
        let report = run(&["-u", "tester", "--group-add", "root"], &["report"]).succeeded();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let groups = report["groups"].as_array().unwrap();
        for group in [0, 1001, 1002] {
            assert!(groups.contains(&group.into()), "{groups:?}");
        }
        run(&["-u", "70000"], &["exit", "0"])
            .failed_with(125, &["maps no user 70000", "0, 1 to 65536"]);
        fs::remove_file(format!("{root}/tmp/f")).unwrap();
    }

    fn own_maps(hoist: &Hoist) {
        let root = root(hoist);
        chown(&root, Some(100_000), Some(100_000)).unwrap();
        let run = |map: &str| {
            let words = [
                "run",
                "--rm",
                "-e",
                "HOIST_TEST_TAG",
                "--rootfs",
                &root,
                "--uidmap",
                map,
                "--gidmap",
                map,
                "--",
                "/probe",
                "probe",
                "read",
                "/proc/self/uid_map",
            ];
            as_user(hoist, LENT, &path(), &words)
        };
        let map = run("0:100000:1000").succeeded();
        assert_eq!(
            map.split_whitespace().collect::<Vec<_>>(),
            ["0", "100000", "1000"]
        );
        // Not lent: the helper refuses, and nothing runs.
        run("0:0:1").failed_with(125, &["map ids by newuidmap", "not allowed"]);
        run("0:100000:70000").failed_with(125, &["map ids by newuidmap"]);
    }

    fn single_id(hoist: &Hoist) {
        let root = root(hoist);
        let words = [
            "run",
            "--rm",
            "-e",
            "HOIST_TEST_TAG",
            "--rootfs",
            &root,
            "--",
            "/probe",
            "probe",
            "read",
            "/proc/self/uid_map",
        ];
        let empty = hoist.make_folder("empty");
        for name in ["sh", "mount", "setpriv"] {
            std::os::unix::fs::symlink(found(name), format!("{empty}/{name}")).unwrap();
        }
        for (lent, path, reason) in [
            (
                "other:100000:65536\n",
                path(),
                "/etc/subuid and /etc/subgid lend user 65534 nothing",
            ),
            (
                "65534:junk\n",
                path(),
                "/etc/subuid and /etc/subgid lend user 65534 nothing",
            ),
            (LENT, empty, "newuidmap and newgidmap is not installed"),
        ] {
            let map = as_user(hoist, lent, &path, &words).succeeded();
            assert_eq!(
                map.split_whitespace().collect::<Vec<_>>(),
                ["0", "65534", "1"],
                "{reason}"
            );
            let info = as_user(hoist, lent, &path, &["info"]).succeeded();
            assert!(info.contains(reason), "{reason}: {info}");
        }
        let info = as_user(hoist, LENT, &path(), &["info"]).succeeded();
        assert!(info.contains("65536 user ids, 65536 group ids"), "{info}");
    }
}

//! An ordinary user's layers where the kernel's overlayfs is not for that user: each fallback is forced, by a kernel that calls
//! itself an old one (personality(2), `UNAME26`) and by what is on `PATH`.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]
mod linux {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use hoist_testing::{
        Need,
        command::{By::Root, Case, Hoist, Ran, finish},
    };
    use serde_json::Value;

    const COPY: &[Need] = &[
        Need::UserNamespaces,
        Need::Tool("setpriv"),
        Need::Tool("setarch"),
    ];
    const FUSE: &[Need] = &[
        Need::UserNamespaces,
        Need::Tool("setpriv"),
        Need::Tool("setarch"),
        Need::Tool("fuse-overlayfs"),
    ];
    const SUB_IDS: &[Need] = &[
        Need::UserNamespaces,
        Need::Tool("setpriv"),
        Need::Tool("setarch"),
        Need::Tool("fuse-overlayfs"),
        Need::Tool("newuidmap"),
        Need::Tool("newgidmap"),
        Need::Tool("unshare"),
    ];
    const USER: u32 = 65534;

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "without overlayfs of its own an ordinary user's layers are shown by fuse-overlayfs, as an overlay shows them",
            by: Root,
            needs: FUSE,
            run: |hoist| shows_layers(hoist, Method::Fuse),
        },
        Case {
            name: "without fuse-overlayfs, too, they are copied, as an overlay shows them",
            by: Root,
            needs: COPY,
            run: |hoist| shows_layers(hoist, Method::Copy),
        },
        Case {
            name: "info, plan and the debug log say by what layers are put together, and why not by overlayfs",
            by: Root,
            needs: FUSE,
            run: said,
        },
        Case {
            name: "fuse-overlayfs is recorded, runs outside of the container, and ends with it however that ends",
            by: Root,
            needs: FUSE,
            run: ends_with_container,
        },
        Case {
            name: "a fuse-overlayfs that cannot show the layers fails the start with its own words, and nothing is left",
            by: Root,
            needs: FUSE,
            run: failing_server,
        },
        Case {
            name: "what is written to a copy is kept in the layer folder, and a copy that was cut short is made anew",
            by: Root,
            needs: COPY,
            run: kept_copy,
        },
        Case {
            name: "a copy has the attributes, times and holes of its original, and one file of several names has them again",
            by: Root,
            needs: COPY,
            run: faithful_copy,
        },
        Case {
            name: "this machine's own root is shown by fuse-overlayfs",
            by: Root,
            needs: FUSE,
            run: own_root,
        },
        Case {
            name: "without fuse-overlayfs this machine's own root is shown read-only, and else refused with what to do",
            by: Root,
            needs: COPY,
            run: own_root_without_overlays,
        },
        Case {
            name: "with ids that are lent, all users of a container see what fuse-overlayfs shows, and exec finds them",
            by: Root,
            needs: SUB_IDS,
            run: many_users,
        },
        Case {
            name: "files of what fuse-overlayfs shows are copied, exported and compared while the container runs",
            by: Root,
            needs: FUSE,
            run: files_of_served,
        },
    ];

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Method {
        Fuse,
        Copy,
    }

    /// Where a program is.
    fn found(name: &str) -> PathBuf {
        std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
            .unwrap()
    }

    /// An ordinary user of this machine.
    struct User<'a> {
        hoist: &'a Hoist,
        path: String,
        state: String,
        /// Its lines of `/etc/subuid`.
        lent: Option<&'static str>,
    }

    impl<'a> User<'a> {
        fn with(hoist: &'a Hoist, method: Method) -> Self {
            let path = match method {
                Method::Fuse => std::env::var("PATH").unwrap(),
                Method::Copy => hoist.make_folder("no-programs"),
            };
            chown(hoist.folder(), Some(USER), Some(USER)).unwrap();
            Self {
                hoist,
                path,
                state: hoist.path("user-state"),
                lent: None,
            }
        }

        fn command(&self, words: &[&str]) -> Command {
            let mut command = match self.lent {
                None => Command::new(found("setpriv")),
                Some(lent) => {
                    let table = self.hoist.write("lent", lent);
                    let script = "mount --bind \"$1\" /etc/subuid && mount --bind \"$1\" /etc/subgid && shift && \
                                  exec \"$@\"";
                    let mut command = Command::new(found("unshare"));
                    command
                        .args(["--mount", "sh", "-c", script, "sh", &table])
                        .arg(found("setpriv"));
                    command
                }
            };
            command
                .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
                .arg(found("setarch"))
                .arg("--uname-2.6")
                .arg(self.hoist.program())
                .args(["--state-root", &self.state])
                .args(words)
                .env("PATH", &self.path)
                .env("HOIST_TEST_TAG", self.hoist.tag())
                .current_dir(self.hoist.folder());
            command
        }

        fn hoist(&self, words: &[&str]) -> Ran {
            finish(&mut self.command(words), b"")
        }

        /// `hoist run OPTION… -- PROBE…` over the layers.
        fn run(&self, layers: &[String], options: &[&str], probe: &[&str]) -> Ran {
            let mut words = vec!["run", "-e", "HOIST_TEST_TAG"];
            words.extend(layers.iter().flat_map(|layer| ["--layer", layer.as_str()]));
            words.extend(options);
            words.extend(["--", "/probe", "probe"]);
            words.extend(probe);
            self.hoist(&words)
        }

        fn folder(&self, name: &str) -> String {
            let folder = self.hoist.make_folder(name);
            chown(&folder, Some(USER), Some(USER)).unwrap();
            folder
        }
    }

    /// A base, and what hides and covers parts of it: the lowest first.
    fn layers(hoist: &Hoist) -> Vec<String> {
        let base = hoist.copy_of_root("base");
        let top = hoist.make_folder("top");
        for folder in ["merged", "opaque", "gone-with-all/deep"] {
            fs::create_dir_all(format!("{base}/{folder}")).unwrap();
        }
        for (path, text) in [
            ("merged/below", "below"),
            ("merged/covered", "below"),
            ("opaque/hidden", "x"),
            ("gone", "x"),
            ("gone-with-all/deep/file", "x"),
            ("was-a-file", "x"),
        ] {
            fs::write(format!("{base}/{path}"), text).unwrap();
        }
        for folder in ["merged", "opaque", "was-a-file"] {
            fs::create_dir(format!("{top}/{folder}")).unwrap();
        }
        for (path, text) in [
            ("merged/covered", "above"),
            ("opaque/shown", "y"),
            ("was-a-file/now", "z"),
        ] {
            fs::write(format!("{top}/{path}"), text).unwrap();
        }
        fs::set_permissions(format!("{top}/merged"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("merged/below", format!("{top}/link")).unwrap();
        for name in ["gone", "gone-with-all"] {
            let path = format!("{top}/{name}");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                path,
                rustix::fs::FileType::CharacterDevice,
                rustix::fs::Mode::empty(),
                0,
            )
            .unwrap();
        }
        let opaque = format!("{top}/opaque");
        rustix::fs::setxattr(
            opaque,
            "user.overlay.opaque",
            b"y",
            rustix::fs::XattrFlags::empty(),
        )
        .unwrap();
        for layer in [&base, &top] {
            own(Path::new(layer));
        }
        vec![base, top]
    }

    /// Gives the user a tree.
    fn own(path: &Path) {
        std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            for entry in fs::read_dir(path).unwrap() {
                own(&entry.unwrap().path());
            }
        }
    }

    /// The ids of the fuse-overlayfs processes that show these layers.
    fn servers(layers: &[String]) -> Vec<u32> {
        let shows = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|words| words.contains("fuse-overlayfs") && words.contains(&layers[0]))
        };
        let entries = fs::read_dir("/proc").unwrap();
        entries
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .filter(shows)
            .collect()
    }

    fn no_servers_soon(layers: &[String]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !servers(layers).is_empty() {
            assert!(
                Instant::now() < deadline,
                "fuse-overlayfs goes on: {:?}",
                servers(layers)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn shows_layers(hoist: &Hoist, method: Method) {
        let layers = layers(hoist);
        let user = User::with(hoist, method);
        let read = |paths: &[&str]| {
            let mut words = Vec::new();
            for path in paths {
                if !words.is_empty() {
                    words.push("+");
                }
                words.extend(["read", path]);
            }
            user.run(&layers, &["--rm"], &words)
        };
        let text = read(&[
            "/merged/below",
            "/merged/covered",
            "/opaque/shown",
            "/was-a-file/now",
            "/link",
        ]);
        assert_eq!(text.succeeded().replace('\n', ""), "belowaboveyzbelow");
        for hidden in ["/opaque/hidden", "/gone", "/gone-with-all/deep/file"] {
            let ran = read(&[hidden]);
            assert!(
                ran.code != 0 && ran.stderr.contains("ENOENT")
                    || ran.stderr.contains("No such file"),
                "{hidden}: {ran:?}"
            );
        }
        // It can be written, what is below is not changed by that, and the next container sees nothing of it.
        let ran = user.run(
            &layers,
            &["--rm"],
            &[
                "put",
                "/merged/below",
                "written",
                "+",
                "read",
                "/merged/below",
            ],
        );
        assert_eq!(ran.succeeded().trim(), "written");
        assert_eq!(
            fs::read_to_string(format!("{}/merged/below", layers[0])).unwrap(),
            "below"
        );
        assert_eq!(read(&["/merged/below"]).succeeded().trim(), "below");
        // A read-only root is one.
        let ran = user.run(
            &layers,
            &["--rm", "--read-only"],
            &["put", "/merged/below", "written"],
        );
        assert_ne!(ran.code, 0, "{ran:?}");
        no_servers_soon(&layers);
    }

    fn feature(user: &User<'_>) -> Value {
        let info: Value = user.hoist(&["info", "-f", "json"]).json();
        let features = info["features"].as_array().unwrap();
        features
            .iter()
            .find(|feature| feature["name"] == "layers")
            .unwrap()
            .clone()
    }

    fn said(hoist: &Hoist) {
        let layers = layers(hoist);
        for (method, info, plan) in [
            (
                Method::Fuse,
                "/fuse-overlayfs: overlayfs of Linux 2.6 is not for ordinary users",
                "2 layers shown by fuse-overlayfs",
            ),
            (Method::Copy, "copied for each container", "copy 2 layers"),
        ] {
            let user = User::with(hoist, method);
            let feature = feature(&user);
            let detail = feature["detail"].as_str().unwrap();
            assert!(detail.contains(info), "{feature}");
            assert!(
                feature["remedy"].as_str().unwrap().contains("Linux 5.11"),
                "{feature}"
            );
            assert_eq!(
                method == Method::Copy,
                detail.contains("fuse-overlayfs is not installed"),
                "{feature}"
            );
            let words = ["plan", "--layer", &layers[0], "--layer", &layers[1], "sh"];
            let said = user.hoist(&words).succeeded();
            assert!(said.contains(plan), "{said}");
            let mut words = vec![
                "--log-level",
                "debug",
                "run",
                "--rm",
                "-e",
                "HOIST_TEST_TAG",
            ];
            words.extend(layers.iter().flat_map(|layer| ["--layer", layer.as_str()]));
            words.extend(["--", "/probe", "probe", "exit", "0"]);
            let ran = user.hoist(&words);
            assert!(ran.stderr.contains(plan), "{ran:?}");
        }
    }

    fn ends_with_container(hoist: &Hoist) {
        let layers = layers(hoist);
        let user = User::with(hoist, Method::Fuse);
        let start = |name| {
            user.run(&layers, &["-d", "--name", name], &["idle"])
                .succeeded()
        };
        let inside = |name| {
            let inspected: Value = user.hoist(&["inspect", name]).json();
            inspected[0]["State"]["Pid"].as_u64().unwrap()
        };
        start("web");
        let [server] = servers(&layers)[..] else {
            panic!("{:?}", servers(&layers))
        };
        let namespace = |pid: u64, kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        let pid = inside("web");
        assert_eq!(namespace(server.into(), "user"), namespace(pid, "user"));
        for kind in ["pid", "mnt"] {
            assert_ne!(
                namespace(server.into(), kind),
                namespace(pid, kind),
                "{kind}"
            );
        }
        let status = fs::read_to_string(format!("/proc/{server}/status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        let words = [
            "exec",
            "web",
            "/probe",
            "probe",
            "put",
            "/merged/below",
            "new",
            "+",
            "read",
            "/merged/below",
        ];
        assert_eq!(user.hoist(&words).succeeded().trim(), "new");
        assert!(
            user.hoist(&["diff", "web"])
                .succeeded()
                .contains("C /merged/below")
        );
        user.hoist(&["rm", "-f", "web"]).succeeded();
        no_servers_soon(&layers);
        // The supervisor is killed, and with it the container.
        start("lost");
        let [server] = servers(&layers)[..] else {
            panic!("{:?}", servers(&layers))
        };
        let stat = fs::read_to_string(format!("/proc/{server}/stat")).unwrap();
        let parent = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let parent = rustix::process::Pid::from_raw(parent).unwrap();
        rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
        no_servers_soon(&layers);
        user.hoist(&["rm", "-f", "lost"]).succeeded();
        // One that hangs ends when its container is removed, which has its number.
        start("stuck");
        let [server] = servers(&layers)[..] else {
            panic!("{:?}", servers(&layers))
        };
        let server = rustix::process::Pid::from_raw(server as i32).unwrap();
        rustix::process::kill_process(server, rustix::process::Signal::STOP).unwrap();
        user.hoist(&["rm", "-f", "stuck"]).succeeded();
        no_servers_soon(&layers);
    }

    fn failing_server(hoist: &Hoist) {
        let layers = layers(hoist);
        let mut user = User::with(hoist, Method::Fuse);
        user.path = hoist.make_folder("bad-programs");
        let program = format!("{}/fuse-overlayfs", user.path);
        fs::write(&program, "#!/bin/sh\necho no such luck >&2\nexit 1\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let ran = user.run(&layers, &["--name", "web"], &["exit", "0"]);
        ran.failed_with(125, &["fuse-overlayfs", "no such luck"]);
        assert_eq!(user.hoist(&["ps", "-aq"]).succeeded(), "");
        let odd = hoist.make_folder("odd:layer");
        let ran = User::with(hoist, Method::Fuse).run(&[odd], &["--rm"], &["exit", "0"]);
        ran.failed_with(125, &["takes no path with a colon"]);
    }

    fn kept_copy(hoist: &Hoist) {
        let layers = layers(hoist);
        let user = User::with(hoist, Method::Copy);
        let kept = user.folder("kept");
        // What a start left that was killed while it copied.
        fs::create_dir_all(format!("{kept}/copy.unfinished/merged/deep")).unwrap();
        fs::write(format!("{kept}/copy.unfinished/merged/below"), "torn").unwrap();
        own(Path::new(&kept));
        let options = ["--name", "web", "--layer-folder", &kept];
        let ran = user.run(
            &layers,
            &options,
            &["put", "/merged/new", "kept", "+", "read", "/merged/below"],
        );
        assert_eq!(ran.succeeded().trim(), "below");
        assert!(!Path::new(&kept).join("copy.unfinished").exists());
        let changes = user.hoist(&["diff", "web"]).succeeded();
        assert!(
            changes.contains("A /merged/new") && !changes.contains("below"),
            "{changes}"
        );
        let out = hoist.path("out");
        user.hoist(&["cp", "web:/merged/new", &out]).succeeded();
        assert_eq!(fs::read_to_string(out).unwrap(), "kept");
        user.hoist(&["rm", "web"]).succeeded();
        // Whatever can be had later, the copy is what was written to.
        let user = User::with(hoist, Method::Fuse);
        let options = ["--rm", "--layer-folder", &kept];
        assert_eq!(
            user.run(&layers, &options, &["read", "/merged/new"])
                .succeeded()
                .trim(),
            "kept"
        );
        assert!(servers(&layers).is_empty());
    }

    fn own_root(hoist: &Hoist) {
        let user = User::with(hoist, Method::Fuse);
        let script = "echo x > /usr/hoist-was-here && cat /usr/hoist-was-here && ls /home";
        let ran = user.hoist(&["run", "--rm", "-e", "HOIST_TEST_TAG", "sh", "-c", script]);
        assert_eq!(ran.succeeded().trim(), "x");
        assert!(!Path::new("/usr/hoist-was-here").exists());
    }

    fn own_root_without_overlays(hoist: &Hoist) {
        let user = User::with(hoist, Method::Copy);
        let ran = user.hoist(&["run", "--rm", "true"]);
        ran.failed_with(
            125,
            &[
                "this machine's own root",
                "--read-only",
                "--tmpfs",
                "--rootfs",
            ],
        );
        assert_eq!(user.hoist(&["ps", "-aq"]).succeeded(), "");
        // What could change the machine's files fails as on a read-only file system, whoever owns them; the rest is as ever.
        let script = "ls /home; cat /etc/hostname; touch /usr/x 2>&1; touch /etc/x 2>&1; touch /x 2>&1; \
                      echo kept > /tmp/x && cat /tmp/x; exit 7";
        let words = [
            "run",
            "--rm",
            "--read-only",
            "--tmpfs",
            "/tmp",
            "-e",
            "HOIST_TEST_TAG",
        ];
        let ran = user.hoist(&[&words[..], &["sh", "-c", script]].concat());
        ran.ended_with(7);
        assert_eq!(
            ran.text().matches("Read-only file system").count(),
            3,
            "{ran:?}"
        );
        assert!(ran.text().ends_with("kept\n"), "{ran:?}");
    }

    /// `security.capability` of the third version (linux/capability.h): to bind to low ports, for who has this root.
    fn capability(root: Option<u32>) -> Vec<u8> {
        let (version, root) = match root {
            None => (0x0200_0000_u32, None),
            Some(root) => (0x0300_0000, Some(root)),
        };
        let words = [version | 1, 1 << 10, 0, 0, 0];
        words
            .into_iter()
            .chain(root)
            .flat_map(u32::to_le_bytes)
            .collect()
    }

    /// `system.posix_acl_access` (linux/posix_acl_xattr.h) that gives one user more than the group.
    fn access_list(user: u32) -> Vec<u8> {
        const NOBODY: u32 = u32::MAX;
        let entries = [
            (0x01_u16, 6_u16, NOBODY),
            (0x02, 6, user),
            (0x04, 0, NOBODY),
            (0x10, 6, NOBODY),
            (0x20, 0, NOBODY),
        ];
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(permissions.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    fn attribute(path: &str, name: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 1024];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    }

    fn give(path: &str, name: &str, value: &[u8]) {
        rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
    }

    fn faithful_copy(hoist: &Hoist) {
        use std::os::unix::fs::{FileExt, MetadataExt};
        const HOLE: u64 = 64 << 20;
        let layers = layers(hoist);
        let base = &layers[0];
        let file = |name: &str| {
            let path = format!("{base}/merged/{name}");
            fs::write(&path, name).unwrap();
            chown(&path, Some(USER), Some(USER)).unwrap();
            path
        };
        give(&file("noted"), "user.note", b"mine");
        give(&file("noted"), "user.empty", b"");
        give(&format!("{base}/merged"), "user.note", b"below");
        give(&format!("{}/merged", layers[1]), "user.note", b"above");
        give(
            &file("own-root"),
            "security.capability",
            &capability(Some(USER)),
        );
        give(&file("host-root"), "security.capability", &capability(None));
        fs::set_permissions(file("shared"), fs::Permissions::from_mode(0o600)).unwrap();
        give(
            &format!("{base}/merged/shared"),
            "system.posix_acl_access",
            &access_list(1234),
        );
        for name in ["merged/second", "opaque-not/third"] {
            fs::create_dir_all(format!("{base}/opaque-not")).unwrap();
            let first = format!("{base}/merged/first");
            if !Path::new(&first).exists() {
                file("first");
            }
            fs::hard_link(&first, format!("{base}/{name}")).unwrap();
        }
        symlink("first", format!("{base}/merged/link")).unwrap();
        fs::hard_link(
            format!("{base}/merged/link"),
            format!("{base}/merged/same-link"),
        )
        .unwrap();
        let sparse = fs::File::create(file("sparse")).unwrap();
        sparse.write_all_at(b"middle", HOLE / 2).unwrap();
        sparse.set_len(HOLE).unwrap();
        own(Path::new(base));
        // The change of owners has taken it away.
        give(
            &format!("{base}/merged/own-root"),
            "security.capability",
            &capability(Some(USER)),
        );
        give(
            &format!("{base}/merged/host-root"),
            "security.capability",
            &capability(None),
        );
        let times = |seconds| {
            let at = |tv_nsec| rustix::fs::Timespec {
                tv_sec: seconds,
                tv_nsec,
            };
            rustix::fs::Timestamps {
                last_access: at(5),
                last_modification: at(7),
            }
        };
        let no_follow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        for (path, seconds) in [
            ("opaque-not", 1_000_000),
            ("merged/first", 2_000_000),
            ("merged/link", 3_000_000),
        ] {
            let path = format!("{base}/{path}");
            rustix::fs::utimensat(rustix::fs::CWD, path, &times(seconds), no_follow).unwrap();
        }
        let user = User::with(hoist, Method::Copy);
        let kept = user.folder("kept");
        let options = ["--rm", "--layer-folder", &kept];
        user.run(&layers, &options, &["exit", "0"]).succeeded();
        let at = |name: &str| format!("{kept}/copy/{name}");
        let found = |name: &str| fs::symlink_metadata(at(name)).unwrap();

        assert_eq!(
            attribute(&at("merged/noted"), "user.note").unwrap(),
            b"mine"
        );
        assert_eq!(attribute(&at("merged/noted"), "user.empty").unwrap(), b"");
        assert_eq!(attribute(&at("merged"), "user.note").unwrap(), b"above");
        // A mark of the overlay's is none of the copy's.
        assert_eq!(attribute(&at("opaque"), "user.overlay.opaque"), None);
        // Capabilities are this user's root's in the copy, whosever they were, and the host's root's never.
        for name in ["merged/own-root", "merged/host-root"] {
            let value = attribute(&at(name), "security.capability").unwrap();
            assert_eq!(value, capability(Some(USER)), "{name}");
        }
        // A list that names somebody without a number here is not kept, and its mask is nobody's permission then.
        assert_eq!(
            attribute(&at("merged/shared"), "system.posix_acl_access"),
            None
        );
        assert_eq!(found("merged/shared").mode() & 0o7777, 0o600);

        let first = found("merged/first");
        assert_eq!(first.nlink(), 3);
        for other in ["merged/second", "opaque-not/third"] {
            assert_eq!(found(other).ino(), first.ino(), "{other}");
        }
        assert_eq!(found("merged/link").ino(), found("merged/same-link").ino());
        assert_eq!(found("merged/link").nlink(), 2);
        let top = fs::read_dir(at("")).unwrap();
        let names: Vec<_> = top.map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            !names
                .iter()
                .any(|name| name.to_str().unwrap().contains("hoist-links")),
            "{names:?}"
        );

        assert_eq!(
            (
                found("opaque-not").mtime(),
                found("opaque-not").mtime_nsec()
            ),
            (1_000_000, 7)
        );
        assert_eq!((first.mtime(), first.mtime_nsec()), (2_000_000, 7));
        assert_eq!(
            (
                found("merged/link").mtime(),
                found("merged/link").mtime_nsec()
            ),
            (3_000_000, 7)
        );

        let sparse = found("merged/sparse");
        assert_eq!(sparse.len(), HOLE);
        assert!(
            sparse.blocks() * 512 < 1 << 20,
            "{} blocks",
            sparse.blocks()
        );
        let mut middle = [0; 8];
        let copy = fs::File::open(at("merged/sparse")).unwrap();
        copy.read_exact_at(&mut middle, HOLE / 2 - 1).unwrap();
        assert_eq!(&middle, b"\0middle\0");

        // In memory the same: 64 MiB of nothing take nothing, and no helper of the copy is to be seen.
        let ran = user.run(&layers, &["--rm"], &["list", "/"]);
        assert!(!ran.succeeded().contains("hoist-links"));
    }

    fn many_users(hoist: &Hoist) {
        let layers = layers(hoist);
        let user = User {
            lent: Some("65534:100000:65536\n"),
            ..User::with(hoist, Method::Fuse)
        };
        let options = ["-d", "--name", "web", "-u", "tester"];
        user.run(&layers, &options, &["idle"]).succeeded();
        assert_eq!(servers(&layers).len(), 1);
        let words = ["exec", "-u", "tester", "web", "/probe", "probe", "report"];
        let report: Value = user.hoist(&words).json();
        assert_eq!(report["uids"][0], 1000, "{report}");
        // Who may do what is for the kernel to say.
        let words = [
            "exec",
            "-u",
            "tester",
            "web",
            "/probe",
            "probe",
            "put",
            "/merged/covered",
            "x",
        ];
        assert_ne!(user.hoist(&words).code, 0);
        // From outside it cannot be seen, and that is said.
        let export = hoist.path("out.tar");
        for words in [
            &["diff", "web"][..],
            &["cp", "web:/etc/passwd", "-"],
            &["cp", &layers[1], "web:/merged"],
            &["export", "-o", &export, "web"],
        ] {
            user.hoist(words)
                .failed_with(1, &["fuse-overlayfs", "hoist exec"]);
        }
        assert!(!Path::new(&export).exists());
        user.hoist(&["rm", "-f", "web"]).succeeded();
        no_servers_soon(&layers);
    }

    fn files_of_served(hoist: &Hoist) {
        let layers = layers(hoist);
        let user = User::with(hoist, Method::Fuse);
        let kept = user.folder("kept");
        let options = ["-d", "--name", "web", "--layer-folder", &kept];
        user.run(&layers, &options, &["idle"]).succeeded();
        let given = hoist.write("given", "from outside");
        user.hoist(&["cp", &given, "web:/merged/covered"])
            .succeeded();
        let words = ["exec", "web", "/probe", "probe", "read", "/merged/covered"];
        assert_eq!(user.hoist(&words).succeeded().trim(), "from outside");
        let out = user.folder("out");
        user.hoist(&["cp", "web:/merged", &out]).succeeded();
        let read = |name: &str| fs::read_to_string(format!("{out}/{name}")).unwrap();
        assert_eq!(read("merged/below"), "below");
        assert_eq!(read("merged/covered"), "from outside");
        assert_eq!(
            user.hoist(&["diff", "web"]).succeeded(),
            "C /merged\nC /merged/covered\n"
        );
        let export = format!("{out}/root.tar");
        user.hoist(&["export", "-o", &export, "web"]).succeeded();
        let mut archive = tar::Archive::new(fs::File::open(&export).unwrap());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        for (name, is_there) in [
            ("merged/covered", true),
            ("opaque/shown", true),
            ("opaque/hidden", false),
            ("gone", false),
        ] {
            assert_eq!(
                names.iter().any(|found| found == name),
                is_there,
                "{name}: {names:?}"
            );
        }
        // Without its server nobody shows what it wrote: that is said, and what it changed can be told all the same.
        user.hoist(&["kill", "web"]).succeeded();
        user.hoist(&["wait", "web"]).succeeded();
        user.hoist(&["cp", "web:/merged/covered", "-"])
            .failed_with(1, &["while it does not run", "start it first"]);
        let changes = user.hoist(&["diff", "web"]).succeeded();
        assert!(changes.contains("C /merged/covered"), "{changes}");
        user.hoist(&["start", "web"]).succeeded();
        user.hoist(&["cp", "web:/merged/covered", &out]).succeeded();
        assert_eq!(read("covered"), "from outside");
        user.hoist(&["rm", "-f", "web"]).succeeded();
        no_servers_soon(&layers);
    }
}

//! SELinux, on a kernel that enforces a policy of the tests' own (`xtask/src/vm/policy.cil`): `cargo xtask vm` has one.

use std::{fs, path::Path};

use hoist_testing::{Need, Suite};
use serde_json::json;

use crate::checkpoint::{call, checkpoint, counting, counts, start};
use crate::kit::{Bundle, Said};

const SELINUX: &[Need] = &[Need::Root, Need::SeLinux, Need::Tool("busybox")];

/// May become one of the containers' types, whatever the program gains by it.
const CONTAINER: &str = "system_u:system_r:container_t:s0:c1,c2";
/// May become that, but not under `noNewPrivileges`.
const OTHER: &str = "system_u:system_r:other_container_t:s0:c3";
/// In the policy, but nobody may become that.
const FORBIDDEN: &str = "system_u:system_r:forbidden_t:s0";
const UNKNOWN: &str = "system_u:system_r:no_such_t:s0";
/// What containers may write to.
const FILES: &str = "system_u:object_r:container_file_t:s0:c1,c2";
/// What containers may not even read.
const SECRET: &str = "system_u:object_r:secret_t:s0";

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "selinux: the first process and each exec have the label that was asked for, and the runtime and its hooks keep theirs",
            SELINUX,
            labelled,
        )
        .test(
            "selinux: a label may name its categories in another way than the kernel does",
            SELINUX,
            other_spelling,
        )
        .test(
            "selinux: a label that the policy does not know is refused, and nothing is left",
            SELINUX,
            unknown,
        )
        .test(
            "selinux: a label that the policy lets nobody have, or not under noNewPrivileges, fails the start, and nothing is left",
            SELINUX,
            denied,
        )
        .test(
            "selinux: every file system that is made has the mount label, and the policy counts inside",
            SELINUX,
            mount_label,
        )
        .test(
            "selinux: neither a /proc of the image's nor one that the container mounts diverts a label",
            SELINUX,
            not_diverted,
        )
        .test(
            "selinux: the session keyring has the label of the process",
            SELINUX,
            keyring,
        )
        .test(
            "selinux: file systems that are shared with the host keep their labels",
            SELINUX,
            shared,
        )
        .test(
            "selinux: a process is restored from a checkpoint with its label, or not at all",
            &[Need::Root, Need::SeLinux, Need::Tool("criu"), Need::Criu],
            restored,
        )
}

/// A bundle whose program has this label and waits.
fn waiting(label: &str) -> Bundle {
    let mut bundle = Bundle::shell("cat /proc/1/attr/current; sleep 600").unwrap();
    bundle.config["process"]["selinuxLabel"] = json!(label);
    bundle
}

/// The label of a process, or what else the kernel tells of it.
pub(crate) fn attribute(process: &str, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{process}/attr/{name}")).unwrap();
    text.trim_end_matches(['\0', '\n']).to_owned()
}

/// The label of a file.
#[track_caller]
fn label_of(path: &Path) -> String {
    let mut room = [0_u8; 4096];
    let length = rustix::fs::lgetxattr(path, "security.selinux", &mut room)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = std::str::from_utf8(&room[..length]).unwrap();
    text.trim_end_matches('\0').to_owned()
}

impl Bundle {
    /// The label that a further process of the container has.
    #[track_caller]
    pub(crate) fn label_of_exec(&self, options: &[&str]) -> String {
        let words = [
            &["exec"],
            options,
            &[self.id.as_str(), "cat", "/proc/self/attr/current"],
        ];
        let said = self.call(&words.concat()).ok();
        said.out.trim_end_matches(['\0', '\n']).to_owned()
    }

    /// The same as the host sees it, of one that asked for [`OTHER`].
    #[track_caller]
    fn label_of_waiting_exec(&self) -> String {
        let words = [
            "exec",
            "--detach",
            "--pid-file",
            "exec-pid",
            "--process-label",
            OTHER,
            &self.id,
        ];
        self.launch(&[&words[..], &["sleep", "600"]].concat()).ok();
        attribute(self.read("exec-pid").trim(), "current")
    }

    /// Ends the container; a further one can be made.
    #[track_caller]
    fn end(&self) {
        self.call(&["delete", "--force", &self.id]).ok();
        self.assert_nothing_is_recorded();
    }
}

/// An error that names SELinux and the label.
#[track_caller]
fn refused(said: &Said, label: &str, words: &str) {
    assert!(!matches!(said.code, Some(0) | None), "{said:?}");
    for words in ["SELinux", label, words] {
        assert!(said.err.contains(words), "{words:?} is not in {said:?}");
    }
}

fn labelled() {
    let own = attribute("self", "current");
    let mut bundle = waiting(CONTAINER);
    let folder = bundle.folder.path().display().to_string();
    let hook = |file: &str| {
        let script = format!("cat /proc/self/attr/current > {file}");
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
    };
    bundle.config["hooks"] = json!({
        "createRuntime": hook(&format!("{folder}/createRuntime")),
        "createContainer": hook(&format!("{folder}/createContainer")),
        "startContainer": hook("/startContainer"),
        "poststart": hook(&format!("{folder}/poststart")),
    });
    for no_new_privileges in [false, true] {
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bundle.start();
        bundle.await_words("out", CONTAINER);
        assert_eq!(attribute(&bundle.pid().to_string(), "current"), CONTAINER);
        for unset in ["exec", "keycreate", "fscreate", "sockcreate"] {
            assert_eq!(attribute(&bundle.pid().to_string(), unset), "", "{unset}");
        }
        for kind in ["createRuntime", "createContainer", "poststart"] {
            assert_eq!(bundle.read(kind).trim_end_matches('\0'), own, "{kind}");
        }
        // What runs in the container runs under its label.
        let inside = bundle.read("rootfs/startContainer");
        assert_eq!(inside.trim_end_matches('\0'), CONTAINER);
        assert_eq!(bundle.label_of_exec(&[]), CONTAINER);
        if !no_new_privileges {
            let options = ["--process-label", OTHER];
            assert_eq!(bundle.label_of_exec(&options), OTHER);
            let mut process = bundle.config["process"].clone();
            process["selinuxLabel"] = json!(OTHER);
            process["args"] = json!(["cat", "/proc/self/attr/current"]);
            fs::write(bundle.path("process.json"), process.to_string()).unwrap();
            let said = bundle
                .call(&["exec", "--process", "process.json", &bundle.id])
                .ok();
            assert_eq!(said.out.trim_end_matches('\0'), OTHER);
        }
        bundle.end();
    }
    assert_eq!(attribute("self", "current"), own);
    bundle.remove();
}

fn other_spelling() {
    for (categories, told) in [
        ("s0:c5,c2,c1,c0", "s0:c0.c2,c5"),
        ("s0-s0:c2,c1", "s0-s0:c1,c2"),
    ] {
        let with = |categories| format!("system_u:system_r:container_t:{categories}");
        let bundle = waiting(&with(categories));
        bundle.start();
        bundle.await_words("out", &with(told));
        assert_eq!(bundle.label_of_exec(&[]), with(told));
        bundle.remove();
    }
}

fn unknown() {
    let mut bundle = waiting(UNKNOWN);
    refused(&bundle.create(), UNKNOWN, "the policy of this host");
    bundle.assert_nothing_is_recorded();
    refused(&bundle.run(), UNKNOWN, "the policy of this host");
    bundle.assert_nothing_is_recorded();

    bundle.config["process"]["selinuxLabel"] = json!(CONTAINER);
    bundle.config["linux"]["mountLabel"] = json!(UNKNOWN);
    let said = bundle.create();
    refused(&said, "mount label", "the policy of this host");
    bundle.assert_nothing_is_recorded();

    bundle.config["linux"]["mountLabel"] = json!(FILES);
    bundle.start();
    let said = bundle.call(&["exec", "--process-label", UNKNOWN, &bundle.id, "true"]);
    refused(&said, UNKNOWN, "the policy of this host");
    assert_eq!(bundle.status(), "running");
    assert_eq!(bundle.label_of_exec(&[]), CONTAINER);
    bundle.remove();
}

fn denied() {
    for (label, no_new_privileges) in [(FORBIDDEN, false), (OTHER, true)] {
        let mut bundle = waiting(label);
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        refused(&bundle.run(), label, "the policy of this host");
        bundle.assert_nothing_is_recorded();

        bundle.create().ok();
        let said = bundle.call(&["start", &bundle.id]);
        refused(&said, label, "the policy of this host");
        bundle.end();

        bundle.config["process"]["selinuxLabel"] = json!(CONTAINER);
        bundle.start();
        let process = {
            let mut process = bundle.config["process"].clone();
            process["selinuxLabel"] = json!(label);
            process["args"] = json!(["true"]);
            process.to_string()
        };
        fs::write(bundle.path("process.json"), process).unwrap();
        let said = bundle.call(&["exec", "--process", "process.json", &bundle.id]);
        refused(&said, label, "the policy of this host");
        assert_eq!(bundle.status(), "running");
        bundle.remove();
    }
}

fn mount_label() {
    let mut bundle = waiting(CONTAINER);
    bundle.config["linux"]["mountLabel"] = json!(FILES);
    let lower = bundle.path("lower");
    let (upper, work) = (bundle.path("upper"), bundle.path("work"));
    for folder in [&lower, &upper, &work] {
        fs::create_dir(folder).unwrap();
    }
    let layers = [
        format!("lowerdir={}", lower.display()),
        format!("upperdir={}", upper.display()),
        format!("workdir={}", work.display()),
    ];
    let masked = bundle.path("masked");
    fs::create_dir(&masked).unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.extend([
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"}),
        json!({"destination": "/masked", "type": "tmpfs", "source": "tmpfs"}),
        json!({"destination": "/masked/directory", "type": "bind", "source": masked, "options": ["bind"]}),
        json!({"destination": "/layers", "type": "overlay", "source": "overlay", "options": layers}),
        // A label of its own comes first, with or without the quotes that mount(8) wants around commas.
        json!({"destination": "/secret", "type": "tmpfs", "source": "tmpfs", "options": [format!("context={SECRET}")]}),
        json!({"destination": "/quoted", "type": "tmpfs", "source": "tmpfs", "options": [format!("context=\"{FILES}\"")]}),
    ]);
    bundle.config["linux"]["maskedPaths"] = json!(["/masked/directory"]);
    bundle.start();
    bundle.await_words("out", CONTAINER);
    let script = "for folder in /dev /dev/shm /tmp /layers /quoted; do echo x >$folder/made; done; \
        : >/dev/mqueue/queue";
    let words = ["exec", &bundle.id, "sh", "-ec", script];
    bundle.call(&words).ok();
    let root = Path::new("/proc")
        .join(bundle.pid().to_string())
        .join("root");
    for file in [
        "dev",
        "dev/null",
        "dev/made",
        "dev/pts",
        "dev/pts/ptmx",
        "dev/shm",
        "dev/shm/made",
        "dev/mqueue",
        "masked/directory",
        "tmp",
        "tmp/made",
        "layers/made",
        "quoted/made",
    ] {
        assert_eq!(label_of(&root.join(file)), FILES, "{file}");
    }
    let secret = root.join("secret/file");
    fs::write(&secret, "secret").unwrap();
    assert_eq!(label_of(&secret), SECRET);
    let said = bundle.call(&["exec", &bundle.id, "cat", "/secret/file"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(!said.out.contains("secret"), "{said:?}");
    bundle.remove();
}

fn not_diverted() {
    // The image has files where the kernel's would be, and nothing is mounted over them.
    let mut bundle = Bundle::shell("sleep 600").unwrap();
    bundle.config["process"]["selinuxLabel"] = json!(CONTAINER);
    bundle.config["process"]["noNewPrivileges"] = json!(false);
    let is_proc = |mount: &serde_json::Value| mount["destination"] == "/proc";
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !is_proc(mount));
    let mut files = Vec::new();
    for process in ["self", "thread-self", "1"] {
        let folder = bundle.rootfs().join("proc").join(process).join("attr");
        fs::create_dir_all(&folder).unwrap();
        for name in ["exec", "current", "keycreate"] {
            fs::write(folder.join(name), "of the image").unwrap();
            files.push(folder.join(name));
        }
    }
    bundle.start();
    assert_eq!(attribute(&bundle.pid().to_string(), "current"), CONTAINER);
    assert_eq!(bundle.label_of_waiting_exec(), OTHER);
    for file in files {
        assert_eq!(fs::read_to_string(file).unwrap(), "of the image");
    }
    bundle.remove();

    // The container mounts something over its own /proc, or over a part of it.
    const FAKE: &str = "mkdir -p /tmp/self/attr; for name in exec current keycreate; do echo fake >/tmp/self/attr/$name; done";
    for script in [
        "mount -t tmpfs tmpfs /proc".to_owned(),
        format!("{FAKE}; cp -r /tmp/self /tmp/thread-self; mount --bind /tmp /proc"),
        format!("{FAKE}; mount --bind /tmp/self/attr /proc/1/attr"),
    ] {
        let script = format!("{script}; sleep 600");
        let mut bundle = Bundle::shell(&script).unwrap();
        bundle.config["process"]["selinuxLabel"] = json!(CONTAINER);
        for set in ["bounding", "effective", "permitted"] {
            let sets = &mut bundle.config["process"]["capabilities"][set];
            sets.as_array_mut().unwrap().push(json!("CAP_SYS_ADMIN"));
        }
        bundle.config["process"]["noNewPrivileges"] = json!(false);
        let mounts_before = bundle.config["mounts"].as_array().unwrap().len();
        bundle.start();
        let mounts = format!("/proc/{}/mountinfo", bundle.pid());
        crate::kit::await_that("the mount", || {
            let table = fs::read_to_string(&mounts).unwrap();
            table.lines().count() == mounts_before + 2
        });
        assert_eq!(bundle.label_of_waiting_exec(), OTHER);
        bundle.remove();
    }
}

fn keyring() {
    let mut bundle = Bundle::shell("cat /proc/keys; sleep 600").unwrap();
    bundle.config["process"]["selinuxLabel"] = json!(CONTAINER);
    bundle.start();
    // A key is told to those alone whom the policy lets see it.
    let name = format!("_ses.{}", bundle.id);
    bundle.await_words("out", &name);
    let words = ["exec", &bundle.id, "cat", "/proc/keys"];
    let said = bundle.call(&words).ok();
    // The exec has one of its own.
    assert_eq!(said.out.matches(&name).count(), 2, "{said:?}");
    bundle.remove();
}

fn shared() {
    let cgroup = Path::new("/sys/fs/cgroup");
    let mut bundle = waiting(CONTAINER);
    bundle.config["linux"]["mountLabel"] = json!(FILES);
    let queues = bundle.path("queues");
    fs::create_dir(&queues).unwrap();
    let mount = |words: &[&str]| {
        let mut command = std::process::Command::new("busybox");
        assert!(command.args(words).arg(&queues).status().unwrap().success());
    };
    mount(&["mount", "-t", "mqueue", "mqueue"]);
    let before = [label_of(cgroup), label_of(&queues)];
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "ipc");
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.extend([
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}),
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}),
    ]);
    bundle.start();
    bundle.await_words("out", CONTAINER);
    assert_eq!([label_of(cgroup), label_of(&queues)], before);
    mount(&["umount"]);
    bundle.remove();
}

/// Debian's criu is built without SELinux: what it restores has its own label.
fn restored() {
    let mut bundle = counting();
    bundle.config["process"]["selinuxLabel"] = json!(CONTAINER);
    start(&bundle);
    counts(&bundle);
    checkpoint(&bundle, &["--image-path", "image"]);
    bundle.assert_nothing_is_recorded();
    let words = [
        "restore",
        "-d",
        "--image-path",
        "image",
        "--pid-file",
        "pid",
    ];
    let said = call(&bundle, &[&words[..], &[&bundle.id]].concat());
    match said.code {
        Some(0) => {
            assert_eq!(attribute(&bundle.pid().to_string(), "current"), CONTAINER)
        }
        _ => {
            said.fails(
                1,
                &format!("its label is \\\"{}", attribute("self", "current")),
            );
            bundle.assert_nothing_is_recorded();
        }
    }
    bundle.remove();
}

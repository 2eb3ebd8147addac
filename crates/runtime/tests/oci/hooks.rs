//! Hooks of all six kinds: their order, what they read, where they run, and what their failure does.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use hoist_testing::{Need, Suite};
use serde_json::{Value, json};

use crate::kit::{Bundle, CONTAINERS, LONG};

const SHELL: &[Need] = &[Need::Root, Need::Tool("busybox"), Need::Tool("sh")];

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "hooks of all six kinds run in order, each with the container's state as its input",
            SHELL,
            all_six,
        )
        .test(
            "a hook has its own environment and nothing of the runtime's, and begins in the bundle",
            SHELL,
            environment,
        )
        .test(
            "a hook that fails before the start fails the create with what it said, and nothing is left",
            SHELL,
            failing_before,
        )
        .test("a startContainer hook that fails fails the start", SHELL, failing_start_container)
        .test("a poststart hook that fails stops the container", SHELL, failing_poststart)
        .test("a poststop hook that fails is told and keeps nothing from being removed", SHELL, failing_poststop)
        .test("a hook that takes too long is killed", SHELL, too_long)
        .test(
            "a hook that says four megabytes before it fails neither hangs the create nor fills the log (failure 6)",
            SHELL,
            four_megabytes,
        )
        .test(
            "a hook of the host may move the process into another cgroup: the container runs there, and goes as any other",
            SHELL,
            moves_the_process,
        )
        .test("a hook that could never run is refused before anything is made", CONTAINERS, never)
}

fn host_hook(script: &str) -> Value {
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
}

fn all_six() {
    let mut bundle = Bundle::shell("echo program >> /order").unwrap();
    let folder = bundle.folder.path().display().to_string();
    let on_host = |kind: &str| {
        host_hook(&format!(
            "cat > {folder}/{kind}; echo {kind} >> {folder}/rootfs/order"
        ))
    };
    bundle.config["hooks"] = json!({
        "prestart": on_host("prestart"),
        "createRuntime": on_host("createRuntime"),
        "createContainer": on_host("createContainer"),
        "startContainer": host_hook("cat > /startContainer; echo startContainer >> /order"),
        "poststart": on_host("poststart"),
        "poststop": on_host("poststop"),
    });
    bundle.config["annotations"] = json!({"a": "b"});
    bundle.create().ok();
    assert_eq!(
        bundle.read("rootfs/order"),
        "prestart\ncreateRuntime\ncreateContainer\n"
    );
    bundle.call(&["start", &bundle.id]).ok();
    bundle.await_status("stopped");
    bundle.call(&["delete", &bundle.id]).ok();
    let order = bundle.read("rootfs/order");
    assert!(
        order.starts_with("prestart\ncreateRuntime\ncreateContainer\nstartContainer\n"),
        "{order}"
    );
    assert!(
        order.contains("program\n") && order.ends_with("poststop\n"),
        "{order}"
    );
    assert!(order.contains("poststart\n"), "{order}");
    let pid = bundle.pid();
    for (file, status, has_pid) in [
        ("prestart", "creating", true),
        ("createRuntime", "creating", true),
        ("createContainer", "created", true),
        ("rootfs/startContainer", "created", true),
        ("poststop", "stopped", false),
    ] {
        let state: Value = serde_json::from_str(&bundle.read(file)).unwrap();
        assert_eq!(state["id"], bundle.id.as_str(), "{file}");
        assert_eq!(state["status"], status, "{file}");
        assert_eq!(state["annotations"]["a"], "b");
        assert_eq!(
            fs::canonicalize(state["bundle"].as_str().unwrap()).unwrap(),
            fs::canonicalize(bundle.folder.path()).unwrap()
        );
        assert_eq!(state.get("pid").is_some(), has_pid, "{file}");
        if has_pid {
            assert_eq!(state["pid"], pid, "{file}");
        }
    }
    bundle.remove();
}

fn environment() {
    let mut bundle = Bundle::shell("true").unwrap();
    let folder = bundle.folder.path().display().to_string();
    bundle.config["hooks"] = json!({"createRuntime": [{
        "path": "/bin/sh",
        "args": ["sh", "-c", format!("env > {folder}/env; pwd > {folder}/pwd; ls -l /proc/self/fd > {folder}/fds")],
        "env": ["ONLY=this=that", "PATH=/usr/bin:/bin"],
    }]});
    bundle.run().ok();
    let environment = bundle.read("env");
    assert!(environment.contains("ONLY=this=that\n"), "{environment}");
    assert!(
        environment
            .lines()
            .all(|line| ["ONLY", "PATH", "PWD", "SHLVL", "_", "OLDPWD"]
                .contains(&line.split('=').next().unwrap())),
        "{environment}"
    );
    assert_eq!(
        fs::canonicalize(bundle.read("pwd").trim()).unwrap(),
        fs::canonicalize(bundle.folder.path()).unwrap()
    );
    bundle.remove();
}

fn failing_before() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = Bundle::shell("true").unwrap();
        bundle.config["hooks"] = json!({kind: host_hook("echo no such luck >&2; exit 3")});
        let said = bundle.create();
        assert_eq!(said.code, Some(1), "{said:?}");
        for words in [kind, "exit status 3", "no such luck"] {
            assert!(said.err.contains(words), "{words} is not in {said:?}");
        }
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
}

fn failing_start_container() {
    let mut bundle = Bundle::shell("echo never > /never").unwrap();
    bundle.config["hooks"] = json!({"startContainer": host_hook("exit 4")});
    bundle.create().ok();
    bundle
        .call(&["start", &bundle.id])
        .fails(1, "startContainer")
        .err
        .contains("exit status 4");
    bundle.await_status("stopped");
    assert!(!bundle.path("rootfs/never").exists());
    bundle.remove();
}

fn failing_poststart() {
    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["hooks"] = json!({"poststart": host_hook("exit 5")});
    bundle.create().ok();
    bundle
        .call(&["start", &bundle.id])
        .fails(1, "exit status 5");
    bundle.await_status("stopped");
    bundle.remove();
}

fn failing_poststop() {
    let mut bundle = Bundle::new(&["report"]);
    let folder = bundle.folder.path().display().to_string();
    let mut hooks = host_hook("exit 6").as_array().unwrap().clone();
    hooks.extend(
        host_hook(&format!("touch {folder}/second"))
            .as_array()
            .unwrap()
            .clone(),
    );
    bundle.config["hooks"] = json!({"poststop": hooks});
    bundle.create().ok();
    bundle.call(&["start", &bundle.id]).ok();
    bundle.await_status("stopped");
    bundle.call(&["delete", &bundle.id]).ok();
    assert!(bundle.read("log.json").contains("exit status 6"));
    assert!(bundle.path("second").exists());
    bundle.remove();
}

fn too_long() {
    for kind in ["createRuntime", "createContainer"] {
        let mut bundle = Bundle::shell("true").unwrap();
        bundle.config["hooks"] =
            json!({kind: [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]});
        let begun = Instant::now();
        bundle.create().fails(1, "longer than");
        assert!(begun.elapsed() < LONG);
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
}

fn four_megabytes() {
    for kind in ["createRuntime", "createContainer"] {
        let mut bundle = Bundle::shell("true").unwrap();
        bundle.config["hooks"] =
            json!({kind: host_hook("head -c 4194304 /dev/zero | tr '\\0' x >&2; exit 1")});
        bundle.config["hooks"][kind][0]["env"] = json!(["PATH=/usr/bin:/bin"]);
        let begun = Instant::now();
        let said = bundle.create().fails(1, "(cut)");
        assert!(begun.elapsed() < LONG);
        assert!(said.err.len() < 8192, "{}", said.err.len());
        bundle.remove();
    }
}

fn never() {
    for (hook, words) in [
        (json!([{"path": "relative"}]), "relative"),
        (json!([{"path": "/bin/sh", "timeout": 0}]), "timeout"),
        (json!([{"path": "/bin/sh", "timeout": -4}]), "timeout"),
    ] {
        for kind in ["prestart", "createContainer", "poststop"] {
            let mut bundle = Bundle::new(&["report"]);
            bundle.config["hooks"] = json!({kind: hook});
            bundle.create().fails(1, words);
            bundle.assert_nothing_is_recorded();
            bundle.remove();
        }
    }
}

/// A cgroup that no container has, which goes with this.
struct Elsewhere(PathBuf);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn moves_the_process() {
    for kind in ["prestart", "createRuntime"] {
        let mut bundle = Bundle::shell("sleep 600").unwrap();
        let hierarchy = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
            .into_iter()
            .find(|path| Path::new(path).join("cgroup.procs").exists())
            .unwrap();
        let name = format!("{}-elsewhere", bundle.id);
        let elsewhere = Elsewhere(Path::new(hierarchy).join(&name));
        fs::create_dir(&elsewhere.0).unwrap();
        let procs = elsewhere.0.join("cgroup.procs");
        bundle.config["hooks"] = json!({kind: host_hook(&format!(
            "sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/' > {}",
            procs.display()
        ))});
        bundle.create().ok();
        let pid = bundle.pid().to_string();
        let is_there = || {
            fs::read_to_string(&procs)
                .unwrap()
                .lines()
                .any(|line| line == pid)
        };
        assert!(is_there(), "{kind}");
        bundle.call(&["start", &bundle.id]).ok();
        assert!(is_there(), "{kind}");
        assert_eq!(bundle.status(), "running", "{kind}");
        bundle.call(&["kill", &bundle.id, "KILL"]).ok();
        bundle.await_status("stopped");
        bundle.call(&["delete", &bundle.id]).ok();
        // What the hook has made is the hook's to remove.
        assert_eq!(fs::read_to_string(&procs).unwrap(), "", "{kind}");
        drop(elsewhere);
        bundle.remove();
    }
}

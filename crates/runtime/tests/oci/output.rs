//! What state, list, ps, features, spec and the version print.

use std::process::{Command, Stdio};

use hoist_testing::{Need, Suite};
use serde_json::{Value, json};

use crate::kit::{Bundle, CONTAINERS};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "state prints what the OCI state schema asks for, created, running and stopped",
            CONTAINERS,
            state_has_the_schema,
        )
        .test(
            "features print what the OCI features schema asks for, and whether there are checkpoints, or why not",
            &[],
            features_have_the_schema,
        )
        .test(
            "features name every option, capability, namespace and seccomp word that runc names",
            &[Need::Tool("runc")],
            features_of_runc,
        )
        .test("list prints ids, a table and JSON", CONTAINERS, list_prints)
        .test("ps prints process ids as JSON and lines of ps(1)", CONTAINERS, ps_prints)
        .test(
            "state, list, ps and events have the fields, the order and the table of runc for the same bundle",
            &[Need::Root, Need::Tool("runc"), Need::CgroupV1],
            as_runc_prints,
        )
        .test(
            "spec writes a config that create accepts, and never over another",
            CONTAINERS,
            spec_is_accepted,
        )
        .test("help and version exit with 0 and name every command", &[], help_and_version)
        .test(
            "checkpoint and restore are refused with the reason, and change nothing (failure 39)",
            CONTAINERS,
            checkpoint_is_refused,
        )
}

/// `state-schema.json` of the OCI runtime spec.
#[track_caller]
fn assert_state(state: &Value, id: &str) {
    let version = state["ociVersion"].as_str().unwrap();
    let mut numbers = version.split(['.', '-']);
    assert!(
        (0..3).all(|_| numbers
            .next()
            .is_some_and(|number| number.parse::<u32>().is_ok())),
        "{version}"
    );
    assert_eq!(state["id"], id);
    let status = state["status"].as_str().unwrap();
    assert!(["creating", "created", "running", "stopped", "paused"].contains(&status));
    assert!(state["pid"].as_u64().is_some());
    assert!(state["bundle"].as_str().unwrap().starts_with('/'));
    if let Some(annotations) = state.get("annotations") {
        assert!(
            annotations
                .as_object()
                .unwrap()
                .values()
                .all(Value::is_string)
        );
    }
}

fn state_has_the_schema() {
    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["annotations"] = json!({"org.example.key": "value"});
    bundle.create().ok();
    assert_state(&bundle.state(), &bundle.id);
    assert_eq!(bundle.state()["annotations"]["org.example.key"], "value");
    bundle.call(&["start", &bundle.id]).ok();
    assert_state(&bundle.state(), &bundle.id);
    bundle.call(&["kill", "--all", &bundle.id, "SIGKILL"]).ok();
    bundle.await_status("stopped");
    assert_state(&bundle.state(), &bundle.id);
    bundle.remove();
}

fn features_have_the_schema() {
    let bundle = Bundle::new(&[]);
    let features = bundle.call(&["features"]).ok().json();
    for version in ["ociVersionMin", "ociVersionMax"] {
        assert!(features[version].as_str().unwrap().starts_with("1."));
    }
    let strings = |value: &Value| -> Vec<String> {
        let list = value
            .as_array()
            .unwrap_or_else(|| panic!("no list: {value}"));
        list.iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(strings(&features["hooks"]).len(), 6);
    assert!(strings(&features["mountOptions"]).contains(&"rro".to_owned()));
    let linux = &features["linux"];
    assert!(strings(&linux["namespaces"]).contains(&"time".to_owned()));
    assert!(strings(&linux["capabilities"]).contains(&"CAP_SYS_ADMIN".to_owned()));
    for (section, member) in [
        ("cgroup", "v1"),
        ("cgroup", "v2"),
        ("cgroup", "systemd"),
        ("cgroup", "systemdUser"),
        ("cgroup", "rdma"),
        ("seccomp", "enabled"),
        ("apparmor", "enabled"),
        ("selinux", "enabled"),
        ("intelRdt", "enabled"),
    ] {
        assert!(linux[section][member].is_boolean(), "{section}.{member}");
    }
    for list in [
        "actions",
        "operators",
        "archs",
        "knownFlags",
        "supportedFlags",
    ] {
        assert!(!strings(&linux["seccomp"][list]).is_empty());
    }
    assert_eq!(linux["mountExtensions"]["idmap"]["enabled"], true);
    let why = features["annotations"]["org.hoist.checkpoint"]
        .as_str()
        .unwrap();
    let enabled = &features["annotations"]["org.opencontainers.runc.checkpoint.enabled"];
    match word_of_criu() {
        None => assert_eq!((why, enabled), ("supported", &json!("true"))),
        Some(word) => {
            assert!(why.starts_with("not supported: "), "{why}");
            assert!(why.contains(&word), "{why}");
            assert_eq!(enabled, "false");
        }
    }
}

fn features_of_runc() {
    let own = Bundle::new(&[]).call(&["features"]).ok().json();
    let output = Command::new("runc").arg("features").output().unwrap();
    let runc: Value = serde_json::from_slice(&output.stdout).unwrap();
    for pointer in [
        "/hooks",
        "/mountOptions",
        "/linux/namespaces",
        "/linux/capabilities",
        "/linux/seccomp/actions",
        "/linux/seccomp/operators",
    ] {
        let [own, runc] =
            [&own, &runc].map(|all| all.pointer(pointer).unwrap().as_array().unwrap());
        let lacking: Vec<_> = runc.iter().filter(|word| !own.contains(word)).collect();
        match pointer {
            // Every mount is made anew.
            "/mountOptions" => assert_eq!(lacking, ["remount"]),
            _ => assert!(lacking.is_empty(), "{pointer}: {lacking:?}"),
        }
    }
    // What this runc does not know of.
    for pointer in ["/linux/memoryPolicy/modes", "/linux/memoryPolicy/flags"] {
        assert!(!own.pointer(pointer).unwrap().as_array().unwrap().is_empty());
    }
}

/// The end of what criu says of this host, or that there is none; none where it works.
fn word_of_criu() -> Option<String> {
    let Ok(check) = std::process::Command::new("criu").arg("check").output() else {
        return Some("criu is not installed".to_owned());
    };
    if check.status.success() {
        return None;
    }
    let said = String::from_utf8([check.stderr, check.stdout].concat()).unwrap();
    let last = said.lines().rfind(|line| line.starts_with("Error"));
    let words = last.and_then(|line| line.split_once("): "));
    Some(
        words
            .map_or("it does not say why", |(_, words)| words)
            .trim()
            .to_owned(),
    )
}

fn list_prints() {
    let bundle = Bundle::new(&["idle"]);
    assert_eq!(bundle.call(&["list", "-q"]).ok().out, "");
    assert_eq!(
        bundle.call(&["list", "--format", "json"]).ok().out.trim(),
        "null"
    );
    bundle.create().ok();
    assert_eq!(bundle.call(&["list", "--quiet"]).ok().out.trim(), bundle.id);
    let all = bundle.call(&["list", "-f", "json"]).ok().json();
    assert_eq!(all[0]["id"], bundle.id.as_str());
    assert_eq!(all[0]["status"], "created");
    let table = bundle.call(&["list"]).ok().out;
    assert!(table.starts_with("ID"), "{table}");
    assert!(
        table.contains(&bundle.id) && table.contains("created"),
        "{table}"
    );
    bundle
        .call(&["list", "--format", "xml"])
        .fails(1, "invalid format option");
    bundle.remove();
}

fn ps_prints() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    let pids = bundle.call(&["ps", "-f", "json", &bundle.id]).ok().json();
    assert_eq!(pids, json!([bundle.pid()]));
    let table = bundle.call(&["ps", &bundle.id]).ok().out;
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.contains("/probe probe idle"), "{table}");
    bundle.remove();
}

/// The paths of all members, in the order in which they are written; those that depend on what happens are left out.
fn members(value: &Value) -> Vec<String> {
    fn add(at: &str, value: &Value, found: &mut Vec<String>) {
        let kind = match value {
            Value::Object(members) => {
                for (name, value) in members {
                    add(&format!("{at}.{name}"), value, found);
                }
                "object"
            }
            Value::Array(items) => {
                if let Some(first) = items.first() {
                    add(&format!("{at}[]"), first, found);
                }
                "array"
            }
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
        };
        // Nothing, which is left out, when nothing was read or waited for.
        let is_chance = [".percpu_", ".blkio", ".cache", ".throttling"];
        if !is_chance.iter().any(|name| at.contains(name)) {
            found.push(format!("{at}: {kind}"));
        }
    }
    let mut found = Vec::new();
    add("", value, &mut found);
    found
}

/// Where each word begins.
fn columns(line: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        if before == ' ' && letter != ' ' {
            starts.push(at);
        }
        before = letter;
    }
    starts
}

fn as_runc_prints() {
    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["annotations"] = json!({"org.example.key": "value"});
    bundle.config["linux"]["resources"] =
        json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 50}});
    bundle.start();
    let own = |words: &[&str]| bundle.call(words).ok().out;
    let mut config = bundle.config.clone();
    config["linux"]["cgroupsPath"] = json!(format!("/hoist-tests/{}-runc", bundle.id));
    // What this runc does not know.
    config["ociVersion"] = json!("1.0.2");
    bundle.write_text(&config.to_string());
    let runc = |words: &[&str]| {
        let mut command = Command::new("runc");
        command.arg("--root").arg(bundle.path("runc")).args(words);
        command
            .current_dir(bundle.folder.path())
            .stdin(Stdio::null());
        command
    };
    let id = bundle.id.as_str();
    let started = runc(&["run", "-d", id])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(started.unwrap().success());
    let said = |words: &[&str]| {
        let output = runc(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for words in [
        &["state", id][..],
        &["list", "-f", "json"],
        &["ps", "-f", "json", id],
        &["events", "--stats", id],
    ] {
        let (own, runc) = (own(words), said(words));
        assert_eq!(own.lines().count(), runc.lines().count(), "{own} {runc}");
        let [first, second] = [&own, &runc].map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(members(&first), members(&second), "{own} {runc}");
        // A map of serde_json is sorted: the order is looked at in the text.
        let order = |text: &str, names: [&str; 3]| {
            names.map(|name| text.find(&format!("\"{name}\"")).unwrap_or_default())
        };
        for names in [
            ["ociVersion", "bundle", "owner"],
            ["type", "id", "data"],
            ["cpu", "memory", "pids"],
        ] {
            let [own, runc] = [order(&own, names), order(&runc, names)];
            assert_eq!(own.is_sorted(), runc.is_sorted(), "{names:?}");
        }
    }
    for (member, values) in [("owner", ["root", "root"]), ("id", [id, id])] {
        let words = ["list", "-f", "json"];
        let shown = [own(&words), said(&words)].map(|text| {
            let all: Value = serde_json::from_str(&text).unwrap();
            all[0][member].as_str().unwrap().to_owned()
        });
        assert_eq!(shown, values);
    }
    // Go writes no zeros at the end of a time: what is behind it may be elsewhere.
    let table = |text: String| -> Vec<Vec<usize>> {
        let lines = text.lines().map(columns);
        lines.map(|starts| starts[..5].to_vec()).collect()
    };
    assert_eq!(table(own(&["list"])), table(said(&["list"])));
    let titles = |text: String| text.lines().next().unwrap().to_owned();
    assert_eq!(titles(own(&["ps", id])), titles(said(&["ps", id])));
    let words = ["ps", id, "-o", "pid,comm"];
    assert_eq!(titles(own(&words)), titles(said(&words)));
    said(&["delete", "--force", id]);
    bundle.remove();
}

fn spec_is_accepted() {
    let bundle = Bundle::new(&[]);
    bundle.call(&["spec"]).ok();
    bundle.call(&["spec"]).fails(1, "exists");
    let mut config: Value = serde_json::from_str(&bundle.read("config.json")).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/probe", "probe", "report"]);
    config["linux"]["cgroupsPath"] = json!(format!("/hoist-tests/{}", bundle.id));
    bundle.write_text(&config.to_string());
    let report = bundle.call(&["run", &bundle.id]).ok().report();
    assert_eq!(report.hostname, "hoist");
    assert_eq!(report.no_new_privileges, Some(true));
    bundle.remove();
}

fn help_and_version() {
    let bundle = Bundle::new(&[]);
    let version = bundle.call(&["--version"]).ok().out;
    assert!(
        version.lines().any(|line| line.starts_with("spec: 1.")),
        "{version}"
    );
    let help = bundle.call(&["--help"]).ok().out;
    for command in [
        "create",
        "start",
        "run",
        "exec",
        "kill",
        "delete",
        "list",
        "state",
        "ps",
        "pause",
        "resume",
        "update",
        "events",
        "spec",
        "features",
        "checkpoint",
        "restore",
    ] {
        assert!(help.contains(command), "{command}");
        bundle.call(&[command, "--help"]).ok();
    }
    bundle.call(&["what"]).fails(1, "what");
    bundle.call(&["state", "--what", "x"]).fails(1, "what");
    bundle
        .call(&["state"])
        .fails(1, "requires exactly 1 argument");
}

fn checkpoint_is_refused() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    for (flags, words) in [
        (&["--lazy-pages"][..], "--page-server ADDRESS:PORT must say"),
        (&["--page-server=127.0.0.1"], "is not ADDRESS:PORT"),
        (&["--status-fd=7"], "nothing to tell without --lazy-pages"),
        (
            &["--lazy-pages", "--page-server=[::1]:1", "--status-fd=7"],
            "the caller has left no such descriptor open",
        ),
    ] {
        let call = [&["checkpoint"], flags, &["--image-path", "c", &bundle.id]].concat();
        bundle.call(&call).fails(1, words);
    }
    let unknown = ["checkpoint", "--manage-cgroups-mode", "some", &bundle.id];
    bundle
        .call(&unknown)
        .fails(1, "Invalid manage-cgroups-mode value");
    let empty = ["checkpoint", "--empty-ns", "ipc", &bundle.id];
    bundle
        .call(&empty)
        .fails(1, "namespace \"ipc\" is not supported");
    let absolute = ["checkpoint", "--parent-path", "/", &bundle.id];
    bundle
        .call(&absolute)
        .fails(1, "not relative to --image-path");
    bundle
        .call(&["--criu", "/nowhere/criu", "checkpoint", &bundle.id])
        .fails(1, "criu (/nowhere/criu) cannot be started");
    bundle
        .call(&["restore", "--image-path", "c", "another"])
        .fails(1, "there is no checkpoint in");
    if let Some(word) = word_of_criu() {
        bundle
            .call(&["checkpoint", "--image-path", "c", &bundle.id])
            .fails(1, "checkpoint is not supported: ")
            .fails(1, &word);
        assert!(!bundle.path("c").exists());
        std::fs::create_dir(bundle.path("c")).unwrap();
        bundle
            .call(&["restore", "--image-path", "c", "another"])
            .fails(1, "restore is not supported: ")
            .fails(1, &word);
    }
    assert_eq!(bundle.status(), "running");
    bundle.remove();
}

//! What bad input gets: runc's exit code, one line that names field and reason, a JSON log line, nothing made.

use hoist_testing::Suite;
use proptest::{
    prelude::{Strategy, any, prop, prop_oneof},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use crate::kit::{Bundle, CONTAINERS, Said};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "a config that is wrong is refused by field and reason on one line and in the log, and nothing is made",
            CONTAINERS,
            wrong_configs,
        )
        .test(
            "every version 1 of the spec is accepted",
            CONTAINERS,
            every_version,
        )
        .test(
            "what this version cannot do is refused by name",
            CONTAINERS,
            cannot_be_done,
        )
        .test("an id that could be a path is refused", CONTAINERS, ids)
        .test("an id that is in use is refused, and its container lives on", CONTAINERS, id_in_use)
        .test(
            "a config that was damaged anywhere is refused or runs, and the runtime never dies of it",
            CONTAINERS,
            damaged_configs,
        )
}

/// One line that holds `words`, the same in the log, and nothing made.
#[track_caller]
fn assert_refused(bundle: &Bundle, said: &Said, words: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.err.trim_end().lines().count(), 1, "{said:?}");
    assert!(said.err.contains(words), "{words:?} is not in {said:?}");
    let log = bundle.read("log.json");
    let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().unwrap().contains(words), "{line}");
    assert!(line["time"].is_string());
    bundle.assert_nothing_is_recorded();
}

fn refused(change: impl Fn(&mut Value), words: &str) {
    let mut bundle = Bundle::new(&["report"]);
    change(&mut bundle.config);
    let said = bundle.create();
    assert_refused(&bundle, &said, words);
    bundle.remove();
}

fn wrong_configs() {
    let bundle = Bundle::new(&["report"]);
    let said = bundle.launch(&["create", &bundle.id]);
    assert_refused(&bundle, &said, "config.json not found");
    let said = bundle.launch(&["create", "--bundle", "nowhere", &bundle.id]);
    assert_refused(&bundle, &said, "nowhere");
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{\"ociVersion\": \"1.0.0\"",
        "\u{feff}{}",
    ] {
        bundle.write_text(text);
        let said = bundle.launch(&["create", &bundle.id]);
        assert_refused(&bundle, &said, "");
    }
    bundle.remove();
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 14] = [
        (|config| config["ociVersion"] = json!("2.0.0"), "ociVersion"),
        (|config| config["ociVersion"] = json!(1), "ociVersion"),
        (
            |config| drop(config.as_object_mut().unwrap().remove("process")),
            "process",
        ),
        (
            |config| drop(config.as_object_mut().unwrap().remove("root")),
            "root",
        ),
        (
            |config| config["root"]["path"] = json!("nowhere"),
            "nowhere",
        ),
        (
            |config| config["process"]["args"] = json!([]),
            "process.args",
        ),
        (
            |config| config["process"]["args"] = json!("sh"),
            "process.args",
        ),
        (
            |config| config["process"]["cwd"] = json!("tmp"),
            "process.cwd",
        ),
        (|config| config["process"]["user"]["uid"] = json!(-1), "uid"),
        (
            |config| config["process"]["env"] = json!(["A=\u{0}"]),
            "environment",
        ),
        (
            |config| config["linux"]["namespaces"][0]["type"] = json!("moon"),
            "namespaces",
        ),
        (
            |config| config["linux"]["newWall"] = json!({"height": 3}),
            "linux.newWall",
        ),
        (
            |config| config["process"]["cage"] = json!(true),
            "process.cage",
        ),
        (
            |config| config["mounts"][0]["veil"] = json!(1),
            "mounts[0].veil",
        ),
    ];
    for (change, words) in changes {
        refused(change, words);
    }
}

fn every_version() {
    for version in [
        "1.0.0",
        "1.0.2-dev",
        "1.1.0+dev",
        "1.2.1",
        "1.3.0",
        "1.99.0-rc.1",
    ] {
        let mut bundle = Bundle::new(&["report"]);
        bundle.config["ociVersion"] = json!(version);
        bundle.run().ok();
        bundle.remove();
    }
}

fn cannot_be_done() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 11] = [
        (
            |config| config["linux"]["intelRdt"] = json!({"closID": "x"}),
            "Intel RDT",
        ),
        (
            |config| config["linux"]["netDevices"] = json!({"no-such-dev": {"name": "eth0"}}),
            "no-such-dev",
        ),
        (
            |config| {
                config["linux"]["netDevices"] = json!({"a": {"name": "e"}, "b": {"name": "e"}})
            },
            "two devices are to have that name",
        ),
        (
            |config| config["linux"]["netDevices"] = json!({"a": {"name": "../e"}}),
            "no device can have that name",
        ),
        (
            |config| {
                config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0-x"});
            },
            "memory policy",
        ),
        (
            |config| config["mounts"][2]["options"] = json!(["ridmap"]),
            "ridmap",
        ),
        (
            |config| config["linux"]["cgroupsPath"] = json!("a.slice:b:c"),
            "--systemd-cgroup",
        ),
        (
            |config| config["linux"]["sysctl"] = json!({"kernel.core_pattern": "|/x"}),
            "kernel.core_pattern",
        ),
        (
            |config| config["linux"]["sysctl"] = json!({"kernel.shm+max": "1"}),
            "kernel.shm+max",
        ),
        (
            |config| config["linux"]["rootfsPropagation"] = json!("wide"),
            "wide",
        ),
        (
            |config| config["process"]["apparmorProfile"] = json!("no-such-profile"),
            "attr/apparmor/exec",
        ),
    ];
    for (change, words) in changes {
        refused(change, words);
    }
    let mut bundle = Bundle::new(&["report"]);
    for path in ["/a/b", "a.slice:b", "a.scope:b:c", "a.slice:b:../c"] {
        bundle.config["linux"]["cgroupsPath"] = json!(path);
        bundle.write();
        let said = bundle.launch(&["--systemd-cgroup", "create", &bundle.id]);
        assert_refused(&bundle, &said, "cgroups path");
    }
    bundle.remove();
}

fn ids() {
    let bundle = Bundle::new(&["report"]);
    bundle.write();
    for id in ["a/b", "..", ".", "", "a b", "a\nb", "/etc", "ä"] {
        for command in ["create", "state", "start", "delete", "kill", "pause"] {
            let said = bundle.launch(&[command, id]);
            assert_refused(&bundle, &said, "invalid container ID format");
        }
    }
    bundle.remove();
}

fn id_in_use() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    bundle
        .launch(&["create", &bundle.id])
        .fails(1, "container with given ID already exists");
    assert_eq!(bundle.status(), "running");
    bundle.remove();
}

/// The fuzz target for the config: text cut and overwritten, fields taken out and replaced.
fn damaged_configs() {
    let rounds = if hoist_testing::full() { 2000 } else { 60 };
    let damage = prop_oneof![
        (any::<prop::sample::Index>(), ".{0,5}")
            .prop_map(|(place, text)| Damage::Text(place, text)),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(|(place, value)| Damage::Field(place, value)),
    ];
    let mut runner = TestRunner::default();
    let bundle = Bundle::new(&["report"]);
    for _ in 0..rounds {
        let damage = damage.new_tree(&mut runner).unwrap().current();
        let text = damage.apply(&bundle.config);
        bundle.write_text(&text);
        let said = bundle.call(&["run", &bundle.id]);
        assert!(
            said.code.is_some_and(|code| code < 128),
            "{said:?} after {text}"
        );
        assert!(!said.err.contains("panicked"), "{said:?} after {text}");
        bundle.call(&["delete", "--force", &bundle.id]).ok();
    }
    bundle.remove();
}

#[derive(Debug)]
enum Damage {
    Text(prop::sample::Index, String),
    Field(prop::sample::Index, prop::sample::Index),
}

impl Damage {
    fn apply(&self, config: &Value) -> String {
        match self {
            Self::Text(place, junk) => {
                let mut text = config.to_string();
                let mut at = place.index(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                text.truncate(at);
                text + junk
            }
            Self::Field(place, value) => {
                let odd = [
                    json!(null),
                    json!(-1),
                    json!(""),
                    json!([]),
                    json!({}),
                    json!("x\u{0}"),
                    json!(u64::MAX),
                    json!(true),
                    json!("/proc/self/fd/3"),
                    json!("../.."),
                ];
                let mut paths = Vec::new();
                collect(config, String::new(), &mut paths);
                let mut config = config.clone();
                if let Some(field) = config.pointer_mut(&paths[place.index(paths.len())]) {
                    *field = odd[value.index(odd.len())].clone();
                }
                config.to_string()
            }
        }
    }
}

fn collect(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| collect(value, format!("{path}/{name}"), paths)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(index, value)| collect(value, format!("{path}/{index}"), paths)),
        _ => {}
    }
    paths.push(path);
}

//! `inspect`, and how containers are named.

use hoist_testing::command::Hoist;
use serde_json::Value;

use super::ps::is_time;

pub(super) fn inspect_running(hoist: &Hoist) {
    let folder = hoist.make_folder("data");
    let volume = format!("{folder}:/mnt:ro");
    let _running = hoist.background(
        "web",
        &[
            "--hostname",
            "box",
            "-e",
            "A=1",
            "-w",
            "/home",
            "-v",
            &volume,
            "--read-only",
            "--stop-signal",
            "INT",
            "--stop-timeout",
            "3",
            "--cap-drop",
            "ALL",
            "--cap-add",
            "CHOWN",
        ],
        &["idle"],
    );
    let [id] = hoist.ids().try_into().unwrap();
    let container = hoist.inspect("web");
    assert_eq!(container["Id"], id);
    assert_eq!(container["Name"], "/web");
    assert_eq!(container["Path"], "/probe");
    assert_eq!(container["Args"], serde_json::json!(["probe", "idle"]));
    assert!(is_time(&container["Created"]));
    let state = &container["State"];
    assert_eq!(state["Status"], "running");
    assert_eq!(state["Running"], true);
    assert_eq!(state["Paused"], false);
    assert_eq!(state["ExitCode"], 0);
    assert_eq!(state["FinishedAt"], "0001-01-01T00:00:00Z");
    assert!(is_time(&state["StartedAt"]));
    let pid = state["Pid"].as_u64().unwrap();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(line, b"/probe\0probe\0idle\0", "the pid is this machine's");
    let config = &container["Config"];
    assert_eq!(config["Hostname"], "box");
    assert_eq!(config["WorkingDir"], "/home");
    assert_eq!(config["StopSignal"], "SIGINT");
    assert_eq!(config["StopTimeout"], 3);
    assert_eq!(config["Tty"], false);
    assert!(config["Env"].as_array().unwrap().contains(&"A=1".into()));
    let host = &container["HostConfig"];
    assert_eq!(host["NetworkMode"], "none");
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["Capabilities"], serde_json::json!(["CAP_CHOWN"]));
    assert_eq!(host["Binds"], serde_json::json!([volume]));
    let mounts = container["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    assert_eq!(mounts[0]["Source"], folder);
    assert_eq!(mounts[0]["Destination"], "/mnt");
    assert_eq!(mounts[0]["RW"], false);
}

pub(super) fn inspect_some(hoist: &Hoist) {
    let _running = hoist.background("web", &[], &["idle"]);
    let ran = hoist.hoist(&["inspect", "nobody", "web"]);
    ran.ended_with(1);
    let list: Vec<Value> = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["Name"], "/web");
    assert!(ran.stderr.contains("no such container: nobody"));
    let none = hoist.hoist(&["inspect", "nobody"]);
    none.ended_with(1);
    assert_eq!(none.text().trim(), "[]");
    hoist
        .hoist(&["inspect", "--format", "json", "web"])
        .succeeded();
}

pub(super) fn references(hoist: &Hoist) {
    let _running = hoist.background("web", &[], &["idle"]);
    let [id] = hoist.ids().try_into().unwrap();
    for reference in ["web", &id, &id[..12], &id[..1]] {
        assert_eq!(hoist.inspect(reference)["Id"], id, "{reference}");
    }
    let ran = hoist.hoist(&["inspect", &format!("{id}0")]);
    ran.ended_with(1);
    assert!(ran.stderr.contains("no such container"), "{}", ran.stderr);
}

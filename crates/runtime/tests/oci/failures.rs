//! Rows of the field's failures: 2, 3, 20, 25, 26. Row 6 is with the hooks, 33 with identity, 39 with output.

use std::{
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hoist_testing::{Need, Suite};
use serde_json::json;

use crate::kit::{Bundle, CONTAINERS, LONG, await_that};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "failure 2: of concurrent execs in a container that is killed, each ends once, and none starts after its end",
            CONTAINERS,
            concurrent_execs,
        )
        .test(
            "failure 3: a container that ended long ago, unobserved, is told as stopped, always, and its code is not invented",
            CONTAINERS,
            ended_unobserved,
        )
        .test(
            "failure 20: a runtime killed at any time in create leaves nothing that delete --force does not remove, and the id is free",
            CONTAINERS,
            killed_in_create,
        )
        .test(
            "failure 25: kill and delete reach every process of a container in the process namespace of the host, another's or its own, its first alive or dead",
            &[Need::Root, Need::Limits],
            shared_process_namespace,
        )
        .test(
            "failure 26: killing and deleting a paused container ends, and create in a frozen cgroup is refused at once",
            &[Need::Root, Need::Limits],
            paused_and_frozen,
        )
        .test(
            "failure 13: create returns though the container holds the caller's streams",
            CONTAINERS,
            create_returns,
        )
        .test(
            "failure 30: a spec with many mounts and masked paths starts under a low limit of descriptors",
            CONTAINERS,
            many_mounts,
        )
        .test(
            "failure 35: many containers created at once all come to be",
            CONTAINERS,
            many_at_once,
        )
}

fn concurrent_execs() {
    for count in [1, 4, 12] {
        let bundle = Arc::new(Bundle::new(&["idle"]));
        bundle.start();
        let execs: Vec<_> = (0..count)
            .map(|index| {
                let bundle = bundle.clone();
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(index * 7));
                    bundle.call(&["exec", &bundle.id, "/probe", "probe", "sleep", "30000"])
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(60));
        bundle.call(&["kill", &bundle.id, "KILL"]).ok();
        for exec in execs {
            let said = exec.join().unwrap();
            // Ended with the container, or refused because of its end; never a success.
            assert!(matches!(said.code, Some(137 | 255)), "{said:?}");
        }
        bundle.await_status("stopped");
        bundle
            .call(&["exec", &bundle.id, "/probe", "probe", "report"])
            .fails(255, "cannot exec a container that has stopped");
        Arc::into_inner(bundle).unwrap().remove();
    }
}

fn ended_unobserved() {
    let bundle = Bundle::new(&["exit", "3"]);
    bundle.start();
    bundle.await_status("stopped");
    for _ in 0..3 {
        let state = bundle.state();
        assert_eq!(state["status"], "stopped");
        assert!(state.get("exitCode").is_none() && state.get("exit").is_none());
    }
    bundle.call(&["delete", &bundle.id]).ok();
    bundle.remove();
}

fn killed_in_create() {
    let rounds = if hoist_testing::full() { 400 } else { 40 };
    let bundle = Bundle::new(&["idle"]);
    bundle.write();
    for round in 0..rounds {
        let mut child = bundle
            .command(&["create", &bundle.id])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(round * 15_000 / rounds));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was made may be frozen when somebody comes to clean up, where there is anything to freeze.
        if round % 2 == 1 {
            bundle.call(&["pause", &bundle.id]);
        }
        for _ in 0..2 {
            bundle.call(&["delete", "--force", &bundle.id]).ok();
        }
        bundle.assert_nothing_is_recorded();
        // The id is free at once.
        if round % 8 == 0 {
            bundle.start();
            bundle.call(&["delete", "--force", &bundle.id]).ok();
        }
    }
    bundle.start();
    bundle.remove();
}

fn shared_process_namespace() {
    let other = Bundle::new(&["idle"]);
    other.start();
    let others = json!({"type": "pid", "path": format!("/proc/{}/ns/pid", other.pid())});
    for namespace in [None, Some(others)] {
        for first_is_dead in [false, true] {
            process_namespace(namespace.clone(), first_is_dead);
        }
    }
    assert_eq!(other.status(), "running");
    other.remove();

    // In its own, the kernel ends all with the first.
    let own = Bundle::new(&["daemon", "60000", "+", "idle"]);
    own.start();
    let pids = || own.call(&["ps", "--format", "json", &own.id]).ok().json();
    await_that("two processes", || pids().as_array().unwrap().len() == 2);
    own.call(&["delete", &own.id])
        .fails(1, "that is not stopped");
    own.call(&["kill", &own.id, "KILL"]).ok();
    await_that("nobody is left", || pids().as_array().unwrap().is_empty());
    own.await_status("stopped");
    own.call(&["delete", &own.id]).ok();
    own.remove();
}

/// A container of two processes in this process namespace; the host's where there is none.
fn process_namespace(namespace: Option<serde_json::Value>, first_is_dead: bool) {
    let mut bundle = Bundle::new(&[
        "daemon",
        "60000",
        "+",
        if first_is_dead { "exit" } else { "idle" },
        "0",
    ]);
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|kind| kind["type"] != "pid");
    namespaces.extend(namespace);
    bundle.start();
    let pids = || -> Vec<u32> {
        let said = bundle.call(&["ps", "--format", "json", &bundle.id]).ok();
        serde_json::from_value(said.json()).unwrap()
    };
    if first_is_dead {
        bundle.await_status("stopped");
        await_that("one process is left", || pids().len() == 1);
        bundle
            .call(&["delete", &bundle.id])
            .fails(1, "that is not stopped");
        bundle.call(&["kill", &bundle.id, "KILL"]).ok();
    } else {
        await_that("two processes", || pids().len() == 2);
        bundle.call(&["kill", "--all", &bundle.id, "KILL"]).ok();
    }
    await_that("nobody is left", || pids().is_empty());
    bundle.await_status("stopped");
    bundle.call(&["delete", &bundle.id]).ok();
    bundle.remove();
}

fn paused_and_frozen() {
    for words in [vec!["kill", "KILL"], vec!["delete", "--force"]] {
        let bundle = Bundle::new(&["idle"]);
        bundle.start();
        bundle.call(&["pause", &bundle.id]).ok();
        let begun = Instant::now();
        match words.as_slice() {
            ["kill", signal] => {
                bundle.call(&["kill", &bundle.id, signal]).ok();
                bundle.call(&["delete", "--force", &bundle.id]).ok();
            }
            _ => {
                bundle.call(&["delete", "--force", &bundle.id]).ok();
            }
        }
        assert!(begun.elapsed() < LONG);
        bundle.remove();
    }
    let outer = Bundle::new(&["idle"]);
    outer.start();
    outer.call(&["pause", &outer.id]).ok();
    let mut inner = Bundle::new(&["report"]);
    inner.config["linux"]["cgroupsPath"] = json!(format!("/hoist-tests/{}/inner", outer.id));
    inner.write();
    let inner = hoist_testing::hangs_after(LONG, move || {
        let said = inner.launch(&["create", &inner.id]);
        assert_eq!(said.code, Some(1), "{said:?}");
        inner
    });
    inner.assert_nothing_is_recorded();
    inner.remove();
    outer.remove();
}

fn create_returns() {
    let bundle = Bundle::new(&["idle"]);
    bundle.write();
    let bundle = hoist_testing::hangs_after(LONG, move || {
        let mut child = bundle
            .command(&["create", &bundle.id])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // The pipes stay open in the container; the runtime itself does not wait for them.
        assert!(child.wait().unwrap().success());
        bundle
    });
    bundle.remove();
}

fn many_mounts() {
    let mut bundle = Bundle::new(&["exit", "0"]);
    let source = bundle.path("source");
    fs::create_dir(&source).unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    for index in 0..400 {
        mounts.push(json!({"destination": format!("/mnt/{index}"), "type": "bind", "source": source, "options": ["bind"]}));
    }
    let masked: Vec<_> = (0..100).map(|index| format!("/mnt/{index}")).collect();
    bundle.config["linux"]["maskedPaths"] = json!(masked);
    bundle.write();
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$@\"", "sh"])
        .arg(crate::kit::runtime())
        .arg("--root")
        .arg(bundle.path("state"))
        .args(["run", &bundle.id])
        .current_dir(bundle.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    bundle.remove();
}

fn many_at_once() {
    let count = if hoist_testing::full() { 200 } else { 50 };
    let all: Vec<_> = (0..count)
        .map(|_| {
            thread::spawn(|| {
                let bundle = Bundle::new(&["idle"]);
                bundle.start();
                bundle
            })
        })
        .collect();
    let all: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
    for bundle in all {
        assert_eq!(bundle.status(), "running");
        bundle.remove();
    }
}

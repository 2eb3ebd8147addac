//! Calls that a seccomp filter leaves to an agent: `SCMP_ACT_NOTIFY`, `listenerPath`, `listenerMetadata`.

use std::{fs, thread};

use hoist_spec::oci::Arch;
use hoist_testing::Suite;
use serde_json::{Value, json};

use crate::{
    agent::{Agent, refuse},
    kit::{Bundle, CONTAINERS, await_that},
};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "a seccomp agent gets the process's state and its filter's listener, by run, start and exec, and answers calls",
            CONTAINERS,
            answers,
        )
        .test(
            "failure 38: after the filter is loaded only capset, prctl and execve are called, with an agent that never answers",
            CONTAINERS,
            never_answers,
        )
        .test(
            "failure 38: the death of a seccomp agent ends in an error and not in a hang",
            CONTAINERS,
            dies,
        )
        .test(
            "without its seccomp agent a container is neither created nor started, and one that is created can be started later",
            CONTAINERS,
            is_not_there,
        )
}

const SOCKET: &str = "agent.sock";
const EOPNOTSUPP: i32 = 95;
const ENOSYS: i32 = 38;

fn ask_about(bundle: &mut Bundle, calls: &[String]) {
    bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "listenerPath": bundle.path(SOCKET),
        "listenerMetadata": "some words",
        "flags": [
            "SECCOMP_FILTER_FLAG_TSYNC",
            "SECCOMP_FILTER_FLAG_LOG",
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        ],
        "syscalls": [{"names": calls, "action": "SCMP_ACT_NOTIFY"}],
    });
}

fn answers() {
    let mut bundle = Bundle::new(&["calls", "sethostname"]);
    ask_about(&mut bundle, &["sethostname".to_owned()]);
    let agent = Agent::at(bundle.path(SOCKET));
    let attend = |status: &str, of_first: bool| -> Value {
        let (state, listener) = agent.accept();
        assert_eq!(state["fds"], json!(["seccompFd"]));
        assert_eq!(state["metadata"], "some words");
        assert_eq!(state["state"]["id"], bundle.id.as_str());
        assert_eq!(state["state"]["status"], status);
        assert_eq!(state["state"]["pid"] == state["pid"], of_first, "{state}");
        refuse(&listener, EOPNOTSUPP).unwrap();
        state
    };
    thread::scope(|scope| {
        let attending = scope.spawn(|| attend("creating", true));
        let said = bundle.run().ok().json();
        assert_eq!(said["sethostname"], EOPNOTSUPP);
        attending.join().unwrap();

        let attending = scope.spawn(|| attend("created", true));
        bundle.start();
        bundle.await_words("out", &format!("\"sethostname\":{EOPNOTSUPP}"));
        let state = attending.join().unwrap();
        assert_eq!(state["pid"], bundle.pid());
    });
    bundle.call(&["delete", "--force", &bundle.id]).ok();
    bundle.probe(&["idle"]);
    let attend = |status: &str, of_first: bool, calls: usize| {
        let (state, listener) = agent.accept();
        assert_eq!(state["state"]["status"], status);
        assert_eq!(state["state"]["pid"] == state["pid"], of_first, "{state}");
        (0..calls).for_each(|_| assert!(refuse(&listener, EOPNOTSUPP).is_ok()));
    };
    thread::scope(|scope| {
        let attending = scope.spawn(|| attend("created", true, 0));
        bundle.start();
        attending.join().unwrap();
        let attending = scope.spawn(|| attend("running", false, 1));
        let words = [
            "exec",
            &bundle.id,
            "/probe",
            "probe",
            "calls",
            "sethostname",
        ];
        let said = bundle.call(&words).ok().json();
        assert_eq!(said["sethostname"], EOPNOTSUPP);
        attending.join().unwrap();
    });
    drop(agent);
    bundle.remove();
}

/// Every call that docker's profile knows, but `allowed`.
fn all_but(allowed: &[&str]) -> Vec<String> {
    let profile = hoist_spec::seccomp::default_profile(0, Arch::ScmpArchX86_64);
    let mut names: Vec<String> = profile
        .syscalls()
        .iter()
        .flatten()
        .flat_map(|rule| rule.names().clone())
        .collect();
    names.extend(["clone", "unshare", "setns", "mount"].map(str::to_owned));
    names.retain(|name| !allowed.contains(&name.as_str()));
    names.sort();
    names.dedup();
    assert!(names.len() > 300);
    names
}

fn never_answers() {
    for no_new_privileges in [false, true] {
        let mut bundle = Bundle::new(&["report"]);
        ask_about(
            &mut bundle,
            &all_but(&["capset", "prctl", "execve", "write"]),
        );
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        let agent = Agent::at(bundle.path(SOCKET));
        let executes_probe = |pid: u32| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
            assert!(program.ends_with("probe"), "{program:?}");
            // One thread, which waits in its first call.
            assert_eq!(
                fs::read_dir(format!("/proc/{pid}/task")).unwrap().count(),
                1
            );
        };
        bundle.start();
        let (_, first) = agent.accept();
        executes_probe(bundle.pid());
        let words = [
            "exec",
            "--detach",
            "--pid-file",
            "further",
            &bundle.id,
            "/probe",
            "probe",
            "report",
        ];
        bundle.launch(&words).ok();
        let (_, further) = agent.accept();
        executes_probe(bundle.read("further").trim().parse().unwrap());
        bundle.call(&["kill", &bundle.id, "KILL"]).ok();
        bundle.await_status("stopped");
        bundle.call(&["delete", &bundle.id]).ok();

        bundle.write();
        let words = ["run", "--detach", "--pid-file", "pid", &bundle.id];
        bundle.launch(&words).ok();
        let (_, third) = agent.accept();
        executes_probe(bundle.pid());
        drop((agent, first, further, third));
        bundle.remove();
    }
}

fn dies() {
    // It takes the listener and is gone: the call fails.
    let mut bundle = Bundle::new(&["calls", "sethostname"]);
    ask_about(&mut bundle, &["sethostname".to_owned()]);
    let agent = Agent::at(bundle.path(SOCKET));
    thread::scope(|scope| {
        scope.spawn(|| drop(agent.accept()));
        let said = bundle.run().ok().json();
        assert_eq!(said["sethostname"], ENOSYS);
    });
    // It is gone while the process waits for its answer about the very program.
    ask_about(&mut bundle, &["execve".to_owned()]);
    thread::scope(|scope| {
        scope.spawn(|| drop(agent.accept()));
        bundle.run().fails(1, "ENOSYS");
        scope.spawn(|| drop(agent.accept()));
        bundle.create().ok();
        bundle.call(&["start", &bundle.id]).fails(1, "ENOSYS");
        assert_eq!(bundle.status(), "stopped");
    });
    bundle.call(&["delete", &bundle.id]).ok();
    // It listens, takes nothing, and lives: whoever waits for it can be freed by force.
    bundle.create().ok();
    thread::scope(|scope| {
        let starting = scope.spawn(|| bundle.call(&["start", &bundle.id]));
        let pid = bundle.pid();
        await_that("the filter", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.contains("Seccomp:\t2")
        });
        bundle.call(&["kill", &bundle.id, "KILL"]).ok();
        starting.join().unwrap();
    });
    bundle.await_status("stopped");
    drop(agent);
    bundle.remove();
}

fn is_not_there() {
    let mut bundle = Bundle::new(&["idle"]);
    ask_about(&mut bundle, &["sethostname".to_owned()]);
    bundle.create().fails(1, SOCKET);
    bundle.assert_nothing_is_recorded();
    fs::write(bundle.path(SOCKET), "").unwrap();
    bundle.create().fails(1, "it is no socket");
    bundle.assert_nothing_is_recorded();
    // A socket that nobody listens at any more.
    drop(Agent::at(bundle.path(SOCKET)));
    bundle.run().fails(1, SOCKET);
    bundle.create().ok();
    bundle.call(&["start", &bundle.id]).fails(1, SOCKET);
    assert_eq!(bundle.status(), "created");
    let agent = Agent::at(bundle.path(SOCKET));
    thread::scope(|scope| {
        let attending = scope.spawn(|| agent.accept());
        bundle.call(&["start", &bundle.id]).ok();
        drop(attending.join().unwrap());
    });
    assert_eq!(bundle.status(), "running");
    drop(agent);
    let words = ["exec", &bundle.id, "/probe", "probe", "report"];
    bundle.call(&words).fails(255, SOCKET);
    assert_eq!(bundle.status(), "running");
    bundle.remove();
}

//! Containers that do not end, and what is told of that.

use std::time::{Duration, Instant};

use hoist_testing::{Need, Suite};

use super::{
    hoist::{Hoist, until},
    stuck::Stuck,
};

pub(super) fn add(suite: Suite) -> Suite {
    suite
        // Row 27.
        .test_or_skip(
            "a container that waits in a file system that never answers is told as unkillable, others go on, and it ends with that wait",
            &[Need::Root, Need::Tool("mount")],
            unkillable,
        )
        .test(
            "rm -f of a container with a process that has ended and nobody waits for tells whose child that is",
            &[Need::Root],
            unreaped,
        )
        .test(
            "--log-level debug tells the steps of a start, and error nothing but what a command failed for",
            &[Need::Namespaces],
            log_levels,
        )
}

fn unreaped() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    // Its process is a child of this command, which then waits for nobody.
    let mut parent = hoist.spawn(&["exec", &id, "sleep", "1001"]);
    until("it runs", || hoist.ok(&["top", &id]).contains("sleep 1001"));
    let pid = rustix::process::Pid::from_child(&parent);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let error = hoist.fails(1, &["rm", "-f", &id]);
    for words in [
        "(sleep) has ended, and its parent, process ",
        &format!("process {} (hoist), has not waited for it", parent.id()),
        "let it go on where it was stopped, or end it",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
    assert!(!error.contains("inside the kernel"), "{error}");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    parent.wait().unwrap();
    hoist.ok(&["rm", "-f", &id]);
    assert_eq!(hoist.ok(&["ps", "-aq"]), "");
}

fn unkillable() -> Result<(), String> {
    if let Some(reason) = Stuck::missing() {
        return Err(reason);
    }
    let hoist = Hoist::new();
    let stuck = Stuck::mount();
    let volume = format!("{}:/stuck", stuck.path());
    let other = hoist.detached(&[], "exec sleep 1000");
    let id = hoist.detached(&["-v", &volume], "exec cat /stuck/file");
    until("it asks for the file", || {
        hoist.ok(&["top", &id]).contains("cat /stuck/file")
    });
    let begun = Instant::now();
    let error = hoist.fails(1, &["--log-format", "json", "stop", "-t", "5", &id]);
    // The row allows 7 s: this only tells it from a wait for ever, on a machine that is busy.
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    let error: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert_eq!(error["kind"], "unkillable", "{error}");
    let told = error.to_string();
    assert!(told.contains("it is unkillable"), "{told}");
    assert!(told.contains("(cat /stuck/file, waits in "), "{told}");
    // Of others nothing is different, and of this one what can be told is.
    assert_eq!(hoist.ok(&["exec", &other, "echo", "well"]), "well");
    assert!(hoist.status(&other).starts_with("Up"));
    let status = hoist.status(&id);
    assert!(
        status.starts_with("Up") && status.contains("(Unkillable, waits in "),
        "{status}"
    );
    assert!(!hoist.status(&other).contains("Unkillable"));
    let inspected: serde_json::Value = serde_json::from_str(&hoist.ok(&["inspect", &id])).unwrap();
    assert_eq!(inspected[0]["State"]["Unkillable"], true, "{inspected}");
    hoist.fails(1, &["rm", &id]);
    let begun = Instant::now();
    hoist.fails(1, &["rm", "-f", &id]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    stuck.end();
    until("it has ended", || !hoist.status(&id).starts_with("Up"));
    assert!(
        hoist.status(&id).starts_with("Exited (137)"),
        "{}",
        hoist.status(&id)
    );
    hoist.ok(&["rm", &id]);
    Ok(())
}

fn log_levels() {
    let hoist = Hoist::new();
    let errors = |words: &[&str]| {
        let output = hoist.output(words);
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for level in ["info", "warn", "error"] {
        assert_eq!(errors(&["--log-level", level, "run", "--rm", "true"]), "");
    }
    assert_eq!(errors(&["run", "--rm", "true"]), "");
    let told = errors(&["run", "--rm", "--log-level", "debug", "true"]);
    for step in [
        "hoist: debug: ",
        "mount proc on /proc",
        "execute ",
        "its process has ended",
    ] {
        assert!(told.contains(step), "{step} is not in {told}");
    }
    assert!(
        told.lines().all(|line| line.starts_with("hoist: debug: ")),
        "{told}"
    );
    let told = errors(&[
        "run",
        "--rm",
        "--log-level=debug",
        "--log-format=json",
        "true",
    ]);
    for line in told.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "debug");
    }
    let id = hoist.detached(&[], "exec sleep 1000");
    let told = errors(&["exec", "--log-level", "debug", &id, "true"]);
    assert!(told.contains("execute "), "{told}");
    // A step that fails is the last that is told, and the failure itself always is.
    let output = hoist.output(&["run", "--rm", "--log-level", "debug", "/no/such"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("mount proc on /proc") && told.contains("/no/such"),
        "{told}"
    );
    let error = hoist.fails(127, &["--log-level", "error", "run", "--rm", "/no/such"]);
    assert!(error.contains("/no/such"), "{error}");
    hoist.fails(1, &["--log-level", "loud", "ps"]);
}

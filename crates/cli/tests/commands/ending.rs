//! `kill`, `stop`, `wait` and `rm`.

use std::time::{Duration, Instant};

use hoist_testing::command::Hoist;

pub(super) fn kill(hoist: &Hoist) {
    for (option, number) in [
        (&["kill"][..], 9),
        (&["kill", "-s", "TERM"], 15),
        (&["kill", "--signal", "SIGUSR1"], 10),
        (&["kill", "-s", "2"], 2),
    ] {
        let probe = ["trap".to_owned(), number.to_string(), "7".to_owned()];
        let probe: Vec<&str> = probe.iter().map(String::as_str).collect();
        let mut running = if number == 9 {
            hoist.background("web", &[], &["idle"])
        } else {
            hoist.background("web", &[], &probe)
        };
        let mut words = option.to_vec();
        words.push("web");
        assert_eq!(hoist.hoist(&words).succeeded(), "web\n");
        let ran = running.ended();
        ran.ended_with(if number == 9 { 137 } else { 7 });
        drop(running);
    }
    hoist
        .hoist(&["kill", "-s", "NOSUCH", "web"])
        .failed_with(1, &["--signal", "NOSUCH"]);
    hoist
        .hoist(&["kill", "web"])
        .failed_with(1, &["no such container: web"]);
}

pub(super) fn stop_gently(hoist: &Hoist) {
    let mut running = hoist.background("web", &[], &["trap", "15", "5"]);
    assert_eq!(hoist.hoist(&["stop", "web"]).succeeded(), "web\n");
    let ran = running.ended();
    ran.ended_with(5);
    assert_eq!(ran.text(), "caught\n");
    assert_eq!(hoist.inspect("web")["State"]["ExitCode"], 5);
}

pub(super) fn stop_signals(hoist: &Hoist) {
    let mut running = hoist.background("web", &["--stop-signal", "SIGUSR2"], &["trap", "12", "6"]);
    hoist.hoist(&["stop", "web"]).succeeded();
    running.ended().ended_with(6);
    drop(running);
    let mut running = hoist.background("web", &[], &["trap", "1", "8"]);
    hoist.hoist(&["stop", "-s", "HUP", "web"]).succeeded();
    running.ended().ended_with(8);
}

pub(super) fn stop_by_force(hoist: &Hoist) {
    let mut running = hoist.background("web", &[], &["stubborn"]);
    hoist.hoist(&["stop", "-t", "1", "web"]).succeeded();
    running.ended().ended_with(137);
    assert_eq!(hoist.inspect("web")["State"]["ExitCode"], 137);
    drop(running);
    let mut running = hoist.background("web", &[], &["stubborn"]);
    hoist.hoist(&["stop", "--time", "0", "web"]).succeeded();
    running.ended().ended_with(137);
    hoist
        .hoist(&["stop", "-t", "soon", "web"])
        .failed_with(1, &["--timeout", "soon"]);
}

pub(super) fn stop_timeout(hoist: &Hoist) {
    // docker's 10 seconds are the usual time; one stop may take that long on a machine with much to do, not each.
    let took = (0..4).map(|_| {
        let mut running = hoist.background("web", &["--stop-timeout", "1"], &["stubborn"]);
        let before = Instant::now();
        hoist.hoist(&["stop", "web"]).succeeded();
        running.ended().ended_with(137);
        before.elapsed()
    });
    let took = took
        .inspect(|took| assert!(*took >= Duration::from_secs(1), "it did not wait"))
        .find(|took| *took < Duration::from_secs(10));
    assert!(took.is_some(), "it waited for its own time");
}

pub(super) fn stop_ended(hoist: &Hoist) {
    let mut running = hoist.background("web", &[], &["trap", "15", "5"]);
    hoist.hoist(&["stop", "web"]).succeeded();
    running.ended();
    hoist.hoist(&["stop", "web"]).succeeded();
    assert_eq!(hoist.inspect("web")["State"]["ExitCode"], 5);
    let id = hoist.ids().remove(0);
    hoist
        .hoist(&["kill", "web"])
        .failed_with(1, &["signal container", &id, "it is stopped"]);
}

pub(super) fn wait(hoist: &Hoist) {
    let mut running = hoist.background("web", &[], &["trap", "15", "42"]);
    let mut waiting = hoist.command(&["wait", "web"]);
    let waiting = waiting
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    hoist.hoist(&["kill", "-s", "TERM", "web"]).succeeded();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"42\n");
    running.ended().ended_with(42);
    assert_eq!(hoist.hoist(&["wait", "web", "web"]).succeeded(), "42\n42\n");
    hoist
        .hoist(&["wait", "nobody"])
        .failed_with(1, &["no such container: nobody"]);
}

pub(super) fn rm(hoist: &Hoist) {
    let mut running = hoist.background("web", &[], &["idle"]);
    hoist.hoist(&["rm", "web"]).failed_with(1, &["running"]);
    assert_eq!(hoist.inspect("web")["State"]["Status"], "running");
    assert_eq!(hoist.hoist(&["rm", "-f", "web"]).succeeded(), "web\n");
    running.ended().ended_with(137);
    assert_eq!(hoist.ids(), Vec::<String>::new());
    hoist
        .hoist(&["rm", "web"])
        .failed_with(1, &["no such container: web"]);
    hoist.hoist(&["rm", "-f", "web"]).ended_with(0);
}

pub(super) fn several(hoist: &Hoist) {
    let mut first = hoist.background("first", &[], &["trap", "15", "1"]);
    let mut second = hoist.background("second", &[], &["trap", "15", "2"]);
    let ran = hoist.hoist(&["stop", "first", "nobody", "second"]);
    ran.ended_with(1);
    assert_eq!(ran.text().lines().count(), 2);
    assert_eq!(ran.stderr, "hoist: no such container: nobody\n");
    first.ended().ended_with(1);
    second.ended().ended_with(2);
    assert_eq!(
        hoist.hoist(&["wait", "first", "second"]).succeeded(),
        "1\n2\n"
    );
    assert_eq!(
        hoist.hoist(&["rm", "first", "second"]).succeeded(),
        "first\nsecond\n"
    );
}

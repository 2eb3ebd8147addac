//! `top`.

use std::time::{Duration, Instant};

use hoist_testing::command::Hoist;
use serde_json::Value;

pub(super) fn top(hoist: &Hoist) {
    let _other = hoist.background("other", &[], &["idle"]);
    let _running = hoist.background("web", &[], &["idle"]);
    let mut further = hoist
        .further(&[], "web", &["sleep", "60000"])
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let lines = loop {
        let lines = hoist
            .hoist(&["top", "web", "--format", "json"])
            .json_lines();
        if lines.len() == 2 && lines.iter().any(|line| is_command(line, "sleep 60000")) {
            break lines;
        }
        assert!(Instant::now() < deadline, "{lines:?}");
    };
    let first = hoist.inspect("web")["State"]["Pid"].as_u64().unwrap();
    assert!(lines.iter().any(|line| line["pid"] == first), "{lines:?}");
    let uid = u64::from(hoist.user().unwrap_or(0));
    for line in &lines {
        let pid = line["pid"].as_u64().unwrap();
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(command.starts_with(b"/probe\0probe\0"), "{line}");
        if hoist.user().is_some() {
            assert_eq!(line["uid"], uid);
        }
    }
    let table = hoist.hoist(&["top", "web"]).succeeded();
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["UID", "PID", "PPID", "STARTED", "TIME", "CMD"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("/probe probe sleep 60000"), "{table}");
    hoist.hoist(&["kill", "web"]).succeeded();
    further.wait().unwrap();
    assert_eq!(hoist.hoist(&["wait", "web"]).succeeded(), "137\n");
    hoist
        .hoist(&["top", "web"])
        .failed_with(1, &["web", "not running"]);
}

pub(super) fn top_by_ps(hoist: &Hoist) {
    let _other = hoist.background("other", &[], &["idle"]);
    let _running = hoist.background("web", &[], &["idle"]);
    let pid = hoist.inspect("web")["State"]["Pid"].to_string();
    for (options, column, first) in [
        (&["-e", "-o", "pid,stat,args"][..], 0, "PID"),
        (&["-eo", "ppid,pid,args"], 1, "PPID"),
        (&["aux"], 1, "USER"),
        (&["-ef"], 1, "UID"),
    ] {
        let mut words = vec!["top", "web"];
        words.extend(options);
        let table = hoist.hoist(&words).succeeded();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 2, "{options:?}: {table}");
        assert!(lines[0].starts_with(first), "{options:?}: {table}");
        let cells: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(cells[column], pid, "{options:?}: {table}");
        assert!(
            lines[1].ends_with("/probe probe idle"),
            "{options:?}: {table}"
        );
    }
    hoist
        .hoist(&["top", "web", "-e", "-o", "comm"])
        .failed_with(1, &["ps -e -o comm", "no column PID"]);
    hoist
        .hoist(&["top", "web", "-o", "nosuchcolumn"])
        .failed_with(1, &["ps -o nosuchcolumn"]);
    hoist
        .hoist(&["top", "--format", "json", "web", "aux"])
        .failed_with(1, &["--format json"]);
    let lines = hoist
        .hoist(&["top", "web", "--format", "json"])
        .json_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
}

fn is_command(line: &Value, end: &str) -> bool {
    line["command"]
        .as_str()
        .is_some_and(|command| command.ends_with(end))
}

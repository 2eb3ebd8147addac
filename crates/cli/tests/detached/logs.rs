//! What a container in the background writes, and how it is read.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use hoist_testing::{Need, Suite, full, hangs_after};

use super::hoist::{DEADLINE, Hoist, until};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "logs shows what was written to either stream where it was written to",
            &[Need::Namespaces],
            streams_stay_apart,
        )
        .test(
            "logs of a container that keeps none is an error that says so",
            &[Need::Namespaces],
            none_is_kept,
        )
        .test(
            "logs shows the last lines, those of a time, and with their times",
            &[Need::Namespaces],
            parts_of_a_log,
        )
        .test(
            "logs -f goes on until the container has ended, over files that are put away",
            &[Need::Namespaces],
            follow,
        )
        // Row 10.
        .test(
            "what is written just before the end is in the log when wait has returned",
            &[Need::Namespaces],
            last_bytes,
        )
        .test(
            "the log is docker's: a JSON object with log, stream and time per line",
            &[Need::Namespaces],
            the_format_is_dockers,
        )
        // Row 12.
        .test(
            "a disk that is full never stops a container, and what is missing is told in the log",
            &[Need::Root],
            a_full_disk,
        )
        // Row 12.
        .test(
            "with mode=blocking a container waits for a full disk, and nothing is missing",
            &[Need::Root],
            a_full_disk_that_is_waited_for,
        )
        // Row 7.
        .test(
            "a process left behind that keeps the output open does not keep the end from being told",
            &[Need::Root],
            left_behind,
        )
        .test(
            "logs of a container that has no supervisor says so",
            &[Need::Namespaces],
            no_log,
        )
}

fn streams_stay_apart() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "echo one; echo two >&2; printf three");
    hoist.ok(&["wait", &id]);
    let output = hoist.output(&["logs", &id]);
    assert_eq!(output.stdout, b"one\nthree");
    assert_eq!(output.stderr, b"two\n");
}

fn none_is_kept() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--log-driver", "none"], "echo lost");
    hoist.ok(&["wait", &id]);
    let error = hoist.fails(1, &["logs", &id]);
    assert!(error.contains("log driver none"), "{error}");
    let kind = [
        "inspect",
        "--format",
        "{{.HostConfig.LogConfig.Type}}[{{.LogPath}}]",
        &id,
    ];
    assert_eq!(hoist.ok(&kind), "none[]");
}

fn parts_of_a_log() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "seq 1 50; sleep 1.2; seq 51 60");
    hoist.ok(&["wait", &id]);
    assert_eq!(hoist.ok(&["logs", "--tail", "3", &id]), "58\n59\n60");
    assert_eq!(hoist.ok(&["logs", "-n", "0", &id]), "");
    let all = hoist.ok(&["logs", "-t", &id]);
    let (time, first) = all.lines().next().unwrap().split_once(' ').unwrap();
    assert_eq!((first, time.len()), ("1", 30), "{time}");
    let (late, _) = all.lines().nth(50).unwrap().split_once(' ').unwrap();
    let since = hoist.ok(&["logs", "--since", late, &id]);
    assert!(since.starts_with("51\n"), "{since}");
    // Without a zone it is local time; with the sign that TZ has.
    let without_zone = late.strip_suffix('Z').unwrap();
    for (zone, first, last) in [
        ("UTC0", "51", "60"),
        ("AAA-1", "1", "60"),
        ("AAA+1", "", ""),
    ] {
        let words = ["logs", "--since", without_zone, &id];
        let output = hoist.command(&words).env("TZ", zone).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().next().unwrap_or_default(), first, "{zone}");
        assert_eq!(said.lines().last().unwrap_or_default(), last, "{zone}");
    }
    let (early, _) = all.lines().nth(49).unwrap().split_once(' ').unwrap();
    let until = hoist.ok(&["logs", "--until", early, &id]);
    assert!(
        until.starts_with("1\n") && until.ends_with("\n50"),
        "{until}"
    );
    assert_eq!(
        hoist.ok(&["logs", "--since", "1h", "--tail", "1", &id]),
        "60"
    );
    let errors = hoist.fails(1, &["logs", "--since", "yesterday", "--tail", "x", &id]);
    assert_eq!(errors.lines().count(), 2, "{errors}");
}

fn follow() {
    let hoist = Hoist::new();
    let options = ["--log-opt", "max-size=20k", "--log-opt", "max-file=3"];
    // A piece for every line that it reads: what is put away twice is gone, so that nothing more is written before it was shown.
    let script = "i=0; while [ $i -lt 40 ] && read line; do seq $((i * 50)) $((i * 50 + 49)); i=$((i + 1)); done";
    let id = hoist.detached(&[&options[..], &["-i"]].concat(), script);
    let mut followed = hoist.spawn(&["logs", "-f", &id]);
    let mut sender = hoist
        .command(&["attach", &id])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = sender.stdin.take().unwrap();
    let mut shown = BufReader::new(followed.stdout.take().unwrap()).lines();
    hangs_after(DEADLINE * 2, move || {
        for piece in 0..40 {
            input.write_all(b"\n").unwrap();
            for number in piece * 50..piece * 50 + 50 {
                assert_eq!(shown.next().unwrap().unwrap(), number.to_string());
            }
        }
        assert!(shown.next().is_none());
        assert!(followed.wait().unwrap().success());
        sender.wait().unwrap();
    });
    let files = std::fs::read_dir(hoist.state_root().join("logs").join(&id)).unwrap();
    assert_eq!(files.count(), 3);
}

fn last_bytes() {
    let hoist = Hoist::new();
    let times = if full() { 10_000 } else { 40 };
    for number in 0..times {
        let id = hoist.detached(&[], &format!("echo begin; printf 'end {number}'"));
        hoist.ok(&["wait", &id]);
        let log = hoist.ok(&["logs", &id]);
        assert_eq!(log, format!("begin\nend {number}"));
        hoist.ok(&["rm", &id]);
    }
}

fn the_format_is_dockers() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "echo 'a \"b\" \\ c'; echo x >&2");
    hoist.ok(&["wait", &id]);
    let path = hoist.state_root().join(format!("logs/{id}/{id}-json.log"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.sort_by_key(|line| line["stream"].to_string());
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["log"], "x\n");
    assert_eq!(lines[0]["stream"], "stderr");
    assert_eq!(lines[1]["log"], "a \"b\" \\ c\n");
    assert_eq!(lines[1].as_object().unwrap().len(), 3);
}

/// Runs `script` with `$hoist` as the command, in mounts of its own with a small disk below `logs`.
fn on_a_small_disk(hoist: &Hoist, script: &str) -> String {
    let head = "set -e; root=$1; hoist=\"$2 --state-root $root\"; mkdir -m 700 $root/logs\n\
                mount -t tmpfs -o size=256k none $root/logs\n";
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{head}{script}"))
        .arg("sh")
        .arg(hoist.state_root())
        .arg(env!("CARGO_BIN_EXE_hoist"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn a_full_disk() {
    let hoist = Hoist::new();
    let output = hangs_after(DEADLINE * 2, move || {
        on_a_small_disk(
            &hoist,
            "dd if=/dev/zero of=$root/logs/full bs=1k 2>/dev/null || true\n\
             id=$($hoist run -d sh -c 'seq 1 100000; echo done > /tmp/done; while ! test -e /tmp/go; do sleep 0.05; done; echo last')\n\
             while ! $hoist exec $id test -e /tmp/done; do sleep 0.1; done; sleep 0.5; rm $root/logs/full\n\
             $hoist exec $id touch /tmp/go; $hoist wait $id; $hoist logs $id 2>&1 >/dev/null | tail -n 1\n\
             $hoist logs $id 2>/dev/null | tail -n 1; $hoist rm $id",
        )
    });
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some("0"), "{output}");
    assert!(
        output.contains("bytes of this log could not be written\nlast\n"),
        "{output}"
    );
}

fn a_full_disk_that_is_waited_for() {
    let hoist = Hoist::new();
    let output = hangs_after(DEADLINE * 2, move || {
        on_a_small_disk(
            &hoist,
            "dd if=/dev/zero of=$root/logs/full bs=1k 2>/dev/null || true\n\
             id=$($hoist run -d --log-opt mode=blocking sh -c 'seq 1 20000 | while read n; do echo $n; done; echo done > /tmp/done; sleep 1000')\n\
             sleep 1; $hoist exec $id test -e /tmp/done && echo too early\n\
             mount -o remount,size=64m $root/logs; while ! $hoist exec $id test -e /tmp/done; do sleep 0.1; done\n\
             $hoist logs $id | wc -l; $hoist rm -f $id",
        )
    });
    assert_eq!(output.lines().next(), Some("20000"), "{output}");
}

fn left_behind() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--init"], "(sleep 1000) & echo begun; exit 3");
    let waited = hoist.spawn(&["wait", &id]);
    let output = hangs_after(DEADLINE, move || waited.wait_with_output().unwrap());
    assert_eq!(output.stdout, b"3\n");
    assert_eq!(hoist.ok(&["logs", &id]), "begun");
}

fn no_log() {
    let hoist = Hoist::new();
    let mut child = hoist
        .command(&["run", "--rm", "--name", "front", "sleep", "1000"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    until("it runs", || hoist.status("front").starts_with("Up"));
    let errors = hoist.fails(1, &["logs", "front"]);
    assert!(
        errors.contains("no supervisor") && errors.contains("--detach"),
        "{errors}"
    );
    hoist.fails(1, &["attach", "front"]);
    hoist.ok(&["kill", "front"]);
    child.wait().unwrap();
}

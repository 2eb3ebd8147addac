//! Further processes by ids of their own: `exec -d` and `process`.

use std::{
    io::{Read, Write},
    process::Stdio,
    time::{Duration, Instant},
};

use hoist_testing::{Need, Suite};
use serde_json::Value;

use super::hoist::{DEADLINE, Hoist, until};

pub(super) fn add(suite: Suite) -> Suite {
    let namespaces = &[Need::Namespaces];
    let limits = &[Need::Root];
    suite
        // Row 4.
        .test(
            "exec -d prints an id, and wait, inspect and ls agree on how it ended, however late",
            namespaces,
            everybody_agrees,
        )
        .test(
            "a process that was made is started later, attached to, and gets input to its end",
            namespaces,
            made_then_started,
        )
        .test(
            "one attaches to a process in the background, detaches, and comes back",
            namespaces,
            attached_again,
        )
        .test(
            "a terminal of a process in the background has the size that it is given",
            namespaces,
            resized,
        )
        // Row 7.
        .test(
            "what a process in the background leaves behind writes on, and nobody waits for it",
            namespaces,
            left_behind,
        )
        .test(
            "stop asks a process and then ends it with all it has started",
            limits,
            stopped,
        )
        // Row 8.
        .test(
            "exec -d --timeout ends all that the process has started, double forks and setsid included",
            namespaces,
            timed_out,
        )
        .test(
            "limits of a process in the background hold for it alone, and stats tell what it uses",
            limits,
            limited,
        )
        // Row 2.
        .test(
            "40 processes at once and their container's end: each has one status, none later than the container's",
            namespaces,
            ends_with_the_container,
        )
        // Row 5.
        .test(
            "after SIGKILL of the supervisor, its processes' status is unknown or true, never 0",
            namespaces,
            supervisor_lost,
        )
        .test(
            "in a container in the foreground, a process in the background has an owner of its own",
            namespaces,
            in_the_foreground,
        )
        .test(
            "a process whose owner of its own was killed is told as unknown, and can be removed",
            namespaces,
            owner_lost,
        )
        // Row 9.
        .test(
            "a process that cannot be started leaves nothing, and its container is as before",
            namespaces,
            cannot_be_started,
        )
        .test(
            "processes go with their container, and rm -f is done again without fault",
            namespaces,
            removed,
        )
}

fn inspect(hoist: &Hoist, process: &str) -> Value {
    let text = hoist.ok(&["process", "inspect", process]);
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

fn exec(hoist: &Hoist, id: &str, script: &str) -> String {
    hoist.ok(&["exec", "-d", id, "sh", "-c", script])
}

fn processes(hoist: &Hoist, id: &str) -> usize {
    // What has ended, and was not waited for by the container's first process, is none.
    let shown = hoist.ok(&["top", "--format", "json", id]);
    shown.lines().filter(|line| !line.contains("\"[")).count()
}

fn everybody_agrees() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    for (script, code) in [
        ("exit 0", "0"),
        ("exit 7", "7"),
        ("exit 255", "255"),
        ("kill -9 $$", "137"),
        ("sleep 0.3; exit 3", "3"),
    ] {
        let process = exec(&hoist, &id, script);
        assert_eq!(process.len(), 64, "{process}");
        for _ in 0..3 {
            assert_eq!(hoist.ok(&["process", "wait", &process]), code, "{script}");
        }
        // By the beginning of its id, too.
        assert_eq!(hoist.ok(&["process", "wait", &process[..20]]), code);
        let told = inspect(&hoist, &process);
        assert_eq!(told["ExitCode"].to_string(), code, "{told}");
        assert_eq!(told["Running"], false);
        assert_eq!(told["ContainerID"], id.as_str());
        let list = hoist.ok(&["process", "ls", "-a", "--no-trunc", &id]);
        let line = list.lines().find(|line| line.contains(&process)).unwrap();
        assert!(line.contains(&format!("Exited ({code})")), "{line}");
    }
    assert_eq!(hoist.ok(&["process", "ls", "-q"]), "");
    assert_eq!(hoist.ok(&["process", "ls", "-aq"]).lines().count(), 5);
    // Also when the container has ended.
    let process = exec(&hoist, &id, "exit 9");
    hoist.ok(&["process", "wait", &process]);
    hoist.ok(&["kill", &id]);
    hoist.ok(&["wait", &id]);
    assert_eq!(hoist.ok(&["process", "wait", &process]), "9");
}

fn made_then_started() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let made = hoist.ok(&[
        "process",
        "create",
        "-i",
        "-e",
        "A=b=c",
        "-w",
        "/tmp",
        &id,
        "sh",
        "-c",
        "pwd; echo $A; cat; exit 5",
    ]);
    assert_eq!(inspect(&hoist, &made)["State"], "created");
    assert_eq!(processes(&hoist, &id), 1);
    let mut child = hoist
        .command(&["process", "start", "-ai", &made])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    let mut stdin = child.stdin.take().unwrap();
    let sent = text.clone();
    let writer = std::thread::spawn(move || stdin.write_all(sent.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said == format!("/tmp\nb=c\n{text}"), "{} bytes", said.len());
    let error = hoist.fails(1, &["process", "start", &made]);
    assert!(error.contains("it is ended"), "{error}");
}

fn attached_again() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let process = hoist.ok(&[
        "exec",
        "-di",
        &id,
        "sh",
        "-c",
        "while read line; do echo got $line; test $line = end && exit 4; done",
    ]);
    let say = |line: &str, ends: bool| {
        let mut child = hoist
            .command(&["process", "attach", &process])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{line}").unwrap();
        let mut said = vec![0; format!("got {line}\n").len()];
        child.stdout.take().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), format!("got {line}\n"));
        if ends {
            assert_eq!(child.wait().unwrap().code(), Some(4));
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        drop(stdin);
    };
    say("one", false);
    assert_eq!(inspect(&hoist, &process)["Running"], true);
    say("two", false);
    say("end", true);
    assert_eq!(hoist.ok(&["process", "wait", &process]), "4");
    let error = hoist.fails(1, &["process", "attach", &process]);
    assert!(error.contains("does not run in the background"), "{error}");
}

fn resized() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let script =
        "trap 'stty size > /tmp/size' WINCH; stty size > /tmp/size; while :; do sleep 0.05; done";
    let process = hoist.ok(&["exec", "-dt", &id, "sh", "-c", script]);
    let size = || {
        let output = hoist.output(&["exec", &id, "cat", "/tmp/size"]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    until("it has a size", || size() == "24 80");
    hoist.ok(&["process", "resize", &process, "33", "111"]);
    until("it has the other size", || size() == "33 111");
    let plain = exec(&hoist, &id, "sleep 1000");
    let error = hoist.fails(1, &["process", "resize", &plain, "33", "111"]);
    assert!(error.contains("it has none"), "{error}");
    hoist.ok(&["process", "rm", "-f", &process, &plain]);
}

fn left_behind() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let script = "(while :; do echo x || exit; echo y >> /tmp/written; sleep 0.1; done) & exit 3";
    let process = exec(&hoist, &id, script);
    let begun = Instant::now();
    assert_eq!(hoist.ok(&["process", "wait", &process]), "3");
    assert!(begun.elapsed() < DEADLINE);
    let written = || {
        let output = hoist.output(&["exec", &id, "wc", "-l", "/tmp/written"]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.split(' ')
            .next()
            .and_then(|count| count.trim().parse::<u32>().ok())
    };
    // For longer than output is waited for after an end.
    std::thread::sleep(Duration::from_secs(2));
    until("it writes", || written().is_some());
    let before = written().unwrap();
    until("it still writes", || written().unwrap() > before + 3);
    hoist.ok(&["process", "rm", "-f", &process]);
}

fn stopped() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let willing = exec(
        &hoist,
        &id,
        "trap 'exit 6' TERM; while :; do sleep 0.05; done",
    );
    until("it has set its trap", || processes(&hoist, &id) == 3);
    hoist.ok(&["process", "stop", &willing]);
    assert_eq!(hoist.ok(&["process", "wait", &willing]), "6");
    let stubborn = exec(
        &hoist,
        &id,
        "trap '' TERM; (setsid sh -c 'sleep 900 & exec sleep 901' &) ; while :; do sleep 0.05; done",
    );
    until("all of it runs", || processes(&hoist, &id) >= 5);
    let begun = Instant::now();
    hoist.ok(&["process", "stop", "-t", "1", &stubborn]);
    assert!(begun.elapsed() < DEADLINE);
    assert_eq!(hoist.ok(&["process", "wait", &stubborn]), "137");
    until("nothing is left of it", || processes(&hoist, &id) == 1);
    // What has ended is left as it is.
    hoist.ok(&["process", "stop", &stubborn]);
    let error = hoist.fails(1, &["process", "kill", &stubborn]);
    assert!(error.contains("it is ended"), "{error}");
}

fn timed_out() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let script = "(setsid sh -c '(setsid sleep 900 &); exec sleep 901' &); exec sleep 902";
    // On a machine with much to do its time may be over before all of it runs.
    let ran_whole = ["1.5", "5", "15", "45"].into_iter().find_map(|timeout| {
        let process = hoist.ok(&["exec", "-d", "--timeout", timeout, &id, "sh", "-c", script]);
        let mut all_ran = false;
        until("all of it runs, or its time is over", || {
            all_ran = processes(&hoist, &id) >= 4;
            all_ran || inspect(&hoist, &process)["Running"] == false
        });
        assert_eq!(hoist.ok(&["process", "wait", &process]), "124");
        all_ran.then_some(process)
    });
    let process = ran_whole.unwrap();
    until("nothing is left of it", || processes(&hoist, &id) == 1);
    let told = inspect(&hoist, &process);
    assert_eq!(
        (&told["TimedOut"], &told["ExitCode"]),
        (&true.into(), &124.into())
    );
    assert!(hoist.status(&id).starts_with("Up"));
}

fn limited() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["-m", "256m"], "exec sleep 1000");
    let process = hoist.ok(&[
        "exec",
        "-d",
        "--memory",
        "32m",
        "--pids-limit",
        "5",
        &id,
        "sh",
        "-c",
        "sleep 1000; true",
    ]);
    until("it runs whole", || {
        let told = inspect(&hoist, &process);
        told["Pids"].as_array().unwrap().len() == 2
    });
    let line = hoist.ok(&[
        "process",
        "stats",
        "--no-trunc",
        "--format",
        "json",
        &process,
    ]);
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["ID"], process.as_str());
    assert_eq!(told["PIDs"], "2", "{told}");
    assert!(
        told["MemUsage"].as_str().unwrap().ends_with(" / 32.00MiB"),
        "{told}"
    );
    let error = hoist.output(&[
        "exec",
        "--pids-limit",
        "1",
        &id,
        "sh",
        "-c",
        "sleep 0.1 & wait",
    ]);
    assert!(!error.status.success());
    // Killed by its own limit, and by nothing else.
    let hungry = hoist.ok(&["exec", "-d", "-m", "16m", &id, "tail", "/dev/zero"]);
    assert_eq!(hoist.ok(&["process", "wait", &hungry]), "137");
    assert_eq!(inspect(&hoist, &hungry)["OOMKilled"], true);
    assert_eq!(inspect(&hoist, &process)["Running"], true);
    assert!(hoist.status(&id).starts_with("Up"));
}

fn ends_with_the_container() {
    let hoist = Hoist::new();
    for round in 0..if hoist_testing::full() { 20 } else { 3 } {
        let id = hoist.detached(&[], "exec sleep 1000");
        let mut all: Vec<String> = Vec::new();
        for number in 0..40 {
            all.push(exec(
                &hoist,
                &id,
                &format!("sleep 0.{:02}; exit 8", number % 7 * 10),
            ));
            if number == 20 + round {
                hoist.ok(&["kill", &id]);
                break;
            }
        }
        hoist.ok(&["wait", &id]);
        let ended = &serde_json::from_str::<Value>(&hoist.ok(&["inspect", &id])).unwrap()[0];
        let ended = ended["State"]["FinishedAt"].as_str().unwrap().to_owned();
        for process in all {
            let told = inspect(&hoist, &process);
            let code = told["ExitCode"].as_i64();
            assert!(matches!(code, Some(8 | 137)), "{told}");
            assert!(
                told["FinishedAt"].as_str().unwrap() <= ended.as_str(),
                "{told} {ended}"
            );
        }
    }
}

fn supervisor_lost() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let process = exec(&hoist, &id, "sleep 1000");
    let supervisor = hoist.supervisor(&id).unwrap();
    kill(supervisor);
    let code = hoist.ok(&["process", "wait", &process]);
    assert!(matches!(code.as_str(), "137" | "255"), "{code}");
    let told = inspect(&hoist, &process);
    assert!(
        told["ExitCode"] == 137
            || (told["ExitCode"].is_null() && told["Unknown"] == "supervisor lost"),
        "{told}"
    );
    assert_eq!(hoist.ok(&["process", "wait", &process]), code);
    hoist.ok(&["process", "rm", &process]);
    until("the container is gone with it", || {
        !hoist.status(&id).starts_with("Up")
    });
    hoist.ok(&["rm", &id]);
}

fn kill(pid: u32) {
    let done = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status();
    assert!(done.unwrap().success());
}

/// A container in the foreground, with the id of its process's owner.
fn foreground(hoist: &Hoist) -> (std::process::Child, String) {
    let child = hoist
        .command(&["run", "--name", "front", "--", "sleep", "1000"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    until("it runs", || hoist.status("front").starts_with("Up"));
    (child, "front".to_owned())
}

fn in_the_foreground() {
    let hoist = Hoist::new();
    let (mut child, id) = foreground(&hoist);
    let script = "while ! test -e /tmp/go; do sleep 0.05; done; exit 11";
    let process = exec(&hoist, &id, script);
    assert_eq!(inspect(&hoist, &process)["Running"], true);
    hoist.ok(&["exec", &id, "touch", "/tmp/go"]);
    assert_eq!(hoist.ok(&["process", "wait", &process]), "11");
    let echo = hoist.ok(&["process", "create", &id, "echo", "hello"]);
    assert_eq!(hoist.ok(&["process", "start", "-a", &echo]), "hello");
    let left = hoist.state_root().join("execs");
    until("its owner has left nothing", || {
        std::fs::read_dir(&left).map_or(0, |found| found.count()) == 0
    });
    hoist.ok(&["kill", &id]);
    child.wait().unwrap();
    assert_eq!(hoist.ok(&["process", "wait", &process]), "11");
}

fn owner_lost() {
    let hoist = Hoist::new();
    let (mut child, name) = foreground(&hoist);
    let process = exec(&hoist, &name, "exec sleep 1000");
    let told = inspect(&hoist, &process);
    let pid = told["Pid"].as_u64().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let owner = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap();
    kill(owner.parse().unwrap());
    // It runs on; its end is seen, and how it was only the kernel can know.
    hoist.ok(&["process", "kill", &process]);
    let code = hoist.ok(&["process", "wait", &process]);
    assert!(matches!(code.as_str(), "137" | "255"), "{code}");
    assert_ne!(inspect(&hoist, &process)["ExitCode"], 0);
    hoist.ok(&["process", "rm", &process]);
    assert_eq!(hoist.ok(&["process", "ls", "-aq"]), "");
    let left = hoist.state_root().join("execs");
    assert_eq!(std::fs::read_dir(left).map_or(0, |found| found.count()), 0);
    hoist.ok(&["kill", &name]);
    child.wait().unwrap();
}

fn cannot_be_started() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    hoist.fails(127, &["exec", "-d", &id, "/no/such"]);
    hoist.fails(126, &["exec", "-d", &id, "/etc/passwd"]);
    hoist.fails(
        125,
        &["exec", "-d", "-u", "nobody-of-that-name", &id, "true"],
    );
    assert_eq!(hoist.ok(&["process", "ls", "-aq"]), "");
    let made = hoist.ok(&["process", "create", &id, "/no/such"]);
    for _ in 0..2 {
        let error = hoist.fails(1, &["process", "start", &made]);
        assert!(error.contains("/no/such"), "{error}");
        assert_eq!(inspect(&hoist, &made)["State"], "created");
    }
    hoist.fails(1, &["process", "wait", "no-such-process"]);
    assert_eq!(processes(&hoist, &id), 1);
    assert_eq!(hoist.ok(&["exec", &id, "echo", "well"]), "well");
}

fn removed() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let process = exec(&hoist, &id, "exec sleep 1000");
    let error = hoist.fails(1, &["process", "rm", &process]);
    assert!(error.contains("it is running"), "{error}");
    hoist.ok(&["process", "rm", "-f", &process]);
    hoist.ok(&["process", "rm", "-f", &process]);
    until("it is gone", || processes(&hoist, &id) == 1);
    let process = exec(&hoist, &id, "exec sleep 1000");
    let begun = Instant::now();
    hoist.ok(&["rm", "-f", &id]);
    assert!(begun.elapsed() < DEADLINE + Duration::from_secs(1));
    hoist.fails(1, &["process", "wait", &process]);
    assert_eq!(hoist.ok(&["process", "ls", "-a", "-q"]), "");
}

//! create, start, run, exec, kill, pause, update, delete.

use std::{fs, io::Read, os::unix::net::UnixListener};

use hoist_testing::{Need, Suite, full, probe::report::Report};
use serde_json::json;

use crate::kit::{Bundle, CONTAINERS, await_that, receive_console};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "a created container waits for its start and then runs its program",
            CONTAINERS,
            create_and_start,
        )
        .test(
            "a container is started only once, and not after its end",
            CONTAINERS,
            started_once,
        )
        .test(
            "create tells of a program that is not there or not executable, in the words that engines look for",
            CONTAINERS,
            create_tells_of_the_program,
        )
        .test(
            "start tells of a program that only the kernel finds wrong",
            CONTAINERS,
            start_tells_of_the_program,
        )
        .test(
            "run gives the program's exit code, and 128 and the number for a signal",
            CONTAINERS,
            run_gives_the_code,
        )
        .test(
            "exec gives the process's exit code, and 255 where there is no process",
            CONTAINERS,
            exec_gives_the_code,
        )
        .test(
            "a detached exec writes its process's id, and its process goes on",
            CONTAINERS,
            detached_exec,
        )
        .test(
            "the status of a detached process that ends at once is left to the engine, which reaps it",
            CONTAINERS,
            detached_exec_that_ends_at_once,
        )
        .test(
            "a process can be executed in a created container, and sees nothing of what waits there",
            CONTAINERS,
            exec_in_created,
        )
        .test(
            "a paused container refuses exec and start, resumes, and can be killed while paused",
            &[Need::Root, Need::Limits],
            pause_and_resume,
        )
        .test(
            "an exec with --ignore-paused begins when the container is resumed, and fails when it is ended",
            &[Need::Root, Need::Limits],
            ignore_paused,
        )
        .test(
            "delete refuses a running container, and with force ends it, and is success again",
            CONTAINERS,
            delete_and_force,
        )
        .test(
            "update changes the limits that it names and refuses what cannot be",
            &[Need::Root, Need::Limits],
            update_changes_limits,
        )
        .test(
            "a console's controlling side is sent to the caller's socket",
            CONTAINERS,
            console_socket,
        )
        .test(
            "flags may stand before or after the id",
            CONTAINERS,
            flags_anywhere,
        )
}

fn create_and_start() {
    let bundle = Bundle::new(&["report", "+", "idle"]);
    bundle.create().ok();
    let state = bundle.state();
    assert_eq!(state["status"], "created");
    let pid = bundle.pid();
    assert_eq!(state["pid"], pid);
    assert_eq!(bundle.read("out"), "");
    let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert!(
        !program.ends_with("hoist-oci"),
        "the runtime waits in the container: {program:?}"
    );
    bundle.call(&["start", &bundle.id]).ok();
    bundle.await_words("out", "ready");
    assert_eq!(bundle.status(), "running");
    let report: Report = serde_json::from_str(bundle.read("out").lines().next().unwrap()).unwrap();
    assert_eq!(report.pid, 1);
    assert_eq!(
        report.descriptors.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2]
    );
    bundle.call(&["kill", &bundle.id, "KILL"]).ok();
    bundle.await_status("stopped");
    assert_eq!(bundle.state()["pid"], 0);
    bundle.call(&["delete", &bundle.id]).ok();
    bundle
        .call(&["state", &bundle.id])
        .fails(1, "container does not exist");
    bundle.remove();
}

fn started_once() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    bundle
        .call(&["start", &bundle.id])
        .fails(1, "cannot start an already running container");
    bundle.call(&["kill", &bundle.id, "9"]).ok();
    bundle.await_status("stopped");
    bundle
        .call(&["start", &bundle.id])
        .fails(1, "cannot start a container that has stopped");
    bundle
        .call(&["exec", &bundle.id, "/probe", "probe", "report"])
        .fails(255, "cannot exec a container that has stopped");
    bundle
        .call(&["kill", &bundle.id, "TERM"])
        .fails(1, "container not running");
    bundle.remove();
}

fn create_tells_of_the_program() {
    for (program, words) in [
        (
            "/nope",
            "exec: \"/nope\": stat /nope: no such file or directory",
        ),
        ("nope", "exec: \"nope\": executable file not found in $PATH"),
        ("/bin/text", "exec: \"/bin/text\": permission denied"),
        ("/etc", "exec: \"/etc\": permission denied"),
    ] {
        let mut bundle = Bundle::new(&[]);
        bundle.config["process"]["args"] = json!([program]);
        let said = bundle.create();
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(
            bundle
                .read("log.json")
                .contains(&words.replace('"', "\\\"")),
            "{said:?}"
        );
        assert!(said.err.contains(words), "{said:?}");
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
}

fn start_tells_of_the_program() {
    for program in ["/bin/garbage", "/bin/orphan-script"] {
        let mut bundle = Bundle::new(&[]);
        bundle.config["process"]["args"] = json!([program]);
        bundle.create().ok();
        let said = bundle.call(&["start", &bundle.id]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(program), "{said:?}");
        bundle.await_status("stopped");
        bundle.call(&["delete", &bundle.id]).ok();
        bundle.remove();
    }
}

fn run_gives_the_code() {
    for (words, code) in [
        (["exit", "0"], 0),
        (["exit", "1"], 1),
        (["exit", "125"], 125),
        (["exit", "255"], 255),
        (["kill", "9"], 137),
        (["kill", "15"], 143),
    ] {
        let bundle = Bundle::new(&words);
        // PID 1 of a namespace is not ended by its own signals: with an ordinary process they can be seen.
        let expected = if words[0] == "kill" { None } else { Some(code) };
        if let Some(code) = expected {
            assert_eq!(bundle.run().code, Some(code));
        } else {
            let mut bundle = bundle;
            let kinds = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
            kinds.retain(|kind| kind["type"] != "pid");
            assert_eq!(bundle.run().code, Some(code));
            bundle.remove();
            continue;
        }
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
}

fn exec_gives_the_code() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    let exec = |words: &[&str]| {
        let mut line = vec!["exec", bundle.id.as_str()];
        line.extend(words);
        bundle.call(&line)
    };
    assert_eq!(exec(&["/probe", "probe", "exit", "7"]).code, Some(7));
    assert_eq!(exec(&["/probe", "probe", "kill", "9"]).code, Some(137));
    exec(&["/nope"]).fails(
        255,
        "exec: \"/nope\": stat /nope: no such file or directory",
    );
    exec(&["nope"]).fails(255, "exec: \"nope\": executable file not found in $PATH");
    exec(&["/bin/text"]).fails(255, "permission denied");
    exec(&["--cwd", "/nowhere", "/probe", "probe", "report"]).fails(255, "/nowhere");
    assert_eq!(bundle.status(), "running");
    bundle.remove();
}

fn detached_exec() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    let process = json!({
        "user": {"uid": 0, "gid": 0}, "args": ["/probe", "probe", "idle"],
        "env": ["PATH=/"], "cwd": "/tmp",
    });
    fs::write(bundle.path("process.json"), process.to_string()).unwrap();
    bundle
        .launch(&[
            "exec",
            "--process",
            "process.json",
            "--detach",
            "--pid-file",
            "exec-pid",
            &bundle.id,
        ])
        .ok();
    let pid = bundle.read("exec-pid");
    let pids = bundle
        .call(&["ps", "--format", "json", &bundle.id])
        .ok()
        .json();
    assert!(
        pids.as_array()
            .unwrap()
            .iter()
            .any(|one| one.as_u64() == pid.parse().ok()),
        "{pid} is not in {pids}"
    );
    let there = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert!(there.ends_with("tmp"), "{there:?}");
    bundle.remove();
}

fn detached_exec_that_ends_at_once() {
    use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    set_child_subreaper(Some(getpid())).unwrap();
    let rounds = if full() { 2000 } else { 50 };
    for round in 0..rounds {
        let words = [
            "exec",
            "--detach",
            "--pid-file",
            "exec-pid",
            &bundle.id,
            "/probe",
            "probe",
            "exit",
            "7",
        ];
        bundle.launch(&words).ok();
        let pid: i32 = bundle.read("exec-pid").parse().unwrap();
        let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty())
            .unwrap_or_else(|error| panic!("round {round}: {error}"))
            .unwrap();
        assert_eq!(status.exit_status(), Some(7), "round {round}");
    }
    set_child_subreaper(None).unwrap();
    bundle.remove();
}

/// CVE-2016-9962, CVE-2024-21626: what waits in a created container holds nothing that a process beside it could use.
fn exec_in_created() {
    let bundle = Bundle::new(&["idle"]);
    bundle.create().ok();
    let said = bundle
        .call(&[
            "exec",
            &bundle.id,
            "/probe",
            "probe",
            "open",
            "r",
            "/proc/1/root",
            "/proc/1/mem",
            "/proc/1/cwd",
            "/proc/1/fd/0",
            "/proc/1/fd/3",
            "/proc/1/fd/4",
            "/proc/1/fd/5",
            "/proc/1/fd/6",
        ])
        .ok();
    let answers = said.json();
    for (path, errno) in answers.as_object().unwrap() {
        assert_ne!(*errno, 0, "{path} can be opened");
    }
    let said = bundle
        .call(&[
            "exec",
            &bundle.id,
            "/probe",
            "probe",
            "open",
            "w",
            "/proc/1/exe",
        ])
        .ok();
    assert_ne!(said.json()["/proc/1/exe"], 0);
    assert_eq!(bundle.status(), "created");
    bundle.call(&["start", &bundle.id]).ok();
    bundle.await_words("out", "ready");
    bundle.remove();
}

fn ignore_paused() {
    for detached in [false, true] {
        let bundle = Bundle::new(&["idle"]);
        bundle.start();
        for ended in [false, true] {
            bundle.call(&["pause", &bundle.id]).ok();
            let flags: &[&str] = if detached { &["--detach"] } else { &[] };
            let words = [
                &["exec", "--ignore-paused"],
                flags,
                &[&bundle.id, "/probe", "probe", "exit", "3"],
            ];
            let mut child = bundle.command(&words.concat()).spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert!(child.try_wait().unwrap().is_none(), "it waits");
            let (call, code) = match (ended, detached) {
                (false, false) => (["resume", &bundle.id, ""], 3),
                (false, true) => (["resume", &bundle.id, ""], 0),
                (true, _) => (["kill", &bundle.id, "KILL"], 255),
            };
            let call: Vec<&str> = call.into_iter().filter(|word| !word.is_empty()).collect();
            bundle.call(&call).ok();
            assert_eq!(
                child.wait().unwrap().code(),
                Some(code),
                "{detached} {ended}"
            );
        }
        bundle.remove();
    }
}

fn pause_and_resume() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    bundle.call(&["pause", &bundle.id]).ok();
    assert_eq!(bundle.status(), "paused");
    bundle
        .call(&["exec", &bundle.id, "/probe", "probe", "report"])
        .fails(255, "cannot exec in a paused container");
    bundle
        .call(&["pause", &bundle.id])
        .fails(1, "container not running");
    bundle.call(&["resume", &bundle.id]).ok();
    assert_eq!(bundle.status(), "running");
    bundle
        .call(&["resume", &bundle.id])
        .fails(1, "container not paused");
    bundle.call(&["pause", &bundle.id]).ok();
    bundle.call(&["delete", "--force", &bundle.id]).ok();
    bundle.remove();
}

fn delete_and_force() {
    let bundle = Bundle::new(&["stubborn"]);
    bundle.start();
    bundle
        .call(&["delete", &bundle.id])
        .fails(1, "that is not stopped: running");
    for _ in 0..2 {
        bundle.call(&["delete", "--force", &bundle.id]).ok();
    }
    bundle
        .call(&["delete", &bundle.id])
        .fails(1, "container does not exist");
    bundle.remove();
    // A created container needs no force.
    let bundle = Bundle::new(&["idle"]);
    bundle.create().ok();
    bundle.call(&["delete", &bundle.id]).ok();
    bundle.remove();
}

fn update_changes_limits() {
    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["linux"]["resources"] =
        json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 50}});
    bundle.start();
    fs::write(
        bundle.path("r.json"),
        json!({"pids": {"limit": 20}}).to_string(),
    )
    .unwrap();
    bundle
        .call(&["update", "--resources", "r.json", &bundle.id])
        .ok();
    bundle.call(&["update", &bundle.id, "--memory", "96m"]).ok();
    let stats = bundle.call(&["events", "--stats", &bundle.id]).ok().json();
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 96 << 20);
    fs::write(
        bundle.path("r.json"),
        json!({"light": {"limit": 20}}).to_string(),
    )
    .unwrap();
    bundle
        .call(&["update", "--resources", "r.json", &bundle.id])
        .fails(1, "light");
    bundle
        .call(&["update", "--memory", "much", &bundle.id])
        .fails(1, "memory");
    bundle.remove();
}

fn console_socket() {
    let mut bundle = Bundle::new(&["size", "+", "say", "hello"]);
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({"height": 33, "width": 77});
    bundle.create().fails(
        1,
        "cannot allocate tty if runc will detach without setting console socket",
    );
    bundle.assert_nothing_is_recorded();
    let listener = UnixListener::bind(bundle.path("console")).unwrap();
    bundle
        .launch(&["create", "--console-socket", "console", &bundle.id])
        .ok();
    let mut console = receive_console(&listener);
    bundle.call(&["start", &bundle.id]).ok();
    let mut text = String::new();
    let mut buffer = [0; 256];
    // The end of a console's output is an error.
    while let Ok(count @ 1..) = console.read(&mut buffer) {
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    assert!(text.contains("33 77") && text.contains("hello"), "{text:?}");
    await_that("stopped", || bundle.status() == "stopped");
    drop((listener, console));
    bundle.remove();
}

fn flags_anywhere() {
    for line in [["create", "--bundle", "."], ["create", "-b", "."]] {
        for id_first in [true, false] {
            let bundle = Bundle::new(&["idle"]);
            bundle.write();
            let mut words = line.to_vec();
            words.insert(if id_first { 1 } else { 3 }, &bundle.id);
            bundle.launch(&words).ok();
            bundle.remove();
        }
    }
}

//! The supervisor itself, and what the commands tell of its container.

use std::{
    os::unix::fs::{FileTypeExt, MetadataExt},
    process::Stdio,
};

use hoist_testing::{Need, Suite, hangs_after};

use super::hoist::{DEADLINE, Hoist, until};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "run --detach prints the id and ends; the container runs on, and its supervisor ends with it",
            &[Need::Namespaces],
            it_outlives_the_command,
        )
        // Row 13.
        .test(
            "who reads the output of run --detach to its end does not wait for the container",
            &[Need::Namespaces],
            nobody_waits_for_the_container,
        )
        // Row 4.
        .test(
            "wait, ps, inspect and logs agree on how a container in the background has ended",
            &[Need::Namespaces],
            all_agree_on_the_end,
        )
        .test(
            "a program that does not exist fails with 127, one that cannot be executed with 126, and nothing is left",
            &[Need::Namespaces],
            a_failed_start_leaves_nothing,
        )
        .test(
            "run --detach --rm removes the container, its log and its supervisor's files at its end",
            &[Need::Namespaces],
            it_removes_itself,
        )
        // Row 23.
        .test(
            "the memory of a supervisor that is its own is at most 1 MiB",
            &[Need::Namespaces],
            it_is_small,
        )
        .test(
            "a supervisor that is idle has little of its program mapped",
            &[Need::Namespaces],
            while_idle_it_has_little_of_its_program_mapped,
        )
        // CVE-2020-15257.
        .test(
            "a supervisor listens on a socket that only its user can reach, and on no abstract one",
            &[Need::Namespaces],
            its_socket_is_private,
        )
        .test(
            "exec --detach returns when its program runs, fails as exec does, and ends with the container",
            &[Need::Namespaces],
            exec_in_the_background,
        )
        // Row 5.
        .test(
            "after SIGKILL of the supervisor the container is gone, its status is known as lost, and it can be removed",
            &[Need::Root],
            a_killed_supervisor,
        )
        // Row 5.
        .test(
            "who waited when the supervisor was killed gets the status that the kernel still has, and so does who asks later",
            &[Need::Namespaces],
            a_killed_supervisor_and_who_waited,
        )
        .test(
            "after SIGKILL of run its container is gone, too",
            &[Need::Namespaces],
            a_killed_command,
        )
        .test(
            "a supervisor that is asked to end by SIGTERM asks its container to",
            &[Need::Namespaces],
            sigterm_ends_the_container,
        )
        .test(
            "a container shares no descriptor, session or directory with the command that started it",
            &[Need::Namespaces],
            nothing_is_inherited,
        )
}

fn it_outlives_the_command() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "sleep 1000");
    assert_eq!(id.len(), 64, "{id}");
    assert!(hoist.status(&id).starts_with("Up "));
    assert!(hoist.supervisor(&id).is_some());
    hoist.ok(&["kill", &id]);
    assert_eq!(hoist.ok(&["wait", &id]), "137");
    until("the supervisor has ended", || {
        hoist.supervisor(&id).is_none()
    });
    assert!(hoist.status(&id).starts_with("Exited (137)"));
    hoist.ok(&["rm", &id]);
}

fn nobody_waits_for_the_container() {
    hangs_after(DEADLINE, || {
        let hoist = Hoist::new();
        // `output` reads pipes on standard output and error to their end.
        let output = hoist
            .command(&["run", "-d", "-i", "sleep", "1000"])
            .stdin(Stdio::piped())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    });
}

fn all_agree_on_the_end() {
    let hoist = Hoist::new();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -15 $$; sleep 9", 143),
    ] {
        // A shell that is process 1 of its namespace has no default for SIGTERM.
        let id = hoist.detached(&["--init"], script);
        assert_eq!(hoist.ok(&["wait", &id]), code.to_string(), "{script}");
        assert!(
            hoist.status(&id).starts_with(&format!("Exited ({code})")),
            "{script}"
        );
        let inspected: serde_json::Value =
            serde_json::from_str(&hoist.ok(&["inspect", &id])).unwrap();
        assert_eq!(inspected[0]["State"]["ExitCode"], code, "{script}");
        // Late, and again.
        assert_eq!(hoist.ok(&["wait", &id]), code.to_string(), "{script}");
    }
}

fn a_failed_start_leaves_nothing() {
    let hoist = Hoist::new();
    let errors = hoist.fails(127, &["run", "-d", "/no/such/program"]);
    assert!(errors.contains("/no/such/program"), "{errors}");
    hoist.fails(126, &["run", "-d", "/etc/passwd"]);
    hoist.fails(125, &["run", "-d", "-u", "no-such-user", "true"]);
    assert_eq!(hoist.ok(&["ps", "-aq"]), "");
    for folder in ["containers", "supervisors", "logs"] {
        let left = std::fs::read_dir(hoist.state_root().join(folder));
        assert_eq!(left.map_or(0, Iterator::count), 0, "{folder}");
    }
}

fn it_removes_itself() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--rm", "--name", "short"], "sleep 0.2; echo x");
    until("it is gone", || hoist.ok(&["ps", "-aq"]).is_empty());
    until("the supervisor has ended", || {
        hoist.supervisor(&id).is_none()
    });
    for folder in ["containers", "supervisors", "logs", "names"] {
        let left = std::fs::read_dir(hoist.state_root().join(folder));
        assert_eq!(left.map_or(0, Iterator::count), 0, "{folder}");
    }
}

fn it_is_small() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["-i"], "while true; do echo some text; sleep 0.01; done");
    until("it has written for some time", || {
        hoist.ok(&["logs", &id]).lines().count() > 30
    });
    let pid = hoist.supervisor(&id).unwrap();
    // Anonymous memory: the pages of the program itself all supervisors share, and those of one just built count as dirty.
    let own = || {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:"));
        let number = line.unwrap().split_whitespace().next().unwrap();
        number.parse::<u64>().unwrap()
    };
    assert!(own() <= 1024, "{} KiB", own());
    let threads = || {
        std::fs::read_dir(format!("/proc/{pid}/task"))
            .unwrap()
            .count()
    };
    assert!(threads() <= 2, "{} threads", threads());
    // Also when it owns further processes: what starting them has taken is given back after that was told.
    for _ in 0..8 {
        hoist.ok(&["exec", "-d", &id, "sleep", "1000"]);
    }
    until("its memory is small again", || own() <= 1024);
    until("starting them is over", || threads() <= 2);
}

fn while_idle_it_has_little_of_its_program_mapped() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "sleep 1000");
    let pid = hoist.supervisor(&id).unwrap();
    let of_files = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssFile:"));
        let number = line.unwrap().split_whitespace().next().unwrap();
        number.parse::<u64>().unwrap()
    };
    until("what starting took is unmapped", || of_files() < 1536);
    // It comes back when it is needed.
    let attached = hoist.ok(&["exec", "-d", &id, "sleep", "1000"]);
    assert!(!attached.is_empty());
    until("and is unmapped again", || of_files() < 1536);
}

fn its_socket_is_private() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "sleep 1000");
    let folder = hoist.state_root().join("supervisors").join(&id);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    let socket = folder.join("control");
    assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!((mode(&folder), mode(&socket)), (0o700, 0o600));
    let pid = hoist.supervisor(&id).unwrap();
    let own: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| {
            std::fs::read_link(entry.ok()?.path())
                .ok()?
                .into_os_string()
                .into_string()
                .ok()
        })
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    assert!(!own.is_empty());
    for line in std::fs::read_to_string("/proc/net/unix")
        .unwrap()
        .lines()
        .skip(1)
    {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if own.iter().any(|inode| inode == fields[6]) {
            assert!(
                !fields.get(7).is_some_and(|name| name.starts_with('@')),
                "{line}"
            );
        }
    }
}

fn sigterm_ends_the_container() {
    let hoist = Hoist::new();
    let script = "trap 'exit 5' TERM; echo ready; while true; do sleep 0.05; done";
    let id = hoist.detached(&["--restart", "always"], script);
    until("it is ready", || hoist.ok(&["logs", &id]).contains("ready"));
    let pid = i32::try_from(hoist.supervisor(&id).unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(hoist.ok(&["wait", &id]), "5");
    until("the supervisor has ended", || {
        hoist.supervisor(&id).is_none()
    });
}

fn exec_in_the_background() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    hoist.ok(&[
        "exec",
        "-d",
        &id,
        "sh",
        "-c",
        "echo text > /tmp/x; exec sleep 999",
    ]);
    until("it has written", || {
        hoist.output(&["exec", &id, "cat", "/tmp/x"]).stdout == b"text\n"
    });
    assert!(hoist.ok(&["top", &id]).contains("sleep 999"));
    hoist.fails(127, &["exec", "-d", &id, "/no/such"]);
    hoist.fails(126, &["exec", "-d", &id, "/etc/passwd"]);
    hoist.ok(&["kill", &id]);
    hoist.ok(&["wait", &id]);
    until("its owner has ended", || hoist.supervisor(&id).is_none());
    hoist.fails(125, &["exec", "-d", &id, "true"]);
    hoist.ok(&["rm", &id]);
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn process_of(hoist: &Hoist, id: &str) -> u64 {
    let inspected: serde_json::Value = serde_json::from_str(&hoist.ok(&["inspect", id])).unwrap();
    inspected[0]["State"]["Pid"].as_u64().unwrap()
}

fn is_alive(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

fn a_killed_supervisor() {
    let hoist = Hoist::new();
    for options in [
        &["--restart", "always"][..],
        &["-u", "nobody"],
        &["--init"],
        &["--security-opt", "no-new-privileges"],
    ] {
        let id = hoist.detached(options, "sleep 1000 & exec sleep 1000");
        let pid = process_of(&hoist, &id);
        kill(hoist.supervisor(&id).unwrap());
        until("the container is gone", || !is_alive(pid));
        assert!(
            hoist
                .status(&id)
                .starts_with("Exited (unknown: supervisor lost)"),
            "{}",
            hoist.status(&id)
        );
        assert_eq!(hoist.ok(&["wait", &id]), "255");
        hoist.ok(&["logs", &id]);
        // It can be started once more, by a new supervisor.
        hoist.ok(&["start", &id]);
        hoist.ok(&["rm", "-f", &id]);
        assert_eq!(hoist.ok(&["ps", "-aq"]), "");
    }
}

fn a_killed_supervisor_and_who_waited() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "exec sleep 1000");
    let wait = hoist.spawn(&["wait", &id]);
    hoist.until_connected(&id, 1, std::slice::from_ref(&wait));
    let pid = process_of(&hoist, &id);
    kill(hoist.supervisor(&id).unwrap());
    let output = hangs_after(DEADLINE, move || wait.wait_with_output().unwrap());
    until("the container is gone", || !is_alive(pid));
    let code = String::from_utf8(output.stdout).unwrap();
    // The kernel tells from Linux 6.15 on; it never was 0.
    assert!(["137\n", "255\n"].contains(&code.as_str()), "{code}");
    assert_eq!(format!("{}\n", hoist.ok(&["wait", &id])), code);
}

fn a_killed_command() {
    let hoist = Hoist::new();
    let mut child = hoist
        .command(&["run", "--name", "front", "sleep", "1000"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    until("it runs", || hoist.status("front").starts_with("Up"));
    let pid = process_of(&hoist, "front");
    child.kill().unwrap();
    child.wait().unwrap();
    until("the container is gone", || !is_alive(pid));
    assert!(hoist.status("front").starts_with("Exited (unknown"));
    hoist.ok(&["rm", "front"]);
}

fn nothing_is_inherited() {
    let hoist = Hoist::new();
    let (reader, writer) = std::io::pipe().unwrap();
    // A descriptor that a careless caller has left open in its children.
    let flags = rustix::io::FdFlags::empty();
    rustix::io::fcntl_setfd(&writer, flags).unwrap();
    let id = hoist.detached(&[], "sleep 1000");
    drop(writer);
    hangs_after(DEADLINE, move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut { reader }, &mut text).unwrap();
    });
    let pid = hoist.supervisor(&id).unwrap();
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(cwd, std::path::Path::new("/"));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(3)
        .unwrap();
    assert_eq!(session, pid.to_string());
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let variables: Vec<&str> = environment.split_terminator('\0').collect();
    // glibc puts an end behind each of its tunables.
    let is_own = |variable: &&str| {
        variable.starts_with("GLIBC_TUNABLES=") || variable.starts_with("glibc.malloc.")
    };
    let others: Vec<&str> = variables
        .iter()
        .filter(|one| !is_own(one))
        .copied()
        .collect();
    assert!(
        matches!(others[..], [path] if path.starts_with("PATH=")),
        "{variables:?}"
    );
}

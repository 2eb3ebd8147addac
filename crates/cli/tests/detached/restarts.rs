//! Starting once more: by policy, and by hand.

use std::time::Duration;

use hoist_testing::{Need, Suite, hangs_after};

use super::hoist::{DEADLINE, Hoist, until};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "on-failure:2 starts a container that fails twice more, and then lets it be",
            &[Need::Namespaces],
            on_failure,
        )
        .test(
            "on-failure lets a container be that has succeeded",
            &[Need::Namespaces],
            success_is_no_failure,
        )
        .test(
            "always starts a container once more until it is stopped, in a pause between two runs too",
            &[Need::Namespaces],
            always_until_stopped,
        )
        .test(
            "kill ends a container for good, whatever its restart policy",
            &[Need::Namespaces],
            kill_is_for_good,
        )
        .test(
            "rm -f removes a container that restarts all the time",
            &[Need::Namespaces],
            removed_while_restarting,
        )
        .test(
            "who waits gets the status of the run that he saw",
            &[Need::Namespaces],
            waiting_is_for_one_run,
        )
        .test(
            "start starts a container that has ended once more, with its log going on",
            &[Need::Namespaces],
            started_once_more,
        )
        .test(
            "a container that has ended keeps its exit status where it cannot be started once more",
            &[Need::Namespaces],
            not_started_once_more,
        )
        .test(
            "a limit that was changed holds after a restart, and inspect tells it",
            &[Need::Root],
            updated_and_restarted,
        )
        .test(
            "limits that were changed while a container did not run, or taken away, hold when it is started",
            &[Need::Limits],
            updated_while_it_did_not_run,
        )
        .test(
            "update --restart changes the policy of a container that runs, waits between two runs or has ended",
            &[Need::Namespaces],
            another_policy,
        )
        .test(
            "of many that start a container at once one starts it, and the others succeed, too",
            &[Need::Namespaces],
            started_by_many,
        )
        .test(
            "exec in a container between two runs says that it is restarting",
            &[Need::Namespaces],
            exec_between_runs,
        )
        .test(
            "-itd needs no terminal, and start -i attaches",
            &[Need::Namespaces],
            interactive_without_a_terminal,
        )
        .test(
            "a container that was created is started by start, once however many start it",
            &[Need::Namespaces],
            created_then_started,
        )
        .test(
            "restart stops a container and starts it once more, and starts one that has ended",
            &[Need::Namespaces],
            restarted_by_hand,
        )
        .test(
            "--rm and --restart contradict each other, and every wrong value is told at once",
            &[Need::Namespaces],
            wrong_options,
        )
}

fn on_failure() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--restart", "on-failure:2"], "echo run; exit 4");
    until("it has ended for good", || hoist.supervisor(&id).is_none());
    assert_eq!(hoist.ok(&["logs", &id]), "run\nrun\nrun");
    let what = "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}} \
                {{.RestartCount}} {{.HostConfig.AutoRemove}} {{.HostConfig.LogConfig.Type}} {{.Config.OpenStdin}}";
    assert_eq!(
        hoist.ok(&["inspect", "--format", what, &id]),
        "on-failure 2 2 false json-file false"
    );
    let log = hoist.ok(&["inspect", "--format", "{{.LogPath}}", &id]);
    assert!(std::fs::read_to_string(log).unwrap().contains("run"));
    assert_eq!(hoist.ok(&["wait", &id]), "4");
    assert!(hoist.status(&id).starts_with("Exited (4)"));
}

fn success_is_no_failure() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--restart", "on-failure"], "echo run");
    until("it has ended for good", || hoist.supervisor(&id).is_none());
    assert_eq!(hoist.ok(&["logs", &id]), "run");
}

fn always_until_stopped() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--restart", "always"], "echo run");
    // The pauses double: it is in one nearly all the time.
    until("it has run four times", || {
        hoist.ok(&["logs", &id]).lines().count() >= 4
    });
    until("it pauses", || {
        hoist.status(&id).starts_with("Restarting (0)")
    });
    hoist.ok(&["stop", &id]);
    until("the supervisor has ended", || {
        hoist.supervisor(&id).is_none()
    });
    let runs = hoist.ok(&["logs", &id]).lines().count();
    assert!(hoist.status(&id).starts_with("Exited (0)"));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(hoist.ok(&["logs", &id]).lines().count(), runs);
}

fn kill_is_for_good() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--restart", "unless-stopped"], "echo run; sleep 1000");
    until("it has written", || hoist.ok(&["logs", &id]) == "run");
    hoist.ok(&["kill", &id]);
    assert_eq!(hoist.ok(&["wait", &id]), "137");
    until("the supervisor has ended", || {
        hoist.supervisor(&id).is_none()
    });
    assert_eq!(hoist.ok(&["logs", &id]), "run");
}

fn removed_while_restarting() {
    hangs_after(DEADLINE * 2, || {
        let hoist = Hoist::new();
        for number in 0..10 {
            let id = hoist.detached(&["--restart", "always"], "sleep 0.01");
            std::thread::sleep(Duration::from_millis(number * 30));
            hoist.ok(&["rm", "-f", &id]);
            until("the supervisor has ended", || {
                hoist.supervisor(&id).is_none()
            });
            assert_eq!(hoist.ok(&["ps", "-aq"]), "");
        }
    });
}

fn waiting_is_for_one_run() {
    let hoist = Hoist::new();
    // Each run ends with another code, and none before all wait for the first.
    let script = "n=$(cat /c/n); echo $((n + 1)) > /c/n; while ! test -e /c/go; do sleep 0.05; done; exit $((n + 10))";
    let counter = tempfile::tempdir().unwrap();
    std::fs::write(counter.path().join("n"), "0").unwrap();
    let volume = format!("{}:/c", counter.path().display());
    let id = hoist.detached(&["--restart", "on-failure:2", "-v", &volume], script);
    let waits: Vec<_> = (0..4).map(|_| hoist.spawn(&["wait", &id])).collect();
    hoist.until_connected(&id, waits.len(), &waits);
    std::fs::write(counter.path().join("go"), "").unwrap();
    let codes = hangs_after(DEADLINE, || {
        let outputs = waits
            .into_iter()
            .map(|wait| wait.wait_with_output().unwrap());
        outputs.map(|output| output.stdout).collect::<Vec<_>>()
    });
    assert_eq!(codes, vec![b"10\n".to_vec(); 4]);
    until("it has ended for good", || hoist.supervisor(&id).is_none());
    assert_eq!(hoist.ok(&["wait", &id]), "12");
}

fn started_once_more() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--name", "again"], "echo run; exit 3");
    for runs in 2..5 {
        hoist.ok(&["wait", &id]);
        assert_eq!(hoist.ok(&["start", "again"]), "again");
        assert_eq!(hoist.ok(&["wait", "again"]), "3");
        assert_eq!(hoist.ok(&["logs", "again"]).lines().count(), runs);
    }
    let output = hoist.output(&["start", "-a", "again"]);
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(3), &b"run\n"[..])
    );
}

fn not_started_once_more() {
    let hoist = Hoist::new();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let away = folder.path().join("away");
    let path = program.to_str().unwrap();
    let volume = format!("{0}:{0}", folder.path().display());
    for kind in [&["-v", &volume][..], &["--isolation", "none"]] {
        std::fs::copy("/bin/sh", &program).unwrap();
        let words = [
            &["run", "-d"],
            kind,
            &["--", path, "-c", "sleep 0.1; exit 9"],
        ];
        let id = hoist.ok(&words.concat());
        assert_eq!(hoist.ok(&["wait", &id]), "9");
        for _ in 0..2 {
            std::fs::rename(&program, &away).unwrap();
            hoist.fails(1, &["start", &id]);
            assert!(hoist.status(&id).starts_with("Exited (9)"), "{kind:?}");
            assert_eq!(hoist.ok(&["wait", &id]), "9");
            std::fs::rename(&away, &program).unwrap();
        }
        hoist.ok(&["start", &id]);
        assert_eq!(hoist.ok(&["wait", &id]), "9");
    }
}

fn updated_and_restarted() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["-m", "100m", "--cpu-shares", "700"], "exec sleep 1000");
    hoist.ok(&["update", "-m", "200m", &id]);
    let told = |what: &str| hoist.ok(&["inspect", "--format", what, &id]);
    let limits = "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}}";
    let bytes = 200 << 20;
    assert_eq!(told(limits), format!("{bytes} 700"));
    for command in [&["restart", "--time", "0"][..], &["kill"]] {
        hoist.ok(&[command, &[&id]].concat());
        if command == ["kill"] {
            hoist.ok(&["wait", &id]);
            hoist.ok(&["start", &id]);
        }
        let used = ["stats", "--no-stream", "--format", "{{.MemUsage}}", &id];
        let used = hoist.ok(&used);
        assert!(used.ends_with("/ 200.0MiB"), "{used}");
    }
    // What the kernel refuses is not kept either.
    hoist.fails(1, &["update", "--cpuset-cpus", "4000", &id]);
    hoist.ok(&["restart", "--time", "0", &id]);
    assert_eq!(told(limits), format!("{bytes} 700"));
}

fn updated_while_it_did_not_run() {
    let hoist = Hoist::new();
    let id = hoist.ok(&[
        "create",
        "-m",
        "100m",
        "--pids-limit",
        "70",
        "--",
        "sleep",
        "1000",
    ]);
    let told = || {
        let what = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}}";
        hoist.ok(&["inspect", "--format", what, &id])
    };
    let limit = || {
        let used = hoist.ok(&["stats", "--no-stream", "--format", "{{.MemUsage}}", &id]);
        used.rsplit(' ').next().unwrap().to_owned()
    };
    hoist.ok(&["update", "-m", "80m", "--memory-swap", "160m", &id]);
    assert_eq!(told(), format!("{} {} 70", 80 << 20, 160 << 20));
    hoist.ok(&["start", &id]);
    assert_eq!(limit(), "80.00MiB");
    hoist.ok(&["stop", "-t", "0", &id]);
    // What a start could not have is refused, and nothing is changed.
    let error = hoist.fails(1, &["update", "-m", "170m", &id]);
    assert!(error.contains("cannot be less"), "{error}");
    assert_eq!(told(), format!("{} {} 70", 80 << 20, 160 << 20));
    for lifted in [
        &["-m", "0", "--pids-limit", "0"][..],
        &["-m", "-1", "--pids-limit", "-1"],
    ] {
        hoist.ok(&[
            &[
                "update",
                "-m",
                "90m",
                "--memory-swap",
                "-1",
                "--pids-limit",
                "60",
            ],
            &[&*id][..],
        ]
        .concat());
        hoist.ok(&["start", &id]);
        assert_eq!(limit(), "90.00MiB");
        hoist.ok(&["stop", "-t", "0", &id]);
        hoist.ok(&[&["update"], lifted, &[&id]].concat());
        assert_eq!(told(), "0 -1 -1");
        hoist.ok(&["start", &id]);
        assert_eq!(limit(), "unlimited");
        hoist.ok(&["stop", "-t", "0", &id]);
    }
    // The same while it runs.
    hoist.ok(&[
        "update",
        "-m",
        "90m",
        "--memory-swap",
        "180m",
        "--cpus",
        "0.5",
        &id,
    ]);
    hoist.ok(&["start", &id]);
    assert_eq!(limit(), "90.00MiB");
    hoist.ok(&[
        "update",
        "-m",
        "0",
        "--cpus",
        "0",
        "--memory-reservation",
        "0",
        &id,
    ]);
    assert_eq!(limit(), "unlimited");
    hoist.ok(&["restart", "-t", "0", &id]);
    assert_eq!(limit(), "unlimited");
}

fn another_policy() {
    let hoist = Hoist::new();
    let told = |id: &str| hoist.ok(&["inspect", "-f", "{{json .HostConfig.RestartPolicy}}", id]);
    let restarts = |id: &str| hoist.ok(&["inspect", "-f", "{{.RestartCount}}", id]);
    // It runs, and is started once more though it was made without a policy.
    let id = hoist.detached(&[], "read -r line < /dev/null; exec sleep 1000");
    hoist.ok(&["update", "--restart", "on-failure:5", &id]);
    assert_eq!(told(&id), r#"{"MaximumRetryCount":5,"Name":"on-failure"}"#);
    let pid = hoist.ok(&["inspect", "-f", "{{.State.Pid}}", &id]);
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("it was started once more", || {
        restarts(&id) == "1" && hoist.status(&id).starts_with("Up")
    });
    // It has ended, and the policy is kept for the next start.
    hoist.ok(&["stop", "-t", "0", &id]);
    hoist.ok(&["update", "--restart", "no", &id]);
    assert_eq!(told(&id), r#"{"MaximumRetryCount":0,"Name":"no"}"#);
    // Between two runs: it is let be.
    let id = hoist.detached(&["--restart", "always"], "exit 3");
    until("it waits", || {
        hoist.status(&id).starts_with("Restarting (3)")
    });
    hoist.ok(&["update", "--restart", "no", &id]);
    until("it is let be", || {
        hoist.status(&id).starts_with("Exited (3)")
    });
    let error = hoist.fails(1, &["update", "--restart", "sometimes", &id]);
    assert!(error.contains("is no restart policy"), "{error}");
    let id = hoist.detached(&["--rm"], "exec sleep 1000");
    let error = hoist.fails(1, &["update", "--restart", "always", &id]);
    assert!(error.contains("--rm"), "{error}");
}

fn started_by_many() {
    let hoist = Hoist::new();
    let id = hoist.ok(&["create", "--", "sh", "-c", "echo started; exec sleep 1000"]);
    for round in 1..=5 {
        let starts: Vec<_> = (0..8).map(|_| hoist.spawn(&["start", &id])).collect();
        for start in starts {
            let output = start.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{errors}");
            assert_eq!(errors, "");
        }
        until("its output is in the log", || {
            hoist.ok(&["logs", &id]).lines().count() >= round
        });
        hoist.ok(&["stop", "-t", "0", &id]);
        assert_eq!(hoist.ok(&["logs", &id]).lines().count(), round);
    }
}

fn exec_between_runs() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--restart", "always"], "exit 3");
    // The pauses become longer and longer.
    until("it waits for long", || {
        hoist
            .ok(&["inspect", "-f", "{{.RestartCount}}", &id])
            .parse::<u32>()
            .unwrap()
            >= 6
            && hoist.status(&id).starts_with("Restarting")
    });
    for words in [&["exec"][..], &["exec", "-d"], &["exec", "--timeout", "5"]] {
        let error = hoist.fails(125, &[words, &[&id, "true"]].concat());
        assert!(error.contains("it is restarting"), "{words:?}: {error}");
        assert!(error.contains("wait until it is running"), "{error}");
    }
    // One that runs may be started; it is.
    hoist.ok(&["start", &id]);
}

fn interactive_without_a_terminal() {
    let hoist = Hoist::new();
    let id = hoist.ok(&["run", "-itd", "--", "sh", "-c", "tty; sleep 1000"]);
    until("it has a console", || {
        hoist.ok(&["logs", &id]).contains("/dev/")
    });
    let id = hoist.ok(&[
        "create",
        "-i",
        "--",
        "sh",
        "-c",
        "read line; echo got $line",
    ]);
    let mut child = hoist
        .command(&["start", "-i", &id])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"it\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"got it\n");
}

fn created_then_started() {
    let hoist = Hoist::new();
    let id = hoist.ok(&[
        "create",
        "--name",
        "made",
        "sh",
        "-c",
        "echo run; sleep 1000",
    ]);
    assert!(hoist.status(&id).starts_with("Created"));
    let starts: Vec<_> = (0..8).map(|_| hoist.spawn(&["start", "made"])).collect();
    for start in starts {
        start.wait_with_output().unwrap();
    }
    assert!(hoist.status(&id).starts_with("Up"));
    // One that runs is started enough.
    assert_eq!(hoist.ok(&["start", "made"]), "made");
    until("it has written", || hoist.ok(&["logs", "made"]) == "run");
}

fn restarted_by_hand() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "echo run; sleep 1000");
    let has_written = |what: &str| until(what, || hoist.ok(&["logs", &id]) == what);
    has_written("run");
    hoist.ok(&["restart", "-t", "0", &id]);
    assert!(hoist.status(&id).starts_with("Up"));
    has_written("run\nrun");
    hoist.ok(&["stop", "-t", "0", &id]);
    hoist.ok(&["restart", &id]);
    assert!(hoist.status(&id).starts_with("Up"));
    has_written("run\nrun\nrun");
}

fn wrong_options() {
    let hoist = Hoist::new();
    let errors = hoist.fails(125, &["run", "-d", "--rm", "--restart", "always", "true"]);
    assert!(errors.contains("--rm"), "{errors}");
    let errors = hoist.fails(
        125,
        &[
            "run",
            "-d",
            "--restart",
            "sometimes",
            "--log-driver",
            "syslog",
            "--log-opt",
            "max-file=0",
            "--detach-keys",
            "ctrl-1",
            "true",
        ],
    );
    for option in ["--restart", "--log-driver", "--log-opt", "--detach-keys"] {
        assert!(errors.contains(option), "{option}: {errors}");
    }
    assert_eq!(hoist.ok(&["ps", "-aq"]), "");
}

//! `exec`.

use hoist_testing::command::Hoist;

pub(super) fn exec(hoist: &Hoist) {
    let _running = hoist.background("web", &["--hostname", "box"], &["idle"]);
    let first = hoist.inspect("web")["State"]["Pid"].as_u64().unwrap();
    let ran = hoist.exec(&[], "web", &["report"]);
    let report: hoist_testing::probe::report::Report = ran.json();
    assert_eq!(report.hostname, "box");
    assert!(report.processes.contains(&1) && report.pid != 1);
    for name in ["mnt", "pid", "net", "ipc", "uts"] {
        let link = std::fs::read_link(format!("/proc/{first}/ns/{name}")).unwrap();
        assert_eq!(
            report.namespaces[name],
            link.to_string_lossy(),
            "the container's {name} namespace"
        );
    }
    assert_eq!(
        report.descriptors.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2]
    );
    let ran = hoist.exec(
        &[],
        "web",
        &["say", "out", "+", "warn", "err", "+", "exit", "9"],
    );
    assert_eq!(
        (ran.code, ran.text().as_str(), ran.stderr.as_str()),
        (9, "out\n", "err\n")
    );
    hoist_testing::command::finish(
        &mut hoist.further(&["-i"], "web", &["cat"]),
        b"through and through",
    )
    .succeeded();
}

pub(super) fn exec_in_ended(hoist: &Hoist) {
    hoist
        .hoist(&["run", "--name", "ended", "--", "/bin/true"])
        .succeeded();
    let id = hoist.ids().remove(0);
    hoist
        .exec(&[], "ended", &["exit", "0"])
        .failed_with(125, &[&id, "it is stopped"]);
    hoist.remove("ended");
    hoist
        .exec(&[], "nobody", &["exit", "0"])
        .failed_with(125, &["no such container: nobody"]);
}

pub(super) fn exec_options(hoist: &Hoist) {
    let _running = hoist.background("web", &["-e", "A=1", "-w", "/mnt"], &["idle"]);
    let file = hoist.write("env", "# a comment\nF=from file\n");
    let report: hoist_testing::probe::report::Report = hoist
        .exec(
            &["-e", "B=2", "--env-file", &file, "-w", "/home"],
            "web",
            &["report"],
        )
        .json();
    for variable in ["A=1", "B=2", "F=from file"] {
        assert!(
            report.environment.iter().any(|found| found == variable),
            "{variable}: {:?}",
            report.environment
        );
    }
    assert_eq!(report.working_directory.as_deref(), Some("/home"));
    let report: hoist_testing::probe::report::Report = hoist.exec(&[], "web", &["report"]).json();
    assert_eq!(report.working_directory.as_deref(), Some("/mnt"));
    if !hoist.is_ordinary_user() {
        let report: hoist_testing::probe::report::Report =
            hoist.exec(&["-u", "tester"], "web", &["report"]).json();
        assert_eq!((report.uids[0], report.gids[0]), (1000, 1001));
        assert!(report.groups.contains(&hoist_testing::root::EXTRA_GROUP));
        assert_eq!(report.capabilities.unwrap().effective, 0);
    }
    hoist
        .exec(&["-u", "nosuch"], "web", &["exit", "0"])
        .failed_with(125, &["nosuch"]);
    hoist
        .exec(&["-w", "/nosuch"], "web", &["exit", "0"])
        .failed_with(127, &["/nosuch"]);
}

//! The process: its input, environment, user, directory and arguments.

use hoist_testing::{
    command::{Hoist, finish},
    probe::report::Report,
    root::{EXTRA_GROUP, USER},
};

pub(super) fn interactive(hoist: &Hoist) {
    let run = |options: &[&str]| {
        finish(&mut hoist.container(options, &["cat"]), b"some input\n").succeeded()
    };
    assert_eq!(run(&["--rm", "-i"]), "some input\n");
    assert_eq!(run(&["--rm"]), "");
}

pub(super) fn environment(hoist: &Hoist) {
    let file = hoist.write(
        "env",
        "# comment\n\nA=file\nB=x=y=z\nFROM_CALLER\nUNSET\nC= spaces \n",
    );
    let mut command = hoist.container(
        &[
            "--rm",
            "--env-file",
            &file,
            "-e",
            "A=option",
            "-e",
            "E=",
            "-e",
            "D=1",
            "-e",
            "D=2",
            "-e",
            "ALSO",
            "-e",
            "UNSET_TOO",
        ],
        &["report"],
    );
    command.env("FROM_CALLER", "given").env("ALSO", "ä 'q'");
    let report: Report = finish(&mut command, b"").json();
    let variables: Vec<(&str, &str)> = report
        .environment
        .iter()
        .filter_map(|variable| variable.split_once('='))
        .collect();
    for (name, value) in [
        ("A", Some("option")),
        ("B", Some("x=y=z")),
        ("C", Some(" spaces ")),
        ("D", Some("2")),
        ("E", Some("")),
        ("FROM_CALLER", Some("given")),
        ("ALSO", Some("ä 'q'")),
        ("UNSET", None),
        ("UNSET_TOO", None),
        ("HOSTNAME", Some(&*report.hostname)),
    ] {
        let found: Vec<&str> = variables
            .iter()
            .filter(|(found, _)| *found == name)
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(found, value.into_iter().collect::<Vec<_>>(), "{name}");
    }
}

pub(super) fn working_directory(hoist: &Hoist) {
    for folder in ["/", "/home", "/proc"] {
        let report = hoist.report(&["-w", folder]);
        assert_eq!(report.working_directory.as_deref(), Some(folder));
    }
    let report = hoist.report(&["-w", "/home/../etc/."]);
    assert_eq!(report.working_directory.as_deref(), Some("/etc"));
}

pub(super) fn user(hoist: &Hoist) {
    let (name, uid, gid) = USER;
    let look = |user: &str| {
        let report = hoist.report(&["-u", user]);
        assert_eq!(report.uids, [report.uids[0]; 4]);
        assert_eq!(report.gids, [report.gids[0]; 4]);
        let effective = report.capabilities.unwrap().effective;
        assert_eq!(effective == 0, report.uids[0] != 0, "{user}: {effective:x}");
        (report.uids[0], report.gids[0], report.groups)
    };
    let (found_uid, found_gid, groups) = look(name);
    assert_eq!((found_uid, found_gid), (uid, gid));
    assert!(groups.contains(&EXTRA_GROUP), "{groups:?}");
    assert_eq!(look(&format!("{uid}")).0, uid);
    let (found_uid, found_gid, groups) = look(&format!("{name}:helpers"));
    assert_eq!((found_uid, found_gid), (uid, EXTRA_GROUP));
    assert!(groups.is_empty() || groups == [EXTRA_GROUP], "{groups:?}");
    let (found_uid, found_gid, _) = look("4321:8765");
    assert_eq!((found_uid, found_gid), (4321, 8765));
    assert_eq!(
        look("4321").1,
        0,
        "a user that /etc/passwd does not know has group 0"
    );
    assert_eq!(look("0").0, 0);
    let home = hoist.report(&["-u", name]).environment;
    assert!(
        home.iter().any(|variable| variable == "HOME=/home"),
        "{home:?}"
    );
}

pub(super) fn init(hoist: &Hoist) {
    // How long it takes until all have ended and were reaped, the machine decides.
    let after = |milliseconds: &str| -> Report {
        let probe = ["zombies", "5", "+", "sleep", milliseconds, "+", "report"];
        hoist.run(&["--init"], &probe).json()
    };
    let are_reaped = |report: &Report| report.processes == [1, report.pid];
    let report = ["300", "3000", "30000"]
        .into_iter()
        .map(after)
        .find(are_reaped);
    let Some(report) = report else {
        panic!("zombies are left")
    };
    assert_ne!(report.pid, 1);
    assert_eq!(report.parent, 1);
    assert!(
        report.first_executable.contains("memfd:hoist-init"),
        "{}",
        report.first_executable
    );
    assert_eq!(
        report.descriptors.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2]
    );
    let report: Report = hoist
        .run(&[], &["zombies", "5", "+", "sleep", "300", "+", "report"])
        .json();
    assert!(report.processes.len() > 1, "the test sees no zombies");
    let mut running = hoist.background("x", &["--init"], &["trap", "10", "4"]);
    hoist.hoist(&["kill", "-s", "USR1", "x"]).succeeded();
    running.ended().ended_with(4);
}

pub(super) fn entrypoint(hoist: &Hoist) {
    let root = hoist.root().to_str().unwrap();
    let run = |words: &[&str]| {
        let mut line = vec!["run", "--rm", "--rootfs", root, "--entrypoint", "/probe"];
        line.extend(words);
        hoist.hoist(&line)
    };
    assert_eq!(run(&["probe", "say", "x"]).succeeded(), "x\n");
}

pub(super) fn arguments(hoist: &Hoist) {
    let given = [
        "arguments",
        "",
        " a b ",
        "\"quoted\"",
        "--rm",
        "-",
        "--",
        "*",
        "$HOME",
        "ä\n",
    ];
    let found: Vec<String> = hoist.run(&[], &given).json();
    assert_eq!(found, given[1..]);
}

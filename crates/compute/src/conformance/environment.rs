//! What a process finds around it: arguments, variables, directory, user, host name.

use std::path::PathBuf;

use serde_json::Value;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{exec_from, idle, run, run_from, with_process},
};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "arguments arrive as they were given",
        covers: &["start.starts", "system.spec"],
        needs: &[],
        run: arguments_arrive,
    },
    Behaviour {
        name: "variables arrive as they were given, and none of the caller's",
        covers: &["start.starts", "library.environment"],
        needs: &[],
        run: variables_arrive,
    },
    Behaviour {
        name: "the working directory is the one of the spec",
        covers: &["start.starts"],
        needs: &[],
        run: the_working_directory,
    },
    Behaviour {
        name: "a program is looked for on the PATH of the spec",
        covers: &["start.execute"],
        needs: &[],
        run: the_path_of_the_spec,
    },
    Behaviour {
        name: "a user given by number has those ids and groups and no others",
        covers: &["start.starts"],
        needs: &[Ability::Users],
        run: a_user_by_number,
    },
    Behaviour {
        name: "a user given by name is looked up in the container",
        covers: &["start.starts"],
        needs: &[Ability::Users],
        run: a_user_by_name,
    },
    Behaviour {
        name: "a container has the host name of its spec",
        covers: &["start.starts"],
        needs: &[Ability::Isolation],
        run: the_host_name,
    },
    Behaviour {
        name: "the umask is the one of the spec",
        covers: &["start.starts"],
        needs: &[Ability::Isolation],
        run: the_umask,
    },
    Behaviour {
        name: "a process begins with no signal blocked or ignored",
        covers: &["start.starts"],
        needs: &[Ability::Signals],
        run: no_signal_blocked,
    },
];

fn arguments_arrive(fixture: &dyn Fixture) -> Outcome {
    let long = "x".repeat(fixture.longest_text());
    let odd = [
        "",
        " ",
        "a b",
        "\"quoted\"",
        "'single'",
        "back\\slash",
        "new\nline",
        "tab\there",
        "$HOME",
        "*",
        "ünï",
        "-flag",
        "--",
        "a=b",
        "%PATH%",
        "trailing\\",
        &long,
    ];
    let mut words = vec!["arguments"];
    words.extend(odd);
    ensure_eq!(
        run(fixture, &words)?.json()?,
        serde_json::json!(odd),
        "the first process got"
    );
    let running = idle(fixture)?;
    let ran = exec_from(&*running.container, &fixture.process(&words))?;
    ensure_eq!(ran.json()?, serde_json::json!(odd), "a further process got");
    Ok(())
}

/// That a report tells of these variables, and of nothing that Hoist or the caller would have added.
pub(super) fn expect_variables(
    fixture: &dyn Fixture,
    report: &Value,
    variables: &[&str],
) -> Outcome {
    let mut found: Vec<&str> = report["environment"]
        .as_array()
        .ok_or("no environment is reported")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let is_added = |variable: &str| {
        let name = variable.split('=').next().unwrap_or_default();
        fixture.adds_variable(name)
    };
    found.retain(|variable| !is_added(variable) || variables.contains(variable));
    let mut variables = variables.to_vec();
    if cfg!(windows) {
        // Windows has them in an order of its own.
        found.sort_unstable();
        variables.sort_unstable();
    }
    ensure_eq!(found, variables, "the environment");
    Ok(())
}

fn variables_arrive(fixture: &dyn Fixture) -> Outcome {
    let long = format!("LONG={}", "y".repeat(fixture.longest_text()));
    let variables = [
        "PATH=/bin",
        "A=1",
        "EQUALS=a=b=c",
        "EMPTY=",
        "LINES=a\nb",
        "SPACES= a b ",
        "UMLAUT=ü",
        "lower=case",
        &long,
    ];
    let spec = with_process(fixture.spec(&["report"]), |process| {
        process.set_env(Some(
            variables
                .iter()
                .map(|&variable| variable.to_owned())
                .collect(),
        ));
    });
    expect_variables(fixture, &run_from(fixture, &spec)?.json()?, &variables)
}

fn the_working_directory(fixture: &dyn Fixture) -> Outcome {
    for directory in ["/", "/tmp", "/bin"].map(|directory| fixture.path(directory)) {
        let spec = with_process(fixture.spec(&["report"]), |process| {
            process.set_cwd(PathBuf::from(&directory));
        });
        ensure_eq!(
            run_from(fixture, &spec)?.json()?["working_directory"],
            directory,
            "the working directory"
        );
    }
    Ok(())
}

fn the_path_of_the_spec(fixture: &dyn Fixture) -> Outcome {
    let with_path = |folders: &[&str]| {
        let folders: Vec<String> = folders.iter().map(|folder| fixture.path(folder)).collect();
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        let path = fixture.search_path(&folders);
        with_process(fixture.spec(&[]), |process| {
            process.set_args(Some(
                ["probe", "probe", "say", "found"]
                    .map(str::to_owned)
                    .to_vec(),
            ));
            process.set_env(Some(vec![format!("PATH={path}")]));
        })
    };
    // A directory that does not exist, one without the program, and the one that has it.
    ensure_eq!(
        run_from(fixture, &with_path(&["/no/such", "/tmp", "/"]))?.text(),
        "found\n",
        "it said"
    );
    let container = super::kit::create_from(fixture, &with_path(&["/tmp", "/bin"]))?;
    super::lifecycle::expect_execute_error(
        container.start(crate::Stdio::null()),
        "probe",
        Some(crate::ErrorKind::NotFound),
    )
}

/// That a report tells of this user.
pub(super) fn expect_user(report: &Value, uid: u32, gid: u32, groups: &[u32]) -> Outcome {
    ensure_eq!(
        report["uids"],
        serde_json::json!(vec![uid; 4]),
        "real, effective, saved and file system user"
    );
    ensure_eq!(
        report["gids"],
        serde_json::json!(vec![gid; 4]),
        "real, effective, saved and file system group"
    );
    let mut found: Vec<u32> = serde_json::from_value(report["groups"].clone())?;
    // The primary group belongs to the supplementary ones or stands for itself; either way nothing is added by it.
    found.retain(|group| *group != gid);
    ensure_eq!(found, groups, "the supplementary groups");
    Ok(())
}

fn a_user_by_number(fixture: &dyn Fixture) -> Outcome {
    for (uid, gid, groups) in [
        (0, 0, vec![]),
        (1000, 1000, vec![]),
        (65534, 3, vec![5, 6, 70_000]),
        (4_000_000_000, 7, vec![]),
    ] {
        let spec = with_process(fixture.spec(&["report"]), |process| {
            process
                .user_mut()
                .set_uid(uid)
                .set_gid(gid)
                .set_additional_gids(Some(groups.clone()));
        });
        let report = run_from(fixture, &spec)?.json()?;
        expect_user(&report, uid, gid, &groups)?;
        if uid != 0 {
            ensure_eq!(
                report["capabilities"]["effective"],
                0,
                "the effective capabilities of user {uid}"
            );
        }
    }
    Ok(())
}

fn a_user_by_name(fixture: &dyn Fixture) -> Outcome {
    for (user, uid, gid, groups) in [
        ("tester", 1000, 1001, vec![1002]),
        ("tester:helpers", 1000, 1002, vec![]),
        ("1000", 1000, 1001, vec![1002]),
        ("1000:5", 1000, 5, vec![]),
        ("4711", 4711, 0, vec![]),
        ("0", 0, 0, vec![]),
    ] {
        let mut spec = fixture.spec(&["report"]);
        spec.user = Some(user.to_owned());
        let report = run_from(fixture, &spec)?.json()?;
        expect_user(&report, uid, gid, &groups).map_err(|error| format!("user {user}: {error}"))?;
    }
    Ok(())
}

fn the_host_name(fixture: &dyn Fixture) -> Outcome {
    let mut spec = fixture.spec(&["report"]);
    spec.oci.set_hostname(Some("a-host.of-its-own".to_owned()));
    ensure_eq!(
        run_from(fixture, &spec)?.json()?["hostname"],
        "a-host.of-its-own",
        "the host name"
    );
    Ok(())
}

fn the_umask(fixture: &dyn Fixture) -> Outcome {
    for umask in [0o022, 0o077, 0] {
        let spec = with_process(fixture.spec(&["report"]), |process| {
            process.user_mut().set_umask(Some(umask));
        });
        ensure_eq!(
            run_from(fixture, &spec)?.json()?["umask"],
            umask,
            "the umask"
        );
    }
    Ok(())
}

fn no_signal_blocked(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    for ran in [
        run(fixture, &["report"])?,
        super::kit::exec(fixture, &*running.container, &["report"])?,
    ] {
        let signals = &ran.json()?["signals"];
        ensure_eq!(
            *signals,
            serde_json::json!({"blocked": 0, "ignored": 0}),
            "the signal masks"
        );
    }
    Ok(())
}

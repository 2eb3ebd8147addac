//! Containers whose record is damaged: they keep nobody from seeing the others, and can be removed.

use std::{fs, path::Path};

use hoist_testing::{Need, Suite};

use super::hoist::{Hoist, until};

pub(super) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "whichever file of a record is damaged, the others are listed, each command on it says which, and rm -f removes all that is left",
            &[Need::Namespaces],
            || each_file(&[], "containers", &["config.json", "state.json", "process.json"]),
        )
        .test(
            "whichever file of a plain process's record is damaged, the others are listed, and rm -f removes all that is left",
            &[],
            || each_file(&["--isolation", "none"], "unisolated", &["config.json"]),
        )
        .test(
            "of a container whose whole record is cut short nothing is left by rm -f, its process and cgroup included",
            &[Need::Namespaces],
            nothing_can_be_read,
        )
        .test(
            "a container that has ended or was never started, or whose supervisor's account is damaged, is no hindrance either",
            &[Need::Namespaces],
            not_running,
        )
        .test(
            "a volume that a container with a damaged record may use is not removed",
            &[Need::Namespaces],
            volumes_stay,
        )
}

fn ends(pid: &str) {
    until("its process is gone", || {
        !Path::new("/proc").join(pid).exists()
    });
}

/// Nothing is recorded of the container.
fn nothing_is_left(hoist: &Hoist, folder: &str, id: &str) {
    let root = hoist.state_root();
    for place in [folder, "supervisors", "logs"] {
        let path = root.join(place).join(id);
        assert!(!path.exists(), "{} is left", path.display());
    }
}

fn cgroups(pid: &str, id: &str) -> Vec<std::path::PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let of_line = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let mounted = match controllers.strip_prefix("name=").unwrap_or(controllers) {
            "" => vec!["unified", ""],
            name => vec![name],
        };
        let mut places = mounted.into_iter().map(|name| {
            Path::new("/sys/fs/cgroup")
                .join(name)
                .join(path.trim_start_matches('/'))
        });
        places.find(|place| path.contains(id) && place.is_dir())
    };
    text.lines().filter_map(of_line).collect()
}

fn each_file(options: &[&str], folder: &str, files: &[&str]) {
    let hoist = Hoist::new();
    let other = hoist.detached(&["--name", "other"], "exec sleep 1000");
    for file in files {
        let id = hoist.detached(&[options, &["--name", "web"]].concat(), "exec sleep 1000");
        let pid = hoist.ok(&["inspect", "-f", "{{.State.Pid}}", "web"]);
        let cgroups = cgroups(&pid, &id);
        let path = hoist.state_root().join(folder).join(&id).join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let path = path.display().to_string();
        for words in [
            &["ps", "-a", "-q", "--no-trunc"][..],
            &["ps", "-q", "--no-trunc"],
            &["stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}"],
            &["prune", "-f"],
            &["info"],
        ] {
            let output = hoist.output(words);
            let (said, errors) = (
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            );
            assert!(output.status.success(), "{file}: {words:?}: {errors}");
            match words[0] {
                "info" => {}
                told => {
                    assert!(errors.contains(&path), "{file}: {words:?}: {errors}");
                    let remedy = format!("hoist rm --force {id}");
                    assert!(errors.contains(&remedy), "{file}: {words:?}: {errors}");
                    let listed = if told == "prune" { "" } else { &*other };
                    assert_eq!(said.trim(), listed, "{file}: {words:?}");
                }
            }
        }
        for words in [
            &["inspect", "web"][..],
            &["top", "web"],
            &["stop", "-t", "1", "web"],
            &["rm", "web"],
            &["rm", &id],
            &["stats", "--no-stream", "web"],
            &["update", "--cpu-shares", "100", "web"],
        ] {
            let error = hoist.fails(1, words);
            assert!(error.contains(&path), "{file}: {words:?}: {error}");
        }
        let removed = hoist.output(&["rm", "-f", "web"]);
        let errors = String::from_utf8_lossy(&removed.stderr);
        assert!(removed.status.success(), "{file}: {errors}");
        assert_eq!(String::from_utf8_lossy(&removed.stdout), "web\n");
        for words in ["was damaged: removed", "its supervisor", "its name web"] {
            assert!(errors.contains(words), "{file}: {errors}");
        }
        ends(&pid);
        nothing_is_left(&hoist, folder, &id);
        for path in cgroups {
            assert!(!path.exists(), "{file}: {} is left", path.display());
        }
        assert_eq!(hoist.supervisor(&id), None);
        let error = hoist.fails(1, &["inspect", "web"]);
        assert!(error.contains("no such container"), "{error}");
        let output = hoist.output(&["ps", "-aq", "--no-trunc"]);
        assert!(output.stderr.is_empty());
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), other);
    }
}

fn nothing_can_be_read() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--restart", "always"], "sleep 1000 & exec sleep 1000");
    let pid = hoist.ok(&["inspect", "-f", "{{.State.Pid}}", &id]);
    let cgroups = cgroups(&pid, &id);
    let record = hoist.state_root().join("containers").join(&id);
    for file in ["config.json", "state.json", "process.json"] {
        fs::write(record.join(file), "").unwrap();
    }
    // Without a supervisor it is found by its cgroup alone.
    let supervisor = hoist.state_root().join("supervisors").join(&id);
    for file in ["options.json", "status.json"] {
        fs::write(supervisor.join(file), "{").unwrap();
    }
    hoist.ok(&["rm", "-f", &id[..12]]);
    ends(&pid);
    nothing_is_left(&hoist, "containers", &id);
    for path in cgroups {
        assert!(!path.exists(), "{} is left", path.display());
    }
}

fn not_running() {
    let hoist = Hoist::new();
    let created = hoist.ok(&["create", "--", "true"]);
    let ended = hoist.detached(&[], "exit 3");
    hoist.ok(&["wait", &ended]);
    let restarted = hoist.detached(&[], "exit 3");
    hoist.ok(&["wait", &restarted]);
    let missing = hoist.ok(&["create", "--", "true"]);
    until("their supervisors have ended", || {
        [&ended, &restarted]
            .iter()
            .all(|id| hoist.supervisor(id).is_none())
    });
    let root = hoist.state_root();
    let of = |folder: &str, id: &str, file: &str| root.join(folder).join(id).join(file);
    fs::write(of("containers", &created, "state.json"), "\u{0}").unwrap();
    fs::write(of("containers", &ended, "exit.json"), b"\xff").unwrap();
    fs::write(of("supervisors", &restarted, "status.json"), "").unwrap();
    fs::remove_file(of("containers", &missing, "config.json")).unwrap();
    let output = hoist.output(&["ps", "-a"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    for id in [&created, &ended, &restarted, &missing] {
        let remedy = format!("hoist rm --force {id}");
        assert!(errors.contains(&remedy), "{errors}");
        hoist.ok(&["rm", "-f", id]);
        nothing_is_left(&hoist, "containers", id);
    }
    let output = hoist.output(&["ps", "-a"]);
    assert!(output.stderr.is_empty());
}

fn volumes_stay() {
    let hoist = Hoist::new();
    let id = hoist.ok(&["create", "-v", "data:/data", "--", "true"]);
    let config = hoist
        .state_root()
        .join("containers")
        .join(&id)
        .join("config.json");
    fs::write(config, "").unwrap();
    let error = hoist.fails(1, &["volume", "rm", "data"]);
    assert!(error.contains(&format!("perhaps {id}")), "{error}");
    assert_eq!(hoist.ok(&["volume", "prune", "-f"]), "");
    hoist.ok(&["rm", "-f", &id]);
    assert_eq!(hoist.ok(&["volume", "prune", "-f"]), "data");
}

//! Containers whose record is damaged: they keep nobody from seeing the others, and can be removed.

use std::{
    fs,
    process::{Child, Command},
};

use crate::on_windows::{Case, Place};

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "whichever file of a record is damaged, the others are listed, each command on it says which, and rm -f removes all that is left",
        |place| each_file(place, "containers", |place, name| place.running(name, &[])),
    ),
    (
        "whichever file of a plain process's record is damaged, the others are listed, each command on it says which, and rm -f removes all that is left",
        |place| each_file(place, r"unisolated\containers", Place::running_unisolated),
    ),
];

/// What `rm -f` says of a container that was damaged so.
fn found(folder: &str, file: &str) -> &'static str {
    match (folder, file) {
        ("containers", _) => "its system, with all its processes",
        // The name of its job stands there alone.
        (_, "process-0.json") => "not the processes of container",
        _ => "and what it has started",
    }
}

fn each_file(place: &Place, folder: &str, running: fn(&Place, &str) -> Child) {
    let mut other_owner = running(place, "other");
    let other = place.inspect("other")["Id"].as_str().unwrap().to_owned();
    for file in ["config.json", "process-0.json", "run.json", "exit-0.json"] {
        let mut owner = running(place, "web");
        let told = place.inspect("web");
        let id = told["Id"].as_str().unwrap();
        let path = place.record(folder, id).join(file);
        fs::write(&path, "{\"version\":").unwrap();
        let path = path.display().to_string();
        for words in [
            &["ps", "-a", "-q", "--no-trunc"][..],
            &["ps", "-q", "--no-trunc"],
            &["stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}"],
            &["prune", "-f"],
        ] {
            let ran = place.hoist(words);
            assert_eq!(ran.code, 0, "{file}: {words:?}: {ran:?}");
            let remedy = format!("hoist rm --force {id}");
            for words in [&path, &remedy] {
                assert!(ran.err.contains(words), "{file}: {words}: {ran:?}");
            }
            let listed = if words[0] == "prune" { "" } else { &*other };
            assert_eq!(ran.out.trim(), listed, "{file}: {words:?}");
        }
        for words in [
            &["inspect", "web"][..],
            &["stop", "-t", "1", "web"],
            &["rm", "web"],
            &["rm", id],
        ] {
            let ran = place.hoist(words);
            assert_eq!(ran.code, 1, "{file}: {words:?}: {ran:?}");
            assert!(ran.err.contains(&path), "{file}: {words:?}: {ran:?}");
        }
        let removed = place.hoist(&["rm", "-f", "web"]);
        for words in [
            "was damaged: removed",
            found(folder, file),
            "its name web",
            "its record",
        ] {
            assert!(removed.err.contains(words), "{file}: {words}: {removed:?}");
        }
        assert_eq!(removed.succeeded(), "web\n");
        assert!(!place.record(folder, id).exists(), "{file}");
        if found(folder, file).starts_with("not") {
            let pid = told["State"]["Pid"].to_string();
            let ended = Command::new("taskkill").args(["/F", "/PID", &pid]).output();
            assert!(ended.unwrap().status.success());
        }
        owner.wait().unwrap();
        let ran = place.hoist(&["ps", "-aq", "--no-trunc"]);
        assert_eq!((ran.out.trim(), ran.err.as_str()), (&*other, ""), "{file}");
    }
    place.hoist(&["rm", "-f", "other"]).succeeded();
    other_owner.wait().unwrap();
}

//! The table of operations and edges in `docs/windows.md`: every test that it names exists.
//!
//! A name in the second column is a scenario of the recordings (`*` for any part of it), or `FILE::NAME`, with the file below `crates`
//! and the name of a function or the sentence of a case.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use hoist_hcs::{Dialect, Guid, Settings, lower, request::ContainerRequest};

const SECTION: &str = "## Operations and edges";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names in the second column, with the row they stand in.
fn named(document: &str) -> Vec<(String, String)> {
    let section = document.split(SECTION).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut names = Vec::new();
    for row in section.lines().filter(|line| line.starts_with('|')).skip(2) {
        let column = row.split(" | ").nth(1).unwrap_or_default();
        let in_row = column.split('`').skip(1).step_by(2);
        let before = names.len();
        names.extend(in_row.map(|name| (name.to_owned(), row.to_owned())));
        assert!(names.len() > before, "no test is named: {row}");
    }
    names
}

fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((begin, end)) => {
            name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
        }
    }
}

/// What a file says, on one line: sentences are broken where they are long.
fn text_of(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn every_test_that_the_table_names_exists() {
    let document = fs::read_to_string(repository().join("docs/windows.md")).unwrap();
    let names = named(&document);
    assert!(names.len() > 60, "only {} names were found", names.len());
    let recordings = repository().join("../shared/fixtures/hcs-recorded");
    // Beside the repository, and not part of it.
    let scenarios: Option<Vec<String>> = fs::read_dir(recordings).ok().map(|files| {
        files
            .filter_map(|file| file.unwrap().file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .collect()
    });
    let exists = |name: &str| match name.split_once("::") {
        Some((file, test)) => {
            text_of(&repository().join("crates").join(file)).is_some_and(|text| {
                text.contains(&format!("fn {test}("))
                    || text.contains(&format!("\"{test}\""))
                    || text.contains(&format!("const {test}: "))
            })
        }
        None => scenarios
            .as_ref()
            .is_none_or(|all| all.iter().any(|scenario| is_like(scenario, name))),
    };
    let lost: Vec<_> = names.iter().filter(|(name, _)| !exists(name)).collect();
    assert!(lost.is_empty(), "no such test: {lost:#?}");
}

#[test]
fn a_name_that_is_none_is_noticed() {
    let names = named(
        "## Operations and edges\n\n| a | b | c |\n| --- | --- | --- |\n| x | `one`, `two::three` | `no` |\n",
    );
    let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["one", "two::three"]);
    assert!(is_like("run-port-tcp", "run-port-*") && !is_like("run-mac", "run-port-*"));
}

/// Of security.md, section 2d: CVE-2026-33414 and CVE-2025-15558. Outside tests nothing for Windows starts a program of this machine: there is no line
/// of a shell to put text into, and no folder in which a helper is looked for.
#[test]
fn no_program_of_the_host_is_started() {
    let folders = [
        "hcs/src",
        "engine/src/foreground/windows",
        "cli/src/commands/platform/windows.rs",
    ];
    let files = sources(&folders);
    assert!(files.len() > 40, "only {} files were read", files.len());
    for (path, text) in files {
        for word in [
            "process::command",
            "createprocessw(",
            "shellexecute",
            "powershell",
        ] {
            assert!(!text.contains(word), "{word} in {}", path.display());
        }
    }
}

/// The files below these folders of `crates`, in small letters.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let crates = repository().join("crates");
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| crates.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        files.push((path, text));
    }
    files
}

/// Of security.md, section 2d: CVE-2018-8115, code on the host by way of an image's import. Hoist takes layers that others have prepared and gives
/// their paths to the service: it unpacks, imports and mounts none, and reads no file of one.
#[test]
fn no_layer_is_imported_or_written_to() {
    let files = sources(&["hcs/src"]);
    assert!(
        files
            .iter()
            .any(|(_, text)| text.contains("layer_folder_path"))
    );
    for (path, text) in files {
        for word in [
            "importlayer",
            "processbaseimage",
            "backupwrite",
            "createlayer",
            "preparelayer",
            "activatelayer",
            "createsandboxlayer",
            "createsymboliclink",
        ] {
            assert!(!text.contains(word), "{word} in {}", path.display());
        }
    }
}

/// Of security.md, section 2d: CVE-2026-53488, and annotations as arguments (CVE-2026-44210). Whatever an image says (its program, arguments, variables,
/// user, names and annotations) chooses nothing of the host: no path, pipe, layer, device, credential or network.
#[test]
fn nothing_that_an_image_says_chooses_what_is_the_hosts() {
    const MARK: &str = "from-the-image";
    let spec = serde_json::json!({
        "ociVersion": "1.2.0",
        "root": {"path": r"\\?\Volume{1}\"},
        "hostname": MARK,
        "process": {
            "args": [MARK, r"\\.\pipe\from-the-image"],
            "env": [format!("LayerFolderPath={MARK}"), format!("{MARK}={MARK}")],
            "cwd": format!("C:\\{MARK}"),
            "user": {"uid": 0, "gid": 0, "username": MARK},
        },
        "annotations": {
            "HostPath": MARK,
            "LayerFolderPath": MARK,
            "org.opencontainers.image.os.version": MARK,
            "io.microsoft.virtualmachine.lcow.kirdbootoptions": MARK,
        },
        "windows": {"layerFolders": [r"C:\l1", r"C:\l2"], "hyperv": {}},
    });
    for dialect in [
        Dialect::Docker110,
        Dialect::Docker112,
        Dialect::Schema1,
        Dialect::Schema2,
    ] {
        let mut spec = spec.clone();
        if dialect == Dialect::Schema2 {
            spec["windows"].as_object_mut().unwrap().remove("hyperv");
        }
        // What a dialect does not have is refused; that is no choice either.
        if dialect != Dialect::Schema1 && dialect != Dialect::Schema2 {
            spec["process"]["user"]
                .as_object_mut()
                .unwrap()
                .remove("username");
        }
        let oci = serde_json::from_value(spec).unwrap();
        let settings = Settings::docker(dialect);
        let request = ContainerRequest::from_spec("c1", &oci).unwrap();
        let ids = vec![Guid::of_layer_name("l1"); request.layer_paths.len()];
        let document = lower::configuration(&request, &ids, &[], &settings).unwrap();
        let mut document: serde_json::Value = serde_json::from_str(&document).unwrap();
        // The container's own name, which its processes see.
        for place in ["/HostName", "/Container/GuestOs/HostName"] {
            if let Some(name) = document.pointer_mut(place) {
                assert_eq!(name.take(), MARK, "{dialect:?}");
            }
        }
        assert!(
            !document.to_string().contains(MARK),
            "{dialect:?}: {document}"
        );
    }
}

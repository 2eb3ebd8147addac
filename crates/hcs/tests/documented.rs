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
    let mut left: Vec<PathBuf> = folders
        .iter()
        .map(|folder| repository().join("crates").join(folder))
        .collect();
    let mut read = 0;
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        read += 1;
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        for word in [
            "process::command",
            "createprocessw(",
            "shellexecute",
            "powershell",
        ] {
            assert!(!text.contains(word), "{word} in {}", path.display());
        }
    }
    assert!(read > 40, "only {read} files were read");
}

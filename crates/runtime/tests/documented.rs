//! The tests that docs/security.md and docs/oci.md name are there, under those names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of every Rust file below `folder`, with literals of several lines put together.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// The last cells of the tables below the heading `heading`.
fn last_cells(document: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join("docs").join(document)).unwrap();
    let section = text.split(heading).nth(1).expect("the heading is there");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let cells = rows.map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap());
    cells
        .filter(|cell| !matches!(*cell, "test" | "---"))
        .map(str::to_owned)
        .collect()
}

/// A test's name as a literal, or as a function's name.
fn is_named(name: &str, sources: &str) -> bool {
    let function = name.replace([' ', '-'], "_").replace([',', '\''], "");
    sources.contains(&format!("\"{name}\"")) || sources.contains(&format!("fn {function}("))
}

/// What is missing of what a cell names: tests of this crate, of another one (`crate`: …), or all of a file or module.
fn missing(cell: &str, own: &str) -> Vec<String> {
    let mut found = own.to_owned();
    let mut missing = Vec::new();
    for part in cell.split("; ").map(str::trim) {
        let mut name = part;
        if let Some((place, rest)) = part
            .strip_prefix('`')
            .and_then(|part| part.split_once("`: "))
        {
            let place = match place.strip_prefix("hoist-") {
                Some(folder) => format!("crates/{folder}"),
                None => place.to_owned(),
            };
            let path = workspace().join(&place);
            let file = path.with_extension("rs");
            found = match path.is_dir() {
                true => sources(&path),
                false => fs::read_to_string(&file).unwrap_or_else(|_| panic!("{place}")),
            };
            name = rest;
        }
        let module = |name: &str| {
            let name = name
                .trim_matches('`')
                .rsplit("::")
                .next()
                .unwrap_or_default();
            let has = |of: &str| {
                of.contains(&format!("mod {name};")) || of.contains(&format!("mod {name} {{"))
            };
            has(&found) || has(&sources(&workspace().join("crates/linux/src")))
        };
        let is_there = match name {
            "–" | "the same" => true,
            _ => match name
                .strip_prefix("the tests of ")
                .or_else(|| name.strip_prefix("unit tests of "))
            {
                Some(file) => module(file),
                None => is_named(name, &found) || (!name.contains(' ') && module(name)),
            },
        };
        if !is_there {
            missing.push(name.to_owned());
        }
    }
    missing
}

#[test]
fn every_test_that_the_documents_name_is_there() {
    let own = sources(&workspace().join("crates/runtime"));
    let mut cells = last_cells("security.md", "## Attack, defence, test");
    assert!(cells.len() > 25, "{cells:#?}");
    let fields = last_cells("oci.md", "## Every field of the specification");
    assert!(fields.len() > 40, "{fields:#?}");
    cells.extend(fields);
    let missing: Vec<String> = cells.iter().flat_map(|cell| missing(cell, &own)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_test_that_is_not_there_is_missed() {
    let own = "fn a_good_one() {} \"another: good one\" mod paths;";
    assert!(
        missing(
            "a good one; another: good one; the tests of `paths`; –",
            own
        )
        .is_empty()
    );
    assert_eq!(missing("a bad one; the same", own), ["a bad one"]);
    assert_eq!(
        missing("the tests of `nowhere_at_all`", own),
        ["the tests of `nowhere_at_all`"]
    );
    assert_eq!(
        missing("`hoist-linux`: no such module here", own),
        ["no such module here"]
    );
}

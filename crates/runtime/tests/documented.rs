//! The tests that docs/security.md and docs/oci.md name are there, under those names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

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

/// The published schemas, by the names of their files.
fn schemas() -> BTreeMap<String, Value> {
    let folder = workspace().join("crates/runtime/tests/oci/schema");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (
                name,
                serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(),
            )
        })
        .collect()
}

/// Adds every field of `schema`, a part of `file`, by its path from `at`; no matter how many of it there are in a list or a map.
fn fields_of(
    schemas: &BTreeMap<String, Value>,
    file: &str,
    schema: &Value,
    at: &str,
    found: &mut BTreeSet<String>,
) {
    for (word, rule) in schema.as_object().into_iter().flatten() {
        match (word.as_str(), rule) {
            ("$ref", Value::String(reference)) => {
                let (other, pointer) = reference.split_once('#').unwrap();
                let other = if other.is_empty() { file } else { other };
                let schema = schemas[other].pointer(pointer).unwrap();
                fields_of(schemas, other, schema, at, found);
            }
            ("properties", Value::Object(fields)) => {
                for (name, schema) in fields {
                    let path = match at {
                        "" => name.clone(),
                        at => format!("{at}.{name}"),
                    };
                    fields_of(schemas, file, schema, &path, found);
                    found.insert(path);
                }
            }
            ("patternProperties", Value::Object(all)) => {
                for schema in all.values() {
                    fields_of(schemas, file, schema, at, found);
                }
            }
            ("items" | "additionalProperties", schema) => {
                fields_of(schemas, file, schema, at, found);
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => {
                for schema in all {
                    fields_of(schemas, file, schema, at, found);
                }
            }
            _ => {}
        }
    }
}

/// What a row of the table of fields is about: the paths that its first cell names, and every word between backquotes.
///
/// The first path is whole, and so are others with a dot; one without stands beside the first.
struct Row {
    paths: Vec<String>,
    words: BTreeSet<String>,
}

impl Row {
    fn of(row: &str) -> Self {
        let quoted = |text: &str| -> Vec<String> {
            let parts = text.split('`').skip(1).step_by(2);
            parts.map(|part| part.replace("[]", "")).collect()
        };
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let named = quoted(cells[0]);
        let beside = named.first().and_then(|first| first.rsplit_once('.'));
        let paths = named.iter().enumerate().map(|(index, path)| match beside {
            Some((place, _)) if index > 0 && !path.contains('.') => format!("{place}.{path}"),
            _ => path.clone(),
        });
        Self {
            paths: paths.collect(),
            words: quoted(&cells[..2].join(" "))
                .iter()
                .flat_map(|text| text.split('.'))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Whether it names the field: by its path, by its name beside the path of what it is in, or by the path of what is in it.
    fn names(&self, field: &str) -> bool {
        let below = format!("{field}.");
        if self.paths.iter().any(|path| path.starts_with(&below)) {
            return true;
        }
        let field: Vec<&str> = field.split('.').collect();
        self.paths.iter().any(|path| {
            let path: Vec<&str> = path.split('.').collect();
            let begins = path.len() <= field.len()
                && path
                    .iter()
                    .zip(&field)
                    .all(|(step, name)| step == name || *step == "*");
            let is_all = path.len() == field.len();
            begins && (is_all || field.last().is_some_and(|name| self.words.contains(*name)))
        })
    }
}

fn rows_of_fields() -> Vec<Row> {
    let text = fs::read_to_string(workspace().join("docs/oci.md")).unwrap();
    let section = text
        .split("## Every field of the specification")
        .nth(1)
        .expect("the heading is there");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(Row::of).collect()
}

#[test]
fn every_field_of_the_published_schemas_is_in_the_table_of_fields() {
    let schemas = schemas();
    let mut fields = BTreeSet::new();
    fields_of(
        &schemas,
        "config-schema.json",
        &schemas["config-schema.json"],
        "",
        &mut fields,
    );
    // Those of other systems are there as a whole.
    let others = ["freebsd.", "solaris.", "vm.", "windows.", "zos."];
    fields.retain(|field| !others.iter().any(|other| field.starts_with(other)));
    assert!(fields.len() > 150, "{}", fields.len());
    for known in [
        "process.user.umask",
        "linux.seccomp.syscalls.args.op",
        "windows",
    ] {
        assert!(fields.contains(known), "{known}");
    }
    let rows = rows_of_fields();
    let missing: Vec<&String> = fields
        .iter()
        .filter(|field| !rows.iter().any(|row| row.names(field)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_row_names_its_fields_and_no_others() {
    let row = Row::of("| `a.b` (`x`, `y`), `c`, other words | does `z` | a test |");
    for field in ["a", "a.b", "a.b.x", "a.b.y", "a.c", "a.b.deeper.z"] {
        assert!(row.names(field), "{field}");
    }
    for field in ["b", "a.d", "a.b.w", "x", "d.x"] {
        assert!(!row.names(field), "{field}");
    }
    let row = Row::of("| `hooks.*.path`, `env` | | |");
    assert!(row.names("hooks.prestart.env") && !row.names("hooks.prestart.args"));
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

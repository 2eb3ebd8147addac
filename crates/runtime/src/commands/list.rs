//! `list`: the containers below the root.

use std::fmt::Write;

use hoist_compute::{ComputeService, ErrorKind};

use super::print;
use super::state::{Shown, compact};
use crate::args::{Arguments, Flag};
use crate::failure::Failure;
use crate::global::Global;

/// Flags of `list`.
pub(crate) const FLAGS: [Flag; 2] = [
    Flag::with_value("format", "FORMAT", "table (default) or json").or("f"),
    Flag::switch("quiet", "print ids only").or("q"),
];

pub(crate) fn list(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let service = global.service()?;
    // Nobody else can make any here: the folder is the caller's.
    let owner = name_of(rustix::process::geteuid().as_raw());
    let mut all = Vec::new();
    let survey = service.survey()?;
    // As runc does: one that cannot be read keeps no other from being listed.
    for error in survey.unreadable {
        global.log.warning(&Failure::from(error).message);
    }
    let service = global.service()?;
    for summary in survey.summaries {
        let shown = service
            .open_for_runtime(&summary.id)
            .map_err(Failure::from)
            .and_then(|container| Shown::of(&container));
        match shown {
            Ok(mut shown) => {
                shown.owner.clone_from(&owner);
                all.push(shown);
            }
            // Removed at this moment.
            Err(_) if is_gone(&service, &summary.id) => {}
            Err(failure) => return Err(failure),
        }
    }
    if arguments.has("quiet") {
        let ids: String = all.iter().map(|shown| format!("{}\n", shown.id)).collect();
        return if ids.is_empty() { Ok(0) } else { print(&ids) };
    }
    match arguments.value("format") {
        None | Some("table") => print(&table(&all)),
        Some("json") if all.is_empty() => print("null"),
        Some("json") => print(&compact(&all)?),
        Some(_) => Err(Failure::usage("invalid format option")),
    }
}

fn is_gone(service: &hoist_linux::LinuxService, id: &hoist_spec::ContainerId) -> bool {
    service
        .open_for_runtime(id)
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// The name of a user in this machine's own table (passwd(5)), or else its number, as runc writes it.
fn name_of(uid: u32) -> String {
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("#{uid}"))
}

fn table(all: &[Shown]) -> String {
    const TITLES: [&str; 6] = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    let rows: Vec<[String; 6]> = all
        .iter()
        .map(|shown| {
            [
                shown.id.clone(),
                shown.pid.to_string(),
                shown.status.to_owned(),
                shown.bundle.display().to_string(),
                shown.created.clone(),
                shown.owner.clone(),
            ]
        })
        .collect();
    // As runc has it: three blanks between columns of at least twelve.
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count() + 3);
        let lengths = lengths.chain([TITLES[column].len() + 3, 12]);
        lengths.max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..TITLES.len()).map(width).collect();
    let mut text = String::new();
    for row in std::iter::once(&TITLES.map(str::to_owned)).chain(&rows) {
        for (column, width) in row.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(text, "{column:width$}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

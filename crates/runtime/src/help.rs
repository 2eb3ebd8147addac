//! Help and version texts, made from the tables of commands and flags.

use std::fmt::Write;

use crate::args::Flag;
use crate::commands::{COMMANDS, Command};
use crate::global;

/// The newest version of the OCI runtime spec whose fields are known.
pub(crate) const SPEC_VERSION: &str = "1.3.0";

/// As `runc --version`: engines read the third word of the first line, and the line `spec:`.
pub(crate) fn version() -> String {
    format!(
        "hoist-oci version {}\nspec: {SPEC_VERSION}\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The help of the program.
pub(crate) fn all() -> String {
    let mut text = String::from(
        "hoist-oci - OCI runtime over Linux namespaces and cgroups\n\nusage: hoist-oci [FLAG...] COMMAND [FLAG...] [WORD...]\n\ncommands:\n",
    );
    for command in &COMMANDS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:12}{}", command.name, command.about);
    }
    text.push_str("\nflags:\n");
    flags(&mut text, &global::FLAGS);
    text
}

/// The help of one command.
pub(crate) fn of(command: &Command) -> String {
    let mut text = format!(
        "hoist-oci {} - {}\n\nusage: hoist-oci {} [FLAG...] {}\n",
        command.name, command.about, command.name, command.words
    );
    if !command.flags.is_empty() {
        text.push_str("\nflags:\n");
    }
    command
        .flags
        .iter()
        .for_each(|group| flags(&mut text, group));
    text
}

fn flags(text: &mut String, flags: &[Flag]) {
    for flag in flags {
        let mut name = format!("--{}", flag.name);
        if !flag.short.is_empty() {
            let _ = write!(name, ", -{}", flag.short);
        }
        if !flag.value.is_empty() {
            let _ = write!(name, " {}", flag.value);
        }
        let _ = writeln!(text, "  {name:28}{}", flag.help);
    }
}

//! `--security-opt`.

use std::path::Path;

use super::OptionFacts;
use crate::{
    Fault, Faults,
    convert::{SeccompChoice, SecurityOption},
};

/// The options as a command takes them: a seccomp profile's file gives way to its text.
pub(super) fn read(
    given: Vec<String>,
    facts: &OptionFacts<'_>,
    faults: &mut Faults,
) -> Vec<String> {
    let mut options = Vec::new();
    for text in given {
        match SecurityOption::parse(&text) {
            Ok(SecurityOption::Seccomp(SeccompChoice::Profile(file))) => {
                match (facts.read_file)(Path::new(file)) {
                    Ok(profile) => options.push(format!("seccomp={profile}")),
                    Err(error) => faults.push(Fault::of_value(
                        "--security-opt",
                        &text,
                        format!("cannot be read: {error}"),
                    )),
                }
            }
            Ok(_) => options.push(text),
            Err(reason) => faults.push(Fault::of_value("--security-opt", text, reason)),
        }
    }
    options
}

//! The driver over the DLL's interface: the double of `vmcompute.dll` that `HOIST_TEST_HCS_DOUBLE` names. There are cases on
//! Windows alone, and under Wine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[cfg(windows)]
mod cases;
#[cfg(windows)]
mod contract;
#[cfg(windows)]
mod pipes;

fn main() -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

#[cfg(not(windows))]
fn trials() -> Vec<Trial> {
    Vec::new()
}

#[cfg(windows)]
fn trials() -> Vec<Trial> {
    use libtest_mimic::Completion;
    use std::path::PathBuf;

    const DOUBLE: &str = "HOIST_TEST_HCS_DOUBLE";
    let double = std::env::var_os(DOUBLE).map(PathBuf::from);
    let mut trials = vec![Trial::test(
        "a missing dll is named with what would help",
        || {
            cases::a_missing_dll_is_named_with_what_would_help();
            Ok(())
        },
    )];
    let cases = [cases::CASES, contract::CASES, pipes::CASES];
    for (name, case) in cases.concat() {
        let double = double.clone();
        trials.push(Trial::ignorable_test(name, move || match double {
            Some(path) => {
                case(&path);
                Ok(Completion::Completed)
            }
            None => Ok(Completion::ignored_with(format!(
                "{DOUBLE} names no double of vmcompute.dll"
            ))),
        }));
    }
    trials
}

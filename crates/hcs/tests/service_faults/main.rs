//! The contract over a service that loses notifications, fails, and does not do what it has accepted: the double of `vmcompute.dll` with
//! faults at will. There are cases on Windows alone, and under Wine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::process::ExitCode;

#[cfg(windows)]
mod ends;
#[cfg(windows)]
mod left;
#[cfg(windows)]
mod lost;
#[cfg(windows)]
mod place;
#[cfg(windows)]
mod random;
#[cfg(windows)]
mod streams;

#[cfg(not(windows))]
fn main() -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(windows)]
fn main() -> ExitCode {
    use std::{
        fs,
        io::{self, Write},
        path::Path,
        thread,
        time::Duration,
    };

    use hoist_testing::{full, windows::Double};
    use libtest_mimic::{Arguments, Completion, Trial};
    use serde_json::json;

    use place::{HANGS_AFTER, Place};

    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, first, id, folder] if first == "own" => ends::own(id, Path::new(folder)),
        [_, first] if first == "sleep" => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        [_, first, code] if first == "exit" => std::process::exit(code.parse().unwrap()),
        [_, first, count] if first == "write" => {
            io::stdout()
                .write_all(&vec![b'x'; count.parse().unwrap()])
                .unwrap();
            std::process::exit(6);
        }
        [_, first] if first == "drain" => {
            let taken = io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
            std::process::exit(i32::try_from(taken).unwrap() + 4);
        }
        _ => {}
    }
    let folder = std::env::temp_dir().join(format!("service-faults-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    if let Some(code) = Double::main(Some(&folder.join("faults.json"))) {
        let _ = fs::remove_dir_all(&folder);
        return code;
    }
    let cases = [
        ends::CASES,
        lost::CASES,
        streams::CASES,
        left::CASES,
        random::CASES,
    ];
    let trials = cases
        .concat()
        .into_iter()
        .map(|(name, case)| {
            let folder = folder.clone();
            Trial::ignorable_test(name, move || {
                if Double::path().is_none() {
                    let reason = "HOIST_TEST_HCS_DOUBLE names no double of vmcompute.dll";
                    return Ok(Completion::ignored_with(reason));
                }
                let place = Place::new(&folder);
                place.faults(&json!([]));
                let longest = if full() { 48 } else { 2 };
                hoist_testing::hangs_after(HANGS_AFTER * longest, move || {
                    case(&place);
                    place.faults(&json!([]));
                    place.assert_nothing_left();
                });
                Ok(Completion::Completed)
            })
        })
        .collect();
    let arguments = Arguments {
        test_threads: Some(1),
        ..Arguments::from_args()
    };
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    let _ = fs::remove_dir_all(&folder);
    code
}

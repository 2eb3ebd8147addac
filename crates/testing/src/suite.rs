//! A runner for tests that say what they need.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::Need;

/// Tests to be run by one test binary with `harness = false`.
#[derive(Default)]
pub struct Suite {
    trials: Vec<Trial>,
    serial: bool,
}

impl Suite {
    /// No tests yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs one test at a time: for tests that count what the whole process or machine has.
    pub fn serial(mut self) -> Self {
        self.serial = true;
        self
    }

    /// Adds a test. Its name is a sentence; it fails by a panic.
    pub fn test(
        self,
        name: impl Into<String>,
        needs: &'static [Need],
        run: impl FnOnce() + Send + 'static,
    ) -> Self {
        self.test_or_skip(name, needs, || {
            run();
            Ok(())
        })
    }

    /// Adds a test that may find while it runs that it cannot run here: `Err` with the reason.
    pub fn test_or_skip(
        mut self,
        name: impl Into<String>,
        needs: &'static [Need],
        run: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Self {
        self.trials.push(Trial::ignorable_test(name, move || {
            for need in needs {
                if let Some(reason) = need.missing() {
                    return if need.is_promised() {
                        Err(Failed::from(format!(
                            "HOIST_TESTS_MUST_RUN promises {need}, but {reason}"
                        )))
                    } else {
                        Ok(Completion::ignored_with(reason))
                    };
                }
            }
            Ok(match run() {
                Ok(()) => Completion::Completed,
                Err(reason) => Completion::ignored_with(reason),
            })
        }));
        self
    }

    /// Runs the tests that the command line names (all, where it names none).
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        if self.serial {
            arguments.test_threads = Some(1);
        }
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

//! How much a test does, and how long it may take.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Whether the full counts are asked for (`HOIST_TESTS_FULL=1`), where a test is bounded otherwise.
pub fn full() -> bool {
    std::env::var_os("HOIST_TESTS_FULL").is_some_and(|value| value != "0" && !value.is_empty())
}

/// Runs `work` and panics when it has not ended after `deadline`: for telling a hang from slow work, so generous.
pub fn hangs_after<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = mpsc::channel();
    // The thread is abandoned where it hangs: nothing can end it, and the process ends soon.
    thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(work));
        let _ = done.send(outcome);
    });
    match result.recv_timeout(deadline) {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => panic!("it hangs: nothing came within {deadline:?}"),
    }
}

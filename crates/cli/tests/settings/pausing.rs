//! Containers that are paused: they stand still, and can be ended.

use crate::hoist::{Hoist, until};

const COUNTS: &str = "i=0; while true; do i=$((i + 1)); echo $i; sleep 0.02; done";

pub(super) fn paused() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], COUNTS);
    until("it counts", || hoist.ok(&["logs", &id]).lines().count() > 3);
    hoist.ok(&["pause", &id]);
    assert!(hoist.status(&id).contains("(Paused)"));
    let mut before = String::new();
    until("all it had written is in the log", || {
        before = hoist.ok(&["logs", &id]);
        std::thread::sleep(std::time::Duration::from_millis(300));
        hoist.ok(&["logs", &id]) == before
    });
    hoist.fails(1, &["pause", &id]);
    hoist.ok(&["unpause", &id]);
    until("it goes on", || {
        hoist.ok(&["logs", &id]).lines().count() > before.lines().count()
    });
    hoist.fails(1, &["unpause", &id]);
}

pub(super) fn killed_while_paused() {
    let hoist = Hoist::new();
    let id = hoist.detached(&[], "sleep 1000");
    hoist.ok(&["pause", &id]);
    hoist.ok(&["rm", "-f", &id]);
    assert_eq!(hoist.ok(&["ps", "-aq"]), "");
    let id = hoist.detached(&[], "sleep 1000");
    hoist.ok(&["pause", &id]);
    hoist.ok(&["stop", "-t", "1", &id]);
    assert!(hoist.status(&id).starts_with("Exited"));
}

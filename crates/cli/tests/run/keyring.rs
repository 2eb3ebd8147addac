//! Session keyrings, which no namespace keeps apart.

use std::collections::BTreeSet;

use hoist_testing::command::{Hoist, Ran, finish};
use hoist_testing::probe::sys;
use hoist_testing::refuse_call;

const UNCONFINED: [&str; 2] = ["--security-opt", "seccomp=unconfined"];

pub(super) fn own_session_keyrings(hoist: &Hoist) {
    let of = |ran: Ran| ran.succeeded().trim().to_owned();
    let callers = sys::session_keyring().unwrap().to_string();
    let _running = hoist.background("web", &UNCONFINED, &["idle"]);
    let rings = BTreeSet::from([
        callers,
        of(hoist.run(&UNCONFINED, &["keyring"])),
        of(hoist.exec(&[], "web", &["keyring"])),
        of(hoist.exec(&[], "web", &["keyring"])),
    ]);
    assert_eq!(rings.len(), 4, "{rings:?}");
}

pub(super) fn a_filter_that_refuses_keys(hoist: &Hoist) {
    let keyctl = libc::SYS_keyctl as u32;
    let mut options = vec!["--rm"];
    options.extend(UNCONFINED);
    let mut command = hoist.container(&options, &["calls", "keyctl"]);
    refuse_call(&mut command, keyctl);
    let calls: serde_json::Value = finish(&mut command, b"").json();
    assert_eq!(calls["keyctl"], libc::EPERM);
}

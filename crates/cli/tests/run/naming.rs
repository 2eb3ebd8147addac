//! Names, ids, and what stays after the end.

use std::fs;

use hoist_testing::command::{Hoist, finish};

pub(super) fn remove(hoist: &Hoist) {
    hoist.run(&[], &["exit", "0"]).succeeded();
    hoist.run(&[], &["exit", "5"]).ended_with(5);
    assert_eq!(hoist.ids(), Vec::<String>::new());
    finish(&mut hoist.container(&[], &["exit", "5"]), b"").ended_with(5);
    let [id] = hoist.ids().try_into().unwrap();
    assert_eq!(hoist.inspect(&id)["State"]["ExitCode"], 5);
    hoist.remove(&id);
}

pub(super) fn name(hoist: &Hoist) {
    for _ in 0..2 {
        hoist
            .run(&["--name", "a-name_1.x"], &["exit", "0"])
            .succeeded();
    }
    finish(&mut hoist.container(&["--name", "x"], &["exit", "0"]), b"").succeeded();
    assert_eq!(hoist.inspect("x")["Name"], "/x");
    hoist
        .run(&["--name", "x"], &["exit", "0"])
        .failed_with(125, &["in use"]);
    hoist.remove("x");
    hoist.run(&["--name", "x"], &["exit", "0"]).succeeded();
}

pub(super) fn id_file(hoist: &Hoist) {
    let file = hoist.path("id");
    finish(
        &mut hoist.container(&["--cidfile", &file], &["exit", "0"]),
        b"",
    )
    .succeeded();
    let id = fs::read_to_string(&file).unwrap();
    assert_eq!(hoist.ids(), std::slice::from_ref(&id));
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hoist.remove(&id);
}

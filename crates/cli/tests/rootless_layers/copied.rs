//! A copy of layers that is kept: what is written to it, and what a start left that was killed.

use std::fs;
use std::path::Path;

use hoist_testing::command::Hoist;

use super::layers::{layers, own, servers};
use super::user::{Method, User};

pub(super) fn kept_copy(hoist: &Hoist) {
    let layers = layers(hoist);
    let user = User::with(hoist, Method::Copy);
    let kept = user.folder("kept");
    // What a start left that was killed while it copied.
    fs::create_dir_all(format!("{kept}/copy.unfinished/merged/deep")).unwrap();
    fs::write(format!("{kept}/copy.unfinished/merged/below"), "torn").unwrap();
    own(Path::new(&kept));
    let options = ["--name", "web", "--layer-folder", &kept];
    let ran = user.run(
        &layers,
        &options,
        &["put", "/merged/new", "kept", "+", "read", "/merged/below"],
    );
    assert_eq!(ran.succeeded().trim(), "below");
    assert!(!Path::new(&kept).join("copy.unfinished").exists());
    let changes = user.hoist(&["diff", "web"]).succeeded();
    assert!(
        changes.contains("A /merged/new") && !changes.contains("below"),
        "{changes}"
    );
    let out = hoist.path("out");
    user.hoist(&["cp", "web:/merged/new", &out]).succeeded();
    assert_eq!(fs::read_to_string(out).unwrap(), "kept");
    user.hoist(&["rm", "web"]).succeeded();
    // Whatever can be had later, the copy is what was written to.
    let user = User::with(hoist, Method::Fuse);
    let options = ["--rm", "--layer-folder", &kept];
    assert_eq!(
        user.run(&layers, &options, &["read", "/merged/new"])
            .succeeded()
            .trim(),
        "kept"
    );
    assert!(servers(&layers).is_empty());
}

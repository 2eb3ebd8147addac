//! The folder that keeps what was written over layers.

use super::inside;
use crate::hoist::Hoist;

pub(super) fn layer_folder() {
    let hoist = Hoist::new();
    let (base, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    if hoist_testing::root::busybox(base.path()).unwrap().is_none() {
        return;
    }
    let kept = folder.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    let options = [
        "--layer",
        base.path().to_str().unwrap(),
        "--layer-folder",
        kept.to_str().unwrap(),
    ];
    inside(&hoist, &options, "echo text > /written; rm /bin/yes");
    assert_eq!(
        inside(
            &hoist,
            &options,
            "cat /written; ls /bin/yes 2>/dev/null || echo gone"
        ),
        "text\ngone"
    );
    assert!(!base.path().join("written").exists() && base.path().join("bin/yes").is_symlink());
}

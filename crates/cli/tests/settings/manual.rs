//! The manual pages.

use crate::hoist::Hoist;

pub(super) fn manual_pages() {
    let hoist = Hoist::new();
    let folder = hoist.state_root().join("man");
    hoist.ok(&["man", folder.to_str().unwrap()]);
    for page in ["hoist.1", "hoist-run.1", "hoist-logs.1", "hoist-stats.1"] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    std::fs::remove_dir_all(folder).unwrap();
    assert!(hoist.ok(&["man"]).contains(".SH SYNOPSIS"));
}

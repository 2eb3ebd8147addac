//! Labels and annotations.

use crate::hoist::Hoist;

pub(super) fn labels() {
    let hoist = Hoist::new();
    let options = [
        "--label",
        "a=b=c",
        "--label",
        "plain",
        "--annotation",
        "org.x=y",
    ];
    let id = hoist.detached(&options, "true");
    let inspected: serde_json::Value = serde_json::from_str(&hoist.ok(&["inspect", &id])).unwrap();
    let labels = &inspected[0]["Config"]["Labels"];
    assert_eq!(
        labels,
        &serde_json::json!({"a": "b=c", "plain": "", "org.x": "y"})
    );
}

//! What containers use.

use crate::hoist::Hoist;

pub(super) fn stats() {
    let hoist = Hoist::new();
    let id = hoist.detached(&["--name", "busy", "-m", "64m"], "while true; do :; done");
    let table = hoist.ok(&["stats", "--no-stream"]);
    let mut lines = table.lines();
    assert!(
        lines.next().unwrap().starts_with("CONTAINER ID   NAME"),
        "{table}"
    );
    let line = lines.next().unwrap();
    assert!(
        line.starts_with(&id[..12]) && line.contains("64.00MiB"),
        "{line}"
    );
    let json = hoist.ok(&[
        "stats",
        "--no-stream",
        "--no-trunc",
        "--format",
        "json",
        "busy",
    ]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["ID"], &json["Name"], &json["PIDs"]),
        (&id.clone().into(), &"busy".into(), &"1".into())
    );
    let percent: f64 = json["CPUPerc"]
        .as_str()
        .unwrap()
        .trim_end_matches('%')
        .parse()
        .unwrap();
    assert!(percent > 0.0, "{json}");
    hoist.ok(&["kill", &id]);
    hoist.ok(&["wait", &id]);
    hoist.fails(1, &["stats", "--no-stream", "busy"]);
}

//! By which method layers are put together: each shows them as an overlay does, and it is said which and why.

use std::fs;

use hoist_testing::command::Hoist;
use serde_json::Value;

use super::layers::{layers, no_servers_soon};
use super::user::{Method, User};

pub(super) fn shows_layers(hoist: &Hoist, method: Method) {
    let layers = layers(hoist);
    let user = User::with(hoist, method);
    let read = |paths: &[&str]| {
        let mut words = Vec::new();
        for path in paths {
            if !words.is_empty() {
                words.push("+");
            }
            words.extend(["read", path]);
        }
        user.run(&layers, &["--rm"], &words)
    };
    let text = read(&[
        "/merged/below",
        "/merged/covered",
        "/opaque/shown",
        "/was-a-file/now",
        "/link",
    ]);
    assert_eq!(text.succeeded().replace('\n', ""), "belowaboveyzbelow");
    for hidden in ["/opaque/hidden", "/gone", "/gone-with-all/deep/file"] {
        let ran = read(&[hidden]);
        assert!(
            ran.code != 0 && ran.stderr.contains("ENOENT") || ran.stderr.contains("No such file"),
            "{hidden}: {ran:?}"
        );
    }
    // It can be written, what is below is not changed by that, and the next container sees nothing of it.
    let ran = user.run(
        &layers,
        &["--rm"],
        &[
            "put",
            "/merged/below",
            "written",
            "+",
            "read",
            "/merged/below",
        ],
    );
    assert_eq!(ran.succeeded().trim(), "written");
    assert_eq!(
        fs::read_to_string(format!("{}/merged/below", layers[0])).unwrap(),
        "below"
    );
    assert_eq!(read(&["/merged/below"]).succeeded().trim(), "below");
    // A read-only root is one.
    let ran = user.run(
        &layers,
        &["--rm", "--read-only"],
        &["put", "/merged/below", "written"],
    );
    assert_ne!(ran.code, 0, "{ran:?}");
    no_servers_soon(&layers);
}

fn feature(user: &User<'_>) -> Value {
    let info: Value = user.hoist(&["info", "-f", "json"]).json();
    let features = info["features"].as_array().unwrap();
    features
        .iter()
        .find(|feature| feature["name"] == "layers")
        .unwrap()
        .clone()
}

pub(super) fn said(hoist: &Hoist) {
    let layers = layers(hoist);
    for (method, info, plan) in [
        (
            Method::Fuse,
            "/fuse-overlayfs: overlayfs of Linux 2.6 is not for ordinary users",
            "2 layers shown by fuse-overlayfs",
        ),
        (Method::Copy, "copied for each container", "copy 2 layers"),
    ] {
        let user = User::with(hoist, method);
        let feature = feature(&user);
        let detail = feature["detail"].as_str().unwrap();
        assert!(detail.contains(info), "{feature}");
        assert!(
            feature["remedy"].as_str().unwrap().contains("Linux 5.11"),
            "{feature}"
        );
        assert_eq!(
            method == Method::Copy,
            detail.contains("fuse-overlayfs is not installed"),
            "{feature}"
        );
        let words = ["plan", "--layer", &layers[0], "--layer", &layers[1], "sh"];
        let said = user.hoist(&words).succeeded();
        assert!(said.contains(plan), "{said}");
        let mut words = vec![
            "--log-level",
            "debug",
            "run",
            "--rm",
            "-e",
            "HOIST_TEST_TAG",
        ];
        words.extend(layers.iter().flat_map(|layer| ["--layer", layer.as_str()]));
        words.extend(["--", "/probe", "probe", "exit", "0"]);
        let ran = user.hoist(&words);
        assert!(ran.stderr.contains(plan), "{ran:?}");
    }
}

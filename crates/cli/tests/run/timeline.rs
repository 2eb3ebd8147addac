//! `--timeline`.

use std::{collections::BTreeMap, fs};

use hoist_testing::command::Hoist;
use serde_json::Value;

pub(super) fn picture(hoist: &Hoist) {
    let file = hoist.path("start.svg");
    hoist
        .run(&["--timeline", &file, "-e", "X=<&>\""], &["say", "<&>"])
        .succeeded();
    let svg = fs::read_to_string(&file).unwrap();
    well_formed(&svg);
    for word in ["hoist run", "owner", "process", "helper", "execute"] {
        assert!(svg.contains(word), "{word}");
    }
}

/// Whether every element of an XML text ends where it should and nothing stands outside of the one root.
fn well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.trim();
    let mut roots = 0;
    while let Some(start) = rest.find('<') {
        let between = &rest[..start];
        assert!(!between.contains('>'), "{between}");
        assert!(!open.is_empty() || between.trim().is_empty(), "{between}");
        for reference in between.split('&').skip(1) {
            assert!(reference.contains(';'), "a bare & in {between}");
        }
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag
            .trim_start_matches('/')
            .split([' ', '/', '\n'])
            .next()
            .unwrap();
        if tag.starts_with(['?', '!']) {
        } else if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else {
            roots += usize::from(open.is_empty());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(rest.trim().is_empty() && open.is_empty(), "{open:?} {rest}");
    assert_eq!(roots, 1);
}

pub(super) fn trace(hoist: &Hoist) {
    let file = hoist.path("start.json");
    hoist
        .run(&["--timeline", &file], &["exit", "0"])
        .succeeded();
    let trace: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let mut lanes: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    for event in events {
        match event["ph"].as_str().unwrap() {
            "X" => {
                let number = |name: &str| event[name].as_f64().unwrap();
                assert!(number("ts") >= 0.0 && number("dur") >= 0.0, "{event}");
                assert!(!event["name"].as_str().unwrap().is_empty());
                lanes
                    .entry(event["tid"].as_u64().unwrap())
                    .or_default()
                    .push((number("ts"), number("ts") + number("dur")));
            }
            "M" => assert!(event["args"]["name"].is_string(), "{event}"),
            other => panic!("{other}: {event}"),
        }
    }
    assert!(
        lanes.len() >= 3,
        "the owner, the helper and the process: {trace}"
    );
    for bars in lanes.values_mut() {
        bars.sort_by(|a, b| a.partial_cmp(b).unwrap());
        for pair in bars.windows(2) {
            let [(_, end), (begin, inner_end)] = pair else {
                unreachable!()
            };
            let contained = inner_end <= end;
            // Nanoseconds, written as microseconds.
            assert!(begin + 0.001 >= *end || contained, "{pair:?}");
        }
    }
}

pub(super) fn no_timeline(hoist: &Hoist) {
    let ran = hoist.run(&["--timeline", "/nosuch/x.svg"], &["say", "on"]);
    assert_eq!((ran.code, ran.text().as_str()), (0, "on\n"));
    assert!(ran.stderr.contains("/nosuch/x.svg"), "{}", ran.stderr);
}

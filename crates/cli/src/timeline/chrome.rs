//! A timeline as a trace for Perfetto, `chrome://tracing` and speedscope.
//!
//! Format: "Trace Event Format", complete events (`ph` X) with times in microseconds, one thread per lane.

use serde_json::{Value, json};

use super::Timeline;

/// The trace as JSON.
pub(crate) fn render(timeline: &Timeline) -> String {
    let (first, _) = timeline.span();
    let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let mut events = vec![metadata("process_name", 0, &timeline.title)];
    for (thread, (lane, bars)) in timeline.lanes().into_iter().enumerate() {
        events.push(metadata("thread_name", thread, lane));
        events.extend(bars.into_iter().map(|bar| {
            json!({
                "ph": "X",
                "name": bar.label,
                "cat": lane,
                "pid": 0,
                "tid": thread,
                "ts": microseconds(bar.start_ns.saturating_sub(first)),
                "dur": microseconds(bar.duration_ns()),
            })
        }));
    }
    json!({ "displayTimeUnit": "ns", "traceEvents": events }).to_string()
}

fn metadata(what: &str, thread: usize, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": 0, "tid": thread, "args": { "name": name } })
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn every_bar_is_a_complete_event_in_microseconds() {
        let timeline = sample();
        let trace: Value = serde_json::from_str(&render(&timeline)).unwrap();
        let events: Vec<&Value> = trace["traceEvents"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["ph"] == "X")
            .collect();
        assert_eq!(events.len(), timeline.bars.len());
        let plan = events.iter().find(|event| event["name"] == "plan").unwrap();
        assert_eq!(
            (plan["ts"].as_f64(), plan["dur"].as_f64()),
            (Some(157.0), Some(47.3))
        );
    }

    #[test]
    fn every_lane_is_a_named_thread() {
        let trace: Value = serde_json::from_str(&render(&sample())).unwrap();
        let names: Vec<&str> = trace["traceEvents"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["name"] == "thread_name")
            .map(|event| event["args"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["hoist", "helper", "container"]);
    }
}

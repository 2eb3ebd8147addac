//! A timeline as a picture: one row per step, its bar on a common time axis, its words beside it.
//!
//! The picture is one SVG file without scripts, links or fonts of its own. Steps that take a
//! noticeable part of the whole are drawn strong, the others pale, so that the eye finds what is slow.

use std::fmt::Write as _;

use super::{Bar, Timeline, duration_text};

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 40.0;
const PLOT: f64 = WIDTH - 2.0 * MARGIN;
const HEADER: f64 = 148.0;
const ROW: f64 = 19.0;
const LANE_HEADER: f64 = 38.0;
const LANE_GAP: f64 = 14.0;
const FOOTER: f64 = 34.0;
/// No bar is narrower: a step of nanoseconds is still seen.
const NARROWEST: f64 = 2.0;
/// The part of the whole from which a step is drawn strong.
const SLOW: f64 = 0.03;
/// Bars that begin further right have their words on the left, whether they would fit or not: words that
/// change sides from row to row are hard to follow.
const LABELS_LEFT_FROM: f64 = MARGIN + 0.6 * PLOT;
/// The longest label that is written out; the tooltip has all of it.
const LONGEST_LABEL: usize = 72;

/// A strong and a pale colour per lane; lanes beyond the last begin anew.
const COLOURS: [(&str, &str); 4] = [
    ("#2f5fd0", "#b4c6f2"),
    ("#c2410c", "#f6c9ae"),
    ("#0f7b6c", "#a9dcd3"),
    ("#7c3aed", "#d6c4fa"),
];

const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:#1d2433;\
paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}\
.t{font-size:22px;font-weight:600}\
.s{font-size:14px;fill:#5b6577}\
.a{font-size:12px;fill:#6b7486;font-variant-numeric:tabular-nums}\
.n{font-size:15px;font-weight:600}\
.l{font-size:12.5px;fill:#4a5366}\
.b{font-size:12.5px;font-weight:600}\
.d{fill:#6b7486;font-weight:400;font-variant-numeric:tabular-nums}\
.x{fill:#1d2433;font-weight:600}\
.g{stroke:#e6e9ef}\
.r:hover rect{opacity:.75}";

/// The picture as SVG text.
pub(crate) fn render(timeline: &Timeline) -> String {
    let lanes = timeline.lanes();
    let (first, last) = timeline.span();
    let axis = Axis::new(first, last);
    let body: f64 = lanes
        .iter()
        .map(|(_, bars)| LANE_HEADER + bars.len() as f64 * ROW + LANE_GAP)
        .sum();
    let height = HEADER + body + FOOTER;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\
         <title>{title}</title><style>{STYLE}</style>\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>",
        title = escape(&timeline.title),
    );
    header(&mut svg, timeline, &lanes, &axis);
    axis.draw(&mut svg, HEADER - 12.0, HEADER + body);
    let mut top = HEADER;
    for (index, (name, bars)) in lanes.iter().enumerate() {
        lane(
            &mut svg,
            name,
            bars,
            COLOURS[index % COLOURS.len()],
            &axis,
            top,
        );
        top += LANE_HEADER + bars.len() as f64 * ROW + LANE_GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// Title, total, the slowest steps, and all lanes together as one strip.
fn header(svg: &mut String, timeline: &Timeline, lanes: &[(&str, Vec<&Bar>)], axis: &Axis) {
    let mut slowest: Vec<&Bar> = timeline.bars.iter().collect();
    slowest.sort_by_key(|bar| std::cmp::Reverse(bar.duration_ns()));
    let slowest: Vec<String> = slowest
        .iter()
        .take(3)
        .map(|bar| {
            format!(
                "{} ({})",
                shorten(&bar.label, 46),
                duration_text(bar.duration_ns())
            )
        })
        .collect();
    let _ = write!(
        svg,
        "<text class=\"t\" x=\"{MARGIN}\" y=\"44\">{title}</text>\
         <text class=\"t\" x=\"{right}\" y=\"44\" text-anchor=\"end\">{total}</text>\
         <text class=\"s\" x=\"{MARGIN}\" y=\"68\">{count} steps · slowest: {slowest}</text>",
        title = escape(&shorten(&timeline.title, 84)),
        right = WIDTH - MARGIN,
        total = duration_text(axis.last - axis.first),
        count = timeline.bars.len(),
        slowest = escape(&slowest.join(", ")),
    );
    let _ = write!(
        svg,
        "<rect x=\"{MARGIN}\" y=\"86\" width=\"{PLOT}\" height=\"20\" rx=\"3\" fill=\"#f3f5f8\"/>"
    );
    for (index, (_, bars)) in lanes.iter().enumerate() {
        let (strong, _) = COLOURS[index % COLOURS.len()];
        for bar in bars {
            let (x, width) = axis.place(bar);
            let _ = write!(
                svg,
                "<rect x=\"{x:.1}\" y=\"86\" width=\"{width:.1}\" height=\"20\" fill=\"{strong}\" fill-opacity=\"{opacity}\"><title>{tip}</title></rect>",
                opacity = if axis.is_slow(bar) { "1" } else { ".55" },
                tip = tooltip(bar, axis),
            );
        }
    }
}

/// One lane: its name and sum, then a row per step.
fn lane(
    svg: &mut String,
    name: &str,
    bars: &[&Bar],
    (strong, pale): (&str, &str),
    axis: &Axis,
    top: f64,
) {
    let busy = covered(bars);
    let _ = write!(
        svg,
        "<line class=\"g\" x1=\"{MARGIN}\" x2=\"{right}\" y1=\"{top}\" y2=\"{top}\"/>\
         <rect x=\"{MARGIN}\" y=\"{mark}\" width=\"10\" height=\"10\" rx=\"2\" fill=\"{strong}\"/>\
         <text class=\"n\" x=\"{label}\" y=\"{base}\">{name} <tspan class=\"d\" font-size=\"12.5\">{count} steps, {busy}</tspan></text>",
        right = WIDTH - MARGIN,
        mark = top + 14.0,
        label = MARGIN + 18.0,
        base = top + 24.0,
        name = escape(name),
        count = bars.len(),
        busy = duration_text(busy),
    );
    for (row, bar) in bars.iter().enumerate() {
        let y = top + LANE_HEADER + row as f64 * ROW;
        let slow = axis.is_slow(bar);
        let (x, width) = axis.place(bar);
        let label = shorten(&bar.label, LONGEST_LABEL);
        let time = duration_text(bar.duration_ns());
        let words = text_width(&label) + text_width(&time) + 12.0;
        let room = x + width + 8.0 + words <= WIDTH - MARGIN;
        let (at, anchor) = if room && x < LABELS_LEFT_FROM {
            (x + width + 8.0, "start")
        } else {
            (x - 8.0, "end")
        };
        let _ = write!(
            svg,
            "<g class=\"r\"><title>{tip}</title>\
             <rect x=\"{x:.1}\" y=\"{bar_y:.1}\" width=\"{width:.1}\" height=\"13\" rx=\"2\" fill=\"{fill}\"/>\
             <text class=\"{class}\" x=\"{at:.1}\" y=\"{base:.1}\" text-anchor=\"{anchor}\">{label} <tspan class=\"d{emphasis}\" dx=\"3\">{time}</tspan></text></g>",
            tip = tooltip(bar, axis),
            bar_y = y + 2.0,
            fill = if slow { strong } else { pale },
            class = if slow { "b" } else { "l" },
            base = y + 13.0,
            label = escape(&label),
            emphasis = if slow { " x" } else { "" },
        );
    }
}

/// The common time axis.
struct Axis {
    first: u64,
    last: u64,
}

impl Axis {
    fn new(first: u64, last: u64) -> Self {
        Self {
            first,
            // A span of zero has no scale.
            last: last.max(first + 1),
        }
    }

    fn position(&self, time: u64) -> f64 {
        let part = time.saturating_sub(self.first) as f64 / (self.last - self.first) as f64;
        MARGIN + part * PLOT
    }

    /// Left edge and width of `bar`, inside the plot also where it is narrow and last.
    fn place(&self, bar: &Bar) -> (f64, f64) {
        let start = self.position(bar.start_ns);
        let width = (self.position(bar.end_ns) - start).max(NARROWEST);
        (start.min(MARGIN + PLOT - width), width)
    }

    fn is_slow(&self, bar: &Bar) -> bool {
        bar.duration_ns() as f64 >= SLOW * (self.last - self.first) as f64
    }

    /// The distance of ticks: 1, 2 or 5 times a power of ten nanoseconds, so that there are about ten.
    fn tick(&self) -> u64 {
        let span = self.last - self.first;
        let mut unit = 1;
        loop {
            for step in [unit, 2 * unit, 5 * unit] {
                if span / step <= 12 {
                    return step;
                }
            }
            unit *= 10;
        }
    }

    fn draw(&self, svg: &mut String, top: f64, bottom: f64) {
        let step = self.tick();
        let mut at = 0;
        while at <= self.last - self.first {
            let x = self.position(self.first + at);
            let anchor = if at == 0 { "start" } else { "middle" };
            let _ = write!(
                svg,
                "<line class=\"g\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                 <text class=\"a\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>",
                y = top - 8.0,
                text = tick_text(at, step),
            );
            at += step;
        }
    }
}

/// A tick in the unit of the distance between ticks, without digits that say nothing.
fn tick_text(at: u64, step: u64) -> String {
    let (divisor, unit) = match step {
        ..100 => (1.0, "ns"),
        100..100_000 => (1e3, "µs"),
        100_000..100_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let value = at as f64 / divisor;
    let digits = usize::from((step as f64 / divisor) < 1.0);
    match at {
        0 => "0".to_owned(),
        _ => format!("{value:.digits$} {unit}"),
    }
}

/// How much time `bars` (in the order of their start) cover, overlaps counted once.
fn covered(bars: &[&Bar]) -> u64 {
    let mut sum = 0;
    let mut reached = 0;
    for bar in bars {
        sum += bar.end_ns.saturating_sub(bar.start_ns.max(reached));
        reached = reached.max(bar.end_ns);
    }
    sum
}

fn tooltip(bar: &Bar, axis: &Axis) -> String {
    escape(&format!(
        "{}: {}\n{}, at {}",
        bar.lane,
        bar.label,
        duration_text(bar.duration_ns()),
        duration_text(bar.start_ns.saturating_sub(axis.first)),
    ))
}

/// How wide `text` is at the size of the labels, a little over what common fonts need.
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.9
}

fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest - 1).collect();
    format!("{}…", kept.trim_end())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no way to write them (section 2.2).
            '\0'..=' ' if !matches!(character, '\n' | ' ') => escaped.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn every_step_has_a_row_with_its_words() {
        let timeline = sample();
        let svg = render(&timeline);
        assert_eq!(svg.matches("<g class=\"r\">").count(), timeline.bars.len());
        for bar in &timeline.bars {
            assert!(svg.contains(&escape(&bar.label)), "{}", bar.label);
        }
    }

    #[test]
    fn words_from_outside_cannot_break_the_picture() {
        let svg = render(&Timeline {
            title: "hoist run -- sh -c 'a<b && \"c\"'\u{1}".to_owned(),
            bars: vec![Bar {
                lane: "<lane>".to_owned(),
                label: "bind </script>&\0".to_owned(),
                start_ns: 5,
                end_ns: 5,
            }],
        });
        assert!(!svg.contains("</script>") && !svg.contains("<lane>") && !svg.contains('\0'));
        assert!(svg.contains("a&lt;b &amp;&amp; &quot;c&quot;"));
    }

    #[test]
    fn ticks_are_round_and_few() {
        for span in [1, 7, 99, 1_000, 3_181_000, 47_000_000, 90_000_000_000] {
            let axis = Axis::new(0, span);
            assert!(span / axis.tick() <= 12, "{span}");
            let digits = axis.tick().to_string();
            assert!(
                ["1", "2", "5"].contains(&digits.trim_end_matches('0')),
                "{span}"
            );
        }
        assert_eq!(tick_text(1_500_000, 500_000), "1.5 ms");
        assert_eq!(tick_text(3_000_000, 1_000_000), "3 ms");
        assert_eq!(tick_text(200, 100), "0.2 µs");
    }

    #[test]
    fn nothing_is_drawn_outside_the_plot() {
        let axis = Axis::new(0, 1_000_000);
        let last = Bar {
            lane: String::new(),
            label: String::new(),
            start_ns: 1_000_000,
            end_ns: 1_000_000,
        };
        let (x, width) = axis.place(&last);
        assert!(x + width <= MARGIN + PLOT && width >= NARROWEST);
    }

    #[test]
    fn time_covered_twice_counts_once() {
        let bar = |start_ns, end_ns| Bar {
            lane: String::new(),
            label: String::new(),
            start_ns,
            end_ns,
        };
        assert_eq!(
            covered(&[&bar(0, 100), &bar(20, 50), &bar(90, 120), &bar(200, 210)]),
            130
        );
    }
}

//! The waterfall of a container's start, from measured steps to a file that a person or a tool can open.
//!
//! What is measured, and how, is the backend's business: here are only the bars and the two ways to
//! write them, a self-contained picture ([`svg`]) and a trace for Perfetto or `chrome://tracing`
//! ([`chrome`]).

pub(crate) mod chrome;
pub(crate) mod svg;

use std::path::Path;

/// A measured start.
pub(crate) struct Timeline {
    /// What was started, as the user would type it.
    pub title: String,
    /// The steps, in any order. All times count from the same instant.
    pub bars: Vec<Bar>,
}

/// How a timeline is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a browser.
    Picture,
    /// For Perfetto.
    Trace,
}

impl Form {
    /// What the name of a file asks for: `.svg` a picture, `.json` a trace; none by any other ending.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "svg" => Some(Self::Picture),
            "json" => Some(Self::Trace),
            _ => None,
        }
    }
}

/// One step.
pub(crate) struct Bar {
    /// Who took it. Bars of one lane do not overlap, unless one contains the other.
    pub lane: String,
    /// What it did.
    pub label: String,
    /// When it began, in nanoseconds.
    pub start_ns: u64,
    /// When it ended, in nanoseconds.
    pub end_ns: u64,
}

impl Bar {
    fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

impl Timeline {
    /// The text of a file of this form.
    pub(crate) fn render(&self, form: Form) -> String {
        match form {
            Form::Trace => chrome::render(self),
            Form::Picture => svg::render(self),
        }
    }

    /// First start and last end.
    fn span(&self) -> (u64, u64) {
        let first = self.bars.iter().map(|bar| bar.start_ns).min().unwrap_or(0);
        let last = self.bars.iter().map(|bar| bar.end_ns).max().unwrap_or(0);
        (first, last.max(first))
    }

    /// Each lane with its bars in the order of time; lanes in the order of their first bar.
    fn lanes(&self) -> Vec<(&str, Vec<&Bar>)> {
        let mut sorted: Vec<&Bar> = self.bars.iter().collect();
        sorted.sort_by_key(|bar| (bar.start_ns, bar.end_ns));
        let mut lanes: Vec<(&str, Vec<&Bar>)> = Vec::new();
        for bar in sorted {
            match lanes.iter_mut().find(|(name, _)| *name == bar.lane) {
                Some((_, bars)) => bars.push(bar),
                None => lanes.push((&bar.lane, vec![bar])),
            }
        }
        lanes
    }
}

/// `870 ns`, `42.1 µs`, `3.18 ms`: three digits that matter.
fn duration_text(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..999_500 => (nanoseconds as f64 / 1e3, "µs"),
        999_500..999_500_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    let digits = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A start of about 3 ms with the steps of a real one.
    pub(super) fn sample() -> Timeline {
        const STEPS: &[(&str, &str, u64)] = &[
            ("hoist", "read arguments", 96),
            ("hoist", "look at the root", 61),
            ("hoist", "plan", 48),
            ("hoist", "seal helper", 22),
            ("hoist", "seal plan", 14),
            ("hoist", "write record", 71),
            ("hoist", "make cgroup memory", 38),
            ("hoist", "make cgroup cpu", 34),
            ("hoist", "make cgroup pids", 33),
            ("hoist", "set memory.limit_in_bytes", 18),
            ("hoist", "set pids.max", 11),
            ("hoist", "clone tmpfs for the writable layer", 29),
            ("hoist", "mount overlay of 2 layers, detached", 164),
            ("hoist", "start helper", 148),
            ("helper", "read plan", 9),
            (
                "helper",
                "clone into pid, mount, uts, ipc, net, cgroup",
                612,
            ),
            ("hoist", "join cgroup memory", 41),
            ("hoist", "join cgroup cpu", 30),
            ("hoist", "join cgroup pids", 27),
            ("hoist", "compare cgroups and namespaces", 37),
            ("hoist", "let go", 4),
            ("container", "make every mount private", 26),
            ("container", "attach root", 31),
            ("container", "mount proc on /proc", 88),
            ("container", "mount tmpfs on /dev", 42),
            ("container", "mount devpts on /dev/pts", 47),
            ("container", "mount mqueue on /dev/mqueue", 39),
            ("container", "mount tmpfs on /dev/shm", 33),
            ("container", "mount sysfs on /sys, read-only", 58),
            ("container", "mount cgroup on /sys/fs/cgroup, read-only", 51),
            ("container", "bind /dev/null", 12),
            ("container", "bind /dev/zero", 11),
            ("container", "bind /dev/full", 11),
            ("container", "bind /dev/random", 11),
            ("container", "bind /dev/urandom", 10),
            ("container", "bind /dev/tty", 11),
            ("container", "link /dev/fd", 4),
            ("container", "link /dev/stdin", 4),
            ("container", "link /dev/stdout", 4),
            ("container", "link /dev/stderr", 4),
            ("container", "link /dev/ptmx", 4),
            ("container", "pivot root", 74),
            ("container", "set hostname 7f2c9d1b44e0", 3),
            ("container", "bring up loopback", 28),
            ("container", "write sysctl net.ipv4.ping_group_range", 13),
            ("container", "read-only /proc/bus", 17),
            ("container", "read-only /proc/fs", 15),
            ("container", "read-only /proc/irq", 15),
            ("container", "read-only /proc/sys", 16),
            ("container", "read-only /proc/sysrq-trigger", 14),
            ("container", "mask /proc/kcore", 9),
            ("container", "mask /proc/keys", 8),
            ("container", "mask /proc/timer_list", 8),
            ("container", "mask /sys/firmware", 12),
            ("container", "set resource limits", 2),
            ("container", "change directory to /", 3),
            ("container", "set identity 0:0", 6),
            ("container", "read identity back", 7),
            ("container", "close descriptors", 4),
            ("container", "load seccomp filter, 812 instructions", 94),
            ("container", "execute /bin/true", 231),
        ];
        let mut now = 0;
        let bars = STEPS
            .iter()
            .map(|(lane, label, microseconds)| {
                let start_ns = now;
                now += microseconds * 1_000;
                Bar {
                    lane: (*lane).to_owned(),
                    label: (*label).to_owned(),
                    start_ns,
                    end_ns: now - 700,
                }
            })
            .collect();
        Timeline {
            title: "hoist run --rootfs /srv/busybox -m 64m -- true".to_owned(),
            bars,
        }
    }

    #[test]
    fn durations_have_three_digits_and_the_unit_that_fits() {
        for (nanoseconds, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (42_130, "42.1 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (3_181_000, "3.18 ms"),
            (9_996_000, "10.0 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(duration_text(nanoseconds), text);
        }
    }

    #[test]
    fn the_name_of_the_file_chooses_its_kind() {
        let form = |name: &str| Form::of(Path::new(name));
        assert_eq!(form("a.JSON"), Some(Form::Trace));
        assert_eq!(form("a.svg"), Some(Form::Picture));
        for other in ["a", "a.txt", ".svg", "svg", "a.svg.gz"] {
            assert_eq!(form(other), None, "{other}");
        }
        assert!(sample().render(Form::Trace).starts_with('{'));
        assert!(sample().render(Form::Picture).starts_with("<svg"));
    }

    #[test]
    fn lanes_come_in_the_order_of_their_first_bar() {
        let sample = sample();
        let names: Vec<&str> = sample.lanes().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["hoist", "helper", "container"]);
    }
}

//! `hoist logs`.

use std::io::{self, Write};

use hoist::supervise::{Entry, LogQuery, OutputStream};
use hoist::{Engine, rfc3339};
use hoist_compute::Timestamp;
use hoist_spec::{Fault, Faults};

use super::local_time::ahead_of_utc;
use super::moment::moment;
use crate::args::Logs;
use crate::failure::Failure;

/// What is said where the container has written faster than its log was taken.
const ROTATED_AWAY: &str =
    "some lines may be missing here: they were rotated away before they could be read";

/// Writes a container's log: what it wrote to standard error goes there again.
pub(crate) fn run(logs: &Logs, engine: &Engine) -> Result<u8, Failure> {
    let query = query(logs)?;
    let id = engine.resolve(&logs.container)?;
    let mut out = io::stdout().lock();
    let mut closed = false;
    let mut take = |entry: Entry| {
        let written = match entry.stream {
            OutputStream::Stdout => write(&mut out, &entry, logs.timestamps),
            OutputStream::Stderr => write(&mut io::stderr(), &entry, logs.timestamps),
        };
        closed = written
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        written
    };
    let mut gap = || Failure::message(ROTATED_AWAY).warn();
    let done = engine.logs(&id, query, logs.follow, &mut take, &mut gap);
    match done {
        // A reader that has gone away has seen enough.
        Err(_) if closed => Ok(0),
        done => {
            done?;
            Ok(0)
        }
    }
}

fn write(to: &mut dyn Write, entry: &Entry, timestamps: bool) -> io::Result<()> {
    if timestamps {
        write!(to, "{} ", rfc3339(entry.time))?;
    }
    to.write_all(entry.log.as_bytes())?;
    to.flush()
}

fn query(logs: &Logs) -> Result<LogQuery, Faults> {
    let mut faults = Faults::default();
    let now = Timestamp::now();
    let zone = ahead_of_utc(now);
    let mut time = |option, text: &Option<String>| {
        let text = text.as_ref()?;
        match moment(option, text, now, zone) {
            Ok(time) => Some(time),
            Err(fault) => {
                faults.push(fault);
                None
            }
        }
    };
    let (since, until) = (time("--since", &logs.since), time("--until", &logs.until));
    let tail = match logs.tail.as_str() {
        "all" | "-1" => None,
        text => match text.parse() {
            Ok(tail) => Some(tail),
            Err(_) => {
                faults.push(Fault::of_value(
                    "--tail",
                    text,
                    "is no number of lines, and not all",
                ));
                None
            }
        },
    };
    faults.into_result(LogQuery { since, until, tail })
}

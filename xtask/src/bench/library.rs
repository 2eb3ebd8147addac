//! What a start costs a program that uses the library: a small one and one of four gibibytes, taking turns.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::crowd::quantile;
use super::{bundle, tools};
use crate::command::Outcome;

/// The memory of the callers that are compared, in MiB.
const CALLERS: [(&str, u32); 2] = [("small", 0), ("4 GiB", 4096)];
const WARM_UP: u32 = 10;
/// How many starts one makes before it is the other's turn.
const TURN: u32 = 10;

/// A program that makes a start when it is told to.
struct Caller {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    milliseconds: Vec<f64>,
}

impl Caller {
    fn start(work: &Path, mebibytes: u32) -> Outcome<Self> {
        let mut child = Command::new(work.join(tools::LIBRARY_START))
            .arg(bundle::root(work))
            .arg(mebibytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            orders: orders.ok_or("no way to the caller")?,
            answers: BufReader::new(answers.ok_or("no way from the caller")?),
            child,
            milliseconds: Vec::new(),
        })
    }

    fn one(&mut self) -> Outcome<f64> {
        writeln!(self.orders)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let nanoseconds: u64 = answer.trim().parse().map_err(|_| "a start failed")?;
        Ok(nanoseconds as f64 / 1e6)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures both; the result is Markdown.
pub(super) fn measure(work: &Path, runs: u32) -> Outcome<String> {
    let mut callers = Vec::new();
    for (name, mebibytes) in CALLERS {
        eprintln!("== a {name} caller");
        let mut caller = Caller::start(work, mebibytes)?;
        for _ in 0..WARM_UP {
            caller.one()?;
        }
        callers.push((name, caller));
    }
    let mut done = 0;
    while done < runs {
        for (_, caller) in &mut callers {
            for _ in 0..TURN.min(runs - done) {
                let time = caller.one()?;
                caller.milliseconds.push(time);
            }
        }
        done += TURN;
    }
    let mut text = format!(
        "\n**run true by the library** ({runs} runs each, taking turns)\n\n\
         | caller | median ms | p90 ms | × the small one's median |\n| --- | ---: | ---: | ---: |\n"
    );
    let mut small = None;
    for (name, caller) in &mut callers {
        caller.milliseconds.sort_by(f64::total_cmp);
        let (median, p90) = (
            quantile(&caller.milliseconds, 0.5),
            quantile(&caller.milliseconds, 0.9),
        );
        let ratio = median / *small.get_or_insert(median);
        let _ = writeln!(text, "| {name} | {median:.2} | {p90:.2} | {ratio:.2} |");
    }
    Ok(text)
}

//! What criu asks while it restores a container: it calls a program at certain points and waits for it (criu(8),
//! `--action-script`). That program is this one, called by `/proc/PID/exe`; it hands the question on to the process that has
//! called criu, over two pipes of that process, and ends with the answer. Where that process is gone the answer is no.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

use crate::record::ProcessIdentity;

/// How the called program finds who asks: `PID START QUESTIONS ANSWERS`.
const CALLER: &str = "HOIST_RESTORE";
const ACTION: &str = "CRTOOLS_SCRIPT_ACTION";
const INIT_PID: &str = "CRTOOLS_INIT_PID";
const YES: u8 = b'y';
const NO: u8 = b'n';
/// As long as a question may be.
const LONGEST: usize = 256;

/// Where criu stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The first process is there, with its namespaces.
    Namespaces,
    /// Every process is there, and none has its rights yet.
    Restored,
    /// Every process is as it will be, and is held.
    BeforeResume,
    /// Nothing is to be done.
    Other,
}

impl Moment {
    fn of(action: &str) -> Self {
        match action {
            "setup-namespaces" => Self::Namespaces,
            "post-restore" => Self::Restored,
            "pre-resume" => Self::BeforeResume,
            _ => Self::Other,
        }
    }
}

/// The pipes of a process that calls criu.
pub(super) struct Questions {
    asked: File,
    /// Kept open, so that the other end never sees an end.
    asking: OwnedFd,
    answering: File,
    answered: OwnedFd,
    own: ProcessIdentity,
}

impl Questions {
    pub(super) fn new() -> io::Result<Self> {
        let (asked, asking) = pipe_with(PipeFlags::CLOEXEC)?;
        let (answered, answering) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self {
            asked: asked.into(),
            asking,
            answering: answering.into(),
            answered,
            own: ProcessIdentity::of(std::process::id())?,
        })
    }

    /// The variable that the called program finds this process by.
    pub(super) fn variable(&self) -> (&'static str, String) {
        let (asking, answered) = (self.asking.as_raw_fd(), self.answered.as_raw_fd());
        let ProcessIdentity { pid, start_ticks } = self.own;
        (CALLER, format!("{pid} {start_ticks} {asking} {answered}"))
    }

    /// The program that criu is to call.
    pub(super) fn script(&self) -> String {
        format!("/proc/{}/exe", self.own.pid)
    }

    /// Waits for the next question; none where criu, held by `pidfd`, has ended.
    pub(super) fn next(&mut self, pidfd: &OwnedFd) -> io::Result<Option<(Moment, u32)>> {
        let mut waited = [
            PollFd::new(&self.asked, PollFlags::IN),
            PollFd::new(pidfd, PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| poll(&mut waited, None))?;
        if !waited[0].revents().contains(PollFlags::IN) {
            return Ok(None);
        }
        // Shorter than what a pipe takes as a whole.
        let mut question = [0; LONGEST];
        let length = self.asked.read(&mut question)?;
        let text = String::from_utf8_lossy(&question[..length]);
        let mut words = text.split_ascii_whitespace();
        let moment = Moment::of(words.next().unwrap_or_default());
        let pid = words
            .next()
            .and_then(|pid| pid.parse().ok())
            .unwrap_or_default();
        Ok(Some((moment, pid)))
    }

    pub(super) fn answer(&mut self, is_yes: bool) -> io::Result<()> {
        self.answering.write_all(&[if is_yes { YES } else { NO }])
    }
}

/// Where this program was started by criu, on behalf of a process of its own: hands the question on, and the answer back. To be
/// called before anything else. The result is the exit code.
pub fn main_if_called_by_criu() -> Option<u8> {
    // criu gives no argument.
    if env::args_os().len() != 1 {
        return None;
    }
    let caller = env::var(CALLER).ok()?;
    let action = env::var(ACTION).ok()?;
    let pid = env::var(INIT_PID).unwrap_or_default();
    let moment = Moment::of(&action);
    if moment == Moment::Other {
        return Some(0);
    }
    if ask(&caller, &action, &pid).unwrap_or(false) {
        return Some(0);
    }
    // From then on criu does not listen: what nobody has compared with the spec must not run.
    if moment == Moment::BeforeResume
        && let Some(pid) = pid.parse().ok().and_then(Pid::from_raw)
    {
        let _ = kill_process(pid, Signal::KILL);
    }
    Some(1)
}

fn ask(caller: &str, action: &str, init: &str) -> io::Result<bool> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let numbers: Vec<u64> = caller
        .split(' ')
        .map(|number| number.parse().map_err(|_| invalid()))
        .collect::<io::Result<_>>()?;
    let [pid, start_ticks, asking, answered] = numbers[..] else {
        return Err(invalid());
    };
    let process = ProcessIdentity {
        pid: u32::try_from(pid).map_err(|_| invalid())?,
        start_ticks,
    };
    let mut questions = OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/fd/{asking}"))?;
    let mut answers = File::open(format!("/proc/{pid}/fd/{answered}"))?;
    // Only now is it certain whose pipes these are.
    if !process.exists() {
        return Ok(false);
    }
    questions.write_all(format!("{action} {init}\n").as_bytes())?;
    let mut answer = [NO];
    answers.read_exact(&mut answer)?;
    Ok(answer == [YES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_handed_on_and_answered() {
        let mut questions = Questions::new().unwrap();
        let (_, caller) = questions.variable();
        // A pidfd of a process that does not end meanwhile.
        let own = crate::proc_pid::open(std::process::id()).unwrap().unwrap();
        for is_yes in [true, false] {
            let caller = caller.clone();
            let asking = std::thread::spawn(move || ask(&caller, "pre-resume", "7").unwrap());
            assert_eq!(
                questions.next(&own).unwrap(),
                Some((Moment::BeforeResume, 7))
            );
            questions.answer(is_yes).unwrap();
            assert_eq!(asking.join().unwrap(), is_yes);
        }
    }

    #[test]
    fn where_the_caller_is_gone_the_answer_is_no() {
        let questions = Questions::new().unwrap();
        let (_, caller) = questions.variable();
        let mut words: Vec<_> = caller.split(' ').collect();
        words[1] = "1";
        assert!(!ask(&words.join(" "), "pre-resume", "7").unwrap());
        assert!(ask("999999999 1 3 4", "pre-resume", "7").is_err());
        assert!(ask("", "pre-resume", "7").is_err());
    }
}

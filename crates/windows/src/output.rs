//! Output that is copied to what the caller gave.
//!
//! When the process has ended, what it has written is still copied, as slowly as it is taken. What it has left behind may hold the pipe for
//! ever: so nothing is waited for that comes late, or that is more than a pipe holds.

use std::{
    fs::File,
    io::{self, Read, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What was written before the end comes within so long of that, or of the piece before.
const UNTIL_READ: Duration = Duration::from_secs(1);
/// So long each piece is offered to whoever takes the output; docker waits as long for a log.
const UNTIL_TAKEN: Duration = Duration::from_secs(10);
/// No pipe holds more.
const PIPE: usize = 1 << 20;
const PIECE: usize = 64 << 10;

/// The outputs of a process.
#[derive(Clone, Default)]
pub(crate) struct Outputs(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    copies: Vec<Copy>,
    /// When the process has ended.
    ended: Option<Instant>,
}

struct Copy {
    step: Step,
    since: Instant,
    /// Read since the end of the process.
    late: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Reading,
    Writing,
    Done,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, number: usize, step: Step, read: usize) {
        let mut state = self.state();
        let has_ended = state.ended.is_some();
        if let Some(copy) = state.copies.get_mut(number) {
            copy.step = step;
            copy.since = Instant::now();
            copy.late += if has_ended { read } else { 0 };
        }
        self.changed.notify_all();
    }
}

impl State {
    /// Until when the copies are waited for; `None` where they are not.
    fn deadline(&self) -> Option<Instant> {
        let until = |copy: &Copy| {
            let since = self.ended.map_or(copy.since, |ended| ended.max(copy.since));
            match copy.step {
                Step::Reading if copy.late < PIPE => Some(since + UNTIL_READ),
                // The piece itself is counted already.
                Step::Writing if copy.late < PIPE + PIECE => Some(since + UNTIL_TAKEN),
                _ => None,
            }
        };
        let last = self.copies.iter().filter_map(until).max();
        last.filter(|deadline| *deadline > Instant::now())
    }

    fn is_copying(&self) -> bool {
        match self.ended {
            None => self.copies.iter().any(|copy| copy.step != Step::Done),
            Some(_) => self.deadline().is_some(),
        }
    }
}

impl Outputs {
    /// Copies `from` to `to`, by a thread, until either ends.
    pub(crate) fn copy(&self, from: File, to: File) -> io::Result<()> {
        let number = {
            let mut state = self.0.state();
            state.copies.push(Copy {
                step: Step::Reading,
                since: Instant::now(),
                late: 0,
            });
            state.copies.len() - 1
        };
        let shared = Arc::clone(&self.0);
        let copy = move || {
            // A reader that has gone takes no more; the process finds that out by its own writes.
            let _ = copy(from, to, |step, read| shared.step(number, step, read));
            // Whoever sees that nothing is copied any more finds no end of it open.
            shared.step(number, Step::Done, 0);
        };
        let thread = thread::Builder::new().name("hoist output".to_owned());
        thread
            .spawn(copy)
            .map(drop)
            .inspect_err(|_| self.0.step(number, Step::Done, 0))
    }

    /// The process has ended.
    pub(crate) fn end(&self) {
        self.0.state().ended.get_or_insert_with(Instant::now);
        self.0.changed.notify_all();
    }

    /// Whether something is still copied of what the process has written.
    pub(crate) fn is_copying(&self) -> bool {
        self.0.state().is_copying()
    }

    /// Waits until what the process, which has ended, has written is copied, but not beyond `limit`.
    pub(crate) fn wait(&self, limit: Option<Duration>) {
        let limit = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut state = self.0.state();
        while let Some(deadline) = state.deadline() {
            let deadline = limit.map_or(deadline, |limit| limit.min(deadline));
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn copy(mut from: File, mut to: File, step: impl Fn(Step, usize)) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        step(Step::Writing, read);
        to.write_all(piece.get(..read).unwrap_or_default())?;
        step(Step::Reading, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::{into_file, pipe};

    /// Generous: the machine may be slow.
    const IN_TIME: Duration = Duration::from_secs(60);

    #[test]
    fn output_is_whole_however_slowly_it_is_taken_after_the_end() {
        let outputs = Outputs::default();
        let (from, mut process) = pipe().unwrap();
        let (mut reader, to) = io::pipe().unwrap();
        outputs.copy(from, into_file(to)).unwrap();
        // More than one pipe holds, so that the copy waits for the reader.
        let writer = thread::spawn(move || process.write_all(&vec![7; 200_000]).unwrap());
        let waiting = {
            let outputs = outputs.clone();
            thread::spawn(move || outputs.wait(None))
        };
        outputs.end();
        // Longer than a silent pipe is waited for.
        thread::sleep(UNTIL_READ + Duration::from_millis(500));
        assert!(outputs.is_copying() && !waiting.is_finished());
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), 200_000);
        writer.join().unwrap();
        waiting.join().unwrap();
        assert!(!outputs.is_copying());
    }

    #[test]
    fn a_pipe_that_is_held_open_after_the_end_is_not_waited_for() {
        let outputs = Outputs::default();
        let (from, mut left_behind) = pipe().unwrap();
        let (mut reader, to) = io::pipe().unwrap();
        outputs.copy(from, into_file(to)).unwrap();
        left_behind.write_all(b"all").unwrap();
        assert!(outputs.is_copying());
        outputs.end();
        let begun = Instant::now();
        outputs.wait(None);
        assert!(begun.elapsed() < IN_TIME && !outputs.is_copying());
        let mut all = [0; 3];
        reader.read_exact(&mut all).unwrap();
        assert_eq!(&all, b"all");
    }

    #[test]
    fn what_is_left_behind_and_writes_without_end_is_not_waited_for() {
        let outputs = Outputs::default();
        let (from, mut left_behind) = pipe().unwrap();
        let (mut reader, to) = io::pipe().unwrap();
        outputs.copy(from, into_file(to)).unwrap();
        let writer = thread::spawn(move || while left_behind.write_all(&[7; 4096]).is_ok() {});
        let taken = thread::spawn(move || {
            let mut place = vec![0; PIECE];
            let mut all = 0;
            while all < 64 * PIPE {
                all += reader.read(&mut place).unwrap();
            }
        });
        outputs.end();
        let begun = Instant::now();
        outputs.wait(None);
        assert!(begun.elapsed() < IN_TIME && !outputs.is_copying());
        taken.join().unwrap();
        writer.join().unwrap();
    }

    #[test]
    fn a_wait_has_a_limit_of_its_own() {
        let outputs = Outputs::default();
        let (from, _held) = pipe().unwrap();
        let (_reader, to) = io::pipe().unwrap();
        outputs.copy(from, into_file(to)).unwrap();
        outputs.end();
        outputs.wait(Some(Duration::ZERO));
        assert!(outputs.is_copying());
    }
}

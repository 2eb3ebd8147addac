//! A thread that swaps two names while somebody else uses them: what every race over a path is tested with.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use crate::{bounds::full, probe::sys};

/// Swaps what two names stand for, as fast as the kernel does, until it is dropped.
///
/// By one call for both, so neither is ever missing: with a rename for each, whoever makes what is missing would bring the
/// swapping to its end.
#[derive(Debug)]
pub struct Swapper {
    stop: Arc<AtomicBool>,
    /// How often each had the other's place.
    swaps: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    begun: Instant,
    rounds: u64,
    /// How many of the rounds have ended well.
    good: u64,
    /// How many rounds and swaps there are to be at least.
    wanted: (u64, u64),
}

impl Swapper {
    /// Begins to swap; with the full counts for so many rounds and 10^6 swaps at least, and for a few otherwise.
    pub fn start(one: &Path, other: &Path, rounds: u64) -> Self {
        let [one, other] = [one, other].map(|path| path.to_str().unwrap().to_owned());
        let stop = Arc::new(AtomicBool::new(false));
        let swaps = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&swaps));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                sys::exchange(&one, &other).unwrap();
                sys::exchange(&one, &other).unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            stop,
            swaps,
            thread: Some(thread),
            begun: Instant::now(),
            rounds: 0,
            good: 0,
            wanted: if full() {
                (rounds, 1_000_000)
            } else {
                (25, 25)
            },
        }
    }

    /// Whether another round is to be made while it swaps.
    pub fn goes_on(&mut self) -> bool {
        assert!(
            !self.thread.as_ref().is_none_or(JoinHandle::is_finished),
            "the two names are still swapped"
        );
        let swaps = self.swaps.load(Ordering::Relaxed);
        if self.rounds >= self.wanted.0 && swaps >= self.wanted.1 {
            let took = self.begun.elapsed().as_secs();
            let Self { rounds, good, .. } = self;
            eprintln!("{rounds} rounds, {good} of them good, with {swaps} swaps in {took} s");
            return false;
        }
        self.rounds += 1;
        true
    }

    /// Notes how a round has ended: what was raced with may refuse to go on.
    pub fn ended(&mut self, well: bool) {
        self.good += u64::from(well);
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

//! Which code a document reaches, where the program was built to tell it (`cargo xtask fuzz` does so).
//!
//! With LLVM's `sancov-module` every edge between blocks of code has a counter of eight bits, and a program's start
//! calls a function with the counters of each module, that of this name (LLVM, "SanitizerCoverage").

#![allow(
    unsafe_code,
    reason = "the counters are the compiler's, in a section of the program"
)]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static FIRST: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

// The linker joins the counters of all modules into one section, which each of them tells.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(first: *mut u8, end: *mut u8) {
    FIRST.store(first.addr(), Relaxed);
    END.store(end.addr(), Relaxed);
}

/// What was reached so far: for each edge, how often, in powers of two.
#[derive(Default)]
pub struct Coverage {
    seen: Vec<u8>,
    counters: Vec<u8>,
}

impl Coverage {
    /// Runs `run`; whether it has reached what nothing has before. Always `false` in a program without counters.
    pub fn is_new(&mut self, run: impl FnOnce()) -> bool {
        let (first, end) = (FIRST.load(Relaxed), END.load(Relaxed));
        let length = end - first;
        let section = std::ptr::with_exposed_provenance_mut::<u8>(first);
        if length == 0 {
            run();
            return false;
        }
        self.counters.resize(length, 0);
        self.seen.resize(length, 0);
        let copy = self.counters.as_mut_ptr();
        // SAFETY: the section is the compiler's own, mapped for the program's whole life and only ever counted up in.
        unsafe { section.write_bytes(0, length) };
        run();
        // SAFETY: as above; the copy is of that length, and nobody else's. In one call, as this code counts, too.
        unsafe { section.copy_to_nonoverlapping(copy, length) };
        self.take_in()
    }

    /// How many edges were reached.
    pub fn edges(&self) -> usize {
        self.seen.iter().filter(|seen| **seen != 0).count()
    }

    fn take_in(&mut self) -> bool {
        let mut new = false;
        let (counters, _) = self.counters.as_chunks::<8>();
        for (at, chunk) in counters.iter().enumerate() {
            if u64::from_ne_bytes(*chunk) == 0 {
                continue;
            }
            for (counter, seen) in chunk.iter().zip(&mut self.seen[at * 8..]) {
                let bucket = match counter {
                    0 => 0,
                    count => 1 << count.ilog2(),
                };
                new |= bucket & !*seen != 0;
                *seen |= bucket;
            }
        }
        new
    }
}

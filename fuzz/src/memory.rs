//! How much memory reading a document takes.

#![allow(unsafe_code, reason = "an allocator is what has to count")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most that one document may take, in bytes, whatever is in it: they are of some ten kilobytes.
pub const MOST: usize = 128 << 20;

/// Beyond it there is no more memory: what asks for it is ended by the standard library.
const CEILING: usize = 1 << 30;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
struct Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

impl Counted {
    /// Whether there is room for `size` bytes more.
    fn take(size: usize) -> bool {
        let held = HELD.fetch_add(size, Relaxed).saturating_add(size);
        if held > CEILING {
            HELD.fetch_sub(size, Relaxed);
            return false;
        }
        PEAK.fetch_max(held, Relaxed);
        true
    }
}

// SAFETY: everything is done by the system's allocator, with what it was asked for.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !Self::take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `pointer` is from `System`, which is all that `alloc` gives.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !Self::take(size) {
            return std::ptr::null_mut();
        }
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as in `dealloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs `run`, and says by how much the memory in use has grown at most meanwhile.
pub fn growth(run: impl FnOnce()) -> usize {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    run();
    PEAK.load(Relaxed).saturating_sub(before)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_taken_and_given_back_is_seen() {
        let growth = super::growth(|| drop(std::hint::black_box(vec![1_u8; 3 << 20])));
        assert!((3 << 20..4 << 20).contains(&growth), "{growth}");
    }
}

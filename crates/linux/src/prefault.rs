//! Getting a program's first memory in one piece.
#![allow(unsafe_code, reason = "madvise(2) has no safe wrapper")]

use std::ffi::c_void;
use std::hint::black_box;
use std::ops::Range;

use rustix::mm::{Advice, madvise};

/// How much of the stack and of the heap is asked for: what every start touches. More would count as resident where a start does without.
const BYTES: usize = 64 * 1024;

/// The smallest page there is: the range of a whole number of them may begin and end within a larger one.
const PAGE: usize = 4096;

/// Has the kernel provide the next pages of the main thread's stack and of the heap, by one call each. Otherwise the program
/// stops for each when it first touches it: fifty times in a start, for 1 to 2.5 µs in a virtual machine.
///
/// For the first line of a program whose every microsecond counts; others gain nothing by it. It changes nothing but time, and does
/// nothing where the kernel cannot do it (before Linux 5.14, madvise(2)).
pub fn prefault() {
    let here = 0_u8;
    let stack = (&raw const here).addr();
    populate(stack - BYTES..stack);
    // Freed again, it is what the next allocations are made from.
    let block = black_box(Vec::<u8>::with_capacity(BYTES));
    let heap = block.as_ptr().addr();
    populate(heap..heap + BYTES);
}

/// Asks for the pages that lie wholly within the addresses.
fn populate(addresses: Range<usize>) {
    let start = addresses.start.next_multiple_of(PAGE);
    let length = (addresses.end - addresses.end % PAGE).saturating_sub(start);
    let pages = std::ptr::without_provenance_mut::<c_void>(start);
    // SAFETY: this advice only has pages provided that a first write would provide; no value in memory is changed, and addresses
    // that the program does not have are refused.
    let _ = unsafe { madvise(pages, length, Advice::LinuxPopulateWrite) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Page faults of this thread that read nothing from a disk (proc_pid_stat(5), `minflt`).
    fn faults() -> usize {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after = stat.rsplit(") ").next().unwrap();
        after.split(' ').nth(7).unwrap().parse().unwrap()
    }

    #[test]
    fn pages_that_were_asked_for_are_there_when_they_are_written_to() {
        const PAGES: usize = 256;
        let mut block = Vec::<u8>::with_capacity(PAGES * PAGE);
        let start = block.as_ptr().addr();
        populate(start..start + PAGES * PAGE);
        let before = faults();
        block.resize(PAGES * PAGE, 1);
        black_box(&block);
        assert!(faults() - before < PAGES / 2);
        prefault();
    }
}

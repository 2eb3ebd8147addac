//! Letting go of the program's own pages.
#![allow(
    unsafe_code,
    reason = "dl_iterate_phdr(3) and madvise(2) have no safe wrapper"
)]

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use rustix::mm::{Advice, madvise};

/// The smallest page there is: where pages are larger and a segment begins within one, it is left as it is.
const PAGE: usize = 4096;

/// Unmaps what this program has touched of its own file, code and constants; what it needs again is mapped again when it is touched.
///
/// For a process that waits for long, and of which there may be a thousand. Whoever looks for memory that is not used
/// looks at each page in each process that has it mapped (the kernel's reclaim, and DAMON), and holds up meanwhile
/// everybody who starts the same program: beside a thousand supervisors that took 50 to 160 ms. It changes nothing but time.
pub fn forget_program_pages() {
    // SAFETY: the callback reads what it is given, and stops at the first object, which is the program.
    unsafe { libc::dl_iterate_phdr(Some(forget_segments), null_mut()) };
}

unsafe extern "C" fn forget_segments(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut c_void,
) -> c_int {
    // SAFETY: dl_iterate_phdr(3) hands over an object whose headers lie in memory, so many as it says.
    let (base, headers) = unsafe {
        let object = &*object;
        let count = usize::from(object.dlpi_phnum);
        (
            object.dlpi_addr as usize,
            std::slice::from_raw_parts(object.dlpi_phdr, count),
        )
    };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let first = (base + header.p_vaddr as usize) & !(PAGE - 1);
        let end = base + header.p_vaddr as usize + header.p_memsz as usize;
        let pages = std::ptr::without_provenance_mut::<c_void>(first);
        // SAFETY: the segment is mapped from a file and cannot be written to: its pages are the file's, and are so again when they are
        // touched the next time.
        let _ = unsafe { madvise(pages, end - first, Advice::LinuxDontNeed) };
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resident pages that are a file's (proc_pid_status(5), `RssFile`), in KiB.
    fn resident_of_files() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssFile:"))
            .unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    #[test]
    fn a_program_that_forgets_its_pages_has_few_and_goes_on() {
        // Other tests run beside this one, and touch pages meanwhile.
        let has_fewer = || {
            let before = resident_of_files();
            forget_program_pages();
            resident_of_files() < before / 2
        };
        assert!((0..100).any(|_| has_fewer()));
    }
}

//! Where the programs begin on Linux: C's `main`, in place of what Rust's standard library does before a program's own.
//!
//! That serves a message at a stack overflow: it reads the program's memory map to find the guard page, and gives the handlers
//! of two signals a stack. A program that makes a container and is gone pays for it at every start, and never for a
//! reason: what recurses here is bounded. Such an overflow still ends it by SIGSEGV, without the message.
//! What else is done there is done here, too.
#![allow(
    unsafe_code,
    reason = "`main` is C's, and calls of the C library have no safe wrappers"
)]

use std::ffi::{c_char, c_int};

/// The words of the command line come from the C library (`std::env::args_os`), which hands them to every program's initializers.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    open_closed_streams();
    // SAFETY: no handler is set. A write to a pipe without a reader fails, as everywhere in Rust; children get back what is usual
    // (std::process::Command, and the helper by its plan).
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // Not by returning: this writes out what standard output has buffered. A panic does not get here: it aborts the program, as
    // everywhere in the programs that are released.
    std::process::exit(crate::run())
}

/// Opens the standard streams that the caller has closed: what is opened next would be taken for them.
fn open_closed_streams() {
    let closed = |stream: c_int| {
        // SAFETY: it only asks whether the descriptor is there.
        unsafe { libc::fcntl(stream, libc::F_GETFD) == -1 }
    };
    for stream in libc::STDIN_FILENO..=libc::STDERR_FILENO {
        if closed(stream) {
            // SAFETY: the path is a C string. The lowest number that is free is this one, and nobody else has it.
            let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
            if opened != stream {
                std::process::abort();
            }
        }
    }
}

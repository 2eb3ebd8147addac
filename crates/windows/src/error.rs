//! Failed calls of the operating system as errors of the contract.

use std::io;

use hoist_compute::{Error, ErrorKind, OsCode, Phase};

/// The errors by which CreateProcess says that there is no such program, or that it is none (winerror.h): file or path not found, access
/// denied, invalid name, bad executable format, bad path, machine type mismatch, elevation required.
pub const NO_PROGRAM: [u32; 8] = [0x2, 0x3, 0x5, 0x7B, 0xC1, 0xA1, 0xD8, 0x2E4];

/// What is told of a call that failed while doing `operation`.
pub fn system(phase: Phase, operation: impl Into<String>, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::System,
    };
    let failure = Error::new(kind, phase, operation);
    match error.raw_os_error() {
        // `HRESULT_FROM_WIN32`.
        Some(number) if cfg!(windows) => failure.code(OsCode::Hresult(
            0x8007_0000 | (number.cast_unsigned() & 0xFFFF),
        )),
        Some(number) => failure.code(OsCode::Errno(number)),
        None => failure.because(error),
    }
}

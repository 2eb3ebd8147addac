//! The console of a process: of Windows, or of the double of `vmcompute.dll`, which says in its sources how a process finds that.

#![allow(unsafe_code, reason = "a console is asked by its handle")]

use std::{fs, io, path::PathBuf, thread, time::Duration};

use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, ENABLE_PROCESSED_INPUT,
    GetConsoleMode, GetConsoleScreenBufferInfo, GetStdHandle, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
    SetConsoleMode,
};

fn of_the_double(ending: &str) -> Option<PathBuf> {
    let file = PathBuf::from(std::env::var_os("HOIST_HCS_DOUBLE_CONSOLE")?);
    Some(file.with_extension(ending))
}

/// Its height and width; `None`: there is none.
pub(super) fn size() -> Option<[u16; 2]> {
    let mut info = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the place outlives the call, which refuses what is no console.
    let is_one = unsafe { GetConsoleScreenBufferInfo(GetStdHandle(STD_OUTPUT_HANDLE), &mut info) };
    if is_one != 0 {
        let window = info.srWindow;
        let extent = |from: i16, to: i16| u16::try_from(to - from + 1).ok();
        return Some([
            extent(window.Top, window.Bottom)?,
            extent(window.Left, window.Right)?,
        ]);
    }
    let file = of_the_double("size")?;
    loop {
        let text = fs::read_to_string(&file).ok()?;
        if let Some(line) = text.strip_suffix('\n') {
            let (height, width) = line.split_once(' ')?;
            return Some([height.parse().ok()?, width.parse().ok()?]);
        }
        // It is just being written.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Has its input passed on byte by byte.
pub(super) fn make_raw() -> io::Result<()> {
    // SAFETY: the handle is the process's own.
    let input = unsafe { GetStdHandle(STD_INPUT_HANDLE) };
    let mut mode = 0;
    // SAFETY: the place outlives the call, which refuses what is no console.
    if unsafe { GetConsoleMode(input, &mut mode) } != 0 {
        let mode = mode & !(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT | ENABLE_PROCESSED_INPUT);
        // SAFETY: as above.
        return match unsafe { SetConsoleMode(input, mode) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        };
    }
    match of_the_double("raw") {
        Some(file) => fs::write(file, ""),
        None => Err(io::Error::other("the process has no console")),
    }
}

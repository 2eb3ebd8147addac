//! Consoles whose other side is two pipes (documentation of "Pseudoconsoles"; Windows 10 1809). What is written to one is drawn on a
//! screen, and the pipe gets what a terminal needs to show that screen.

use std::{
    ffi::CStr,
    io,
    os::windows::io::{AsRawHandle, BorrowedHandle},
};

use windows_sys::{
    Win32::{
        Foundation::HANDLE,
        System::{
            Console::{COORD, HPCON},
            LibraryLoader::{GetModuleHandleW, GetProcAddress},
        },
    },
    core::HRESULT,
};

use super::wide;

type Create = unsafe extern "system" fn(COORD, HANDLE, HANDLE, u32, *mut HPCON) -> HRESULT;
type Resize = unsafe extern "system" fn(HPCON, COORD) -> HRESULT;
type Close = unsafe extern "system" fn(HPCON);
/// A function that was found by its name.
type Found = unsafe extern "system" fn() -> isize;

/// The functions, which older builds lack.
#[derive(Clone, Copy, Debug)]
struct Functions {
    create: Create,
    resize: Resize,
    close: Close,
}

impl Functions {
    fn find() -> Option<Self> {
        let name = wide("kernel32.dll");
        // SAFETY: the name ends with NUL and outlives the call; the module is never unloaded.
        let module = unsafe { GetModuleHandleW(name.as_ptr()) };
        // SAFETY: the module is loaded, and the name ends with NUL.
        let address = |name: &CStr| unsafe { GetProcAddress(module, name.as_ptr().cast()) };
        // SAFETY: these are their types, as documented.
        unsafe {
            Some(Self {
                create: std::mem::transmute::<Found, Create>(address(c"CreatePseudoConsole")?),
                resize: std::mem::transmute::<Found, Resize>(address(c"ResizePseudoConsole")?),
                close: std::mem::transmute::<Found, Close>(address(c"ClosePseudoConsole")?),
            })
        }
    }
}

/// Whether this machine has such consoles.
pub(crate) fn has_pseudo_consoles() -> bool {
    Functions::find().is_some()
}

/// A failed call, by its `HRESULT`.
fn succeeded(call: &str, result: HRESULT) -> io::Result<()> {
    const NOT_IMPLEMENTED: HRESULT = 0x8000_4001_u32.cast_signed();
    match result {
        0.. => Ok(()),
        NOT_IMPLEMENTED => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{call} is not implemented here"),
        )),
        // `HRESULT_FROM_WIN32`, taken back.
        code if code.cast_unsigned() >> 16 == 0x8007 => {
            Err(io::Error::from_raw_os_error(code & 0xFFFF))
        }
        code => Err(io::Error::other(format!("{call}: {code:#010x}"))),
    }
}

fn coordinates([height, width]: [i16; 2]) -> COORD {
    COORD {
        X: width,
        Y: height,
    }
}

/// A console. When it is dropped its processes are told to end, and what is drawn still goes into the pipe: that waits until it is taken,
/// or nobody is there to take it.
#[derive(Debug)]
pub(crate) struct PseudoConsole {
    handle: HPCON,
    functions: Functions,
}

impl PseudoConsole {
    /// One of a height and width, in lines and columns, that reads and draws to these pipes. `Unsupported` where this machine has none.
    pub(crate) fn new(
        size: [i16; 2],
        input: BorrowedHandle<'_>,
        output: BorrowedHandle<'_>,
    ) -> io::Result<Self> {
        let functions = Functions::find().ok_or(io::ErrorKind::Unsupported)?;
        let mut handle: HPCON = 0;
        // SAFETY: the place and both handles, which the call duplicates, outlive the call.
        succeeded("CreatePseudoConsole", unsafe {
            (functions.create)(
                coordinates(size),
                input.as_raw_handle(),
                output.as_raw_handle(),
                0,
                &raw mut handle,
            )
        })?;
        Ok(Self { handle, functions })
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, size: [i16; 2]) -> io::Result<()> {
        // SAFETY: the console is open as long as this is.
        succeeded("ResizePseudoConsole", unsafe {
            (self.functions.resize)(self.handle, coordinates(size))
        })
    }

    /// What a process is started on it by.
    pub(super) fn attribute(&self) -> HPCON {
        self.handle
    }
}

impl Drop for PseudoConsole {
    fn drop(&mut self) {
        // SAFETY: the console is open, and closed once.
        unsafe { (self.functions.close)(self.handle) };
    }
}

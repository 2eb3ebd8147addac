//! The double of `vmcompute.dll` as a service of its own process, so that several clients see the same systems.

#![allow(
    unsafe_code,
    reason = "the double's exports are called by their addresses"
)]

use std::{
    ffi::{CStr, c_void},
    io,
    os::windows::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
};

use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};

/// The variable that names the double.
const DOUBLE: &str = "HOIST_TEST_HCS_DOUBLE";
/// The variable by which clients find its service.
const PIPE: &str = "HOIST_HCS_DOUBLE_PIPE";
/// The variable that names its file of faults.
const FAULTS: &str = "HOIST_HCS_DOUBLE_FAULTS";
/// The first argument of the process that is the service.
const SERVICE: &str = "double-service";

fn wide(text: &Path) -> Vec<u16> {
    text.as_os_str().encode_wide().chain([0]).collect()
}

/// The loaded double.
pub struct Double(*mut c_void);

// SAFETY: a module handle is a number that any thread may use.
unsafe impl Send for Double {}

impl Double {
    /// Where it is; `None`: nobody has said so.
    pub fn path() -> Option<PathBuf> {
        std::env::var_os(DOUBLE).map(PathBuf::from)
    }

    /// Does what a test binary over the double does: is the service where its arguments say so, and else, unless that is done already,
    /// starts one and itself once more with it. `None`: goes on.
    pub fn main(faults: Option<&Path>) -> Option<ExitCode> {
        let arguments: Vec<String> = std::env::args().collect();
        if let [_, first, pipe] = arguments.as_slice()
            && first == SERVICE
        {
            return Some(ExitCode::from(Self::load().ok()?.serve(pipe)));
        }
        if Self::path().is_none() || std::env::var_os(PIPE).is_some() {
            return None;
        }
        let done = Self::with_service(&arguments[1..], faults);
        Some(done.unwrap_or_else(|error| {
            eprintln!("the double's service cannot be started: {error}");
            ExitCode::FAILURE
        }))
    }

    fn with_service(arguments: &[String], faults: Option<&Path>) -> io::Result<ExitCode> {
        let program = std::env::current_exe()?;
        let pipe = format!(r"\\.\pipe\hoist-hcs-double-{}", std::process::id());
        let mut service = Command::new(&program);
        service.args([SERVICE, &pipe]);
        let mut test = Command::new(&program);
        test.args(arguments).env(PIPE, &pipe);
        if let Some(faults) = faults {
            service.env(FAULTS, faults);
            test.env(FAULTS, faults);
        }
        let mut service: Child = service.spawn()?;
        let status = test.status();
        // It may have been told to die.
        let _ = service.kill();
        let _ = service.wait();
        let code = status?.code().unwrap_or(1);
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
    }

    /// Loads it.
    ///
    /// # Errors
    /// It is not there.
    pub fn load() -> io::Result<Self> {
        let path =
            Self::path().ok_or_else(|| io::Error::other(format!("{DOUBLE} names no double")))?;
        let path = wide(&path);
        // SAFETY: the path ends with NUL and outlives the call.
        let module = unsafe { LoadLibraryW(path.as_ptr()) };
        if module.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(module))
    }

    fn function(&self, name: &CStr) -> Option<unsafe extern "system" fn() -> isize> {
        // SAFETY: the module is loaded and the name ends with NUL.
        unsafe { GetProcAddress(self.0, name.as_ptr().cast()) }
    }

    fn serve(&self, pipe: &str) -> u8 {
        let Some(function) = self.function(c"HoistDoubleServe") else {
            return 1;
        };
        let name = wide(Path::new(pipe));
        // SAFETY: the export has this parameter, and the name ends with NUL and outlives the call.
        unsafe {
            std::mem::transmute::<
                unsafe extern "system" fn() -> isize,
                unsafe extern "system" fn(*const u16) -> i32,
            >(function)(name.as_ptr())
        };
        1
    }

    /// What is open and alive in the service: `handles`, `callbacks`, `systems`, `processes`.
    pub fn report(&self) -> serde_json::Value {
        let Some(function) = self.function(c"HoistDoubleReport") else {
            return serde_json::Value::Null;
        };
        let mut answer: *mut u16 = std::ptr::null_mut();
        // SAFETY: the export has this parameter, and the place outlives the call.
        unsafe {
            std::mem::transmute::<
                unsafe extern "system" fn() -> isize,
                unsafe extern "system" fn(*mut *mut u16) -> i32,
            >(function)(&mut answer)
        };
        if answer.is_null() {
            return serde_json::Value::Null;
        }
        let mut units = Vec::new();
        // SAFETY: the answer ends with NUL. It is small, and a test leaves it.
        while let unit @ 1.. = unsafe { *answer.add(units.len()) } {
            units.push(unit);
        }
        serde_json::from_str(&String::from_utf16_lossy(&units)).unwrap_or_default()
    }
}

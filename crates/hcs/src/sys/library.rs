//! Loading the DLL and finding its functions.

use std::{ffi::CStr, fmt, io, path::Path};

use windows_sys::Win32::{
    Foundation::{FreeLibrary, HMODULE},
    System::LibraryLoader::{GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW},
};

use hoist_windows::text::wide;

/// The DLL cannot be used.
#[derive(Debug)]
pub struct LoadError {
    library: String,
    source: io::Error,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cannot be loaded: install the Windows feature Containers (Windows Server 2016, Windows 10 build 14393 or later)",
            self.library
        )
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A loaded DLL; it is let go of when this is dropped.
pub(super) struct Library(HMODULE);

// SAFETY: a module handle is a number that any thread may use.
unsafe impl Send for Library {}
// SAFETY: as above; nothing is changed through it.
unsafe impl Sync for Library {}

impl Library {
    /// Loads a DLL of the system folder.
    pub(super) fn of_the_system(name: &str) -> Result<Self, LoadError> {
        Self::load(name, LOAD_LIBRARY_SEARCH_SYSTEM32)
    }

    /// Loads the DLL at a path: for tests only.
    pub(super) fn at(path: &Path) -> Result<Self, LoadError> {
        Self::load(&path.to_string_lossy(), 0)
    }

    fn load(name: &str, flags: u32) -> Result<Self, LoadError> {
        let text = wide(name);
        // SAFETY: the text ends with NUL and outlives the call.
        let module = unsafe { LoadLibraryExW(text.as_ptr(), std::ptr::null_mut(), flags) };
        if module.is_null() {
            return Err(LoadError {
                library: name.to_owned(),
                source: io::Error::last_os_error(),
            });
        }
        Ok(Self(module))
    }

    /// The address of a function.
    pub(super) fn function(&self, name: &CStr) -> Option<unsafe extern "system" fn() -> isize> {
        // SAFETY: the module is loaded for as long as `self` lives, and the name ends with NUL.
        unsafe { GetProcAddress(self.0, name.as_ptr().cast()) }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: it was loaded here, and is let go of once.
        unsafe { FreeLibrary(self.0) };
    }
}

//! Texts from the DLL: UTF-16 with a NUL at the end.

use windows_sys::Win32::System::Com::CoTaskMemFree;

/// Longer texts are not read to their end: no true document comes near it.
const LONGEST: usize = 8 << 20;

/// A place for a text that the DLL returns. It is freed when this is dropped.
pub(super) struct Returned(*mut u16);

impl Returned {
    pub(super) fn new() -> Self {
        Self(std::ptr::null_mut())
    }

    /// Where the DLL puts the text.
    pub(super) fn place(&mut self) -> *mut *mut u16 {
        &mut self.0
    }

    /// The text; `None` where the DLL left none.
    pub(super) fn text(&self) -> Option<String> {
        if self.0.is_null() {
            return None;
        }
        let mut units = Vec::new();
        for place in 0..LONGEST {
            // SAFETY: the DLL's texts end with NUL, and no unit behind that is read.
            let unit = unsafe { *self.0.add(place) };
            if unit == 0 {
                break;
            }
            units.push(unit);
        }
        Some(String::from_utf16_lossy(&units))
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        // SAFETY: the pointer is null or a text that the DLL allocated for its caller to free in this way (vmcompute.dll's
        // texts are COM task memory), and it is freed once.
        unsafe { CoTaskMemFree(self.0.cast()) };
    }
}

//! Which Windows this is.

use windows_sys::Win32::System::SystemInformation::OSVERSIONINFOW;

#[link(name = "ntdll")]
unsafe extern "system" {
    /// Tells the true version, whatever a program's manifest says.
    fn RtlGetVersion(version: *mut OSVERSIONINFOW) -> i32;
}

/// The build of this Windows; `None` where it does not say.
pub(crate) fn windows_build() -> Option<u32> {
    let mut version = OSVERSIONINFOW {
        dwOSVersionInfoSize: u32::try_from(size_of::<OSVERSIONINFOW>()).ok()?,
        ..OSVERSIONINFOW::default()
    };
    // SAFETY: the structure says its own size and outlives the call.
    let status = unsafe { RtlGetVersion(&mut version) };
    (status == 0).then_some(version.dwBuildNumber)
}

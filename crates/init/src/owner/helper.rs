//! The helper program, sealed in memory: what a container could overwrite through `/proc/PID/exe` is this copy, and it
//! cannot be written to (CVE-2019-5736).

use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

/// Made by the build script.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hoist-init"));

static SEALED: OnceLock<OwnedFd> = OnceLock::new();

/// The sealed program, one for the life of this process.
pub fn sealed() -> Result<&'static OwnedFd> {
    if let Some(program) = SEALED.get() {
        return Ok(program);
    }
    let made = seal("hoist-init", PROGRAM, true).map_err(|errno| {
        let error = Error::new(
            ErrorKind::System,
            Phase::Start,
            "put the helper program into memory",
        )
        .call("memfd_create")
        .code(OsCode::Errno(errno.raw_os_error()));
        match errno {
            Errno::ACCESS => {
                error.remedy("sysctl vm.memfd_noexec=2 forbids it on this host: set it to 1 or 0")
            }
            _ => error,
        }
    })?;
    // Another thread may have been faster; its program is as good.
    Ok(SEALED.get_or_init(|| made))
}

/// A file in memory that holds `content` for good.
pub fn seal(name: &str, content: &[u8], executable: bool) -> rustix::io::Result<OwnedFd> {
    /// From Linux 6.3; `EINVAL` before.
    const MFD_EXEC: MemfdFlags = MemfdFlags::from_bits_retain(0x10);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match executable {
        true => memfd_create(name, flags | MFD_EXEC).or_else(|errno| match errno {
            Errno::INVAL => memfd_create(name, flags),
            errno => Err(errno),
        })?,
        false => memfd_create(name, flags)?,
    };
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = &rest[written..];
    }
    fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(file)
}

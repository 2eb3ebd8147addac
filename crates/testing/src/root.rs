//! Prepared root file systems.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

/// The user that [`minimal`] writes into `/etc/passwd`: name, user id, group id.
pub const USER: (&str, u32, u32) = ("tester", 1000, 1001);
/// The group in `/etc/group` that has [`USER`] as a member.
pub const EXTRA_GROUP: u32 = 1002;

/// Makes a root that holds only this test binary as `/probe`, a few users, and empty directories.
pub fn minimal(folder: &Path) -> io::Result<()> {
    for name in [
        "bin", "dev", "etc", "home", "mnt", "proc", "sys", "tmp", "run",
    ] {
        fs::create_dir_all(folder.join(name))?;
    }
    // A container's own users must be able to walk through it, whatever the caller's umask is.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    // A copy: a container that may write its root must not reach the test binary itself.
    fs::copy(std::env::current_exe()?, folder.join("probe"))?;
    fs::set_permissions(folder.join("probe"), fs::Permissions::from_mode(0o755))?;
    let (name, uid, gid) = USER;
    fs::write(
        folder.join("etc/passwd"),
        format!("root:x:0:0:root:/:/probe\n{name}:x:{uid}:{gid}::/home:/probe\n"),
    )?;
    fs::write(
        folder.join("etc/group"),
        format!("root:x:0:\n{name}:x:{gid}:\nhelpers:x:{EXTRA_GROUP}:{name}\n"),
    )?;
    fs::write(folder.join("bin/text"), "no program\n")?;
    fs::set_permissions(folder.join("bin/text"), fs::Permissions::from_mode(0o644))?;
    fs::write(folder.join("bin/orphan-script"), "#!/no/such/interpreter\n")?;
    fs::set_permissions(
        folder.join("bin/orphan-script"),
        fs::Permissions::from_mode(0o755),
    )?;
    fs::write(
        folder.join("bin/garbage"),
        [0x7f, b'E', b'L', b'F', 0, 0, 0, 0],
    )?;
    fs::set_permissions(
        folder.join("bin/garbage"),
        fs::Permissions::from_mode(0o755),
    )?;
    symlink("loop", folder.join("bin/loop"))
}

/// Makes a root of the machine's static busybox with its common commands; `None` where there is none.
pub fn busybox(folder: &Path) -> io::Result<Option<()>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(program) = std::env::split_paths(&path)
        .map(|folder| folder.join("busybox"))
        .find(|program| program.is_file() && is_static(program))
    else {
        return Ok(None);
    };
    minimal(folder)?;
    fs::copy(program, folder.join("bin/busybox"))?;
    for name in [
        "sh", "true", "false", "cat", "echo", "ls", "ps", "id", "env", "sleep", "stty", "tty",
        "head", "wc", "mount", "hostname", "kill", "dd", "test", "pwd", "seq", "yes", "touch",
        "rm", "mkdir",
    ] {
        symlink("busybox", folder.join("bin").join(name))?;
    }
    Ok(Some(()))
}

/// Whether an ELF file asks for no interpreter (its program headers have no `PT_INTERP`; elf(5), 64-bit).
fn is_static(program: &PathBuf) -> bool {
    const PT_INTERP: u32 = 3;
    let Ok(bytes) = fs::read(program) else {
        return false;
    };
    let number = |at: usize, length: usize| {
        bytes.get(at..at + length).map_or(0, |bytes| {
            bytes
                .iter()
                .rev()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        })
    };
    let (table, size, entries) = (
        number(32, 8) as usize,
        number(54, 2) as usize,
        number(56, 2) as usize,
    );
    bytes.starts_with(b"\x7fELF")
        && (0..entries).all(|index| number(table + index * size, 4) != u64::from(PT_INTERP))
}

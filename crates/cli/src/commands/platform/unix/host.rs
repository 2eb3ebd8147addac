//! What only this machine can say of options: which devices there are.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use hoist_spec::{CapabilitySet, Command, Device, Isolation};

/// Names below `/dev` that a container has of its own.
const OWN_OF_A_CONTAINER: [&str; 12] = [
    "console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "tty", "urandom",
    "zero",
];

/// The capabilities that this process may give (proc_pid_status(5), `CapPrm`); all where it cannot be told.
fn own_capabilities() -> CapabilitySet {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let permitted = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    permitted
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .map_or(CapabilitySet::ALL, CapabilitySet::from_bits)
}

/// Looks at the devices that a command names; a privileged one gets all of them, and the capabilities that there are.
pub(crate) fn complete(command: &mut Command) {
    for device in &mut command.devices {
        identify(device);
    }
    // Without isolation it is refused, and needs no list of devices.
    if command.privileged && command.isolation != Isolation::None {
        // What this process cannot give, docker leaves out, too.
        let missing = CapabilitySet::ALL.difference(own_capabilities());
        command.cap_drop.extend(missing.names().map(str::to_owned));
        let mut found = Vec::new();
        below(Path::new("/dev"), &mut found);
        found.retain(|device| {
            let path = &device.path_on_host;
            !command
                .devices
                .iter()
                .any(|named| named.path_on_host == *path)
        });
        command.devices.extend(found);
    }
}

/// Notes which device it is. What is none stays without a kind, and is a fault of the command.
fn identify(device: &mut Device) {
    let Ok(found) = fs::metadata(&device.path_on_host) else {
        return;
    };
    let kind = found.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        device.kind = if kind.is_char_device() { "c" } else { "b" }.to_owned();
        let number = found.rdev();
        device.major = i64::from(rustix::fs::major(number));
        device.minor = i64::from(rustix::fs::minor(number));
    }
}

/// Every device in a folder and the folders in it; links and other file systems are left out.
fn below(folder: &Path, found: &mut Vec<Device>) {
    let Ok(own) = fs::metadata(folder).map(|folder| folder.dev()) else {
        return;
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_own = folder == Path::new("/dev")
            && OWN_OF_A_CONTAINER
                .iter()
                .any(|own| name.as_encoded_bytes() == own.as_bytes());
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if is_own {
            continue;
        }
        if kind.is_dir() && fs::metadata(&path).is_ok_and(|inner| inner.dev() == own) {
            below(&path, found);
        } else if let (true, Some(path)) = (
            kind.is_char_device() || kind.is_block_device(),
            path.to_str(),
        ) {
            let mut device = Device {
                path_on_host: path.to_owned(),
                ..Device::default()
            };
            identify(&mut device);
            found.push(device);
        }
    }
}

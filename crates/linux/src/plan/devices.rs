//! Steps for the container's `/dev`: the nodes and links that every container has, and those of the spec.

use hoist_init::wire::{Slot, Step};
use hoist_spec::oci::{LinuxDeviceType, Spec};

use super::constants::file_type;
use super::program::{Steps, c_string};
use super::{Context, PlanError};

/// A node that every container has (OCI runtime spec, "Default Devices"), all 0666.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// A link that every container has (OCI runtime spec, "Dev symbolic links").
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

struct Device {
    path: String,
    kind: u32,
    major: u32,
    minor: u32,
    permissions: u32,
    uid: u32,
    gid: u32,
}

/// Where the container's `/dev` comes from.
#[derive(PartialEq, Eq)]
enum Dev {
    /// A fresh tmpfs, which nobody but this plan has written to.
    Own,
    /// A directory of the host, bound there: left as it is.
    Bound,
    /// A directory of the root: whatever lies there is covered.
    OfRoot,
}

/// Appends the steps.
pub(crate) fn make(steps: &mut Steps, oci: &Spec, context: &Context<'_>) -> Result<(), PlanError> {
    let mount = oci
        .mounts()
        .iter()
        .flatten()
        .rfind(|mount| mount.destination().as_os_str() == "/dev");
    let dev = match mount {
        Some(mount) if mount.typ().as_deref() == Some("tmpfs") => Dev::Own,
        Some(_) => Dev::Bound,
        None => Dev::OfRoot,
    };
    if dev == Dev::Bound {
        return Ok(());
    }
    for device in devices(oci)? {
        let below = device
            .path
            .strip_prefix("/dev/")
            .filter(|_| dev == Dev::Own && context.may_make_devices());
        match below {
            Some(below) => steps.push(Step::MakeDevice {
                path: &c_string("device", below)?,
                mode: device.kind | device.permissions,
                major: device.major,
                minor: device.minor,
                uid: device.uid,
                gid: device.gid,
            }),
            None => {
                let path = c_string("device", &device.path)?;
                steps.push(Step::Bind {
                    source: &path,
                    tree: Slot::NONE,
                    target: &path,
                    recursive: false,
                    set: 0,
                    clear: 0,
                    attributes_recursive: false,
                    propagation: 0,
                    device: true,
                    below: c"",
                    copy_up: false,
                });
            }
        }
    }
    if dev == Dev::OfRoot {
        steps.push(Step::MakeDirectory {
            root: Slot::ROOT,
            path: c"/dev",
            mode: 0o755,
            out: Slot::DEV,
        });
    }
    for (name, content) in LINKS {
        steps.push(Step::MakeLink {
            directory: Slot::DEV,
            name: &c_string("link", name)?,
            content: &c_string("link", content)?,
            may_exist: true,
        });
    }
    Ok(())
}

fn devices(oci: &Spec) -> Result<Vec<Device>, PlanError> {
    let mut all: Vec<Device> = DEFAULT
        .iter()
        .map(|(name, major, minor)| Device {
            path: format!("/dev/{name}"),
            kind: file_type::CHARACTER_DEVICE,
            major: *major,
            minor: *minor,
            permissions: 0o666,
            uid: 0,
            gid: 0,
        })
        .collect();
    let own = oci
        .linux()
        .as_ref()
        .and_then(|linux| linux.devices().as_deref())
        .unwrap_or_default();
    for device in own {
        let path = device.path().display().to_string();
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(PlanError::invalid(
                "device",
                path,
                "it is not an absolute path without `..`",
            ));
        }
        let number = |number: i64, what: &str| {
            u32::try_from(number).map_err(|_| {
                PlanError::invalid(what, number.to_string(), "it is not a device number")
            })
        };
        let kind = match device.typ() {
            LinuxDeviceType::B => file_type::BLOCK_DEVICE,
            LinuxDeviceType::C | LinuxDeviceType::U => file_type::CHARACTER_DEVICE,
            LinuxDeviceType::P => file_type::FIFO,
            LinuxDeviceType::A => {
                return Err(PlanError::invalid(
                    "device type",
                    "a",
                    "a node has one type",
                ));
            }
        };
        all.retain(|known| known.path != path);
        all.push(Device {
            path,
            kind,
            major: number(device.major(), "device major")?,
            minor: number(device.minor(), "device minor")?,
            permissions: device.file_mode().unwrap_or(0o666),
            uid: device.uid().unwrap_or(0),
            gid: device.gid().unwrap_or(0),
        });
    }
    Ok(all)
}

//! One cgroup per hierarchy.

use core::ffi::CStr;

use crate::sys::{self, Fd};

/// The hierarchies of a v1 or hybrid host, `unified` last: what a host does not mount is skipped.
pub(crate) const HIERARCHIES: [&CStr; 9] = [
    c"cpu", c"cpuacct", c"cpuset", c"memory", c"devices", c"freezer", c"blkio", c"pids", c"systemd",
];

/// The v2 hierarchy of a hybrid host.
const UNIFIED: &CStr = c"unified";

/// The device rules of docker's default spec, after a `devices.deny` of all.
const DEVICE_RULES: [&[u8]; 11] = [
    b"c *:* m",
    b"b *:* m",
    b"c 1:3 rwm",
    b"c 1:5 rwm",
    b"c 1:7 rwm",
    b"c 1:8 rwm",
    b"c 1:9 rwm",
    b"c 5:0 rwm",
    b"c 5:1 rwm",
    b"c 5:2 rwm",
    b"c 136:* rwm",
];

/// A path put together in place.
pub(crate) struct Path {
    bytes: [u8; 256],
    length: usize,
}

impl Path {
    const EMPTY: Self = Self {
        bytes: [0; 256],
        length: 0,
    };

    /// `/proc/PID`.
    pub(crate) fn of_process(pid: i32) -> Self {
        let mut path = Self::EMPTY;
        path.push(b"/proc/");
        let mut unit = 1_000_000_000;
        while unit > 0 {
            if pid >= unit {
                path.push(&[b'0' + (pid / unit % 10) as u8]);
            }
            unit /= 10;
        }
        path
    }

    /// `/sys/fs/cgroup/HIERARCHY/NAME/FILE`; without the last part where `file` is empty.
    pub(crate) fn of(hierarchy: &CStr, name: &CStr, file: &[u8]) -> Self {
        let mut path = Self::EMPTY;
        path.push(b"/sys/fs/cgroup/");
        path.push(hierarchy.to_bytes());
        path.push(b"/");
        path.push(name.to_bytes());
        if !file.is_empty() {
            path.push(b"/");
            path.push(file);
        }
        path
    }

    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().take(255 - self.length) {
            self.bytes[self.length] = *byte;
            self.length += 1;
        }
    }

    /// The path for a system call.
    pub(crate) fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// The owner's part: makes the v1 cgroups and gives them what their files need.
pub(crate) fn make(name: &CStr, devices: bool) {
    for hierarchy in HIERARCHIES {
        if sys::mkdir(sys::HERE, Path::of(hierarchy, name, b"").text(), 0o755)
            .ok()
            .is_none()
        {
            continue;
        }
        match hierarchy.to_bytes() {
            b"cpuset" => {
                inherit(name, b"cpuset.cpus");
                inherit(name, b"cpuset.mems");
            }
            b"devices" if devices => {
                put(Path::of(hierarchy, name, b"devices.deny").text(), b"a");
                let allow =
                    sys::open_write(Path::of(hierarchy, name, b"devices.allow").text()).fd();
                for rule in DEVICE_RULES {
                    sys::write(allow, rule).must();
                }
                sys::close(allow).must();
            }
            _ => {}
        }
    }
}

/// The owner's part in the v2 hierarchy: the directory to be born in.
pub(crate) fn make_unified(name: &CStr) {
    // Where only v1 hierarchies are visible, an empty directory may still stand in its place.
    let controllers = sys::open_read(Path::of(UNIFIED, c".", b"cgroup.controllers").text());
    if let Some(fd) = controllers.ok() {
        sys::close(fd as Fd).must();
        sys::mkdir(sys::HERE, Path::of(UNIFIED, name, b"").text(), 0o755).must();
    }
}

/// Moves the calling process into the v1 cgroups. A single thread that writes `0` to `tasks` moves itself, for which the kernel
/// needs no lock over all processes of the host (Linux 5.18 and later).
pub(crate) fn join(name: &CStr) {
    for hierarchy in HIERARCHIES {
        if let Some(tasks) = sys::open_write(Path::of(hierarchy, name, b"tasks").text()).ok() {
            sys::write(tasks as Fd, b"0").must();
            sys::close(tasks as Fd).must();
        }
    }
}

/// The v2 directory of a container that runs.
pub(crate) fn unified(name: &CStr) -> Option<Fd> {
    sys::open_directory(Path::of(UNIFIED, name, b"").text())
        .ok()
        .map(|fd| fd as Fd)
}

/// Removes the cgroups.
pub(crate) fn remove(name: &CStr) {
    for hierarchy in HIERARCHIES {
        sys::rmdir(Path::of(hierarchy, name, b"").text()).ok();
    }
    sys::rmdir(Path::of(UNIFIED, name, b"").text()).ok();
}

/// Copies a setting of the hierarchy's root: a new cpuset takes no process before it has processors and memory.
fn inherit(name: &CStr, file: &[u8]) {
    let mut value = [0; 256];
    let from = sys::open_read(Path::of(c"cpuset", c".", file).text()).fd();
    let length = sys::read(from, &mut value).must();
    sys::close(from).must();
    put(Path::of(c"cpuset", name, file).text(), &value[..length]);
}

fn put(path: &CStr, value: &[u8]) {
    let file = sys::open_write(path).fd();
    sys::write(file, value).must();
    sys::close(file).must();
}

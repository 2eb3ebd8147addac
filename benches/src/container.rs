//! The container's own half of `run`: mounts, root, names, and the program.

use core::ffi::CStr;

use crate::sys::{self, Fd, HERE};
use crate::{Request, cgroup, channel, identity};

const NOSUID: u64 = 2;
const NODEV: u64 = 4;
const NOEXEC: u64 = 8;
const RDONLY: u64 = 1;

/// What docker's default spec hides and makes read-only.
const MASKED: [&CStr; 12] = [
    c"proc/acpi",
    c"proc/asound",
    c"proc/interrupts",
    c"proc/kcore",
    c"proc/keys",
    c"proc/latency_stats",
    c"proc/sched_debug",
    c"proc/scsi",
    c"proc/timer_list",
    c"proc/timer_stats",
    c"sys/devices/virtual/powercap",
    c"sys/firmware",
];
const READ_ONLY: [&CStr; 5] = [
    c"proc/bus",
    c"proc/fs",
    c"proc/irq",
    c"proc/sys",
    c"proc/sysrq-trigger",
];
const DEVICES: [(&CStr, u32, u32); 6] = [
    (c"null", 1, 3),
    (c"zero", 1, 5),
    (c"full", 1, 7),
    (c"random", 1, 8),
    (c"urandom", 1, 9),
    (c"tty", 5, 0),
];
const LINKS: [(&CStr, &CStr); 6] = [
    (c"/proc/self/fd", c"fd"),
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
    (c"pts/ptmx", c"ptmx"),
    (c"/proc/kcore", c"core"),
];

/// Sets the container up, waits for the owner's word, and executes the program.
pub(crate) fn start(request: &Request, socket: Fd) -> i32 {
    sys::setsid().must();
    if !request.overlap {
        join_cgroups(request);
    }
    sys::make_private().must();
    sys::umask(0).must();
    let root = sys::open_tree(HERE, request.place, libc::AT_RECURSIVE as u32).fd();
    let null = sys::open_tree(HERE, c"/dev/null", 0).fd();
    sys::attach_over_root(root).must();

    mount(root, c"proc", &[], NOSUID | NODEV | NOEXEC, c"proc");
    let options = [(c"mode", c"755"), (c"size", c"65536k")];
    let dev = mount(root, c"tmpfs", &options, NOSUID, c"dev");
    for directory in [c"pts", c"shm", c"mqueue"] {
        sys::mkdir(dev, directory, 0o755).must();
    }
    let options = [(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"gid", c"5")];
    mount(root, c"devpts", &options, NOSUID | NOEXEC, c"dev/pts");
    mount(
        root,
        c"sysfs",
        &[],
        NOSUID | NODEV | NOEXEC | RDONLY,
        c"sys",
    );
    let options = [(c"mode", c"1777"), (c"size", c"65536k")];
    mount(
        root,
        c"tmpfs",
        &options,
        NOSUID | NODEV | NOEXEC,
        c"dev/shm",
    );
    mount(root, c"mqueue", &[], NOSUID | NODEV | NOEXEC, c"dev/mqueue");
    for (name, major, minor) in DEVICES {
        sys::mknod(
            dev,
            name,
            libc::S_IFCHR | 0o666,
            u64::from(major << 8 | minor),
        )
        .must();
    }
    for (content, name) in LINKS {
        sys::symlink(content, dev, name).must();
    }
    loopback_up();
    if request.overlap {
        channel::receive(socket);
        join_cgroups(request);
    }
    if request.docker {
        mount_cgroups(root, request.name);
        hide(root, null);
    }

    sys::fchdir(root).must();
    sys::pivot_root(c".", c".").must();
    sys::detach(c".").must();
    sys::chdir(c"/").must();
    sys::sethostname(request.name).must();
    sys::getcwd(&mut [0; 4096]).must();
    channel::send(socket, 0, None);
    channel::receive(socket);
    identity::take(request);
    execute(request)
}

/// Moves into the cgroups, and in docker's spec makes their namespace, which takes its root from them.
fn join_cgroups(request: &Request) {
    cgroup::join(request.name);
    if request.docker {
        sys::unshare(libc::CLONE_NEWCGROUP).must();
    }
}

/// Executes the program; the answer is for the case that it cannot be.
pub(crate) fn execute(request: &Request) -> i32 {
    let environment = [
        c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            .as_ptr()
            .cast(),
        core::ptr::null(),
    ];
    sys::execve(sys::first(request.program), request.program, &environment).must();
    127
}

/// Opens a path in the root without following anything out of it.
fn resolve(root: Fd, path: &CStr) -> sys::Answer {
    let flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
    sys::openat2(
        root,
        path,
        &[
            flags,
            0,
            libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS,
        ],
    )
}

fn mount(root: Fd, kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64, target: &CStr) -> Fd {
    let mount = detached(kind, options, attributes);
    sys::attach(mount, resolve(root, target).fd()).must();
    mount
}

fn detached(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> Fd {
    let context = sys::fsopen(kind).fd();
    for (key, value) in options {
        sys::fsconfig_string(context, key, value).must();
    }
    sys::fsconfig_create(context).must();
    sys::fsmount(context, attributes).fd()
}

/// A tmpfs with the container's own part of every hierarchy below it, all read-only. A cgroup namespace shows those parts as a
/// new mount of each hierarchy would, without a superblock for each.
fn mount_cgroups(root: Fd, name: &CStr) {
    let top = mount(
        root,
        c"tmpfs",
        &[(c"mode", c"755")],
        NOSUID | NODEV | NOEXEC,
        c"sys/fs/cgroup",
    );
    for hierarchy in cgroup::HIERARCHIES {
        let part = cgroup::Path::of(hierarchy, name, b"");
        if let Some(mount) = sys::open_tree(HERE, part.text(), 0).ok() {
            set_attributes(mount as Fd, NOSUID | NODEV | NOEXEC | RDONLY, 0);
            sys::mkdir(top, hierarchy, 0o755).must();
            sys::attach(mount as Fd, resolve(top, hierarchy).fd()).must();
        }
    }
    set_attributes(top, RDONLY, 0);
}

/// Puts the null device or an empty directory over the masked paths, and a read-only copy over the others.
fn hide(root: Fd, null: Fd) {
    let mut empty = None;
    for path in MASKED {
        let Some(target) = resolve(root, path).ok() else {
            continue;
        };
        let target = target as Fd;
        let mount = if sys::is_directory(target) {
            let first = *empty.get_or_insert_with(|| detached(c"tmpfs", &[], RDONLY));
            sys::open_tree(first, c"", libc::AT_EMPTY_PATH as u32).fd()
        } else {
            sys::open_tree(null, c"", libc::AT_EMPTY_PATH as u32).fd()
        };
        sys::attach(mount, target).must();
    }
    for path in READ_ONLY {
        let Some(target) = resolve(root, path).ok() else {
            continue;
        };
        let flags = (libc::AT_EMPTY_PATH | libc::AT_RECURSIVE) as u32;
        let mount = sys::open_tree(target as Fd, c"", flags).fd();
        set_attributes(mount, RDONLY, libc::AT_RECURSIVE);
        sys::attach(mount, target as Fd).must();
    }
}

fn set_attributes(mount: Fd, attributes: u64, flags: i32) {
    let attributes = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    sys::mount_setattr(mount, flags, &attributes).must();
}

fn loopback_up() {
    let socket = sys::datagram_socket().fd();
    let mut name = [0; 16];
    name[0] = b'l' as i8;
    name[1] = b'o' as i8;
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    sys::set_interface_flags(socket, &request).must();
    sys::close(socket).must();
}

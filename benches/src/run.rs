//! `run`: the owner's half, and the helper between it and the container.

use crate::cgroup::Path;
use crate::helper::{INTO_CGROUP, arguments_for, enter, seal};
use crate::start::Arguments;
use crate::sys::{self, Fd};
use crate::{Request, cgroup, channel, container};

/// The namespaces that one `clone3` makes.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// Makes the cgroups, starts the container, waits for it and removes what is left.
pub(crate) fn owner(request: &Request, arguments: Arguments) -> i32 {
    let program = seal();
    let mut pair = [0; 2];
    sys::socketpair(&mut pair).must();
    let [mine, theirs] = pair;
    sys::keep(theirs).must();
    cgroup::make_unified(request.name);
    if !request.overlap {
        cgroup::make(request.name, request.docker);
    }

    let mut pidfd: Fd = -1;
    let pid;
    if request.direct {
        let flags = NAMESPACES | libc::CLONE_PIDFD;
        pid = enter(program, b'c', theirs, flags, &mut pidfd, arguments);
        sys::close(theirs).must();
        make_late(request, mine);
        channel::receive(mine);
    } else {
        let helper = enter(program, b'h', theirs, 0, &mut pidfd, arguments);
        sys::close(theirs).must();
        make_late(request, mine);
        (pid, pidfd) = channel::receive_process(mine);
        sys::wait_pid(helper, &mut nothing()).must();
    }

    look_back(request, pid);
    channel::send(mine, 0, None);
    channel::wait_for_end(mine);
    let code = ended(pidfd);
    cgroup::remove(request.name);
    code
}

fn make_late(request: &Request, mine: Fd) {
    if request.overlap {
        cgroup::make(request.name, request.docker);
        channel::send(mine, 0, None);
    }
}

/// Clones the container's process as the owner's own child and hands over its pidfd.
pub(crate) fn helper(request: &Request, socket: Fd) -> i32 {
    let mut pidfd: Fd = -1;
    let flags = NAMESPACES | libc::CLONE_PARENT | libc::CLONE_PIDFD;
    let mut clone = arguments_for(flags, &mut pidfd);
    if let Some(fd) = cgroup::unified(request.name) {
        clone.flags |= INTO_CGROUP;
        clone.cgroup = fd as u64;
    }
    let child = sys::clone(&clone).must();
    if child == 0 {
        return container::start(request, socket);
    }
    channel::send(socket, child as i32, Some(pidfd));
    0
}

/// Reads the process's cgroups and namespaces, as an owner does that compares them before it lets go.
pub(crate) fn look_back(request: &Request, pid: i32) {
    let process = sys::open_directory(Path::of_process(pid).text()).fd();
    let cgroups = sys::open_below(process, c"cgroup").fd();
    sys::read(cgroups, &mut [0; 4096]).must();
    sys::close(cgroups).must();
    let namespaces = [
        c"ns/mnt",
        c"ns/pid",
        c"ns/net",
        c"ns/ipc",
        c"ns/uts",
        c"ns/cgroup",
    ];
    for namespace in namespaces.iter().take(if request.docker { 6 } else { 5 }) {
        sys::readlink(process, namespace, &mut [0; 64]).must();
    }
    sys::close(process).must();
}

/// Waits for the process and answers with its exit code.
pub(crate) fn ended(pidfd: Fd) -> i32 {
    let mut info = nothing();
    sys::wait_pidfd(pidfd, &mut info).must();
    sys::status(&info)
}

fn nothing() -> libc::siginfo_t {
    sys::no_information()
}

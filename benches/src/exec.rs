//! `exec`: a further process in a running container.

use crate::helper::{INTO_CGROUP, arguments_for, enter, seal};
use crate::start::{Arguments, number};
use crate::sys::{self, Fd};
use crate::{Request, cgroup, channel, container, identity, run};

/// Starts the process and waits for it.
pub(crate) fn owner(request: &Request, arguments: Arguments) -> i32 {
    let program = seal();
    let container = sys::pidfd_open(number(request.place.to_bytes())).fd();
    sys::keep(container).must();
    let mut pair = [0; 2];
    sys::socketpair(&mut pair).must();
    let [mine, theirs] = pair;
    sys::keep(theirs).must();

    let helper = enter(program, b'h', theirs, 0, &mut -1, arguments);
    sys::close(theirs).must();
    channel::send(mine, 0, Some(container));
    let (pid, pidfd) = channel::receive_process(mine);
    sys::wait_pid(helper, &mut sys::no_information()).must();
    run::look_back(request, pid);
    channel::send(mine, 0, None);
    channel::wait_for_end(mine);
    run::ended(pidfd)
}

/// Joins cgroups and namespaces, clones the process as the owner's own child and hands over its pidfd.
pub(crate) fn helper(request: &Request, socket: Fd) -> i32 {
    let (_, container) = channel::receive(socket);
    let mut pidfd: Fd = -1;
    let mut clone = arguments_for(libc::CLONE_PARENT | libc::CLONE_PIDFD, &mut pidfd);
    if let Some(fd) = cgroup::unified(request.name) {
        clone.flags |= INTO_CGROUP;
        clone.cgroup = fd as u64;
    }
    cgroup::join(request.name);
    let mut namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    if request.docker {
        namespaces |= libc::CLONE_NEWCGROUP;
    }
    sys::setns(container, namespaces).must();
    let child = sys::clone(&clone).must();
    if child == 0 {
        sys::setsid().must();
        sys::chdir(c"/").must();
        sys::getcwd(&mut [0; 4096]).must();
        channel::send(socket, 0, None);
        channel::receive(socket);
        identity::take(request);
        return container::execute(request);
    }
    channel::send(socket, child as i32, Some(pidfd));
    0
}

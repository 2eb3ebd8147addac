#!/bin/busybox sh
# The first process of the virtual machine: runs the tests that /tests lists, and switches the machine off. Where the machine has
# systemd, that does both, by the units beside it.
busybox=/bin/busybox

if [ "$1" != second ]; then
    # pivot_root(2) cannot leave an initramfs: everything moves to a tmpfs first.
    $busybox mount -t tmpfs -o size=90% tmpfs /new
    $busybox cp -a /bin /dev /etc /init /lib /proc /run-tests /sys /tests /tmp /usr /new/
    for folder in /*; do
        [ -e "/new$folder" ] || [ "$folder" = /new ] || $busybox cp -a "$folder" /new/
    done
    if [ -e /lib/systemd/systemd ]; then
        exec $busybox switch_root /new /lib/systemd/systemd
    fi
    exec $busybox switch_root /new /init second
fi

$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs devtmpfs /dev
$busybox mkdir -p /dev/pts /dev/shm /run
$busybox mount -t devpts devpts /dev/pts
$busybox mount -t tmpfs tmpfs /dev/shm
$busybox mount -t tmpfs tmpfs /tmp
$busybox mount -t tmpfs tmpfs /run
$busybox mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
# As systemd does: cgroup namespaces are borders, controllers are handed down, and whoever starts containers is in a cgroup of its own.
$busybox mkdir /sys/fs/cgroup/init.scope
echo 1 > /sys/fs/cgroup/init.scope/cgroup.procs
for controller in $($busybox cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
done
export HOIST_TESTS_MUST_RUN=root,cgroup-v2,limits
if [ -e /etc/selinux-policy ]; then
    $busybox mount -t selinuxfs selinuxfs /sys/fs/selinux
    # The kernel takes it in one write(2).
    $busybox dd if=/etc/selinux-policy of=/sys/fs/selinux/load bs=8M count=1
    if [ -e /etc/selinux-contexts ]; then
        # A distribution's: files are labelled as it has them, and the tests run as the shell of its root.
        # It tells files by their inode's number alone, so it is asked for one file system at a time.
        /sbin/setfiles -F -e /dev -e /proc -e /run -e /sys -e /tmp /etc/selinux-contexts /
        /sbin/setfiles -F /etc/selinux-contexts /dev
        HOIST_TESTS_MUST_RUN=$HOIST_TESTS_MUST_RUN,reference-policy
        # The newline would be a second write(2), which takes it back.
        echo -n unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023 > /proc/self/attr/exec
        exec $busybox sh /run-tests
    fi
    HOIST_TESTS_MUST_RUN=$HOIST_TESTS_MUST_RUN,selinux,criu,checkpoints
fi
exec $busybox sh /run-tests

# Runs the tests that /tests lists, one after the other, and switches the machine off.
busybox=/bin/busybox
while read -r module; do
    $busybox insmod "$module"
done < /lib/in-order
if [ -e /etc/selinux-contexts ]; then
    echo 1 > /sys/fs/selinux/enforce
fi
$busybox ip link set lo up
export PATH=/bin:/usr/bin:/usr/sbin TMPDIR=/tmp HOME=/tmp RUST_BACKTRACE=1
$busybox echo "Linux $($busybox uname -r), controllers: $($busybox cat /sys/fs/cgroup/cgroup.controllers)"

while read -r folder program filter; do
    cd "$folder" || continue
    echo "     Running $program $filter"
    $program --color never ${filter:+"$filter"} < /dev/null
done < /tests
$busybox poweroff -f

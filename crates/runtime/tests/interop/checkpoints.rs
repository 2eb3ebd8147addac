//! Checkpoints as engines make and start them, where criu works: `cargo xtask vm --systemd` has a kernel that it knows.

use hoist_testing::{Need, Suite};

use crate::containerd::{self, Containerd};
use crate::docker;
use crate::kit::{Docker, Step};

const CONTAINERD: &[Need] = &[
    Need::Root,
    Need::Criu,
    Need::Tool("containerd"),
    Need::Tool("ctr"),
    Need::Tool("containerd-shim-runc-v2"),
    Need::Tool("bash"),
];
const DOCKER: &[Need] = &[
    Need::Root,
    Need::Criu,
    Need::Tool("dockerd"),
    Need::Tool("docker"),
    Need::Tool("containerd"),
    Need::Tool("containerd-shim-runc-v2"),
    Need::Tool("ip"),
    Need::Tool("bash"),
];

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test_or_skip(
            "checkpoint: what ctr writes down and restores counts on, and can be told to end",
            CONTAINERD,
            || {
                containerd::steps(&Containerd::start()?, OF_CTR);
                Ok(())
            },
        )
        .test_or_skip(
            "checkpoint: what docker writes down and starts from there counts on, and says so in its log",
            DOCKER,
            || {
                // Neither a bridge nor what it needs of the host has to do with it.
                let flags = &["--experimental", "--bridge=none", "--iptables=false"];
                docker::steps(&Docker::start_with(flags)?, OF_DOCKER);
                Ok(())
            },
        )
}

const OF_CTR: &[Step<'_>] = &[
    (
        "an image",
        "cd $F && echo '[{\"Config\":\"config.json\",\"RepoTags\":[\"docker.io/library/box:1\"],\"Layers\":[\"busybox.tar\"]}]' >manifest.json && \
         echo '{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:'$(sha256sum busybox.tar | cut -d' ' -f1)'\"]}}' >config.json && \
         tar -cf image.tar manifest.json config.json busybox.tar && $C image import --snapshotter native image.tar",
        "box:1",
    ),
    (
        "run -d",
        "mkdir $F/data && $C run -d $B --snapshotter native --mount type=bind,src=$F/data,dst=/data,options=rbind:rw docker.io/library/box:1 first sh -c '\
         t=$(cat /proc/sys/kernel/random/uuid); i=0; while :; do i=$((i+1)); echo $t $i >/data/new; mv /data/new /data/count; sleep 0.1; done' && \
         while ! [ -e $F/data/count ] || [ $(cut -d' ' -f2 $F/data/count) -lt 10 ]; do sleep 0.1; done; $C task ls",
        "RUNNING",
    ),
    (
        "checkpoint",
        "$C container checkpoint --task first docker.io/library/first:checkpoint && $C task kill -s KILL first; $C task rm -f first; $C container rm first; \
         cp $F/data/count $F/data/before; rm $F/data/count; $C image ls -q",
        "first:checkpoint",
    ),
    (
        "restore",
        "$C container restore --live second docker.io/library/first:checkpoint && $C task ls",
        "RUNNING",
    ),
    (
        "the same process counts on",
        "while ! [ -e $F/data/count ]; do sleep 0.1; done; read was at <$F/data/before; read is now <$F/data/count; echo $was $at, $is $now; [ $was = $is ] && [ $now -gt $at ] && echo as it was",
        "as it was",
    ),
    (
        "exec",
        "$C task exec --exec-id x second cat /data/count",
        "-",
    ),
    (
        "kill and delete",
        "$C task kill -s KILL second; for i in $(seq 100); do $C task ls | grep STOPPED && break; sleep 0.1; done; $C task rm second; $C container rm second; $C task ls -q | wc -l",
        "0",
    ),
];

const OF_DOCKER: &[Step<'_>] = &[
    (
        "run -d",
        "docker run -d --name box --network none $IMAGE sh -c '\
         t=$(cat /proc/sys/kernel/random/uuid); i=0; while :; do i=$((i+1)); echo $t $i >/new; mv /new /count; echo tick $i; sleep 0.1; done' && \
         until docker logs box | grep 'tick 10'; do sleep 0.1; done; docker ps",
        "Up",
    ),
    (
        "checkpoint create --leave-running",
        "docker checkpoint create --leave-running box early && docker inspect -f '{{.State.Status}}' box",
        "running",
    ),
    (
        "checkpoint create",
        "docker checkpoint create box here && docker checkpoint ls box && docker inspect -f '{{.State.Status}}' box",
        "exited",
    ),
    (
        "start --checkpoint",
        "docker cp box:/count before && docker start --checkpoint here box; docker inspect -f '{{.State.Status}}' box",
        "running",
    ),
    (
        "the same process counts on",
        "read was at <before; while docker exec box cat /count >after; read is now <after; [ $now -le $at ]; do sleep 0.1; done; echo $was $at, $is $now; [ $was = $is ] && echo as it was",
        "as it was",
    ),
    (
        "its log goes on",
        "read was at <before; until docker logs box | grep \"tick $((at+5))\"; do sleep 0.1; done; docker logs box | grep -c 'tick 1$'",
        "1",
    ),
    (
        "written down once more, and started from there",
        "docker checkpoint create box again && docker cp box:/count before && docker start --checkpoint again box && \
         read was at <before; while docker exec box cat /count >after; read is now <after; [ $now -le $at ]; do sleep 0.1; done; [ $was = $is ] && echo as it was",
        "as it was",
    ),
    (
        "stop, and a start from the beginning",
        "docker kill box && docker start box && read was at <before && docker exec box cat /count >after && read is now <after; [ $was != $is ] && echo another",
        "another",
    ),
    ("rm", "docker rm -f box", "box"),
];

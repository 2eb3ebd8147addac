//! docker, with the runtime as its default one.

use hoist_testing::{Need, Suite};

use crate::kit::{Docker, Step, run_steps};

/// What a docker daemon of a test's own needs.
pub(crate) const DOCKER: &[Need] = &[
    Need::Root,
    Need::Tool("dockerd"),
    Need::Tool("docker"),
    Need::Tool("containerd"),
    Need::Tool("iptables"),
    Need::Tool("ip"),
    Need::Tool("script"),
];

pub(crate) fn add(suite: Suite) -> Suite {
    suite.test_or_skip(
        "docker with this runtime as its default one: run, exec, stop, pause, update, logs, attach, limits, ports, build",
        DOCKER,
        || {
            steps(&Docker::start()?, STEPS);
            Ok(())
        },
    )
    .test_or_skip(
        "docker with --userns-remap: root of a container is an ordinary user of the host, in run, exec and its files",
        DOCKER,
        || {
            steps(&Docker::start_with(&["--userns-remap", "nobody:nogroup"])?, REMAPPED);
            Ok(())
        },
    )
}

/// Runs the steps, after which nothing of docker's or of the runtime's is left.
#[track_caller]
pub(crate) fn steps(docker: &Docker, steps: &[Step<'_>]) {
    run_steps(steps, &|script| {
        let mut command = docker.inside("timeout");
        command
            .args(["60", "bash", "-c", script])
            .current_dir(docker.folder.path());
        command
    });
    docker.assert_nothing_is_left();
}

const REMAPPED: &[Step<'_>] = &[
    (
        "the daemon maps ids",
        "docker info --format '{{.SecurityOptions}} {{.DefaultRuntime}}'",
        "name=userns] tested",
    ),
    (
        "run -d",
        "docker run -d --name box --memory 64m $IMAGE sleep 1000",
        "",
    ),
    (
        "root is an ordinary user outside",
        "stat -c %u:%g /proc/$(docker inspect -f '{{.State.Pid}}' box)",
        "100000:100000",
    ),
    (
        "exec",
        "docker exec box sh -c 'touch /made && stat -c %u /made && cat /proc/self/uid_map' | tr -s ' \n' ' '",
        "0 0 100000 65536",
    ),
    (
        "its root may not what the host's may",
        "docker exec box sh -c 'echo x >/proc/sys/kernel/core_pattern || mount -t tmpfs tmpfs /mnt || echo refused'",
        "refused",
    ),
    (
        "pause and unpause",
        "docker pause box && docker unpause box && docker inspect -f '{{.State.Status}}' box",
        "running",
    ),
    (
        "--userns host",
        "docker run --rm --userns host $IMAGE cat /proc/self/uid_map",
        "4294967295",
    ),
    ("rm", "docker rm -f box", "box"),
];

const STEPS: &[Step<'_>] = &[
    (
        "the default runtime",
        "docker info --format '{{.DefaultRuntime}}'",
        "tested",
    ),
    ("run", "docker run --rm $IMAGE echo hi", "hi"),
    (
        "exit status",
        "docker run --rm $IMAGE sh -c 'exit 42'; echo $?",
        "42",
    ),
    (
        "no such command",
        "docker run --rm $IMAGE /nope; echo =$?",
        "=127",
    ),
    (
        "no command",
        "docker run --rm $IMAGE /etc/passwd; echo =$?",
        "=126",
    ),
    (
        "run -it",
        "(sleep 2; echo 'stty size; tty; exit 6'; sleep 1) | script -qec 'stty rows 33 cols 77; docker run -it --rm $IMAGE sh; echo =$?' /dev/null",
        "33 77",
    ),
    ("run -i", "echo abc | docker run -i --rm $IMAGE cat", "abc"),
    (
        "run -d",
        "docker run -d --name box --memory 64m $IMAGE sh -c 'trap \"exit 7\" TERM; i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.2; done' && docker inspect -f '{{.HostConfig.Runtime}} {{.State.Status}}' box",
        "tested running",
    ),
    ("exec", "docker exec box echo inside", "inside"),
    (
        "exec status",
        "docker exec box sh -c 'exit 5'; echo =$?",
        "=5",
    ),
    (
        "exec no such command",
        "docker exec box /nope; echo =$?",
        "=12",
    ),
    ("exec -i", "echo q | docker exec -i box cat", "q"),
    (
        "exec -t",
        "script -qec 'docker exec -t box tty' /dev/null",
        "/dev/pts",
    ),
    (
        "exec -u -w -e",
        "docker exec -u 33:34 -w /etc -e X=y box sh -c 'echo $(id -u):$(id -g) $(pwd) $X'",
        "33:34 /etc y",
    ),
    ("top", "docker top box -o pid,args", "tick"),
    (
        "stats",
        "docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' box",
        "/ 64MiB",
    ),
    ("logs", "docker logs box", "tick 0"),
    (
        "logs -f",
        "timeout 3 docker logs -f --tail 1 box | head -n 3 | wc -l",
        "3",
    ),
    (
        "attach",
        "timeout 3 docker attach --no-stdin --sig-proxy=false box | head -n 2 | wc -l",
        "2",
    ),
    (
        "pause",
        "docker pause box && docker inspect -f '{{.State.Status}}' box",
        "paused",
    ),
    ("no exec while paused", "! docker exec box true", "paused"),
    (
        "unpause",
        "docker unpause box && docker inspect -f '{{.State.Status}}' box",
        "running",
    ),
    (
        "update",
        "docker update --memory 96m --memory-swap -1 box && docker stats --no-stream --format '{{.MemUsage}}' box",
        "/ 96MiB",
    ),
    (
        "kill with a signal that it handles",
        "docker kill -s WINCH box && docker inspect -f '{{.State.Status}}' box",
        "running",
    ),
    (
        "stop",
        "docker stop -t 10 box && docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' box",
        "exited 7",
    ),
    (
        "start again, and kill",
        "docker start box && docker kill box && docker wait box",
        "137",
    ),
    ("rm", "docker rm box && ! docker inspect box", "No such"),
    (
        "--init",
        "docker run --rm --init $IMAGE sh -c 'tr \"\\0\" \" \" </proc/1/cmdline'",
        "docker-init",
    ),
    (
        "--cap-drop and --cap-add",
        "docker run --rm --cap-drop all --cap-add chown $IMAGE grep CapEff /proc/self/status",
        "0000000000000001",
    ),
    (
        "--security-opt seccomp=FILE",
        "echo '{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\",\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95}]}' >profile.json; docker run --rm --security-opt seccomp=profile.json $IMAGE mkdir /made; echo =$?",
        "not supported",
    ),
    (
        "no-new-privileges",
        "docker run --rm --security-opt no-new-privileges $IMAGE grep NoNewPrivs /proc/self/status",
        "1",
    ),
    (
        "--userns host",
        "docker run --rm --userns host $IMAGE cat /proc/self/uid_map",
        "4294967295",
    ),
    (
        "--read-only",
        "docker run --rm --read-only --tmpfs /t $IMAGE sh -c 'touch /t/a && ! touch /b && echo as asked'",
        "as asked",
    ),
    (
        "an out-of-memory kill is told",
        "docker run --name big --memory 24m --memory-swap 24m $IMAGE sh -c 'a=x; while :; do a=$a$a; done'; echo =$?; docker inspect -f 'oom:{{.State.OOMKilled}}' big; docker rm big",
        "oom:true",
    ),
    (
        "a published port",
        "docker run -d --name web -p 127.0.0.1:8123:80 $IMAGE sh -c 'mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www' && for i in $(seq 50); do busybox wget -qO- http://127.0.0.1:8123/ && break; sleep 0.1; done; docker rm -f web",
        "served",
    ),
    (
        "containers reach one another by the bridge",
        "docker run -d --name web $IMAGE sh -c 'mkdir /www; echo reached >/www/index.html; exec httpd -f -p 80 -h /www' && docker run --rm $IMAGE sh -c \"for i in 1 2 3 4 5 6 7 8 9; do wget -qO- http://$(docker inspect -f '{{.NetworkSettings.IPAddress}}' web)/ && break; sleep 0.3; done\"; docker rm -f web",
        "reached",
    ),
    (
        "build with RUN",
        "mkdir -p context && printf 'FROM %s\nRUN echo built >/made && id -u >>/made\nUSER 1000\nRUN test $(id -u) = 1000\nCMD cat /made; id -u\n' $IMAGE >context/Dockerfile && DOCKER_BUILDKIT=0 docker build -t built:interop context && docker run --rm built:interop | tr '\\n' ' '",
        "built 0 1000",
    ),
    (
        "a shared pid namespace",
        "docker run -d --name box $IMAGE sleep 1000 && docker run --rm --pid container:box $IMAGE ps; docker rm -f box",
        "sleep 1000",
    ),
    (
        "a restart policy",
        "docker run -d --name again --restart on-failure:2 $IMAGE false && for i in $(seq 100); do [ \"$(docker inspect -f '{{.RestartCount}} {{.State.Status}}' again)\" = '2 exited' ] && echo twice && break; sleep 0.2; done; docker rm -f again",
        "twice",
    ),
];

//! podman, as root and as an ordinary user.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use hoist_testing::{Need, Suite};

use crate::kit::{Step, archive, folder, run_steps, runtime};

const PODMAN: &[Need] = &[
    Need::Root,
    Need::Tool("podman"),
    Need::Tool("conmon"),
    Need::Tool("setpriv"),
];
/// Whoever the ordinary user is, nobody else here is he.
const USER: u32 = 54_321;

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test_or_skip(
            "podman as root: pods, id maps, limits, exec, stop and a removal that leaves nothing",
            PODMAN,
            || podman(None, ROOT_STEPS),
        )
        .test_or_skip(
            "podman as root: a pod with an infra container, whose namespaces are joined, is paused, stopped and removed",
            PODMAN,
            || podman(None, ROOT_POD_STEPS),
        )
        .test_or_skip(
            "podman as an ordinary user: run, exec, stop, logs and a removal that leaves nothing",
            PODMAN,
            || podman(Some(USER), USER_STEPS),
        )
        .test_or_skip(
            "podman as an ordinary user: a pod with an infra container, whose namespaces are joined, is stopped and removed",
            PODMAN,
            || podman(Some(USER), USER_POD_STEPS),
        )
}

fn podman(user: Option<u32>, steps: &[Step<'_>]) -> Result<(), String> {
    let folder = folder();
    archive(folder.path()).ok_or("there is no static busybox")?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("runtime");
    fs::copy(runtime(), &program).unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    std::os::unix::fs::chown(&work, user, user).unwrap();
    let set_up = |script: &str| {
        let mut command = Command::new("timeout");
        command.args(["--kill-after", "5", "90"]);
        if let Some(user) = user {
            let user = user.to_string();
            command.args([
                "setpriv",
                "--reuid",
                &user,
                "--regid",
                &user,
                "--clear-groups",
            ]);
        }
        let podman = format!(
            "podman --root {0}/root --runroot {0}/run --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime {1}",
            work.display(),
            program.display()
        );
        command
            .args(["bash", "-o", "pipefail", "-c", &format!("cd {}\nP='{podman}'\nR='--network none --ulimit nofile=1024:4096 --ulimit nproc=1000:1000'\n{script}", work.display())])
            .env("HOME", &work)
            .env("USER", if user.is_some() { "somebody" } else { "root" })
            .env("XDG_RUNTIME_DIR", &work)
            .env("XDG_CONFIG_HOME", work.join("config"));
        command
    };
    let import: &[Step<'_>] = &[("import", "$P import -q ../busybox.tar localhost/bb", "")];
    run_steps(import, &set_up);
    run_steps(steps, &set_up);
    let clean: &[Step<'_>] = &[("nothing is left", "$P ps -aq | wc -l", "0")];
    run_steps(clean, &set_up);
    let state = fs::read_dir(work.join("hoist-oci/containers"))
        .into_iter()
        .flatten();
    assert_eq!(state.count(), 0);
    // Folders of the user's own namespaces.
    run_steps(&[("reset", "$P system reset --force", "")], &set_up);
    Ok(())
}

const ROOT_STEPS: &[Step<'_>] = &[
    ("run", "$P run --rm $R localhost/bb echo hi", "hi"),
    (
        "exit status",
        "$P run --rm $R localhost/bb sh -c 'exit 42'; echo =$?",
        "=42",
    ),
    (
        "id maps",
        "$P run --rm $R --uidmap 0:100000:1000 --gidmap 0:100000:1000 localhost/bb cat /proc/self/uid_map",
        "100000",
    ),
    (
        "limits",
        "$P run --rm $R --memory 64m --pids-limit 50 localhost/bb sh -c 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true'",
        "50",
    ),
    (
        "seccomp",
        "$P run --rm $R localhost/bb grep Seccomp: /proc/self/status",
        "2",
    ),
    (
        "--systemd=always",
        "$P run --rm $R --systemd=always localhost/bb sh -c 'touch /run/x /run/lock/y && echo $container ${#container_uuid} $(grep -c \" /tmp tmpfs rw\" /proc/mounts)'",
        "podman 32 1",
    ),
    (
        "run -d",
        "$P run -d --name box $R localhost/bb sh -c 'trap \"exit 7\" TERM; while :; do echo tick; sleep 0.2; done' && $P ps --format '{{.Names}} {{.Status}}'",
        "box Up",
    ),
    (
        "exec",
        "$P exec box sh -c 'echo inside; exit 5'; echo =$?",
        "=5",
    ),
    (
        "exec -t",
        "script -qec \"$P exec -t box tty\" /dev/null",
        "/dev/",
    ),
    (
        "pause and unpause",
        "$P pause box && $P unpause box && $P inspect -f '{{.State.Status}}' box",
        "running",
    ),
    (
        "stop",
        "$P stop -t 10 box && $P inspect -f '{{.State.ExitCode}}' box",
        "7",
    ),
    ("rm", "$P rm box", "box"),
    (
        "a pod shares its namespaces",
        "$P pod create --infra=false --name pod && $P run -d --pod pod --name one $R localhost/bb sleep 1000 && $P run --rm --pod pod $R localhost/bb echo joined; $P pod rm -t 0 -f pod",
        "joined",
    ),
];

/// Containers that podman makes by itself get limits that this machine may lend.
const ROOT_POD_STEPS: &[Step<'_>] = &[
    (
        "a pod with an infra container",
        "printf '[containers]\\ndefault_ulimits = [\"nofile=1024:4096\", \"nproc=1000:1000\"]\\n' >conf; export CONTAINERS_CONF=$PWD/conf; $P pod create --infra-image localhost/bb --infra-command 'sleep 1000' --share uts,ipc,net,pid --hostname together --network none --name infra && $P pod start infra",
        "",
    ),
    (
        "what joins it has the infra container's namespaces",
        "export CONTAINERS_CONF=$PWD/conf; $P run --rm --pod infra localhost/bb sh -c 'hostname; ps' | tr '\\n' ' '",
        "together",
    ),
    (
        "the infra container's process is seen there",
        "export CONTAINERS_CONF=$PWD/conf; $P run --rm --pod infra localhost/bb ps",
        "sleep 1000",
    ),
    (
        "pod pause, unpause and stop",
        "$P pod pause infra >&2 && $P pod unpause infra >&2 && $P pod stop -t 0 infra >&2 && $P pod inspect infra --format '{{.State}}'",
        "Exited",
    ),
    (
        "pod rm",
        "$P pod rm -f infra >&2; $P pod ps -q | wc -l",
        "0",
    ),
];

const USER_STEPS: &[Step<'_>] = &[
    ("run", "$P run --rm $R localhost/bb echo hi", "hi"),
    (
        "exit status",
        "$P run --rm $R localhost/bb sh -c 'exit 42'; echo =$?",
        "=42",
    ),
    (
        "its root is the user",
        "$P run --rm $R localhost/bb cat /proc/self/uid_map",
        "54321",
    ),
    (
        "run -d",
        "$P run -d --name box $R localhost/bb sh -c 'trap \"exit 7\" TERM; while :; do echo tick; sleep 0.2; done'",
        "",
    ),
    ("exec", "$P exec box sh -c 'id -u; exit 5'; echo =$?", "=5"),
    ("logs", "$P logs box", "tick"),
    (
        "stop",
        "$P stop -t 10 box && $P inspect -f '{{.State.ExitCode}}' box",
        "7",
    ),
    ("rm", "$P rm box", "box"),
];

/// Without cgroups podman pauses nothing; and where it shares an IPC namespace it binds the host's /dev/mqueue, which not every host has.
const USER_POD_STEPS: &[Step<'_>] = &[
    (
        "a pod with an infra container",
        "printf '[containers]\\ndefault_ulimits = [\"nofile=1024:4096\", \"nproc=1000:1000\"]\\n' >conf; export CONTAINERS_CONF=$PWD/conf; $P pod create --infra-image localhost/bb --infra-command 'sleep 1000' --share uts,net,pid --hostname together --network none --name infra && $P pod start infra",
        "",
    ),
    (
        "what joins it has the infra container's namespaces",
        "export CONTAINERS_CONF=$PWD/conf; $P run --rm --pod infra localhost/bb sh -c 'hostname; ps' | tr '\\n' ' '",
        "together",
    ),
    (
        "the infra container's process is seen there",
        "export CONTAINERS_CONF=$PWD/conf; $P run --rm --pod infra localhost/bb ps",
        "sleep 1000",
    ),
    (
        "pod stop",
        "$P pod stop -t 0 infra >&2 && $P pod inspect infra --format '{{.State}}'",
        "Exited",
    ),
    (
        "pod rm",
        "$P pod rm -f infra >&2; $P pod ps -q | wc -l",
        "0",
    ),
];

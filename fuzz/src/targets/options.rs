//! The small languages of the command line's values: one option each line, as `NAME VALUE`.

use std::path::Path;

use hoist_spec::{
    Platform,
    options::{MountOptions, OptionFacts, RunOptions, size},
};

pub(super) fn options(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut options = RunOptions::default();
    for line in text.lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        put(&mut options, name, value.to_owned());
        let _ = size(value);
    }
    for platform in [Platform::Linux, Platform::Windows] {
        let facts = OptionFacts {
            environment: &|name| (name == "HOME").then(|| "/home/me".to_owned()),
            current_dir: Path::new("/home/me"),
            // Every file is this document.
            read_file: &|_| Ok(text.to_owned()),
            selinux: &|| false,
            platform,
        };
        let mounts = MountOptions {
            volume: options.volume.clone(),
            mount: options.mount.clone(),
            tmpfs: options.tmpfs.clone(),
        };
        let _ = mounts.into_mounts(&facts);
        match options.clone().into_command(&facts) {
            // What was found to be right can be made.
            Ok(command) => {
                let made = command.to_container_spec_for(platform);
                assert!(made.is_ok(), "{command:?}");
            }
            Err(faults) => drop(faults.to_string()),
        }
    }
}

fn put(options: &mut RunOptions, name: &str, value: String) {
    match name {
        "volume" => options.volume.push(value),
        "mount" => options.mount.push(value),
        "tmpfs" => options.tmpfs.push(value),
        "env" => options.env.push(value),
        "env-file" => options.env_file.push(value.into()),
        "device" => options.device.push(value),
        "device-cgroup-rule" => options.device_cgroup_rule.push(value),
        "ulimit" => options.ulimit.push(value),
        "sysctl" => options.sysctl.push(value),
        "uidmap" => options.uidmap.push(value),
        "gidmap" => options.gidmap.push(value),
        "group-add" => options.group_add.push(value),
        "annotation" => options.annotation.push(value),
        "label" => options.label.push(value),
        "cap-add" => options.cap_add.push(value),
        "cap-drop" => options.cap_drop.push(value),
        "security-opt" => options.security_opt.push(value),
        "layer" => options.layer.push(value),
        "command" => options.command.push(value),
        "tty" => options.tty = true,
        "init" => options.init = true,
        "read-only" => options.read_only = true,
        "privileged" => options.privileged = true,
        name => {
            if let Some(single) = single(options, name) {
                *single = Some(value);
            }
        }
    }
}

fn single<'a>(options: &'a mut RunOptions, name: &str) -> Option<&'a mut Option<String>> {
    Some(match name {
        "name" => &mut options.name,
        "hostname" => &mut options.hostname,
        "rootfs" => &mut options.rootfs,
        "workdir" => &mut options.workdir,
        "user" => &mut options.user,
        "entrypoint" => &mut options.entrypoint,
        "stop-signal" => &mut options.stop_signal,
        "stop-timeout" => &mut options.stop_timeout,
        "memory" => &mut options.memory,
        "cpus" => &mut options.cpus,
        "cpu-shares" => &mut options.cpu_shares,
        "pids-limit" => &mut options.pids_limit,
        "memory-reservation" => &mut options.memory_reservation,
        "memory-swap" => &mut options.memory_swap,
        "cpuset-cpus" => &mut options.cpuset_cpus,
        "cpuset-mems" => &mut options.cpuset_mems,
        "blkio-weight" => &mut options.blkio_weight,
        "shm-size" => &mut options.shm_size,
        "userns" => &mut options.userns,
        "pid" => &mut options.pid,
        "ipc" => &mut options.ipc,
        "uts" => &mut options.uts,
        "cgroupns" => &mut options.cgroupns,
        "cgroup-parent" => &mut options.cgroup_parent,
        "oom-score-adj" => &mut options.oom_score_adj,
        "layer-folder" => &mut options.layer_folder,
        "network" => &mut options.network,
        _ => return None,
    })
}

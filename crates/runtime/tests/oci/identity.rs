//! Section 2c of the field's history: identity, capabilities, cgroups, devices.

use std::{fs, os::unix::fs::MetadataExt};

use hoist_testing::{Need, Suite};
use serde_json::json;

use crate::kit::{Bundle, CONTAINERS};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "CVE-2024-40635, CVE-2026-46680: an id that is out of range is refused and never wraps",
            CONTAINERS,
            out_of_range,
        )
        .test("CVE-2026-30892: exec runs as the user that it was asked for", CONTAINERS, exec_users)
        .test(
            "CVE-2022-29162 and its like: nothing is inheritable, by run, exec and exec --cap, and the bounding set is exact",
            CONTAINERS,
            inheritable,
        )
        .test(
            "CVE-2018-10856: a user other than root has no capabilities that were not asked for as ambient",
            CONTAINERS,
            ordinary_user,
        )
        .test(
            "CVE-2022-36109 and its like: the primary group is among the supplementary ones",
            CONTAINERS,
            primary_group,
        )
        .test(
            "GHSA-g54h-m393-cpwq: without device rules no device of the host opens, even with CAP_MKNOD",
            &[Need::Root, Need::CgroupV1, Need::Tool("busybox")],
            no_device_rules,
        )
        .test(
            "CVE-2023-25809, CVE-2022-0492: a cgroup mount that is read-only gives nothing to write",
            &[Need::Root, Need::Limits],
            read_only_cgroups,
        )
        .test(
            "failure 33: the process is in the cgroup of the spec and in no other",
            &[Need::Root, Need::Limits],
            own_cgroup,
        )
        .test(
            "CVE-2022-0811: a sysctl of the host is refused by name, and one of a shared namespace",
            CONTAINERS,
            host_sysctls,
        )
        .test(
            "keys: neither the first process nor an exec is in the session keyring of the caller",
            CONTAINERS,
            keyrings,
        )
        .test(
            "CVE-2024-3154: annotations change nothing",
            CONTAINERS,
            annotations,
        )
        .test(
            "GHSA-7ww5-4wqc-m92c: the usual spec masks the power meter",
            CONTAINERS,
            power_meter,
        )
        .test(
            "CVE-2026-47262: a passwd of ten gigabytes or a fifo neither hangs nor fills memory",
            CONTAINERS,
            giant_accounts,
        )
}

fn out_of_range() {
    for (field, value) in [
        ("uid", 4_294_967_295_u64),
        ("gid", 4_294_967_295),
        ("uid", 4_294_967_296),
        ("gid", u64::MAX),
    ] {
        let mut bundle = Bundle::new(&["report"]);
        bundle.config["process"]["user"][field] = json!(value);
        let said = bundle.create();
        assert_eq!(said.code, Some(1), "{field} {value}: {said:?}");
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    for user in [
        "4294967295",
        "4294967296",
        "-1",
        "0x0",
        "1:4294967296",
        "",
        "1:",
    ] {
        let said = bundle.call(&[
            "exec", "--user", user, &bundle.id, "/probe", "probe", "report",
        ]);
        assert_eq!(said.code, Some(255), "{user:?}: {said:?}");
    }
    bundle.remove();
}

fn exec_users() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    for (user, uid, gid) in [
        ("1", 1, 0),
        ("1:2", 1, 2),
        ("65534:65534", 65534, 65534),
        ("0", 0, 0),
        ("4294967294", 4_294_967_294, 0),
    ] {
        let report = bundle
            .call(&[
                "exec", "--user", user, &bundle.id, "/probe", "probe", "report",
            ])
            .ok()
            .report();
        assert_eq!(report.uids, [uid; 4], "{user}");
        assert_eq!(report.gids, [gid; 4], "{user}");
    }
    bundle.remove();
}

fn inheritable() {
    let mut bundle = Bundle::new(&["report"]);
    bundle.config["process"]["capabilities"] = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
    });
    bundle.config["process"]["noNewPrivileges"] = json!(false);
    let sets = bundle.run().ok().report().capabilities.unwrap();
    assert_eq!(sets.inheritable, 0);
    assert_eq!(sets.ambient, 0);
    assert_eq!(sets.bounding, 1 | 1 << 5);
    bundle.probe(&["idle"]);
    bundle.start();
    for words in [
        vec!["exec", bundle.id.as_str(), "/probe", "probe", "report"],
        vec![
            "exec",
            "--cap",
            "CAP_NET_RAW",
            bundle.id.as_str(),
            "/probe",
            "probe",
            "report",
        ],
    ] {
        let sets = bundle.call(&words).ok().report().capabilities.unwrap();
        assert_eq!(sets.inheritable, 0, "{words:?}");
        let extra = if words.contains(&"--cap") { 1 << 13 } else { 0 };
        assert_eq!(sets.bounding, 1 | 1 << 5 | extra, "{words:?}");
    }
    bundle
        .call(&[
            "exec", "--cap", "CAP_NOPE", &bundle.id, "/probe", "probe", "report",
        ])
        .fails(255, "CAP_NOPE");
    bundle.remove();
}

fn ordinary_user() {
    let mut bundle = Bundle::new(&["report"]);
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let sets = bundle.run().ok().report().capabilities.unwrap();
    assert_eq!((sets.effective, sets.permitted, sets.ambient), (0, 0, 0));
    let one = json!(["CAP_NET_BIND_SERVICE"]);
    bundle.config["process"]["capabilities"] = json!({"bounding": one, "effective": one, "permitted": one, "inheritable": one, "ambient": one});
    let sets = bundle.run().ok().report().capabilities.unwrap();
    assert_eq!(
        (sets.effective, sets.permitted, sets.ambient),
        (1 << 10, 1 << 10, 1 << 10)
    );
    // `runc spec` up to 1.1 asks for ambient capabilities that are not inheritable, which the kernel knows none of.
    bundle.config["process"]["user"] = json!({"uid": 0, "gid": 0});
    bundle.config["process"]["capabilities"]["inheritable"] = json!([]);
    let sets = bundle.run().ok().report().capabilities.unwrap();
    assert_eq!((sets.effective, sets.ambient), (1 << 10, 0));
    bundle.remove();
}

fn primary_group() {
    let mut bundle = Bundle::new(&["report"]);
    for user in [
        json!({"uid": 1000, "gid": 1001}),
        json!({"uid": 0, "gid": 7, "additionalGids": [9]}),
        json!({"uid": 5, "gid": 6, "additionalGids": [6, 6]}),
    ] {
        bundle.config["process"]["user"] = user.clone();
        let report = bundle.run().ok().report();
        let gid = user["gid"].as_u64().unwrap() as u32;
        assert!(report.groups.contains(&gid), "{user}: {:?}", report.groups);
    }
    bundle.remove();
}

fn no_device_rules() {
    let Some(mut bundle) = Bundle::shell(
        "for d in 'c 1 1' 'c 10 200' 'b 254 0' 'b 8 0'; do mknod /tmp/d $d 2>/dev/null; (: < /tmp/d) 2>/dev/null && echo opened $d; rm -f /tmp/d; done; : < /dev/null && echo null",
    ) else {
        return;
    };
    std::os::unix::fs::symlink("busybox", bundle.path("rootfs/bin/mknod")).unwrap();
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .retain(|mount| mount["destination"] != "/tmp");
    for resources in [
        json!({}),
        json!({"devices": []}),
        json!({"devices": [{"allow": false, "access": "rwm"}]}),
    ] {
        bundle.config["linux"]["resources"] = resources;
        assert_eq!(bundle.run().ok().out, "null\n");
    }
    bundle.remove();
}

fn read_only_cgroups() {
    let mut bundle = Bundle::new(&[
        "report",
        "+",
        "open",
        "w",
        "/sys/fs/cgroup/memory/cgroup.procs",
        "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/memory/notify_on_release",
        "/sys/fs/cgroup/cgroup.procs",
    ]);
    bundle.config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"],
    }));
    for own_namespace in [true, false] {
        if !own_namespace {
            bundle.config["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .retain(|kind| kind["type"] != "cgroup");
        }
        let said = bundle.run().ok();
        let answers: serde_json::Value =
            serde_json::from_str(said.out.lines().nth(1).unwrap()).unwrap();
        for (path, errno) in answers.as_object().unwrap() {
            assert_ne!(*errno, 0, "{path} can be written");
        }
    }
    bundle.remove();
}

fn own_cgroup() {
    let bundle = Bundle::new(&["idle"]);
    bundle.create().ok();
    let text = fs::read_to_string(format!("/proc/{}/cgroup", bundle.pid())).unwrap();
    let wanted = format!("/hoist-tests/{}", bundle.id);
    for line in text.lines() {
        let place = line.splitn(3, ':').nth(2).unwrap();
        assert!(place == wanted || place == "/", "{line}");
    }
    assert!(text.contains(&wanted), "{text}");
    bundle.remove();
    // The cgroup of somebody else is not taken.
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    let mut second = Bundle::new(&["idle"]);
    second.config["linux"]["cgroupsPath"] = bundle.config["linux"]["cgroupsPath"].clone();
    let said = second.create();
    assert_eq!(said.code, Some(1), "{said:?}");
    second.remove();
    assert_eq!(bundle.status(), "running");
    bundle.remove();
}

fn host_sysctls() {
    let core_pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    for name in [
        "kernel.core_pattern",
        "vm.swappiness",
        "fs.file-max",
        "kernel/core_pattern",
        "net/../kernel/core_pattern",
        "kernel.shm_rmid_forced+kernel.core_pattern",
    ] {
        let mut bundle = Bundle::new(&["report"]);
        bundle.config["linux"]["sysctl"] = json!({name: "1"});
        bundle.create().fails(1, "sysctl");
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
    let mut bundle = Bundle::new(&["report"]);
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .retain(|kind| kind["type"] != "network");
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    bundle.create().fails(1, "net.ipv4.ip_forward");
    bundle.remove();
    assert_eq!(
        fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(),
        core_pattern
    );
}

fn keyrings() {
    let own = hoist_testing::probe::sys::session_keyring()
        .unwrap()
        .to_string();
    let exec = |bundle: &Bundle| {
        let words = ["exec", &bundle.id, "/probe", "probe", "keyring"];
        bundle.call(&words).ok().out.trim().to_owned()
    };
    let mut bundle = Bundle::new(&["keyring", "+", "idle"]);
    bundle.start();
    bundle.await_words("out", "ready");
    let first = bundle.read("out").lines().next().unwrap().to_owned();
    let (one, other) = (exec(&bundle), exec(&bundle));
    assert_ne!(first, own);
    assert!(![&own, &first].contains(&&one), "{one}: {own}, {first}");
    assert!(![&own, &first, &one].contains(&&other), "{other}");
    bundle.call(&["delete", "--force", &bundle.id]).ok();

    // Asked for, it is the caller's, for the execs, too.
    bundle.probe(&["keyring", "+", "idle"]);
    bundle.write();
    bundle
        .launch(&["run", "--detach", "--no-new-keyring", &bundle.id])
        .ok();
    bundle.await_words("out", "ready");
    assert_eq!(bundle.read("out").lines().next(), Some(own.as_str()));
    assert_eq!(exec(&bundle), own);
    bundle.remove();
}

fn annotations() {
    let mut bundle = Bundle::new(&["idle"]);
    let marker = bundle.path("marker");
    bundle.config["annotations"] = json!({
        "org.systemd.property.ExecStartPre": format!("['/bin/touch', '{}']", marker.display()),
        "run.oci.hooks.stdout": marker,
        "run.oci.handler": "krun",
        "run.oci.systemd.subgroup": "/",
        "io.kubernetes.cri.sandbox-cgroup": "/",
    });
    bundle.start();
    assert!(!marker.exists());
    let text = fs::read_to_string(format!("/proc/{}/cgroup", bundle.pid())).unwrap();
    assert!(
        text.contains(&format!("/hoist-tests/{}", bundle.id)),
        "{text}"
    );
    bundle.remove();
}

fn power_meter() {
    let bundle = Bundle::new(&[]);
    bundle.call(&["spec"]).ok();
    let config: serde_json::Value = serde_json::from_str(&bundle.read("config.json")).unwrap();
    let masked = config["linux"]["maskedPaths"].as_array().unwrap();
    assert!(
        masked
            .iter()
            .any(|path| path == "/sys/devices/virtual/powercap")
    );
}

fn giant_accounts() {
    for what in ["sparse", "fifo", "device"] {
        let bundle = Bundle::new(&["report"]);
        let passwd = bundle.rootfs().join("etc/passwd");
        fs::remove_file(&passwd).unwrap();
        match what {
            "sparse" => fs::File::create(&passwd)
                .unwrap()
                .set_len(10 << 30)
                .unwrap(),
            "fifo" => assert!(
                std::process::Command::new("mkfifo")
                    .arg(&passwd)
                    .status()
                    .unwrap()
                    .success()
            ),
            _ => assert!(
                std::process::Command::new("mknod")
                    .arg(&passwd)
                    .args(["c", "1", "5"])
                    .status()
                    .unwrap()
                    .success()
            ),
        }
        let bundle = hoist_testing::hangs_after(crate::kit::LONG, move || {
            let said = bundle.run();
            assert!(
                said.code == Some(0) || said.code == Some(1),
                "{what}: {said:?}"
            );
            bundle
        });
        assert!(fs::metadata(bundle.rootfs()).unwrap().uid() == 0);
        bundle.remove();
    }
}

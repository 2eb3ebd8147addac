//! The root and the mounts of the spec, looked at from inside the container.

use std::{fs, os::unix::fs::PermissionsExt};

use hoist_testing::{Suite, probe::report::Report};
use serde_json::json;

use crate::kit::{Bundle, CONTAINERS};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test("mounts: attributes, recursive ones, propagation, tmpfs of the covered directory's mode", CONTAINERS, mounts)
        .test("mounts: options of a file system as a whole reach it, and every option of features is taken", CONTAINERS, whole_file_systems)
        .test("mounts: tmpcopyup copies files, links, modes and owners and follows nothing", CONTAINERS, copy_up)
        .test("mounts: the ids of a bind mount are mapped, by its own maps or the container's", CONTAINERS, id_mapped)
        .test("mounts: one that is shared hands mounts on to the host", CONTAINERS, shared)
        .test("root: read-only, and propagation", CONTAINERS, root)
        .test("masked paths are empty and read-only paths cannot be written", CONTAINERS, masked)
        .test("without pivot_root the container has its own root all the same", CONTAINERS, no_pivot)
}

fn mounts() {
    let mut bundle = Bundle::new(&["report", "+", "open", "w", "/ro/new", "/rro/sub/new"]);
    let folder = bundle.folder.path().display().to_string();
    fs::create_dir_all(bundle.path("source/sub")).unwrap();
    fs::write(bundle.path("source/new"), "").unwrap();
    fs::write(bundle.path("source/sub/new"), "").unwrap();
    fs::create_dir(bundle.path("rootfs/covered")).unwrap();
    fs::set_permissions(
        bundle.path("rootfs/covered"),
        fs::Permissions::from_mode(0o711),
    )
    .unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    let bind = |target: &str, options: &[&str]| json!({"destination": target, "type": "bind", "source": format!("{folder}/source"), "options": options});
    mounts.push(bind(
        "/ro",
        &[
            "rbind", "ro", "nosuid", "noexec", "nodev", "noatime", "rprivate",
        ],
    ));
    mounts.push(bind("/rro", &["rbind", "rro"]));
    mounts.push(bind("/slave", &["rbind", "rslave"]));
    mounts.push(json!({"destination": "/covered", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}));
    let said = bundle.run().ok();
    let mut lines = said.out.lines();
    let report: Report = serde_json::from_str(lines.next().unwrap()).unwrap();
    let answers: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(answers["/ro/new"], libc::EROFS);
    assert_eq!(answers["/rro/sub/new"], libc::EROFS);
    let of = |target: &str| {
        report
            .mounts
            .iter()
            .find(|mount| mount.target == target)
            .unwrap()
    };
    for option in ["ro", "nosuid", "noexec", "nodev", "noatime"] {
        assert!(
            of("/ro").options.split(',').any(|word| word == option),
            "{option} in {:?}",
            of("/ro")
        );
    }
    assert!(of("/ro").propagation.is_empty());
    // Its root has the mode of what it covers.
    bundle.probe(&["idle"]);
    bundle.start();
    let covered = format!("/proc/{}/root/covered", bundle.pid());
    let mode = fs::metadata(covered).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o711);
    bundle.remove();
}

fn whole_file_systems() {
    let mut bundle = Bundle::new(&["report"]);
    let all = bundle.call(&["features"]).ok().json()["mountOptions"].clone();
    let all: Vec<String> = serde_json::from_value(all).unwrap();
    let source = bundle.path("source").display().to_string();
    fs::create_dir(&source).unwrap();
    let tmpfs = |target: &str, options: &[&str]| json!({"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options});
    let mut mounts = bundle.config["mounts"].as_array().unwrap().clone();
    mounts.extend([
        tmpfs("/whole", &["sync", "dirsync", "lazytime", "nosymfollow"]),
        tmpfs("/plain", &["async", "nolazytime", "acl", "iversion", "silent", "nosymfollow", "symfollow"]),
        // Its file system has others: what it is told here is of no effect.
        json!({"destination": "/bound", "type": "bind", "source": source, "options": ["sync", "rbind"]}),
    ]);
    let before = mounts.len();
    for (number, word) in all.iter().enumerate() {
        let needs_more = matches!(word.as_str(), "idmap" | "ridmap" | "shared" | "rshared");
        if !needs_more {
            mounts.push(json!({"destination": format!("/each/{number}"), "type": "bind", "source": source, "options": [word]}));
        }
    }
    assert!(mounts.len() > before + 50);
    bundle.config["mounts"] = json!(mounts);
    let report = bundle.run().ok().report();
    let of = |target: &str| {
        let mut all = report.mounts.iter();
        all.find(|mount| mount.target == target).unwrap()
    };
    let has = |text: &str, word: &str| text.split(',').any(|one| one == word);
    for word in ["sync", "dirsync", "lazytime"] {
        assert!(has(&of("/whole").super_options, word), "{word}");
        assert!(!has(&of("/plain").super_options, word), "{word}");
    }
    assert!(has(&of("/whole").options, "nosymfollow"));
    assert!(!has(&of("/plain").options, "nosymfollow"));
    assert!(!has(&of("/bound").super_options, "sync"));
    let each = report
        .mounts
        .iter()
        .filter(|mount| mount.target.starts_with("/each/"));
    assert_eq!(each.count(), mounts.len() - before);

    bundle.config["mounts"] = json!([tmpfs("/again", &["remount"])]);
    bundle.run().fails(1, "mount option remount of /again");
    bundle.assert_nothing_is_recorded();
    bundle.remove();
}

fn copy_up() {
    let mut bundle = Bundle::new(&[
        "report",
        "+",
        "list",
        "/data",
        "+",
        "read",
        "/data/sub/file",
        "+",
        "open",
        "w",
        "/data/sub/file",
    ]);
    let data = bundle.path("rootfs/data");
    fs::create_dir_all(data.join("sub")).unwrap();
    fs::write(data.join("sub/file"), "content\n").unwrap();
    fs::set_permissions(data.join("sub"), fs::Permissions::from_mode(0o2750)).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", data.join("link")).unwrap();
    std::os::unix::fs::chown(data.join("sub/file"), Some(12), Some(34)).unwrap();
    // A fifo must not be opened: nobody writes to it.
    let fifo = std::process::Command::new("mkfifo")
        .arg(data.join("fifo"))
        .status()
        .unwrap();
    assert!(fifo.success());
    bundle.config["mounts"].as_array_mut().unwrap().push(
        json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["rw", "tmpcopyup"]}),
    );
    let said = bundle.run().ok();
    let lines: Vec<_> = said.out.lines().collect();
    let mut names: Vec<String> = serde_json::from_str(lines[1]).unwrap();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    assert_eq!(names, ["fifo", "link", "sub"]);
    assert_eq!(lines[2], "content");
    assert_eq!(
        fs::read_to_string(data.join("sub/file")).unwrap(),
        "content\n"
    );
    bundle.remove();
}

/// What the container mounts below a shared mount is seen on the host.
fn shared() {
    let Some(mut bundle) =
        Bundle::shell("mount -t tmpfs inside /shared/below && echo ready && sleep 1000")
    else {
        return;
    };
    let shared = bundle.path("shared");
    fs::create_dir_all(shared.join("below")).unwrap();
    // In a namespace of the test's own, so that nothing is left on the host if it fails.
    let script = format!(
        "mount --bind {0} {0} && mount --make-shared {0} && exec \"$@\"",
        shared.display()
    );
    let capabilities = json!(["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_KILL"]);
    bundle.config["process"]["capabilities"] =
        json!({"bounding": capabilities, "effective": capabilities, "permitted": capabilities});
    bundle.config["process"]["noNewPrivileges"] = json!(false);
    bundle.config["linux"]["rootfsPropagation"] = json!("rshared");
    bundle.config["mounts"].as_array_mut().unwrap().push(
        json!({"destination": "/shared", "type": "bind", "source": shared, "options": ["rbind", "rshared"]}),
    );
    bundle.write();
    let runtime = crate::kit::runtime();
    let state = bundle.path("state");
    let look = format!(
        "\"$1\" --root {state} create {id} >{out} 2>{err} </dev/null && \"$1\" --root {state} start {id} && \
         for i in $(seq 400); do grep -q 'below.*- tmpfs inside' /proc/self/mountinfo && echo seen && break; sleep 0.05; done; \
         \"$1\" --root {state} delete --force {id}",
        state = state.display(),
        id = bundle.id,
        out = bundle.path("out").display(),
        err = bundle.path("err").display(),
    );
    let output = std::process::Command::new("unshare")
        .args([
            "-m",
            "--propagation",
            "private",
            "sh",
            "-c",
            &script,
            "sh",
            "sh",
            "-c",
            &look,
            "sh",
        ])
        .arg(runtime)
        .current_dir(bundle.folder.path())
        .output()
        .unwrap();
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(seen.contains("seen"), "{output:?} {}", bundle.read("err"));
    bundle.remove();
}

fn root() {
    let mut bundle = Bundle::new(&["report", "+", "open", "w", "/etc/passwd", "/tmp/new"]);
    bundle.config["root"]["readonly"] = json!(true);
    bundle.config["linux"]["rootfsPropagation"] = json!("shared");
    let said = bundle.run().ok();
    let mut lines = said.out.lines();
    let report: Report = serde_json::from_str(lines.next().unwrap()).unwrap();
    let answers: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(answers["/etc/passwd"], libc::EROFS);
    assert_eq!(answers["/tmp/new"], libc::ENOENT);
    let top = report
        .mounts
        .iter()
        .find(|mount| mount.target == "/")
        .unwrap();
    assert!(
        top.propagation
            .iter()
            .any(|word| word.starts_with("shared:")),
        "{top:?}"
    );
    assert!(
        !top.propagation
            .iter()
            .any(|word| word.starts_with("master:")),
        "{top:?}"
    );
    bundle.remove();
}

fn masked() {
    let mut bundle = Bundle::new(&[
        "list",
        "/proc/irq",
        "+",
        "read",
        "/proc/meminfo",
        "+",
        "open",
        "w",
        "/proc/sys/kernel/hostname",
        "/tmp/nothing",
    ]);
    bundle.config["linux"]["maskedPaths"] = json!(["/proc/irq", "/proc/meminfo", "/no/such/path"]);
    bundle.config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
    let said = bundle.run().ok();
    let lines: Vec<_> = said.out.lines().collect();
    let names: Vec<String> = serde_json::from_str(lines[0]).unwrap();
    assert!(names.iter().all(|name| name.starts_with('.')), "{names:?}");
    // The masked file is empty: the next line is that of `open`.
    let answers: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(answers["/proc/sys/kernel/hostname"], libc::EROFS);
    bundle.remove();
}

fn no_pivot() {
    let bundle = Bundle::new(&["report"]);
    bundle.write();
    let report = bundle
        .call(&["run", "--no-pivot", "--no-new-keyring", &bundle.id])
        .ok()
        .report();
    assert!(
        report.root.contains(&"probe".to_owned()),
        "{:?}",
        report.root
    );
    bundle.remove();
}

fn id_mapped() {
    use std::os::unix::fs::MetadataExt;
    let maps = |host: u32| json!([{"containerID": 0, "hostID": host, "size": 65536}]);
    for (own_maps, option) in [(true, "idmap"), (false, "ridmap")] {
        let mut bundle = Bundle::new(&["put", "/mnt/new", "x", "+", "read", "/mnt/f"]);
        let source = bundle.path("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("f"), "of root").unwrap();
        fs::set_permissions(source.join("f"), fs::Permissions::from_mode(0o600)).unwrap();
        let mut mount = json!({
            "destination": "/mnt", "type": "bind", "source": source, "options": ["rbind", option],
        });
        let linux = &mut bundle.config["linux"];
        let user = json!({"type": "user"});
        linux["namespaces"].as_array_mut().unwrap().push(user);
        linux["uidMappings"] = maps(100_000);
        linux["gidMappings"] = maps(100_000);
        if own_maps {
            mount["uidMappings"] = maps(100_000);
            mount["gidMappings"] = maps(100_000);
        }
        bundle.config["mounts"].as_array_mut().unwrap().push(mount);
        std::os::unix::fs::chown(bundle.rootfs(), Some(100_000), Some(100_000)).unwrap();
        // The container's root, whom the file does not belong to, reads it, and what it makes belongs to root here.
        assert_eq!(bundle.run().ok().out, "of root");
        let made = fs::metadata(source.join("new")).unwrap();
        assert_eq!((made.uid(), made.gid()), (0, 0));
        bundle.remove();
    }
    // Half a map says nothing.
    let mut bundle = Bundle::new(&["report"]);
    let mut mount = json!({"destination": "/mnt", "type": "bind", "source": "/tmp", "options": ["bind", "idmap"]});
    mount["uidMappings"] = maps(100_000);
    bundle.config["mounts"].as_array_mut().unwrap().push(mount);
    bundle
        .create()
        .fails(1, "mappings of both users and groups");
    bundle.remove();
}

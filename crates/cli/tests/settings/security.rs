//! What confines a container beside its namespaces: privileges, AppArmor, and labels of SELinux.

use super::inside;
use crate::hoist::Hoist;

pub(super) fn privileged() {
    let hoist = Hoist::new();
    let script = "grep CapEff /proc/self/status; mount -t tmpfs none /mnt && echo mounted; \
                  grep Seccomp: /proc/self/status; head -c 0 /dev/kmsg && echo read; \
                  head -c 1 /proc/kcore >/dev/null 2>&1; ls /proc/acpi /proc/scsi 2>/dev/null | wc -l";
    let found = inside(&hoist, &["--privileged"], script);
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap();
    assert!(found.contains(&format!("CapEff:{bounding}")), "{found}");
    assert!(found.contains("mounted\nSeccomp:\t0\nread"), "{found}");
}

pub(super) fn apparmor() {
    let hoist = Hoist::new();
    let profile = format!("hoist-nosuch-{}", std::process::id());
    let option = format!("apparmor={profile}");
    // Without AppArmor, and without the profile, nothing runs.
    let errors = hoist.fails(125, &["run", "--rm", "--security-opt", &option, "true"]);
    assert!(errors.contains(&profile), "{errors}");
    assert!(errors.contains("AppArmor"), "{errors}");
    hoist.ok(&[
        "run",
        "--rm",
        "--security-opt",
        "apparmor=unconfined",
        "true",
    ]);
    let id = hoist.ok(&["create", "--security-opt", &option, "true"]);
    let told = hoist.ok(&["inspect", "-f", "{{.HostConfig.SecurityOpt}}", &id]);
    assert_eq!(told, format!("[{option}]"));
}

pub(super) fn selinux_labels() {
    let hoist = Hoist::new();
    let option = ["run", "--rm", "--security-opt"];
    let errors = hoist.fails(125, &[&option[..], &["label=type:x", "true"]].concat());
    assert!(errors.contains("SELinux"), "{errors}");
    hoist.ok(&[&option[..], &["label=disable", "true"]].concat());
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("file"), "of the host").unwrap();
    let known = std::fs::read_to_string("/proc/filesystems").unwrap();
    let has_selinux = known.contains("selinuxfs");
    for letter in ["z", "Z"] {
        let volume = format!("{}:/mnt:{letter}", source.path().display());
        let words = ["run", "--rm", "-v", &volume, "cat", "/mnt/file"];
        if has_selinux {
            let errors = hoist.fails(125, &words);
            assert!(errors.contains("chcon"), "{errors}");
        } else {
            assert_eq!(hoist.ok(&words), "of the host");
        }
    }
}

//! systemd, its bus, criu and AppArmor's compiler in the virtual machine: the files of this machine's own packages, and units that do nothing but run the tests.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::initramfs::place;
use crate::command::Outcome;

/// The programs, with the libraries that they need.
const PROGRAMS: &[&str] = &[
    "/lib/systemd/systemd",
    "/lib/systemd/systemd-cgroups-agent",
    "/lib/systemd/systemd-shutdown",
    "/usr/bin/dbus-daemon",
    "/usr/bin/systemctl",
    "/usr/bin/systemd-run",
    "/usr/sbin/apparmor_parser",
];
/// criu, and what it calls.
const CRIU: &[&str] = &[
    "/usr/sbin/criu",
    "/usr/sbin/ip",
    "/usr/bin/tar",
    "/usr/bin/gzip",
];
/// What engines are, and what their tests call.
const ENGINES: &[&str] = &[
    "/usr/bin/containerd",
    "/usr/bin/containerd-shim-runc-v2",
    "/usr/bin/ctr",
    "/usr/bin/docker",
    "/usr/sbin/dockerd",
    // Without it docker's builder does not begin.
    "/usr/sbin/runc",
    "/bin/bash",
    "/usr/bin/mount",
    "/usr/bin/nsenter",
    "/usr/bin/timeout",
    "/usr/bin/unshare",
];
/// Those of busybox that they call, too.
const APPLETS: &[&str] = &[
    "cat",
    "cp",
    "cut",
    "grep",
    "mkdir",
    "mv",
    "rm",
    "seq",
    "sha256sum",
    "wc",
];
/// Folders that go with them.
const FOLDERS: &[&str] = &["/usr/share/dbus-1"];
/// Units of ours, in place of the many that boot a whole machine.
const UNITS: &[(&str, &str)] = &[
    (
        "default.target",
        "[Unit]\nRequires=hoist-tests.service\nDefaultDependencies=no\n",
    ),
    (
        "dbus.socket",
        "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
    ),
    (
        "dbus.service",
        "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\nAfter=dbus.socket\n[Service]\nType=notify\n\
         ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation\n",
    ),
    (
        "hoist-tests.service",
        "[Unit]\nDefaultDependencies=no\nRequires=dbus.service\nAfter=dbus.service\n[Service]\nType=oneshot\n\
         Environment=HOIST_TESTS_MUST_RUN=root,systemd,criu,checkpoints,apparmor\nExecStart=/bin/busybox sh /run-tests\n\
         ExecStopPost=/bin/busybox poweroff -f\nStandardInput=null\nStandardOutput=file:/dev/ttyS0\n\
         StandardError=file:/dev/ttyS0\n",
    ),
];

/// Adds all of it to the tree.
pub(super) fn lay_out(tree: &Path) -> Outcome<()> {
    add_criu(tree)?;
    let mut files = programs(PROGRAMS, "systemd dbus apparmor")?;
    for folder in FOLDERS {
        collect(Path::new(folder), &mut files)?;
    }
    for file in &files {
        place(tree, file)?;
    }
    let units = tree.join("etc/systemd/system");
    fs::create_dir_all(&units)?;
    for (name, text) in UNITS {
        fs::write(units.join(name), text)?;
    }
    for (file, line) in [
        (
            "etc/passwd",
            "root:x:0:0:root:/:/bin/sh\nmessagebus:x:100:100::/:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\nmessagebus:x:100:\ntty:x:5:\n"),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("etc/os-release", "ID=debian\n"),
    ] {
        fs::write(tree.join(file), line)?;
    }
    fs::create_dir_all(tree.join("run"))?;
    fs::create_dir_all(tree.join("var"))?;
    symlink("/run", tree.join("var/run"))?;
    Ok(())
}

/// Adds criu.
pub(super) fn add_criu(tree: &Path) -> Outcome<()> {
    for file in programs(CRIU, "criu iproute2 tar gzip")? {
        place(tree, &file)?;
    }
    Ok(())
}

/// Adds docker, containerd, and what their tests call.
pub(super) fn add_engines(tree: &Path) -> Outcome<()> {
    for file in programs(ENGINES, "docker.io containerd runc bash util-linux")? {
        place(tree, &file)?;
    }
    for applet in APPLETS {
        symlink("busybox", tree.join("bin").join(applet))?;
    }
    fs::create_dir_all(tree.join("etc/apparmor"))?;
    // The lack of the last would be told where docker expects the parser's version.
    for file in ["etc/subuid", "etc/subgid", "etc/apparmor/parser.conf"] {
        fs::write(tree.join(file), "")?;
    }
    fs::create_dir_all(tree.join("var/tmp"))?;
    Ok(())
}

/// These programs, with the libraries that they need; an error says which packages they are of.
pub(super) fn programs(names: &[&str], packages: &str) -> Outcome<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for program in names.iter().map(Path::new) {
        if !program.exists() {
            return Err(format!(
                "{} is missing: apt-get install {packages}",
                program.display()
            )
            .into());
        }
        files.insert(program.to_owned());
        files.extend(libraries(program)?);
    }
    Ok(files)
}

/// The shared libraries of a program, and its interpreter.
fn libraries(program: &Path) -> Outcome<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

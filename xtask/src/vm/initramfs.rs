//! The virtual machine's only file system: busybox, kernel modules, test binaries, and a script that runs them.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Has, Machine, selinux, systemd};
use crate::command::{Outcome, root};
use crate::test_binaries::{TestBinary, built};

/// What Debian's kernel has as a module and containers need.
const MODULES: &[&str] = &["kernel/fs/overlayfs/overlay.ko"];

/// What criu looks at a container's network with, each behind those that it needs.
const MODULES_OF_CRIU: &[&str] = &[
    "kernel/crypto/crc32c_generic.ko",
    "kernel/lib/libcrc32c.ko",
    "kernel/net/netfilter/nfnetlink.ko",
    "kernel/net/netfilter/nf_tables.ko",
    "kernel/net/ipv4/netfilter/nf_defrag_ipv4.ko",
    "kernel/net/ipv6/netfilter/nf_defrag_ipv6.ko",
    "kernel/net/netfilter/nf_conntrack.ko",
    "kernel/net/netfilter/nf_conntrack_netlink.ko",
    "kernel/net/unix/unix_diag.ko",
    "kernel/net/ipv4/inet_diag.ko",
    "kernel/net/ipv4/tcp_diag.ko",
    "kernel/net/ipv4/udp_diag.ko",
    "kernel/net/netlink/netlink_diag.ko",
    "kernel/net/packet/af_packet_diag.ko",
    "kernel/drivers/net/veth.ko",
    "kernel/drivers/net/tun.ko",
];

/// Lays everything out below `work` and packs it; the result is the image for `-initrd`, which has this number in its name.
pub(super) fn build(
    work: &Path,
    number: usize,
    kernel: &Path,
    machine: &Machine<'_>,
) -> Outcome<PathBuf> {
    let tree = work.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    for folder in [
        "bin", "dev", "etc", "lib", "new", "proc", "sys", "tmp", "usr/bin",
    ] {
        fs::create_dir_all(tree.join(folder))?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .find(|path| Path::new(path).exists())
        .ok_or("no busybox: apt-get install busybox-static")?;
    fs::copy(busybox, tree.join("bin/busybox"))?;
    for applet in ["sh", "sleep", "true"] {
        symlink("busybox", tree.join("bin").join(applet))?;
    }
    fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")?;
    fs::write(tree.join("etc/group"), "root:x:0:\n")?;
    let init = tree.join("init");
    fs::write(&init, include_str!("init.sh"))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    fs::write(tree.join("run-tests"), include_str!("run-tests.sh"))?;
    match machine.has {
        Has::Nothing => {}
        Has::Systemd => systemd::lay_out(&tree)?,
        Has::Engines => {
            systemd::lay_out(&tree)?;
            systemd::add_engines(&tree)?;
        }
        Has::SeLinux => {
            selinux::lay_out(&tree)?;
            systemd::add_criu(&tree)?;
        }
        Has::DebianPolicy => selinux::lay_out_debian(work, &tree)?,
    }
    copy_modules(kernel, &tree, machine.has != Has::Nothing)?;
    lay_out_tests(&tree, machine)?;
    let image = work.join(format!("initramfs-{number}"));
    pack(&tree, &image)?;
    Ok(image)
}

/// Modules below one that is built into the kernel are missing, and not missed.
fn copy_modules(kernel: &Path, tree: &Path, has_criu: bool) -> Outcome<()> {
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    let version = name.trim_start_matches("vmlinuz-");
    let of_criu: &[&str] = if has_criu { MODULES_OF_CRIU } else { &[] };
    let mut order = String::new();
    for module in MODULES.iter().chain(of_criu) {
        let source = Path::new("/lib/modules").join(version).join(module);
        if let (true, Some(file)) = (source.exists(), source.file_name()) {
            fs::copy(&source, tree.join("lib").join(file))?;
            order += &format!("/lib/{}\n", file.display());
        }
    }
    fs::write(tree.join("lib/in-order"), order)?;
    Ok(())
}

/// Puts the test binaries, and the commands that some of them drive, where cargo has built them, and writes the list of what is to be run.
fn lay_out_tests(tree: &Path, machine: &Machine<'_>) -> Outcome<()> {
    let Machine {
        cases,
        package,
        only,
        ..
    } = machine;
    let built = built(&root(), *package, *only)?;
    let mut list = String::new();
    for (name, filter) in cases {
        let TestBinary {
            program, folder, ..
        } = built
            .iter()
            .find(|binary| binary.name == *name)
            .ok_or_else(|| format!("there is no test binary {name}"))?;
        place(tree, program)?;
        // What end-to-end tests drive is two folders above them.
        let driven = program.ancestors().nth(2).unwrap_or(program);
        for name in ["hoist", "hoist-oci"] {
            if driven.join(name).is_file() {
                place(tree, &driven.join(name))?;
            }
        }
        fs::create_dir_all(below(tree, folder))?;
        list += &format!("{} {} {filter}\n", folder.display(), program.display());
    }
    fs::write(tree.join("tests"), list)?;
    Ok(())
}

pub(super) fn place(tree: &Path, program: &Path) -> Outcome<()> {
    let target = below(tree, program);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(program, target)?;
    Ok(())
}

/// The place below `tree` that will be `path` in the machine.
fn below(tree: &Path, path: &Path) -> PathBuf {
    tree.join(path.strip_prefix("/").unwrap_or(path))
}

fn pack(tree: &Path, image: &Path) -> Outcome<()> {
    let mut find = Command::new("find")
        .arg(".")
        .current_dir(tree)
        .stdout(Stdio::piped())
        .spawn()?;
    let names = find.stdout.take().ok_or("find has no output")?;
    let packed = Command::new("cpio")
        .args(["--quiet", "--create", "--format", "newc", "--owner", "0:0"])
        .current_dir(tree)
        .stdin(names)
        .stdout(File::create(image)?)
        .status()
        .map_err(|error| format!("cpio: {error}"))?;
    if find.wait()?.success() && packed.success() {
        Ok(())
    } else {
        Err("the initramfs cannot be packed".into())
    }
}

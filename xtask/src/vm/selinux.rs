//! SELinux in the virtual machine: a policy, which the machine's first process loads. One is our own, the other is Debian's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::initramfs::place;
use super::systemd::programs;
use crate::command::Outcome;

/// What tells the kernel to run with it in AppArmor's place, and to enforce the policy.
pub(super) const WORDS: &str = "security=selinux enforcing=1";

/// The same, but the first process says when the policy is enforced: under Debian's it has to become another, first.
pub(super) const WORDS_OF_DEBIAN: &str = "security=selinux enforcing=0";

/// Where the first process looks for the policy.
const POLICY: &str = "etc/selinux-policy";
/// And for the labels of files, where it is to give them.
const CONTEXTS: &str = "etc/selinux-contexts";

/// The modules of Debian's policy, compiled when its package was installed.
const MODULES: &str = "/var/lib/selinux/default/active/modules";
const FILE_CONTEXTS: &str = "/etc/selinux/default/contexts/files";
const SOURCES: &str = "/usr/src/selinux-policy-src.tar.zst";
const PACKAGES: &str = "apt-get install selinux-policy-default selinux-policy-src checkpolicy semodule-utils policycoreutils \
     secilc m4 make zstd bzip2";

/// Compiles the policy of the tests' own into the tree.
pub(super) fn lay_out(tree: &Path) -> Outcome<()> {
    let source = tree.join("policy.cil");
    fs::write(&source, include_str!("policy.cil"))?;
    compile(tree, &[source])
}

/// Links Debian's policy into the tree, with what labels the files. Debian's package leaves the module for containers out, though
/// its `lxc_contexts` and other modules name that; it is compiled from the package's own sources.
pub(super) fn lay_out_debian(work: &Path, tree: &Path) -> Outcome<()> {
    let folder = work.join("debian-policy");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut modules = modules(&folder)?;
    modules.push(container_module(&folder)?);
    compile(tree, &modules)?;
    // The second has other names of folders that the first names, as /bin is.
    for (source, target) in [
        ("file_contexts", tree.join(CONTEXTS)),
        (
            "file_contexts.subs_dist",
            tree.join(CONTEXTS).with_extension("subs_dist"),
        ),
    ] {
        let source = Path::new(FILE_CONTEXTS).join(source);
        fs::copy(&source, target)
            .map_err(|error| format!("{}: {error}: {PACKAGES}", source.display()))?;
    }
    for program in programs(&["/sbin/setfiles"], "policycoreutils")? {
        place(tree, &program)?;
    }
    Ok(())
}

/// All but those that the package disables, uncompressed.
fn modules(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let installed = Path::new(MODULES);
    let listed = fs::read_dir(installed.join("100"))
        .map_err(|error| format!("{MODULES}: {error}: {PACKAGES}"))?;
    let mut modules = Vec::new();
    for entry in listed {
        let name = entry?.file_name();
        if installed.join("disabled").join(&name).exists() {
            continue;
        }
        let module = folder.join(&name).with_extension("cil");
        let mut unpack = Command::new("bzcat");
        unpack.arg(installed.join("100").join(&name).join("cil"));
        succeed(unpack.stdout(fs::File::create(&module)?))?;
        modules.push(module);
    }
    Ok(modules)
}

fn container_module(folder: &Path) -> Outcome<PathBuf> {
    succeed(
        Command::new("tar")
            .arg("--extract")
            .args(["--file", SOURCES])
            .current_dir(folder),
    )?;
    let sources = folder.join("selinux-policy-src");
    succeed(
        Command::new("make")
            .arg("container.pp")
            .current_dir(&sources)
            .stdout(Stdio::null()),
    )?;
    let module = folder.join("container.cil");
    let mut translate = Command::new("/usr/libexec/selinux/hll/pp");
    succeed(translate.arg(sources.join("container.pp")).arg(&module))?;
    Ok(module)
}

fn compile(tree: &Path, modules: &[PathBuf]) -> Outcome<()> {
    let mut compile = Command::new("secilc");
    // What a module may never allow is for the policy's makers to look at.
    compile.args(["--disable-neverallow", "--filecontext", "/dev/null"]);
    succeed(compile.arg("--output").arg(tree.join(POLICY)).args(modules))
}

fn succeed(command: &mut Command) -> Outcome<()> {
    let program = command.get_program().display().to_string();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(format!("{program} for the policy of SELinux: {status}: {PACKAGES}").into())
        }
        Err(error) => Err(format!("{program}: {error}: {PACKAGES}").into()),
    }
}

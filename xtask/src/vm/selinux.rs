//! SELinux in the virtual machine: a policy of our own, which the machine's first process loads.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::Outcome;

/// What tells the kernel to run with it in AppArmor's place, and to enforce the policy.
pub(super) const WORDS: &str = "security=selinux enforcing=1";

/// Compiles the policy into the tree.
pub(super) fn lay_out(tree: &Path) -> Outcome<()> {
    let source = tree.join("policy.cil");
    fs::write(&source, include_str!("policy.cil"))?;
    let compiled = Command::new("secilc")
        .arg("--output")
        .arg(tree.join("etc/selinux-policy"))
        .args(["--filecontext", "/dev/null"])
        .arg(&source)
        .status()
        .map_err(|error| format!("secilc: {error}: apt-get install secilc"))?;
    match compiled.success() {
        true => Ok(()),
        false => Err("the policy cannot be compiled".into()),
    }
}

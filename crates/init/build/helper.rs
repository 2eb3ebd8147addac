//! Builds `hoist-init` with cargo, in a target folder of its own: it has other flags than everything around it.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

/// What the nested cargo must not take over from the one that runs this script.
const NOT_INHERITED: [&str; 7] = [
    "CARGO_FEATURE_OWNER",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
];

/// Leaves the program at `OUT_DIR/hoist-init`.
pub(crate) fn build(out: &Path) -> Result<(), Box<dyn Error>> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    for path in ["src", "Cargo.toml"] {
        println!("cargo:rerun-if-changed={}", package.join(path).display());
    }
    let target = env::var("TARGET")?;
    let folder = out.join("helper");
    let mut cargo = Command::new(env::var("CARGO")?);
    NOT_INHERITED.iter().for_each(|name| {
        cargo.env_remove(name);
    });
    let status = cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--features",
            "program",
            "--bin",
            "hoist-init",
        ])
        .args(["--target", &target])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder)
        // At a fixed address, without relocations: nothing has to be done before its first instruction.
        .env(
            "RUSTFLAGS",
            "-Crelocation-model=static -Ctarget-feature=+crt-static",
        )
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
        .status()?;
    if !status.success() {
        return Err(format!("building hoist-init failed: {status}").into());
    }
    std::fs::copy(
        folder.join(target).join("release/hoist-init"),
        out.join("hoist-init"),
    )?;
    Ok(())
}

//! Generates what the seccomp code needs.

#[path = "build/seccomp.rs"]
mod seccomp;

use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=src/seccomp");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    seccomp::generate(&out, &env::var("CARGO_CFG_TARGET_ARCH")?)?;
    Ok(())
}

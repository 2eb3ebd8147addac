//! Links the program without any C start-up code or library; for its owners, builds it and leaves it for embedding.

#[path = "build/helper.rs"]
mod helper;

use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    for argument in ["-nostartfiles", "-nodefaultlibs", "-static", "-no-pie"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    let is_owners = env::var_os("CARGO_FEATURE_OWNER").is_some();
    if is_owners && env::var("CARGO_CFG_TARGET_OS")? == "linux" {
        helper::build(&PathBuf::from(env::var("OUT_DIR")?))?;
    }
    Ok(())
}

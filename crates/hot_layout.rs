//! The build script of the programs: has the linker lay side by side what every start executes (the package's `hot.ld`, which
//! `cargo xtask layout` makes).

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=hot.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") {
        let package = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-T{package}/hot.ld");
    }
}

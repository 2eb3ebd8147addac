//! Development tasks: `cargo xtask ci`, `cargo xtask vm`, `cargo xtask fuzz`, `cargo xtask bench` and
//! `cargo xtask layout`.

use std::process::ExitCode;

mod bench;
mod ci;
mod command;
mod counts;
mod fuzz;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod layout;
mod test_binaries;
mod vm;

const USAGE: &str = "\
usage: cargo xtask ci [--only STEP]...
       cargo xtask vm [--full | --systemd] [--kernel FILE]
       cargo xtask fuzz [TARGET]... [--seconds N]
       cargo xtask bench [--runs N] [--only WORD] [--no-youki | --alone] [--crowd] [--json FILE] [--markdown FILE]
       cargo xtask layout [--check]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("bench") => bench::main(arguments),
        Some("ci") => ci::main(arguments),
        Some("fuzz") => fuzz::main(arguments),
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        Some("layout") => layout::main(arguments),
        Some("vm") => vm::main(arguments),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

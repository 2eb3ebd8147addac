//! Development tasks: `cargo xtask bench`.

use std::process::ExitCode;

mod bench;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("bench") => bench::main(arguments),
        _ => {
            eprintln!(
                "usage: cargo xtask bench [--runs N] [--only WORD] [--no-youki] [--json FILE] [--markdown FILE]"
            );
            ExitCode::from(2)
        }
    }
}

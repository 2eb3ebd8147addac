//! `hoist-oci`, the program.

fn main() -> std::process::ExitCode {
    hoist_oci::main()
}

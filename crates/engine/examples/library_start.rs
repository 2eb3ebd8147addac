//! What a start costs a program that uses the library, whatever that program's size: `cargo xtask bench --library` runs it.
//!
//! `library_start ROOT MEBIBYTES` touches so much memory, then runs `true` in a container of the root directory ROOT for each line
//! of its standard input, and writes how many nanoseconds that took: create, start, wait and delete.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::hint::black_box;
    use std::io::{Write as _, stdin, stdout};
    use std::time::Instant;

    use hoist::{Engine, EngineOptions, Hooks, RunRequest, random_id};
    use hoist_compute::Stdio;
    use hoist_spec::{Command, Network, ProcessConfig};

    const PAGE: usize = 4096;
    let usage = "usage: library_start ROOT MEBIBYTES";
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().ok_or(usage)?;
    let mebibytes: usize = arguments.next().ok_or(usage)?.parse()?;
    let mut memory = vec![0_u8; mebibytes << 20];
    // A page that was never written to is none of the program's.
    memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    let engine = Engine::open(EngineOptions::default())?;
    for line in stdin().lines() {
        line?;
        let id = random_id()?;
        let command = Command::new()
            .id(id.as_str())
            .rootfs(&root)
            .network(Network::none())
            .process(ProcessConfig::new("true"));
        let request = RunRequest {
            spec: command.to_container_spec()?,
            id,
            name: None,
            remove: true,
        };
        let begun = Instant::now();
        let status =
            engine.run_with(&request, Stdio::null(), &mut Hooks::default(), |process| {
                process.wait(None)
            })?;
        let taken = begun.elapsed();
        if status.code != Some(0) {
            return Err(format!("it ended as {status:?}").into());
        }
        let mut out = stdout().lock();
        writeln!(out, "{}", taken.as_nanos())?;
        out.flush()?;
    }
    black_box(&memory);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}

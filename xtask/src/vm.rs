//! `cargo xtask vm [--full | --systemd] [--kernel FILE]`: the Linux backend's tests on another kernel, with cgroup v2 alone; and the
//! systemd cgroup driver with a real systemd, which has cgroup v2 alone, too, or (with `--full` or `--systemd`) the hybrid layout.
//!
//! qemu starts Debian's kernel with an initramfs that holds busybox and the test binaries, at the paths where cargo has built
//! them; `init.sh` runs one after the other and prints what they print. Without `--full` it is the part that CI has time for,
//! as everything is emulated. What the machine needs: `qemu-system-x86 linux-image-amd64 busybox-static cpio
//! systemd dbus criu iproute2`.

mod initramfs;
mod systemd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::command::{Outcome, root, run};
use crate::counts::Counts;

/// The test binaries, and what each is told: cases by a part of their name, and a skip of those that take minutes when emulated.
const CASES: &[(&str, &str)] = &[
    ("cgroup", ""),
    ("conformance", "limit"),
    ("conformance", "exec"),
    ("conformance", "its time"),
    ("conformance", "a container goes"),
    ("conformance", "by force"),
    ("conformance", "console"),
    ("conformance", "another process"),
    ("conformance", "user given"),
    ("run", "layer stacks"),
    ("run", "composed root"),
];
const CASES_IN_FULL: &[(&str, &str)] = &[
    ("cgroup", ""),
    ("conformance", ""),
    ("hoist_linux", ""),
    ("faults", ""),
    ("run", ""),
    ("commands", ""),
    ("exit_codes", ""),
    ("bad_input", ""),
];

/// What is run where systemd is the machine's first process.
const CASES_OF_SYSTEMD: &[(&str, &str)] = &[("oci", "systemd")];

/// The same where cgroup v2 is all there is; and checkpoints, for which Debian's criu wants Debian's kernel.
const CASES_OF_UNIFIED: &[(&str, &str)] = &[
    ("oci", "systemd"),
    ("oci", "restored counts on"),
    ("oci", "restore: a "),
];
const CASES_OF_UNIFIED_IN_FULL: &[(&str, &str)] = &[
    ("oci", "systemd"),
    ("oci", "checkpoint: "),
    ("oci", "restore: "),
];

/// A machine that is started.
struct Machine<'a> {
    cases: &'a [(&'a str, &'a str)],
    /// The package that they are in, where it is one.
    package: Option<&'a str>,
    with_systemd: bool,
    /// Further words for the kernel.
    words: &'a str,
}

/// What the command line asks for.
#[derive(Default)]
pub(crate) struct Options {
    /// Every test of the backend.
    full: bool,
    /// The machines with systemd alone.
    systemd: bool,
    /// Another kernel than the newest below /boot. Its modules are below /lib/modules.
    kernel: Option<PathBuf>,
}

/// Runs the command with its arguments (those after `vm`).
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut counts = Counts::default();
    let outcome = parse(arguments).and_then(|options| test(&options, &mut counts));
    if let Err(error) = &outcome {
        eprintln!("xtask vm: {error}");
    }
    println!("\n{counts}");
    ExitCode::from(u8::from(outcome.is_err()))
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--full" => options.full = true,
            "--systemd" => options.systemd = true,
            "--kernel" => {
                options.kernel = Some(arguments.next().ok_or("--kernel needs a file")?.into());
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(options)
}

/// Builds the tests, starts the machine, and counts what ran in it. It is an error where a test failed or the machine did not
/// come to its end.
pub(crate) fn test(options: &Options, counts: &mut Counts) -> Outcome<()> {
    let kernel = match &options.kernel {
        Some(kernel) => kernel.clone(),
        None => newest_kernel()?,
    };
    let plain = Machine {
        cases: if options.full { CASES_IN_FULL } else { CASES },
        package: None,
        with_systemd: false,
        words: "",
    };
    let unified = Machine {
        cases: match options.full || options.systemd {
            true => CASES_OF_UNIFIED_IN_FULL,
            false => CASES_OF_UNIFIED,
        },
        package: Some("hoist-oci"),
        with_systemd: true,
        words: "systemd.unified_cgroup_hierarchy=1",
    };
    let mut machines = Vec::new();
    if !options.systemd {
        machines.push(plain);
    }
    machines.push(unified);
    if options.full || options.systemd {
        machines.push(Machine {
            cases: CASES_OF_SYSTEMD,
            package: Some("hoist-oci"),
            with_systemd: true,
            words: "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0",
        });
    }
    machines
        .iter()
        .try_for_each(|machine| start(options, &kernel, machine, counts))
}

fn start(
    options: &Options,
    kernel: &Path,
    machine: &Machine<'_>,
    counts: &mut Counts,
) -> Outcome<()> {
    let cases = machine.cases;
    let work = root().join("target/vm");
    let image = initramfs::build(&work, kernel, machine)?;
    println!("starting {} in qemu {}", kernel.display(), machine.words);
    let before = *counts;
    let words = format!("console=ttyS0 quiet panic=-1 {}", machine.words);
    let seconds = match options.full || options.systemd {
        true => "3600",
        false => "900",
    };
    run(
        &mut *counts,
        Command::new("timeout")
            .args(["--foreground", seconds])
            .args([
                "qemu-system-x86_64",
                "-accel",
                "tcg,thread=multi",
                "-smp",
                "2",
                "-m",
                "2048",
            ])
            .args([
                "-nodefaults",
                "-no-reboot",
                "-display",
                "none",
                "-serial",
                "stdio",
            ])
            .args(["-cpu", "max", "-append", &words])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(&image),
    )?;
    if counts.failed > before.failed {
        return Err("a test failed in the virtual machine".into());
    }
    let binaries = counts.binaries - before.binaries;
    if binaries != cases.len() {
        return Err(format!("{binaries} of {} test runs came to their end", cases.len()).into());
    }
    Ok(())
}

fn newest_kernel() -> Outcome<PathBuf> {
    let mut kernels: Vec<_> = fs::read_dir("/boot")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_kernel(path))
        .collect();
    kernels.sort();
    kernels
        .pop()
        .ok_or_else(|| "no kernel below /boot: apt-get install linux-image-amd64".into())
}

fn is_kernel(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
}

//! `cargo xtask vm [--full | --systemd] [--only BINARY[=CASES]] [--kernel FILE]`: the Linux backend's tests on another kernel, with cgroup v2 alone; and the
//! systemd cgroup driver and checkpoints with a real systemd and criu, on cgroup v2 alone, and (with `--full` or `--systemd`) with
//! the hybrid layout and with v1 alone, and checkpoints that docker and containerd make; and labels under SELinux, which enforces a policy of ours,
//! and (with `--full` or `--systemd`) Debian's.
//!
//! qemu starts Debian's kernel with an initramfs that holds busybox and the test binaries, at the paths where cargo has built
//! them; `init.sh` runs one after the other and prints what they print. Without `--full` it is the part that CI has time for,
//! as everything is emulated; with it each test binary has a machine of its own, so that none shares another's
//! time, and `--only` runs a single one, or those of its cases whose names hold some words. What the machine needs: `qemu-system-x86 linux-image-amd64 busybox-static cpio
//! systemd dbus criu iproute2 apparmor secilc`; with `--full` or `--systemd` beside that `docker.io containerd runc selinux-policy-default selinux-policy-src
//! checkpolicy semodule-utils policycoreutils m4 make zstd bzip2`.

mod initramfs;
mod selinux;
mod systemd;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

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
    ("bad_input", ""),
    ("exit_codes", ""),
    ("commands", ""),
    ("cgroup", ""),
    ("hoist_linux", ""),
    ("run", ""),
    ("faults", ""),
    ("conformance", ""),
];

/// What is run where systemd is the machine's first process, in full.
const CASES_OF_SYSTEMD: &[(&str, &str)] = &[
    ("oci", "systemd"),
    ("oci", "checkpoint: "),
    ("oci", "restore: "),
    ("oci", "apparmor: "),
];

/// The same where cgroup v2 is all there is. Debian's criu wants Debian's kernel.
const CASES_OF_UNIFIED: &[(&str, &str)] = &[
    ("oci", "systemd"),
    ("oci", "restored counts on"),
    ("oci", "restore: a "),
    ("oci", "apparmor: "),
];

/// What is run where engines are there, too.
const CASES_OF_ENGINES: &[(&str, &str)] = &[("interop", "checkpoint: ")];

/// What is run under SELinux.
const CASES_OF_SELINUX: &[(&str, &str)] =
    &[("oci", "selinux: "), ("settings", "of SELinux labels")];

/// What is run under SELinux with Debian's policy.
const CASES_OF_DEBIAN_POLICY: &[(&str, &str)] = &[("oci", "reference policy: ")];

/// What a machine has beside busybox, the kernel's modules and the tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    Nothing,
    /// systemd as its first process, criu and AppArmor.
    Systemd,
    /// The same with docker and containerd.
    Engines,
    /// A policy that its first process loads, and criu.
    SeLinux,
    /// Debian's policy, likewise.
    DebianPolicy,
}

/// A machine that is started.
struct Machine<'a> {
    cases: Vec<(&'a str, &'a str)>,
    /// The package that they are in, where it is one.
    package: Option<&'a str>,
    /// The only test binary that need be built.
    only: Option<&'a str>,
    has: Has,
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
    /// The only test binary to run, and a part of the names of its cases.
    only: Option<(String, String)>,
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
            "--only" => {
                let only = arguments.next().ok_or("--only needs a test binary")?;
                let (binary, cases) = only.split_once('=').unwrap_or((&only, ""));
                options.only = Some((binary.to_owned(), cases.to_owned()));
            }
            "--kernel" => {
                options.kernel = Some(arguments.next().ok_or("--kernel needs a file")?.into());
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(options)
}

/// Builds the tests, starts the machines, and counts what ran in them. It is an error where a test failed or a machine did not
/// come to its end; the others are started all the same.
pub(crate) fn test(options: &Options, counts: &mut Counts) -> Outcome<()> {
    let kernel = match &options.kernel {
        Some(kernel) => kernel.clone(),
        None => newest_kernel()?,
    };
    let machines = machines(options);
    if machines.is_empty() {
        return Err("none of these machines has such a test binary".into());
    }
    // All of them have the programs of one moment, however long they run.
    let mut images = Vec::new();
    for (number, machine) in machines.iter().enumerate() {
        images.push(initramfs::build(
            &root().join("target/vm"),
            number,
            &kernel,
            machine,
        )?);
    }
    let mut failed = Vec::new();
    for (machine, image) in machines.iter().zip(&images) {
        if let Err(error) = start(options, &kernel, machine, image, counts) {
            eprintln!("xtask vm: {error}");
            failed.push(machine.to_string());
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("failed: {}", failed.join("; ")).into()),
    }
}

/// What is to be started for these options.
fn machines(options: &Options) -> Vec<Machine<'_>> {
    let long = options.full || options.systemd;
    let mut machines = Vec::new();
    let with_systemd = |cases: &[(&'static str, &'static str)], words| Machine {
        cases: cases.to_vec(),
        package: Some("hoist-oci"),
        only: None,
        has: Has::Systemd,
        words,
    };
    machines.push(with_systemd(
        match long {
            true => CASES_OF_SYSTEMD,
            false => CASES_OF_UNIFIED,
        },
        "systemd.unified_cgroup_hierarchy=1",
    ));
    if long {
        // Hybrid, and v1 alone.
        for words in [
            "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0",
            "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1",
        ] {
            machines.push(with_systemd(CASES_OF_SYSTEMD, words));
        }
    }
    if long {
        machines.push(Machine {
            has: Has::Engines,
            ..with_systemd(CASES_OF_ENGINES, "systemd.unified_cgroup_hierarchy=1")
        });
    }
    machines.push(Machine {
        cases: CASES_OF_SELINUX.to_vec(),
        package: None,
        only: None,
        has: Has::SeLinux,
        words: selinux::WORDS,
    });
    if long {
        machines.push(Machine {
            cases: CASES_OF_DEBIAN_POLICY.to_vec(),
            package: Some("hoist-oci"),
            only: None,
            has: Has::DebianPolicy,
            words: selinux::WORDS_OF_DEBIAN,
        });
    }
    let plain = |cases: &[(&'static str, &'static str)]| Machine {
        cases: cases.to_vec(),
        package: None,
        only: None,
        has: Has::Nothing,
        words: "",
    };
    if options.full {
        machines.extend(CASES_IN_FULL.chunks(1).map(plain));
    } else if !options.systemd {
        machines.push(plain(CASES));
    }
    if let Some((binary, cases)) = &options.only {
        // Where some machines are there for such cases, the others are not.
        if machines.iter().any(|machine| machine.is_for(binary, cases)) {
            machines.retain(|machine| machine.is_for(binary, cases));
        }
        machines.retain_mut(|machine| machine.narrow(binary, cases));
    }
    machines
}

impl<'a> Machine<'a> {
    /// Whether it runs cases with such names and leaves others of their test binary out.
    fn is_for(&self, binary: &str, cases: &str) -> bool {
        let mut listed = self.cases.iter();
        listed.any(|(name, listed)| {
            *name == binary && !listed.is_empty() && cases.starts_with(listed)
        })
    }

    /// Leaves the cases of one test binary, or where a part of their names is given, those. Whether it has that binary.
    fn narrow(&mut self, binary: &'a str, cases: &'a str) -> bool {
        self.only = Some(binary);
        self.cases.retain(|(name, _)| *name == binary);
        if let ([first, ..], false) = (&self.cases[..], cases.is_empty()) {
            self.cases = vec![(first.0, cases)];
        }
        !self.cases.is_empty()
    }
}

impl fmt::Display for Machine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cases = self.cases.iter().map(|(name, cases)| match *cases {
            "" => (*name).to_owned(),
            cases => format!("{name}={cases}"),
        });
        write!(f, "{} {}", cases.collect::<Vec<_>>().join(", "), self.words)
    }
}

fn start(
    options: &Options,
    kernel: &Path,
    machine: &Machine<'_>,
    image: &Path,
    counts: &mut Counts,
) -> Outcome<()> {
    println!("starting {} in qemu: {machine}", kernel.display());
    let (failed, ended, started) = (counts.failed, counts.binaries, Instant::now());
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
            .arg(image),
    )?;
    println!("{machine}: {} seconds", started.elapsed().as_secs());
    if counts.failed > failed {
        return Err("a test failed in the virtual machine".into());
    }
    let binaries = counts.binaries - ended;
    if binaries != machine.cases.len() {
        return Err(format!(
            "{binaries} of {} test runs came to their end",
            machine.cases.len()
        )
        .into());
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

//! Makes what the seccomp code needs at build time: the tables of system call numbers, and the
//! filter program of the default profile for the target.
//!
//! The compiler is the very one of the library; building it in here keeps the two from parting.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use hoist_spec::oci::Arch;
use hoist_spec::seccomp::{DEFAULT_CAPABILITIES, default_profile};

#[path = "../src/seccomp/compiler.rs"]
#[allow(dead_code, unreachable_pub, reason = "public in the library")]
mod compiler;
#[path = "../src/seccomp/program.rs"]
#[allow(dead_code, unreachable_pub, reason = "public in the library")]
mod program;
#[path = "../src/seccomp/table.rs"]
#[allow(dead_code, unreachable_pub, reason = "public in the library")]
mod table;

use table::{ARM_ABIS, Host, SyscallTable, X32_BIT, X86_ABIS};

/// Writes `syscall_tables.rs` and `default_seccomp.bpf` into `out`. The latter is empty for a
/// target that has no tables (cargo's `CARGO_CFG_TARGET_ARCH`).
pub(crate) fn generate(out: &Path, target_arch: &str) -> Result<(), Box<dyn Error>> {
    let (x86, arm) = (x86(), arm());
    let tables = format!("{}{}", x86.source("X86"), arm.source("ARM"));
    std::fs::write(out.join("syscall_tables.rs"), tables)?;

    let native = match target_arch {
        "x86_64" => Some((Arch::ScmpArchX86_64, X86_ABIS, &x86)),
        "aarch64" => Some((Arch::ScmpArchAarch64, ARM_ABIS, &arm)),
        _ => None,
    };
    let program = match native {
        Some((arch, abis, table)) => {
            let host = Host {
                abis,
                syscalls: table.borrow(),
            };
            let profile = default_profile(DEFAULT_CAPABILITIES, arch);
            compiler::compile(&profile, &host)?.to_bytes()
        }
        None => Vec::new(),
    };
    std::fs::write(out.join("default_seccomp.bpf"), program)?;
    Ok(())
}

/// What became a call after the tables of the `syscalls` crate were made. Numbers are the same
/// everywhere since 5.1.
const NEWER: &[(&str, u32)] = &[("listns", 470), ("rseq_slice_yield", 471)];

/// Calls whose x32 number is not the x86-64 one with a bit set (`arch/x86/entry/syscalls`).
const X32_OWN: &[(&str, u32)] = &[
    ("rt_sigaction", 512),
    ("rt_sigreturn", 513),
    ("ioctl", 514),
    ("readv", 515),
    ("writev", 516),
    ("recvfrom", 517),
    ("sendmsg", 518),
    ("recvmsg", 519),
    ("execve", 520),
    ("ptrace", 521),
    ("rt_sigpending", 522),
    ("rt_sigtimedwait", 523),
    ("rt_sigqueueinfo", 524),
    ("sigaltstack", 525),
    ("timer_create", 526),
    ("mq_notify", 527),
    ("kexec_load", 528),
    ("waitid", 529),
    ("set_robust_list", 530),
    ("get_robust_list", 531),
    ("vmsplice", 532),
    ("move_pages", 533),
    ("preadv", 534),
    ("pwritev", 535),
    ("rt_tgsigqueueinfo", 536),
    ("recvmmsg", 537),
    ("sendmmsg", 538),
    ("process_vm_readv", 539),
    ("process_vm_writev", 540),
    ("setsockopt", 541),
    ("getsockopt", 542),
    ("io_setup", 543),
    ("io_submit", 544),
    ("execveat", 545),
    ("preadv2", 546),
    ("pwritev2", 547),
];

/// Names that profiles use and the `syscalls` crate lacks: on 64-bit Arm it calls newfstatat by
/// another name, on 32-bit Arm it lacks an alias and the private calls.
const ARM64_ALSO: &[(&str, u32)] = &[("newfstatat", 79)];
const ARM32_ALSO: &[(&str, u32)] = &[
    ("sync_file_range2", 341),
    ("breakpoint", table::ARM_PRIVATE + 1),
    ("cacheflush", table::ARM_PRIVATE + 2),
    ("usr26", table::ARM_PRIVATE + 3),
    ("usr32", table::ARM_PRIVATE + 4),
    ("set_tls", table::ARM_PRIVATE + 5),
    ("get_tls", table::ARM_PRIVATE + 6),
];

fn x86() -> Table {
    use syscalls::{x86, x86_64};
    let mut calls = Calls::default();
    // The iterators stop before the last call.
    for call in x86_64::Sysno::iter().chain([x86_64::Sysno::last()]) {
        calls.add(0, call.name(), call.id() as u32);
        calls.add(2, call.name(), call.id() as u32 | X32_BIT);
    }
    for call in x86::Sysno::iter().chain([x86::Sysno::last()]) {
        calls.add(1, call.name(), call.id() as u32);
    }
    for (name, number) in X32_OWN {
        calls.add(2, name, number | X32_BIT);
    }
    for (name, number) in NEWER {
        calls.add(0, name, *number);
        calls.add(1, name, *number);
        calls.add(2, name, number | X32_BIT);
    }
    calls.finish()
}

fn arm() -> Table {
    use syscalls::{aarch64, arm};
    let mut calls = Calls::default();
    for call in aarch64::Sysno::iter().chain([aarch64::Sysno::last()]) {
        calls.add(0, call.name(), call.id() as u32);
    }
    for call in arm::Sysno::iter().chain([arm::Sysno::last()]) {
        calls.add(1, call.name(), call.id() as u32);
    }
    for (column, also) in [(0, ARM64_ALSO), (1, ARM32_ALSO), (0, NEWER), (1, NEWER)] {
        for (name, number) in also {
            calls.add(column, name, *number);
        }
    }
    calls.finish()
}

/// The calls of one family, laid out as [`SyscallTable`] wants them.
#[derive(Default)]
struct Calls {
    by_name: BTreeMap<&'static str, [u32; 3]>,
}

impl Calls {
    fn add(&mut self, column: usize, name: &'static str, number: u32) {
        let absent = [SyscallTable::ABSENT; 3];
        // Names that are Rust keywords are written raw.
        let name = name.trim_start_matches("r#");
        self.by_name.entry(name).or_insert(absent)[column] = number;
    }

    fn finish(self) -> Table {
        let mut table = Table::default();
        for (name, numbers) in self.by_name {
            table.names.push_str(name);
            table.ends.push(table.names.len() as u16);
            table.numbers.push(numbers);
        }
        table
    }
}

#[derive(Default)]
struct Table {
    names: String,
    ends: Vec<u16>,
    numbers: Vec<[u32; 3]>,
}

impl Table {
    fn borrow(&self) -> SyscallTable<'_> {
        SyscallTable {
            names: &self.names,
            ends: &self.ends,
            numbers: &self.numbers,
        }
    }

    /// The table as a Rust constant of this name.
    fn source(&self, name: &str) -> String {
        format!(
            "pub(super) const {name}: SyscallTable<'static> = \
             SyscallTable {{ names: {:?}, ends: &{:?}, numbers: &{:?} }};\n",
            self.names, self.ends, self.numbers
        )
    }
}

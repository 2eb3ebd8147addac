//! Looking up system call numbers by name.
//!
//! The tables themselves are made by the build script, one for each family of ABIs that share a
//! kernel, in a form that needs no relocation: opening the program costs nothing for them.

use hoist_spec::oci::Arch;

/// The bit that marks a call of the x32 ABI (`__X32_SYSCALL_BIT`).
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// Where the calls begin that only 32-bit Arm has (`__ARM_NR_BASE`).
pub(crate) const ARM_PRIVATE: u32 = 0xf_0000;

/// The system calls of a family of ABIs.
#[derive(Clone, Copy)]
pub(crate) struct SyscallTable<'a> {
    /// All names, sorted, one after the other.
    pub(crate) names: &'a str,
    /// Where each name ends.
    pub(crate) ends: &'a [u16],
    /// The numbers of each name, one per ABI of the family; [`Self::ABSENT`] where an ABI lacks it.
    pub(crate) numbers: &'a [[u32; 3]],
}

impl SyscallTable<'_> {
    pub(crate) const ABSENT: u32 = u32::MAX;

    /// Looks names up.
    pub(crate) fn finder(&self) -> Finder<'_> {
        Finder {
            table: self,
            next: 0,
        }
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1],
        };
        &self.names[usize::from(start)..usize::from(self.ends[index])]
    }
}

/// Looks up one name after the other. Those that are sorted, as profiles list them, are found next to one another.
pub(crate) struct Finder<'a> {
    table: &'a SyscallTable<'a>,
    /// Behind the name that was found last.
    next: usize,
}

impl Finder<'_> {
    /// The numbers of a call; `None` for a name that no ABI of the family has.
    pub(crate) fn numbers(&mut self, name: &str) -> Option<[u32; 3]> {
        const NEAR: usize = 4;
        let table = self.table;
        let near = self.next..table.ends.len().min(self.next + NEAR);
        let found = near
            .into_iter()
            .find(|index| table.name(*index) == name)
            .or_else(|| self.search(name))?;
        self.next = found + 1;
        table.numbers.get(found).copied()
    }

    fn search(&self, name: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.table.ends.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.table.name(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// One way to enter a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abi {
    /// Its name in OCI documents.
    pub(crate) arch: Arch,
    /// What the kernel puts into `seccomp_data.arch` (`AUDIT_ARCH_*` of `linux/audit.h`).
    pub(crate) audit: u32,
    /// Its column in the table.
    pub(crate) column: usize,
}

/// A host: the ABIs of its kernel, the native one first, and their calls.
#[derive(Clone, Copy)]
pub(crate) struct Host<'a> {
    pub(crate) abis: &'a [Abi],
    pub(crate) syscalls: SyscallTable<'a>,
}

/// The ABIs of a 64-bit x86 kernel.
#[allow(dead_code, reason = "each host uses its own")]
pub(crate) const X86_ABIS: &[Abi] = &[
    abi(Arch::ScmpArchX86_64, 0xc000_003e, 0),
    abi(Arch::ScmpArchX86, 0x4000_0003, 1),
    // x32 enters as x86-64 does, with a bit set in the number.
    abi(Arch::ScmpArchX32, 0xc000_003e, 2),
];

/// The ABIs of a 64-bit Arm kernel.
#[allow(dead_code, reason = "each host uses its own")]
pub(crate) const ARM_ABIS: &[Abi] = &[
    abi(Arch::ScmpArchAarch64, 0xc000_00b7, 0),
    abi(Arch::ScmpArchArm, 0x4000_0028, 1),
];

const fn abi(arch: Arch, audit: u32, column: usize) -> Abi {
    Abi {
        arch,
        audit,
        column,
    }
}

//! The system calls that steps fail in.

macro_rules! calls {
    ($($code:literal $name:ident $text:literal,)*) => {
        /// The system call that a step failed in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call { $(#[doc = concat!("`", $text, "`")] $name = $code),* }

        impl Call {
            /// Its name, as in the manual.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
            /// The call with this code.
            pub fn from_code(code: u32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

calls! {
    0 None "no call",
    1 Openat2 "openat2", 2 OpenTree "open_tree", 3 MountSetattr "mount_setattr", 4 MoveMount "move_mount",
    5 Fsopen "fsopen", 6 Fsconfig "fsconfig", 7 Fsmount "fsmount", 8 Mkdirat "mkdirat", 9 Mknodat "mknodat",
    10 Symlinkat "symlinkat", 11 Fchdir "fchdir", 12 PivotRoot "pivot_root", 13 Umount2 "umount2",
    14 Sethostname "sethostname", 15 Setdomainname "setdomainname", 16 Socket "socket", 17 Ioctl "ioctl",
    18 Write "write", 19 Prlimit "prlimit64", 20 Setsid "setsid", 21 Chdir "chdir", 22 Getcwd "getcwd",
    23 Setgroups "setgroups", 24 Setresgid "setresgid", 25 Setresuid "setresuid", 26 Prctl "prctl",
    27 Capset "capset", 28 Seccomp "seccomp", 29 Execve "execve", 30 Setns "setns", 31 Unshare "unshare",
    32 Clone3 "clone3", 33 Fstat "fstat", 34 Sendmsg "sendmsg", 35 Recvmsg "recvmsg", 36 Mmap "mmap",
    37 CloseRange "close_range", 38 Openat "openat", 39 Fchmod "fchmod", 40 Fchown "fchown",
    41 Dup2 "dup2", 42 Mount "mount", 43 Verify "read back", 44 Decode "decode", 45 Fcntl "fcntl", 46 Fstatfs "fstatfs",
    47 Kill "kill", 48 Accept "accept4", 49 HookExit "hook exit", 50 HookSignal "hook signal", 51 HookTimeout "hook timeout",
    52 Lseek "lseek", 53 Wait "wait4", 54 Poll "poll", 55 Faccessat "faccessat", 56 Keyctl "keyctl", 57 Chroot "chroot",
    58 Personality "personality", 59 SchedSetattr "sched_setattr", 60 IoprioSet "ioprio_set",
    61 SchedSetaffinity "sched_setaffinity", 62 Getdents "getdents64", 63 Readlinkat "readlinkat", 64 Sendfile "sendfile", 65 Clone "clone",
    66 SetMempolicy "set_mempolicy", 67 Statx "statx", 68 Unlinkat "unlinkat", 69 Renameat "renameat",
    70 Utimensat "utimensat", 71 Listxattr "listxattr", 72 Getxattr "getxattr", 73 Setxattr "setxattr", 74 Linkat "linkat",
    75 Ftruncate "ftruncate",
}

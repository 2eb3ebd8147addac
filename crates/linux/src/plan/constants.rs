//! Kernel constants that plans are made of, typed here so that plans can be made on every platform; a Linux test compares
//! them with those of the C headers.

/// `CLONE_NEW*` (clone(2)).
pub(crate) mod namespace {
    pub(crate) const TIME: u32 = 0x80;
    pub(crate) const MOUNT: u32 = 0x2_0000;
    pub(crate) const CGROUP: u32 = 0x200_0000;
    pub(crate) const UTS: u32 = 0x400_0000;
    pub(crate) const IPC: u32 = 0x800_0000;
    pub(crate) const USER: u32 = 0x1000_0000;
    pub(crate) const PID: u32 = 0x2000_0000;
    pub(crate) const NETWORK: u32 = 0x4000_0000;
}

/// `MOUNT_ATTR_*` (mount_setattr(2)).
pub(crate) mod attribute {
    pub(crate) const RDONLY: u32 = 0x1;
    pub(crate) const NOSUID: u32 = 0x2;
    pub(crate) const NODEV: u32 = 0x4;
    pub(crate) const NOEXEC: u32 = 0x8;
    /// The bits that hold one of the three ways to keep access times; relatime is 0.
    pub(crate) const ATIME: u32 = 0x70;
    pub(crate) const NOATIME: u32 = 0x10;
    pub(crate) const STRICTATIME: u32 = 0x20;
    pub(crate) const NODIRATIME: u32 = 0x80;
    pub(crate) const NOSYMFOLLOW: u32 = 0x20_0000;
}

/// `MS_*` of propagation (mount(2)).
pub(crate) mod propagation {
    pub(crate) const UNBINDABLE: u32 = 1 << 17;
    pub(crate) const PRIVATE: u32 = 1 << 18;
    pub(crate) const SLAVE: u32 = 1 << 19;
    pub(crate) const SHARED: u32 = 1 << 20;
}

/// File types of `st_mode` (inode(7)).
pub(crate) mod file_type {
    pub(crate) const FIFO: u32 = 0o010_000;
    pub(crate) const CHARACTER_DEVICE: u32 = 0o020_000;
    pub(crate) const BLOCK_DEVICE: u32 = 0o060_000;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_the_headers() {
        let namespaces = [
            (namespace::MOUNT, libc::CLONE_NEWNS),
            (namespace::CGROUP, libc::CLONE_NEWCGROUP),
            (namespace::UTS, libc::CLONE_NEWUTS),
            (namespace::IPC, libc::CLONE_NEWIPC),
            (namespace::USER, libc::CLONE_NEWUSER),
            (namespace::PID, libc::CLONE_NEWPID),
            (namespace::NETWORK, libc::CLONE_NEWNET),
            (namespace::TIME, libc::CLONE_NEWTIME),
        ];
        for (ours, theirs) in namespaces {
            assert_eq!(ours, theirs as u32);
        }
        let attributes = [
            (attribute::RDONLY, libc::MOUNT_ATTR_RDONLY),
            (attribute::NOSUID, libc::MOUNT_ATTR_NOSUID),
            (attribute::NODEV, libc::MOUNT_ATTR_NODEV),
            (attribute::NOEXEC, libc::MOUNT_ATTR_NOEXEC),
            (attribute::ATIME, libc::MOUNT_ATTR__ATIME),
            (attribute::NOATIME, libc::MOUNT_ATTR_NOATIME),
            (attribute::STRICTATIME, libc::MOUNT_ATTR_STRICTATIME),
            (attribute::NODIRATIME, libc::MOUNT_ATTR_NODIRATIME),
            (attribute::NOSYMFOLLOW, libc::MOUNT_ATTR_NOSYMFOLLOW),
        ];
        for (ours, theirs) in attributes {
            assert_eq!(u64::from(ours), theirs);
        }
        assert_eq!(u64::from(propagation::UNBINDABLE), libc::MS_UNBINDABLE);
        assert_eq!(u64::from(propagation::PRIVATE), libc::MS_PRIVATE);
        assert_eq!(u64::from(propagation::SLAVE), libc::MS_SLAVE);
        assert_eq!(u64::from(propagation::SHARED), libc::MS_SHARED);
        assert_eq!(file_type::FIFO, libc::S_IFIFO);
        assert_eq!(file_type::CHARACTER_DEVICE, libc::S_IFCHR);
        assert_eq!(file_type::BLOCK_DEVICE, libc::S_IFBLK);
    }
}

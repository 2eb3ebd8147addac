//! Making file systems and mounting them onto handles in the container's root (mount API of Linux 5.2: fsopen(2),
//! open_tree(2), move_mount(2), mount_setattr(2)).

use core::ffi::CStr;

use hoist_init::wire::{Call, Covered, List, Slot};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, XattrFlags, fsetxattr, fstat, makedev,
    openat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    move_mount, open_tree, unmount,
};

use super::fault::{At, Fault, Result};
use super::root::{self, Target};
use super::slots::Slots;
use super::sys;

const MOUNT_POINT_MODE: Mode = Mode::from_raw_mode(0o755);
const MOUNT_ATTR_RDONLY: u32 = 1;

/// Changes the propagation of every mount of this namespace (`MS_*`, mount(2)).
pub(crate) fn set_propagation(propagation: u32) -> Result<()> {
    let all = open_tree(CWD, c"/", OpenTreeFlags::OPEN_TREE_CLOEXEC).at(Call::OpenTree)?;
    sys::mount_setattr(all.as_fd(), 0, 0, propagation, true).at(Call::MountSetattr)
}

/// A detached copy of a path of the host.
pub(crate) fn clone_tree(
    directory: BorrowedFd<'_>,
    path: &CStr,
    recursive: bool,
) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    open_tree(directory, path, flags).at(Call::OpenTree)
}

/// A detached copy of a directory of the host with everything mounted below it, to be the root.
pub(crate) fn open_root(path: &CStr, attributes: u32) -> Result<OwnedFd> {
    let tree = clone_tree(CWD, path, true)?;
    if attributes != 0 {
        sys::mount_setattr(tree.as_fd(), attributes, 0, 0, false).at(Call::MountSetattr)?;
    }
    Ok(tree)
}

/// A new detached file system.
pub(crate) fn new_filesystem(
    kind: &CStr,
    source: &CStr,
    options: List<'_>,
    attributes: u32,
) -> Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at(Call::Fsopen)?;
    if !source.is_empty() {
        fsconfig_set_string(context.as_fd(), c"source", source).at(Call::Fsconfig)?;
    }
    let mut words = options.iter::<&CStr>();
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        if value.is_empty() {
            fsconfig_set_flag(context.as_fd(), key).at(Call::Fsconfig)?;
        } else {
            fsconfig_set_string(context.as_fd(), key, value).at(Call::Fsconfig)?;
        }
    }
    mount_context(&context, attributes)
}

pub(crate) fn mount_context(context: &OwnedFd, attributes: u32) -> Result<OwnedFd> {
    fsconfig_create(context.as_fd()).at(Call::Fsconfig)?;
    let attributes = MountAttrFlags::from_bits_retain(attributes);
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).at(Call::Fsmount)
}

/// What an overlay is made of.
pub(crate) struct Overlay<'a> {
    pub(crate) layers: List<'a>,
    pub(crate) upper: Slot,
    pub(crate) work: Slot,
    pub(crate) user_attributes: bool,
    pub(crate) append: bool,
    pub(crate) attributes: u32,
}

/// The longest string that fsconfig(2) takes.
const LONGEST_OPTION: usize = 255;

/// A new detached overlay. Directories that no path leads to, and layers whose path is long or has characters that overlayfs
/// reads as its own, are named through `/proc/self/fd`.
pub(crate) fn new_overlay(overlay: &Overlay<'_>, slots: &Slots) -> Result<OwnedFd> {
    if !overlay.append {
        return new_overlay_by_page(overlay, slots);
    }
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC).at(Call::Fsopen)?;
    let set = |key: &CStr, directory: BorrowedFd<'_>| {
        let mut name = Text::<32>::new();
        name.push_descriptor(directory)?;
        fsconfig_set_string(context.as_fd(), key, name.as_c_str()?).at(Call::Fsconfig)
    };
    for path in overlay.layers.iter::<&CStr>() {
        let bytes = path.to_bytes();
        if bytes.len() <= LONGEST_OPTION && !bytes.contains(&b'\\') {
            fsconfig_set_string(context.as_fd(), c"lowerdir+", path).at(Call::Fsconfig)?;
        } else {
            set(c"lowerdir+", open_layer(path)?.as_fd())?;
        }
    }
    if let Some(upper) = slots.find(overlay.upper) {
        set(c"upperdir", upper)?;
        set(c"workdir", slots.get(overlay.work)?)?;
    }
    if overlay.user_attributes {
        fsconfig_set_flag(context.as_fd(), c"userxattr").at(Call::Fsconfig)?;
    }
    mount_context(&context, overlay.attributes)
}

/// A handle of a directory of the host.
pub(crate) fn open_layer(path: &CStr) -> Result<OwnedFd> {
    rustix::fs::open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Call::Openat)
}

/// A directory that every host has, in the tree that the container's process leaves behind.
const LEFT_BEHIND: &CStr = c"/sys";

/// How many layers one page of mount options holds, with their names through `/proc/self/fd`.
const LAYERS_PER_PAGE: usize = 128;

/// As [`new_overlay`], before Linux 6.8: all layers in the one page of options that mount(2) takes. The mount is made
/// over the host's `/sys`, which this namespace leaves behind, and taken off it again.
fn new_overlay_by_page(overlay: &Overlay<'_>, slots: &Slots) -> Result<OwnedFd> {
    let mut layers = [const { None::<OwnedFd> }; LAYERS_PER_PAGE];
    let mut options = Text::<4096>::new();
    options.push(b"lowerdir=")?;
    for (index, path) in overlay.layers.iter::<&CStr>().enumerate() {
        let place = layers
            .get_mut(index)
            .ok_or(Fault::new(Call::Mount, Errno::TOOBIG))?;
        let layer = place.insert(open_layer(path)?);
        if index > 0 {
            options.push(b":")?;
        }
        options.push_descriptor(layer.as_fd())?;
    }
    if let Some(upper) = slots.find(overlay.upper) {
        options.push(b",upperdir=")?;
        options.push_descriptor(upper)?;
        options.push(b",workdir=")?;
        options.push_descriptor(slots.get(overlay.work)?)?;
    }
    if overlay.user_attributes {
        options.push(b",userxattr")?;
    }
    rustix::mount::mount(
        c"overlay",
        LEFT_BEHIND,
        c"overlay",
        MountFlags::empty(),
        options.as_c_str()?,
    )
    .at(Call::Mount)?;
    let tree = clone_tree(CWD, LEFT_BEHIND, false)?;
    unmount(LEFT_BEHIND, UnmountFlags::DETACH).at(Call::Umount2)?;
    if overlay.attributes != 0 {
        sys::mount_setattr(tree.as_fd(), overlay.attributes, 0, 0, false).at(Call::MountSetattr)?;
    }
    Ok(tree)
}

/// A short text that is put together.
pub(crate) struct Text<const LENGTH: usize> {
    bytes: [u8; LENGTH],
    used: usize,
}

impl<const LENGTH: usize> Text<LENGTH> {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; LENGTH],
            used: 0,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.used + bytes.len();
        // One byte stays for the NUL.
        if end >= LENGTH {
            return Err(Fault::new(Call::Mount, Errno::TOOBIG));
        }
        self.bytes[self.used..end].copy_from_slice(bytes);
        self.used = end;
        Ok(())
    }

    pub(crate) fn push_descriptor(&mut self, descriptor: BorrowedFd<'_>) -> Result<()> {
        self.push(b"/proc/self/fd/")?;
        self.push_number(descriptor)
    }

    pub(crate) fn push_number(&mut self, descriptor: BorrowedFd<'_>) -> Result<()> {
        let mut digits = [0_u8; 10];
        let mut number = descriptor.as_raw_fd();
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[first..])
    }

    /// Sixteen digits.
    pub(crate) fn push_hexadecimal(&mut self, number: u64) -> Result<()> {
        let mut digits = [0_u8; 16];
        for (digit, shift) in digits.iter_mut().zip((0..16).rev()) {
            *digit = match (number >> (shift * 4)) as u8 & 15 {
                value @ ..10 => b'0' + value,
                value => b'a' + value - 10,
            };
        }
        self.push(&digits)
    }

    pub(crate) fn as_c_str(&self) -> Result<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| Fault::new(Call::Decode, Errno::INVAL))
    }
}

/// Copies what `path` of the present root names, with what is mounted below it; `None` where there is nothing.
///
/// The present root is a container's: no link in it is followed out of it, nor through /proc to a descriptor of this process.
pub(crate) fn copy_tree(path: &CStr) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let present = rustix::fs::open(c"/", flags, Mode::empty()).at(Call::Openat2)?;
    let path = root::relative(path);
    match root::open(present.as_fd(), path, OFlags::PATH, ResolveFlags::empty()) {
        Err(Fault {
            errno: Errno::NOENT,
            ..
        }) => Ok(None),
        found => clone_tree(found?.as_fd(), c"", true).map(Some),
    }
}

/// Mounts a detached tree on a directory of `root` that is there.
pub(crate) fn attach_in(root: BorrowedFd<'_>, tree: BorrowedFd<'_>, target: &CStr) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let place = root::open(root, root::relative(target), flags, ResolveFlags::empty())?;
    mount_on(tree, place.as_fd())
}

/// Attaches a mount over `/`, so that mounts can be moved onto its handles, which the kernel allows only in a tree that is
/// attached (before Linux 6.15). A path still leads into the tree below it: it starts where the process's root is.
pub(crate) fn attach(mount: BorrowedFd<'_>) -> Result<()> {
    attach_over(mount, c"/")
}

/// Attaches a mount over a directory of the present mount namespace.
pub(crate) fn attach_over(mount: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    move_mount(
        mount,
        c"",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .at(Call::MoveMount)
}

/// Moves a detached mount onto the target in the root, which is made where it is missing.
pub(crate) fn mount_at(
    root: BorrowedFd<'_>,
    mount: BorrowedFd<'_>,
    target: &CStr,
    kind: Target,
    no_links: bool,
) -> Result<()> {
    let place = place_for(root, target, kind, no_links)?;
    mount_on(mount, place.as_fd())
}

/// Makes a file system and mounts it on the target in the root.
pub(crate) fn mount_new(
    root: BorrowedFd<'_>,
    target: &CStr,
    no_links: bool,
    filesystem: &NewFilesystem<'_>,
) -> Result<OwnedFd> {
    let NewFilesystem {
        kind,
        source,
        options,
        attributes,
        covered,
    } = *filesystem;
    if covered == Covered::Ignored {
        let mount = new_filesystem(kind, source, options, attributes)?;
        mount_at(root, mount.as_fd(), target, Target::Directory, no_links)?;
        return Ok(mount);
    }
    // It becomes read-only when it has its content.
    let read_only = attributes & MOUNT_ATTR_RDONLY;
    let mount = new_filesystem(kind, source, options, attributes & !read_only)?;
    let place = place_for(root, target, Target::Directory, no_links)?;
    super::copy::cover(mount.as_fd(), place.as_fd(), covered)?;
    if read_only != 0 {
        sys::mount_setattr(mount.as_fd(), read_only, 0, 0, false).at(Call::MountSetattr)?;
    }
    mount_on(mount.as_fd(), place.as_fd())?;
    Ok(mount)
}

/// A file system to be made.
pub(crate) struct NewFilesystem<'a> {
    pub(crate) kind: &'a CStr,
    pub(crate) source: &'a CStr,
    pub(crate) options: List<'a>,
    pub(crate) attributes: u32,
    pub(crate) covered: Covered,
}

pub(crate) fn place_for(
    root: BorrowedFd<'_>,
    target: &CStr,
    kind: Target,
    no_links: bool,
) -> Result<OwnedFd> {
    let extra = if no_links {
        ResolveFlags::NO_SYMLINKS
    } else {
        ResolveFlags::empty()
    };
    root::open_or_make(root, root::relative(target), kind, MOUNT_POINT_MODE, extra)
}

pub(crate) fn mount_on(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", place, c"", flags).at(Call::MoveMount)
}

/// How a bind mount differs from its source.
pub(crate) struct Binding<'a> {
    pub(crate) recursive: bool,
    pub(crate) set: u32,
    pub(crate) clear: u32,
    pub(crate) attributes_recursive: bool,
    pub(crate) propagation: u32,
    pub(crate) device: bool,
    pub(crate) below: &'a CStr,
    pub(crate) copy_up: bool,
}

/// Binds a path of the host onto the target in the root.
pub(crate) fn bind(
    root: BorrowedFd<'_>,
    source: &CStr,
    target: &CStr,
    binding: &Binding<'_>,
    given: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let tree = match given {
        Some(tree) => tree.try_clone_to_owned().at(Call::Fcntl)?,
        None if binding.below.is_empty() => clone_tree(CWD, source, binding.recursive)?,
        None => {
            // What lies in the source may be another container's making: it leads nowhere out of it.
            let top = open_layer(source)?;
            let path = root::relative(binding.below);
            let place = root::open(top.as_fd(), path, OFlags::PATH, ResolveFlags::empty())?;
            clone_tree(place.as_fd(), c"", binding.recursive)?
        }
    };
    let kind = FileType::from_raw_mode(fstat(&tree).at(Call::Fstat)?.st_mode);
    if binding.device && !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        return Err(Fault::new(Call::Fstat, Errno::NODEV));
    }
    if binding.copy_up && kind == FileType::Directory && super::copy::is_empty(tree.as_fd())? {
        let place = place_for(root, target, Target::Directory, false)?;
        super::copy::cover(tree.as_fd(), place.as_fd(), Covered::Content)?;
    }
    shape(tree.as_fd(), binding)?;
    let kind = if kind == FileType::Directory {
        Target::Directory
    } else {
        Target::File
    };
    mount_at(root, tree.as_fd(), target, kind, false)
}

/// Changes the propagation and the attributes of a detached copy.
pub(crate) fn shape(tree: BorrowedFd<'_>, binding: &Binding<'_>) -> Result<()> {
    let attributes = binding.set != 0 || binding.clear != 0;
    let at_once = attributes && binding.recursive == binding.attributes_recursive;
    if binding.propagation != 0 && !at_once {
        sys::mount_setattr(tree, 0, 0, binding.propagation, binding.recursive)
            .at(Call::MountSetattr)?;
    }
    if attributes {
        sys::mount_setattr(
            tree,
            binding.set,
            binding.clear,
            if at_once { binding.propagation } else { 0 },
            binding.attributes_recursive,
        )
        .at(Call::MountSetattr)?;
    }
    Ok(())
}

/// What masked paths are covered with, made when the first of a kind is needed.
#[derive(Default)]
pub(crate) struct Covers {
    file: Option<OwnedFd>,
    directory: Option<OwnedFd>,
}

impl Covers {
    /// Covers `path` of the root, where it exists; an empty directory has this label.
    pub(crate) fn mask(&mut self, root: BorrowedFd<'_>, path: &CStr, label: &CStr) -> Result<()> {
        let Some(place) = find(root, path)? else {
            return Ok(());
        };
        let kind = FileType::from_raw_mode(fstat(&place).at(Call::Fstat)?.st_mode);
        let is_directory = kind == FileType::Directory;
        let cover = match is_directory {
            true => &mut self.directory,
            false => &mut self.file,
        };
        // Only what is attached can be copied (before Linux 6.15): the first cover is used itself.
        match cover {
            Some(cover) => mount_on(
                clone_tree(cover.as_fd(), c"", false)?.as_fd(),
                place.as_fd(),
            ),
            None => {
                let made = match is_directory {
                    true => empty_directory(label)?,
                    false => null_device()?,
                };
                mount_on(cover.insert(made).as_fd(), place.as_fd())
            }
        }
    }
}

/// The host's null device, proven to be that.
fn null_device() -> Result<OwnedFd> {
    let tree = clone_tree(CWD, c"/dev/null", false)?;
    let stat = fstat(&tree).at(Call::Fstat)?;
    let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == makedev(1, 3);
    if is_null {
        Ok(tree)
    } else {
        Err(Fault::new(Call::Fstat, Errno::NODEV))
    }
}

/// An empty read-only directory, one for all masked directories: each tmpfs costs the kernel memory per processor.
fn empty_directory(label: &CStr) -> Result<OwnedFd> {
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).at(Call::Fsopen)?;
    fsconfig_set_string(context.as_fd(), c"nr_inodes", c"1").at(Call::Fsconfig)?;
    if !label.is_empty() {
        fsconfig_set_string(context.as_fd(), c"context", label).at(Call::Fsconfig)?;
    }
    mount_context(&context, MOUNT_ATTR_RDONLY)
}

/// Gives the root of a mount an SELinux label.
pub(crate) fn set_label(mount: BorrowedFd<'_>, label: &CStr) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(mount, c".", flags, Mode::empty()).at(Call::Openat)?;
    fsetxattr(
        &root,
        c"security.selinux",
        label.to_bytes(),
        XattrFlags::empty(),
    )
    .at(Call::Setxattr)
}

fn find(root: BorrowedFd<'_>, path: &CStr) -> Result<Option<OwnedFd>> {
    match root::open(
        root,
        root::relative(path),
        OFlags::PATH,
        ResolveFlags::empty(),
    ) {
        Ok(place) => Ok(Some(place)),
        Err(Fault {
            errno: Errno::NOENT | Errno::NOTDIR,
            ..
        }) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Covers `path` of the root, where it exists, with a read-only copy of itself and all below it.
pub(crate) fn make_read_only(root: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    let Some(place) = find(root, path)? else {
        return Ok(());
    };
    let tree = clone_tree(place.as_fd(), c"", true)?;
    sys::mount_setattr(tree.as_fd(), MOUNT_ATTR_RDONLY, 0, 0, true).at(Call::MountSetattr)?;
    mount_on(tree.as_fd(), place.as_fd())
}

/// Makes a mount itself read-only; what is mounted in it stays as it is.
pub(crate) fn make_mount_read_only(mount: BorrowedFd<'_>) -> Result<()> {
    sys::mount_setattr(mount, MOUNT_ATTR_RDONLY, 0, 0, false).at(Call::MountSetattr)
}

/// A node in a directory of the container's own.
pub(crate) struct Node<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) mode: u32,
    pub(crate) device: (u32, u32),
    pub(crate) owner: (u32, u32),
}

/// Makes a device node below the container's `/dev`.
pub(crate) fn make_device(dev: BorrowedFd<'_>, node: &Node<'_>) -> Result<()> {
    use rustix::fs::{Gid, Uid, chownat, mknodat};
    let (major, minor) = node.device;
    let mode = Mode::from_raw_mode(node.mode & 0o7777);
    let kind = FileType::from_raw_mode(node.mode);
    let bytes = node.path.to_bytes();
    let parent = bytes
        .iter()
        .rposition(|byte| *byte == b'/')
        .map(|slash| &bytes[..slash]);
    let mut text = Text::<4096>::new();
    if let Some(parent) = parent {
        text.push(parent)?;
        root::open_or_make(
            dev,
            text.as_c_str()?,
            Target::Directory,
            MOUNT_POINT_MODE,
            ResolveFlags::NO_SYMLINKS,
        )?;
    }
    mknodat(dev, node.path, kind, mode, makedev(major, minor)).at(Call::Mknodat)?;
    let (uid, gid) = node.owner;
    if (uid, gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        chownat(
            dev,
            node.path,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .at(Call::Fchown)?;
    }
    Ok(())
}

/// Changes to the root by chroot(2). The host's tree stays below it, mounted over: only where there is no other way.
pub(crate) fn change_root(root: BorrowedFd<'_>) -> Result<()> {
    rustix::process::fchdir(root).at(Call::Fchdir)?;
    rustix::process::chroot(c".").at(Call::Chroot)?;
    rustix::process::chdir(c"/").at(Call::Chdir)
}

/// Changes to the root and detaches the host's tree. No name is involved: the working directory is both the new root and the
/// place of the old one (pivot_root(2), "pivot_root(".", ".")"), over which that lies then with all that is mounted on it.
///
/// umount(2) takes the top-most of what lies at a place, which the layer that receives the writes may be. So it is repeated, as
/// seen from the host's tree, until that is in this namespace no more; else `/..` would lead the container there, and whoever
/// enters it.
pub(crate) fn pivot(root: BorrowedFd<'_>) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host = rustix::fs::open(c"/", flags, Mode::empty()).at(Call::Openat)?;
    rustix::process::fchdir(root).at(Call::Fchdir)?;
    rustix::process::pivot_root(c".", c".").at(Call::PivotRoot)?;
    rustix::process::fchdir(&host).at(Call::Fchdir)?;
    unmount(c".", UnmountFlags::DETACH).at(Call::Umount2)?;
    loop {
        match unmount(c".", UnmountFlags::DETACH) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(Fault::new(Call::Umount2, errno)),
        }
    }
    rustix::process::chdir(c"/").at(Call::Chdir)
}

//! A file system whose server never says where a file is: who asks waits in the kernel, and no signal ends that.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::{Command, Stdio},
};

const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const INIT: u32 = 26;
const ENOSYS: i32 = 38;

/// The file system, mounted.
pub(crate) struct Stuck {
    folder: tempfile::TempDir,
}

impl Stuck {
    /// Why there can be none here.
    pub(crate) fn missing() -> Option<String> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        device.err().map(|error| format!("/dev/fuse: {error}"))
    }

    pub(crate) fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .unwrap();
        let mounted = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o"])
            .arg("fd=0,rootmode=40000,user_id=0,group_id=0,allow_other")
            .arg("hoist-stuck")
            .arg(folder.path())
            .stdin(Stdio::from(device.try_clone().unwrap()))
            .status()
            .unwrap();
        assert!(mounted.success());
        std::thread::spawn(move || serve(device));
        Self { folder }
    }

    pub(crate) fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Ends it: whoever waits gets an error.
    pub(crate) fn end(&self) {
        for how in ["-f", "-l"] {
            let _ = Command::new("umount")
                .arg(how)
                .arg(self.folder.path())
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.end();
    }
}

/// Answers what a mount needs (linux/fuse.h), and no question for a file.
fn serve(mut device: File) {
    let mut request = vec![0; 256 * 1024];
    while let Ok(count) = device.read(&mut request) {
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        if count < 40 {
            return;
        }
        let unique = &request[8..16];
        let (error, body) = match word(4) {
            LOOKUP => continue,
            INIT => (0, init()),
            GETATTR => (0, attributes()),
            _ => (-ENOSYS, Vec::new()),
        };
        let length = 16 + body.len() as u32;
        let answer = [
            &length.to_ne_bytes()[..],
            &i32::to_ne_bytes(error),
            unique,
            &body,
        ];
        // The one who asked may be gone.
        let _ = device.write(&answer.concat());
    }
}

/// `struct fuse_init_out`.
fn init() -> Vec<u8> {
    let mut body = vec![0; 64];
    body[0..4].copy_from_slice(&7_u32.to_ne_bytes());
    body[4..8].copy_from_slice(&31_u32.to_ne_bytes());
    body[20..24].copy_from_slice(&4096_u32.to_ne_bytes());
    body
}

/// `struct fuse_attr_out` of the root, good for an hour.
fn attributes() -> Vec<u8> {
    let mut body = vec![0; 104];
    body[0..8].copy_from_slice(&3600_u64.to_ne_bytes());
    body[16..24].copy_from_slice(&1_u64.to_ne_bytes());
    body[76..80].copy_from_slice(&0o040_755_u32.to_ne_bytes());
    body[80..84].copy_from_slice(&2_u32.to_ne_bytes());
    body
}

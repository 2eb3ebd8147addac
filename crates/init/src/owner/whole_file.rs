//! Reading a small file whole: a record, or what the kernel tells in a file system of its own.
//!
//! With four system calls: the standard library asks for the size first, which such files do not have, and then reads in
//! growing pieces.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{pread, retry_on_intr};
use rustix::path::Arg;

/// The content of the file of this path.
pub fn read(path: impl Arg) -> io::Result<Vec<u8>> {
    read_at(CWD, path)
}

/// As [`read`]; a file that is no text is `InvalidData`.
pub fn read_text(path: impl Arg) -> io::Result<String> {
    text(read(path)?)
}

/// The text of the file of this path, where it is relative below `directory`.
pub fn read_text_at(directory: impl AsFd, path: impl Arg) -> io::Result<String> {
    text(read_at(directory, path)?)
}

/// The text of an open file, from its beginning, however often it was read before.
pub fn read_again(file: impl AsFd) -> io::Result<String> {
    text(read_open(file)?)
}

fn read_at(directory: impl AsFd, path: impl Arg) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    read_open(openat(directory, path, flags, Mode::empty())?)
}

fn read_open(file: impl AsFd) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        let count = retry_on_intr(|| pread(&file, &mut buffer, content.len() as u64))?;
        // A short read is not the end: the kernel gives whole lines of some of its files, as many as there is room for.
        if count == 0 {
            return Ok(content);
        }
        content.extend_from_slice(&buffer[..count]);
    }
}

fn text(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_reads_are_short_is_read_to_its_end() {
        // As many mappings as take several reads: the kernel gives whole lines.
        let _kept: Vec<_> = (0..200)
            .map(|number| {
                let size = if number % 2 == 0 { 1 } else { 1 << 20 };
                std::thread::Builder::new().stack_size(size).spawn(|| {
                    std::thread::sleep(std::time::Duration::from_millis(500));
                })
            })
            .collect();
        let text = read_text("/proc/self/maps").unwrap();
        assert!(text.len() > 3 * 4096);
        assert!(text.lines().any(|line| line.ends_with("[vsyscall]")));
    }

    #[test]
    fn a_file_of_any_size_is_read_whole_and_again() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, 4095, 4096, 4097, 3 * 4096] {
            let path = folder.path().join(size.to_string());
            let content: String = ('a'..='z').cycle().take(size).collect();
            std::fs::write(&path, &content).unwrap();
            assert_eq!(read_text(&path).unwrap(), content);
            let file = std::fs::File::open(&path).unwrap();
            assert_eq!(read_again(&file).unwrap(), content);
            assert_eq!(read_again(&file).unwrap(), content);
        }
        let missing = read_text(folder.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}

//! Writing a log. Nothing that goes wrong with the file is fatal: it is tried again with the next entry.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hoist_compute::Timestamp;

use super::{Entry, OutputStream};
use crate::supervise::{LogDriver, LogOptions, WhenLogFails};

/// Longer lines are written in pieces, as docker does.
const LONGEST_LINE: usize = 16 * 1024;
/// How often a log that takes nothing is tried again, where the container waits for it.
const RETRY: Duration = Duration::from_millis(100);

/// A log being written.
#[derive(Debug)]
pub(in crate::supervise) struct Log {
    path: PathBuf,
    options: LogOptions,
    file: Option<File>,
    lines: [Vec<u8>; 2],
    /// Bytes that were not kept since the last entry that was.
    lost_now: u64,
    lost: u64,
    /// What could not be written, where the container waits for it, and when to try again.
    waiting: Option<(Vec<u8>, Instant)>,
}

impl Log {
    /// A log at `path`, whose folder exists.
    pub(in crate::supervise) fn new(path: PathBuf, options: LogOptions) -> Self {
        Self {
            path,
            options,
            file: None,
            lines: [Vec::new(), Vec::new()],
            lost_now: 0,
            lost: 0,
            waiting: None,
        }
    }

    /// Bytes of output that could not be kept.
    pub(in crate::supervise) fn lost(&self) -> u64 {
        self.lost
    }

    /// When to call [`Log::retry`]: until then no output must be read.
    pub(in crate::supervise) fn waits_until(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(_, until)| *until)
    }

    /// Takes what was written to `stream`: whole lines go to the file, the rest waits for its end.
    pub(in crate::supervise) fn append(&mut self, stream: OutputStream, mut bytes: &[u8]) {
        if self.options.driver == LogDriver::None {
            return;
        }
        let now = Timestamp::now();
        let mut entries = Vec::new();
        let line = &mut self.lines[stream as usize];
        while !bytes.is_empty() {
            let room = LONGEST_LINE - line.len();
            let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let count = end.map_or(room.min(bytes.len()), |end| end + 1);
            line.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if end.is_some() {
                put(&mut entries, line, stream, now);
                line.clear();
            } else if line.len() == LONGEST_LINE {
                // A character of several bytes stays whole.
                let whole = whole_characters(line);
                put(&mut entries, &line[..whole], stream, now);
                line.drain(..whole);
            }
        }
        if line.is_empty() && line.capacity() > 1024 {
            *line = Vec::new();
        }
        self.write(entries);
    }

    /// The streams have ended: what there is of last lines goes to the file.
    pub(in crate::supervise) fn end(&mut self) {
        let now = Timestamp::now();
        let mut entries = Vec::new();
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let line = std::mem::take(&mut self.lines[stream as usize]);
            if !line.is_empty() {
                put(&mut entries, &line, stream, now);
            }
        }
        self.write(entries);
    }

    /// Tries once more to write what the container waits for.
    pub(in crate::supervise) fn retry(&mut self) {
        if let Some((entries, _)) = self.waiting.take() {
            self.write(entries);
        }
    }

    /// Writes whole entries.
    fn write(&mut self, mut entries: Vec<u8>) {
        if entries.is_empty() {
            return;
        }
        if let Some((waiting, _)) = &mut self.waiting {
            return waiting.append(&mut entries);
        }
        let note = (self.lost_now > 0).then(|| lost_note(self.lost_now));
        let mut all = note.unwrap_or_default();
        all.extend_from_slice(&entries);
        match self.write_all(&all) {
            Ok(()) => self.lost_now = 0,
            Err(_) if self.options.when_it_fails == WhenLogFails::Block => {
                self.waiting = Some((entries, Instant::now() + RETRY));
            }
            Err(_) => {
                let count = entries.len() as u64;
                self.lost_now += count;
                self.lost += count;
            }
        }
    }

    fn write_all(&mut self, entries: &[u8]) -> io::Result<()> {
        let limit = self.options.max_size;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        // Looked at each time: somebody else may have cut it short.
        let mut size = file.metadata()?.len();
        let file = if limit > 0 && size > 0 && size + entries.len() as u64 > limit {
            self.file = None;
            rotate(&self.path, self.options.max_files)?;
            size = 0;
            self.file.insert(open(&self.path)?)
        } else {
            file
        };
        let written = file.write_all(entries);
        if written.is_err() && file.set_len(size).is_err() {
            // Half an entry would make a line that nobody can read: a file that is opened anew ends it.
            self.file = None;
        }
        written
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .append(true)
        .read(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let size = file.metadata()?.len();
    if size > 0 && !ends_with_line_feed(&file, size)? {
        // A supervisor was killed in the middle of an entry.
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn ends_with_line_feed(file: &File, size: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let mut last = [0];
    file.read_exact_at(&mut last, size - 1)?;
    Ok(last == *b"\n")
}

/// Puts the file away: `NAME` becomes `NAME.1`, that `NAME.2`, and so on; the oldest goes.
fn rotate(path: &Path, files: u32) -> io::Result<()> {
    if files <= 1 {
        return remove(path);
    }
    remove(&numbered(path, files - 1))?;
    for number in (1..files.saturating_sub(1)).rev() {
        rename(&numbered(path, number), &numbered(path, number + 1))?;
    }
    rename(path, &numbered(path, 1))
}

/// The name of a file that was put away.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn put(entries: &mut Vec<u8>, text: &[u8], stream: OutputStream, time: Timestamp) {
    let entry = Entry {
        log: String::from_utf8_lossy(text).into_owned(),
        stream,
        time,
    };
    // Text and a number: it cannot fail.
    if serde_json::to_writer(&mut *entries, &entry).is_ok() {
        entries.push(b'\n');
    }
}

fn lost_note(count: u64) -> Vec<u8> {
    let text = format!("hoist: {count} bytes of this log could not be written\n");
    let mut note = Vec::new();
    put(
        &mut note,
        text.as_bytes(),
        OutputStream::Stderr,
        Timestamp::now(),
    );
    note
}

/// How many of the bytes are before a UTF-8 character that is cut off at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    const LONGEST: usize = 4;
    let from = bytes.len().saturating_sub(LONGEST);
    match std::str::from_utf8(&bytes[from..]) {
        Err(error) if error.error_len().is_none() && from + error.valid_up_to() > 0 => {
            from + error.valid_up_to()
        }
        // The piece may begin within a character: then look at its last bytes alone.
        Err(_) => {
            let last = (1..LONGEST.min(bytes.len()))
                .find(|count| bytes[bytes.len() - count] & 0xc0 != 0x80);
            match last {
                Some(count) if bytes[bytes.len() - count] >= 0xc0 => {
                    let tail = &bytes[bytes.len() - count..];
                    match std::str::from_utf8(tail) {
                        Err(error) if error.error_len().is_none() => bytes.len() - count,
                        _ => bytes.len(),
                    }
                }
                _ => bytes.len(),
            }
        }
        Ok(_) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::{LogQuery, LogReader};

    fn log(folder: &Path, options: LogOptions) -> Log {
        Log::new(folder.join("x-json.log"), options)
    }

    fn read(folder: &Path) -> Vec<Entry> {
        let mut entries = Vec::new();
        LogReader::new(folder.join("x-json.log"), LogQuery::default())
            .read(&mut |entry| {
                entries.push(entry);
                Ok(())
            })
            .unwrap();
        entries
    }

    fn text(entries: &[Entry]) -> String {
        entries.iter().map(|entry| entry.log.as_str()).collect()
    }

    #[test]
    fn lines_become_entries_and_the_last_one_is_written_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), LogOptions::default());
        log.append(OutputStream::Stdout, b"one\ntw");
        log.append(OutputStream::Stderr, b"error\n");
        log.append(OutputStream::Stdout, b"o\n\nlast \"\\\xff");
        assert_eq!(read(folder.path()).len(), 4);
        log.end();
        let entries = read(folder.path());
        let texts: Vec<&str> = entries.iter().map(|entry| entry.log.as_str()).collect();
        assert_eq!(
            texts,
            ["one\n", "error\n", "two\n", "\n", "last \"\\\u{fffd}"]
        );
        assert_eq!(entries[1].stream, OutputStream::Stderr);
        let raw = std::fs::read_to_string(folder.path().join("x-json.log")).unwrap();
        let first = raw.lines().next().unwrap();
        assert!(
            first.starts_with(r#"{"log":"one\n","stream":"stdout","time":"20"#),
            "{first}"
        );
    }

    #[test]
    fn long_lines_are_written_in_pieces_between_characters() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), LogOptions::default());
        let line = format!("x{}\n", "ä€😀".repeat(10_000));
        for piece in line.as_bytes().chunks(777) {
            log.append(OutputStream::Stdout, piece);
        }
        let entries = read(folder.path());
        assert!(entries.len() > 5, "{}", entries.len());
        assert_eq!(text(&entries), line);
    }

    #[test]
    fn files_are_put_away_at_their_size_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let options = LogOptions {
            max_size: 1000,
            max_files: 3,
            ..LogOptions::default()
        };
        let mut log = log(folder.path(), options);
        for number in 0..100 {
            log.append(OutputStream::Stdout, format!("{number:>100}\n").as_bytes());
        }
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .inspect(|entry| assert!(entry.metadata().unwrap().len() <= 1000))
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x-json.log", "x-json.log.1", "x-json.log.2"]);
        let numbers: Vec<u32> = read(folder.path())
            .iter()
            .map(|entry| entry.log.trim().parse().unwrap())
            .collect();
        let first = numbers[0];
        assert!(first > 70, "{first}");
        assert_eq!(numbers, (first..100).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_when_it_can_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(&folder.path().join("missing"), LogOptions::default());
        log.append(OutputStream::Stdout, b"lost\n");
        assert!(log.lost() > 0);
        assert_eq!(log.waits_until(), None);
        std::fs::create_dir(folder.path().join("missing")).unwrap();
        log.append(OutputStream::Stdout, b"kept\n");
        let entries = read(&folder.path().join("missing"));
        assert!(
            entries[0].log.contains("could not be written"),
            "{entries:?}"
        );
        assert_eq!(entries[1].log, "kept\n");
    }

    #[test]
    fn where_the_container_waits_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let options = LogOptions {
            when_it_fails: WhenLogFails::Block,
            ..LogOptions::default()
        };
        let mut log = log(&folder.path().join("missing"), options);
        log.append(OutputStream::Stdout, b"one\n");
        assert!(log.waits_until().is_some());
        log.append(OutputStream::Stdout, b"two\n");
        log.retry();
        assert!(log.waits_until().is_some());
        std::fs::create_dir(folder.path().join("missing")).unwrap();
        log.retry();
        assert_eq!(log.waits_until(), None);
        assert_eq!(text(&read(&folder.path().join("missing"))), "one\ntwo\n");
        assert_eq!(log.lost(), 0);
    }

    #[test]
    fn a_torn_entry_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x-json.log"), "{\"log\":\"to").unwrap();
        let mut log = log(folder.path(), LogOptions::default());
        log.append(OutputStream::Stdout, b"next\n");
        assert_eq!(text(&read(folder.path())), "next\n");
    }
}

//! Reading a log, while it is being written and put away.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hoist_compute::Timestamp;

use super::{Entry, writer::numbered};

/// No log has more files: a number beyond it is not looked for.
const MOST_FILES: u32 = 10_000;

/// Between two renamings of files that are put away a number is missing for a moment; a file may go meanwhile, too.
const MOST_MISSING: u32 = 2;

/// No entry is longer, in bytes: a piece of 16 KiB is a tenth of it, however much of it is escaped. A longer line is not ours,
/// and is not kept.
const LONGEST: usize = 1 << 20;

/// How often, while a file is read, it is looked whether another was begun: after so many entries, and no sooner than after so long.
const ENTRIES_BEFORE_LOOK: u32 = 64;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Which entries are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// None from before.
    pub since: Option<Timestamp>,
    /// None from after.
    pub until: Option<Timestamp>,
    /// Of those that are there already only so many, the last; all where `None`.
    pub tail: Option<usize>,
}

/// A reader of a log that goes on where it stopped.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    query: LogQuery,
    open: Option<BufReader<File>>,
    /// The files after that, held open: one that is put away and removed before it is its turn can still be read.
    newer: VecDeque<Newer>,
    /// When it was last looked for them.
    looked: Option<Instant>,
    misses_some: bool,
    /// What there is of an entry that was not yet written to its end.
    partial: Vec<u8>,
    /// What comes up to the next line feed belongs to a line that is too long.
    skips: bool,
    began: bool,
}

impl LogReader {
    /// A reader of the log at `path`, which need not be there yet.
    pub fn new(path: PathBuf, query: LogQuery) -> Self {
        Self {
            path,
            query,
            open: None,
            newer: VecDeque::new(),
            looked: None,
            misses_some: false,
            partial: Vec::new(),
            skips: false,
            began: false,
        }
    }

    /// Gives every wanted entry that was written since the last call, in order. `false` where nothing later is wanted.
    ///
    /// Lines that are no entries are passed over.
    ///
    /// # Errors
    /// Of reading, and of `take`.
    pub fn read(&mut self, take: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<bool> {
        let tail = match self.query.tail {
            Some(tail) if !self.began => Some(tail),
            _ => None,
        };
        self.began = true;
        let Some(tail) = tail else {
            return self.read_each(take);
        };
        let mut last = VecDeque::new();
        let more = self.read_each(&mut |entry| {
            last.push_back(entry);
            if last.len() > tail {
                last.pop_front();
            }
            Ok(())
        })?;
        last.into_iter().try_for_each(take)?;
        Ok(more)
    }

    /// Whether, since it was last asked, files were removed before they could be opened, so that entries may be missing.
    pub fn misses_some(&mut self) -> bool {
        std::mem::take(&mut self.misses_some)
    }

    fn read_each(&mut self, take: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<bool> {
        loop {
            if self.open.is_none() {
                let Some(file) = oldest(&self.path)? else {
                    return Ok(true);
                };
                self.open = Some(BufReader::new(file));
            }
            // Looked for before the last read, so that what was written before the file was put away is read.
            self.look_for_newer()?;
            if !self.read_file(take)? {
                return Ok(false);
            }
            let Some(next) = self.newer.pop_front() else {
                return Ok(true);
            };
            self.misses_some |= next.is_behind_a_gap;
            self.open = Some(BufReader::new(next.file));
            self.partial.clear();
            self.skips = false;
        }
    }

    /// Opens the files that have come to be after those that are known.
    fn look_for_newer(&mut self) -> io::Result<()> {
        self.looked = Some(Instant::now());
        let last = match (&self.open, self.newer.back()) {
            (_, Some(newer)) => &newer.file,
            (Some(open), None) => open.get_ref(),
            (None, None) => return Ok(()),
        };
        let After { files, is_whole } = files_after(&self.path, last)?;
        let mut is_behind_a_gap = !is_whole;
        for file in files {
            self.newer.push_back(Newer {
                file,
                is_behind_a_gap,
            });
            is_behind_a_gap = false;
        }
        Ok(())
    }

    fn read_file(&mut self, take: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<bool> {
        let mut left = ENTRIES_BEFORE_LOOK;
        loop {
            left -= 1;
            if left == 0 {
                left = ENTRIES_BEFORE_LOOK;
                // Whoever takes the entries may be slower than the container writes.
                if self.looked.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL) {
                    self.look_for_newer()?;
                }
            }
            let Some(open) = &mut self.open else {
                return Ok(true);
            };
            let room = LONGEST.saturating_sub(self.partial.len()) as u64;
            if open.take(room).read_until(b'\n', &mut self.partial)? == 0 {
                return Ok(true);
            }
            if self.partial.last() != Some(&b'\n') {
                if self.partial.len() >= LONGEST {
                    self.partial.clear();
                    self.skips = true;
                }
                continue;
            }
            let entry = serde_json::from_slice::<Entry>(&self.partial);
            self.partial.clear();
            if std::mem::take(&mut self.skips) {
                continue;
            }
            let Ok(entry) = entry else { continue };
            if self.query.until.is_some_and(|until| entry.time > until) {
                return Ok(false);
            }
            if self.query.since.is_none_or(|since| entry.time >= since) {
                take(entry)?;
            }
        }
    }
}

/// A file that is read later.
#[derive(Debug)]
struct Newer {
    file: File,
    /// The one before it may be gone.
    is_behind_a_gap: bool,
}

/// What comes after a file.
struct After {
    /// The oldest first.
    files: Vec<File>,
    /// The first of them is the next one.
    is_whole: bool,
}

/// The files after `last`, wherever that has been put meanwhile.
fn files_after(path: &Path, last: &File) -> io::Result<After> {
    let last = last.metadata()?.ino();
    let (mut files, mut before, mut missing) = (Vec::new(), None, 0);
    let mut is_whole = false;
    for number in 0..MOST_FILES {
        let Some(file) = optional(path, number)? else {
            missing += 1;
            if missing > MOST_MISSING {
                break;
            }
            continue;
        };
        let own = file.metadata()?.ino();
        if own == last {
            is_whole = true;
            break;
        }
        // One that is put away at this moment is met by both of its names.
        if before.replace(own) != Some(own) {
            files.push(file);
        }
    }
    files.reverse();
    Ok(After { files, is_whole })
}

fn oldest(path: &Path) -> io::Result<Option<File>> {
    let (mut found, mut missing) = (None, 0);
    for number in 0..MOST_FILES {
        match optional(path, number)? {
            Some(file) => found = Some(file),
            None => missing += 1,
        }
        if missing > MOST_MISSING {
            break;
        }
    }
    Ok(found)
}

fn optional(path: &Path, number: u32) -> io::Result<Option<File>> {
    let opened = match number {
        0 => File::open(path),
        number => File::open(numbered(path, number)),
    };
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::{LogOptions, OutputStream, log::Log};

    fn collect(reader: &mut LogReader) -> (Vec<String>, bool) {
        let mut texts = Vec::new();
        let more = reader
            .read(&mut |entry| {
                texts.push(entry.log);
                Ok(())
            })
            .unwrap();
        (texts, more)
    }

    #[test]
    fn a_reader_that_follows_misses_nothing_over_many_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let options = LogOptions {
            max_size: 2000,
            max_files: 4,
            ..LogOptions::default()
        };
        let mut log = Log::new(path.clone(), options);
        let mut reader = LogReader::new(path, LogQuery::default());
        let mut read = Vec::new();
        for number in 0..1000 {
            log.append(OutputStream::Stdout, format!("{number}\n").as_bytes());
            if number % 37 == 0 {
                read.extend(collect(&mut reader).0);
            }
        }
        read.extend(collect(&mut reader).0);
        let expected: Vec<String> = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_reader_that_is_overtaken_reads_what_it_holds_and_says_that_some_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let options = LogOptions {
            max_size: 2000,
            max_files: 2,
            ..LogOptions::default()
        };
        let mut log = Log::new(path.clone(), options);
        let mut append = |range: std::ops::Range<u32>| {
            for number in range {
                log.append(OutputStream::Stdout, format!("{number}\n").as_bytes());
            }
        };
        let mut reader = LogReader::new(path, LogQuery::default());
        append(0..5);
        assert_eq!(collect(&mut reader).0.len(), 5);
        // Its file is put away, and then removed: it has it open.
        append(5..1000);
        let read = collect(&mut reader).0;
        assert_eq!(read[..3], ["5\n", "6\n", "7\n"]);
        assert_eq!(read.last().unwrap(), "999\n");
        assert!(read.len() < 900, "{}", read.len());
        assert!(reader.misses_some());
        assert!(!reader.misses_some(), "it is told once");
        append(1000..1001);
        assert_eq!(collect(&mut reader).0, ["1000\n"]);
        assert!(!reader.misses_some());
    }

    #[test]
    fn one_who_takes_entries_slowly_misses_nothing_that_was_there_when_it_was_looked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let options = LogOptions {
            max_size: 20_000,
            max_files: 2,
            ..LogOptions::default()
        };
        let mut log = Log::new(path.clone(), options);
        let mut next = 0;
        let mut append = |count: u32| {
            for _ in 0..count {
                log.append(OutputStream::Stdout, format!("{next}\n").as_bytes());
                next += 1;
            }
            next
        };
        append(200);
        let mut reader = LogReader::new(path, LogQuery::default());
        let mut read = Vec::new();
        let mut rounds = 0;
        reader
            .read(&mut |entry| {
                read.push(entry.log);
                // As much is written as is read, while each file that is read is being put away.
                if read.len() % 50 == 0 && rounds < 40 {
                    rounds += 1;
                    std::thread::sleep(LOOK_INTERVAL);
                    append(50);
                }
                Ok(())
            })
            .unwrap();
        read.extend(collect(&mut reader).0);
        let expected: Vec<String> = (0..append(0)).map(|number| format!("{number}\n")).collect();
        assert!(expected.len() > 2000);
        assert_eq!(read, expected);
        assert!(!reader.misses_some());
    }

    #[test]
    fn the_last_entries_and_those_of_a_time_can_be_had_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut text = String::new();
        for second in 0..10 {
            text += &format!(
                "{{\"log\":\"{second}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:0{second}.5Z\"}}\n"
            );
        }
        std::fs::write(&path, text).unwrap();
        let second = |second: u64| Some(Timestamp((1_767_225_600 + second) * 1_000_000_000));
        let read = |query| collect(&mut LogReader::new(path.clone(), query));
        let all = LogQuery::default();
        assert_eq!(
            read(LogQuery {
                tail: Some(2),
                ..all
            })
            .0,
            ["8\n", "9\n"]
        );
        assert!(
            read(LogQuery {
                tail: Some(0),
                ..all
            })
            .0
            .is_empty()
        );
        assert_eq!(
            read(LogQuery {
                since: second(8),
                ..all
            }),
            (vec!["8\n".to_owned(), "9\n".to_owned()], true)
        );
        assert_eq!(
            read(LogQuery {
                until: second(1),
                ..all
            }),
            (vec!["0\n".to_owned()], false)
        );
        assert_eq!(
            read(LogQuery {
                since: second(3),
                until: second(5),
                tail: Some(1)
            })
            .0,
            ["4\n"]
        );
    }

    #[test]
    fn a_line_that_is_too_long_for_an_entry_is_passed_over_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let entry = |text: &str| {
            format!(
                "{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}}\n"
            )
        };
        let text = entry("before") + &entry(&"x".repeat(3 << 20)) + &entry("behind");
        std::fs::write(&path, text + &"y".repeat(5 << 20)).unwrap();
        let mut reader = LogReader::new(path, LogQuery::default());
        assert_eq!(collect(&mut reader).0, ["before", "behind"]);
        assert!(reader.partial.capacity() <= 2 * LONGEST);
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_read_when_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut reader = LogReader::new(path.clone(), LogQuery::default());
        assert!(collect(&mut reader).0.is_empty());
        let mut log = Log::new(path, LogOptions::default());
        log.append(OutputStream::Stdout, b"x\n");
        assert_eq!(collect(&mut reader).0, ["x\n"]);
    }
}

//! Reading a log, while it is being written and put away.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
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

    fn read_each(&mut self, take: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<bool> {
        loop {
            if self.open.is_none() {
                let Some(file) = oldest(&self.path)? else {
                    return Ok(true);
                };
                self.open = Some(BufReader::new(file));
            }
            // Looked for before the last read, so that what was written before the file was put away is read.
            let next = match &self.open {
                Some(open) => next_file(&self.path, open.get_ref())?,
                None => Next::Same,
            };
            if !self.read_file(take)? {
                return Ok(false);
            }
            match next {
                Next::Same => return Ok(true),
                Next::File(file) => {
                    self.open = Some(BufReader::new(file));
                    self.partial.clear();
                    self.skips = false;
                }
            }
        }
    }

    fn read_file(&mut self, take: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<bool> {
        let Some(open) = &mut self.open else {
            return Ok(true);
        };
        loop {
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

/// What comes after a file.
enum Next {
    /// It is the one being written.
    Same,
    /// This one.
    File(File),
}

/// The file after `open`, wherever that has been put meanwhile.
fn next_file(path: &Path, open: &File) -> io::Result<Next> {
    let own = open.metadata()?.ino();
    let (mut newer, mut missing) = (None, 0);
    for number in 0..MOST_FILES {
        let Some(file) = optional(path, number)? else {
            missing += 1;
            if missing > MOST_MISSING {
                break;
            }
            continue;
        };
        if file.metadata()?.ino() == own {
            return Ok(newer.map_or(Next::Same, Next::File));
        }
        newer = Some(file);
    }
    // It is gone, with all that were older.
    Ok(newer.map_or(Next::Same, Next::File))
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

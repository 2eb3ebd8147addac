//! `hoist cp`: docker's rules of what becomes of which name.

use std::ffi::OsString;
use std::io::{self, IsTerminal, PipeReader, Read, Write};
use std::path::{Path, PathBuf};

use hoist::{Engine, LocalFiles};
use hoist_compute::{Error, ErrorKind, FileKind, FileStat, Files, OsCode, Ownership, Phase};

use crate::args::Cp;
use crate::failure::Failure;

/// How many symbolic links are followed (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
enum End<'a> {
    /// A path of this machine.
    Here(&'a str),
    /// A container, and a path in it.
    In(&'a str, &'a str),
    /// An archive at standard input or output.
    Archive,
}

impl<'a> End<'a> {
    /// Docker's rule: what begins with `/` or `.` is a path here, however many colons it has.
    fn read(text: &'a str) -> Self {
        match text.split_once(':') {
            _ if text == "-" => Self::Archive,
            Some((container, path)) if !container.is_empty() && !text.starts_with(['/', '.']) => {
                Self::In(container, path)
            }
            _ => Self::Here(text),
        }
    }
}

/// Copies files between a container and this machine.
pub(crate) fn run(cp: &Cp, engine: &Engine) -> Result<u8, Failure> {
    let open = |container: &str| -> Result<_, Failure> {
        Ok(engine.container(&engine.resolve(container)?)?)
    };
    let ownership = match cp.archive {
        true => Ownership::Archive,
        false => Ownership::Root,
    };
    let copied = match (End::read(&cp.source), End::read(&cp.destination)) {
        (End::In(..), End::In(..)) => {
            return Err(Failure::message(
                "copying between containers is not supported",
            ));
        }
        (End::In(container, path), End::Archive) => {
            let container = open(container)?;
            let files = container.system().files()?;
            let mut out = io::BufWriter::new(io::stdout().lock());
            let (source, name) = Source::find(&*files, in_container(path), cp.follow_link)?;
            files.pack(&source.path, source.follow, &name, &mut out)?;
            out.flush()
                .map_err(|error| Failure::message(format!("write to standard output: {error}")))?;
            return Ok(0);
        }
        (End::Archive, End::In(container, path)) => {
            let container = open(container)?;
            let files = container.system().files()?;
            let directory = in_container(path);
            match files.stat(&directory, true)? {
                Some(found) if found.kind == FileKind::Directory => {}
                _ => {
                    return Err(Failure::message(format!(
                        "destination \"{}\" must be a directory",
                        cp.destination
                    )));
                }
            }
            files.unpack(&directory, Ownership::Archive, &mut io::stdin().lock())?;
            return Ok(0);
        }
        (End::In(container, path), End::Here(here)) => {
            let container = open(container)?;
            let files = container.system().files()?;
            copy(
                &*files,
                in_container(path),
                &LocalFiles,
                here.into(),
                cp.follow_link,
                ownership,
            )?
        }
        (End::Here(here), End::In(container, path)) => {
            let container = open(container)?;
            let files = container.system().files()?;
            copy(
                &LocalFiles,
                here.into(),
                &*files,
                in_container(path),
                cp.follow_link,
                ownership,
            )?
        }
        _ => {
            return Err(Failure::message(
                "must specify at least one container: CONTAINER:PATH",
            ));
        }
    };
    if !cp.quiet && io::stderr().is_terminal() {
        let text = format!("Successfully copied {copied}B to {}\n", cp.destination);
        // There is nowhere else to tell it.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
    Ok(0)
}

/// A path in a container begins at its root, whatever its working directory is.
fn in_container(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

/// What is to be copied.
struct Source {
    path: PathBuf,
    /// A link that it is, is followed.
    follow: bool,
    stat: FileStat,
}

impl Source {
    /// Looks at it; beside it, the name that it has in an archive, which is empty for the content of a directory.
    fn find(files: &dyn Files, path: PathBuf, follow: bool) -> Result<(Self, PathBuf), Failure> {
        let text = path.as_os_str().as_encoded_bytes();
        let asks_for_content = text.ends_with(b"/.") || text == b".";
        let asks_for_directory = asks_for_content || text.ends_with(b"/");
        let follow = follow || asks_for_directory;
        let stat = files.stat(&path, follow)?.ok_or_else(|| {
            Failure::message(format!("could not find the file {}", path.display()))
        })?;
        if asks_for_directory && stat.kind != FileKind::Directory {
            return Err(Failure::message(format!(
                "{} is not a directory",
                path.display()
            )));
        }
        let name = path.file_name().filter(|_| !asks_for_content);
        let name = name.map(PathBuf::from).unwrap_or_default();
        Ok((Self { path, follow, stat }, name))
    }
}

/// Copies what is at one path to another; the result is how many bytes that took.
fn copy(
    from: &dyn Files,
    source: PathBuf,
    to: &dyn Files,
    destination: PathBuf,
    follow: bool,
    owner: Ownership,
) -> Result<u64, Failure> {
    let (source, name) = Source::find(from, source, follow)?;
    let (directory, name) = place(to, destination, &source, name)?;
    let (reader, mut writer) =
        io::pipe().map_err(|error| Failure::message(format!("make a pipe: {error}")))?;
    let mut counted = Counted { reader, count: 0 };
    let (packed, unpacked) = std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut out = io::BufWriter::with_capacity(1 << 16, &mut writer);
            from.pack(&source.path, source.follow, &name, &mut out)?;
            out.flush().map_err(|error| {
                let made = Error::new(ErrorKind::System, Phase::Operate, "write to a pipe");
                Failure::from(match error.raw_os_error() {
                    Some(errno) => made.code(OsCode::Errno(errno)),
                    None => made.because(error),
                })
            })
        });
        let unpacked = to.unpack(&directory, owner, &mut counted);
        let count = counted.count;
        // A packer that has nobody to write to ends.
        drop(counted);
        let packed = packing
            .join()
            .unwrap_or_else(|_| Err(Failure::message("pack the files: the thread panicked")));
        (packed, unpacked.map(|()| count))
    });
    match (packed, unpacked) {
        // An archive that breaks off is told by whoever broke it off.
        (Err(failure), Err(_)) if !is_broken_pipe(&failure) => Err(failure),
        (_, Err(error)) => Err(error.into()),
        (Err(failure), Ok(_)) => Err(failure),
        (Ok(()), Ok(count)) => Ok(count),
    }
}

fn is_broken_pipe(failure: &Failure) -> bool {
    match failure {
        Failure::Error(error) => {
            error.os_code() == Some(OsCode::Errno(rustix::io::Errno::PIPE.raw_os_error()))
        }
        _ => false,
    }
}

/// The directory that a copy goes to, and the name that it has there.
fn place(
    to: &dyn Files,
    mut destination: PathBuf,
    source: &Source,
    name: PathBuf,
) -> Result<(PathBuf, PathBuf), Failure> {
    let is_directory = source.stat.kind == FileKind::Directory;
    let asks_for_directory = {
        let text = destination.as_os_str().as_encoded_bytes();
        text.ends_with(b"/") || text.ends_with(b"/.") || text == b"."
    };
    match to.stat(&destination, true)? {
        Some(found) if found.kind == FileKind::Directory => return Ok((destination, name)),
        Some(_) if is_directory => {
            return Err(Failure::message("cannot copy a directory to a file"));
        }
        Some(_) if asks_for_directory => {
            return Err(Failure::message(format!(
                "{} is not a directory",
                destination.display()
            )));
        }
        // What a link leads to is replaced, not the link.
        Some(_) => destination = behind_links(to, destination)?,
        None if asks_for_directory && !is_directory => {
            return Err(Failure::message(format!(
                "the destination directory {} must exist",
                destination.display()
            )));
        }
        None => destination = behind_links(to, destination)?,
    }
    let name = destination
        .file_name()
        .map(OsString::from)
        .ok_or_else(|| Failure::message(format!("{} names no file", destination.display())))?;
    let directory = match destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    match to.stat(&directory, true)? {
        Some(found) if found.kind == FileKind::Directory => Ok((directory, name.into())),
        _ => Err(Failure::message(format!(
            "no such directory: {}",
            directory.display()
        ))),
    }
}

fn behind_links(files: &dyn Files, mut path: PathBuf) -> Result<PathBuf, Failure> {
    for _ in 0..MOST_LINKS {
        let found = files.stat(&path, false)?;
        let Some(target) = found.and_then(|found| found.target) else {
            return Ok(path);
        };
        path = match path.parent() {
            Some(parent) => parent.join(target),
            None => target,
        };
    }
    Err(Failure::message(format!(
        "{} leads through too many symbolic links",
        path.display()
    )))
}

/// Counts what is read.
struct Counted {
    reader: PipeReader,
    count: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_copy_are_told_apart_as_docker_does() {
        for (text, end) in [
            ("web:/etc", End::In("web", "/etc")),
            ("web:etc/x:y", End::In("web", "etc/x:y")),
            ("web:", End::In("web", "")),
            ("/a:b", End::Here("/a:b")),
            ("./a:b", End::Here("./a:b")),
            (":b", End::Here(":b")),
            ("a", End::Here("a")),
            ("-", End::Archive),
        ] {
            assert_eq!(End::read(text), end, "{text}");
        }
    }
}

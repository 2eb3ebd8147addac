//! The standard streams of a checkpointed process: which they were, so that others can take their place.
//!
//! They are kept in the image's folder as runc keeps them: `descriptors.json`, an array of what `/proc/PID/fd` shows. A device
//! of a mount that is not the container's is there by criu's name for it, `file[MOUNT:INODE]`; with [`NULL`] behind it where it
//! is that, which needs nobody to take its place. The container's console is `tty[DEVICE:FILE-SYSTEM]`.

use std::fs;
use std::io;
use std::path::Path;

use hoist_compute::{Error, ErrorKind, Phase, Result};

use rustix::fs::{FileType, major, minor};

use super::console;
use super::mounts::MountLine;
use crate::service::system;

const NAME: &str = "descriptors.json";
const NULL: &str = " /dev/null";
/// Three short texts.
const LARGEST: u64 = 64 << 10;

/// What the standard streams of the process are.
pub(super) fn look(pid: u32, mounts: &[MountLine], has_console: bool) -> Result<Vec<String>> {
    let of = |number| -> io::Result<String> {
        let path = format!("/proc/{pid}/fd/{number}");
        let link = match fs::read_link(&path) {
            // A stream that the process has closed is none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            link => link?.display().to_string(),
        };
        if !link.starts_with('/') {
            return Ok(link);
        }
        if has_console && let Some(terminal) = console::name(&rustix::fs::stat(&path)?) {
            return Ok(terminal);
        }
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"))?;
        let mount = mount_of(&info).ok_or(io::ErrorKind::InvalidData)?;
        if mounts.iter().any(|line| line.id == mount) {
            return Ok(link);
        }
        let found = rustix::fs::stat(&path)?;
        if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile {
            // criu compares its size with that of what takes its place.
            return Err(io::Error::other(format!(
                "{link} is a file of the host's, which criu restores as nothing else: give the container a pipe, or /dev/null"
            )));
        }
        let inode = found.st_ino;
        let is_null = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
            && (major(found.st_rdev), minor(found.st_rdev)) == (1, 3);
        let null = if is_null { NULL } else { "" };
        Ok(format!("file[{mount:x}:{inode:x}]{null}"))
    };
    (0..3)
        .map(|number| {
            of(number)
                .map_err(|error| system(format!("look at stream {number} of the process"), error))
        })
        .collect()
}

/// The mount that an open file is of (proc_pid_fdinfo(5)).
pub(super) fn mount_of(info: &str) -> Option<u64> {
    info.lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

/// Whether a stream's name is that of a terminal.
pub(super) fn is_console(name: &str) -> bool {
    name.starts_with("tty[")
}

/// Those that criu must be told of.
pub(super) fn files(streams: &[String]) -> Vec<String> {
    let files = streams
        .iter()
        .filter(|stream| stream.starts_with("file[") || is_console(stream));
    let mut files: Vec<String> = files
        .map(|stream| stream.trim_end_matches(NULL).to_owned())
        .collect();
    files.dedup();
    files
}

pub(super) fn write(image: &Path, streams: &[String]) -> Result<()> {
    let path = image.join(NAME);
    serde_json::to_vec(streams)
        .map_err(io::Error::from)
        .and_then(|text| fs::write(&path, text))
        .map_err(|error| system(format!("write {}", path.display()), error))
}

/// Takes it back after a failure; with the folder, and what criu has written until then, where that was made for this.
pub(super) fn forget(image: &Path, is_new: bool) {
    // What is not there need not be removed.
    let _ = match is_new {
        true => fs::remove_dir_all(image),
        false => fs::remove_file(image.join(NAME)),
    };
}

/// A descriptor of the image that another takes the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// By criu's name for it.
    pub(crate) name: String,
    /// The number of the caller's stream; none for the null device.
    pub(crate) stream: Option<usize>,
}

/// Which descriptors of the image are to be replaced.
pub(super) fn read(image: &Path) -> Result<Vec<Replaced>> {
    let path = image.join(NAME);
    let read = || -> io::Result<Vec<u8>> {
        match fs::metadata(&path)?.len() > LARGEST {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => fs::read(&path),
        }
    };
    let text = read().map_err(|error| system(format!("read {}", path.display()), error))?;
    parse(&text).map_err(|reason| {
        Error::new(
            ErrorKind::InvalidSpec,
            Phase::Start,
            format!("read {}: {reason}", path.display()),
        )
    })
}

/// The streams that can be replaced: pipes, files that are not the container's, and its console.
pub(crate) fn parse(text: &[u8]) -> std::result::Result<Vec<Replaced>, String> {
    let names: Vec<String> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if names.len() > 3 {
        return Err(format!("it tells of {} streams", names.len()));
    }
    let mut found: Vec<Replaced> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let (name, stream) = match name.strip_suffix(NULL) {
            Some(name) if name.starts_with("file[") => (name, None),
            _ => (name.as_str(), Some(number)),
        };
        let is_new = !found.iter().any(|known| known.name == name);
        if is_replaced(name) && is_new {
            let name = name.to_owned();
            found.push(Replaced { name, stream });
        }
    }
    Ok(found)
}

fn is_replaced(name: &str) -> bool {
    let number =
        |text: &str, is: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|byte| is(&byte));
    if let Some(inode) = name
        .strip_prefix("pipe:[")
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return number(inode, u8::is_ascii_digit);
    }
    let file = ["file[", "tty["]
        .iter()
        .find_map(|kind| name.strip_prefix(kind))
        .and_then(|rest| rest.strip_suffix(']'));
    file.and_then(|file| file.split_once(':'))
        .is_some_and(|(mount, inode)| {
            number(mount, u8::is_ascii_hexdigit) && number(inode, u8::is_ascii_hexdigit)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_and_files_of_others_are_replaced_and_nothing_else() {
        let replaced = |name: &str, stream| Replaced {
            name: name.to_owned(),
            stream,
        };
        assert_eq!(
            parse(br#"["/dev/null", "pipe:[12]", "file[1f:2a]"]"#).unwrap(),
            [
                replaced("pipe:[12]", Some(1)),
                replaced("file[1f:2a]", Some(2))
            ]
        );
        assert_eq!(
            parse(br#"["tty[8800:1f]", "tty[8800:1f]", "tty[8800:1f]"]"#).unwrap(),
            [replaced("tty[8800:1f]", Some(0))]
        );
        assert_eq!(
            parse(br#"["file[1f:2a] /dev/null", "pipe:[12] /dev/null"]"#).unwrap(),
            [replaced("file[1f:2a]", None)]
        );
        // One file that is both streams is told once.
        assert_eq!(
            parse(br#"["", "file[1:2]", "file[1:2]"]"#).unwrap().len(),
            1
        );
        for name in [
            "pipe:[]",
            "pipe:[1] --root /",
            "file[1:]",
            "file[x:1]",
            "socket:[1]",
            "../x",
        ] {
            let text = serde_json::to_vec(&[name]).unwrap();
            assert_eq!(parse(&text).unwrap(), [], "{name}");
        }
        assert!(parse(b"{}").is_err());
        assert!(parse(br#"["","","",""]"#).is_err());
    }

    #[test]
    fn the_mount_of_an_open_file_is_read() {
        assert_eq!(
            mount_of("pos:\t0\nflags:\t02\nmnt_id:\t25\nino:\t4\n"),
            Some(25)
        );
        assert_eq!(mount_of("pos:\t0\n"), None);
    }

    #[test]
    fn a_device_of_another_mount_namespace_is_told_by_its_mount_and_inode_and_a_file_is_refused() {
        let table = fs::read("/proc/self/mountinfo").unwrap();
        let here = super::super::mounts::parse(&table);
        let file = tempfile::tempfile().unwrap();
        let started = |output: fs::File| {
            let mut command = std::process::Command::new("sleep");
            command
                .arg("60")
                .stdin(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped());
            command.stdout(output).spawn().unwrap()
        };
        let mut child = started(fs::File::create("/dev/null").unwrap());
        let inside = look(child.id(), &here, false);
        let outside = look(child.id(), &[], false);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(inside.unwrap()[..2], ["/dev/null", "/dev/null"]);
        let outside = outside.unwrap();
        assert!(
            outside[0].starts_with("file[") && outside[0].ends_with("] /dev/null"),
            "{outside:?}"
        );
        assert_eq!(outside[0], outside[1]);
        let external = outside[0].trim_end_matches(" /dev/null");
        assert_eq!(files(&outside), [external]);
        assert!(outside[2].starts_with("pipe:["), "{outside:?}");

        let mut child = started(file);
        let refused = look(child.id(), &[], false);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(refused.unwrap_err().to_string().contains("stream 1"));
    }
}

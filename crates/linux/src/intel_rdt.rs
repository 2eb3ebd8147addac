//! Groups of the resctrl file system (Documentation/filesystems/resctrl.rst): found, made, limited, joined, removed.
//!
//! All of it is plain files below one directory. What the kernel does beyond that was never seen by its authors, who had no
//! such hardware: the tests have a directory that does as its documentation says.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hoist_compute::{Error, ErrorKind, OsCode, Phase, Result};
use serde::{Deserialize, Serialize};

use crate::plan::RdtGroup;

const MON_GROUPS: &str = "mon_groups";
const SCHEMATA: &str = "schemata";
const TASKS: &str = "tasks";

/// What was made of it for a container; kept in its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RdtRecord {
    /// The group's directory.
    pub(crate) group: PathBuf,
    /// It is removed with the container.
    pub(crate) is_made: bool,
    /// The monitoring group's, which is removed in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) monitoring: Option<PathBuf>,
}

/// Where the resctrl file system is mounted, by the mount table of this process.
pub(crate) fn mount_point() -> Result<PathBuf> {
    let table = fs::read("/proc/self/mountinfo")
        .map_err(|error| crate::service::system("read the mount table", error))?;
    let mut lines = crate::checkpoint::parse_mounts(&table).into_iter();
    let found = lines.find(|line| line.file_system == "resctrl");
    found.map(|line| PathBuf::from(line.point)).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            Phase::Create,
            "Intel RDT (linux.intelRdt): no resctrl file system is mounted",
        )
        .remedy(
            "where the processor and the kernel have it: mount -t resctrl resctrl /sys/fs/resctrl",
        )
    })
}

/// What will be there, before it is made.
pub(crate) fn intended(top: &Path, group: &RdtGroup) -> RdtRecord {
    let directory = directory(top, group);
    RdtRecord {
        // A group of another name stays, where it was there: others may be in it.
        is_made: !group.must_exist && !directory.exists(),
        monitoring: group
            .monitoring
            .as_ref()
            .map(|name| directory.join(MON_GROUPS).join(name)),
        group: directory,
    }
}

fn directory(top: &Path, group: &RdtGroup) -> PathBuf {
    match group.name.as_str() {
        "" => top.to_owned(),
        name => top.join(name),
    }
}

/// Makes the group and limits it, or finds it as the spec has it. What fails takes back what it has made.
pub(crate) fn make(record: &RdtRecord, group: &RdtGroup) -> Result<()> {
    let outcome = make_group(record, group).and_then(|()| match &record.monitoring {
        Some(monitoring) => make_directory(monitoring, "monitoring group"),
        None => Ok(()),
    });
    outcome.inspect_err(|error| {
        // A group that somebody else has made meanwhile is his.
        if !matches!(error.os_code(), Some(OsCode::Errno(libc::EEXIST))) {
            // What cannot be removed now is in the record.
            let _ = remove(record);
        }
    })
}

fn make_group(record: &RdtRecord, group: &RdtGroup) -> Result<()> {
    let path = &record.group;
    if record.is_made {
        make_directory(path, "group")?;
        return write_schemata(path, &group.schemata);
    }
    if !path.is_dir() {
        return Err(refused(
            path,
            "there is no such group, and no limits for one to be made with",
        ));
    }
    if group.is_own {
        return Err(refused(
            path,
            "there is a group of the container's id already",
        ));
    }
    let text = read(path, SCHEMATA)?;
    match group.schemata.iter().find(|line| !has_line(&text, line)) {
        Some(line) => Err(refused(path, &format!("its schemata are not {line:?}"))),
        None => Ok(()),
    }
}

fn make_directory(path: &Path, what: &str) -> Result<()> {
    fs::create_dir(path).map_err(|error| {
        let made = failed("make", path, error);
        match made.os_code() {
            Some(OsCode::Errno(libc::ENOSPC)) => made.remedy(format!(
                "the processor has no more of them: remove a {what} that is no longer needed"
            )),
            _ => made,
        }
    })
}

/// Each line in a call of its own: so the kernel says which it does not take.
fn write_schemata(group: &Path, lines: &[String]) -> Result<()> {
    for line in lines {
        write(group, SCHEMATA, line).map_err(|error| {
            let status = group.parent().map(|top| top.join("info/last_cmd_status"));
            let said = status
                .and_then(|path| fs::read_to_string(path).ok())
                .unwrap_or_default();
            match said.trim() {
                "" | "ok" => error,
                said => error.because(said.to_owned()),
            }
        })?;
    }
    let text = read(group, SCHEMATA)?;
    match lines.iter().find(|line| !has_line(&text, line)) {
        Some(line) => Err(refused(group, &format!("the kernel has not kept {line:?}"))),
        None => Ok(()),
    }
}

/// Puts a process into the group, and into the one that it is monitored by.
pub(crate) fn join(record: &RdtRecord, pid: u32) -> Result<()> {
    let pid = pid.to_string();
    write(&record.group, TASKS, &pid)?;
    match &record.monitoring {
        Some(monitoring) => write(monitoring, TASKS, &pid),
        None => Ok(()),
    }
}

/// Removes what was made for the container. What is gone is success. A group that others are in, too, stays: they would lose
/// their limits with it.
pub(crate) fn remove(record: &RdtRecord) -> Result<()> {
    let own = record.is_made.then_some(&record.group);
    for path in record.monitoring.iter().chain(own) {
        let tasks = fs::read_to_string(path.join(TASKS)).unwrap_or_default();
        if tasks.lines().any(is_alive) {
            continue;
        }
        match fs::remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a thread is more than something to be reaped.
fn is_alive(thread: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", thread.trim()));
    let has_ended = |line: &str| line.starts_with("State:\tZ") || line.starts_with("State:\tX");
    status.is_ok_and(|status| !status.lines().any(has_ended))
}

/// Whether a line of `schemata` has the same resource with these values; it may have others, too. The kernel puts blanks before
/// a resource and zeros before a value.
fn has_line(text: &str, line: &str) -> bool {
    let parts = |line: &str| -> Option<(String, Vec<(String, String)>)> {
        let (resource, values) = line.split_once(':')?;
        let values = values.split(';').map(|value| {
            let (id, value) = value.split_once('=').unwrap_or((value, ""));
            let value = value.trim().trim_start_matches('0').to_ascii_lowercase();
            (id.trim().to_owned(), value)
        });
        Some((resource.trim().to_owned(), values.collect()))
    };
    let Some((resource, asked)) = parts(line) else {
        return false;
    };
    text.lines()
        .filter_map(parts)
        .any(|(name, values)| name == resource && asked.iter().all(|value| values.contains(value)))
}

fn write(group: &Path, file: &str, text: &str) -> Result<()> {
    let path = group.join(file);
    OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()))
        .map_err(|error| failed(&format!("write {text:?} to"), &path, error))
}

fn read(group: &Path, file: &str) -> Result<String> {
    let path = group.join(file);
    fs::read_to_string(&path).map_err(|error| failed("read", &path, error))
}

fn refused(group: &Path, reason: &str) -> Error {
    Error::new(
        ErrorKind::InvalidSpec,
        Phase::Create,
        format!(
            "Intel RDT group {} (linux.intelRdt): {reason}",
            group.display()
        ),
    )
    .about(group.display().to_string())
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let made = Error::new(
        ErrorKind::System,
        Phase::Create,
        format!("Intel RDT (linux.intelRdt): {what} {}", path.display()),
    )
    .about(path.display().to_string());
    match error.raw_os_error() {
        Some(errno) => made.code(OsCode::Errno(errno)),
        None => made.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with a group that is there, as the kernel would have it.
    fn resctrl() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        for group in ["", "gold"] {
            let group = top.path().join(group);
            fs::create_dir_all(group.join(MON_GROUPS)).unwrap();
            fs::write(group.join(TASKS), "").unwrap();
            fs::write(
                group.join(SCHEMATA),
                "    L3:0=007f;1=001f\n    MB:0= 20;1= 70\n",
            )
            .unwrap();
        }
        top
    }

    fn group(name: &str, schemata: &[&str]) -> RdtGroup {
        RdtGroup {
            name: name.to_owned(),
            must_exist: schemata.is_empty(),
            is_own: false,
            schemata: schemata.iter().map(|line| (*line).to_owned()).collect(),
            monitoring: None,
        }
    }

    #[test]
    fn a_group_that_exists_must_have_the_schemata_of_the_spec_and_is_never_written_to_or_removed() {
        let top = resctrl();
        let before = fs::read_to_string(top.path().join("gold/schemata")).unwrap();
        for lines in [&[][..], &["L3:0=7f"], &["L3:1=1f;0=7f", "MB:1=70"]] {
            let asked = group("gold", lines);
            let record = intended(top.path(), &asked);
            make(&record, &asked).unwrap();
            remove(&record).unwrap();
        }
        for line in ["L3:0=ff", "MB:0=2", "L2:0=1"] {
            let asked = group("gold", &[line]);
            let error = make(&intended(top.path(), &asked), &asked)
                .unwrap_err()
                .to_string();
            assert!(error.contains(line), "{error}");
        }
        assert_eq!(
            fs::read_to_string(top.path().join("gold/schemata")).unwrap(),
            before
        );
    }

    #[test]
    fn a_group_that_is_missing_is_an_error_where_nothing_says_how_to_limit_it() {
        let top = resctrl();
        let asked = group("silver", &[]);
        let record = intended(top.path(), &asked);
        let error = make(&record, &asked).unwrap_err().to_string();
        assert!(error.contains("there is no such group"), "{error}");
        assert!(!top.path().join("silver").exists());
    }

    #[test]
    fn what_was_made_for_a_container_is_removed_also_when_limiting_it_fails() {
        let top = resctrl();
        let asked = RdtGroup {
            is_own: true,
            ..group("web01", &["L3:0=f"])
        };
        let record = intended(top.path(), &asked);
        assert!(record.is_made);
        // A plain directory has no schemata: as with a kernel that refuses the line.
        let error = make(&record, &asked).unwrap_err().to_string();
        assert!(error.contains("L3:0=f"), "{error}");
        assert!(!top.path().join("web01").exists());
        remove(&record).unwrap();
    }

    #[test]
    fn a_process_joins_the_group_and_the_one_that_it_is_monitored_by() {
        let top = resctrl();
        let asked = RdtGroup {
            monitoring: Some("web01".into()),
            ..group("gold", &[])
        };
        let record = intended(top.path(), &asked);
        make(&record, &asked).unwrap();
        let monitoring = top.path().join("gold/mon_groups/web01");
        fs::write(monitoring.join(TASKS), "").unwrap();
        join(&record, 42).unwrap();
        for tasks in [top.path().join("gold/tasks"), monitoring.join(TASKS)] {
            assert_eq!(fs::read_to_string(tasks).unwrap(), "42\n");
        }
        fs::remove_file(monitoring.join(TASKS)).unwrap();
        remove(&record).unwrap();
        assert!(!monitoring.exists() && top.path().join("gold").exists());
    }

    #[test]
    fn a_group_that_others_are_in_is_not_removed() {
        let top = resctrl();
        let own = std::process::id().to_string();
        fs::write(top.path().join("gold/tasks"), own).unwrap();
        let record = RdtRecord {
            group: top.path().join("gold"),
            is_made: true,
            monitoring: None,
        };
        remove(&record).unwrap();
        assert!(record.group.exists());
        // The same for one that somebody has made since it was looked for.
        let asked = group("gold", &["L3:0=7f"]);
        let error = make(&record, &asked).unwrap_err();
        assert_eq!(error.os_code(), Some(OsCode::Errno(libc::EEXIST)));
        assert!(record.group.exists());

        let mut child = std::process::Command::new("true").spawn().unwrap();
        let zombie = child.id().to_string();
        let state = || fs::read_to_string(format!("/proc/{zombie}/status")).unwrap();
        while !state().contains("State:\tZ") {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(is_alive(&std::process::id().to_string()) && !is_alive(&zombie));
        child.wait().unwrap();
    }

    #[test]
    fn a_group_of_the_containers_own_id_that_is_there_already_is_an_error() {
        let top = resctrl();
        let asked = RdtGroup {
            is_own: true,
            ..group("gold", &["L3:0=7f"])
        };
        let error = make(&intended(top.path(), &asked), &asked)
            .unwrap_err()
            .to_string();
        assert!(error.contains("already"), "{error}");
        assert!(top.path().join("gold").exists());
    }
}

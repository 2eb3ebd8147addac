//! What the memory limit has killed.

use hoist_compute::{Error, ErrorKind, OomKill, Phase};

use crate::cgroup::Cgroup;
use crate::record::Record;
use crate::system::open_cgroup;

/// The kill for want of memory that the container's cgroup tells of, if there was one.
pub(crate) fn oom_kill(record: &Record) -> Option<OomKill> {
    let cgroup = open_cgroup(record).ok()??;
    if cgroup.oom_kills().ok()? == 0 {
        return None;
    }
    let path = cgroup
        .memory_path()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    Some(OomKill {
        cgroup: path,
        limit_bytes: cgroup.memory_limit().ok().flatten(),
    })
}

/// The error for a process that was killed before it could execute its program, because its memory is limited to less than
/// that takes.
pub(crate) fn too_little_memory(cgroup: &Cgroup) -> Option<Error> {
    if cgroup.oom_kills().ok()? == 0 {
        return None;
    }
    let operation = match cgroup.memory_limit().ok().flatten() {
        Some(limit) => format!("start the process within a memory limit of {limit} bytes"),
        None => "start the process within the memory limit above it".to_owned(),
    };
    Some(
        Error::new(ErrorKind::InvalidSpec, Phase::Start, operation)
            .about("memory")
            .remedy("raise the limit: no program starts in less than some hundred kilobytes"),
    )
}

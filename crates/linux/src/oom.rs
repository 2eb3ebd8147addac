//! What the memory limit has killed.

use hoist_compute::{Error, ErrorKind, OomKill, Phase};

use crate::cgroup::Cgroup;

/// The kill for want of memory that a container's cgroup tells of, if there was one.
pub(crate) fn oom_kill(cgroup: &Cgroup) -> Option<OomKill> {
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

/// As [`oom_kill`], of a process in a cgroup of its own: the limit that was hit is its own, where it has one, else the
/// container's.
pub(crate) fn oom_kill_of_process(own: &Cgroup, container: Option<&Cgroup>) -> Option<OomKill> {
    let kill = oom_kill(own)?;
    if kill.limit_bytes.is_some() {
        return Some(kill);
    }
    container.and_then(oom_kill).or(Some(kill))
}

/// The error for a process that was killed before it could execute its program, because its memory is limited to less than
/// that takes.
pub(crate) fn too_little_memory(cgroup: &Cgroup, asked: Option<i64>) -> Option<Error> {
    if cgroup.oom_kills().ok()? == 0 {
        return None;
    }
    // The kernel keeps whole pages: of a limit below one it tells none.
    let asked = asked.and_then(|asked| u64::try_from(asked).ok());
    let operation = match asked.or_else(|| cgroup.memory_limit().ok().flatten()) {
        Some(limit) => format!("start the process within a memory limit of {limit} bytes"),
        None => "start the process within the memory limit above it".to_owned(),
    };
    Some(
        Error::new(ErrorKind::InvalidSpec, Phase::Start, operation)
            .about("memory")
            .remedy("raise the limit: no program starts in less than some hundred kilobytes"),
    )
}

//! Processes that do not end though they were killed: they wait inside the kernel, where no signal reaches them, or for others that
//! nobody has waited for.

use std::fs;
use std::thread;
use std::time::Duration;

/// How long one that was killed may take to leave the kernel before it is called unkillable.
const PATIENCE: Duration = Duration::from_millis(100);

/// In which function of the kernel a killed process waits; none where it was not killed or is on its way out.
pub(crate) fn waits_in(pid: u32) -> Option<String> {
    // A moment of that is ordinary; whoever is looked at later again by chance is another.
    if !was_killed_and_waits(pid) {
        return None;
    }
    thread::sleep(PATIENCE);
    was_killed_and_waits(pid).then(|| {
        let channel = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        match channel.trim() {
            "" | "0" => "the kernel".to_owned(),
            name => name.to_owned(),
        }
    })
}

/// Whether it waits uninterruptibly with SIGKILL pending (proc_pid_status(5)).
fn was_killed_and_waits(pid: u32) -> bool {
    const KILL: u64 = 1 << 8;
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return false;
    };
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let pending = |name| value(name).and_then(|mask| u64::from_str_radix(mask, 16).ok());
    let is_killed = ["SigPnd:", "ShdPnd:"]
        .into_iter()
        .any(|name| pending(name).is_some_and(|mask| mask & KILL != 0));
    is_killed && value("State:").is_some_and(|state| state.starts_with('D'))
}

/// The processes that have ended, that nobody has waited for, and that `first` cannot end before (pid_namespaces(7)): those of its
/// namespace of process ids, whose first process it is. Each with whose child it is.
pub(crate) fn unreaped(first: u32) -> Vec<String> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(own) = namespace(&first.to_string()) else {
        return Vec::new();
    };
    if namespace("self").is_none_or(|ours| ours == own) {
        return Vec::new();
    }
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let (name, state, parent) = name_state_parent(pid)?;
        let is_beside = pid != first && state == "Z";
        if !is_beside || namespace(&pid.to_string()).as_ref() != Some(&own) {
            return None;
        }
        let parents = name_state_parent(parent).map_or_else(String::new, |(name, ..)| name);
        Some(format!(
            "process {pid} ({name}) has ended, and its parent, process {parent} ({parents}), has not waited for it"
        ))
    })
    .collect()
}

/// From proc_pid_stat(5).
fn name_state_parent(pid: u32) -> Option<(String, String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
    let mut rest = rest.split_whitespace();
    let state = rest.next()?.to_owned();
    Some((name.to_owned(), state, rest.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_nobody_killed_is_not_unkillable() {
        assert_eq!(waits_in(std::process::id()), None);
        assert_eq!(waits_in(u32::MAX), None);
    }

    #[test]
    fn what_is_unreaped_in_this_programs_own_namespace_keeps_nobody_from_ending() {
        assert_eq!(unreaped(std::process::id()), Vec::<String>::new());
        assert_eq!(unreaped(u32::MAX), Vec::<String>::new());
    }
}

//! Processes that do not end though they were killed: they wait inside the kernel, where no signal reaches them.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_nobody_killed_is_not_unkillable() {
        assert_eq!(waits_in(std::process::id()), None);
        assert_eq!(waits_in(u32::MAX), None);
    }
}

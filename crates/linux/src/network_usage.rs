//! What went over a container's network.

use std::fs;

use hoist_compute::NetworkStatistics;

/// What has gone over the network of a process; `None` where that is this program's own, or cannot be looked at.
pub(crate) fn of(pid: u32) -> Option<NetworkStatistics> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let its = namespace(&pid.to_string())?;
    if namespace("self")? == its {
        return None;
    }
    sum(&fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?)
}

/// The sums over all interfaces but `lo`, of a file in the form of proc_pid_net(5)'s `dev`: bytes received are the first number,
/// bytes sent the ninth.
fn sum(text: &str) -> Option<NetworkStatistics> {
    let mut used = NetworkStatistics::default();
    for line in text.lines().skip(2) {
        let (name, numbers) = line.split_once(':')?;
        if name.trim() == "lo" {
            continue;
        }
        let mut numbers = numbers.split_whitespace().map(str::parse::<u64>);
        used.received_bytes += numbers.next()?.ok()?;
        used.sent_bytes += numbers.nth(7)?.ok()?;
    }
    Some(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Inter-|   Receive |  Transmit\n face |bytes packets errs |bytes packets\n";

    #[test]
    fn interfaces_are_summed_and_loopback_is_none() {
        let text = format!(
            "{HEAD}    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n  eth0:10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n\
             veth1: 5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n"
        );
        let used = NetworkStatistics {
            received_bytes: 15,
            sent_bytes: 27,
        };
        assert_eq!(sum(&text), Some(used));
        assert_eq!(sum(HEAD), Some(NetworkStatistics::default()));
    }

    #[test]
    fn what_cannot_be_read_is_none_and_never_zero() {
        assert_eq!(sum(&format!("{HEAD}  eth0: 10 x\n")), None);
        assert_eq!(of(std::process::id()), None, "the network is the host's");
        assert_eq!(of(u32::MAX), None);
    }
}

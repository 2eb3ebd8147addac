//! What a container uses, as the service tells it.

use hoist_compute::{
    BlockIoStatistics, CpuStatistics, ErrorKind, MemoryStatistics, Phase, ProcessEntry, Query,
    Result, Statistics, Timestamp,
};

use super::{failure, record::Record};
use crate::{
    calls::{HcsCalls, HcsExports},
    documents::{
        properties::{self, PropertyQuery, PropertyType},
        to_text,
    },
};

type Answer = (Option<Vec<ProcessEntry>>, Option<Statistics>);

/// Asks for what `query` names.
pub(super) fn ask<E: HcsExports>(
    calls: &HcsCalls<E>,
    container: &Record,
    query: Query,
) -> Result<Answer> {
    let id = container.id();
    let wanted = [
        (query.statistics, PropertyType::Statistics),
        (query.processes, PropertyType::ProcessList),
    ];
    let property_types: Vec<_> = wanted
        .into_iter()
        .filter_map(|(asked, kind)| asked.then_some(kind))
        .collect();
    if property_types.is_empty() {
        return Ok((None, None));
    }
    let text = to_text(&PropertyQuery { property_types }).map_err(|error| {
        let operation = format!("ask about container {id}");
        hoist_compute::Error::new(ErrorKind::System, Phase::Operate, operation).because(error)
    })?;
    let properties = match calls.look(id.as_str(), &text, None) {
        Ok(look) => look.properties,
        // It has ended meanwhile: it runs nothing and uses nothing.
        Err(error) if error.is_gone() => Default::default(),
        Err(error) => {
            return Err(failure::of_record(
                error,
                Phase::Operate,
                "ask about",
                container,
            ));
        }
    };
    let processes = query.processes.then(|| {
        let list = properties.process_list.unwrap_or_default();
        list.iter().map(entry).collect()
    });
    let statistics = query
        .statistics
        .then(|| properties.statistics.as_ref().map(used).unwrap_or_default());
    Ok((processes, statistics))
}

/// One process in a list.
pub(super) fn entry(process: &properties::ProcessDetails) -> ProcessEntry {
    let time = process
        .user_time_100ns
        .saturating_add(process.kernel_time_100ns);
    ProcessEntry {
        pid: process.process_id,
        // The service tells neither.
        parent: 0,
        uid: 0,
        cpu_milliseconds: time / 10_000,
        started_at: timestamp(&process.create_timestamp).unwrap_or(Timestamp(0)),
        command: process.image_name.clone(),
        waits_in_kernel: None,
    }
}

/// What one process uses.
pub(super) fn used_by(process: &properties::ProcessDetails) -> Statistics {
    let time = process
        .user_time_100ns
        .saturating_add(process.kernel_time_100ns);
    Statistics {
        cpu: Some(CpuStatistics {
            usage_nanoseconds: time.saturating_mul(100),
        }),
        memory: Some(MemoryStatistics {
            usage_bytes: process.memory_working_set_private_bytes,
            peak_bytes: None,
            limit_bytes: None,
            oom_kills: 0,
        }),
        pids: Some(1),
        network: None,
        block_io: None,
    }
}

fn used(statistics: &properties::Statistics) -> Statistics {
    Statistics {
        cpu: Some(CpuStatistics {
            usage_nanoseconds: statistics.processor.total_runtime_100ns.saturating_mul(100),
        }),
        memory: Some(MemoryStatistics {
            usage_bytes: statistics.memory.memory_usage_commit_bytes,
            peak_bytes: Some(statistics.memory.memory_usage_commit_peak_bytes)
                .filter(|bytes| *bytes > 0),
            limit_bytes: None,
            oom_kills: 0,
        }),
        pids: None,
        network: None,
        block_io: Some(BlockIoStatistics {
            read_bytes: statistics.storage.read_size_bytes,
            written_bytes: statistics.storage.write_size_bytes,
        }),
    }
}

/// A time as the service writes it: RFC 3339 in UTC, `2026-01-31T12:00:00.1234567Z`.
fn timestamp(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, between: char| -> Option<Vec<u64>> {
        text.split(between).map(|part| part.parse().ok()).collect()
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-')?.try_into().ok()?;
    let [hour, minute, second] = numbers(time, ':')?.try_into().ok()?;
    // Until then there is room for nanoseconds.
    if !(1970..2500).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970 by years that begin in March (H. Hinnant, "chrono-compatible low-level date algorithms").
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second;
    let digits = &fraction.as_bytes()[..fraction.len().min(9)];
    let nanoseconds = digits
        .iter()
        .chain(std::iter::repeat(&b'0'))
        .take(9)
        .try_fold(0, |sum: u64, digit| {
            char::from(*digit)
                .to_digit(10)
                .map(|digit| sum * 10 + u64::from(digit))
        })?;
    Some(Timestamp(seconds * 1_000_000_000 + nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_service_are_read_and_others_are_not_guessed() {
        let read = |text| timestamp(text).map(|time| time.0);
        assert_eq!(read("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            read("2000-02-29T12:34:56.5Z"),
            Some(951_827_696_500_000_000)
        );
        assert_eq!(
            read("2026-11-26T01:02:03.1234567Z"),
            Some(1_795_654_923_123_456_700)
        );
        for text in [
            "",
            "Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "1601-01-01T00:00:00Z",
            "2026-01-01T00:00:00.xZ",
            "2026-01-01T99999999999999999:00:00Z",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

//! Points in time as docker's options write them.

use hoist::parse_rfc3339;
use hoist_compute::Timestamp;
use hoist_spec::Fault;

const NANOSECONDS: u64 = 1_000_000_000;

/// A time: RFC 3339, a date or a time without a zone, seconds since 1970, or how long before `now`.
///
/// What has no zone is `ahead` seconds ahead of UTC: docker takes what its client is at this moment, whatever was or will be at that time.
pub(crate) fn moment(
    option: &str,
    text: &str,
    now: Timestamp,
    ahead: i64,
) -> Result<Timestamp, Fault> {
    let of_utc = |time: Timestamp| {
        let ahead = ahead.checked_mul(NANOSECONDS.cast_signed())?;
        time.0.checked_sub_signed(ahead).map(Timestamp)
    };
    let local = || {
        ["Z", ":00Z", ":00:00Z", "T00:00:00Z"]
            .into_iter()
            .find_map(|rest| parse_rfc3339(&format!("{text}{rest}")))
            .and_then(of_utc)
    };
    let date = text.strip_suffix('Z');
    let read = parse_rfc3339(text)
        .or_else(local)
        .or_else(|| parse_rfc3339(&format!("{}T00:00:00Z", date?)))
        .or_else(|| decimal(text, NANOSECONDS).map(Timestamp))
        .or_else(|| duration(text).map(|before| Timestamp(now.0.saturating_sub(before))));
    read.ok_or_else(|| {
        Fault::of_value(
            option,
            text,
            "is no time: write 2026-01-31T12:00:00Z, seconds since 1970, or how long ago (1h30m)",
        )
    })
}

/// A duration as Go writes it, in nanoseconds: `1h2m3.5s`.
fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let unit = match unit {
            "ns" => 1,
            "us" | "µs" => 1000,
            "ms" => 1_000_000,
            "s" => NANOSECONDS,
            "m" => 60 * NANOSECONDS,
            "h" => 3600 * NANOSECONDS,
            _ => return None,
        };
        sum = sum.checked_add(decimal(number, unit)?)?;
        rest = after;
    }
    Some(sum)
}

/// A decimal number of units.
fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit)
        / 10_u128.pow(fraction.len() as u32);
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_docker_reads_them() {
        let now = Timestamp(1_800_000_000 * NANOSECONDS);
        let read_in = |ahead: i64, text: &str| {
            let read = moment("--since", text, now, ahead);
            read.map(|time| time.0).ok()
        };
        let read = |text: &str| read_in(0, text);
        let at = |seconds: u64| Some(seconds * NANOSECONDS);
        assert_eq!(read("2026-01-01T00:00:00Z"), at(1_767_225_600));
        assert_eq!(read("2026-01-01T00:00:00"), at(1_767_225_600));
        assert_eq!(read("2026-01-01"), at(1_767_225_600));
        assert_eq!(read("2026-01-01T00:00"), at(1_767_225_600));
        assert_eq!(read("2026-01-01T00"), at(1_767_225_600));
        assert_eq!(read("2026-01-01Z"), at(1_767_225_600));
        assert_eq!(read("2026-01-01T01:00:00+01:00"), at(1_767_225_600));
        assert_eq!(
            read("2026-01-01T00:00:00.25"),
            Some(1_767_225_600_250_000_000)
        );
        assert_eq!(read("1767225600"), at(1_767_225_600));
        assert_eq!(read("0.5"), Some(500_000_000));
        assert_eq!(read("1h2m3s"), at(1_800_000_000 - 3723));
        assert_eq!(read("1.5h"), at(1_800_000_000 - 5400));
        assert_eq!(read("100000h"), at(1_800_000_000 - 360_000_000));
        for (ahead, hour) in [(3600, "01"), (-3600, "23")] {
            let day = if ahead > 0 {
                "2026-01-01"
            } else {
                "2025-12-31"
            };
            for rest in ["", ":00", ":00:00", ":00:00.0"] {
                let text = format!("{day}T{hour}{rest}");
                assert_eq!(read_in(ahead, &text), at(1_767_225_600), "{text}");
            }
            for text in ["2026-01-01Z", "2026-01-01T00:00:00Z", "1767225600"] {
                assert_eq!(read_in(ahead, text), at(1_767_225_600), "{text}");
            }
            assert_eq!(read_in(ahead, "1h"), at(1_800_000_000 - 3600));
        }
        assert_eq!(read_in(-1800, "2026-01-01"), at(1_767_225_600 + 1800));
        // It was before 1970.
        assert_eq!(read_in(3600, "1970-01-01"), None);
        for text in ["", "yesterday", "1h2", "-5", "1d", ".", "1.2.3"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

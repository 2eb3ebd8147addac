//! Sizes, processors, seconds and numbers as docker's options write them.

use crate::Fault;

/// The period over which `--cpus` is counted, in microseconds; docker's.
pub(super) const CPU_PERIOD: i64 = 100_000;

/// Decimal places that are read; docker's for `--cpus`.
const MOST_DIGITS: usize = 9;

/// Bytes, above zero.
pub(super) fn memory(option: &str, text: &str) -> Result<i64, Fault> {
    match size(option, text)? {
        bytes if bytes > 0 => Ok(bytes),
        _ => Err(Fault::of_value(option, text, "is not above zero")),
    }
}

/// Bytes.
pub(super) fn size(option: &str, text: &str) -> Result<i64, Fault> {
    match bytes(text) {
        Some(bytes) => Ok(bytes),
        None => Err(Fault::of_value(
            option,
            text,
            "is no size: write bytes, or a number with b, k, m, g or t, such as 512m",
        )),
    }
}

/// A number with an optional unit, each 1024 times the one before; a fraction is allowed, as docker does.
pub(super) fn bytes(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let end = lower
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let power = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    let unit = 1_i64 << (10 * power);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.len() > MOST_DIGITS {
        return None;
    }
    let part =
        i128::from(digits(fraction)?) * i128::from(unit) / 10_i128.pow(fraction.len() as u32);
    digits(whole)?
        .checked_mul(unit)?
        .checked_add(i64::try_from(part).ok()?)
}

/// Microseconds of processor time in each [`CPU_PERIOD`].
pub(super) fn cpus(text: &str) -> Result<i64, Fault> {
    let fault = |reason| Fault::of_value("--cpus", text, reason);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > MOST_DIGITS {
        return Err(fault("has more than nine decimal places"));
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let nanos =
        digits(fraction).map(|part| part * 10_i64.pow((MOST_DIGITS - fraction.len()) as u32));
    let parsed = digits(whole).zip(nanos).and_then(|(whole, nanos)| {
        whole
            .checked_mul(CPU_PERIOD)?
            .checked_add(nanos / (1_000_000_000 / CPU_PERIOD))
    });
    match parsed {
        None => Err(fault("is no number of processors such as 1.5")),
        Some(quota) if quota < 1000 => Err(fault("is below 0.01, the least that the kernel takes")),
        Some(quota) => Ok(quota),
    }
}

/// A whole number; its range is checked with the command.
pub(super) fn number(option: &str, text: &str) -> Result<i64, Fault> {
    text.parse()
        .map_err(|_| Fault::of_value(option, text, "is no whole number"))
}

/// Seconds; −1 means for ever, which is the most that can be said.
pub(super) fn seconds(option: &str, text: &str) -> Result<u32, Fault> {
    if text == "-1" {
        return Ok(u32::MAX);
    }
    text.parse()
        .map_err(|_| Fault::of_value(option, text, "is no number of seconds; -1 waits for ever"))
}

/// Digits and nothing else: `parse` would take a sign.
fn digits(text: &str) -> Option<i64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, size) in [
            ("0", 0),
            ("1024", 1024),
            ("7b", 7),
            ("6k", 6 << 10),
            ("512m", 512 << 20),
            ("512M", 512 << 20),
            ("512mb", 512 << 20),
            ("512MiB", 512 << 20),
            ("2g", 2 << 30),
            ("1t", 1 << 40),
            ("1.5g", 3 << 29),
            ("0.25k", 256),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in [
            "",
            "b",
            "m",
            "-1",
            "+1",
            "1 m",
            "m1",
            "1x",
            "1mm",
            "1bb",
            "1ib",
            "1.",
            ".5",
            "1.x",
            "1e3",
            "0x10",
            "9223372036854775808",
            "8388608t",
            "٣m",
        ] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
        assert!(memory("--memory", "0").is_err());
    }

    #[test]
    fn processors_become_microseconds_of_a_period() {
        for (text, quota) in [
            ("1", 100_000),
            ("1.5", 150_000),
            (".5", 50_000),
            ("0.01", 1000),
            ("2.000000001", 200_000),
        ] {
            assert_eq!(cpus(text), Ok(quota), "{text}");
        }
        for text in [
            "",
            "0",
            "0.001",
            "-1",
            "+1",
            "1,5",
            "1.5.2",
            "a",
            "1.0000000001",
            "99999999999999999999",
            "1.",
        ] {
            assert!(cpus(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn seconds_for_ever_are_minus_one() {
        assert_eq!(seconds("--x", "-1"), Ok(u32::MAX));
        assert_eq!(seconds("--x", "0"), Ok(0));
        assert!(seconds("--x", "-2").is_err());
        assert!(seconds("--x", "1s").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in r"[0-9.a-zA-Z+ \-]{0,24}|\PC{0,12}") {
            let _ = (bytes(&text), cpus(&text), number("-", &text), seconds("-", &text));
        }

        #[test]
        fn every_number_of_bytes_is_itself(size in 0..i64::MAX) {
            prop_assert_eq!(bytes(&size.to_string()), Some(size));
        }
    }
}

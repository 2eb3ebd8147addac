//! Linux signals by number and by name, on every platform: they stand in specs and on command lines.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A Linux signal number, 1 to 64 (signal(7), x86 and ARM numbering).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signal(u8);

/// The names of signals 1 to 31, in order, without `SIG`.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const REAL_TIME_FIRST: u8 = 34;
const REAL_TIME_LAST: u8 = 64;

impl Signal {
    /// `SIGINT`.
    pub const INT: Self = Self(2);
    /// `SIGKILL`.
    pub const KILL: Self = Self(9);
    /// `SIGTERM`.
    pub const TERM: Self = Self(15);
    /// `SIGHUP`.
    pub const HUP: Self = Self(1);
    /// `SIGUSR1`.
    pub const USR1: Self = Self(10);

    /// The signal with this number, where 1 ≤ `number` ≤ 64.
    pub fn from_number(number: i32) -> Option<Self> {
        u8::try_from(number)
            .ok()
            .filter(|number| (1..=REAL_TIME_LAST).contains(number))
            .map(Self)
    }

    /// The number.
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }
}

/// A text that names no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no signal: use a name such as TERM or SIGTERM, or a number from 1 to 64")]
pub struct UnknownSignal(pub String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.to_owned());
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text
                .parse()
                .ok()
                .and_then(Self::from_number)
                .ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return Self::from_number(index as i32 + 1).ok_or_else(unknown);
        }
        let number = match name {
            "IOT" => Some(6),
            "CLD" => Some(17),
            "POLL" => Some(29),
            "RTMIN" => Some(i32::from(REAL_TIME_FIRST)),
            "RTMAX" => Some(i32::from(REAL_TIME_LAST)),
            _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
                (Some(above), _) => above
                    .parse::<u8>()
                    .ok()
                    .and_then(|above| REAL_TIME_FIRST.checked_add(above)),
                (_, Some(below)) => below
                    .parse::<u8>()
                    .ok()
                    .and_then(|below| REAL_TIME_LAST.checked_sub(below)),
                _ => None,
            }
            .filter(|number| (REAL_TIME_FIRST..=REAL_TIME_LAST).contains(number))
            .map(i32::from),
        };
        number.and_then(Self::from_number).ok_or_else(unknown)
    }
}

impl TryFrom<String> for Signal {
    type Error = UnknownSignal;

    fn try_from(text: String) -> Result<Self, UnknownSignal> {
        text.parse()
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.to_string()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0) - 1) {
            Some(name) => write!(f, "SIG{name}"),
            None if self.0 >= REAL_TIME_FIRST => write!(f, "SIGRTMIN+{}", self.0 - REAL_TIME_FIRST),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_read_back_from_its_own_text() {
        for number in 1..=64 {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.to_string().parse(), Ok(signal));
            assert_eq!(number.to_string().parse(), Ok(signal));
        }
    }

    #[test]
    fn names_are_taken_with_and_without_sig_in_any_case() {
        for text in ["TERM", "SIGTERM", "term", "sigterm", "15"] {
            assert_eq!(text.parse(), Ok(Signal::TERM));
        }
        assert_eq!("RTMIN+3".parse::<Signal>().unwrap().number(), 37);
        assert_eq!("SIGRTMAX-1".parse::<Signal>().unwrap().number(), 63);
    }

    #[test]
    fn other_texts_are_no_signals() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "SIG",
            "FOO",
            "RTMIN+31",
            "RTMAX-31",
            "9 ",
            "999999999999",
        ] {
            assert!(text.parse::<Signal>().is_err(), "{text:?}");
        }
    }
}

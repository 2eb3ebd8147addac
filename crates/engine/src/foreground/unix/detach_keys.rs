//! The keys by which one detaches from a container, docker's `--detach-keys`.

use std::{fmt, str::FromStr};

/// A sequence of keys. Typed, they are not passed on; a part of them is, when something else follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    /// `ctrl-p,ctrl-q`
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

/// A text that names no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDetachKeys;

impl fmt::Display for InvalidDetachKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names no keys: write characters or ctrl-a to ctrl-z, ctrl-@, ctrl-[, ctrl-\\, ctrl-], ctrl-^ or ctrl-_, with commas between")
    }
}

impl std::error::Error for InvalidDetachKeys {}

impl FromStr for DetachKeys {
    type Err = InvalidDetachKeys;

    /// An empty text: no keys, one cannot detach.
    fn from_str(text: &str) -> Result<Self, InvalidDetachKeys> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        text.split(',')
            .map(key)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or(InvalidDetachKeys)
    }
}

fn key(name: &str) -> Option<u8> {
    let byte = |name: &str| match name.as_bytes() {
        [byte] if byte.is_ascii_graphic() => Some(*byte),
        _ => None,
    };
    match name.strip_prefix("ctrl-") {
        None => byte(name),
        Some(key) => match byte(key)?.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => Some(letter - b'a' + 1),
            b'@' => Some(0),
            other @ b'['..=b'_' => Some(other - b'@'),
            _ => None,
        },
    }
}

/// What is typed, looked through for the keys.
#[derive(Debug)]
pub(super) struct Typed {
    keys: DetachKeys,
    matched: usize,
}

impl Typed {
    pub(super) fn new(keys: DetachKeys) -> Self {
        Self { keys, matched: 0 }
    }

    /// Puts into `passed` what is to be passed on of `typed`; true when the keys were complete: nothing after them is passed.
    pub(super) fn pass(&mut self, typed: &[u8], passed: &mut Vec<u8>) -> bool {
        let keys = &self.keys.0;
        if keys.is_empty() {
            passed.extend_from_slice(typed);
            return false;
        }
        for &byte in typed {
            // As with any search for a word: what was held back may itself hold the beginning of another match.
            while self.matched > 0 && keys[self.matched] != byte {
                let shorter = (0..self.matched)
                    .rev()
                    .find(|&length| keys[..length] == keys[self.matched - length..self.matched])
                    .unwrap_or(0);
                passed.extend_from_slice(&keys[..self.matched - shorter]);
                self.matched = shorter;
            }
            if keys[self.matched] != byte {
                passed.push(byte);
                continue;
            }
            self.matched += 1;
            if self.matched == keys.len() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_docker_writes_them() {
        assert_eq!("ctrl-p,ctrl-q".parse(), Ok(DetachKeys::default()));
        assert_eq!(
            "ctrl-@,a,ctrl-[,ctrl-_,Z".parse(),
            Ok(DetachKeys(vec![0, b'a', 27, 31, b'Z']))
        );
        assert_eq!("".parse(), Ok(DetachKeys(Vec::new())));
        for text in [",", "ctrl-", "ctrl-1", "ab", "ctrl-pq", "ä"] {
            assert_eq!(text.parse::<DetachKeys>(), Err(InvalidDetachKeys), "{text}");
        }
    }

    fn pass(keys: &str, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut typed = Typed::new(keys.parse().unwrap());
        let mut passed = Vec::new();
        let detached = pieces.iter().any(|piece| typed.pass(piece, &mut passed));
        (passed, detached)
    }

    #[test]
    fn only_the_whole_sequence_detaches_and_nothing_else_is_swallowed() {
        assert_eq!(pass("a,b", &[b"xab y"]), (b"x".to_vec(), true));
        assert_eq!(pass("a,b", &[b"xa", b"b"]), (b"x".to_vec(), true));
        assert_eq!(pass("a,b", &[b"a", b"a", b"c"]), (b"aac".to_vec(), false));
        assert_eq!(pass("a,a,b", &[b"aaab"]), (b"a".to_vec(), true));
        assert_eq!(pass("a,b,a,c", &[b"ababac"]), (b"ab".to_vec(), true));
        assert_eq!(pass("", &[b"\x10\x11"]), (b"\x10\x11".to_vec(), false));
    }
}

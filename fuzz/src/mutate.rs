//! Changing documents.

use std::collections::BTreeSet;

/// No document grows beyond it.
pub const LONGEST: usize = 16 << 10;

/// Values at the edges of what is read.
const EDGES: &[&str] = &[
    "0",
    "-1",
    "1e400",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "-9223372036854775808",
    "0.5",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "/",
    "..",
    "../..",
    "//",
    ":",
    ",",
    "=",
    "\n",
    "\0",
    "%",
    "é",
    "\u{fffd}",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
];

/// Random numbers (splitmix64), the same for the same seed.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }
}

/// The words of documents, to be put into others.
#[derive(Default)]
pub struct Words(Vec<Vec<u8>>);

impl Words {
    /// Those of these documents.
    pub fn of(documents: &[Vec<u8>]) -> Self {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
        let words: BTreeSet<&[u8]> = documents
            .iter()
            .flat_map(|document| document.split(|byte| !is_word(byte)))
            .filter(|word| (2..64).contains(&word.len()))
            .collect();
        Self(words.into_iter().map(<[u8]>::to_vec).collect())
    }
}

/// `documents[at]` with one to `most` changes.
pub fn changed(
    documents: &[Vec<u8>],
    at: usize,
    words: &Words,
    most: usize,
    random: &mut Random,
) -> Vec<u8> {
    let mut document = documents[at].clone();
    for _ in 0..=random.below(most) {
        change(&mut document, documents, words, random);
        document.truncate(LONGEST);
    }
    document
}

fn change(document: &mut Vec<u8>, others: &[Vec<u8>], words: &Words, random: &mut Random) {
    let at = random.below(document.len() + 1);
    let end = (at + 1 + random.below(16)).min(document.len());
    match random.below(10) {
        0 if at < document.len() => document[at] ^= 1 << random.below(8),
        1 if at < document.len() => document[at] = u8::try_from(random.below(256)).unwrap_or(0),
        2 => drop(document.drain(at..end)),
        3 => drop(document.splice(at..at, EDGES[random.below(EDGES.len())].bytes())),
        // A number or a word by another.
        4 | 5 => {
            let (from, to) = token_at(document, at);
            let edge = EDGES[random.below(EDGES.len())].as_bytes();
            let word = match words.0.len() {
                0 => edge,
                _ if random.below(3) == 0 => edge,
                count => &words.0[random.below(count)],
            };
            document.splice(from..to, word.iter().copied());
        }
        // Some of it again.
        6 => {
            let far = (at + 1 + random.below(256)).min(document.len());
            let piece = document[at..far].to_vec();
            let place = random.below(document.len() + 1);
            document.splice(place..place, piece);
        }
        // Some of another one.
        7 => {
            let other = &others[random.below(others.len())];
            let from = random.below(other.len() + 1);
            let to = (from + 1 + random.below(512)).min(other.len());
            document.splice(at..end, other[from..to].iter().copied());
        }
        // Much of the same.
        8 if at < document.len() => {
            let piece = document[at..end].repeat(1 + random.below(200));
            document.splice(at..at, piece);
        }
        // A field of four bytes.
        _ => {
            let number = [0, 1, u32::MAX, 1 << 31, 16 << 20][random.below(5)].to_le_bytes();
            let end = (at + 4).min(document.len());
            document.splice(at..end, number);
        }
    }
}

/// The word around `at`.
fn token_at(document: &[u8], at: usize) -> (usize, usize) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let before = document[..at].iter().rev().take_while(|byte| is_word(byte));
    let behind = document[at..].iter().take_while(|byte| is_word(byte));
    (at - before.count(), at + behind.count())
}

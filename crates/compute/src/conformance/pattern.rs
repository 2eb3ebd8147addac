//! A stream of bytes in which anything lost, doubled or moved shows.
//!
//! All bytes are printable and stand for themselves on a console too. The period is a prime number larger than
//! any pipe or page, so that a lost block never goes unnoticed.

use std::{io, sync::OnceLock};

const PERIOD: usize = 131_071;

fn period() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        // A linear congruential generator (Knuth's MMIX constants): any fixed one will do.
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            b'0' + (state >> 33) as u8 % 64
        };
        (0..PERIOD).map(|_| next()).collect()
    })
}

/// Gives the first `length` bytes to `take`, block by block.
pub fn each_block<E>(length: u64, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut left = length;
    while left > 0 {
        let block = usize::try_from(left).map_or(PERIOD, |left| left.min(PERIOD));
        take(&period()[..block])?;
        left -= block as u64;
    }
    Ok(())
}

/// The first `length` bytes.
pub fn bytes(length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = each_block(length, |block| {
        bytes.extend_from_slice(block);
        Ok::<(), std::convert::Infallible>(())
    });
    bytes
}

/// Compares what arrives with the stream.
#[derive(Debug, Default)]
pub struct Check {
    bytes: u64,
    wrong_at: Option<u64>,
}

impl Check {
    /// Takes the next bytes.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = (self.bytes % PERIOD as u64) as usize;
            let count = bytes.len().min(PERIOD - at);
            let expected = &period()[at..at + count];
            if self.wrong_at.is_none() && bytes[..count] != *expected {
                let inside = bytes
                    .iter()
                    .zip(expected)
                    .take_while(|(a, b)| a == b)
                    .count();
                self.wrong_at = Some(self.bytes + inside as u64);
            }
            self.bytes += count as u64;
            bytes = &bytes[count..];
        }
    }

    /// Takes all that `source` gives.
    pub fn take_all(&mut self, mut source: impl io::Read) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.take(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// How many bytes came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether each was the right one.
    pub fn is_intact(&self) -> bool {
        self.wrong_at.is_none()
    }

    /// That exactly the first `length` bytes came, or in words what did.
    pub fn is_exactly(&self, length: u64) -> Result<(), String> {
        match self.wrong_at {
            Some(at) => Err(format!("byte {at} of {length} is wrong")),
            None if self.bytes != length => {
                Err(format!("{} of {length} bytes arrived", self.bytes))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_itself_is_intact_however_it_is_cut() {
        let stream = bytes(400_000);
        for size in [1, 7, 4096, 65_536, 131_071, 400_000] {
            let mut check = Check::default();
            stream.chunks(size).for_each(|part| check.take(part));
            assert_eq!(check.is_exactly(400_000), Ok(()));
        }
    }

    #[test]
    fn a_lost_doubled_or_changed_part_shows() {
        let stream = bytes(300_000);
        for (from, to) in [(0, 1), (4096, 8192), (65_536, 131_072), (1, 131_070)] {
            let mut check = Check::default();
            check.take(&stream[..from]);
            check.take(&stream[to..]);
            assert!(!check.is_intact(), "{from} to {to} is missing");
        }
        let mut changed = stream;
        changed[200_000] ^= 1;
        let mut check = Check::default();
        check.take(&changed);
        assert_eq!(
            check.is_exactly(300_000),
            Err("byte 200000 of 300000 is wrong".to_owned())
        );
    }

    #[test]
    fn bytes_missing_at_the_end_show() {
        let mut check = Check::default();
        check.take(&bytes(10));
        assert_eq!(
            check.is_exactly(11),
            Err("10 of 11 bytes arrived".to_owned())
        );
    }
}

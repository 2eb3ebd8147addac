//! Input for consoles of old builds.

use std::io::{self, Write};

/// Consoles of builds before this one take 0x08 for what terminals send as 0x7F.
const FIRST_BUILD_WITH_DELETE: u32 = 14350;
const DELETE: u8 = 0x7F;
const BACKSPACE: u8 = 0x08;

/// Writes to a process's input; for the console of an old build the key that deletes is translated.
#[derive(Debug)]
pub(crate) struct ConsoleInput<W> {
    to: W,
    translates: bool,
}

impl<W: Write> ConsoleInput<W> {
    /// For a process, which has a console or not, of an image whose build is known or not.
    pub(crate) fn new(to: W, console: bool, image_build: Option<u32>) -> Self {
        Self {
            to,
            translates: console && image_build.is_some_and(|build| build < FIRST_BUILD_WITH_DELETE),
        }
    }
}

impl<W: Write> Write for ConsoleInput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.translates || !bytes.contains(&DELETE) {
            return self.to.write(bytes);
        }
        let translated: Vec<u8> = bytes
            .iter()
            .map(|byte| if *byte == DELETE { BACKSPACE } else { *byte })
            .collect();
        self.to.write(&translated)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The build in a version of Windows such as `10.0.14393.321`; `None` where it is none.
pub(crate) fn build_of(version: &str) -> Option<u32> {
    version.split('.').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_deletes_is_translated_for_consoles_of_old_builds_alone() {
        for (console, version, wanted) in [
            (true, "10.0.14300.1030", &b"a\x08b"[..]),
            (true, "10.0.14350", b"a\x7fb"),
            (true, "10.0", b"a\x7fb"),
            (true, "ten", b"a\x7fb"),
            (false, "10.0.14300.1030", b"a\x7fb"),
        ] {
            let mut input = ConsoleInput::new(Vec::new(), console, build_of(version));
            input.write_all(b"a\x7fb").unwrap();
            assert_eq!(input.to, wanted, "{version}");
        }
    }
}

//! JSON text as the original drivers write it.
//!
//! Their encoder escapes `<`, `>`, `&`, U+2028 and U+2029, and writes every control character but tab, line feed and
//! carriage return as `\u00xx`. The compute service reads any JSON; that the text is the same to the letter is what lets
//! it be compared with what was recorded.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

/// Writes `document` as JSON, compact and escaped as the original drivers do.
///
/// # Errors
/// A value that JSON has no form for; none of this crate's documents holds one.
pub fn to_text<T: Serialize + ?Sized>(document: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    document.serialize(&mut Serializer::with_formatter(&mut bytes, Escaping))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let mut characters = rest[at..].chars();
            if let Some(character) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::Backspace => writer.write_all(b"\\u0008"),
            CharEscape::FormFeed => writer.write_all(b"\\u000c"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_the_original_encoder_does() {
        assert_eq!(
            to_text("<a & b>\u{2028}\u{8}\u{c}\u{1}\t\n\r\"\\/\u{7f}ž🐎").unwrap(),
            "\"\\u003ca \\u0026 b\\u003e\\u2028\\u0008\\u000c\\u0001\\t\\n\\r\\\"\\\\/\u{7f}ž🐎\""
        );
    }

    #[test]
    fn names_are_escaped_like_values() {
        let map = std::collections::BTreeMap::from([("a&b", "c")]);
        assert_eq!(to_text(&map).unwrap(), r#"{"a\u0026b":"c"}"#);
    }
}

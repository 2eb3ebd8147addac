//! The encoding of messages (D-Bus specification, "Marshaling (Wire Format)"), as far as systemd's interface needs it: little
//! endian, and only these types.

use std::str;

use super::unit::Value;

/// The longest message that is read; systemd's are far below.
const LONGEST: usize = 1 << 20;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call = 1,
    Return = 2,
    Error = 3,
    Signal = 4,
}

/// The arguments of a message, being written.
#[derive(Debug, Default)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    signature: String,
}

impl Body {
    /// Appends a string.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.signature.push('s');
        put_text(&mut self.bytes, text);
        self
    }

    /// Appends a truth value.
    pub(crate) fn flag(mut self, flag: bool) -> Self {
        self.signature.push('b');
        put_number(&mut self.bytes, flag.into());
        self
    }

    /// Appends properties (`a(sv)`).
    pub(crate) fn properties(mut self, properties: &[(&str, Value)]) -> Self {
        self.signature.push_str("a(sv)");
        put_array(&mut self.bytes, 8, properties, |bytes, (name, value)| {
            pad(bytes, 8);
            put_text(bytes, name);
            put_variant(bytes, value);
        });
        self
    }

    /// Appends an empty array of further units (`a(sa(sv))`).
    pub(crate) fn no_further_units(mut self) -> Self {
        self.signature.push_str("a(sa(sv))");
        put_array::<()>(&mut self.bytes, 8, &[], |_, ()| ());
        self
    }
}

/// To whom a call goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
}

/// The message of a call.
pub(crate) fn call(serial: u32, method: &Method<'_>, body: &Body) -> Vec<u8> {
    let mut message = vec![b'l', Kind::Call as u8, 0, 1];
    put_number(&mut message, body.bytes.len() as u32);
    put_number(&mut message, serial);
    let fields = [
        (1, 'o', method.path),
        (2, 's', method.interface),
        (3, 's', method.member),
        (6, 's', method.destination),
        (8, 'g', body.signature.as_str()),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .filter(|(_, _, text)| !text.is_empty())
        .collect();
    put_array(&mut message, 8, &fields, |bytes, (code, kind, text)| {
        pad(bytes, 8);
        bytes.push(*code);
        put_signature(bytes, &kind.to_string());
        match kind {
            'g' => put_signature(bytes, text),
            _ => put_text(bytes, text),
        }
    });
    pad(&mut message, 8);
    message.extend_from_slice(&body.bytes);
    message
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn put_number(bytes: &mut Vec<u8>, number: u32) {
    pad(bytes, 4);
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len() as u32);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
}

fn put_signature(bytes: &mut Vec<u8>, signature: &str) {
    bytes.push(signature.len() as u8);
    bytes.extend_from_slice(signature.as_bytes());
    bytes.push(0);
}

/// The length of an array counts from its first element on, which is aligned even where there is none.
fn put_array<T>(bytes: &mut Vec<u8>, alignment: usize, all: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_number(bytes, 0);
    let place = bytes.len() - 4;
    pad(bytes, alignment);
    let first = bytes.len();
    all.iter().for_each(|one| put(bytes, one));
    let length = (bytes.len() - first) as u32;
    bytes[place..place + 4].copy_from_slice(&length.to_le_bytes());
}

fn put_variant(bytes: &mut Vec<u8>, value: &Value) {
    put_signature(
        bytes,
        match value {
            Value::Text(_) => "s",
            Value::Flag(_) => "b",
            Value::Number(_) => "t",
            Value::Numbers(_) => "au",
            Value::Bytes(_) => "ay",
            Value::Pairs(_) => "a(ss)",
        },
    );
    match value {
        Value::Text(text) => put_text(bytes, text),
        Value::Flag(flag) => put_number(bytes, (*flag).into()),
        Value::Number(number) => {
            pad(bytes, 8);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        Value::Numbers(numbers) => {
            put_array(bytes, 4, numbers, |bytes, number| {
                put_number(bytes, *number)
            });
        }
        Value::Bytes(all) => put_array(bytes, 1, all, |bytes, byte| bytes.push(*byte)),
        Value::Pairs(pairs) => put_array(bytes, 8, pairs, |bytes, (first, second)| {
            pad(bytes, 8);
            put_text(bytes, first);
            put_text(bytes, second);
        }),
    }
}

/// The first bytes of every message, from which its length can be told.
pub(crate) const PREFIX: usize = 16;

/// How many bytes follow the first [`PREFIX`] ones; none where they begin no message that can be read.
pub(crate) fn rest_of(prefix: &[u8; PREFIX]) -> Option<usize> {
    let number = |at: usize| Some(u32::from_le_bytes(prefix.get(at..at + 4)?.try_into().ok()?));
    let (body, fields) = (number(4)? as usize, number(12)? as usize);
    (prefix[0] == b'l' && body <= LONGEST && fields <= LONGEST)
        .then(|| fields.next_multiple_of(8) + body)
}

/// A message that was received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) kind: Option<Kind>,
    /// The serial number of the call that it answers.
    pub(crate) answers: u32,
    pub(crate) member: String,
    /// The name of an error.
    pub(crate) error: String,
    body: Vec<u8>,
}

impl Received {
    /// Reads a whole message; none where it is damaged.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 12 };
        let mut message = Self {
            kind: match bytes.get(1)? {
                1 => Some(Kind::Call),
                2 => Some(Kind::Return),
                3 => Some(Kind::Error),
                4 => Some(Kind::Signal),
                _ => None,
            },
            ..Self::default()
        };
        let length = reader.number()? as usize;
        let end = PREFIX.checked_add(length)?;
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            let signature = reader.signature()?;
            match (code, signature.as_str()) {
                (5, "u") => message.answers = reader.number()?,
                (3, "s") => message.member = reader.text()?,
                (4, "s") => message.error = reader.text()?,
                (_, "s" | "o") => drop(reader.text()?),
                (_, "g") => drop(reader.signature()?),
                (_, "u") => drop(reader.number()?),
                _ => return None,
            }
        }
        message.body = bytes.get(end.next_multiple_of(8)..)?.to_vec();
        Some(message)
    }

    /// The arguments, to be read one after the other.
    pub(crate) fn body(&self) -> Reader<'_> {
        Reader {
            bytes: &self.body,
            at: 0,
        }
    }
}

/// Reads values one after the other.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A `u`.
    pub(crate) fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// An `s` or `o`.
    pub(crate) fn text(&mut self) -> Option<String> {
        let length = self.number()? as usize;
        let text = str::from_utf8(self.take(length)?).ok()?.to_owned();
        self.take(1)?;
        Some(text)
    }

    /// A `g`.
    pub(crate) fn signature(&mut self) -> Option<String> {
        let length = self.byte()?.into();
        let text = str::from_utf8(self.take(length)?).ok()?.to_owned();
        self.take(1)?;
        Some(text)
    }

    /// A `v` that holds an `s`.
    pub(crate) fn text_in_variant(&mut self) -> Option<String> {
        (self.signature()? == "s").then(|| self.text())?
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METHOD: Method<'static> = Method {
        destination: "org.example",
        path: "/org/example",
        interface: "org.example.Thing",
        member: "Do",
    };

    #[test]
    fn a_call_has_the_bytes_of_the_specification() {
        let message = call(7, &METHOD, &Body::default().text("abc").flag(true));
        assert_eq!(message[..4], *b"l\x01\0\x01");
        // "abc" with its length and end is 8 bytes, the flag 4.
        assert_eq!(message[4..8], 12_u32.to_le_bytes());
        assert_eq!(message[8..12], 7_u32.to_le_bytes());
        // The first field: the path, an object path.
        assert_eq!(message[16..20], [1, 1, b'o', 0]);
        assert_eq!(message[message.len() - 12..], *b"\x03\0\0\0abc\0\x01\0\0\0");
        assert_eq!((message.len() - 12) % 8, 0);
        let prefix = message[..PREFIX].try_into().unwrap();
        assert_eq!(rest_of(&prefix), Some(message.len() - PREFIX));
    }

    #[test]
    fn arrays_count_from_their_first_element_and_align_it() {
        let properties = [("A", Value::Number(5)), ("B", Value::Numbers(vec![1, 2]))];
        let body = Body::default().properties(&properties).no_further_units();
        assert_eq!(body.signature, "a(sv)a(sa(sv))");
        let expected: &[u8] = &[
            44, 0, 0, 0, 0, 0, 0, 0, // length, padding
            1, 0, 0, 0, b'A', 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0, // name, signature, padding
            5, 0, 0, 0, 0, 0, 0, 0, // 5
            1, 0, 0, 0, b'B', 0, 2, b'a', b'u', 0, 0, 0, // name, signature, padding
            8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, // length, 1, 2
            0, 0, 0, 0, 0, 0, 0, 0, // an empty array, padding
        ];
        assert_eq!(
            body.bytes[..4],
            ((expected.len() - 16) as u32).to_le_bytes()
        );
        assert_eq!(body.bytes[4..], expected[4..]);
    }

    #[test]
    fn a_message_is_read_back() {
        let message = call(7, &METHOD, &Body::default().text("abc"));
        let read = Received::read(&message).unwrap();
        assert_eq!((read.kind, read.member.as_str()), (Some(Kind::Call), "Do"));
        assert_eq!(read.body().text().as_deref(), Some("abc"));
        assert_eq!(read.body().text_in_variant(), None);
    }

    proptest! {
        #[test]
        fn damaged_messages_are_refused_and_never_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            valid: bool,
            cut: prop::sample::Index,
        ) {
            if valid {
                bytes = call(7, &METHOD, &Body::default().text("abc"));
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Some(message) = Received::read(&bytes) {
                message.body().text();
                message.body().text_in_variant();
            }
        }
    }
}

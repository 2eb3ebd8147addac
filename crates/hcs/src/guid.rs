//! Ids of layers.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::sha1::sha1;

/// A GUID, written in lower case without braces.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid([u8; 16]);

/// The namespace in which `NameToGuid` of the service makes its version-5 UUIDs.
const LAYER_NAMESPACE: [u8; 16] = [
    0x80, 0x08, 0x72, 0xc5, 0x90, 0x9c, 0x40, 0x3a, 0x89, 0xc9, 0x93, 0x1f, 0xe5, 0xe2, 0xfd, 0x08,
];

impl Guid {
    /// What the service's `NameToGuid` makes of a layer folder's name: a version-5 UUID (RFC 4122) of its UTF-16 code
    /// units, least byte first. Equal to the pairs that logs of Windows hosts show; not documented by Microsoft.
    pub fn of_layer_name(name: &str) -> Self {
        let mut message = LAYER_NAMESPACE.to_vec();
        message.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
        let digest = sha1(&message);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = bytes[6] & 0x0F | 0x50;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        Self(bytes)
    }

    /// From the bytes in the order in which they are written.
    pub fn from_written_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// From the three numbers and eight bytes of a Windows `GUID`.
    pub fn from_fields(first: u32, second: u16, third: u16, rest: [u8; 8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&first.to_be_bytes());
        bytes[4..6].copy_from_slice(&second.to_be_bytes());
        bytes[6..8].copy_from_slice(&third.to_be_bytes());
        bytes[8..].copy_from_slice(&rest);
        Self(bytes)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is no GUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no GUID: write 32 hexadecimal digits in groups of 8-4-4-4-12")]
pub struct InvalidGuid(String);

impl FromStr for Guid {
    type Err = InvalidGuid;

    fn from_str(text: &str) -> Result<Self, InvalidGuid> {
        let invalid = || InvalidGuid(text.to_owned());
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
            return Err(invalid());
        }
        let digits = groups.concat();
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|_| invalid())?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_ids_are_those_that_windows_hosts_have_logged() {
        for (name, guid) in [
            ("4", "bd9c3ef9-f239-59b5-a27e-15c523b1d149"),
            (
                "65bf96e5760a09edf1790cb229e2dfb2dbd0fcdc0bf7451bae099106bfbfea0c",
                "18955d65-d45a-557b-bf1c-49d6dfefc526",
            ),
            (
                "4e3c0eecb91d8fc28eda07ff06c6910a592b0ce4539476fb943b48e6934e9976",
                "cd22d128-903e-550a-9d8f-aa8134ca1c9b",
            ),
            (
                "ad2c4861a0bde8cc907358527acf736ea09a02fbb74e843104be2dbc6850b5f0",
                "217d434c-c424-5c49-88c4-197575b30137",
            ),
            ("1", "65ed1907-894d-50ff-bdcb-cc63fb515966"),
        ] {
            assert_eq!(Guid::of_layer_name(name).to_string(), guid);
            assert_eq!(guid.parse(), Ok(Guid::of_layer_name(name)));
        }
    }

    #[test]
    fn texts_of_another_form_are_no_guids() {
        for text in [
            "",
            "bd9c3ef9f23959b5a27e15c523b1d149",
            "{bd9c3ef9-f239-59b5-a27e-15c523b1d149}",
            "+d9c3ef9-f239-59b5-a27e-15c523b1d149",
            "bd9c3ef9-f239-59b5-a27e-15c523b1d14ž",
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text:?}");
        }
    }
}

//! The operands of steps and messages, and how they are encoded.

use core::ffi::CStr;

/// Where encoded bytes go.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

/// One operand of a step.
pub trait Operand<'a>: Sized {
    /// Appends the operand to `sink`.
    fn encode(&self, sink: &mut impl Sink);
    /// Takes the operand from the front of `bytes`; `None` where they do not hold one.
    fn decode(bytes: &mut &'a [u8]) -> Option<Self>;
}

pub(super) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(front)
}

macro_rules! number_operands {
    ($($number:ty),*) => {$(
        impl<'a> Operand<'a> for $number {
            fn encode(&self, sink: &mut impl Sink) {
                sink.put(&self.to_ne_bytes());
            }
            fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
                Some(Self::from_ne_bytes(take(bytes, size_of::<Self>())?.try_into().ok()?))
            }
        }
    )*};
}
number_operands!(u8, u16, u32, i32, u64);

impl<'a> Operand<'a> for bool {
    fn encode(&self, sink: &mut impl Sink) {
        u8::from(*self).encode(sink);
    }
    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        Some(u8::decode(bytes)? != 0)
    }
}

impl<'a> Operand<'a> for &'a [u8] {
    fn encode(&self, sink: &mut impl Sink) {
        (self.len() as u32).encode(sink);
        sink.put(self);
    }
    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        let length = u32::decode(bytes)?;
        take(bytes, length as usize)
    }
}

impl<'a> Operand<'a> for &'a CStr {
    fn encode(&self, sink: &mut impl Sink) {
        self.to_bytes_with_nul().encode(sink);
    }
    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        CStr::from_bytes_with_nul(<&[u8]>::decode(bytes)?).ok()
    }
}

/// A sequence of operands of one kind, encoded one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a> {
    /// How many there are.
    pub count: u32,
    /// Their encoding.
    pub bytes: &'a [u8],
}

impl<'a> List<'a> {
    /// The list without elements.
    pub const EMPTY: Self = Self {
        count: 0,
        bytes: &[],
    };

    /// The elements, as operands of type `T`; ends early where the bytes hold no such operand.
    pub fn iter<T: Operand<'a>>(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| T::decode(&mut rest))
    }
}

impl<'a> Operand<'a> for List<'a> {
    fn encode(&self, sink: &mut impl Sink) {
        self.count.encode(sink);
        self.bytes.encode(sink);
    }
    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        Some(Self {
            count: u32::decode(bytes)?,
            bytes: <&[u8]>::decode(bytes)?,
        })
    }
}

//! A program under construction: steps of the wire format, appended one by one.

use crate::wire::{List, Operand, Program, Sink, Step};

/// Encoded steps. Printing a plan decodes them again, so there is one list of steps and not two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    bytes: Vec<u8>,
}

impl Steps {
    /// Appends a step.
    pub fn push(&mut self, step: Step<'_>) {
        step.encode(&mut Bytes(&mut self.bytes));
    }

    /// The steps, in order.
    pub fn iter(&self) -> Program<'_> {
        Program(&self.bytes)
    }

    /// The encoding, as the helper reads it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

struct Bytes<'a>(&'a mut Vec<u8>);

impl Sink for Bytes<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// A list operand under construction.
#[derive(Default)]
pub struct ListBytes {
    count: u32,
    bytes: Vec<u8>,
}

impl ListBytes {
    /// Appends an element.
    pub fn push<'a>(&mut self, element: impl Operand<'a>) {
        element.encode(&mut Bytes(&mut self.bytes));
        self.count += 1;
    }

    /// The list as an operand.
    pub fn as_list(&self) -> List<'_> {
        List {
            count: self.count,
            bytes: &self.bytes,
        }
    }
}

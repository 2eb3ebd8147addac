//! Inputs of processes whose callers keep their ends beyond the end of the process.

use std::{fs::File, io, os::windows::io::OwnedHandle};

use hoist_compute::Stream;

/// The callers' ends.
#[derive(Default)]
pub struct KeptInputs(Vec<File>);

impl KeptInputs {
    /// An input that is given, whose other end is kept here; or one that is asked for, whose end is to be kept by [`KeptInputs::keep`].
    ///
    /// # Panics
    ///
    /// Where no pipe can be made.
    pub fn input(&mut self, is_given: bool) -> Stream {
        if !is_given {
            return Stream::Pipe;
        }
        let (reader, writer) = io::pipe().unwrap();
        self.keep(Some(OwnedHandle::from(writer).into()));
        Stream::Given(OwnedHandle::from(reader).into())
    }

    /// Keeps the end of an input that was asked for.
    pub fn keep(&mut self, end: Option<File>) {
        self.0.extend(end);
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

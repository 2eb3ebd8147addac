//! What an event loop waits for: not ready, then ready for ever.

#[cfg(windows)]
pub(super) use on_windows::Ready;

#[cfg(unix)]
pub(super) use on_unix::Ready;

#[cfg(windows)]
mod on_windows {
    use std::io;

    use hoist_compute::Readiness;

    use hoist_windows::event::Event;

    /// An event.
    pub(in super::super) struct Ready(Event);

    impl Ready {
        pub(in super::super) fn new() -> io::Result<Self> {
            Event::new().map(Self)
        }

        pub(in super::super) fn set(&self) {
            self.0.set();
        }

        pub(in super::super) fn readiness(&self) -> Readiness<'_> {
            self.0.as_handle()
        }
    }
}

#[cfg(unix)]
mod on_unix {
    use std::{
        io::{self, PipeReader, PipeWriter},
        os::fd::AsFd,
        sync::Mutex,
    };

    use hoist_compute::Readiness;

    /// A pipe whose reading end becomes ready when the writing end is closed.
    pub(in super::super) struct Ready {
        reader: PipeReader,
        writer: Mutex<Option<PipeWriter>>,
    }

    impl Ready {
        pub(in super::super) fn new() -> io::Result<Self> {
            let (reader, writer) = io::pipe()?;
            Ok(Self {
                reader,
                writer: Mutex::new(Some(writer)),
            })
        }

        pub(in super::super) fn set(&self) {
            self.writer
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .take();
        }

        pub(in super::super) fn readiness(&self) -> Readiness<'_> {
            self.reader.as_fd()
        }
    }
}

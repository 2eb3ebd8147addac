//! Steps, their encoding, and the messages on the control socket.
//!
//! The encoding is private to one build of Hoist (the helper is embedded in the program that speaks to it), so it has
//! no versions: native byte order, operands in declaration order, nothing aligned.

mod call;
mod message;
mod operand;
mod slot;
mod step;

pub use call::Call;
pub use message::{KeptEnd, Message, MessageKind};
pub use operand::{List, Operand, Sink};
pub use slot::Slot;
pub use step::{Covered, Program, Step};

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::ffi::CStr;
    use std::vec::Vec;

    struct Bytes(Vec<u8>);
    impl Sink for Bytes {
        fn put(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }

    #[test]
    fn a_program_is_read_back_as_it_was_written() {
        let mut options = Bytes(Vec::new());
        c"size".encode(&mut options);
        c"64m".encode(&mut options);
        let steps = [
            Step::NewSession {},
            Step::Mount {
                kind: c"tmpfs",
                source: c"shm",
                options: List {
                    count: 2,
                    bytes: &options.0,
                },
                attributes: 7,
                propagation: 0,
                target: c"/dev/shm",
                no_links: false,
                covered: Covered::Content,
                out: Slot::NONE,
            },
            Step::LoadSeccomp {
                filter: &[1, 2, 3],
                flags: 9,
            },
        ];
        let mut bytes = Bytes(Vec::new());
        steps.iter().for_each(|step| step.encode(&mut bytes));
        assert!(Program(&bytes.0).eq(steps));
        let Step::Mount { options, .. } = steps[1] else {
            unreachable!()
        };
        assert!(options.iter::<&CStr>().eq([c"size", c"64m"]));
    }

    #[test]
    fn cut_bytes_end_the_program_and_never_panic() {
        let mut bytes = Bytes(Vec::new());
        Step::Bind {
            source: c"/a",
            tree: Slot::NONE,
            target: c"/b",
            recursive: true,
            set: 1,
            clear: 2,
            attributes_recursive: true,
            propagation: 3,
            device: false,
            below: c"sub",
            copy_up: true,
        }
        .encode(&mut bytes);
        for length in 0..bytes.0.len() {
            assert_eq!(Program(&bytes.0[..length]).count(), 0);
        }
    }

    #[test]
    fn a_message_is_read_back_as_it_was_written() {
        let message = Message {
            kind: MessageKind::Failed,
            step: 7,
            errno: 13,
            call: Call::MoveMount as u32,
            value: 1 << 40,
        };
        assert_eq!(Message::from_bytes(&message.to_bytes()), Some(message));
        assert_eq!(Message::from_bytes(&[0; 24]), None);
    }
}

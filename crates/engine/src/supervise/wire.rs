//! What a supervisor and its clients say to each other: packets of a `SOCK_SEQPACKET` socket (unix(7)), whose first byte
//! tells the kind. Streams follow as they are, everything else as JSON.

use std::{io, path::PathBuf};

use hoist_compute::ExitStatus;
use hoist_spec::{ConsoleSize, ContainerId, ExecId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{OutputStream, RestartPolicy};

/// The most bytes of a stream in one packet.
pub(crate) const MOST_DATA: usize = 16 * 1024;
/// The longest packet: an error with all its causes may be longer than a piece of a stream.
pub(crate) const LONGEST: usize = 64 * 1024;

/// The first packet that a supervisor gets: what it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaunchRequest {
    pub(crate) state_root: PathBuf,
    pub(crate) data_root: PathBuf,
    pub(crate) id: ContainerId,
    /// The size with which a console begins.
    pub(crate) console: Option<ConsoleSize>,
    /// Attach who launches it before the container starts.
    pub(crate) attach: Option<AttachRequest>,
    /// Start and own this exec of the container, instead of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exec: Option<ExecId>,
}

/// How an exec is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartExecRequest {
    /// The size with which a console begins.
    pub(crate) console: Option<ConsoleSize>,
    /// Attach who asks for it before it starts.
    pub(crate) attach: Option<AttachRequest>,
}

/// What a client wants to have to do with the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachRequest {
    /// It sends input.
    pub(crate) input: bool,
    /// It wants the output.
    pub(crate) output: bool,
    /// The container waits for as long as this client takes nothing, as for a terminal.
    pub(crate) patient: bool,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exited {
    pub(crate) status: ExitStatus,
    /// It will be started once more.
    pub(crate) restarting: bool,
}

/// One packet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packet<'a> {
    /// To the supervisor: start.
    Launch(LaunchRequest),
    /// To the supervisor: what follows is about this exec, and not about the container.
    About(ExecId),
    /// To the supervisor: start the exec. Answered by `Started` or `Failed`.
    StartExec(StartExecRequest),
    /// To the supervisor: attach me. Answered by `Attached` or `Failed`.
    Attach(AttachRequest),
    /// To the supervisor: tell me how the present run ends, when all it wrote is in the log.
    Watch,
    /// To the supervisor: do not start it once more. Answered by `Held`.
    Hold,
    /// To the supervisor: from now on this says when it is started once more. Answered by `Changed` or `Failed`.
    Policy(RestartPolicy),
    /// To the supervisor: for the container's standard input.
    Input(&'a [u8]),
    /// To the supervisor: there will be no more input, from whomever.
    EndInput,
    /// To the supervisor: the console has another size.
    Resize(ConsoleSize),
    /// From the supervisor: the process with this id runs its program.
    Started(u32),
    /// From the supervisor: what was asked for failed, with the error as JSON.
    Failed(serde_json::Value),
    /// From the supervisor: you are attached; whether to a console.
    Attached(bool),
    /// From the supervisor: this was written.
    Output(OutputStream, &'a [u8]),
    /// From the supervisor: so many bytes were written that you did not take in time.
    Lost(u64),
    /// From the supervisor: the run has ended.
    Exited(Exited),
    /// From the supervisor: it is not started once more.
    Held,
    /// From the supervisor: the policy is another one.
    Changed,
}

impl<'a> Packet<'a> {
    /// The packet as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Launch(request) => json(b'L', request),
            Self::About(exec) => json(b'O', exec),
            Self::StartExec(request) => json(b'X', request),
            Self::Attach(request) => json(b'A', request),
            Self::Watch => vec![b'W'],
            Self::Hold => vec![b'H'],
            Self::Policy(policy) => json(b'P', policy),
            Self::Input(bytes) => data(b'I', bytes),
            Self::EndInput => vec![b'E'],
            Self::Resize(size) => json(b'R', size),
            Self::Started(pid) => json(b's', pid),
            Self::Failed(error) => json(b'f', error),
            Self::Attached(console) => json(b'a', console),
            Self::Output(OutputStream::Stdout, bytes) => data(b'1', bytes),
            Self::Output(OutputStream::Stderr, bytes) => data(b'2', bytes),
            Self::Lost(count) => json(b'l', count),
            Self::Exited(exited) => json(b'x', exited),
            Self::Held => vec![b'h'],
            Self::Changed => vec![b'c'],
        }
    }

    /// Reads a packet.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> io::Result<Self> {
        let (kind, body) = bytes.split_first().ok_or(io::ErrorKind::InvalidData)?;
        Ok(match kind {
            b'L' => Self::Launch(parse(body)?),
            b'O' => Self::About(parse(body)?),
            b'X' => Self::StartExec(parse(body)?),
            b'A' => Self::Attach(parse(body)?),
            b'W' => Self::Watch,
            b'H' => Self::Hold,
            b'P' => Self::Policy(parse(body)?),
            b'I' => Self::Input(body),
            b'E' => Self::EndInput,
            b'R' => Self::Resize(parse(body)?),
            b's' => Self::Started(parse(body)?),
            b'f' => Self::Failed(parse(body)?),
            b'a' => Self::Attached(parse(body)?),
            b'1' => Self::Output(OutputStream::Stdout, body),
            b'2' => Self::Output(OutputStream::Stderr, body),
            b'l' => Self::Lost(parse(body)?),
            b'x' => Self::Exited(parse(body)?),
            b'h' => Self::Held,
            b'c' => Self::Changed,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

fn data(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(1 + bytes.len());
    packet.push(kind);
    packet.extend_from_slice(bytes);
    packet
}

fn json(kind: u8, value: &impl Serialize) -> Vec<u8> {
    let mut packet = vec![kind];
    // Plain values of our own: they have no keys that are not text, and a vector takes every byte.
    let _ = serde_json::to_writer(&mut packet, value);
    packet
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_is_read_as_it_was_written() {
        let launch = LaunchRequest {
            state_root: "/run/hoist".into(),
            data_root: "/var/lib/hoist".into(),
            id: "abc".parse().unwrap(),
            console: Some(ConsoleSize {
                height: 24,
                width: 80,
            }),
            attach: None,
            exec: Some("def".parse().unwrap()),
        };
        let attach = AttachRequest {
            input: true,
            output: false,
            patient: true,
        };
        for packet in [
            Packet::Launch(launch),
            Packet::About("def".parse().unwrap()),
            Packet::StartExec(StartExecRequest {
                console: None,
                attach: Some(attach),
            }),
            Packet::Attach(attach),
            Packet::Watch,
            Packet::Hold,
            Packet::Policy(RestartPolicy::OnFailure { most: Some(3) }),
            Packet::Changed,
            Packet::Input(b"\0\xff"),
            Packet::EndInput,
            Packet::Resize(ConsoleSize {
                height: 1,
                width: 2,
            }),
            Packet::Started(7),
            Packet::Failed(serde_json::json!({"kind": "system"})),
            Packet::Attached(true),
            Packet::Output(OutputStream::Stdout, b""),
            Packet::Output(OutputStream::Stderr, b"x\n"),
            Packet::Lost(u64::MAX),
            Packet::Exited(Exited {
                status: ExitStatus::exited(3),
                restarting: false,
            }),
            Packet::Held,
        ] {
            assert_eq!(Packet::from_bytes(&packet.to_bytes()).unwrap(), packet);
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for bytes in [&b""[..], b"?", b"A", b"A{}", b"s-1", b"R[1]"] {
            assert!(Packet::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}

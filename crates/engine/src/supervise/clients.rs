//! Those who are connected to a supervisor: what they are owed, and for whom the container waits.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use hoist_spec::ExecId;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};

use super::{
    OutputStream,
    wire::{AttachRequest, LONGEST, Packet},
};

/// How much output is kept for a client that is slower than the container.
const MOST_QUEUED: usize = 64 * 1024;
/// How long the container waits for such a client.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many may be connected at once.
const MOST_CLIENTS: usize = 64;

/// One who is connected.
#[derive(Debug)]
pub(super) struct Client {
    socket: OwnedFd,
    /// The exec that it speaks of; `None`: the container.
    pub(super) about: Option<ExecId>,
    /// Wants to know whether that exec could be started.
    pub(super) awaits_start: bool,
    pub(super) attached: Option<AttachRequest>,
    /// Wants to know how the run ends.
    pub(super) watches: bool,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    /// Since when nothing of a full queue was taken.
    full_since: Option<Instant>,
    lost: u64,
    gone: bool,
}

impl Client {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            about: None,
            awaits_start: false,
            attached: None,
            watches: false,
            queue: VecDeque::new(),
            queued: 0,
            full_since: None,
            lost: 0,
            gone: false,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn sends_input(&self) -> bool {
        self.attached.is_some_and(|attached| attached.input)
    }

    pub(super) fn is_owed(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Sends a packet, at once or when there is room.
    pub(super) fn tell(&mut self, packet: &Packet<'_>) {
        self.put(packet.to_bytes());
    }

    fn put(&mut self, bytes: Vec<u8>) {
        self.queued += bytes.len();
        self.queue.push_back(bytes);
        self.flush();
    }

    /// Sends output to one who wants it. One who has not taken anything for long gets none, and is told how much that was.
    fn give(&mut self, bytes: &[u8], length: usize, now: Instant) {
        if self.lost > 0 || (self.queued >= MOST_QUEUED && !self.holds_up(now)) {
            self.lost += length as u64;
        } else {
            self.put(bytes.to_vec());
        }
    }

    /// Sends of what is queued as much as the socket takes.
    pub(super) fn flush(&mut self) {
        while let Some(packet) = self.queue.front() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::io::retry_on_intr(|| send(&self.socket, packet, flags)) {
                Ok(_) => {
                    self.queued -= packet.len();
                    self.queue.pop_front();
                    self.full_since = None;
                }
                Err(Errno::AGAIN | Errno::NOBUFS) => break,
                Err(_) => {
                    self.leave();
                    return;
                }
            }
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
            if self.lost > 0 {
                let lost = std::mem::take(&mut self.lost);
                self.tell(&Packet::Lost(lost));
            }
        }
        if self.queued >= MOST_QUEUED {
            self.full_since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether the container has to wait for this client.
    fn holds_up(&self, now: Instant) -> bool {
        let patient = self.attached.is_some_and(|attached| attached.patient);
        self.queued >= MOST_QUEUED
            && self
                .full_since
                .is_some_and(|since| patient || now < since + PATIENCE)
    }

    fn leave(&mut self) {
        self.gone = true;
        self.queue.clear();
        self.queued = 0;
    }

    /// Reads one packet into `buffer`; `None` where there is none at the moment, or never will be.
    pub(super) fn receive<'a>(&mut self, buffer: &'a mut [u8; LONGEST]) -> Option<Packet<'a>> {
        let received =
            rustix::io::retry_on_intr(|| recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT));
        match received {
            Ok((count, _)) if count > 0 => match Packet::from_bytes(&buffer[..count]) {
                Ok(packet) => return Some(packet),
                // It speaks another language.
                Err(_) => self.leave(),
            },
            Err(Errno::AGAIN) => {}
            _ => self.leave(),
        }
        None
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Clients(pub(super) Vec<Client>);

impl Clients {
    /// Takes one more, unless there are too many.
    pub(super) fn add(&mut self, socket: OwnedFd) {
        if self.0.len() < MOST_CLIENTS {
            self.0.push(Client::new(socket));
        }
    }

    pub(super) fn forget_gone(&mut self) {
        self.0.retain(|client| !client.gone);
    }

    /// Passes output of the container, or of an exec, on.
    pub(super) fn give(&mut self, about: Option<&ExecId>, stream: OutputStream, bytes: &[u8]) {
        let wants = |client: &&mut Client| {
            client.about.as_ref() == about
                && client.attached.is_some_and(|attached| attached.output)
        };
        let mut takers = self.0.iter_mut().filter(wants).peekable();
        if takers.peek().is_none() {
            return;
        }
        let packet = Packet::Output(stream, bytes).to_bytes();
        let now = Instant::now();
        takers.for_each(|client| client.give(&packet, bytes.len(), now));
    }

    /// Tells those who are attached or watch how the run of the container, or of an exec, has ended; with that they are neither
    /// any more.
    pub(super) fn tell_end(&mut self, about: Option<&ExecId>, packet: &Packet<'_>) {
        for client in &mut self.0 {
            if client.about.as_ref() != about {
                continue;
            }
            if client.watches || client.attached.is_some() {
                client.tell(packet);
                client.watches = false;
                client.attached = client.attached.filter(|attached| attached.patient);
            }
        }
    }

    /// Whether output of the container, or of an exec, must not be read now, because somebody has no room for it.
    pub(super) fn hold_up(&self, about: Option<&ExecId>) -> bool {
        let now = Instant::now();
        let mut takers = self.0.iter();
        takers.any(|client| client.about.as_ref() == about && client.holds_up(now))
    }

    /// When the container will no longer wait for those it waits for now.
    pub(super) fn patience_ends(&self) -> Option<Instant> {
        let since = self.0.iter().filter_map(|client| client.full_since).min();
        since.map(|since| since + PATIENCE)
    }

    /// Whether somebody who may take his time has not got everything.
    pub(super) fn is_owed(&self, patient_only: bool) -> bool {
        self.0.iter().any(|client| {
            client.is_owed()
                && (!patient_only || client.attached.is_some_and(|attached| attached.patient))
        })
    }
}

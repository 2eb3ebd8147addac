//! Messages of processes to each other, and the words that one is started with.

use hoist_init::wire::{Message, Program};

/// What a helper says, and the steps that it is told.
pub(super) fn helper(bytes: &[u8]) {
    if let Some(message) = Message::from_bytes(bytes) {
        assert_eq!(Message::from_bytes(&message.to_bytes()), Some(message));
    }
    Program(bytes).for_each(|step| drop(format!("{step:?}")));
}

/// Packets at a supervisor's socket, and its files.
#[cfg(target_os = "linux")]
pub(super) fn supervisor(bytes: &[u8]) {
    use hoist::supervise::{SuperviseOptions, SupervisorStatus};
    hoist::fuzzing::supervisor_packet(bytes);
    let _ = serde_json::from_slice::<SuperviseOptions>(bytes);
    let _ = serde_json::from_slice::<SupervisorStatus>(bytes);
}

/// What systemd answers.
#[cfg(target_os = "linux")]
pub(super) fn systemd(bytes: &[u8]) {
    hoist_linux::fuzzing::bus_message(bytes);
}

/// The command line of the OCI runtime, a word each line.
#[cfg(target_os = "linux")]
pub(super) fn command_line(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        hoist_oci::fuzzing::command_line(text);
    }
}

/// What a container says to the OCI runtime's notify socket.
#[cfg(target_os = "linux")]
pub(super) fn notification(bytes: &[u8]) {
    hoist_oci::fuzzing::notification(bytes);
}

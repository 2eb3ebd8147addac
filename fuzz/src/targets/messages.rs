//! Messages of processes to each other.

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

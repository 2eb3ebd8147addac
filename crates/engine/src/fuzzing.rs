//! What reads foreign bytes and is reached by no public function, for the fuzz targets (`fuzz`).

use crate::supervise::Packet;

/// A packet between a supervisor and its clients: what is taken for one is read again as the same.
///
/// # Panics
/// Where it is not.
pub fn supervisor_packet(bytes: &[u8]) {
    let Ok(packet) = Packet::from_bytes(bytes) else {
        return;
    };
    if let Packet::Failed(value) = packet {
        // JSON of whatever sort, whose numbers may lose a last digit: what counts is the error.
        let _ = hoist_compute::Error::from_json(value).map(|error| error.to_string());
        return;
    }
    let written = packet.to_bytes();
    let again = Packet::from_bytes(&written).ok();
    assert!(
        again.as_ref() == Some(&packet),
        "{packet:?} became {again:?}"
    );
}

//! What reads foreign bytes and is reached by no public function, for the fuzz targets (`fuzz`).

use crate::systemd::message::{PREFIX, Received, rest_of};

/// A message of the bus, and every way to read its arguments.
pub fn bus_message(bytes: &[u8]) {
    if let Some(prefix) = bytes.first_chunk::<PREFIX>() {
        let _ = rest_of(prefix);
    }
    let Some(message) = Received::read(bytes) else {
        return;
    };
    let mut body = message.body();
    while body.text().is_some() {}
    let _ = (body.number(), body.signature(), body.text_in_variant());
    let _ = message.body().text_in_variant();
    let _ = message.body().number();
}

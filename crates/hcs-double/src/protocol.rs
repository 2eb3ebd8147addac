//! What goes between a client's DLL and the double's service: lengths and JSON.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The export.
    pub(crate) function: String,
    /// The process that calls.
    pub(crate) client: u32,
    /// A system, a process or a callback.
    pub(crate) handle: usize,
    /// A process id, or the number of a callback.
    pub(crate) number: usize,
    /// Ids and documents, in the order of the parameters.
    pub(crate) texts: Vec<String>,
}

/// What a call comes to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) hresult: i32,
    pub(crate) handle: usize,
    pub(crate) pid: u32,
    /// Handles of the client's; 0: none.
    pub(crate) streams: [usize; 3],
    /// The answer.
    pub(crate) answer: Option<String>,
    /// The result document.
    pub(crate) document: Option<String>,
}

/// A notification.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// The number of the callback.
    pub(crate) callback: usize,
    pub(crate) kind: u32,
    pub(crate) status: i32,
}

pub(crate) fn send<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(text);
    to.write_all(&bytes)
}

pub(crate) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut text = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

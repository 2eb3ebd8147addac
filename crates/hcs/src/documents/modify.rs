//! Requests that change a running system or process.

use serde::Serialize;

/// Sets the size of a process's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Resize {
    operation: &'static str,
    console_size: ConsoleSize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConsoleSize {
    height: u16,
    width: u16,
}

impl Resize {
    /// To this size.
    pub fn to(size: hoist_spec::ConsoleSize) -> Self {
        Self {
            operation: "ConsoleSize",
            console_size: ConsoleSize {
                height: size.height,
                width: size.width,
            },
        }
    }
}

/// Closes the service's side of one of a process's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CloseHandle {
    operation: &'static str,
    close_handle: Handle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Handle {
    handle: &'static str,
}

impl CloseHandle {
    /// Of standard input: the process reads its end.
    pub fn stdin() -> Self {
        Self {
            operation: "CloseHandle",
            close_handle: Handle { handle: "StdIn" },
        }
    }
}

/// A console event to be delivered to a process. Needs build 17763.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ConsoleEvent {
    /// Ctrl+C.
    CtrlC,
    /// Ctrl+Break.
    CtrlBreak,
    /// The console is closed.
    CtrlClose,
    /// The user logs off.
    CtrlLogOff,
    /// The machine shuts down.
    CtrlShutdown,
}

/// Options of `HcsSignalProcess`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SignalOptions {
    /// What to deliver.
    pub signal: ConsoleEvent,
}

/// A change of a running system, schema 2.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifySetting {
    /// What to change, such as `Container/Memory/SizeInMB`.
    pub resource_path: String,
    /// `Add`, `Remove` or `Update`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub request_type: &'static str,
    /// The new setting; its form depends on the path.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub settings: serde_json::Value,
}

impl ModifySetting {
    /// Limits memory to so many bytes, in mebibytes rounded up to an even number as the service wants it.
    pub fn memory(bytes: u64) -> Self {
        let mebibytes = bytes.div_ceil(1 << 20);
        Self {
            resource_path: "Container/Memory/SizeInMB".to_owned(),
            request_type: "Update",
            settings: (mebibytes + mebibytes % 2).into(),
        }
    }

    /// Limits processor time: exactly one of count, maximum and weight. Needs build 19042.
    pub fn processor(processor: super::schema2::Processor) -> Result<Self, serde_json::Error> {
        Ok(Self {
            resource_path: "Container/Processor".to_owned(),
            request_type: "Update",
            settings: serde_json::to_value(processor)?,
        })
    }
}

/// A change of a running system, schema 1: attaching and detaching an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyNetwork {
    resource_type: &'static str,
    settings: String,
    request_type: &'static str,
}

impl ModifyNetwork {
    /// Attaches the endpoint of this id.
    pub fn add(endpoint: impl Into<String>) -> Self {
        Self {
            resource_type: "Network",
            settings: endpoint.into(),
            request_type: "Add",
        }
    }

    /// Detaches the endpoint of this id.
    pub fn remove(endpoint: impl Into<String>) -> Self {
        Self {
            request_type: "Remove",
            ..Self::add(endpoint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::to_text;

    #[test]
    fn requests_are_written_as_the_service_reads_them() {
        let size = hoist_spec::ConsoleSize {
            height: 0,
            width: 4464,
        };
        assert_eq!(
            to_text(&Resize::to(size)).unwrap(),
            r#"{"Operation":"ConsoleSize","ConsoleSize":{"Height":0,"Width":4464}}"#
        );
        assert_eq!(
            to_text(&CloseHandle::stdin()).unwrap(),
            r#"{"Operation":"CloseHandle","CloseHandle":{"Handle":"StdIn"}}"#
        );
        let signal = ConsoleEvent::CtrlShutdown;
        assert_eq!(
            to_text(&SignalOptions { signal }).unwrap(),
            r#"{"Signal":"CtrlShutdown"}"#
        );
        assert_eq!(
            to_text(&ModifyNetwork::remove("e1")).unwrap(),
            r#"{"ResourceType":"Network","Settings":"e1","RequestType":"Remove"}"#
        );
    }

    #[test]
    fn memory_is_sent_as_an_even_number_of_mebibytes() {
        assert_eq!(ModifySetting::memory((100 << 20) + 1).settings, 102);
        assert_eq!(ModifySetting::memory(100 << 20).settings, 100);
        assert_eq!(ModifySetting::memory(1).settings, 2);
    }
}

//! The documents that the double takes, every field by name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A document that makes a system, schema 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", default)]
#[derive(Default)]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct Container {
    pub system_type: String,
    pub name: String,
    pub owner: String,
    pub volume_path: String,
    pub ignore_flushes_during_boot: bool,
    pub layer_folder_path: String,
    pub layers: Option<Vec<Layer>>,
    pub credentials: String,
    pub processor_count: u32,
    pub processor_weight: u64,
    pub processor_maximum: i64,
    #[serde(rename = "StorageIOPSMaximum")]
    pub storage_iops_maximum: u64,
    pub storage_bandwidth_maximum: u64,
    pub storage_sandbox_size: u64,
    #[serde(rename = "MemoryMaximumInMB")]
    pub memory_maximum_in_mb: i64,
    pub host_name: String,
    pub mapped_directories: Vec<Value>,
    pub mapped_pipes: Vec<Value>,
    pub hv_partition: bool,
    pub network_shared_container_name: String,
    pub endpoint_list: Vec<String>,
    pub hv_runtime: Option<Value>,
    pub servicing: bool,
    #[serde(rename = "AllowUnqualifiedDNSQuery")]
    pub allow_unqualified_dns_query: bool,
    #[serde(rename = "DNSSearchList")]
    pub dns_search_list: String,
    pub assigned_devices: Vec<Value>,
}

/// A layer of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct Layer {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Path")]
    pub path: String,
}

/// A document that makes a process.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct Process {
    pub application_name: String,
    pub command_line: String,
    pub user: String,
    pub working_directory: String,
    pub environment: BTreeMap<String, String>,
    pub emulate_console: bool,
    pub create_std_in_pipe: bool,
    pub create_std_out_pipe: bool,
    pub create_std_err_pipe: bool,
    /// Names of the client's pipes, as clients before Docker 1.9 gave them.
    pub std_in_pipe: String,
    pub std_out_pipe: String,
    pub std_err_pipe: String,
    pub console_size: [u16; 2],
}

/// A document that changes a process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct Modify {
    pub operation: String,
    #[serde(default)]
    pub console_size: Option<ConsoleSize>,
    #[serde(default)]
    pub close_handle: Option<CloseHandle>,
}

/// A console's new size.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct ConsoleSize {
    pub height: u16,
    pub width: u16,
}

/// A stream that ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct CloseHandle {
    pub handle: String,
}

/// Options of a signal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct Signal {
    pub signal: String,
}

/// Which properties of a system to tell.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct PropertyQuery {
    pub property_types: Vec<String>,
}

/// Which systems to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct SystemQuery {
    pub ids: Vec<String>,
    pub types: Vec<String>,
    pub owners: Vec<String>,
}

/// A document that changes a system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are the service's own")]
pub struct ModifySystem {
    #[serde(default)]
    pub resource_path: Option<String>,
    #[serde(default)]
    pub resource_type: Option<String>,
    #[serde(default)]
    pub request_type: Option<String>,
    #[serde(default)]
    pub settings: Option<Value>,
}

/// Reads a document of which nothing but its form is checked.
macro_rules! read_plainly {
    ($($name:ident)*) => {$(
        impl $name {
            /// Reads it.
            ///
            /// # Errors
            /// What is wrong, in words.
            pub fn read(text: &str) -> Result<Self, String> {
                serde_json::from_str(text).map_err(|error| error.to_string())
            }
        }
    )*};
}

read_plainly! { ModifySystem PropertyQuery Signal SystemQuery }

impl Modify {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, in words: also an operation without what it is about, or with something else.
    pub fn read(text: &str) -> Result<Self, String> {
        let document: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match (
            document.operation.as_str(),
            &document.console_size,
            &document.close_handle,
        ) {
            ("ConsoleSize", Some(_), None) => Ok(document),
            ("CloseHandle", None, Some(close)) if close.handle == "StdIn" => Ok(document),
            (operation, ..) => Err(format!("{operation} has no such settings")),
        }
    }
}

impl Container {
    /// Reads it, and checks what the service would.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        let document: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if document.system_type != "Container" {
            return Err("SystemType is not Container".to_owned());
        }
        if document.name.is_empty() {
            return Err("Name is empty".to_owned());
        }
        for layer in document.layers.iter().flatten() {
            let name = layer.path.rsplit(['\\', '/']).next().unwrap_or_default();
            if !layer.id.eq_ignore_ascii_case(&written(layer_id(name))) {
                return Err(format!("{} is not the id of {}", layer.id, layer.path));
            }
        }
        Ok(document)
    }
}

/// The id of a layer's name. Not the one that Windows gives, which clients are not to know by themselves: another for each name, and always
/// the same (FNV-1a, twice).
pub fn layer_id(name: &str) -> u128 {
    let half = |basis: u64| {
        name.bytes().fold(basis, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let (high, low) = (half(0xcbf2_9ce4_8422_2325), half(0x9e37_79b9_7f4a_7c15));
    u128::from(high) << 64 | u128::from(low)
}

/// It as documents write it.
fn written(id: u128) -> String {
    let digits = format!("{id:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}

impl Process {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        let document: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if document.command_line.is_empty() {
            return Err("CommandLine is empty".to_owned());
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_an_error() {
        assert!(Container::read(r#"{"SystemType":"Container","Name":"c"}"#).is_ok());
        assert!(
            Container::read(r#"{"SystemType":"Container","Name":"c","Hostname":"h"}"#).is_err()
        );
        assert!(Container::read(r#"{"SystemType":"VirtualMachine","Name":"c"}"#).is_err());
        let layered = |id: &str| {
            Container::read(&format!(
                r#"{{"SystemType":"Container","Name":"c","Layers":[{{"ID":"{id}","Path":"C:/l/base"}}]}}"#
            ))
        };
        assert!(layered(&written(layer_id("base"))).is_ok());
        assert!(layered(&written(layer_id("other"))).is_err());
        assert!(Process::read(r#"{"CommandLine":"cmd","ConsoleSize":[0,0]}"#).is_ok());
        assert!(Process::read(r#"{"Commandline":"cmd"}"#).is_err());
        assert!(
            Modify::read(r#"{"Operation":"CloseHandle","CloseHandle":{"Handle":"StdIn"}}"#).is_ok()
        );
        assert!(Modify::read(r#"{"operation":"x"}"#).is_err());
        let resize = |size| Modify::read(&format!(r#"{{"Operation":"ConsoleSize",{size}}}"#));
        assert!(resize(r#""ConsoleSize":{"Height":24,"Width":80}"#).is_ok());
        assert!(resize(r#""ConsoleSize":{"Height":24}"#).is_err());
        assert!(resize(r#""ConsoleSize":{"Height":24,"Width":65536}"#).is_err());
        assert!(resize(r#""CloseHandle":{"Handle":"StdIn"}"#).is_err());
        assert!(PropertyQuery::read("{}").is_ok());
        assert!(PropertyQuery::read(r#"{"PropertyType":["Statistics"]}"#).is_err());
        assert!(Signal::read(r#"{"Signal":"CtrlC"}"#).is_ok() && Signal::read("{}").is_err());
    }
}

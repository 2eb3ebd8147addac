//! Questions about systems, and their answers.

use serde::{Deserialize, Serialize};

/// Asks whether updates wait to be installed: the very text that clients of that time sent, spaces included.
pub const PENDING_UPDATES_QUERY: &str = r#"{ "PropertyTypes" : ["PendingUpdates"]}"#;

/// Which properties of a system to tell; none: the basic ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PropertyQuery {
    /// What is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub property_types: Vec<PropertyType>,
}

/// A group of properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PropertyType {
    /// Processor time, memory, storage, network.
    Statistics,
    /// Every process.
    ProcessList,
}

/// Which systems to list; an empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SystemQuery {
    /// By id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// By type, such as `Container`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// By management stack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
}

/// What the service says of a system. What it leaves out is empty, false or zero.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SystemProperties {
    /// Its id.
    pub id: String,
    /// `Created`, `Running`, `Paused`, `Stopped`, …; empty on builds that do not tell.
    pub state: String,
    /// `Container` or `VirtualMachine`.
    pub system_type: String,
    /// The management stack.
    pub owner: String,
    /// The virtual machine's id, for a utility VM.
    pub runtime_id: String,
    /// Whether it has ended.
    pub stopped: bool,
    /// `GracefulExit`, `ForcedExit`, `UnexpectedExit`, …
    pub exit_type: String,
    /// Whether updates wait to be installed.
    pub are_updates_pending: bool,
    /// What it uses, where asked for.
    pub statistics: Option<Statistics>,
    /// Its processes, where asked for.
    pub process_list: Option<Vec<ProcessDetails>>,
}

/// What a system uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Statistics {
    /// When it was started (RFC 3339).
    pub container_start_time: String,
    /// For how long it runs, in units of 100 ns.
    #[serde(rename = "Uptime100ns")]
    pub uptime_100ns: u64,
    /// Memory.
    pub memory: MemoryStatistics,
    /// Processor time.
    pub processor: ProcessorStatistics,
    /// Storage.
    pub storage: StorageStatistics,
}

/// Memory that a system uses, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MemoryStatistics {
    /// Committed now.
    pub memory_usage_commit_bytes: u64,
    /// The most that was ever committed.
    pub memory_usage_commit_peak_bytes: u64,
    /// Its own working set.
    pub memory_usage_private_working_set_bytes: u64,
}

/// Processor time that a system has used, in units of 100 ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProcessorStatistics {
    /// In all.
    #[serde(rename = "TotalRuntime100ns")]
    pub total_runtime_100ns: u64,
    /// In its own code.
    #[serde(rename = "RuntimeUser100ns")]
    pub runtime_user_100ns: u64,
    /// In the kernel.
    #[serde(rename = "RuntimeKernel100ns")]
    pub runtime_kernel_100ns: u64,
}

/// What a system has read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StorageStatistics {
    /// Reads, normalised.
    pub read_count_normalized: u64,
    /// Bytes read.
    pub read_size_bytes: u64,
    /// Writes, normalised.
    pub write_count_normalized: u64,
    /// Bytes written.
    pub write_size_bytes: u64,
}

/// One process of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProcessDetails {
    /// Its id.
    pub process_id: u32,
    /// The name of its image.
    pub image_name: String,
    /// When it was started (RFC 3339).
    pub create_timestamp: String,
    /// Time in its own code, in units of 100 ns.
    #[serde(rename = "UserTime100ns")]
    pub user_time_100ns: u64,
    /// Time in the kernel, in units of 100 ns.
    #[serde(rename = "KernelTime100ns")]
    pub kernel_time_100ns: u64,
    /// Its own working set in bytes.
    pub memory_working_set_private_bytes: u64,
}

impl SystemProperties {
    /// Reads the answer to a [`PropertyQuery`].
    ///
    /// # Errors
    /// Where it is not such a document; an empty answer is none.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Reads the answer to a [`SystemQuery`]: a list, or `null` for none.
    ///
    /// # Errors
    /// Where it is not such a document.
    pub fn read_list(text: &str) -> Result<Vec<Self>, serde_json::Error> {
        Ok(serde_json::from_str::<Option<Vec<Self>>>(text)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::to_text;

    #[test]
    fn an_answer_may_leave_out_what_is_zero_and_hold_what_is_not_known() {
        let read = SystemProperties::read(
            r#"{"Id":"c1","State":"Running","Unknown":{"a":1},"Statistics":{"Uptime100ns":36000000000,
            "Processor":{"TotalRuntime100ns":91,"RuntimeUser100ns":60,"RuntimeKernel100ns":31},
            "Memory":{"MemoryUsageCommitBytes":4096},"Storage":{"ReadSizeBytes":512}}}"#,
        )
        .unwrap();
        let statistics = read.statistics.unwrap();
        assert_eq!(statistics.processor.total_runtime_100ns, 91);
        assert_eq!(statistics.memory.memory_usage_commit_bytes, 4096);
        assert_eq!(statistics.storage.write_size_bytes, 0);
        assert!(!read.are_updates_pending && read.process_list.is_none());
        assert!(SystemProperties::read("").is_err());
    }

    #[test]
    fn a_list_may_be_null() {
        assert!(SystemProperties::read_list("null").unwrap().is_empty());
        let list =
            SystemProperties::read_list(r#"[{"Id":"a"},{"Id":"b","Stopped":true}]"#).unwrap();
        assert_eq!(list.len(), 2);
        assert!(list[1].stopped);
    }

    #[test]
    fn queries_name_only_what_is_asked() {
        assert_eq!(to_text(&PropertyQuery::default()).unwrap(), "{}");
        let query = PropertyQuery {
            property_types: vec![PropertyType::Statistics, PropertyType::ProcessList],
        };
        assert_eq!(
            to_text(&query).unwrap(),
            r#"{"PropertyTypes":["Statistics","ProcessList"]}"#
        );
        let query = SystemQuery {
            owners: vec!["hoist".to_owned()],
            ..SystemQuery::default()
        };
        assert_eq!(to_text(&query).unwrap(), r#"{"Owners":["hoist"]}"#);
    }
}

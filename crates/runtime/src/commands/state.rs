//! `state`: what a container is doing, as the OCI runtime spec has it and with what runc adds.

use std::collections::HashMap;
use std::path::PathBuf;

use hoist_linux::runtime::{OciState, RuntimeContainer};
use hoist_spec::RootSource;
use serde::Serialize;

use super::{only_id, print};
use crate::args::Arguments;
use crate::failure::Failure;
use crate::global::Global;

/// A container's state, with runc's names and order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    oci_version: String,
    pub(crate) id: String,
    pub(crate) pid: u32,
    pub(crate) status: &'static str,
    pub(crate) bundle: PathBuf,
    rootfs: PathBuf,
    pub(crate) created: String,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    annotations: HashMap<String, String>,
    pub(crate) owner: String,
}

impl Shown {
    /// Of a container that exists.
    pub(crate) fn of(container: &RuntimeContainer) -> Result<Self, Failure> {
        let OciState {
            oci_version,
            id,
            status,
            pid,
            bundle,
            annotations,
        } = container.oci_state()?;
        let rootfs = match &container.spec().root {
            RootSource::Directory(path) => path.clone(),
            RootSource::Layers { .. } | RootSource::Host | RootSource::Unisolated => PathBuf::new(),
        };
        Ok(Self {
            oci_version,
            id,
            pid: pid.unwrap_or_default(),
            status,
            bundle,
            rootfs,
            created: hoist::rfc3339(container.created_at()?),
            annotations,
            owner: String::new(),
        })
    }
}

pub(crate) fn state(global: &mut Global, arguments: &Arguments) -> Result<u8, Failure> {
    let container = global.container(only_id("state", arguments)?)?;
    print(&pretty(&Shown::of(&container)?)?)
}

/// JSON for people and programs.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(unwritten)
}

/// JSON on one line.
pub(crate) fn compact(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(unwritten)
}

fn unwritten(error: serde_json::Error) -> Failure {
    Failure::new(format!("write JSON: {error}"))
}

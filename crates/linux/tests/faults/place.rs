//! Where the tests have their records and roots, and which containers with which steps are started there.

use std::path::PathBuf;

use hoist_compute::Stdio;
use hoist_linux::plan::{Fault, PlannedStep};
use hoist_linux::{LinuxOptions, LinuxService};
use hoist_spec::oci::LinuxResources;
use hoist_spec::{ConsoleSize, ContainerId, ContainerSpec};
use hoist_testing::{Leaks, spec};
use serde_json::json;

/// Where the tests have their records and roots.
pub(super) struct Place(pub(super) PathBuf);

impl Place {
    pub(super) fn service(&self) -> LinuxService {
        LinuxService::new(self.0.join("records")).unwrap()
    }

    pub(super) fn faulty(&self, before: u32, fault: Fault) -> LinuxService {
        let options = LinuxOptions {
            fault: Some((before, fault)),
            ..LinuxOptions::default()
        };
        LinuxService::with_options(self.0.join("records"), options).unwrap()
    }

    pub(super) fn leaks(&self, tag: &str) -> Leaks {
        // The first service makes its folder.
        drop(self.service());
        Leaks::before(tag, &[&self.0.join("records"), &self.0.join("root")]).within(&[&self.0])
    }

    /// A container: a plain one that idles, one that ends at once for a `whole` run, or a `rich` one, whose plan has
    /// steps of nearly every sort.
    pub(super) fn spec(&self, kind: &str, tag: &str) -> ContainerSpec {
        let root = self.0.join("root");
        let program: &[&str] = match kind {
            "whole" => &["exit", "0"],
            "served" | "copied" | "kept" => &["exit", "7"],
            _ => &["idle"],
        };
        let mut spec = spec::container(&root, tag, program);
        if matches!(kind, "served" | "copied" | "kept") {
            spec.root = hoist_spec::RootSource::Layers {
                layers: vec![root],
                writable: match kind {
                    "kept" => hoist_spec::WritableLayer::Folder(self.0.join("kept")),
                    _ => hoist_spec::WritableLayer::Ephemeral,
                },
            };
            return spec;
        }
        if kind != "rich" {
            return spec;
        }
        spec.root = hoist_spec::RootSource::Layers {
            layers: vec![root],
            writable: hoist_spec::WritableLayer::Ephemeral,
        };
        spec.init = true;
        let resources: LinuxResources = serde_json::from_value(json!({
            "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "access": "m"}],
            "pids": {"limit": 64},
        }))
        .unwrap();
        if let Some(linux) = spec.oci.linux_mut() {
            linux
                .set_resources(Some(resources))
                .set_masked_paths(Some(vec![
                    "/proc/kcore".to_owned(),
                    "/proc/keys".to_owned(),
                ]))
                .set_readonly_paths(Some(vec!["/proc/sys".to_owned()]));
        }
        if let Some(process) = spec.oci.process_mut() {
            process
                .set_terminal(Some(true))
                .set_oom_score_adj(Some(500));
        }
        spec
    }

    pub(super) fn stdio(kind: &str) -> Stdio {
        match kind {
            "rich" => Stdio::Console(ConsoleSize {
                height: 24,
                width: 80,
            }),
            _ => Stdio::null(),
        }
    }

    /// The steps that helper and process carry out.
    pub(super) fn steps(&self, kind: &str) -> Vec<PlannedStep> {
        let plan = self
            .service()
            .plan(&id("planned", 0), &self.spec(kind, "planned"))
            .unwrap();
        let mut steps = plan.steps();
        steps.retain(|step| step.index.is_some());
        assert!(steps.len() > 20, "{steps:?}");
        steps
    }
}

pub(super) fn tag(name: &str) -> String {
    format!("fault{name}{}", std::process::id())
}

pub(super) fn id(tag: &str, step: u32) -> ContainerId {
    format!("{tag}-{step}").parse().unwrap()
}

pub(super) fn index_of(steps: &[PlannedStep], name: &str) -> u32 {
    steps
        .iter()
        .find(|step| step.name == name)
        .and_then(|step| step.index)
        .unwrap_or_else(|| panic!("no step {name} in {steps:#?}"))
}

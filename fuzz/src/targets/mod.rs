//! The targets.

#[cfg(target_os = "linux")]
mod container;
mod hcs;
#[cfg(target_os = "linux")]
mod linux;
mod messages;
mod options;
#[cfg(target_os = "linux")]
mod records;

use crate::Target;

/// All of them.
pub const TARGETS: &[Target] = &[
    #[cfg(target_os = "linux")]
    Target {
        name: "accounts",
        run: linux::accounts,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "archive",
        run: linux::archive,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "command",
        run: container::command,
    },
    Target {
        name: "hcs",
        run: hcs::documents,
    },
    Target {
        name: "helper",
        run: messages::helper,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "log",
        run: linux::log,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "oci_command_line",
        run: messages::command_line,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "oci_config",
        run: container::oci_config,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "oci_notification",
        run: messages::notification,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "oci_process",
        run: container::oci_process,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "oci_resources",
        run: container::oci_resources,
    },
    Target {
        name: "options",
        run: options::options,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "record",
        run: records::record,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "supervisor",
        run: messages::supervisor,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "systemd",
        run: messages::systemd,
    },
];

//! The lists that there are, each with its fields. What fills them in is its command's.

use super::Fields;

/// What a list is of.
pub(crate) trait Listed {
    /// The fields of each of them.
    const FIELDS: Fields;
}

/// The list of `hoist ps`.
#[derive(Debug)]
pub(crate) enum ListedContainers {}

impl Listed for ListedContainers {
    const FIELDS: Fields = Fields {
        all: &[
            ("ID", "CONTAINER ID"),
            ("Command", "COMMAND"),
            ("CreatedAt", "CREATED AT"),
            ("RunningFor", "CREATED"),
            ("State", "STATE"),
            ("Status", "STATUS"),
            ("Names", "NAMES"),
            ("Labels", "LABELS"),
            ("Image", "IMAGE"),
            ("Ports", "PORTS"),
        ],
        shown: &["ID", "Command", "RunningFor", "Status", "Names"],
    };
}

/// The list of `hoist stats` and `hoist process stats`.
#[derive(Debug)]
pub(crate) enum ListedUsage {}

impl Listed for ListedUsage {
    const FIELDS: Fields = Fields {
        all: &[
            ("ID", "CONTAINER ID"),
            ("Container", "CONTAINER"),
            ("Name", "NAME"),
            ("CPUPerc", "CPU %"),
            ("MemUsage", "MEM USAGE / LIMIT"),
            ("MemPerc", "MEM %"),
            ("NetIO", "NET I/O"),
            ("BlockIO", "BLOCK I/O"),
            ("PIDs", "PIDS"),
        ],
        shown: &[
            "ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs",
        ],
    };
}

/// The list of `hoist process ls`.
#[derive(Debug)]
pub(crate) enum ListedProcesses {}

impl Listed for ListedProcesses {
    const FIELDS: Fields = Fields {
        all: &[
            ("ID", "PROCESS ID"),
            ("ContainerID", "CONTAINER ID"),
            ("Command", "COMMAND"),
            ("CreatedAt", "CREATED AT"),
            ("RunningFor", "CREATED"),
            ("State", "STATE"),
            ("Status", "STATUS"),
        ],
        shown: &["ID", "ContainerID", "Command", "RunningFor", "Status"],
    };
}

/// The list of `hoist volume ls`.
#[derive(Debug)]
pub(crate) enum ListedVolumes {}

impl Listed for ListedVolumes {
    const FIELDS: Fields = Fields {
        all: &[
            ("Name", "VOLUME NAME"),
            ("Driver", "DRIVER"),
            ("Scope", "SCOPE"),
            ("Mountpoint", "MOUNTPOINT"),
            ("Labels", "LABELS"),
            ("CreatedAt", "CREATED AT"),
            ("Options", "OPTIONS"),
        ],
        shown: &["Driver", "Name"],
    };
}

//! Which documents are sent, and by what.

/// The form of the documents: what a client of that time sent, and the service of that time took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Docker 1.9's execution driver, over the flat exports.
    Docker19,
    /// Docker 1.10's execution driver, over the flat exports.
    Docker110,
    /// Docker 1.12's libcontainerd, over the `Hcs*` exports.
    Docker112,
    /// Schema 1 as it is sent today: every Windows that has containers takes it.
    Schema1,
    /// Schema 2.1, Windows build 17763 and later; process isolation only.
    Schema2,
}

/// How the driver talks to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The form of the documents.
    pub dialect: Dialect,
    /// The management stack that the service notes as the owner of each system.
    pub owner: String,
    /// The network address translation to which ports are bound (Docker 1.9 and 1.10).
    pub nat_name: String,
    /// Ask the service for fake containers, for development (up to Docker 1.12).
    pub dummy: bool,
    /// End systems by force where they would be asked to shut down.
    pub force_kill: bool,
    /// Ask for the updates that a run has left also where the build is not known to tell of them: before 16299 it is.
    pub asks_for_updates: bool,
    /// Isolate by Hyper-V where a command does not say how.
    pub hyperv_by_default: bool,
}

impl Settings {
    /// The name of the translation where `DOCKER_CONTAINER_NAT` does not give one.
    pub const DEFAULT_NAT: &str = "ContainerNAT";

    /// What Hoist uses itself.
    pub fn hoist() -> Self {
        Self {
            dialect: Dialect::Schema1,
            owner: "hoist".to_owned(),
            nat_name: Self::DEFAULT_NAT.to_owned(),
            dummy: false,
            force_kill: false,
            asks_for_updates: false,
            hyperv_by_default: false,
        }
    }

    /// As `dialect` of Docker had them.
    pub fn docker(dialect: Dialect) -> Self {
        Self {
            dialect,
            owner: "docker".to_owned(),
            ..Self::hoist()
        }
    }

    /// With the translation that the environment variable `DOCKER_CONTAINER_NAT` names, unless it is empty.
    pub fn nat_from(mut self, variable: Option<String>) -> Self {
        if let Some(name) = variable.filter(|name| !name.is_empty()) {
            self.nat_name = name;
        }
        self
    }
}

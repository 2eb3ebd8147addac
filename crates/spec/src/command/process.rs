//! A process of a command: the container's first, or a further one.

use serde::{Deserialize, Serialize};

use super::{is_default, null_is_default};
use crate::ConsoleSize;

/// What to run, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// Give it a console of its own.
    #[serde(skip_serializing_if = "is_default")]
    pub tty: bool,
    /// The program: a path in the container, or a name to be found by `PATH` there.
    #[serde(skip_serializing_if = "is_default")]
    pub entrypoint: String,
    /// Its arguments, without its own name.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub arguments: Vec<String>,
    /// `KEY=value`, the later of two with the same key counts.
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default"
    )]
    pub env: Vec<String>,
    /// The size with which the console begins; in JSON `[height, width]`.
    #[serde(skip_serializing_if = "Option::is_none", with = "console_size")]
    pub console_size: Option<ConsoleSize>,
    /// `user[:group]`, each a name or a number.
    #[serde(skip_serializing_if = "is_default")]
    pub user: String,
    /// Where a further process begins; where empty, as the container's first one. That one begins in
    /// [`Command::working_dir`](crate::Command::working_dir).
    #[serde(skip_serializing_if = "is_default")]
    pub working_dir: String,
}

impl ProcessConfig {
    /// A process that runs `entrypoint`.
    pub fn new(entrypoint: impl Into<String>) -> Self {
        Self {
            entrypoint: entrypoint.into(),
            ..Self::default()
        }
    }

    /// Adds an argument.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn arguments<I>(mut self, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push(format!("{key}={value}"));
        self
    }

    /// Gives it a console of its own, of this size at first.
    pub fn tty(mut self, size: ConsoleSize) -> Self {
        self.tty = true;
        self.console_size = Some(size);
        self
    }

    /// Sets [`user`](Self::user).
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// Sets [`working_dir`](Self::working_dir).
    pub fn working_dir(mut self, directory: impl Into<String>) -> Self {
        self.working_dir = directory.into();
        self
    }
}

/// The original's form of a console's size.
mod console_size {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::ConsoleSize;

    pub(super) fn serialize<S: Serializer>(
        size: &Option<ConsoleSize>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        size.map(|size| [size.height, size.width])
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ConsoleSize>, D::Error> {
        let size = Option::<[u16; 2]>::deserialize(deserializer)?;
        Ok(size.map(|[height, width]| ConsoleSize { height, width }))
    }
}

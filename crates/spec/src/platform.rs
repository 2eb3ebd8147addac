//! The systems that a container may be for.

/// The system that a container is for: what its paths look like, and what can be asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
}

impl Platform {
    /// The one that this program was built for; Linux where it is neither.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else {
        Self::Linux
    };
}

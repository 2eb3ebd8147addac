//! What the options of a command line may refer to: the caller's environment, working directory and files.

use std::path::{Path, PathBuf};

use hoist_spec::Platform;
use hoist_spec::options::OptionFacts;

use crate::failure::Failure;

/// Calls `read` with the facts of this process.
pub(crate) fn with_facts<T>(
    read: impl FnOnce(&OptionFacts<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_facts_for(Platform::HERE, read)
}

/// As [`with_facts`], for containers of a platform.
pub(crate) fn with_facts_for<T>(
    platform: Platform,
    read: impl FnOnce(&OptionFacts<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let current_dir: PathBuf = std::env::current_dir()
        .map_err(|error| Failure::message(format!("find the working directory: {error}")))?;
    read(&OptionFacts {
        platform,
        environment: &|name| std::env::var(name).ok(),
        current_dir: &current_dir,
        read_file: &|path: &Path| std::fs::read_to_string(path),
        // The kernel makes this folder where it runs with SELinux, and nowhere else.
        selinux: &|| Path::new("/sys/fs/selinux").is_dir(),
    })
}

//! Windows: the Host Compute Service, with its records below `%ProgramData%\hoist`.

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::BuildHasher,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use hoist_compute::{ComputeService, Error, ErrorKind, Phase, Result, Timeline};
use hoist_hcs::{
    Dialect, HcsService, Patience, Settings,
    calls::{HcsCalls, Limits},
    sys::Vmcompute,
};

use super::Ownership;

/// `%ProgramData%\hoist`: the service is the whole machine's, and so are its records.
pub(crate) fn default_state_root() -> Result<PathBuf> {
    let data = std::env::var_os("ProgramData").map(PathBuf::from);
    match data.filter(|folder| folder.is_absolute()) {
        Some(folder) => Ok(folder.join("hoist")),
        None => Err(Error::new(
            ErrorKind::NotFound,
            Phase::Plan,
            "find the folder for records",
        )
        .because("the variable ProgramData names no folder")
        .remedy("choose a state directory")),
    }
}

/// `%ProgramData%\hoist\data`.
pub(crate) fn default_data_root() -> Result<PathBuf> {
    Ok(default_state_root()?.join("data"))
}

/// The service's containers that are recorded below `state_root`, which is made where it is not there yet.
pub(crate) fn service(
    state_root: &Path,
    _timeline: Option<Arc<Timeline>>,
    ownership: Ownership,
) -> Result<Arc<dyn ComputeService>> {
    // Whoever waits or does not: one thread of the backend sees to every end.
    let Ownership {
        waits_for_each: _waits,
        takes_containers_along,
    } = ownership;
    if takes_containers_along {
        return Err(Error::new(
            ErrorKind::Unsupported,
            Phase::Plan,
            "end containers with the thread that has started them",
        )
        .because("the host compute service runs on when its clients end"));
    }
    let dll = Vmcompute::load().map_err(|error| {
        Error::new(
            ErrorKind::Unsupported,
            Phase::Plan,
            "use the host compute service",
        )
        .because(error)
        .remedy("install the Windows feature Containers")
    })?;
    let calls = HcsCalls::new(dll, Dialect::Schema1, Limits::default());
    let service = HcsService::new(
        calls,
        state_root.to_path_buf(),
        Settings::hoist(),
        Patience::default(),
    )?;
    Ok(Arc::new(service))
}

/// Fills `buffer` with numbers that nobody can guess: those of a keyed hash whose keys come from the system's random numbers, as every
/// hash map's do.
pub(crate) fn random(buffer: &mut [u8]) -> Result<()> {
    for (number, part) in buffer.chunks_mut(8).enumerate() {
        let value = RandomState::new().hash_one(number).to_le_bytes();
        part.copy_from_slice(&value[..part.len()]);
    }
    Ok(())
}

/// Whether an open file still has a name in a directory; taken for granted, since one that is open keeps it.
pub(crate) fn is_linked(_file: &File) -> io::Result<bool> {
    Ok(true)
}

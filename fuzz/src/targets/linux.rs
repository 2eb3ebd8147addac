//! What images and containers leave to be read: accounts, archives, logs.

use std::fs;
use std::path::Path;

use hoist::supervise::{LogQuery, LogReader};
use hoist_linux::root::Root;
use hoist_linux::root::pack::Ids;
use hoist_linux::root::unpack::{Owner, Unpack};
use hoist_linux::root_facts::RootFacts;
use hoist_linux::user;
use hoist_spec::oci::Process;
use hoist_spec::{ProcessSpec, RootSource};
use tempfile::TempDir;

/// A folder in memory, where there is one.
pub(super) fn folder() -> Option<TempDir> {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).ok(),
        false => tempfile::tempdir().ok(),
    }
}

/// A user as it is asked for, `/etc/passwd` and `/etc/group`, with a 0 byte between them.
pub(super) fn accounts(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (user, passwd, group) = (String::from_utf8_lossy(part()), part(), part());
    let Some(folder) = folder() else { return };
    let etc = folder.path().join("etc");
    let write = || {
        fs::create_dir(&etc)?;
        fs::write(etc.join("passwd"), passwd)?;
        fs::write(etc.join("group"), group)
    };
    let Ok(root) = Root::open(&RootSource::Directory(folder.path().to_owned())) else {
        return;
    };
    let process = ProcessSpec {
        user: Some(user.into_owned()),
        oci: Process::default(),
    };
    if write().is_err() {
        return;
    }
    if let Ok(facts) = RootFacts::read_for_process(&root, &process) {
        let found = user::resolve(
            process.user.as_deref(),
            process.oci.user(),
            &facts.passwd,
            &facts.group,
        );
        if let Ok(identity) = found {
            // The kernel takes it for "no change".
            assert!(identity.uid != u32::MAX && identity.gid != u32::MAX);
        }
    }
}

/// A tar archive. Nothing is made beside the folder that it is unpacked in.
pub(super) fn archive(bytes: &[u8]) {
    let Some(folder) = folder() else { return };
    let bait = folder.path().join("bait");
    let inside = folder.path().join("inside");
    if fs::write(&bait, "bait")
        .and_then(|()| fs::create_dir(&inside))
        .is_err()
    {
        return;
    }
    let Ok(handle) = fs::File::open(&inside) else {
        return;
    };
    let manner = Unpack {
        owner: Owner::Archive,
        ids: Ids::default(),
        keeps_rights: bytes.len().is_multiple_of(2),
        makes_devices: false,
    };
    let mut archive = bytes;
    if let Err(error) = manner.unpack(&handle.into(), &mut archive) {
        let _ = error.to_string();
    }
    assert!(fs::read(&bait).is_ok_and(|bait| bait == b"bait"));
    let beside = fs::read_dir(folder.path()).map_or(0, Iterator::count);
    assert_eq!(beside, 2, "something was made beside the folder");
}

/// A json-file log; its first line, where it is a time, is where reading begins.
pub(super) fn log(bytes: &[u8]) {
    let Some(folder) = folder() else { return };
    let path = folder.path().join("log");
    if fs::write(&path, bytes).is_err() {
        return;
    }
    let first = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let since = str::from_utf8(first).ok().and_then(hoist::parse_rfc3339);
    if let Some(time) = since {
        assert_eq!(hoist::parse_rfc3339(&hoist::rfc3339(time)), Some(time));
    }
    for tail in [None, Some(2)] {
        let query = LogQuery {
            since,
            until: None,
            tail,
        };
        let mut reader = LogReader::new(path.clone(), query);
        let mut count = 0;
        let read = reader.read(&mut |_| {
            count += 1;
            Ok(())
        });
        assert!(read.is_ok() && tail.is_none_or(|tail| count <= tail));
    }
}

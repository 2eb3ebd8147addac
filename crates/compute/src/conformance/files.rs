//! Files that are copied into and out of a container.

use std::path::Path;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{self, idle},
};
use hoist_spec::oci::{Mount, MountBuilder};

use crate::{ErrorKind, FileKind, Ownership, Query};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "what a container writes is copied out as an archive, and an archive is unpacked in it",
        covers: &["files.open"],
        needs: &[Ability::Files],
        run: both_ways,
    },
    Behaviour {
        name: "a path through a symbolic link of the container's stays within its root",
        covers: &["files.in-root", "files.beneath"],
        needs: &[Ability::Files],
        run: in_root,
    },
    Behaviour {
        name: "a file system in memory is added to a running container and taken away again, and nothing else is",
        covers: &["mount.add", "mount.remove", "mount.list"],
        needs: &[Ability::Files],
        run: mounts,
    },
    Behaviour {
        name: "a container without a writable layer of its own has no changes to tell of",
        covers: &["changes"],
        needs: &[Ability::Files],
        run: no_changes,
    },
];

fn both_ways(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let container = &*running.container;
    let made = kit::exec(fixture, container, &["put", "/tmp/one", "some text"])?;
    ensure_eq!(made.status.code, Some(0), "the probe ended with");
    let files = container.files()?;
    let found = files
        .stat(Path::new("/tmp/one"), true)?
        .ok_or("the file is not seen")?;
    ensure_eq!((found.kind, found.size), (FileKind::Regular, 9), "it is");
    let mut archive = Vec::new();
    let (one, two) = (Path::new("/tmp/one"), Path::new("two"));
    files.pack(one, true, two, &mut archive)?;
    files.unpack(Path::new("/tmp"), Ownership::Root, &mut archive.as_slice())?;
    drop(files);
    let read = kit::exec(fixture, container, &["read", "/tmp/two"])?;
    ensure_eq!(read.text(), "some text", "the copy reads");
    let removed = kit::exec(
        fixture,
        container,
        &["remove", "/tmp/one", "+", "remove", "/tmp/two"],
    )?;
    ensure_eq!(removed.status.code, Some(0), "the probe ended with");
    Ok(())
}

fn in_root(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let container = &*running.container;
    let actions = [
        "folder",
        "/tmp/d",
        "+",
        "put",
        "/tmp/d/f",
        "own",
        "+",
        "link",
        "/../../../../tmp/d",
        "/tmp/out",
    ];
    let made = kit::exec(fixture, container, &actions)?;
    ensure_eq!(made.status.code, Some(0), "the probe ended with");
    let files = container.files()?;
    let found = files.stat(Path::new("/tmp/out/f"), false)?;
    ensure!(found.is_some(), "the link was not followed within the root");
    // An archive goes through no link.
    let mut archive = Vec::new();
    files.pack(Path::new("/tmp/d"), false, Path::new("out"), &mut archive)?;
    let refused = files.unpack(Path::new("/tmp"), Ownership::Root, &mut archive.as_slice());
    ensure!(refused.is_err(), "an archive was unpacked through a link");
    drop(files);
    let removed = kit::exec(
        fixture,
        container,
        &["remove", "/tmp/out", "+", "remove", "/tmp/d"],
    )?;
    ensure_eq!(removed.status.code, Some(0), "the probe ended with");
    Ok(())
}

fn tmpfs(destination: &str) -> Outcome<Mount> {
    Ok(MountBuilder::default()
        .typ("tmpfs")
        .source("tmpfs")
        .destination(destination)
        .options(vec!["nosuid".to_owned(), "nodev".to_owned()])
        .build()?)
}

fn mounts(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    let container = &*running.container;
    let target = Path::new("/tmp/added");
    container.add_mount(&tmpfs("/tmp/added")?)?;
    let again = container.add_mount(&tmpfs("/tmp/added")?);
    ensure_eq!(
        again.err().map(|error| error.kind()),
        Some(ErrorKind::AlreadyExists),
        "a second one there gives"
    );
    let list = container.added_mounts()?;
    ensure_eq!(list.len(), 1, "those added are");
    let put = kit::exec(fixture, container, &["put", "/tmp/added/f", "x"])?;
    ensure_eq!(put.status.code, Some(0), "the probe ended with");
    container.remove_mount(target)?;
    let read = kit::exec(fixture, container, &["list", "/tmp/added"])?;
    ensure_eq!(read.text().trim(), "[]", "behind it there is");
    for other in ["/tmp/added", "/proc", "/nosuch"] {
        let refused = container.remove_mount(Path::new(other));
        ensure_eq!(
            refused.err().map(|error| error.kind()),
            Some(ErrorKind::NotFound),
            "removing {other} gives"
        );
    }
    ensure_eq!(container.added_mounts()?.len(), 0, "those added are");
    let removed = kit::exec(fixture, container, &["remove", "/tmp/added"])?;
    ensure_eq!(removed.status.code, Some(0), "the probe ended with");
    container.properties(Query::default())?;
    Ok(())
}

fn no_changes(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    match running.container.changes() {
        Err(error) => ensure_eq!(error.kind(), ErrorKind::Unsupported, "the kind of error is"),
        Ok(changes) => ensure_eq!(changes.len(), 0, "there are"),
    }
    Ok(())
}

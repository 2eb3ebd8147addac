//! Files that are copied into and out of a container.

use std::path::Path;

use super::{
    Ability, Behaviour, Fixture, Outcome,
    kit::{self, idle},
};
use crate::{ErrorKind, FileKind, Ownership};

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

fn no_changes(fixture: &dyn Fixture) -> Outcome {
    let running = idle(fixture)?;
    match running.container.changes() {
        Err(error) => ensure_eq!(error.kind(), ErrorKind::Unsupported, "the kind of error is"),
        Ok(changes) => ensure_eq!(changes.len(), 0, "there are"),
    }
    Ok(())
}

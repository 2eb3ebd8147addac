#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

mod further;
mod layers;
mod owner;
mod place;
mod starts;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hoist_testing::{Need, Suite, full, hangs_after, probe, root};

use place::Place;

const NEEDS: &[Need] = &[Need::Namespaces];

const ROOT: &[Need] = &[Need::Root];

const COPIED: &[Need] = &[
    Need::UserNamespaces,
    Need::Tool("setpriv"),
    Need::Tool("setarch"),
];

const SERVED: &[Need] = &[
    Need::UserNamespaces,
    Need::Tool("setpriv"),
    Need::Tool("setarch"),
    Need::Tool("fuse-overlayfs"),
];

/// Long enough for a slow machine and all the steps of a plan: only a hang takes so long.
fn long() -> Duration {
    Duration::from_secs(if full() { 3600 } else { 300 })
}

/// The same for a single container.
const PATIENCE: Duration = Duration::from_secs(60);

const EIO: i32 = 5;

const SIGKILL: i32 = 9;

pub(crate) fn main() -> ExitCode {
    probe::main_if_asked();
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, place, kind, id, step] = arguments.as_slice()
        && first == "owner"
    {
        return owner::owner(Path::new(place), kind, id, step);
    }
    if let [_, first, place, kind] = arguments.as_slice()
        && first == "as-user"
    {
        layers::at_every_step_of_layers(&Place(place.into()), kind);
        return ExitCode::SUCCESS;
    }

    mount_for_ourselves();
    let folder = tempfile::Builder::new()
        .prefix("faults-")
        .tempdir()
        .unwrap();
    std::fs::create_dir(folder.path().join("records")).unwrap();
    root::minimal(&folder.path().join("root")).unwrap();
    let place = folder.path().to_owned();
    let at = |test: fn(&Place)| {
        let place = Place(place.clone());
        move || hangs_after(long(), move || test(&place))
    };
    Suite::new()
        .serial()
        .test(
            "a start that fails at any step names it and leaves nothing",
            NEEDS,
            at(|place| starts::fails_at_every_step(place, "plain")),
        )
        .test(
            "a start with console, init, layers, limits and devices that fails at any step names it and leaves nothing",
            ROOT,
            at(|place| starts::fails_at_every_step(place, "rich")),
        )
        .test(
            "a process that dies at any step of a start is told and leaves nothing",
            NEEDS,
            at(|place| starts::dies_at_every_step(place, "plain")),
        )
        .test(
            "a process with console, init, layers, limits and devices that dies at any step is told and leaves nothing",
            ROOT,
            at(|place| starts::dies_at_every_step(place, "rich")),
        )
        .test(
            "a process that is left out of a cgroup, or in the host's cgroup namespace, is not let go",
            ROOT,
            at(starts::is_not_let_go_elsewhere),
        )
        .test(
            "a container whose start failed is started by the next attempt",
            NEEDS,
            at(starts::is_started_by_the_next_attempt),
        )
        .test(
            "a further process that fails or dies at any step leaves the container as it was",
            NEEDS,
            at(further::further_processes_fail),
        )
        .test(
            "an owner that is killed at any step leaves a container that can be removed",
            NEEDS,
            at(|place| owner::owner_is_lost_at_every_step(place, "plain")),
        )
        .test(
            "an owner that is killed at any step of a start with console, init, layers, limits and devices leaves a container that can be removed",
            ROOT,
            at(|place| owner::owner_is_lost_at_every_step(place, "rich")),
        )
        .test(
            "an owner that is killed at any moment leaves what can be removed",
            NEEDS,
            at(|place| owner::owner_is_killed_at_any_moment(place, "plain")),
        )
        .test(
            "an owner that is killed at any moment of a whole run, its removal included, leaves what can be removed",
            NEEDS,
            at(|place| owner::owner_is_killed_at_any_moment(place, "whole")),
        )
        .test(
            "the owner of a further process that is killed at any step leaves the container as it was",
            NEEDS,
            at(further::owner_of_a_further_process_is_lost),
        )
        .test(
            "a start with layers that fuse-overlayfs shows that fails, dies or loses its owner at any step leaves nothing, nor does the server's",
            SERVED,
            || hangs_after(3 * long(), || layers::as_user("served")),
        )
        .test(
            "a start with a copy of layers that fails, dies or loses its owner at any step leaves nothing",
            COPIED,
            || hangs_after(3 * long(), || layers::as_user("copied")),
        )
        .test(
            "a start with a copy of layers that is kept and fails at any step leaves a whole copy or none, and the next one starts",
            COPIED,
            || hangs_after(3 * long(), || layers::as_user("kept")),
        )
        .run()
}

/// What others mount on this machine meanwhile is not to be taken for something left behind. An ordinary user cannot
/// do without.
fn mount_for_ourselves() {
    use rustix::mount::{MountPropagationFlags, mount_change};
    #[allow(
        deprecated,
        reason = "its only danger, CLONE_FILES of a threaded program, is not in question here"
    )]
    let alone = rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS);
    if alone.is_ok() {
        let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", flags).unwrap();
    }
}

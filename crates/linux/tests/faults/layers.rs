//! Layers of an ordinary user that are copied, or shown by fuse-overlayfs: faults at each step of both.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hoist_compute::{ComputeService, Phase, State, Stdio};
use hoist_linux::plan::Fault;
use hoist_testing::conformance::chain;
use hoist_testing::{Leaks, root};

use super::owner::{owner_command, remove};
use super::place::{Place, id, index_of, tag};
use super::{EIO, PATIENCE, SIGKILL};

const USER: u32 = 65534;

/// Runs [`at_every_step_of_layers`] as an ordinary user for whom the kernel's overlayfs is not: on a kernel that calls itself an
/// old one (personality(2), `UNAME26`).
pub(super) fn as_user(kind: &str) {
    let folder = tempfile::Builder::new()
        .prefix("faults-")
        .tempdir()
        .unwrap();
    let at = |name: &str| folder.path().join(name);
    root::minimal(&at("root")).unwrap();
    for name in ["records", "kept", "no-programs"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    std::fs::copy(std::env::current_exe().unwrap(), at("faults")).unwrap();
    let program = |name: &str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
            .unwrap()
    };
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            own(folder.path());
            let mut command = Command::new(program("setpriv"));
            let (uid, gid) = (format!("--reuid={USER}"), format!("--regid={USER}"));
            command
                .args([&uid, &gid, "--clear-groups"])
                .arg(program("setarch"));
            command
        }
        false => Command::new(program("setarch")),
    };
    command
        .arg("--uname-2.6")
        .arg(at("faults"))
        .arg("as-user")
        .arg(folder.path())
        .arg(kind);
    if kind != "served" {
        command.env("PATH", at("no-programs"));
    }
    let ran = command.output().unwrap();
    let (text, errors) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{}: {text}{errors}", ran.status);
    eprint!("{errors}");
}

/// Gives the user a tree.
fn own(path: &Path) {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path());
        }
    }
}

/// The processes of fuse-overlayfs that show the root of this place.
fn servers(place: &Place) -> Vec<String> {
    let root = place.0.join("root").display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok())
        .filter(|words| words.contains("fuse-overlayfs") && words.contains(&root))
        .collect()
}

/// The steps of a server are among them: the faults' numbers go on through its plan.
pub(super) fn at_every_step_of_layers(place: &Place, kind: &str) {
    let tag = tag(kind);
    let kept = place.0.join("kept");
    let nothing_is_left = |leaks: &Leaks, at: &str| {
        leaks.after().unwrap_or_else(|left| panic!("{at}: {left}"));
        let deadline = std::time::Instant::now() + PATIENCE;
        while !servers(place).is_empty() {
            let left = servers(place);
            assert!(std::time::Instant::now() < deadline, "{at}: {left:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let steps = place.steps(kind);
    let what = match kind {
        "served" => "new_served_layers",
        _ => "copy_layers",
    };
    // It is the way to the root that is meant.
    index_of(&steps, what);
    let mut met = 0;
    for fault in [Fault::Fail(EIO), Fault::Die] {
        for index in 0.. {
            let at = format!("{fault:?} before step {index}");
            std::fs::remove_dir_all(&kept).unwrap();
            std::fs::create_dir(&kept).unwrap();
            let leaks = place.leaks(&tag);
            let id = id(&tag, index);
            let system = place
                .faulty(index, fault)
                .create(&id, &place.spec(kind, &tag))
                .unwrap();
            let status = match system.start(Stdio::null()) {
                Err(error) => {
                    assert_eq!(error.phase(), Phase::Start, "{at}: {}", chain(&error));
                    if let Fault::Fail(_) = fault {
                        let said = chain(&error);
                        assert!(
                            said.contains("fail with Input/output error (EIO)"),
                            "{at}: {said}"
                        );
                    }
                    assert_eq!(system.state().unwrap(), State::Created, "{at}");
                    None
                }
                Ok(process) => Some(process.wait(Some(PATIENCE)).unwrap()),
            };
            system
                .delete()
                .unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
            drop(system);
            nothing_is_left(&leaks, &at);
            assert!(!kept.join("copy.unfinished").exists(), "{at}");
            let is_met = match status {
                None => true,
                Some(status) if status.code == Some(7) => false,
                Some(status) => {
                    assert!(
                        fault == Fault::Die && status.signal.is_some(),
                        "{at}: {status:?}"
                    );
                    true
                }
            };
            if kind == "kept" && is_met {
                let next = place
                    .service()
                    .create(&id, &place.spec(kind, &tag))
                    .unwrap();
                let process = next
                    .start(Stdio::null())
                    .unwrap_or_else(|error| panic!("{at}: {}", chain(&error)));
                assert_eq!(process.wait(Some(PATIENCE)).unwrap().code, Some(7), "{at}");
                next.delete().unwrap();
            }
            if !is_met {
                break;
            }
            met += 1;
        }
    }
    // Each kind of fault at every step; and those of the server, which has more than a dozen, too.
    let least = steps.len() + if kind == "served" { 12 } else { 0 };
    assert!(met >= 2 * least, "only {met} of {least} steps twice");
    let mut lost = 0;
    for index in 0.. {
        let at = format!("the owner is lost before step {index}");
        let leaks = place.leaks(&tag);
        let id = id(&tag, index);
        let owner = owner_command(place, kind, &id, &index.to_string())
            .status()
            .unwrap();
        remove(&place.service(), &id, &at).unwrap();
        nothing_is_left(&leaks, &at);
        match owner.signal() {
            Some(SIGKILL) => lost += 1,
            _ => break,
        }
    }
    assert!(lost >= least, "only {lost} of {least} steps");
    eprintln!("{met} faults, {lost} owners lost");
}

//! Section 2a of the field's history, with a thread that changes the root while it is set up: with `HOIST_TESTS_FULL=1` until there
//! were at least 10,000 rounds and 10^6 swaps of each.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use hoist_testing::{Suite, full};
use serde_json::json;

use crate::kit::{Bait, Bundle, CONTAINERS};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "CVE-2021-30465, CVE-2019-19921: a thread that swaps a mount target for a link does not lead a mount out",
            CONTAINERS,
            target,
        )
        .test(
            "CVE-2019-19921: a thread that swaps /proc or /dev of the root for a link leads nothing out",
            CONTAINERS,
            proc_and_dev,
        )
        .test(
            "CVE-2025-31133: a thread that swaps /dev/null for a link does not lead a mask out",
            CONTAINERS,
            null,
        )
        .test(
            "CVE-2025-52565: a thread that swaps /dev/console for a link does not lead the console out",
            CONTAINERS,
            console,
        )
}

/// Puts a link in the place of something, and that back, again and again, until it is dropped.
struct Swapper {
    stop: Arc<AtomicBool>,
    /// How often the link was put in the place.
    swaps: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    begun: Instant,
    rounds: u32,
}

impl Swapper {
    fn start(place: &Path, target: &Path) -> Self {
        let (link, spare) = (place.with_extension("link"), place.with_extension("spare"));
        symlink(target, &link).unwrap();
        let (stop, place) = (Arc::new(AtomicBool::new(false)), place.to_owned());
        let swaps = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&swaps));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Either of them may be in the way of the other for a moment.
                let _ = fs::rename(&place, &spare);
                let swapped = fs::rename(&link, &place).is_ok();
                let _ = fs::rename(&place, &link);
                let _ = fs::rename(&spare, &place);
                counted.fetch_add(swapped.into(), Ordering::Relaxed);
            }
        });
        Self {
            stop,
            swaps,
            thread: Some(thread),
            begun: Instant::now(),
            rounds: 0,
        }
    }

    /// Whether another round is to be made while it swaps.
    fn goes_on(&mut self) -> bool {
        let (rounds, swaps) = if full() {
            (10_000, 1_000_000)
        } else {
            (25, 25)
        };
        let made = self.swaps.load(Ordering::Relaxed);
        if self.rounds >= rounds && made >= swaps {
            let took = self.begun.elapsed().as_secs();
            eprintln!("{} rounds with {made} swaps in {took} s", self.rounds);
            return false;
        }
        self.rounds += 1;
        true
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn target() {
    let bait = Bait::new();
    let mut bundle = Bundle::new(&["exit", "0"]);
    let volume = bundle.path("volume");
    fs::create_dir(&volume).unwrap();
    let place = volume.join("place");
    fs::create_dir(&place).unwrap();
    let file = bundle.path("file");
    fs::write(&file, "").unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.push(
        json!({"destination": "/volume", "type": "bind", "source": volume, "options": ["rbind"]}),
    );
    mounts.push(json!({"destination": "/volume/place", "type": "tmpfs", "source": "tmpfs"}));
    mounts.push(json!({"destination": "/volume/place/deep", "type": "tmpfs", "source": "tmpfs"}));
    mounts.push(json!({"destination": "/volume/place/file", "type": "bind", "source": file, "options": ["bind"]}));
    bundle.write();
    start_while_swapped(&bundle, &bait, &place);
    bundle.remove();
}

fn proc_and_dev() {
    for name in ["proc", "dev"] {
        let bait = Bait::new();
        let bundle = Bundle::new(&["exit", "0"]);
        bundle.write();
        start_while_swapped(&bundle, &bait, &bundle.rootfs().join(name));
        bundle.remove();
    }
}

/// Starts containers while `place` is swapped for a link to the bait's folder.
fn start_while_swapped(bundle: &Bundle, bait: &Bait, place: &Path) {
    let mut swapper = Swapper::start(place, &bait.path().join("folder"));
    while swapper.goes_on() {
        let said = bundle.call(&["run", &bundle.id]);
        assert!(said.code == Some(0) || said.code == Some(1), "{said:?}");
        bundle.call(&["delete", "--force", &bundle.id]).ok();
        bait.assert_untouched();
    }
    drop(swapper);
}

/// A root whose own `/dev` is used.
fn with_own_dev(words: &[&str]) -> Bundle {
    let mut bundle = Bundle::new(words);
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    bundle
}

fn null() {
    let bait = Bait::new();
    let mut bundle = with_own_dev(&["read", "/proc/meminfo"]);
    bundle.config["linux"]["maskedPaths"] = json!(["/proc/meminfo"]);
    bundle.write();
    let place = bundle.rootfs().join("dev/null");
    let mut mknod = Command::new("mknod");
    assert!(
        mknod
            .arg(&place)
            .args(["c", "1", "3"])
            .status()
            .unwrap()
            .success()
    );
    let mut swapper = Swapper::start(&place, &bait.path().join("file"));
    while swapper.goes_on() {
        let said = bundle.call(&["run", &bundle.id]);
        match said.code {
            // The bait has a text.
            Some(0) => assert_eq!(said.out, "", "the mask is the null device"),
            code => assert_eq!(code, Some(1), "{said:?}"),
        }
        bundle.call(&["delete", "--force", &bundle.id]).ok();
        bait.assert_untouched();
    }
    drop(swapper);
    bundle.remove();
}

fn console() {
    let bait = Bait::new();
    let mut bundle = with_own_dev(&["idle"]);
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["mounts"].as_array_mut().unwrap().push(
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}),
    );
    bundle.write();
    let place = bundle.rootfs().join("dev/console");
    fs::write(&place, "").unwrap();
    let mut swapper = Swapper::start(&place, &bait.path().join("file"));
    let listener = UnixListener::bind(bundle.path("console")).unwrap();
    listener.set_nonblocking(true).unwrap();
    while swapper.goes_on() {
        let said = bundle.launch(&["create", "--console-socket", "console", &bundle.id]);
        assert!(said.code == Some(0) || said.code == Some(1), "{said:?}");
        if said.code == Some(0) {
            let state = bundle.call(&["state", &bundle.id]).ok().json();
            let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", state["pid"])).unwrap();
            let led_out = mounts.contains(&bait.path().display().to_string());
            assert!(!led_out, "{mounts}");
        }
        bundle.call(&["delete", "--force", &bundle.id]).ok();
        bait.assert_untouched();
        while listener.accept().is_ok() {}
    }
    drop((swapper, listener));
    bundle.remove();
}

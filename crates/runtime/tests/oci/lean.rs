//! What the program is made of, and what it takes.

use std::{collections::BTreeSet, env, fs, process::Command};

use hoist_testing::{Need, Suite};

use crate::kit::{Bundle, CONTAINERS, await_that, runtime};

/// Crates that the runtime must never come to depend on, with the reason.
const BANNED: [(&str, &str); 19] = [
    ("tokio", "an async runtime"),
    ("async-std", "an async runtime"),
    ("async-executor", "an async runtime"),
    ("smol", "an async runtime"),
    ("futures", "an async runtime"),
    ("zbus", "an async runtime"),
    ("mio", "an async runtime"),
    ("rustls", "TLS"),
    ("openssl", "TLS"),
    ("native-tls", "TLS"),
    ("ring", "TLS"),
    ("hyper", "network code"),
    ("reqwest", "network code"),
    ("h2", "network code"),
    ("netlink-sys", "network code"),
    ("ttrpc", "network code"),
    ("oci-client", "image code"),
    ("hoist-image", "image code"),
    ("hoist-network", "network code"),
];
const LARGEST_PROGRAM: u64 = 4 << 20;
const MOST_MEMORY_KIB: u64 = 3 << 10;

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "the dependency tree holds no async runtime, TLS, image or network code",
            &[Need::Root],
            dependencies,
        )
        .test_or_skip(
            "the program has at most 4 MiB, and takes at most 3 MiB of memory",
            CONTAINERS,
            size,
        )
}

fn dependencies() {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.contains("hoist-linux"), "{names:?}");
    for (name, reason) in BANNED {
        assert!(!names.contains(name), "{name} is {reason}");
    }
}

fn size() -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err("it is about the release build".to_owned());
    }
    let length = fs::metadata(runtime()).unwrap().len();
    assert!(length <= LARGEST_PROGRAM, "it has {length} bytes");
    // `run` does all that create and start do, and stays.
    let bundle = Bundle::new(&["idle"]);
    bundle.write();
    let mut child = bundle
        .command(&["run", &bundle.id])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    await_that("running", || {
        bundle.call(&["list", "-f", "json"]).out.contains("running")
    });
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    bundle.call(&["kill", &bundle.id, "KILL"]).ok();
    child.wait().unwrap();
    assert!(kib <= MOST_MEMORY_KIB, "it took {kib} KiB");
    bundle.remove();
    Ok(())
}

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod bait;
mod changes;
mod copying;
mod mounts;
mod volumes;

use hoist_testing::command::{
    By::{Anyone, Root},
    Case, Hoist,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "cp puts a file into a running container, which reads it, and takes one out that it wrote",
        by: Anyone,
        needs: &[],
        run: copying::both_ways,
    },
    Case {
        name: "cp names what it copies by docker's rules, in both directions",
        by: Anyone,
        needs: &[],
        run: copying::names,
    },
    Case {
        name: "cp says what cannot be copied where, and copies nothing",
        by: Anyone,
        needs: &[],
        run: copying::refusals,
    },
    Case {
        name: "cp writes an archive to standard output and unpacks one from standard input",
        by: Anyone,
        needs: &[],
        run: copying::archives,
    },
    Case {
        name: "cp copies a symbolic link as one, and with -L what it leads to",
        by: Anyone,
        needs: &[],
        run: copying::links,
    },
    Case {
        name: "cp gives files to the container's root or the caller without set-id bits, and with -a keeps both",
        by: Root,
        needs: &[],
        run: copying::owners,
    },
    Case {
        name: "cp works on a paused container, and on one that was made or has ended and kept its root",
        by: Anyone,
        needs: &[],
        run: copying::not_running,
    },
    Case {
        name: "cp works on the kept layers of a container that does not run",
        by: Anyone,
        needs: &[],
        run: copying::kept_layers,
    },
    // security.md 2a: CVE-2018-15664 and those beside it, docker cp.
    Case {
        name: "a symbolic link in the container never leads a copy to this machine",
        by: Anyone,
        needs: &[],
        run: bait::links,
    },
    // security.md 2a: CVE-2018-15664, CVE-2026-41568: the path is swapped while it is copied.
    Case {
        name: "a path that is swapped with a symbolic link again and again never leads a copy to this machine",
        by: Anyone,
        needs: &[],
        run: bait::race,
    },
    Case {
        name: "what a container offers to be copied out stays in the directory it is copied to, and makes no devices",
        by: Root,
        needs: &[],
        run: bait::devices,
    },
    Case {
        name: "cp leaves out the kernel's own file systems, and writes nothing there",
        by: Anyone,
        needs: &[],
        run: bait::kernel,
    },
    Case {
        name: "diff tells from the writable layer what was added, changed and deleted, while it runs and after",
        by: Anyone,
        needs: &[],
        run: changes::kept,
    },
    Case {
        name: "diff tells the same of a layer that is thrown away, while the container runs",
        by: Anyone,
        needs: &[],
        run: changes::ephemeral,
    },
    Case {
        name: "diff of a container without a writable layer says so",
        by: Anyone,
        needs: &[],
        run: changes::none,
    },
    Case {
        name: "a bind mount and a tmpfs are added to a running container, shown by inspect, and taken away",
        by: Anyone,
        needs: &[],
        run: mounts::added,
    },
    Case {
        name: "only what was added can be removed, and what a container put in its place stays",
        by: Anyone,
        needs: &[],
        run: mounts::only_added,
    },
    Case {
        name: "a mount that is added goes through no link out of the container, and not into its /proc",
        by: Anyone,
        needs: &[],
        run: mounts::in_root,
    },
    Case {
        name: "mounts are added to a container with a user namespace, and are its root's",
        by: Root,
        needs: &[],
        run: mounts::user_namespace,
    },
    Case {
        name: "a volume is made when it is first used, filled with what it covers, and kept",
        by: Anyone,
        needs: &[],
        run: volumes::first_use,
    },
    Case {
        name: "a part of a volume is mounted alone, and a link in it leads nowhere out",
        by: Anyone,
        needs: &[],
        run: volumes::subpath,
    },
    Case {
        name: "volumes are listed, inspected and removed, but not while a container uses them",
        by: Anyone,
        needs: &[],
        run: volumes::commands,
    },
    Case {
        name: "a volume without a name is one container's, and goes with it by --rm and rm -v",
        by: Anyone,
        needs: &[],
        run: volumes::anonymous,
    },
    Case {
        name: "a volume that cannot be removed is told, and the others that a prune removed are, too",
        by: Root,
        needs: &[],
        run: volumes::pruned_with_a_failure,
    },
    Case {
        name: "a volume is in use by a container that was made by another path to the state root",
        by: Anyone,
        needs: &[],
        run: volumes::in_use_by_another_path,
    },
    Case {
        name: "idmap= shows files as somebody else's, by a map of its own, of a start and of an added mount",
        by: Root,
        needs: &[],
        run: mounts::id_mapped,
    },
    Case {
        name: "bind-recursive says whether what is mounted below is read-only, too",
        by: Root,
        needs: &[],
        run: volumes::recursive,
    },
    Case {
        name: "a tmpfs with tmpcopyup holds what it covers, and --ipc host shows this machine's /dev/shm",
        by: Anyone,
        needs: &[],
        run: volumes::others,
    },
    Case {
        name: "export writes the container's root, and nothing of what is mounted in it",
        by: Anyone,
        needs: &[],
        run: changes::export,
    },
];

/// Starts a container of the probe in the background, whose root is what `options` say first.
fn start(hoist: &Hoist, name: &str, options: &[&str], probe: &[&str]) {
    let mut words = vec!["run", "-d", "--name", name, "-e", "HOIST_TEST_TAG"];
    words.extend(options);
    words.extend(["--", "/probe", "probe"]);
    words.extend(probe);
    hoist.hoist(&words).succeeded();
}

/// Starts one whose root is a directory that the case may change.
fn idle(hoist: &Hoist, name: &str, options: &[&str]) -> String {
    let root = hoist.copy_of_root(&format!("{name}-root"));
    let mut all = vec!["--rootfs", &root];
    all.extend(options);
    start(hoist, name, &all, &["idle"]);
    root
}

/// Starts one whose root is a layer that the case may change, beneath what `options` say.
fn layered(hoist: &Hoist, name: &str, options: &[&str]) -> String {
    let layer = hoist.copy_of_root(&format!("{name}-layer"));
    let mut all = vec!["--layer", &layer];
    all.extend(options);
    start(hoist, name, &all, &["idle"]);
    layer
}

/// Makes `name` do actions of the probe.
fn act(hoist: &Hoist, name: &str, probe: &[&str]) -> String {
    hoist.exec(&[], name, probe).succeeded()
}

fn remove(hoist: &Hoist, name: &str) {
    hoist.hoist(&["rm", "-f", name]).succeeded();
}

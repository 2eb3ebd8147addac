//! What containers may leave behind, counted before and after.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{arrivals::Arrivals, probe::report};

/// How long what is being removed by the kernel (a dying process, an empty cgroup) may still be seen.
const SETTLE: Duration = Duration::from_secs(60);

/// What there is, by kind: mounts, cgroups, descriptors and processes of this process, records, temporary files.
///
/// Containers are told from other people's by `tag`, which stands in their ids and in the environment of
/// their processes ([`crate::spec`] puts it there). Where the containers have ids of their own choice, all that are ever
/// recorded in a folder are looked for ([`Leaks::of_records`]). A mount is other people's where it is in a temporary folder that is not
/// the test's ([`Leaks::within`]), as those of another run of the tests are.
#[derive(Debug)]
pub struct Leaks {
    tag: String,
    places: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    recorded: Option<Arrivals>,
    before: Counts,
}

type Counts = BTreeMap<&'static str, Vec<String>>;

impl Leaks {
    /// Looks before. `folders` are those where records and other files are made.
    pub fn before(tag: &str, folders: &[&Path]) -> Self {
        let folders: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
        Self {
            before: count(tag, &[], &folders, &BTreeSet::new()),
            tag: tag.to_owned(),
            places: Vec::new(),
            folders,
            recorded: None,
        }
    }

    /// The test has these temporary folders, and no other one: what is mounted in others is other people's.
    pub fn within(self, places: &[&Path]) -> Self {
        Self {
            places: places.iter().map(|place| place.to_path_buf()).collect(),
            ..self
        }
    }

    /// From here on also looks for cgroups of every container that has a record in `folder`, if only for a moment.
    ///
    /// # Panics
    ///
    /// Where the folder cannot be watched.
    pub fn of_records(self, folder: &Path) -> Self {
        Self {
            recorded: Some(Arrivals::watch(folder).unwrap()),
            ..self
        }
    }

    /// The ids of all containers that were ever recorded since; none without [`Leaks::of_records`].
    pub fn recorded(&self) -> BTreeSet<String> {
        self.recorded
            .as_ref()
            .map(Arrivals::names)
            .unwrap_or_default()
    }

    /// Looks after: what there is more than before, kind by kind; `Ok` where there is nothing.
    pub fn after(&self) -> Result<(), String> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let now = count(&self.tag, &self.places, &self.folders, &self.recorded());
            let more = more(&self.before, &now);
            if more.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("left behind:\n{}", more.join("\n")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// As [`Leaks::after`], as a failed test.
    ///
    /// # Panics
    ///
    /// Where anything was left behind.
    pub fn assert_none(&self) {
        if let Err(text) = self.after() {
            panic!("{text}");
        }
    }
}

fn more(before: &Counts, after: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, now) in after {
        let mut old = before.get(kind).cloned().unwrap_or_default();
        for item in now {
            match old.iter().position(|known| known == item) {
                Some(known) => drop(old.swap_remove(known)),
                None => lines.push(format!("  {kind}: {item}")),
            }
        }
    }
    lines
}

fn count(tag: &str, places: &[PathBuf], folders: &[PathBuf], ids: &BTreeSet<String>) -> Counts {
    let processes = processes(tag);
    [
        ("mount", mounts(places)),
        ("cgroup", cgroups(tag, ids)),
        ("descriptor", descriptors()),
        ("process", processes),
        (
            "file",
            folders.iter().flat_map(|folder| entries(folder)).collect(),
        ),
        ("temporary file", temporary(tag)),
    ]
    .into()
}

/// Whether nothing that the test has started mounts there; `places` are its temporary folders, where they are known.
fn is_foreign(target: &Path, places: &[PathBuf]) -> bool {
    // A docker daemon beside the tests mounts and unmounts as its own containers come and go.
    let foreign = [
        "/var/lib/docker",
        "/run/docker",
        "/run/containerd",
        "/var/lib/containers",
    ];
    let temporary = std::env::temp_dir();
    foreign.iter().any(|folder| target.starts_with(folder))
        || (!places.is_empty()
            && target != temporary
            && target.starts_with(&temporary)
            && !places.iter().any(|place| target.starts_with(place)))
}

fn mounts(places: &[PathBuf]) -> Vec<String> {
    report::mounts()
        .unwrap_or_default()
        .into_iter()
        .filter(|mount| !is_foreign(Path::new(&mount.target), places))
        .map(|mount| format!("{} on {} ({})", mount.source, mount.target, mount.kind))
        .collect()
}

/// The cgroup directories of every hierarchy whose path bears the tag, or that are named after a container.
fn cgroups(tag: &str, ids: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for mount in report::mounts().unwrap_or_default() {
        if mount.kind == "cgroup" || mount.kind == "cgroup2" {
            walk(Path::new(&mount.target), &mut |path| {
                let is_of_container = path
                    .file_name()
                    .is_some_and(|name| ids.contains(&*name.to_string_lossy()));
                if is_of_container || path.to_string_lossy().contains(tag) {
                    found.push(path.display().to_string());
                }
            });
        }
    }
    found.sort();
    found.dedup();
    found
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            visit(&entry.path());
            walk(&entry.path(), visit);
        }
    }
}

fn descriptors() -> Vec<String> {
    report::descriptors()
        .into_values()
        // One of each for the life of the program: the sealed helper, and what its reaper waits on.
        .filter(|target| !target.contains("memfd:hoist-init") && !target.contains("[eventpoll]"))
        // The counter's own, which watches for records.
        .filter(|target| target != "anon_inode:inotify")
        // A number tells a pipe from another, and a new pipe in the place of an old one is no leak.
        .map(|target| {
            target
                .split_once(":[")
                .map_or(target.clone(), |(kind, _)| kind.to_owned())
        })
        .collect()
}

/// Children of this process, ended ones included, and processes whose environment bears the tag.
fn processes(tag: &str) -> Vec<String> {
    let own = std::process::id();
    let mut found = Vec::new();
    for pid in report::names("/proc")
        .iter()
        .filter_map(|name| name.parse::<u32>().ok())
    {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        // pid (name) state parent …; the name may hold anything, a parenthesis too.
        let mut fields = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace();
        // Whether it sleeps or runs at this moment makes it no other one.
        let state = match fields.next() {
            Some("Z" | "X") => "ended",
            _ => "alive",
        };
        let is_child = fields.next().and_then(|parent| parent.parse().ok()) == Some(own);
        let is_tagged = fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable.strip_prefix(b"HOIST_TEST_TAG=") == Some(tag.as_bytes()))
        });
        if pid != own && (is_child || is_tagged) {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            found.push(format!(
                "{pid} ({state}) {}",
                String::from_utf8_lossy(&command).replace('\0', " ")
            ));
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(entries(&entry.path()));
        }
    }
    found
}

fn temporary(tag: &str) -> Vec<String> {
    report::names(&std::env::temp_dir().to_string_lossy())
        .into_iter()
        .filter(|name| name.contains("hoist") && name.contains(tag))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_named_and_what_was_there_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("old"), "").unwrap();
        let folders = [folder.path().to_path_buf()];
        let look = || count("no-such-tag", &[], &folders, &BTreeSet::new());
        let before = look();
        fs::create_dir(folder.path().join("new")).unwrap();
        let more = more(&before, &look());
        let named: Vec<_> = more.iter().filter(|line| line.contains("file: ")).collect();
        assert_eq!(named.len(), 1, "{more:?}");
        assert!(named[0].ends_with("/new"));
    }

    #[test]
    fn a_mount_is_foreign_in_other_temporary_folders_and_nowhere_else() {
        let temporary = std::env::temp_dir();
        let places = ["e2e-1", "e2e-3"].map(|name| temporary.join(name));
        let foreign = |target: &Path| is_foreign(target, &places);
        for other in ["e2e-10/state", "e2e-2", "x/merged"] {
            assert!(foreign(&temporary.join(other)), "{other}");
            assert!(!is_foreign(&temporary.join(other), &[]), "{other}");
        }
        for counts in [&places[0], &places[1].join("state/x"), &temporary] {
            assert!(!foreign(counts), "{}", counts.display());
        }
        for counts in ["/", "/run/hoist/x", "/proc", "/mnt", "/dev/shm"] {
            assert!(!foreign(Path::new(counts)), "{counts}");
        }
        assert!(foreign(Path::new("/run/docker/netns/x")));
    }

    #[test]
    fn a_child_that_nobody_waited_for_is_a_leak() {
        let before = processes("no-such-tag");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().to_string();
        assert!(
            processes("no-such-tag")
                .iter()
                .any(|line| line.starts_with(&pid)),
            "{before:?}"
        );
        child.wait().unwrap();
        assert!(
            !processes("no-such-tag")
                .iter()
                .any(|line| line.starts_with(&pid))
        );
    }
}

//! criu's command line (criu(8)), put together from what is asked for. Pure.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::mounts::External;

/// What criu does about cgroups (criu(8), `--manage-cgroups`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManageCgroups {
    /// Properties are restored where criu has made the cgroup.
    #[default]
    Soft,
    /// Cgroups and their properties are always restored.
    Full,
    /// Nothing may be there before.
    Strict,
    /// Not at all.
    Ignore,
}

impl ManageCgroups {
    /// By runc's name of it.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "" | "soft" => Self::Soft,
            "full" => Self::Full,
            "strict" => Self::Strict,
            "ignore" => Self::Ignore,
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Full => "full",
            Self::Strict => "strict",
            Self::Ignore => "ignore",
        }
    }
}

/// What `checkpoint` and `restore` have in common; each is runc's flag of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriuOptions {
    /// Where the images are.
    pub image_path: PathBuf,
    /// Where criu's log goes; a folder of the container's where it is not given.
    pub work_path: Option<PathBuf>,
    /// Established TCP connections are kept.
    pub tcp_established: bool,
    /// Unix sockets may have a peer outside of the container.
    pub ext_unix_sk: bool,
    /// The container may have a session or terminal of somebody else's.
    pub shell_job: bool,
    /// File locks are kept.
    pub file_locks: bool,
    /// Memory that an earlier image holds, too, is removed there.
    pub auto_dedup: bool,
    /// The network namespace is made empty, for somebody else to fill it.
    pub empty_network: bool,
    /// What to do about cgroups.
    pub manage_cgroups: ManageCgroups,
    /// Memory is handed over when it is first used: of a checkpoint, by criu itself until somebody has all of it; of a restore, by
    /// `criu lazy-pages`, which is there already.
    pub lazy_pages: bool,
}

/// Where memory goes over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageServer {
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
}

impl PageServer {
    /// Reads `ADDRESS:PORT`.
    pub fn of(text: &str) -> Option<Self> {
        let (address, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let address = address
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        (!address.is_empty()).then_some(Self { address, port })
    }
}

/// How a container is checkpointed; each is runc's flag of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// What `restore` has, too.
    pub common: CriuOptions,
    /// Where an earlier image is, seen from the image's folder.
    pub parent_path: Option<PathBuf>,
    /// The container goes on afterwards.
    pub leave_running: bool,
    /// Only memory is written, and the container goes on.
    pub pre_dump: bool,
    /// Connections that are being made are left out.
    pub tcp_skip_in_flight: bool,
    /// Files that have no name any more may be given one.
    pub link_remap: bool,
    /// Where memory is sent to instead of being written down; with lazy pages, where criu hands it out.
    pub page_server: Option<PageServer>,
    /// A descriptor of the caller's, open in whatever this program starts, that criu tells when it hands memory out.
    pub status_fd: Option<u32>,
}

/// How a container is restored; each is runc's flag of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// What `checkpoint` has, too.
    pub common: CriuOptions,
    /// Another AppArmor profile or SELinux label, as `TYPE:NAME`.
    pub lsm_profile: Option<String>,
    /// Another SELinux label of mounts.
    pub lsm_mount_context: Option<String>,
}

/// What is dumped.
pub(super) struct Dumped<'a> {
    pub(super) pid: u32,
    pub(super) work: &'a Path,
    /// The cgroup that freezes it.
    pub(super) freezer: Option<&'a Path>,
    /// Mounts of the host's, as the point where each is and its name.
    pub(super) mounts: &'a [(String, String)],
    /// Files of the host's among the standard streams.
    pub(super) files: &'a [String],
    /// The inode of a network namespace that is somebody else's.
    pub(super) network: Option<u64>,
    pub(super) has_iptables: bool,
    /// Where the hierarchies are, so that criu mounts none itself.
    pub(super) yard: Option<&'a Path>,
}

/// What is restored.
pub(super) struct Restored<'a> {
    pub(super) work: &'a Path,
    pub(super) root: &'a Path,
    pub(super) yard: Option<&'a Path>,
    /// The directories of its cgroup below the root of each hierarchy, with the names of the controllers (none: unified).
    pub(super) cgroups: &'a [(String, String)],
    pub(super) externals: &'a [External],
    /// Open descriptors, and what of the image each of them is.
    pub(super) inherited: &'a [(i32, String)],
    pub(super) script: &'a str,
}

/// The name of a network namespace that is somebody else's, as runc has it.
pub(super) const NETWORK: &str = "extRootNetNS";

pub(super) fn dump(options: &CheckpointOptions, dumped: &Dumped<'_>) -> Vec<OsString> {
    let mut line = Line::new(if options.pre_dump { "pre-dump" } else { "dump" });
    line.pair("--tree", dumped.pid.to_string());
    line.common(&options.common, dumped.work, "dump.log");
    line.flag(
        "--leave-running",
        options.leave_running && !options.pre_dump,
    );
    line.flag("--skip-in-flight", options.tcp_skip_in_flight);
    line.flag("--link-remap", options.link_remap);
    if let Some(server) = &options.page_server {
        line.flag("--page-server", !options.common.lazy_pages);
        line.pair("--address", &server.address);
        line.pair("--port", server.port.to_string());
    }
    if let Some(descriptor) = options.status_fd {
        line.pair("--status-fd", descriptor.to_string());
    }
    line.flag(
        "--track-mem",
        options.pre_dump || options.parent_path.is_some(),
    );
    if let Some(parent) = &options.parent_path {
        line.pair("--prev-images-dir", parent);
    }
    if let Some(freezer) = dumped.freezer {
        line.pair("--freeze-cgroup", freezer);
    }
    if let Some(yard) = dumped.yard {
        line.pair("--cgroup-yard", yard);
    }
    if !dumped.has_iptables {
        line.pair("--network-lock", "nftables");
    }
    for (point, name) in dumped.mounts {
        line.pair("--external", format!("mnt[{point}]:{name}"));
    }
    for file in dumped.files {
        line.pair("--external", file);
    }
    if let Some(inode) = dumped.network {
        line.pair("--external", format!("net[{inode}]:{NETWORK}"));
    }
    line.0
}

pub(super) fn restore(options: &RestoreOptions, restored: &Restored<'_>) -> Vec<OsString> {
    let mut line = Line::new("restore");
    line.common(&options.common, restored.work, "restore.log");
    line.flag("--restore-detached", true);
    // Its parent is who calls criu, who can wait for it.
    line.flag("--restore-sibling", true);
    line.pair("--root", restored.root);
    if let Some(yard) = restored.yard {
        line.pair("--cgroup-yard", yard);
    }
    for (controllers, path) in restored.cgroups {
        line.pair(
            "--cgroup-root",
            match controllers.as_str() {
                "" => path.clone(),
                controllers => format!("{controllers}:{path}"),
            },
        );
    }
    for external in restored.externals {
        let (name, source) = (&external.destination, external.source.display());
        line.pair("--external", format!("mnt[{name}]:{source}"));
    }
    for (number, what) in restored.inherited {
        line.pair("--inherit-fd", format!("fd[{number}]:{what}"));
    }
    line.pair("--action-script", restored.script);
    if let Some(profile) = &options.lsm_profile {
        line.pair("--lsm-profile", profile);
    }
    if let Some(context) = &options.lsm_mount_context {
        line.pair("--lsm-mount-context", context);
    }
    line.0
}

struct Line(Vec<OsString>);

impl Line {
    fn new(command: &str) -> Self {
        // Files of the host's with settings are not what the caller has asked for.
        Self(vec![command.into(), "--no-default-config".into()])
    }

    fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.0.push(name.into());
        }
    }

    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([name.into(), value.into()]);
    }

    fn common(&mut self, options: &CriuOptions, work: &Path, log: &str) {
        self.pair("--images-dir", &options.image_path);
        self.pair("--work-dir", work);
        self.pair("--log-file", log);
        self.flag("-v4", true);
        self.flag("--evasive-devices", true);
        self.flag("--tcp-established", options.tcp_established);
        self.flag("--ext-unix-sk", options.ext_unix_sk);
        self.flag("--shell-job", options.shell_job);
        self.flag("--file-locks", options.file_locks);
        self.flag("--auto-dedup", options.auto_dedup);
        self.flag("--lazy-pages", options.lazy_pages);
        if options.empty_network {
            self.pair("--empty-ns", "net");
        }
        let manage = options.manage_cgroups.word();
        self.flag(&format!("--manage-cgroups={manage}"), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: Vec<OsString>) -> String {
        let words: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    fn common() -> CriuOptions {
        CriuOptions {
            image_path: "/images".into(),
            ..CriuOptions::default()
        }
    }

    fn dumped() -> Dumped<'static> {
        Dumped {
            pid: 7,
            work: Path::new("/work"),
            freezer: None,
            mounts: &[],
            files: &[],
            network: None,
            has_iptables: true,
            yard: None,
        }
    }

    const COMMON: &str = "--images-dir /images --work-dir /work --log-file";

    #[test]
    fn a_plain_dump_asks_for_nothing_more_than_runc_does() {
        let options = CheckpointOptions {
            common: common(),
            ..CheckpointOptions::default()
        };
        assert_eq!(
            words(dump(&options, &dumped())),
            format!(
                "dump --no-default-config --tree 7 {COMMON} dump.log -v4 --evasive-devices --manage-cgroups=soft"
            )
        );
    }

    #[test]
    fn every_flag_of_a_checkpoint_is_criu_s_flag() {
        let options = CheckpointOptions {
            common: CriuOptions {
                tcp_established: true,
                ext_unix_sk: true,
                shell_job: true,
                file_locks: true,
                auto_dedup: true,
                lazy_pages: true,
                empty_network: true,
                manage_cgroups: ManageCgroups::Strict,
                ..common()
            },
            parent_path: Some("../earlier".into()),
            leave_running: true,
            pre_dump: false,
            tcp_skip_in_flight: true,
            link_remap: true,
            page_server: PageServer::of("[::1]:27"),
            status_fd: Some(5),
        };
        let dumped = Dumped {
            freezer: Some(Path::new("/cg/hoist/c")),
            mounts: &[("/run/a".into(), "/var/run/a".into())],
            files: &["file[1f:2a]".into()],
            network: Some(99),
            has_iptables: false,
            yard: Some(Path::new("/state/yard")),
            ..dumped()
        };
        assert_eq!(
            words(dump(&options, &dumped)),
            format!(
                "dump --no-default-config --tree 7 {COMMON} dump.log -v4 --evasive-devices --tcp-established --ext-unix-sk \
                 --shell-job --file-locks --auto-dedup --lazy-pages --empty-ns net --manage-cgroups=strict --leave-running \
                 --skip-in-flight --link-remap --address ::1 --port 27 --status-fd 5 --track-mem --prev-images-dir ../earlier --freeze-cgroup /cg/hoist/c --cgroup-yard /state/yard \
                 --network-lock nftables --external mnt[/run/a]:/var/run/a --external file[1f:2a] \
                 --external net[99]:extRootNetNS"
            )
        );
    }

    #[test]
    fn memory_is_sent_to_a_page_server_or_handed_out_at_its_address() {
        let mut options = CheckpointOptions {
            common: common(),
            page_server: PageServer::of("10.0.0.1:4000"),
            ..CheckpointOptions::default()
        };
        let sent = words(dump(&options, &dumped()));
        assert!(
            sent.ends_with(" --page-server --address 10.0.0.1 --port 4000"),
            "{sent}"
        );
        options.common.lazy_pages = true;
        let lazy = words(dump(&options, &dumped()));
        assert!(
            lazy.contains(" --lazy-pages ") && !lazy.contains("--page-server"),
            "{lazy}"
        );
        for wrong in ["", "4000", ":4000", "a:", "a:0", "a:65536", "a:b"] {
            assert_eq!(PageServer::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_pre_dump_leaves_running_and_tracks_memory() {
        let options = CheckpointOptions {
            common: common(),
            pre_dump: true,
            leave_running: true,
            ..CheckpointOptions::default()
        };
        let line = words(dump(&options, &dumped()));
        assert!(line.starts_with("pre-dump "), "{line}");
        assert!(line.ends_with(" --track-mem"), "{line}");
    }

    #[test]
    fn a_restore_names_root_cgroup_mounts_and_streams() {
        let options = RestoreOptions {
            common: common(),
            lsm_profile: Some("apparmor:docker-default".into()),
            lsm_mount_context: Some("system_u:object_r:container_file_t:s0".into()),
        };
        let restored = Restored {
            work: Path::new("/work"),
            root: Path::new("/state/root"),
            yard: Some(Path::new("/state/yard")),
            cgroups: &[
                (String::new(), "/hoist/c".into()),
                ("memory".into(), "/hoist/c".into()),
            ],
            externals: &[External {
                destination: "/data".into(),
                source: "/srv".into(),
                is_file: false,
            }],
            inherited: &[(10, "pipe:[5]".into())],
            script: "/proc/1/exe",
        };
        assert_eq!(
            words(restore(&options, &restored)),
            format!(
                "restore --no-default-config {COMMON} restore.log -v4 --evasive-devices --manage-cgroups=soft \
                 --restore-detached --restore-sibling --root /state/root --cgroup-yard /state/yard --cgroup-root /hoist/c \
                 --cgroup-root memory:/hoist/c --external mnt[/data]:/srv --inherit-fd fd[10]:pipe:[5] \
                 --action-script /proc/1/exe --lsm-profile apparmor:docker-default \
                 --lsm-mount-context system_u:object_r:container_file_t:s0"
            )
        );
    }
}

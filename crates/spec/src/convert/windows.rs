//! What a command means on Windows: its faults, and the OCI runtime spec with a `windows` section.
//!
//! No defaults are added: variables, account and working directory that are not given are the image's.

use std::collections::HashSet;

use oci_spec::runtime::{Process, Spec};
use serde_json::{Map, Value, json};

use super::{
    OCI_VERSION, environment, process as linux_process, unisolated_windows, validate::check,
};
use crate::{
    Command, ContainerSpec, Fault, Faults, Isolation, Mount, NetworkMode, Platform, ProcessConfig,
    ProcessSpec, RootSource, SeccompPolicy,
    check::{self, Check},
};

/// A named pipe of this machine or of a container.
const PIPE: &str = r"\\.\pipe\";
/// Fields, in their JSON form, of what only Linux has.
const ONLY_LINUX: [&str; 16] = [
    "init",
    "cap_add",
    "cap_drop",
    "security_opt",
    "privileged",
    "devices",
    "device_cgroup_rules",
    "ulimits",
    "sysctls",
    "shm_size",
    "namespaces",
    "uid_maps",
    "gid_maps",
    "group_add",
    "cgroup_parent",
    "oom_score_adj",
];
/// The limits that Windows has.
const LIMITS: [&str; 2] = ["memory", "cpu_shares"];
/// The highest weight of processor time.
const HEAVIEST: i64 = 10_000;

/// The faults of a command that is to become a Windows container.
pub(super) fn command(command: &Command) -> Faults {
    let mut faults = super::validate::identity(command);
    only_of_linux(command, &mut faults);
    root(command, &mut faults);
    if let Some(directory) = Some(&command.working_dir).filter(|text| !text.is_empty()) {
        check(&mut faults, "working_dir", directory, inside(directory));
    }
    mounts(&command.mounts, &mut faults);
    if command.network.mode == Some(NetworkMode::Host) {
        faults.push(Fault::new(
            "network.mode",
            "asks for this machine's network, which a Windows container cannot have",
        ));
    }
    if command.network.interface.is_some() {
        faults.push(Fault::new(
            "network.interface",
            "asks for a device on a switch: name endpoints of the host networking service in an OCI runtime spec instead",
        ));
    }
    let resources = &command.resources;
    check(
        &mut faults,
        "resources.memory",
        &resources.memory.to_string(),
        check::within(resources.memory, 1, i64::MAX),
    );
    check(
        &mut faults,
        "resources.cpu_shares",
        &resources.cpu_shares.to_string(),
        check::within(resources.cpu_shares, 1, HEAVIEST),
    );
    faults.extend(process(&command.process_config, "process_config."));
    if !command.process_config.working_dir.is_empty() {
        faults.push(Fault::new(
            "process_config.working_dir",
            "is for further processes; the first one begins in working_dir",
        ));
    }
    faults
}

/// What is given by its JSON form, which leaves out what is not.
fn only_of_linux(command: &Command, faults: &mut Faults) {
    let given = serde_json::to_value(command).unwrap_or_default();
    for field in ONLY_LINUX {
        if given.get(field).is_some() {
            faults.push(Fault::new(field, "is for Linux containers"));
        }
    }
    let limits = given.get("resources").and_then(Value::as_object);
    for name in limits.into_iter().flat_map(Map::keys) {
        if !LIMITS.contains(&name.as_str()) {
            faults.push(Fault::new(
                format!("resources.{name}"),
                "is for Linux containers; Windows limits memory and has a weight of processor time",
            ));
        }
    }
    if command.readonly_rootfs {
        faults.push(Fault::new(
            "readonly_rootfs",
            "Windows has no read-only root",
        ));
    }
}

/// The faults of a process, each field behind `prefix`.
pub(super) fn process(config: &ProcessConfig, prefix: &str) -> Faults {
    let mut faults = super::validate::words(config, prefix);
    let user = &config.user;
    check(
        &mut faults,
        format!("{prefix}user"),
        user,
        check::one_line(user),
    );
    let directory = &config.working_dir;
    check(
        &mut faults,
        format!("{prefix}working_dir"),
        directory,
        inside(directory),
    );
    faults
}

fn is_hyperv(command: &Command) -> bool {
    command.hv_partition || command.isolation == Isolation::Hyperv
}

fn root(command: &Command, faults: &mut Faults) {
    for (field, directory) in [
        ("rootfs", &command.rootfs),
        ("layer_folder", &command.layer_folder),
    ] {
        if !directory.is_empty() {
            check(faults, field, directory, of_this_machine(directory));
        }
    }
    for (index, layer) in command.layer_paths.iter().enumerate() {
        let field = format!("layer_paths[{index}]");
        check(faults, field, layer, of_this_machine(layer));
    }
    if is_hyperv(command) {
        if command.layer_folder.is_empty() {
            faults.push(Fault::new(
                "layer_folder",
                "is not given: a container in a virtual machine has its disk there",
            ));
        }
    } else if command.rootfs.is_empty() {
        faults.push(Fault::new(
            "rootfs",
            "is not given: name the volume of a prepared layer, and its folders as layers",
        ));
    }
    if command.layer_folder.is_empty() && !command.layer_paths.is_empty() {
        faults.push(Fault::new(
            "layer_folder",
            "is not given: layers need the folder of a writable one",
        ));
    }
}

fn mounts(given: &[Mount], faults: &mut Faults) {
    let mut taken = HashSet::new();
    for (index, mount) in given.iter().enumerate() {
        let field = |name: &str| format!("mounts[{index}].{name}");
        if !matches!(mount.kind.as_str(), "" | "bind") {
            faults.push(Fault::of_value(
                field("type"),
                &mount.kind,
                "Windows maps directories and named pipes only",
            ));
            continue;
        }
        let (source, destination) = (&mount.source, &mount.destination);
        check(faults, field("source"), source, of_this_machine(source));
        check(
            faults,
            field("destination"),
            destination,
            of_this_machine(destination),
        );
        if is_pipe(source) != is_pipe(destination) {
            faults.push(Fault::of_value(
                field("destination"),
                destination,
                "a named pipe is mapped to a named pipe, and a directory to a directory",
            ));
        }
        if !taken.insert(destination.to_lowercase()) {
            faults.push(Fault::of_value(
                field("destination"),
                destination,
                "is the place of another mount too",
            ));
        }
        for (number, option) in mount.options.iter().enumerate() {
            faults.push(Fault::of_value(
                field(&format!("options[{number}]")),
                option,
                "is for Linux containers; Windows has ro and rw",
            ));
        }
    }
}

fn is_pipe(path: &str) -> bool {
    path.get(..PIPE.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(PIPE))
}

/// A path with a drive, or one of `\\server\share`, `\\?\` and `\\.\`.
pub(crate) fn is_absolute(path: &str) -> bool {
    match path.as_bytes() {
        [b'\\' | b'/', b'\\' | b'/', _, ..] => true,
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    }
}

/// The faults of where a process of this machine begins.
pub(super) fn begins_in(directory: &str) -> Faults {
    let mut faults = Faults::default();
    check(
        &mut faults,
        "working_dir",
        directory,
        of_this_machine(directory),
    );
    faults
}

fn of_this_machine(path: &str) -> Check {
    check::one_line(path)?;
    if !is_absolute(path) {
        return Err(r"is not an absolute path: begin with a drive (C:\) or \\".to_owned());
    }
    Ok(())
}

/// A directory in the container: with its drive, or from the root of the drive it is on.
fn inside(path: &str) -> Check {
    check::one_line(path)?;
    if path.is_empty() || path.starts_with(['\\', '/']) || is_absolute(path) {
        return Ok(());
    }
    Err(r"is not an absolute path: begin with a drive (C:\) or \".to_owned())
}

impl Command {
    /// What the Windows backend makes: an OCI runtime spec 1.2 with a `windows` section, and what stands beside it.
    ///
    /// # Errors
    /// Everything that is wrong or that Windows does not have, by field.
    pub fn to_windows_container_spec(&self) -> Result<ContainerSpec, Faults> {
        self.validate_for(Platform::Windows)?;
        let unreadable = |error: serde_json::Error| {
            let mut faults = Faults::default();
            faults.push(Fault::new("command", error.to_string()));
            faults
        };
        if self.isolation == Isolation::None {
            return unisolated_windows::spec(self).map_err(unreadable);
        }
        let oci: Spec = serde_json::from_value(self.windows_document()).map_err(unreadable)?;
        Ok(ContainerSpec {
            oci,
            root: RootSource::Directory((&self.rootfs).into()),
            user: Some(self.process_config.user.clone()).filter(|user| !user.is_empty()),
            groups: Vec::new(),
            seccomp: SeccompPolicy::Unconfined,
            init: false,
            stop: self.stop_policy(),
            joined: Vec::new(),
        })
    }

    fn windows_document(&self) -> Value {
        let mounts = self.mounts.iter().map(|mount| {
            let options: &[&str] = if mount.writable { &[] } else { &["ro"] };
            json!({"source": mount.source, "destination": mount.destination, "options": options})
        });
        let layers = self.layer_paths.iter().chain([&self.layer_folder]);
        let mut windows = json!({
            "layerFolders": layers.filter(|folder| !folder.is_empty()).collect::<Vec<_>>(),
            "ignoreFlushesDuringBoot": self.first_start,
        });
        if self.resources.memory != 0 {
            windows["resources"]["memory"]["limit"] = self.resources.memory.into();
        }
        if self.resources.cpu_shares != 0 {
            windows["resources"]["cpu"]["shares"] = self.resources.cpu_shares.into();
        }
        if is_hyperv(self) {
            windows["hyperv"] = json!({});
        }
        if !self.network.container_id.is_empty() {
            windows["network"]["networkSharedContainerName"] =
                self.network.container_id.clone().into();
        }
        json!({
            "ociVersion": OCI_VERSION,
            "root": {"path": self.rootfs},
            "hostname": self.effective_hostname(),
            "annotations": self.annotations,
            "mounts": mounts.collect::<Vec<_>>(),
            "process": self.windows_process(),
            "windows": windows,
        })
    }

    pub(super) fn windows_process(&self) -> Value {
        let config = &self.process_config;
        let words = std::iter::once(&config.entrypoint).chain(&config.arguments);
        let words: Vec<&str> = words.map(String::as_str).collect();
        let mut process = json!({
            "args": words,
            "env": environment::merged(&[], &config.env, environment::Names::WithoutCase),
            "cwd": self.working_dir,
            "terminal": config.tty,
            "user": {"uid": 0, "gid": 0, "username": config.user},
        });
        if self.args_escaped {
            process["commandLine"] = words.join(" ").into();
        }
        if let Some(size) = config.console_size.filter(|_| config.tty) {
            process["consoleSize"] = json!({"height": size.height, "width": size.width});
        }
        process
    }
}

/// A further process of a Windows container.
pub(super) fn further(
    container: &ContainerSpec,
    config: &ProcessConfig,
) -> Result<ProcessSpec, Faults> {
    process(config, "").into_result(())?;
    let first = container.oci.process().as_ref();
    let inherited = first.and_then(|first| first.env().as_deref());
    let mut directory = config.working_dir.clone().into();
    if config.working_dir.is_empty() && container.root == RootSource::Unisolated {
        directory = first.map(|first| first.cwd().clone()).unwrap_or_default();
    }
    let mut further = Process::default();
    further
        .set_cwd(directory)
        .set_env(Some(environment::merged(
            inherited.unwrap_or_default(),
            &config.env,
            environment::Names::WithoutCase,
        )))
        .set_capabilities(None)
        .set_rlimits(None);
    linux_process::set_program(&mut further, config);
    let user = Some(&config.user).filter(|user| !user.is_empty());
    Ok(ProcessSpec {
        oci: further,
        user: user.or(container.user.as_ref()).cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NetworkInterface, Resources};

    fn command() -> Command {
        Command::new()
            .id("web01")
            .rootfs(r"\\?\Volume{b5e2bb3e-53d2-4c26-9dc1-0ed5a8bcee6b}\")
            .layer(r"C:\layers\top")
            .layer(r"C:\layers\base")
            .layer_folder(r"C:\layers\web01")
            .process(
                ProcessConfig::new(r"C:\app\server.exe")
                    .argument("two words")
                    .env("MODE", "a=b"),
            )
    }

    #[test]
    fn a_command_becomes_a_spec_with_a_windows_section() {
        let given = command()
            .mount(Mount::bind(r"C:\www", r"C:\inetpub").read_only())
            .resources(Resources {
                memory: 64 << 20,
                cpu_shares: 500,
                ..Resources::default()
            });
        let spec = given.to_windows_container_spec().unwrap();
        let oci = serde_json::to_value(&spec.oci).unwrap();
        assert_eq!(
            oci["windows"]["layerFolders"],
            json!([r"C:\layers\top", r"C:\layers\base", r"C:\layers\web01"])
        );
        assert_eq!(oci["windows"]["resources"]["memory"]["limit"], 64 << 20);
        assert_eq!(oci["windows"]["resources"]["cpu"]["shares"], 500);
        assert_eq!(
            oci["process"]["args"],
            json!([r"C:\app\server.exe", "two words"])
        );
        assert_eq!(oci["process"]["env"], json!(["MODE=a=b"]));
        assert_eq!(oci["hostname"], "web01");
        assert_eq!(oci["mounts"][0]["options"], json!(["ro"]));
        assert!(oci.get("linux").is_none_or(Value::is_null));
        assert_eq!(spec.root, RootSource::Directory((&given.rootfs).into()));
    }

    #[test]
    fn every_part_that_windows_lacks_is_a_fault_by_name() {
        let given = Command {
            rootfs: "relative".to_owned(),
            init: true,
            cap_add: vec!["NET_ADMIN".to_owned()],
            privileged: true,
            readonly_rootfs: true,
            oom_score_adj: Some(5),
            working_dir: "here".to_owned(),
            resources: Resources {
                pids_limit: 5,
                cpu_shares: 20_000,
                ..Resources::default()
            },
            ..command().mount(Mount::tmpfs(r"C:\x"))
        };
        let faults = given.to_windows_container_spec().unwrap_err();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "init",
                "cap_add",
                "privileged",
                "oom_score_adj",
                "resources.pids_limit",
                "readonly_rootfs",
                "rootfs",
                "working_dir",
                "mounts[0].type",
                "resources.cpu_shares",
            ]
        );
    }

    #[test]
    fn a_container_needs_a_root_a_network_it_can_have_and_a_program() {
        let bare = Command::new();
        let faults = bare.to_windows_container_spec().unwrap_err().to_string();
        assert!(
            faults.contains("rootfs") && faults.contains("entrypoint"),
            "{faults}"
        );
        let mut networked = command();
        networked.network.interface = Some(NetworkInterface::default());
        assert!(networked.to_windows_container_spec().is_err());
        let hyperv = Command::new()
            .isolation(Isolation::Hyperv)
            .layer(r"C:\layers\base")
            .layer_folder(r"C:\layers\x")
            .process(ProcessConfig::new("cmd"));
        let spec = hyperv.to_windows_container_spec().unwrap();
        assert!(spec.oci.windows().as_ref().unwrap().hyperv().is_some());
    }

    #[test]
    fn a_named_pipe_is_mapped_to_a_named_pipe() {
        let pipe = Mount::bind(r"\\.\pipe\a", r"\\.\pipe\b");
        assert!(command().mount(pipe).to_windows_container_spec().is_ok());
        let mixed = Mount::bind(r"\\.\pipe\a", r"C:\b");
        assert!(command().mount(mixed).to_windows_container_spec().is_err());
    }

    #[test]
    fn a_further_process_has_the_variables_of_the_first_whatever_their_case() {
        let spec = command().to_windows_container_spec().unwrap();
        let config = ProcessConfig::new("cmd").env("mode", "x");
        let further = spec.exec_process(&config).unwrap();
        assert_eq!(further.oci.env().as_deref().unwrap(), ["mode=x"]);
        assert_eq!(further.oci.cwd().to_str(), Some(""));
        let elsewhere = ProcessConfig {
            working_dir: "etc".to_owned(),
            ..config
        };
        assert!(spec.exec_process(&elsewhere).is_err());
    }
}

//! Devices, limits of processes, namespaces and the like, from docker's words to OCI's; and what can be wrong with them.

use std::path::PathBuf;

use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType, LinuxIdMapping, LinuxIdMappingBuilder,
    LinuxNamespace, LinuxNamespaceType, PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
};

use crate::{
    Command, ContainerId, Device, Fault, Faults, JoinedNamespace,
    check::{self, Check},
    sysctl::namespace_of,
};

/// The faults of these fields.
pub(super) fn faults(command: &Command) -> Faults {
    let mut faults = Faults::default();
    let mut check = |field: String, value: &str, result: Check| {
        if let Err(reason) = result {
            faults.push(Fault::of_value(field, value, reason));
        }
    };
    for (index, given) in command.devices.iter().enumerate() {
        check(
            format!("devices[{index}]"),
            &given.path_on_host,
            check_device(given),
        );
    }
    for (index, text) in command.device_cgroup_rules.iter().enumerate() {
        let result = rule(text).map(|_| ());
        check(format!("device_cgroup_rules[{index}]"), text, result);
    }
    for (index, text) in command.ulimits.iter().enumerate() {
        check(format!("ulimits[{index}]"), text, rlimit(text).map(|_| ()));
    }
    for (name, value) in &command.sysctls {
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
        let result = match is_name && !name.is_empty() && !name.contains("..") {
            true if namespace_of(name).is_none() => {
                Err("is no parameter of a namespace; it would change the host".to_owned())
            }
            true => check::one_line(value),
            false => Err("is no name of a sysctl".to_owned()),
        };
        check(format!("sysctls[{name}]"), value, result);
    }
    if command.shm_size < 0 {
        let result = Err("is below zero".to_owned());
        check("shm_size".to_owned(), &command.shm_size.to_string(), result);
    }
    let namespaces = &command.namespaces;
    for (name, mode) in [
        ("user", &namespaces.user),
        ("pid", &namespaces.pid),
        ("ipc", &namespaces.ipc),
        ("uts", &namespaces.uts),
        ("cgroup", &namespaces.cgroup),
    ] {
        let result = match (name, mode.as_str()) {
            ("ipc", NO_SHARED_MEMORY) => Ok(()),
            _ => check_mode(mode, name == "user"),
        };
        check(format!("namespaces.{name}"), mode, result);
    }
    for (field, maps) in [
        ("uid_maps", &command.uid_maps),
        ("gid_maps", &command.gid_maps),
    ] {
        for (index, text) in maps.iter().enumerate() {
            check(format!("{field}[{index}]"), text, id_map(text).map(|_| ()));
        }
    }
    if namespaces.user == "private" && (command.uid_maps.is_empty() || command.gid_maps.is_empty())
    {
        let reason = "needs to know which ids of this machine it has: give uid_maps and gid_maps (--uidmap, --gidmap)";
        check(
            "namespaces.user".to_owned(),
            "private",
            Err(reason.to_owned()),
        );
    }
    if namespaces.user != "private" && !(command.uid_maps.is_empty() && command.gid_maps.is_empty())
    {
        let reason = "are given without a user namespace of the container's own: make namespaces.user private";
        check("uid_maps".to_owned(), "", Err(reason.to_owned()));
    }
    for (index, group) in command.group_add.iter().enumerate() {
        check(format!("group_add[{index}]"), group, check_group(group));
    }
    let parent = &command.cgroup_parent;
    if parent.split('/').any(|part| part == "..") || parent.contains(['\n', '\0']) {
        let result = Err("is no path of a cgroup".to_owned());
        check("cgroup_parent".to_owned(), parent, result);
    }
    if let Some(score) = command.oom_score_adj {
        let result = check::within(score.into(), -1000, 1000);
        check("oom_score_adj".to_owned(), &score.to_string(), result);
    }
    faults
}

/// The mode of an IPC namespace of one's own without `/dev/shm`.
pub(super) const NO_SHARED_MEMORY: &str = "none";

/// A number, or a name for the container's own `/etc/group` to know.
fn check_group(group: &str) -> Check {
    check::one_line(group)?;
    let is_number = !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        true => group
            .parse::<u32>()
            .ok()
            .filter(|group| *group < u32::MAX)
            .map(drop)
            .ok_or_else(|| "is no number of a group from 0 to 4294967294".to_owned()),
        false if group.is_empty() || group.starts_with('-') || group.contains([':', ',']) => {
            Err("is no name of a group".to_owned())
        }
        false => Ok(()),
    }
}

fn check_device(device: &Device) -> Check {
    check::absolute_path(&device.path_on_host)?;
    if !matches!(device.kind.as_str(), "c" | "b") {
        return Err("is no device of this machine".to_owned());
    }
    let inside = path_in_container(device);
    check::absolute_path(inside)?;
    if check::clean_path(inside) == "/" || inside.split('/').any(|part| part == "..") {
        return Err(format!("cannot be at {inside} in the container"));
    }
    match is_permissions(&device.cgroup_permissions) {
        true => Ok(()),
        false => Err(format!(
            "has permissions {:?}, which are not letters of rwm",
            device.cgroup_permissions
        )),
    }
}

fn is_permissions(text: &str) -> bool {
    text.bytes().all(|letter| b"rwm".contains(&letter))
}

fn path_in_container(device: &Device) -> &str {
    match device.path_in_container.as_str() {
        "" => &device.path_on_host,
        path => path,
    }
}

/// The devices that are made in the container.
pub(super) fn devices(command: &Command) -> Option<Vec<LinuxDevice>> {
    let all = command.devices.iter().map(|given| {
        let mut device = LinuxDevice::default();
        device
            .set_path(PathBuf::from(path_in_container(given)))
            .set_typ(kind(&given.kind))
            .set_major(given.major)
            .set_minor(given.minor);
        device
    });
    Some(all.collect()).filter(|all: &Vec<LinuxDevice>| !all.is_empty())
}

/// What the container may do with devices beyond docker's default ones.
pub(super) fn device_rules(command: &Command) -> Vec<LinuxDeviceCgroup> {
    let mut rules: Vec<LinuxDeviceCgroup> = command
        .devices
        .iter()
        .map(|given| {
            let access = match given.cgroup_permissions.as_str() {
                "" => "rwm",
                access => access,
            };
            allow(
                Some(kind(&given.kind)),
                Some(given.major),
                Some(given.minor),
                access,
            )
        })
        .collect();
    rules.extend(
        command
            .device_cgroup_rules
            .iter()
            .filter_map(|text| rule(text).ok()),
    );
    if command.privileged {
        rules.push(allow(None, None, None, "rwm"));
    }
    rules
}

fn allow(
    kind: Option<LinuxDeviceType>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(true)
        .set_typ(kind)
        .set_major(major)
        .set_minor(minor)
        .set_access(Some(access.to_owned()));
    rule
}

fn kind(letter: &str) -> LinuxDeviceType {
    match letter {
        "b" => LinuxDeviceType::B,
        _ => LinuxDeviceType::C,
    }
}

/// `c 10:200 rwm`, with `*` for any number and `a` for any kind.
fn rule(text: &str) -> Result<LinuxDeviceCgroup, String> {
    let fault = || "is no rule such as \"c 10:200 rwm\", with * for any number".to_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let [letter, numbers, access] = words[..] else {
        return Err(fault());
    };
    let typ = match letter {
        "a" => None,
        "c" | "b" => Some(kind(letter)),
        _ => return Err(fault()),
    };
    let number = |text: &str| match text {
        "*" => Ok(None),
        text => text
            .parse::<u32>()
            .map(|number| Some(i64::from(number)))
            .map_err(|_| fault()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(fault)?;
    if access.is_empty() || !is_permissions(access) {
        return Err(fault());
    }
    Ok(allow(typ, number(major)?, number(minor)?, access))
}

/// The limits of each process.
pub(super) fn rlimits(command: &Command) -> Option<Vec<PosixRlimit>> {
    let mut all: Vec<PosixRlimit> = Vec::new();
    for limit in command.ulimits.iter().filter_map(|text| rlimit(text).ok()) {
        // Of two for the same kind the later counts.
        all.retain(|other| other.typ() != limit.typ());
        all.push(limit);
    }
    Some(all).filter(|all| !all.is_empty())
}

/// `nofile=1024:2048`; −1 is no limit.
fn rlimit(text: &str) -> Result<PosixRlimit, String> {
    let (name, values) = text
        .split_once('=')
        .ok_or("is no limit such as nofile=1024 or nofile=1024:2048")?;
    let typ: PosixRlimitType =
        serde_json::from_value(format!("RLIMIT_{}", name.to_ascii_uppercase()).into())
            .map_err(|_| format!("names no limit of setrlimit(2): {name}"))?;
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        text => text
            .parse::<u64>()
            .map_err(|_| format!("{text:?} is no number, and not -1 for no limit")),
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if soft > hard {
        return Err("has a soft limit above its hard one".to_owned());
    }
    let limit = PosixRlimitBuilder::default().typ(typ).soft(soft).hard(hard);
    limit.build().map_err(|error| error.to_string())
}

/// `CONTAINER:HOST:SIZE`.
fn id_map(text: &str) -> Result<LinuxIdMapping, String> {
    let fault = || "is no mapping CONTAINER:HOST:SIZE of ids".to_owned();
    let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
    let [container, host, size] = numbers.map_err(|_| fault())?[..] else {
        return Err(fault());
    };
    let ends = [container, host].map(|first| first.checked_add(size));
    if size == 0 || ends.contains(&None) || ends.contains(&Some(u32::MAX)) {
        return Err("reaches beyond the last id, 4294967294, or is empty".to_owned());
    }
    let map = LinuxIdMappingBuilder::default()
        .container_id(container)
        .host_id(host)
        .size(size);
    map.build().map_err(|error| error.to_string())
}

/// The ids of a user namespace of its own.
pub(super) fn id_maps(texts: &[String]) -> Option<Vec<LinuxIdMapping>> {
    let all: Vec<LinuxIdMapping> = texts.iter().filter_map(|text| id_map(text).ok()).collect();
    Some(all).filter(|all| !all.is_empty())
}

fn check_mode(mode: &str, is_user: bool) -> Check {
    match mode {
        "" | "host" => Ok(()),
        "private" if is_user => Ok(()),
        _ => match (mode.strip_prefix("ns:"), mode.strip_prefix(CONTAINER)) {
            (Some(path), _) => check::absolute_path(path),
            (None, _) if is_user => Err("is neither host nor private, and not ns:PATH".to_owned()),
            (None, Some(id)) => check_container(id),
            (None, None) => {
                Err("is neither private nor host, and not ns:PATH or container:ID".to_owned())
            }
        },
    }
}

/// What the id of a container to join stands behind.
const CONTAINER: &str = "container:";

/// Whether it may be the id of a container.
pub(super) fn check_container(id: &str) -> Check {
    match id.parse::<ContainerId>() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("names no container: {error}")),
    }
}

/// The containers whose namespaces are joined.
pub(super) fn joined(command: &Command) -> Vec<JoinedNamespace> {
    let shared = &command.namespaces;
    let by_mode = |mode: &String| mode.strip_prefix(CONTAINER).and_then(|id| id.parse().ok());
    [
        (LinuxNamespaceType::Pid, by_mode(&shared.pid)),
        (
            LinuxNamespaceType::Network,
            command.network.container_id.parse().ok(),
        ),
        (LinuxNamespaceType::Ipc, by_mode(&shared.ipc)),
        (LinuxNamespaceType::Uts, by_mode(&shared.uts)),
        (LinuxNamespaceType::Cgroup, by_mode(&shared.cgroup)),
    ]
    .into_iter()
    .filter_map(|(kind, container)| {
        let container = container?;
        Some(JoinedNamespace { kind, container })
    })
    .collect()
}

/// A namespace that the container has; `None` where it is this machine's.
pub(super) fn namespace(kind: LinuxNamespaceType, mode: &str) -> Option<LinuxNamespace> {
    if mode == "host" {
        return None;
    }
    let mut namespace = LinuxNamespace::default();
    namespace
        .set_typ(kind)
        .set_path(mode.strip_prefix("ns:").map(PathBuf::from));
    Some(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(command: &Command) -> Vec<String> {
        faults(command)
            .iter()
            .map(|fault| fault.field.clone())
            .collect()
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let device = Device {
            path_on_host: "/etc/passwd".to_owned(),
            ..Device::default()
        };
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|&text| text.to_owned())
                .collect::<Vec<_>>()
        };
        let mut command = Command {
            devices: vec![device],
            device_cgroup_rules: texts(&["c 1:x rwm", "c 1:3 x", "q 1:3 r", "c 1 r"]),
            ulimits: texts(&["nofile", "nofile=x", "nofile=2:1", "nosuch=1"]),
            shm_size: -1,
            uid_maps: texts(&["0:0", "0:4294967290:10", "0:1:0"]),
            group_add: texts(&["", "-1", "4294967295"]),
            cgroup_parent: "/a/../b".to_owned(),
            oom_score_adj: Some(1001),
            ..Command::default()
        };
        command.namespaces.pid = "container".to_owned();
        command.namespaces.user = "private".to_owned();
        command.sysctls.insert("../x".to_owned(), "1".to_owned());
        command
            .sysctls
            .insert("net.x".to_owned(), "1\n2".to_owned());
        assert_eq!(
            fields(&command).len(),
            1 + 4 + 4 + 2 + 1 + 1 + 3 + 1 + 3 + 1 + 1
        );
    }

    #[test]
    fn dockers_words_become_ocis() {
        let limit = rlimit("nofile=1024:-1").unwrap();
        assert_eq!((limit.soft(), limit.hard()), (1024, u64::MAX));
        assert_eq!(limit.typ(), PosixRlimitType::RlimitNofile);
        let rule = rule("c 10:* rw").unwrap();
        assert_eq!((rule.major(), rule.minor()), (Some(10), None));
        let map = id_map("0:100000:65536").unwrap();
        assert_eq!(
            (map.container_id(), map.host_id(), map.size()),
            (0, 100_000, 65_536)
        );
        assert!(namespace(LinuxNamespaceType::Pid, "host").is_none());
        let joined = namespace(LinuxNamespaceType::Pid, "ns:/proc/7/ns/pid").unwrap();
        assert_eq!(
            joined.path().as_deref(),
            Some(std::path::Path::new("/proc/7/ns/pid"))
        );
    }
}

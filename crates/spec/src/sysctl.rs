//! Which kernel parameters are those of a namespace (namespaces(7) and the pages it names).

use oci_spec::runtime::LinuxNamespaceType;

/// The kind of namespace that a parameter (`net.ipv4.ip_forward`, also with slashes) is of; `None` where it is the whole machine's.
pub fn namespace_of(name: &str) -> Option<LinuxNamespaceType> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let dotted = name.replace('/', ".");
    if dotted.split('.').any(|part| part.is_empty()) {
        None
    } else if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        Some(LinuxNamespaceType::Ipc)
    } else if dotted.starts_with("net.") {
        Some(LinuxNamespaceType::Network)
    } else if matches!(dotted.as_str(), "kernel.domainname" | "kernel.hostname") {
        Some(LinuxNamespaceType::Uts)
    } else {
        None
    }
}

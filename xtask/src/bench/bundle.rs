//! What is started: a root with a static busybox, and OCI bundles of docker's default spec for the others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::command::Outcome;

/// Which spec a container gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Docker's default spec.
    Docker,
    /// The same without the seccomp filter.
    Unfiltered,
}

/// The root directory below `work`.
pub(crate) fn root(work: &Path) -> PathBuf {
    work.join("rootfs")
}

/// The bundle whose process is `true`, or one that stays.
pub(crate) fn bundle(work: &Path, content: Content, stays: bool) -> PathBuf {
    let content = match content {
        Content::Docker => "docker",
        Content::Unfiltered => "unfiltered",
    };
    work.join(format!(
        "bundle-{content}-{}",
        if stays { "sleep" } else { "true" }
    ))
}

/// Makes root and bundles.
pub(crate) fn lay_out(work: &Path) -> Outcome<()> {
    let root = root(work);
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    fs::copy(
        busybox.ok_or("busybox is missing (Debian: busybox-static)")?,
        root.join("bin/busybox"),
    )?;
    for name in ["true", "sleep", "sh"] {
        let link = root.join("bin").join(name);
        if !link.is_symlink() {
            symlink("busybox", link)?;
        }
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nwheel:x:10:root\n")?;

    let docker: Value = serde_json::from_str(&fs::read_to_string(
        crate::command::root().join("benches/docker.json"),
    )?)?;
    for content in [Content::Docker, Content::Unfiltered] {
        for stays in [false, true] {
            let mut spec = docker.clone();
            spec["root"]["path"] = json!(root);
            spec["process"]["args"] = if stays {
                json!(["sleep", "100000"])
            } else {
                json!(["true"])
            };
            if let (Content::Unfiltered, Some(linux)) = (content, spec["linux"].as_object_mut()) {
                linux.remove("seccomp");
            }
            let folder = bundle(work, content, stays);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("config.json"), spec.to_string())?;
        }
    }
    Ok(())
}

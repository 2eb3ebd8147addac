//! Devices: those that are named, and rules for others.

use super::inside;
use crate::hoist::Hoist;

/// A device that no container may use by itself, and that asks for no capability.
fn fuse() -> Result<(), String> {
    match std::path::Path::new("/dev/fuse").exists() {
        true => Ok(()),
        false => Err("there is no /dev/fuse".to_owned()),
    }
}

pub(super) fn a_device() -> Result<(), String> {
    fuse()?;
    let hoist = Hoist::new();
    let script = "stat -c '%F %t:%T' /dev/other; (: < /dev/other) && echo reads; \
                  (: > /dev/other) 2>/dev/null || echo refused";
    let found = inside(&hoist, &["--device", "/dev/fuse:/dev/other:r"], script);
    assert_eq!(found, "character special file a:e5\nreads\nrefused");
    Ok(())
}

pub(super) fn device_rules() -> Result<(), String> {
    fuse()?;
    let hoist = Hoist::new();
    let script = "mknod /dev/k c 10 229; (: < /dev/k) 2>/dev/null && echo reads || echo refused";
    assert_eq!(inside(&hoist, &[], script), "refused");
    let rule = ["--device-cgroup-rule", "c 10:229 rw"];
    assert_eq!(inside(&hoist, &rule, script), "reads");
    Ok(())
}

//! AppArmor, on a kernel that runs with it: `cargo xtask vm --systemd` has one.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use hoist_testing::{Need, Suite};
use serde_json::json;

use crate::kit::Bundle;

const APPARMOR: &[Need] = &[Need::Root, Need::AppArmor, Need::Tool("apparmor_parser")];

pub(crate) fn add(suite: Suite) -> Suite {
    suite.test(
        "apparmor: the process and each exec are confined by the profile of the spec, and one that is not loaded is refused",
        APPARMOR,
        confined,
    )
}

/// Loads a profile of this text into the kernel, or takes it out again.
#[track_caller]
fn parse(action: &str, text: &str) {
    // None of what the machine has cached or configured is of interest.
    let mut parser = Command::new("apparmor_parser")
        .args([action, "--skip-cache", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = parser.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    assert!(parser.wait().unwrap().success());
}

fn confined() {
    const SCRIPT: &str = "cat /proc/self/attr/current; echo x >/tmp/allowed && echo written; \
        echo x >/tmp/forbidden || echo denied; sleep 600";
    let name = format!("hoist-test-{}", std::process::id());
    let profile = format!(
        "profile {name} flags=(attach_disconnected) {{\n  file,\n  capability,\n  network,\n  signal,\n  \
         deny /tmp/forbidden w,\n}}\n"
    );
    let mut bundle = Bundle::shell(SCRIPT).unwrap();
    bundle.config["process"]["apparmorProfile"] = json!(name);
    // Nothing of a container is made under a profile that is not there.
    bundle.create().fails(1, &name);
    bundle.assert_nothing_is_recorded();

    parse("--replace", &profile);
    for no_new_privileges in [false, true] {
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bundle.start();
        bundle.await_words("out", "denied");
        let said = bundle.read("out");
        assert!(
            said.contains(&format!("{name} (enforce)")) && said.contains("written"),
            "{said}"
        );
        let words = ["exec", &bundle.id, "cat", "/proc/self/attr/current"];
        let said = bundle.call(&words).ok();
        assert_eq!(said.out.trim(), format!("{name} (enforce)"));
        let words = ["exec", &bundle.id, "sh", "-c", "echo x >/tmp/forbidden"];
        assert_ne!(bundle.call(&words).code, Some(0));
        // The runtime itself is confined by nothing new.
        let own = std::fs::read_to_string("/proc/self/attr/current").unwrap();
        assert!(!own.contains(&name), "{own}");
        bundle.call(&["kill", &bundle.id, "KILL"]).ok();
        bundle.await_status("stopped");
        bundle.call(&["delete", &bundle.id]).ok();
    }
    parse("--remove", &profile);
    bundle.remove();
}

//! What is told of Hoist, the host and a plan, and to whom.

use hoist_testing::command::Hoist;
use serde_json::Value;

pub(super) fn info(hoist: &Hoist) {
    let info: Value = hoist.hoist(&["info", "--format", "json"]).json();
    assert_eq!(info["backend"], "linux");
    let features = info["features"].as_array().unwrap();
    for name in [
        "kernel",
        "user namespaces",
        "overlayfs",
        "seccomp",
        "cgroups",
    ] {
        assert!(
            features.iter().any(|feature| feature["name"] == name),
            "{name}"
        );
    }
    for feature in features {
        assert!(
            feature["available"] == true
                || feature["detail"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
            "{feature}"
        );
    }
    let is_available = |name: &str| {
        features
            .iter()
            .any(|feature| feature["name"] == name && feature["available"] == true)
    };
    assert!(is_available("procfs"), "containers have one: {info}");
    // Who may make no cgroups has no limits, and is told so.
    for (feature, options) in [
        ("cgroup memory limits", ["-m", "64m"]),
        ("cgroup cpu limits", ["--cpus", "0.5"]),
        ("cgroup pids limits", ["--pids-limit", "50"]),
    ] {
        let works = hoist.run(&options, &["exit", "0"]).code == 0;
        assert_eq!(is_available(feature), works, "{feature}: {info}");
    }
    let text = hoist.hoist(&["info"]).succeeded();
    assert!(text.starts_with("hoist "), "{text}");
    assert!(text.lines().count() > features.len(), "{text}");
}

pub(super) fn plan(hoist: &Hoist) {
    let root = hoist.root().to_str().unwrap();
    let text = hoist
        .hoist(&[
            "plan",
            "--rootfs",
            root,
            "--hostname",
            "box",
            "--",
            "/probe",
        ])
        .succeeded();
    let lines: Vec<&str> = text.lines().collect();
    for (line, number) in lines.iter().zip(1..) {
        assert!(
            line.trim_start().starts_with(&format!("{number}  ")),
            "{line}"
        );
    }
    for words in ["set hostname box", "mount proc on /proc", "seccomp filter"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(lines.last().unwrap().contains("execute /probe"), "{text}");
    let steps: Vec<Value> = hoist
        .hoist(&[
            "plan",
            "--json",
            "--rootfs",
            root,
            "--hostname",
            "box",
            "--",
            "/probe",
        ])
        .json();
    assert_eq!(steps.len(), lines.len());
    for step in &steps {
        for member in ["lane", "name", "words"] {
            assert!(step[member].is_string(), "{step}");
        }
    }
    assert_eq!(hoist.ids(), Vec::<String>::new());
    hoist
        .hoist(&["plan", "--rootfs", "/nosuch", "true"])
        .failed_with(1, &["/nosuch"]);
    // The containers of a plan for Windows are not here, and are not looked for.
    let windows = [
        "plan",
        "--platform",
        "windows",
        "--network",
        "container:web",
    ];
    let volume = ["--rootfs", r"\\?\Volume{1}\", "--", "cmd"];
    let text = hoist.hoist(&[&windows[..], &volume].concat()).succeeded();
    assert!(
        text.contains(r#""NetworkSharedContainerName":"web""#),
        "{text}"
    );
}

pub(super) fn version(hoist: &Hoist) {
    let version = env!("CARGO_PKG_VERSION");
    let text = hoist.hoist(&["version"]).succeeded();
    assert!(
        text.starts_with(&format!("hoist {version} (linux/")),
        "{text}"
    );
    let json: Value = hoist.hoist(&["version", "-f", "json"]).json();
    assert_eq!(json["version"], version);
    assert_eq!(json["os"], "linux");
    for word in ["-v", "--version"] {
        assert_eq!(
            hoist.hoist(&[word]).succeeded(),
            format!("hoist {version}\n")
        );
    }
}

pub(super) fn completions(hoist: &Hoist) {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = hoist.hoist(&["completions", shell]).succeeded();
        for word in ["inspect", "cap-add", "stop-timeout"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let script = hoist.hoist(&["completions", "bash"]).succeeded();
    let file = hoist.write("hoist.bash", &script);
    let check = "source \"$1\" && complete -p hoist && \
                 COMP_WORDS=(hoist run --na) COMP_CWORD=2 && _hoist hoist --na run && echo \"${COMPREPLY[*]}\"";
    let output = std::process::Command::new("bash")
        .args(["-c", check, "bash", &file])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("--name"), "{output:?}");
    hoist
        .hoist(&["completions", "nosuch"])
        .failed_with(1, &["nosuch"]);
    // The shell is this test's user's, and so the command that it asks for names.
    if !hoist.is_ordinary_user() {
        names_complete(hoist, &file);
    }
}

fn names_complete(hoist: &Hoist, file: &str) {
    let _web = hoist.background("web", &[], &["idle"]);
    let _worker = hoist.background("worker", &[], &["idle"]);
    let program = hoist.program().display().to_string();
    let root = hoist.state().display().to_string();
    let complete_at = |folder: &str, words: &[&str]| {
        let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
                      _hoist_with_containers hoist \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; \
                      printf '%s\\n' \"${COMPREPLY[@]}\"";
        let line = [&[&*program, "--state-root", &root], words].concat();
        let output = std::process::Command::new("bash")
            .args(["-c", script, "bash", file])
            .args(line)
            .current_dir(folder)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut names: Vec<String> = text
            .lines()
            .filter(|word| word.starts_with('w'))
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    };
    let complete = |words: &[&str]| complete_at("/", words);
    assert_eq!(complete(&["stop", "w"]), ["web", "worker"]);
    assert_eq!(complete(&["stop", "wo"]), ["worker"]);
    assert_eq!(complete(&["stop", "web", "w"]), ["web", "worker"]);
    assert_eq!(complete(&["logs", "-f", "w"]), ["web", "worker"]);
    assert_eq!(complete(&["exec", "-it", "we"]), ["web"]);
    assert!(complete(&["exec", "web", "w"]).is_empty());
    assert!(complete(&["stop", "--signal", "w"]).is_empty());
    assert!(complete(&["run", "w"]).is_empty());
    for group in [["mount", "add"], ["mount", "rm"], ["process", "ls"]] {
        assert_eq!(complete(&[&group[..], &["wo"]].concat()), ["worker"]);
        assert!(complete(&[&group[..], &["worker", "w"]].concat()).is_empty());
    }
    assert!(complete(&["mount", "add", "-v", "w"]).is_empty());
    assert!(complete(&["mount", "w"]).is_empty());
    // The shell takes a word apart at its colon.
    let here = hoist.write("wood", "");
    let here = here.rsplit_once('/').unwrap().0;
    let complete_in = |words: &[&str]| complete_at(here, words);
    assert_eq!(complete_in(&["cp", "-a", "w"]), ["web:", "wood", "worker:"]);
    assert_eq!(complete_in(&["cp", "wood", "web"]), ["web:"]);
    for in_a_container in [
        &["cp", "web", ":", "w"][..],
        &["cp", "web", ":", "/x", "w"],
        &["cp", "web:w"],
    ] {
        assert!(complete_in(in_a_container).is_empty(), "{in_a_container:?}");
    }
    for (shell, words) in [
        (
            "zsh",
            &[
                "Containers to end:_hoist_containers'",
                "Container, then the program to run in it and its arguments:_hoist_container_then_others'",
                "\n_hoist_containers() {",
                "What to copy:_hoist_container_paths'",
                "Where to:_hoist_container_paths'",
                "Container that has them:_hoist_containers'",
                "\n_hoist_container_paths() {",
            ][..],
        ),
        (
            "fish",
            &[
                "using_subcommand stop\" -f -a \"(__fish_hoist_containers)",
                "using_subcommand cp\" -a \"(__fish_hoist_containers):",
                "using_subcommand mount; and __fish_seen_subcommand_from add\" -f -a \"(__fish_hoist_containers)",
                "function __fish_hoist_containers",
            ],
        ),
    ] {
        let script = hoist.hoist(&["completions", shell]).succeeded();
        for word in words {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

pub(super) fn help(hoist: &Hoist) {
    let text = hoist.hoist(&["--help"]).succeeded();
    for command in [
        "run",
        "exec",
        "ps",
        "inspect",
        "top",
        "stop",
        "kill",
        "wait",
        "rm",
        "info",
        "plan",
        "version",
        "completions",
    ] {
        assert!(
            text.lines()
                .any(|line| line.trim_start().starts_with(command)),
            "{command}: {text}"
        );
        hoist.hoist(&[command, "--help"]).succeeded();
    }
    let text = hoist.hoist(&["run", "--help"]).succeeded();
    for option in [
        "-i,",
        "-t,",
        "--rm",
        "--name",
        "--rootfs",
        "--layer",
        "-e,",
        "--env-file",
        "-w,",
        "-u,",
        "-v,",
        "--mount",
        "--tmpfs",
        "--read-only",
        "-m,",
        "--cpus",
        "--cpu-shares",
        "--pids-limit",
        "--hostname",
        "--cap-add",
        "--cap-drop",
        "--security-opt",
        "--network",
        "--init",
        "--cidfile",
        "--stop-signal",
        "--stop-timeout",
        "--timeline",
    ] {
        assert!(text.contains(option), "{option}: {text}");
    }
    // What a user must know of the default root.
    assert!(text.contains("/usr, /bin, /sbin"), "{text}");
    assert!(text.contains("Nothing of"), "{text}");
}

pub(super) fn reader_gone(hoist: &Hoist) {
    use std::process::Stdio;
    assert_ne!(hoist.hoist(&["info"]).succeeded(), "");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = hoist
        .command(&["info"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    // One that goes on ends with its reader.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut stats = hoist.command(&["stats"]);
    stats.stdout(writer);
    hoist_testing::hangs_after(std::time::Duration::from_secs(60), move || {
        let output = stats.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    });
}

//! Section 2b of the field's history: descriptors, the runtime's own binary, inherited state.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
};

use hoist_testing::{Suite, probe::report::Report};
use serde_json::json;

use crate::kit::{Bundle, CONTAINERS, runtime};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "CVE-2024-21626: of 200 inherited descriptors none reaches the container, by run, create and exec",
            CONTAINERS,
            inherited,
        )
        .test(
            "CVE-2024-21626: a working directory in /proc/self/fd leads nowhere out",
            CONTAINERS,
            working_directory_in_fd,
        )
        .test(
            "CVE-2019-5736: /proc/self/exe as program, and as interpreter, is not the runtime and cannot be written",
            CONTAINERS,
            own_program,
        )
        .test(
            "CVE-2016-9962: a process that enters the container holds nothing but its streams",
            CONTAINERS,
            entering,
        )
        .test(
            "CVE-2024-25621: what is kept of a container is for its owner only, whatever the umask",
            CONTAINERS,
            state_modes,
        )
        .test(
            "preserved descriptors are handed on from 3, and LISTEN_FDS with them",
            CONTAINERS,
            preserved,
        )
        .test(
            "CVE-2020-15257: no abstract socket is there while a container waits for its start",
            CONTAINERS,
            no_abstract_socket,
        )
}

/// Files of the host that a caller forgot to close.
fn forgotten(count: usize) -> Vec<File> {
    (0..count)
        .map(|_| {
            File::open("/etc/hostname")
                .or_else(|_| File::open("/etc/passwd"))
                .unwrap()
        })
        .collect()
}

#[allow(unsafe_code, reason = "descriptors must be inheritable")]
fn leak(files: &[File], command: &mut std::process::Command) {
    let numbers: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: fcntl(2) on descriptors that are open in the child, which has a copy of them.
    unsafe {
        command.pre_exec(move || {
            for number in &numbers {
                libc::fcntl(*number, libc::F_SETFD, 0);
            }
            Ok(())
        });
    }
}

fn inherited() {
    let files = forgotten(200);
    let bundle = Bundle::new(&["report"]);
    bundle.write();
    let mut command = bundle.command(&["run", &bundle.id]);
    leak(&files, &mut command);
    let output = command.output().unwrap();
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report.descriptors.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2]
    );
    bundle.remove();
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    let mut command = bundle.command(&["exec", &bundle.id, "/probe", "probe", "report"]);
    leak(&files, &mut command);
    let output = command.output().unwrap();
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report.descriptors.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2]
    );
    bundle.remove();
}

fn working_directory_in_fd() {
    let files = forgotten(30);
    for number in (3..40).chain([100, 300]) {
        let mut bundle = Bundle::new(&["report"]);
        bundle.config["process"]["cwd"] = json!(format!("/proc/self/fd/{number}"));
        bundle.write();
        let mut command = bundle.command(&["run", &bundle.id]);
        leak(&files, &mut command);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{number}: {output:?}");
        bundle.assert_nothing_is_recorded();
        bundle.remove();
    }
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    for number in 3..20 {
        let cwd = format!("/proc/self/fd/{number}");
        bundle
            .call(&[
                "exec", "--cwd", &cwd, &bundle.id, "/probe", "probe", "report",
            ])
            .fails(255, &cwd);
    }
    bundle.remove();
}

fn own_program() {
    let before = fs::read(Path::new(&runtime())).unwrap();
    for by_script in [false, true] {
        let mut bundle = Bundle::new(&["idle"]);
        let program = if by_script {
            let script = bundle.rootfs().join("bin/script");
            fs::write(&script, "#!/proc/self/exe\n").unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            "/bin/script"
        } else {
            "/proc/self/exe"
        };
        bundle.config["process"]["args"] = json!([program]);
        let said = bundle.run();
        assert_ne!(said.code, Some(0), "{said:?}");
        bundle.call(&["delete", "--force", &bundle.id]).ok();
        bundle.probe(&["idle"]);
        bundle.start();
        let said = bundle.call(&["exec", &bundle.id, program]);
        assert_ne!(said.code, Some(0), "{said:?}");
        // Whatever could be reached by it cannot be opened for writing.
        let said = bundle.call(&[
            "exec",
            &bundle.id,
            "/probe",
            "probe",
            "open",
            "w",
            "/proc/self/exe",
        ]);
        assert_eq!(said.ok().json()["/proc/self/exe"], libc::ETXTBSY);
        bundle.remove();
    }
    assert!(
        fs::read(Path::new(&runtime())).unwrap() == before,
        "the runtime was overwritten"
    );
}

fn entering() {
    let bundle = Bundle::new(&["idle"]);
    bundle.start();
    for _ in 0..50 {
        let report = bundle
            .call(&["exec", &bundle.id, "/probe", "probe", "report"])
            .ok()
            .report();
        assert_eq!(
            report.descriptors.keys().copied().collect::<Vec<_>>(),
            [0, 1, 2]
        );
        assert!(
            !report.first_executable.contains("hoist"),
            "{}",
            report.first_executable
        );
        assert!(
            report
                .environment
                .iter()
                .all(|entry| !entry.starts_with("CARGO"))
        );
    }
    bundle.remove();
}

fn state_modes() {
    for mask in ["000", "777"] {
        let bundle = Bundle::new(&["idle"]);
        bundle.write();
        let script = format!("umask {mask}; exec \"$@\"");
        let state = bundle.path("state");
        let status = std::process::Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(runtime())
            .arg("--root")
            .arg(&state)
            .args(["create", &bundle.id])
            .current_dir(bundle.folder.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        if mask == "777" && !status.success() {
            // Nobody, not even root's own next call, is then meant to read it.
            continue;
        }
        let containers = state.join("containers");
        for folder in [containers.clone(), containers.join(&bundle.id)] {
            let mode = fs::metadata(&folder).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode & 0o077, 0, "{folder:?} has {mode:o} with umask {mask}");
        }
        bundle.remove();
    }
}

fn preserved() {
    let bundle = Bundle::new(&["report"]);
    bundle.write();
    let files = forgotten(2);
    let numbers: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let with_descriptors = |words: &[&str], environment: &[(&str, &str)]| {
        let mut command = bundle.command(words);
        for (key, value) in environment {
            command.env(key, value);
        }
        place(&numbers, &mut command);
        let output = command.output().unwrap();
        serde_json::from_slice::<Report>(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let report = with_descriptors(&["run", "--preserve-fds", "2", &bundle.id], &[]);
    assert_eq!(
        report.descriptors.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    let report = with_descriptors(&["run", &bundle.id], &[("LISTEN_FDS", "1")]);
    assert_eq!(
        report.descriptors.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    assert!(report.environment.contains(&"LISTEN_FDS=1".to_owned()));
    assert!(report.environment.contains(&"LISTEN_PID=1".to_owned()));
    bundle
        .call(&["run", "--preserve-fds", "20", &bundle.id])
        .fails(1, "preserve-fds");
    bundle.assert_nothing_is_recorded();
    drop(files);
    bundle.remove();
}

/// Puts the descriptors at 3 and behind.
#[allow(unsafe_code, reason = "descriptors at fixed numbers")]
fn place(numbers: &[i32], command: &mut std::process::Command) {
    let numbers = numbers.to_vec();
    // SAFETY: system calls on descriptors of the child's own.
    unsafe {
        command.pre_exec(move || {
            let copies: Vec<_> = numbers
                .iter()
                .map(|number| libc::fcntl(*number, libc::F_DUPFD, 100))
                .collect();
            for (place, copy) in (3..).zip(copies) {
                libc::dup2(copy, place);
                libc::close(copy);
            }
            Ok(())
        });
    }
}

fn no_abstract_socket() {
    let before = abstract_sockets();
    let bundle = Bundle::new(&["idle"]);
    bundle.create().ok();
    let new: Vec<_> = abstract_sockets()
        .into_iter()
        .filter(|name| !before.contains(name) && name.contains("hoist"))
        .collect();
    assert!(new.is_empty(), "{new:?}");
    bundle.remove();
}

fn abstract_sockets() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7))
        .filter(|name| name.starts_with('@'))
        .map(str::to_owned)
        .collect()
}

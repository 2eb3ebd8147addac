//! A service manager's socket: sd_notify(3) through the runtime.

use std::{
    env,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use hoist_testing::Suite;
use serde_json::json;

use crate::kit::{Bundle, CONTAINERS, LONG};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "a container tells the caller's service manager that it is ready, by a socket of its own, and nothing else",
            CONTAINERS,
            ready,
        )
        .test(
            "a start waits for a container that is never ready only until that has ended",
            CONTAINERS,
            never_ready,
        )
}

/// In the container: says what its arguments are to the socket of its environment, and stays.
pub(crate) fn main_if_asked() {
    let arguments: Vec<String> = env::args().collect();
    if arguments.get(1).is_some_and(|first| first == "notify") {
        let socket = env::var("NOTIFY_SOCKET").unwrap();
        assert_eq!(socket, "/run/notify/notify.sock");
        for message in &arguments[2..] {
            UnixDatagram::unbound()
                .unwrap()
                .send_to(message.as_bytes(), &socket)
                .unwrap();
        }
        std::thread::sleep(Duration::from_secs(1000));
    }
}

fn ready() {
    for detached in [false, true] {
        let mut bundle = Bundle::new(&[]);
        bundle.config["process"]["args"] = json!([
            "/probe",
            "notify",
            "STATUS=warming up",
            "MAINPID=1\nREADY=1\nERRNO=5"
        ]);
        bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        bundle.write();
        let manager = UnixDatagram::bind(bundle.path("manager")).unwrap();
        manager.set_read_timeout(Some(LONG)).unwrap();
        let environment = ("NOTIFY_SOCKET", bundle.path("manager"));
        let call = |words: &[&str]| {
            let mut command = bundle.command(words);
            command.env(environment.0, &environment.1);
            command.stdout(std::process::Stdio::null());
            command.stderr(std::fs::File::create(bundle.path("err")).unwrap());
            assert!(
                command.status().unwrap().success(),
                "{}",
                bundle.read("err")
            );
        };
        if detached {
            call(&["run", "--detach", &bundle.id, "--pid-file", "pid"]);
        } else {
            call(&["create", &bundle.id, "--pid-file", "pid"]);
            call(&["start", &bundle.id]);
        }
        let mut message = [0; 256];
        let length = manager.recv(&mut message).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&message[..length]),
            format!("READY=1\nMAINPID={}\n", bundle.pid())
        );
        drop(manager);
        bundle.remove();
    }
}

fn never_ready() {
    let mut bundle = Bundle::new(&["sleep", "300"]);
    bundle.write();
    let manager = UnixDatagram::bind(bundle.path("manager")).unwrap();
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    let mut command = bundle.command(&["run", "--detach", &bundle.id]);
    command.env("NOTIFY_SOCKET", bundle.path("manager"));
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    let begun = Instant::now();
    assert!(command.status().unwrap().success());
    assert!(begun.elapsed() < LONG);
    drop(manager);
    bundle.remove();
}

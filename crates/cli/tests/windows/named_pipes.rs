//! `--stdio named-pipes`: streams over the pipes of Docker 1.8.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::on_windows::{Case, Place, finish, probe};

const NAMED: [&str; 2] = ["--stdio", "named-pipes"];
/// `ERROR_FILE_NOT_FOUND` and `ERROR_PIPE_BUSY`.
const NOT_THERE: Option<i32> = Some(2);
const BUSY: Option<i32> = Some(231);

pub(crate) const CASES: &[(&str, Case)] = &[
    (
        "over named pipes a process without isolation has its streams whole, and its own exit code",
        whole_streams,
    ),
    (
        "over named pipes each process has pipes of its own, as long as it runs",
        pipes_of_their_own,
    ),
    (
        "over named pipes of the host compute service a namespace that is not there is an error with the pipe's name, and nothing is left",
        no_such_namespace,
    ),
    (
        "another way to carry streams than there is, or one for a plan, is refused by the option's name",
        bad_values,
    ),
];

fn unisolated(place: &Place, options: &[&str], actions: &[&str]) -> Command {
    let mut command = place.command(&["run", "--isolation", "none"]);
    command.args(NAMED).args(options).arg("--");
    command.args(probe(actions));
    command
}

fn whole_streams(place: &Place) {
    for code in ["0", "255", "-1073741819"] {
        let actions = ["say", "out", "+", "warn", "err", "+", "exit", code];
        let ran = finish(unisolated(place, &["--rm"], &actions), b"");
        assert_eq!(ran.code.to_string(), code, "{ran:?}");
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"));
    }
    for sent in ["", "x", &"a line\nand more".repeat(30_000)] {
        let command = unisolated(place, &["--rm", "-i"], &["cat"]);
        let ran = finish(command, sent.as_bytes());
        assert!(ran.code == 0 && ran.out == sent, "{} bytes", ran.out.len());
    }
    // Without -i there is no input to wait for.
    let ran = finish(unisolated(place, &["--rm"], &["cat"]), b"unread");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    let drawn = finish(unisolated(place, &["--rm", "-t"], &["size"]), b"").succeeded();
    assert!(drawn.contains("24 80"), "{drawn:?}");
    let mut missing = place.command(&["run", "--isolation", "none", "--rm"]);
    missing.args(NAMED).arg(r"C:\nosuch.exe");
    finish(missing, b"").failed_with(127, &[r"C:\nosuch.exe"]);
}

fn running(place: &Place, name: &str, options: &[&str]) -> (Child, BufReader<impl std::io::Read>) {
    let mut all = vec!["--name", name];
    all.extend(options);
    let mut owner = unisolated(place, &all, &["idle"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(owner.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), "ready");
    (owner, output)
}

/// What becomes of another who opens a pipe of a container's first process.
fn opened(id: &str, stream: &str) -> Option<i32> {
    let name = format!(r"\\.\pipe\docker-run-{id}-{stream}");
    let opened = File::options().write(true).open(name);
    opened.err().and_then(|error| error.raw_os_error())
}

fn pipes_of_their_own(place: &Place) {
    let (mut owner, _output) = running(place, "job", &["-i"]);
    let told = place.inspect("job");
    let id = told["Id"].as_str().unwrap();
    for stream in ["stdin", "stdout", "stderr"] {
        assert_eq!(opened(id, stream), BUSY, "{stream}");
    }
    let (mut other, _output) = running(place, "other", &[]);
    for text in ["one", "two"] {
        let mut exec = place.command(&["exec", "-i"]);
        exec.args(NAMED).arg("job").args(probe(&["cat"]));
        assert_eq!(finish(exec, text.as_bytes()).succeeded(), text);
    }
    // In each command's own way.
    place.exec(&[], "job", &["exit", "9"]).failed_with(9, &[]);
    let mut create = place.command(&["process", "create", "job"]);
    create.args(probe(&["say", "out", "+", "exit", "5"]));
    let made = finish(create, b"").succeeded();
    let mut start = place.command(&["process", "start", "--attach"]);
    start.args(NAMED).arg(made.trim_end());
    let ran = finish(start, b"");
    assert_eq!((ran.code, ran.out.as_str()), (5, "out\n"), "{ran:?}");
    for name in ["job", "other"] {
        place.hoist(&["kill", name]).succeeded();
    }
    assert_eq!(owner.wait().unwrap().code(), Some(137));
    assert_eq!(other.wait().unwrap().code(), Some(137));
    for stream in ["stdin", "stdout", "stderr"] {
        assert_eq!(opened(id, stream), NOT_THERE, "{stream}");
    }
    place.hoist(&["rm", "job", "other"]).succeeded();
}

fn no_such_namespace(place: &Place) {
    place
        .run(
            &["--stdio", "named-pipes", "--name", "web"],
            &["say", "started"],
        )
        .failed_with(125, &[r"\\.\Containers\", "docker-run-stdout"]);
    assert_eq!(place.ids(), "");
    let mut owner = place.running("web", &[]);
    place
        .exec(&NAMED, "web", &["say", "started"])
        .failed_with(125, &[r"\\.\Containers\", "docker-exec-"]);
    place.hoist(&["rm", "-f", "web"]).succeeded();
    owner.wait().unwrap();
}

fn bad_values(place: &Place) {
    place
        .run(&["--stdio", "pigeons"], &["exit", "0"])
        .failed_with(125, &["--stdio", "pigeons", "direct or named-pipes"]);
    place
        .hoist(&["plan", "--stdio", "named-pipes", "cmd"])
        .failed_with(1, &["--stdio", "plan"]);
}

//! A container in the background.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{DEADLINE, Hoist, Ran, ended_within};
use crate::hangs_after;

/// A `hoist run` that has not ended. Dropped, its container is removed by force.
pub struct Running<'a> {
    hoist: &'a Hoist,
    name: String,
    line: String,
    child: Option<Child>,
}

impl<'a> Running<'a> {
    /// Starts `command`, which makes a container of this name, and waits until it prints `ready`.
    pub(super) fn start(hoist: &'a Hoist, name: &str, mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let (line, output) = hangs_after(DEADLINE, move || (read_line(&mut output), output));
        child.stdout = Some(output);
        let line_of_command = format!("{command:?}");
        if line != "ready" {
            let said = ended_within(DEADLINE, child, line_of_command);
            panic!("{line:?} came instead of \"ready\": {said:?}");
        }
        Self {
            hoist,
            name: name.to_owned(),
            line: line_of_command,
            child: Some(child),
        }
    }

    /// The process id of `hoist run` itself.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id().cast_signed()
    }

    /// Its standard input, which reaches the container with `-i`.
    pub fn input(&mut self) -> &mut ChildStdin {
        self.child.as_mut().unwrap().stdin.as_mut().unwrap()
    }

    /// Writes to its standard input.
    pub fn write(&mut self, bytes: &[u8]) {
        self.input().write_all(bytes).unwrap();
    }

    /// The next line of the container's output.
    pub fn line(&mut self) -> String {
        let child = self.child.as_mut().unwrap();
        let mut output = child.stdout.take().unwrap();
        let (line, output) = hangs_after(DEADLINE, move || (read_line(&mut output), output));
        child.stdout = Some(output);
        line
    }

    /// Waits until the command ends by itself. What the container wrote from here on is in the result.
    pub fn ended(&mut self) -> Ran {
        let child = self.child.take().unwrap();
        ended_within(DEADLINE, child, self.line.clone())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let removed = self.hoist.hoist(&["rm", "-f", &self.name]);
        if let Some(child) = self.child.take() {
            // Its end is no part of the test.
            let _ = ended_within(DEADLINE, child, self.line.clone());
        }
        if !std::thread::panicking() {
            removed.ended_with(0);
        }
    }
}

/// A line without its end, byte by byte: what comes after it stays to be read.
fn read_line(output: &mut ChildStdout) -> String {
    let mut line = Vec::new();
    let mut reader = BufReader::with_capacity(1, output);
    let _ = reader.read_until(b'\n', &mut line);
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

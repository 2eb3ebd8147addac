//! The recorded scenarios' program, played by the service.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write},
};

use hoist_windows::command_line;
use serde_json::Value;

/// What a probe is to do.
pub(crate) struct Probe {
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    console: bool,
}

impl Probe {
    /// As a process with these parameters would.
    pub(crate) fn of(parameters: &str) -> Self {
        let parameters: Value = serde_json::from_str(parameters).unwrap();
        let line = parameters["CommandLine"].as_str().unwrap_or_default();
        let mut arguments = command_line::split(line);
        // A program's path may hold spaces that nobody has quoted.
        let program = arguments
            .iter()
            .position(|part| part.to_lowercase().ends_with(".exe"))
            .unwrap_or(0);
        arguments.drain(..(program + 1).min(arguments.len()));
        let environment = parameters["Environment"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        Self {
            arguments,
            environment,
            console: parameters["EmulateConsole"] == true,
        }
    }

    /// Does it; where it will be `killed`, only until its last sleep.
    pub(crate) fn run(
        &self,
        stdin: Option<File>,
        stdout: Option<File>,
        stderr: Option<File>,
        killed: bool,
    ) {
        let mut stdin = stdin;
        let mut stdout = stdout;
        let mut stderr = stderr;
        let sleeps = self
            .arguments
            .iter()
            .filter(|word| *word == "sleep")
            .count();
        let mut slept = 0;
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "out" => self.line(&mut stdout, words.next()),
                "err" if self.console => self.line(&mut stdout, words.next()),
                "err" => self.line(&mut stderr, words.next()),
                "env" => {
                    let name = words.next().cloned().unwrap_or_default();
                    let line = match self.variable(&name) {
                        Some(value) => format!("{name}={value}"),
                        None => format!("{name} is not set"),
                    };
                    self.line(&mut stdout, Some(&line));
                }
                "cat" => {
                    let mut bytes = Vec::new();
                    if let Some(mut stdin) = stdin.take() {
                        let _ = stdin.read_to_end(&mut bytes);
                    }
                    if let Some(stdout) = &mut stdout {
                        let _ = stdout.write_all(&bytes);
                    }
                }
                "sleep" => {
                    words.next();
                    slept += 1;
                    if killed && slept == sleeps {
                        return;
                    }
                }
                "argv" => {
                    let rest: Vec<String> = words.by_ref().map(|word| quoted(word)).collect();
                    self.line(&mut stdout, Some(&format!("[{}]", rest.join(","))));
                }
                _ => return,
            }
        }
    }

    fn line(&self, stream: &mut Option<File>, text: Option<&String>) {
        if let (Some(stream), Some(text)) = (stream, text) {
            let _ = stream.write_all(format!("{text}\n").as_bytes());
        }
    }

    /// Windows looks for a name in any case.
    fn variable(&self, name: &str) -> Option<&String> {
        self.environment.get(name).or_else(|| {
            self.environment
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    }
}

/// A text in JSON as the probe of the recordings writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\0'..=' ' if character != ' ' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// What it would print, given this input.
pub(crate) fn output(parameters: &str, stdin: Option<&str>, killed: bool) -> (String, String) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (mut out_reader, out_writer) = std::io::pipe().unwrap();
    let (mut err_reader, err_writer) = std::io::pipe().unwrap();
    writer
        .write_all(stdin.unwrap_or_default().as_bytes())
        .unwrap();
    drop(writer);
    Probe::of(parameters).run(
        Some(file(reader)),
        Some(file(out_writer)),
        Some(file(err_writer)),
        killed,
    );
    let (mut stdout, mut stderr) = (String::new(), String::new());
    out_reader.read_to_string(&mut stdout).unwrap();
    err_reader.read_to_string(&mut stderr).unwrap();
    (stdout, stderr)
}

/// One end of a pipe as the service would hand it out.
#[cfg(unix)]
pub(crate) fn file(end: impl Into<std::os::fd::OwnedFd>) -> File {
    File::from(end.into())
}

/// One end of a pipe as the service would hand it out.
#[cfg(windows)]
pub(crate) fn file(end: impl Into<std::os::windows::io::OwnedHandle>) -> File {
    File::from(end.into())
}

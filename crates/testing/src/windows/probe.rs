//! What a test binary does in a container on Windows: the actions of the probe that Windows has (the other platform's `probe`
//! describes them).

#![allow(
    unsafe_code,
    reason = "a standard stream is closed by its handle alone"
)]

use std::{
    fs,
    io::{self, Read, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::console;
use hoist_compute::conformance::pattern;
use serde_json::json;
use windows_sys::Win32::{
    Foundation::CloseHandle,
    System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE},
};

/// The exit code of a probe whose action failed.
const FAILED: i32 = 90;

type Done = Result<(), String>;

/// Turns the process into the probe where its first argument says so; otherwise does nothing.
pub fn main_if_asked() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "probe") {
        let code = match all(&arguments[1..]) {
            Ok(()) => 0,
            Err(reason) => {
                // Nobody may be there to hear it.
                let _ = writeln!(io::stderr(), "probe: {reason}");
                FAILED
            }
        };
        std::process::exit(code);
    }
}

fn all(arguments: &[String]) -> Done {
    let mut rest = arguments;
    while let Some((action, after)) = rest.split_first() {
        if action == "arguments" {
            return say(&json!(after).to_string());
        }
        let end = after
            .iter()
            .position(|word| word == "+")
            .unwrap_or(after.len());
        one(action, &after[..end])?;
        rest = after.get(end + 1..).unwrap_or_default();
    }
    Ok(())
}

fn one(action: &str, words: &[String]) -> Done {
    let word = |index: usize| {
        words
            .get(index)
            .map(String::as_str)
            .ok_or_else(|| format!("{action}: an argument is missing"))
    };
    let number = |index: usize| {
        word(index)?
            .parse::<u64>()
            .map_err(|error| format!("{action}: {error}"))
    };
    let failed = |error: io::Error| format!("{action}: {error}");
    match action {
        "report" => say(&report().map_err(failed)?),
        "read" => write(1, &fs::read(word(0)?).map_err(failed)?).map_err(failed),
        "put" => fs::write(word(0)?, word(1)?).map_err(failed),
        "say" => say(word(0)?),
        "warn" => write(2, format!("{}\n", word(0)?).as_bytes()).map_err(failed),
        "exit" => std::process::exit(
            word(0)?
                .parse()
                .map_err(|error| format!("{action}: {error}"))?,
        ),
        "cat" => copy(|block| write(1, block)).map_err(failed),
        "drain" => copy(|_| Ok(())).map_err(failed),
        "check" => {
            let mut check = pattern::Check::default();
            copy(|block| {
                check.take(block);
                Ok(())
            })
            .map_err(failed)?;
            say(&json!({"bytes": check.bytes(), "intact": check.is_intact()}).to_string())
        }
        "write" => {
            let stream = number(0)?;
            pattern::each_block(number(1)?, |block| write(stream, block)).map_err(failed)
        }
        "close" => close(number(0)?).map_err(failed),
        "line" => {
            let mut line = Vec::new();
            let mut byte = [0];
            let mut stdin = io::stdin().lock();
            while stdin.read(&mut byte).map_err(failed)? == 1 && byte[0] != b'\n' {
                line.push(byte[0]);
            }
            say(&format!("got {}", String::from_utf8_lossy(&line)))
        }
        "sleep" => {
            thread::sleep(Duration::from_millis(number(0)?));
            Ok(())
        }
        "idle" | "stubborn" => {
            say("ready")?;
            loop {
                thread::sleep(Duration::from_secs(3600));
            }
        }
        "size" => say_size(&size()?),
        "sizes" => {
            let mut last = [0, 0];
            loop {
                let now = size()?;
                if now != last {
                    say_size(&now)?;
                    last = now;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        "raw" => console::make_raw().map_err(failed),
        "spin" => {
            let end = Instant::now() + Duration::from_millis(number(0)?);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            Ok(())
        }
        // Windows knows no parents: both leave a process behind that has all streams.
        "orphan" | "daemon" => leave(&["sleep", word(0)?], Stdio::inherit).map_err(failed),
        "zombies" => {
            (0..number(0)?).try_for_each(|_| leave(&["exit", "0"], Stdio::null).map_err(failed))
        }
        "fork" => {
            let count = number(0)?;
            for _ in 0..count {
                leave(&["sleep", "3600000"], Stdio::null).map_err(failed)?;
            }
            say(&count.to_string())
        }
        "allocate" => {
            let bytes = usize::try_from(number(0)?).map_err(|error| error.to_string())?;
            std::hint::black_box(vec![1_u8; bytes]);
            Ok(())
        }
        _ => Err(format!("{action} is no action on Windows")),
    }
}

fn size() -> Result<[u16; 2], String> {
    console::size().ok_or_else(|| "the process has no console".to_owned())
}

fn say_size([height, width]: &[u16; 2]) -> Done {
    say(&format!("{height} {width}"))
}

fn report() -> io::Result<String> {
    let directory = std::env::current_dir()?
        .to_string_lossy()
        .replace('\\', "/");
    let directory = directory.trim_start_matches("//?/").trim_end_matches('/');
    let environment: Vec<String> = std::env::vars()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let size = console::size();
    Ok(json!({
        "pid": std::process::id(),
        "working_directory": directory,
        "environment": environment,
        "terminals": [size, size, size],
        "controls_terminal": size.is_some(),
    })
    .to_string())
}

fn leave(probe: &[&str], stdio: fn() -> Stdio) -> io::Result<()> {
    Command::new(std::env::current_exe()?)
        .arg("probe")
        .args(probe)
        .stdin(stdio())
        .stdout(stdio())
        .stderr(stdio())
        .spawn()
        .map(drop)
}

fn say(text: &str) -> Done {
    write(1, format!("{text}\n").as_bytes()).map_err(|error| format!("say: {error}"))
}

fn write(stream: u64, bytes: &[u8]) -> io::Result<()> {
    if stream == 2 {
        return io::stderr().write_all(bytes);
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

fn copy(mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stdin.read(&mut buffer)? {
            0 => return Ok(()),
            count => take(&buffer[..count])?,
        }
    }
}

fn close(stream: u64) -> io::Result<()> {
    let which = match stream {
        0 => STD_INPUT_HANDLE,
        1 => STD_OUTPUT_HANDLE,
        _ => STD_ERROR_HANDLE,
    };
    // SAFETY: nothing uses the stream after this.
    let closed = unsafe { CloseHandle(GetStdHandle(which)) };
    if closed == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

//! A console for processes that ask for one: two pipes to the client, what a terminal does to bytes in between, and a size.
//!
//! It is no console of Windows: Wine's cannot be made another size without a window. The process finds a file's name in
//! `HOIST_HCS_DOUBLE_CONSOLE`: the file with the ending `size` holds `HEIGHT WIDTH` and a line feed; where the process makes one with the ending
//! `raw`, its input is passed on as it is.

#![allow(unsafe_code, reason = "Ctrl+C ends a process by its handle")]

use std::{
    fs::{self, File},
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::windows::io::{AsRawHandle, OwnedHandle},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use windows_sys::Win32::System::Threading::TerminateProcess;

/// The variable by which a process finds its console.
const VARIABLE: &str = "HOIST_HCS_DOUBLE_CONSOLE";
/// What a program ends with that Ctrl+C ends (`STATUS_CONTROL_C_EXIT`).
const INTERRUPTED: u32 = 0xC000_013A;
const INTERRUPT: u8 = 0x03;
const END_OF_INPUT: u8 = 0x04;

/// A console, until it is dropped.
pub(crate) struct Console(PathBuf);

/// Its pipes, until the process runs.
pub(crate) struct Ends {
    from_process: PipeReader,
    to_process: PipeWriter,
}

impl Console {
    /// For the process that `command` will start.
    pub(crate) fn of(command: &mut Command, size: [u16; 2]) -> io::Result<(Self, Ends)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hoist-console-{}-{number}", std::process::id());
        let console = Self(std::env::temp_dir().join(name));
        console.resize(size)?;
        let (from_process, output) = io::pipe()?;
        let (input, to_process) = io::pipe()?;
        command
            .env(VARIABLE, &console.0)
            .stdin(input)
            .stdout(Stdio::from(output.try_clone()?))
            .stderr(output);
        let ends = Ends {
            from_process,
            to_process,
        };
        Ok((console, ends))
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, [height, width]: [u16; 2]) -> io::Result<()> {
        fs::write(self.0.with_extension("size"), format!("{height} {width}\n"))
    }

    /// The client's ends of input and output, where they are not pipes that the client has `named`. Threads carry the bytes until the
    /// process or the client has closed its side.
    pub(crate) fn connect(
        &self,
        ends: Ends,
        named: &[Option<File>; 3],
        process: OwnedHandle,
    ) -> io::Result<[Option<OwnedHandle>; 2]> {
        let [named_input, named_output, _] = named;
        let (from_client, input) = match named_input {
            Some(named) => (named.try_clone()?, None),
            None => {
                let (reader, writer) = io::pipe()?;
                (OwnedHandle::from(reader).into(), Some(writer.into()))
            }
        };
        let (output, to_client) = match named_output {
            Some(named) => (None, named.try_clone()?),
            None => {
                let (reader, writer) = io::pipe()?;
                (Some(reader.into()), OwnedHandle::from(writer).into())
            }
        };
        let to_client = Arc::new(Mutex::new(Some(to_client)));
        let echo = Echo(Arc::clone(&to_client));
        let raw = self.0.with_extension("raw");
        let mut from_process = ends.from_process;
        thread::spawn(move || {
            carry_output(&mut from_process, &Echo(Arc::clone(&to_client)));
            // The end of the process's output is the end of the console's, whatever is still typed.
            if let Ok(mut pipe) = to_client.lock() {
                pipe.take();
            }
        });
        thread::spawn(move || {
            carry_input(from_client, ends.to_process, &echo, &raw, &process);
        });
        Ok([input, output])
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        for ending in ["size", "raw"] {
            // The process may have made none, and temporary files go in the end.
            let _ = fs::remove_file(self.0.with_extension(ending));
        }
    }
}

/// What is shown to the client.
struct Echo(Arc<Mutex<Option<File>>>);

impl Echo {
    fn show(&self, bytes: &[u8]) -> io::Result<()> {
        match self.0.lock() {
            Ok(mut pipe) => match &mut *pipe {
                Some(pipe) => pipe.write_all(bytes),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// A line feed also goes back to the line's begin.
fn carry_output(from: &mut PipeReader, to: &Echo) {
    let mut buffer = [0; 1 << 12];
    let mut last = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut shown = Vec::with_capacity(count + 16);
        for byte in &buffer[..count] {
            if *byte == b'\n' && last != b'\r' {
                shown.push(b'\r');
            }
            shown.push(*byte);
            last = *byte;
        }
        // A client that has gone sees nothing any more; the process writes on.
        let _ = to.show(&shown);
    }
}

/// Line by line, shown as it is typed; or as it is, where the process wants that.
fn carry_input(mut from: File, mut to: PipeWriter, echo: &Echo, raw: &Path, process: &OwnedHandle) {
    let mut buffer = [0; 1 << 12];
    let mut line = Vec::new();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if raw.exists() {
            if to.write_all(&buffer[..count]).is_err() {
                return;
            }
            continue;
        }
        for byte in &buffer[..count] {
            match *byte {
                INTERRUPT => {
                    // SAFETY: the handle is a process's.
                    unsafe { TerminateProcess(process.as_raw_handle(), INTERRUPTED) };
                    return;
                }
                END_OF_INPUT if line.is_empty() => return,
                END_OF_INPUT => {}
                b'\r' | b'\n' => {
                    line.push(b'\n');
                    let _ = echo.show(b"\r\n");
                }
                typed => {
                    line.push(typed);
                    let _ = echo.show(&[typed]);
                    continue;
                }
            }
            if to.write_all(&line).is_err() {
                return;
            }
            line.clear();
        }
    }
}

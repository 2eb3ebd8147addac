//! A terminal for the program under test: a pseudo-terminal whose user is the test.

#![allow(
    unsafe_code,
    reason = "openpty, the window size and the controlling terminal have no safe wrappers in libc"
)]

use std::{
    fs::File,
    io::{Read, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What is not shown by then does not come any more.
const DEADLINE: Duration = Duration::from_secs(60);

/// A terminal, and its user.
///
/// Dropped, it hangs up, as a window that is closed.
pub struct Terminal {
    user_side: File,
    program_side: OwnedFd,
    reader: Option<JoinHandle<()>>,
    is_closed: Arc<AtomicBool>,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

/// How a terminal treats what is typed and shown (termios(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    flags: [u32; 4],
    characters: [u8; libc::NCCS],
}

impl Modes {
    /// Whether it hands lines over, shows what is typed, and makes signals of keys: what raw mode takes away.
    pub fn is_cooked(&self) -> bool {
        let [_, _, _, local] = self.flags;
        let all = libc::ICANON | libc::ECHO | libc::ISIG;
        local & all == all
    }

    /// Whether none of these is done.
    pub fn is_raw(&self) -> bool {
        let [_, output, _, local] = self.flags;
        local & (libc::ICANON | libc::ECHO | libc::ISIG) == 0 && output & libc::OPOST == 0
    }
}

impl Terminal {
    /// A terminal of this size; 0 and 0 is one that does not know its size.
    pub fn open(rows: u16, columns: u16) -> Self {
        let (mut user_side, mut program_side) = (-1, -1);
        let size = window(rows, columns);
        // SAFETY: both places are valid, no name and no modes are asked for, and `size` outlives the call.
        let opened = unsafe {
            libc::openpty(
                &raw mut user_side,
                &raw mut program_side,
                std::ptr::null_mut(),
                std::ptr::null(),
                &raw const size,
            )
        };
        assert_eq!(
            opened,
            0,
            "open a terminal: {}",
            std::io::Error::last_os_error()
        );
        // SAFETY: openpty has just opened both, and nobody else knows them.
        let (user_side, program_side) = unsafe {
            (
                OwnedFd::from_raw_fd(user_side),
                OwnedFd::from_raw_fd(program_side),
            )
        };
        for side in [&user_side, &program_side] {
            // SAFETY: setting descriptor flags touches no memory.
            unsafe { libc::fcntl(side.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        let user_side = File::from(user_side);
        let (show, shown) = mpsc::channel();
        let is_closed = Arc::new(AtomicBool::new(false));
        let reader = {
            let (file, is_closed) = (user_side.try_clone().unwrap(), Arc::clone(&is_closed));
            thread::spawn(move || read(file, &is_closed, &show))
        };
        Self {
            user_side,
            program_side,
            reader: Some(reader),
            is_closed,
            shown,
            seen: String::new(),
        }
    }

    /// Starts a program in a session of its own that this terminal controls, with all its streams on it.
    pub fn start(&self, command: &mut Command) -> Child {
        let stream = || self.program_side.try_clone().unwrap();
        command.stdin(stream()).stdout(stream()).stderr(stream());
        // SAFETY: setsid and ioctl are async-signal-safe, and nothing is allocated between fork and exec.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() == -1 || libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        // The command keeps copies of its streams otherwise, and the terminal never hangs up.
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        child
    }

    /// Gives the terminal another size, of which its foreground processes are told by SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = window(rows, columns);
        // SAFETY: `size` is valid for the call.
        let done = unsafe {
            libc::ioctl(
                self.user_side.as_fd().as_raw_fd(),
                libc::TIOCSWINSZ,
                &raw const size,
            )
        };
        assert_eq!(done, 0, "resize: {}", std::io::Error::last_os_error());
    }

    /// How it treats its streams now.
    pub fn modes(&self) -> Modes {
        let modes = self.termios();
        Modes {
            flags: [modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag],
            characters: modes.c_cc,
        }
    }

    /// Makes it treat them so, as a shell does that takes its terminal back.
    pub fn set_modes(&self, modes: &Modes) {
        let mut changed = self.termios();
        [
            changed.c_iflag,
            changed.c_oflag,
            changed.c_cflag,
            changed.c_lflag,
        ] = modes.flags;
        changed.c_cc = modes.characters;
        let terminal = self.program_side.as_raw_fd();
        // SAFETY: `changed` is a whole termios and outlives the call.
        let done = unsafe { libc::tcsetattr(terminal, libc::TCSANOW, &raw const changed) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }

    fn termios(&self) -> libc::termios {
        // SAFETY: a zeroed termios is valid, and tcgetattr fills it.
        unsafe {
            let mut modes: libc::termios = std::mem::zeroed();
            let done = libc::tcgetattr(self.program_side.as_raw_fd(), &raw mut modes);
            assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
            modes
        }
    }

    /// Waits until its modes are such.
    pub fn wait_for_modes(&self, what: &str, are: fn(&Modes) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !are(&self.modes()) {
            assert!(
                Instant::now() < deadline,
                "the terminal never was {what}: {:?}",
                self.modes()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Types.
    pub fn enter(&mut self, text: &str) {
        self.user_side.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until `text` is shown after what was waited for before.
    pub fn expect(&mut self, text: &str) {
        self.until(text);
    }

    /// As [`Terminal::expect`]; what was shown before the text.
    pub fn until(&mut self, text: &str) -> String {
        let mut looked_at = 0;
        loop {
            if let Some(at) = self.seen[looked_at..].find(text) {
                let rest = self.seen.split_off(looked_at + at + text.len());
                let mut before = std::mem::replace(&mut self.seen, rest);
                before.truncate(looked_at + at);
                return before;
            }
            looked_at = self
                .seen
                .floor_char_boundary(self.seen.len().saturating_sub(text.len()));
            match self.shown.recv_timeout(DEADLINE) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{text:?} is not shown, but {:?}", self.seen)
                }
            }
        }
    }

    /// All that is shown after the program's end and was not waited for.
    pub fn rest(&mut self) -> String {
        const END: &str = "\0the end\0";
        // It is shown in the order in which it was written.
        let side = self.program_side.try_clone().unwrap();
        File::from(side).write_all(END.as_bytes()).unwrap();
        self.until(END)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The reader has the user's side open, too.
        self.is_closed.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Hands on what is shown, until the terminal is closed or nobody has the program's side open any more (EIO).
fn read(mut file: File, is_closed: &AtomicBool, show: &Sender<Vec<u8>>) {
    const LOOK: i32 = 20;
    let mut buffer = vec![0; 1 << 16];
    while !is_closed.load(Ordering::Relaxed) {
        let mut asked = libc::pollfd {
            fd: file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid `pollfd` is given.
        match unsafe { libc::poll(&raw mut asked, 1, LOOK) } {
            0 => {}
            _ => match file.read(&mut buffer) {
                Ok(count @ 1..) if show.send(buffer[..count].to_vec()).is_ok() => {}
                _ => return,
            },
        }
    }
}

fn window(rows: u16, columns: u16) -> libc::winsize {
    libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

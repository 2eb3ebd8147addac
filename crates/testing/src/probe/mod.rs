//! What a test binary does inside a container when it is started as `… probe ACTION …`.
//!
//! The binary is static, so it runs in an empty root. Actions are separated by `+` and done in order; after the
//! last one the probe exits with 0. An action that fails says why on standard error and exits with 90.
//!
//! | action | what it does |
//! | --- | --- |
//! | `report` | prints [`Report`](report::Report) as one line of JSON |
//! | `calls NAME…` | tries system calls, each in a child, and prints `{name: errno}`, 0 for success |
//! | `open r\|w PATH…` | opens each path and prints `{path: errno}` |
//! | `list DIR` | prints the names in a directory as JSON |
//! | `read PATH` | copies a file to standard output |
//! | `put PATH TEXT` | writes a file anew |
//! | `folder PATH`, `link TARGET PATH`, `remove PATH` | makes a directory or a symbolic link, removes a file or a tree |
//! | `arguments …` | prints what follows (to the end, `+` included) as JSON |
//! | `say TEXT`, `warn TEXT` | writes a line to standard output, standard error |
//! | `exit N` | exits with N |
//! | `kill SIGNAL` | sends itself a signal |
//! | `fault` | reads address 0 |
//! | `cat` | copies standard input to standard output |
//! | `check` | reads standard input to its end and prints `{"bytes", "intact"}`, compared with the pattern |
//! | `store PATH` | copies standard input to a file |
//! | `drain` | reads standard input to its end |
//! | `write FD BYTES` | writes the first bytes of the pattern |
//! | `lock PATH` | makes a file and locks it (flock(2)) until it ends |
//! | `close FD` | closes a descriptor |
//! | `line` | reads a line and prints `got LINE` |
//! | `sleep MS`, `idle` | sleeps, for ever; `idle` first prints `ready` |
//! | `spin MS` | uses the processor for so long |
//! | `stubborn` | ignores SIGTERM, SIGINT and SIGHUP, prints `ready` and sleeps for ever |
//! | `trap SIGNAL CODE` | prints `ready`; when the signal comes, prints `caught` and exits with the code |
//! | `orphan MS` | leaves a child that holds all streams and sleeps |
//! | `daemon MS` | leaves a twice forked child in a session of its own that holds all streams and sleeps |
//! | `zombies N` | leaves N ended grandchildren for PID 1 |
//! | `fork N` | makes up to N sleeping children and prints how many there are |
//! | `allocate BYTES` | allocates and touches memory |
//! | `size` | prints the console's size as `ROWS COLUMNS` |
//! | `sizes` | as `size`, and again whenever SIGWINCH comes |
//! | `raw` | takes the console out of its line mode |
//! | `namespaces any\|user` | makes what a container needs, or says what is refused |

pub mod report;
#[allow(
    unsafe_code,
    reason = "the probe asks the kernel directly; libc has no safe wrappers"
)]
pub mod sys;

mod act;

/// The exit code of a probe whose action failed.
pub const FAILED: i32 = 90;

/// Turns the process into the probe where its first argument says so; otherwise does nothing.
///
/// To be called first in `main`, while there is one thread.
pub fn main_if_asked() {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    if arguments.first().is_some_and(|first| first == "probe") {
        let code = match act::all(&arguments[1..]) {
            Ok(()) => 0,
            Err(reason) => {
                let _ = sys::write_all(2, format!("probe: {reason}\n").as_bytes());
                FAILED
            }
        };
        sys::exit(code);
    }
}

/// Whether this process is root with CAP_SYS_ADMIN.
pub fn is_administrator() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    sys::effective_uid() == 0
        && report::capabilities().is_some_and(|sets| sets.effective & (1 << CAP_SYS_ADMIN) != 0)
}

//! Every name that ever appears in a directory, however soon it is gone again (inotify(7)).

#![allow(
    unsafe_code,
    reason = "inotify has no safe wrapper in libc or the standard library"
)]

use std::{
    collections::BTreeSet,
    ffi::CString,
    fs::File,
    io::{self, Read},
    os::{fd::FromRawFd, unix::ffi::OsStrExt},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// How often the kernel's queue, which has room for 16,384 names, is emptied.
const INTERVAL: Duration = Duration::from_millis(200);

/// The names that have appeared in a directory since it was watched.
#[derive(Debug)]
pub(crate) struct Arrivals {
    events: Arc<Mutex<(File, BTreeSet<String>)>>,
}

impl Arrivals {
    /// Begins to watch.
    pub(crate) fn watch(folder: &Path) -> io::Result<Self> {
        let path = CString::new(folder.as_os_str().as_bytes()).map_err(io::Error::other)?;
        // SAFETY: the flags are valid; the descriptor is new and nobody else's.
        let file = unsafe {
            let descriptor = libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK);
            if descriptor == -1 {
                return Err(io::Error::last_os_error());
            }
            let file = File::from_raw_fd(descriptor);
            let kinds = libc::IN_CREATE | libc::IN_MOVED_TO | libc::IN_ONLYDIR;
            if libc::inotify_add_watch(descriptor, path.as_ptr(), kinds) == -1 {
                return Err(io::Error::last_os_error());
            }
            file
        };
        let events = Arc::new(Mutex::new((file, BTreeSet::new())));
        let watched = Arc::downgrade(&events);
        thread::spawn(move || {
            while let Some(events) = watched.upgrade() {
                read(&events);
                drop(events);
                thread::sleep(INTERVAL);
            }
        });
        Ok(Self { events })
    }

    /// The names so far.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        read(&self.events);
        self.events.lock().unwrap().1.clone()
    }
}

/// Takes what the kernel has noted.
fn read(events: &Mutex<(File, BTreeSet<String>)>) {
    let mut events = events.lock().unwrap();
    let (file, names) = &mut *events;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        let mut rest = &buffer[..count];
        // inotify_event: wd: i32, mask: u32, cookie: u32, len: u32, name: [u8; len], padded with NUL
        while rest.len() >= 16 {
            let word = |at: usize| {
                u32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]])
            };
            assert_eq!(word(4) & libc::IN_Q_OVERFLOW, 0, "names were missed");
            let end = 16 + word(12) as usize;
            let name = rest[16..end].split(|byte| *byte == 0).next();
            names.insert(String::from_utf8_lossy(name.unwrap_or_default()).into_owned());
            rest = &rest[end..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_gone_again_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let arrivals = Arrivals::watch(folder.path()).unwrap();
        assert!(arrivals.names().is_empty());
        std::fs::create_dir(folder.path().join("short")).unwrap();
        std::fs::remove_dir(folder.path().join("short")).unwrap();
        std::fs::write(folder.path().join("a-longer-name"), "").unwrap();
        assert_eq!(
            arrivals.names().into_iter().collect::<Vec<_>>(),
            ["a-longer-name", "short"]
        );
    }
}

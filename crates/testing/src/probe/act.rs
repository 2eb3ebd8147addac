//! What the probe does, action by action.

use std::{collections::BTreeMap, fs, io, thread, time::Duration};

use hoist_compute::conformance::pattern;
use serde_json::json;

use super::{
    report::{self, Report},
    sys,
};

type Done = Result<(), String>;

/// Does the actions one after the other.
pub(super) fn all(arguments: &[String]) -> Done {
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
    let small = |index: usize| {
        word(index)?
            .parse::<i32>()
            .map_err(|error| format!("{action}: {error}"))
    };
    let failed = |error: io::Error| format!("{action}: {error}");
    match action {
        "report" => say(&serde_json::to_string(&Report::now()).map_err(|error| error.to_string())?),
        "calls" => calls(words),
        "open" => open(word(0)?, &words[1..]),
        "list" => say(&json!(report::names(word(0)?)).to_string()),
        "read" => sys::write_all(1, &fs::read(word(0)?).map_err(failed)?).map_err(failed),
        "put" => fs::write(word(0)?, word(1)?).map_err(failed),
        "folder" => fs::create_dir(word(0)?).map_err(failed),
        "link" => std::os::unix::fs::symlink(word(0)?, word(1)?).map_err(failed),
        "remove" => match fs::symlink_metadata(word(0)?).map_err(failed)?.is_dir() {
            true => fs::remove_dir_all(word(0)?).map_err(failed),
            false => fs::remove_file(word(0)?).map_err(failed),
        },
        "say" => say(word(0)?),
        "keyring" => say(&sys::session_keyring().map_err(failed)?.to_string()),
        "warn" => sys::write_all(2, format!("{}\n", word(0)?).as_bytes()).map_err(failed),
        "exit" => sys::exit(small(0)?),
        "kill" => sys::kill_self(small(0)?).map_err(failed),
        "fault" => {
            sys::fault();
            Ok(())
        }
        "cat" => cat().map_err(failed),
        "check" => check().map_err(failed),
        "store" => io::copy(
            &mut io::stdin().lock(),
            &mut fs::File::create(word(0)?).map_err(failed)?,
        )
        .map(drop)
        .map_err(failed),
        "drain" => {
            let mut buffer = vec![0; 1 << 16];
            while sys::read(0, &mut buffer).map_err(failed)? > 0 {}
            Ok(())
        }
        "write" => pattern::each_block(number(1)?, |block| {
            sys::write_all(small(0).unwrap_or(1), block)
        })
        .map_err(failed),
        "lock" => {
            let file = fs::File::create(word(0)?).map_err(failed)?;
            file.lock().map_err(failed)?;
            // Held until the probe ends.
            std::mem::forget(file);
            Ok(())
        }
        "backlog" => {
            // A connection that is made and never taken.
            let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            let connection = std::net::TcpStream::connect(address).map_err(failed)?;
            std::mem::forget((listener, connection));
            Ok(())
        }
        "close" => sys::close(small(0)?).map_err(failed),
        "line" => {
            let mut line = Vec::new();
            let mut byte = [0];
            while sys::read(0, &mut byte).map_err(failed)? == 1 && byte[0] != b'\n' {
                line.push(byte[0]);
            }
            say(&format!("got {}", String::from_utf8_lossy(&line)))
        }
        "sleep" => {
            thread::sleep(Duration::from_millis(number(0)?));
            Ok(())
        }
        "idle" => {
            say("ready")?;
            for_ever()
        }
        "spin" => {
            let end = sys::processor_time().map_err(failed)? + Duration::from_millis(number(0)?);
            while sys::processor_time().map_err(failed)? < end {
                std::hint::spin_loop();
            }
            Ok(())
        }
        "stubborn" => {
            for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
                sys::ignore(signal);
            }
            say("ready")?;
            for_ever()
        }
        "deaf" => {
            sys::ignore(libc::SIGTERM);
            Ok(())
        }
        "trap" => {
            let awaited = sys::Awaited::block(small(0)?).map_err(failed)?;
            say("ready")?;
            awaited.wait().map_err(failed)?;
            say("caught")?;
            sys::exit(small(1)?)
        }
        "orphan" => {
            if sys::fork().map_err(failed)?.is_none() {
                thread::sleep(Duration::from_millis(number(0)?));
                sys::exit(0);
            }
            Ok(())
        }
        "daemon" => daemon(Duration::from_millis(number(0)?)).map_err(failed),
        "leaderless" => {
            thread::spawn(|| {
                loop {
                    if matches!(sys::fork(), Ok(None)) {
                        let _ = for_ever();
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            });
            sys::end_thread()
        }
        "keep" => match sys::fork().map_err(failed)? {
            Some(_) => for_ever(),
            None => Ok(()),
        },
        "comet" => {
            if sys::fork().map_err(failed)?.is_some() {
                while sys::wait(-1).is_ok() {}
                return for_ever();
            }
            loop {
                thread::sleep(Duration::from_millis(number(0).unwrap_or(100)));
                if sys::fork().map_err(failed)?.is_some() {
                    sys::exit(0);
                }
            }
        }
        "zombies" => {
            for _ in 0..number(0)? {
                if let Some(child) = sys::fork().map_err(failed)? {
                    sys::wait(child).map_err(failed)?;
                } else {
                    let _ = sys::fork();
                    sys::exit(0);
                }
            }
            Ok(())
        }
        "fork" => {
            let mut made = 0;
            for _ in 0..number(0)? {
                match sys::fork() {
                    Ok(Some(_)) => made += 1,
                    Ok(None) => {
                        sys::close_streams();
                        for_ever()?;
                    }
                    Err(_) => break,
                }
            }
            say(&made.to_string())
        }
        "allocate" => {
            let bytes = usize::try_from(number(0)?).map_err(|error| error.to_string())?;
            // Another value than zero: the kernel shares one page of zeroes as long as it can.
            std::hint::black_box(vec![1_u8; bytes]);
            Ok(())
        }
        "size" => say_size(),
        "sizes" => {
            let changed = sys::Awaited::block(libc::SIGWINCH).map_err(failed)?;
            loop {
                say_size()?;
                changed.wait().map_err(failed)?;
            }
        }
        "raw" => sys::make_raw(0).map_err(failed),
        "namespaces" => namespaces(word(0)? == "user"),
        _ => Err(format!("{action} is no action")),
    }
}

fn say(text: &str) -> Done {
    sys::write_all(1, format!("{text}\n").as_bytes()).map_err(|error| format!("say: {error}"))
}

fn say_size() -> Done {
    let [rows, columns] = sys::terminal_size(0).ok_or("standard input is no terminal")?;
    say(&format!("{rows} {columns}"))
}

fn for_ever() -> Done {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

fn cat() -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match sys::read(0, &mut buffer)? {
            0 => return Ok(()),
            count => sys::write_all(1, &buffer[..count])?,
        }
    }
}

fn check() -> io::Result<()> {
    let mut check = pattern::Check::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match sys::read(0, &mut buffer)? {
            0 => break,
            count => check.take(&buffer[..count]),
        }
    }
    let line = json!({"bytes": check.bytes(), "intact": check.is_intact()});
    sys::write_all(1, format!("{line}\n").as_bytes())
}

fn daemon(life: Duration) -> io::Result<()> {
    let Some(child) = sys::fork()? else {
        sys::new_session()?;
        if sys::fork()?.is_none() {
            thread::sleep(life);
        }
        sys::exit(0);
    };
    sys::wait(child).map(drop)
}

fn open(mode: &str, paths: &[String]) -> Done {
    let answers: BTreeMap<&String, i32> = paths
        .iter()
        .map(|path| {
            let mut options = fs::OpenOptions::new();
            match mode {
                "w" => options.write(true),
                _ => options.read(true),
            };
            let errno = match options.open(path) {
                Ok(_) => 0,
                Err(error) => error.raw_os_error().unwrap_or(-1),
            };
            (path, errno)
        })
        .collect();
    say(&json!(answers).to_string())
}

fn calls(names: &[String]) -> Done {
    let mut answers = BTreeMap::new();
    for name in names {
        let Some(child) = sys::fork().map_err(|error| format!("calls: {error}"))? else {
            sys::exit(call(name));
        };
        answers.insert(
            name,
            sys::wait(child).map_err(|error| format!("calls: {error}"))?,
        );
    }
    say(&json!(answers).to_string())
}

/// The error number of a call by name; a number stands for itself, with zeroes for arguments. 255: no such name.
fn call(name: &str) -> i32 {
    let path = c"/".as_ptr() as usize;
    let new_user = libc::CLONE_NEWUSER as usize;
    match name {
        "unshare-user" => sys::call(libc::SYS_unshare, [new_user, 0, 0, 0, 0]),
        "unshare-mount" => sys::call(libc::SYS_unshare, [libc::CLONE_NEWNS as usize, 0, 0, 0, 0]),
        "mount" => sys::call(libc::SYS_mount, [path, path, 0, libc::MS_BIND as usize, 0]),
        "umount" => sys::call(
            libc::SYS_umount2,
            [path, libc::MNT_DETACH as usize, 0, 0, 0],
        ),
        "pivot_root" => sys::call(libc::SYS_pivot_root, [path, path, 0, 0, 0]),
        "keyctl" => sys::call(libc::SYS_keyctl, [0, 0, 0, 0, 0]),
        "add_key" => sys::call(libc::SYS_add_key, [0, 0, 0, 0, 0]),
        "bpf" => sys::call(libc::SYS_bpf, [0, 0, 0, 0, 0]),
        "ptrace" => sys::call(
            libc::SYS_ptrace,
            [libc::PTRACE_TRACEME as usize, 0, 0, 0, 0],
        ),
        "personality" => sys::call(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0]),
        "odd-personality" => sys::call(libc::SYS_personality, [0x0004_0000, 0, 0, 0, 0]),
        "reboot" => sys::call(libc::SYS_reboot, [0, 0, 0, 0, 0]),
        "settimeofday" => sys::call(libc::SYS_settimeofday, [0, 0, 0, 0, 0]),
        "kexec_load" => sys::call(libc::SYS_kexec_load, [0, 0, 0, 0, 0]),
        "init_module" => sys::call(libc::SYS_init_module, [0, 0, 0, 0, 0]),
        "open_by_handle_at" => sys::call(libc::SYS_open_by_handle_at, [0, 0, 0, 0, 0]),
        "clone3" => sys::call(libc::SYS_clone3, [0, 0, 0, 0, 0]),
        "sethostname" => sys::call(libc::SYS_sethostname, [path, 1, 0, 0, 0]),
        "chroot" => sys::call(libc::SYS_chroot, [path, 0, 0, 0, 0]),
        "socket-vsock" => sys::call(libc::SYS_socket, [libc::AF_VSOCK as usize, 1, 0, 0, 0]),
        "getpid" => sys::call(libc::SYS_getpid, [0, 0, 0, 0, 0]),
        number => number
            .parse()
            .map_or(255, |number| sys::call(number, [0; 5])),
    }
}

/// Makes the namespaces of a container and mounts what only they allow.
fn namespaces(as_user: bool) -> Done {
    let step =
        |what: &str, result: io::Result<()>| result.map_err(|error| format!("{what}: {error}"));
    let (uid, gid) = (sys::effective_uid(), sys::effective_gid());
    if as_user || !super::is_administrator() {
        step(
            "a user namespace is refused",
            sys::unshare(libc::CLONE_NEWUSER),
        )?;
        let write = |file: &str, text: String| {
            step(
                &format!("write to {file}"),
                fs::write(format!("/proc/self/{file}"), text),
            )
        };
        write("setgroups", "deny".to_owned())?;
        write("uid_map", format!("0 {uid} 1"))?;
        write("gid_map", format!("0 {gid} 1"))?;
    }
    step(
        "mount, pid, ipc, uts and network namespaces are refused",
        sys::unshare(
            libc::CLONE_NEWNS
                | libc::CLONE_NEWPID
                | libc::CLONE_NEWIPC
                | libc::CLONE_NEWUTS
                | libc::CLONE_NEWNET,
        ),
    )?;
    let Some(child) = sys::fork().map_err(|error| format!("fork: {error}"))? else {
        let result = step(
            "make the mounts private",
            sys::mount("", "/", "", libc::MS_REC | libc::MS_PRIVATE),
        )
        .and_then(|()| step("mount a new proc", sys::mount("proc", "/proc", "proc", 0)))
        .and_then(|()| step("mount a new tmpfs", sys::mount("tmpfs", "/tmp", "tmpfs", 0)));
        if let Err(reason) = &result {
            let _ = sys::write_all(2, reason.as_bytes());
        }
        sys::exit(i32::from(result.is_err()));
    };
    match sys::wait(child) {
        Ok(0) => Ok(()),
        _ => Err("a container's mounts are refused".to_owned()),
    }
}

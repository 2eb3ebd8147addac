//! An ordinary user of this machine, for whom the kernel's overlayfs is not.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use hoist_testing::command::{Hoist, Ran, finish};

pub(super) const USER: u32 = 65534;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Fuse,
    Copy,
}

/// Where a program is.
fn found(name: &str) -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap()
}

/// An ordinary user of this machine.
pub(super) struct User<'a> {
    pub(super) hoist: &'a Hoist,
    pub(super) path: String,
    pub(super) state: String,
    /// Its lines of `/etc/subuid`.
    pub(super) lent: Option<&'static str>,
}

impl<'a> User<'a> {
    pub(super) fn with(hoist: &'a Hoist, method: Method) -> Self {
        let path = match method {
            Method::Fuse => std::env::var("PATH").unwrap(),
            Method::Copy => hoist.make_folder("no-programs"),
        };
        chown(hoist.folder(), Some(USER), Some(USER)).unwrap();
        Self {
            hoist,
            path,
            state: hoist.path("user-state"),
            lent: None,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = match self.lent {
            None => Command::new(found("setpriv")),
            Some(lent) => {
                let table = self.hoist.write("lent", lent);
                let script = "mount --bind \"$1\" /etc/subuid && mount --bind \"$1\" /etc/subgid && shift && \
                              exec \"$@\"";
                let mut command = Command::new(found("unshare"));
                command
                    .args(["--mount", "sh", "-c", script, "sh", &table])
                    .arg(found("setpriv"));
                command
            }
        };
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(found("setarch"))
            .arg("--uname-2.6")
            .arg(self.hoist.program())
            .args(["--state-root", &self.state])
            .args(words)
            .env("PATH", &self.path)
            .env("HOIST_TEST_TAG", self.hoist.tag())
            .current_dir(self.hoist.folder());
        command
    }

    pub(super) fn hoist(&self, words: &[&str]) -> Ran {
        finish(&mut self.command(words), b"")
    }

    /// `hoist run OPTION… -- PROBE…` over the layers.
    pub(super) fn run(&self, layers: &[String], options: &[&str], probe: &[&str]) -> Ran {
        let mut words = vec!["run", "-e", "HOIST_TEST_TAG"];
        words.extend(layers.iter().flat_map(|layer| ["--layer", layer.as_str()]));
        words.extend(options);
        words.extend(["--", "/probe", "probe"]);
        words.extend(probe);
        self.hoist(&words)
    }

    pub(super) fn folder(&self, name: &str) -> String {
        let folder = self.hoist.make_folder(name);
        chown(&folder, Some(USER), Some(USER)).unwrap();
        folder
    }
}

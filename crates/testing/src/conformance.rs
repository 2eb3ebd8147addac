//! Runs the contract's behaviours against a backend: one test per behaviour, each with its leaks counted.
//!
//! A backend's test binary is this and no more (with `harness = false`):
//!
//! ```ignore
//! fn main() -> std::process::ExitCode {
//!     hoist_testing::conformance::main(|folder| Ok(std::sync::Arc::new(MyService::new(folder)?)), &[], |_| None)
//! }
//! ```

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use hoist_compute::{
    ComputeService, Readiness,
    conformance::{self, Ability, Fixture, Outcome},
};
use hoist_spec::{ContainerSpec, ProcessSpec};

use crate::{
    Leaks, Need, Suite, hangs_after,
    probe::{self, sys},
    root, spec,
};

/// A behaviour that has not ended by then hangs; the longest takes a few seconds.
const HANGS_AFTER: Duration = Duration::from_secs(180);

/// Makes a backend's service over a folder for its records.
pub type MakeService = fn(PathBuf) -> hoist_compute::Result<Arc<dyn ComputeService>>;

/// Runs every behaviour against the service that `make` makes; one that needs an ability which `lacks` gives a
/// reason against is ignored.
pub fn main(
    make: MakeService,
    needs: &'static [Need],
    lacks: fn(Ability) -> Option<String>,
) -> ExitCode {
    run(make, needs, lacks, true)
}

/// As [`main`], for a backend whose containers have this machine's own root.
pub fn main_without_isolation(make: MakeService, lacks: fn(Ability) -> Option<String>) -> ExitCode {
    run(make, &[], lacks, false)
}

fn run(
    make: MakeService,
    needs: &'static [Need],
    lacks: fn(Ability) -> Option<String>,
    isolated: bool,
) -> ExitCode {
    probe::main_if_asked();
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, tag, folder, action @ ..] = arguments.as_slice()
        && first == "another-process"
    {
        let backend = match Backend::new(make, lacks, isolated, tag, Path::new(folder)) {
            Ok(backend) => backend,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        return match conformance::act(&backend, action) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}", chain(&*error));
                ExitCode::FAILURE
            }
        };
    }

    let folder = tempfile::Builder::new()
        .prefix("conformance-")
        .tempdir()
        .unwrap();
    if !isolated {
        // Processes of other users must be able to walk through it.
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).unwrap();
    }
    for name in ["records", "root"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    root::minimal(&folder.path().join("root")).unwrap();
    let mut suite = Suite::new().serial();
    for behaviour in conformance::behaviours() {
        let place = folder.path().to_owned();
        suite = suite.test_or_skip(behaviour.name, needs, move || {
            if let Some(reason) = behaviour.needs.iter().find_map(|ability| lacks(*ability)) {
                return Err(reason);
            }
            let tag = format!("conform{}", std::process::id());
            let backend = Backend::new(make, lacks, isolated, &tag, &place)
                .unwrap_or_else(|error| panic!("{}", chain(&error)));
            let leaks = Leaks::before(&tag, &[&place.join("records")]).within(&[&place]);
            hangs_after(HANGS_AFTER, move || {
                if let Err(error) = (behaviour.run)(&backend) {
                    panic!("{}", chain(&*error));
                }
            });
            leaks.assert_none();
            Ok(())
        });
    }
    suite.run()
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

struct Backend {
    service: Arc<dyn ComputeService>,
    lacks: fn(Ability) -> Option<String>,
    isolated: bool,
    tag: String,
    folder: PathBuf,
}

impl Backend {
    fn new(
        make: MakeService,
        lacks: fn(Ability) -> Option<String>,
        isolated: bool,
        tag: &str,
        folder: &Path,
    ) -> hoist_compute::Result<Self> {
        Ok(Self {
            service: make(folder.join("records"))?,
            lacks,
            isolated,
            tag: tag.to_owned(),
            folder: folder.to_owned(),
        })
    }
}

impl Fixture for Backend {
    fn service(&self) -> Arc<dyn ComputeService> {
        Arc::clone(&self.service)
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn spec(&self, probe: &[&str]) -> ContainerSpec {
        let root = self.folder.join("root");
        match self.isolated {
            true => spec::container(&root, &self.tag, probe),
            false => spec::without_isolation(&root, &self.tag, probe),
        }
    }

    fn path(&self, path: &str) -> String {
        match (self.isolated, path) {
            (true, _) => path.to_owned(),
            (false, "/") => self.folder.join("root").display().to_string(),
            (false, _) => format!("{}{path}", self.folder.join("root").display()),
        }
    }

    fn process(&self, probe: &[&str]) -> ProcessSpec {
        match self.isolated {
            true => spec::process(&self.tag, probe),
            false => spec::process_without_isolation(&self.folder.join("root"), &self.tag, probe),
        }
    }

    fn another_process(&self) -> Outcome<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("another-process")
            .arg(&self.tag)
            .arg(&self.folder);
        Ok(command)
    }

    fn is_ready(&self, readiness: Readiness<'_>) -> bool {
        sys::is_readable(readiness)
    }

    fn lacks(&self, ability: Ability) -> Option<String> {
        (self.lacks)(ability)
    }
}

//! Runs the contract's behaviours against a backend on Windows.

#![allow(unsafe_code, reason = "handles and loaded libraries are asked about")]

use std::{
    fs, io,
    os::windows::io::AsRawHandle,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hoist_compute::{
    ComputeService, Readiness,
    conformance::{self, Ability, Fixture, Outcome},
};
use hoist_spec::{ContainerSpec, ProcessSpec, RootSource};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::{Value, json};
use windows_sys::Win32::{
    Foundation::WAIT_OBJECT_0,
    System::LibraryLoader::{GetModuleHandleW, GetProcAddress},
    System::Threading::{GetCurrentProcess, GetProcessHandleCount, WaitForSingleObject},
};

use super::{
    layers::{self, Layers},
    probe,
};
use crate::{full, hangs_after, unfiltered};

/// A behaviour that has not ended by then hangs; under Wine the longest take a minute.
const HANGS_AFTER: Duration = Duration::from_secs(600);
/// What is left behind after so long stays.
const SETTLED_AFTER: Duration = Duration::from_secs(20);

/// What a backend's tests give.
#[derive(Clone, Copy)]
pub struct Backend {
    /// Makes the service over a folder for its records.
    pub make: fn(PathBuf) -> hoist_compute::Result<Arc<dyn ComputeService>>,
    /// Why the backend lacks an ability; `None` where it has it.
    pub lacks: fn(Ability) -> Option<String>,
    /// Why no behaviour can be tried here.
    pub missing: fn() -> Option<String>,
    /// What is open and alive: the same before and after each behaviour.
    pub left: fn() -> Value,
    /// Where below its folder it keeps its records.
    pub records: &'static str,
    /// Its containers are isolated: they have a root, and layers.
    pub is_isolated: bool,
}

/// Runs every behaviour; one that needs an ability which the backend lacks is ignored.
pub fn main(backend: Backend) -> ExitCode {
    main_with(backend, None)
}

/// The same in containers with these layers.
pub fn main_with(backend: Backend, layers: Option<Layers>) -> ExitCode {
    let layers = layers.map(Arc::new);
    probe::main_if_asked();
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, tag, folder, action @ ..] = arguments.as_slice()
        && first == "another-process"
    {
        let acted = Place::new(backend, layers, tag, Path::new(folder))
            .map_err(|error| chain(&error))
            .and_then(|place| conformance::act(&place, action).map_err(|error| chain(&*error)));
        return match acted {
            Ok(()) => ExitCode::SUCCESS,
            Err(words) => {
                eprintln!("{words}");
                ExitCode::FAILURE
            }
        };
    }
    let folder = std::env::temp_dir().join(format!("conform-{}", std::process::id()));
    prepare(&folder).unwrap();
    let trials = conformance::behaviours()
        .into_iter()
        .map(|behaviour| {
            let (folder, layers) = (folder.clone(), layers.clone());
            Trial::ignorable_test(behaviour.name, move || {
                let missing = (backend.missing)();
                let lacked = || {
                    behaviour
                        .needs
                        .iter()
                        .find_map(|ability| (backend.lacks)(*ability))
                };
                if let Some(reason) = missing.or_else(lacked) {
                    return Ok(Completion::ignored_with(reason));
                }
                let tag = format!("conform{}", std::process::id());
                let place =
                    Place::new(backend, layers, &tag, &folder).map_err(|error| chain(&error))?;
                let before = left(backend, &folder);
                hangs_after(HANGS_AFTER, move || {
                    (behaviour.run)(&place).map_err(|error| chain(&*error))
                })?;
                nothing_left(backend, &folder, &before)?;
                Ok(Completion::Completed)
            })
        })
        .collect();
    let arguments = Arguments {
        test_threads: Some(1),
        ..Arguments::from_args()
    };
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    // A program that is still being let go of is in its way; the folder is a temporary one.
    let _ = fs::remove_dir_all(&folder);
    code
}

fn left(backend: Backend, folder: &Path) -> (Value, usize) {
    let records = folder.join("records").join(backend.records);
    let records = ["containers", "removed"]
        .map(|name| fs::read_dir(records.join(name)).map_or(0, Iterator::count));
    ((backend.left)(), records.iter().sum())
}

fn nothing_left(backend: Backend, folder: &Path, before: &(Value, usize)) -> Result<(), String> {
    let deadline = Instant::now() + SETTLED_AFTER;
    loop {
        let now = left(backend, folder);
        if now == *before {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("left behind: {now:?}, before it was {before:?}"));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// How many handles this process has open.
pub fn handles() -> u32 {
    let mut count = 0;
    // SAFETY: the handle is this process's own, and the place outlives the call.
    unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) };
    count
}

/// Whether this is no Windows, but Wine.
pub fn is_wine() -> bool {
    let library: Vec<u16> = "ntdll.dll\0".encode_utf16().collect();
    // SAFETY: both names end with NUL; the library is always loaded, and never unloaded.
    unsafe {
        let library = GetModuleHandleW(library.as_ptr());
        GetProcAddress(library, c"wine_get_version".as_ptr().cast()).is_some()
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The root of the containers: this program as the probe, and files that are no programs.
fn prepare(folder: &Path) -> io::Result<()> {
    let root = folder.join("root");
    for name in ["bin", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::create_dir_all(folder.join("records"))?;
    let program = std::env::current_exe()?;
    fs::copy(&program, root.join("probe.exe"))?;
    // Where a DLL stands beside this program, it needs it.
    let beside = "bcryptprimitives.dll";
    if program.with_file_name(beside).exists() {
        fs::copy(program.with_file_name(beside), root.join(beside))?;
    }
    fs::write(root.join("bin/text"), "no program\n")?;
    fs::write(root.join("bin/orphan-script"), "#!/no/such/interpreter\n")?;
    fs::write(
        root.join("bin/garbage"),
        [0x7f, b'E', b'L', b'F', 0, 0, 0, 0],
    )
}

struct Place {
    backend: Backend,
    layers: Option<Arc<Layers>>,
    service: Arc<dyn ComputeService>,
    tag: String,
    folder: PathBuf,
    /// Where a container finds the probe.
    root: String,
}

impl Place {
    fn new(
        backend: Backend,
        layers: Option<Arc<Layers>>,
        tag: &str,
        folder: &Path,
    ) -> hoist_compute::Result<Self> {
        let root = match &layers {
            Some(_) => layers::INSIDE.to_owned(),
            None => folder.join("root").to_string_lossy().replace('\\', "/"),
        };
        Ok(Self {
            backend,
            layers,
            service: (backend.make)(folder.join("records"))?,
            tag: tag.to_owned(),
            folder: folder.to_owned(),
            root,
        })
    }

    fn process_json(&self, probe: &[&str]) -> Value {
        let mut arguments = vec![self.path("/probe.exe"), "probe".to_owned()];
        arguments.extend(probe.iter().map(|&word| word.to_owned()));
        json!({
            "args": arguments,
            "env": [format!("PATH={}", self.path("/bin")), format!("HOIST_TEST_TAG={}", self.tag)],
            "cwd": self.root,
            "user": {"uid": 0, "gid": 0},
        })
    }
}

impl Fixture for Place {
    fn service(&self) -> Arc<dyn ComputeService> {
        Arc::clone(&self.service)
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn spec(&self, probe: &[&str]) -> ContainerSpec {
        let mut oci = json!({
            "ociVersion": "1.2.0",
            "process": self.process_json(probe),
        });
        let root = match &self.layers {
            _ if !self.backend.is_isolated => RootSource::Unisolated,
            Some(layers) => RootSource::Directory(layers.give(&mut oci, &self.folder.join("root"))),
            None => {
                oci["root"] = json!({"path": self.root});
                oci["windows"] = json!({"layerFolders": [self.root]});
                RootSource::Directory(PathBuf::from(&self.root))
            }
        };
        unfiltered(oci, root)
    }

    fn path(&self, path: &str) -> String {
        match path {
            "/" => self.root.clone(),
            _ => format!("{}{path}", self.root),
        }
    }

    fn search_path(&self, folders: &[&str]) -> String {
        folders.join(";")
    }

    /// A command line holds 32767 characters at most, and so does a variable.
    fn longest_text(&self) -> usize {
        20_000
    }

    /// A process takes tens of milliseconds to start.
    fn is_bounded(&self) -> bool {
        !full()
    }

    fn adds_variable(&self, name: &str) -> bool {
        // Wine adds some of its own.
        if name.starts_with("WINE") {
            return true;
        }
        let of_the_system = [
            "COMSPEC",
            "PATH",
            "PATHEXT",
            "SYSTEMDRIVE",
            "SYSTEMROOT",
            "TEMP",
            "TMP",
            "WINDIR",
        ];
        of_the_system.contains(&name.to_uppercase().as_str())
    }

    fn process(&self, probe: &[&str]) -> ProcessSpec {
        ProcessSpec {
            oci: serde_json::from_value(self.process_json(probe)).unwrap(),
            user: None,
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
        // SAFETY: the handle is borrowed, so it is open.
        unsafe { WaitForSingleObject(readiness.as_raw_handle(), 0) == WAIT_OBJECT_0 }
    }

    fn lacks(&self, ability: Ability) -> Option<String> {
        (self.backend.lacks)(ability)
    }
}

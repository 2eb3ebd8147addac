//! Where containers without isolation are kept, made, opened and listed.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use hoist_compute::{
    ComputeService, ComputeSystem, ErrorKind, Feature, Features, Result, Summary, Survey,
};
use hoist_init::owner::whole_file;
use hoist_spec::oci::User;
use hoist_spec::user::UserRequest;
use hoist_spec::{ContainerId, ContainerSpec, accounts};

use super::record::{ALL, Config, Folder, clean_up, failed, optional};
use super::remains;
use super::run::gone;
use super::system::HostSystem;
use crate::plan::linux::{self as plan, Facts};
use crate::refused::id_in_use;

/// How often a container is made anew because the folder of all was removed in between.
const MOST_TRIES: u32 = 100;

/// How a [`HostService`] is opened.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Containers are ended by force when this program ends, however it does: nothing runs on that nobody owns.
    pub takes_containers_along: bool,
    /// The folder of the `passwd` and `group` in which names are looked up.
    pub accounts: PathBuf,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            takes_containers_along: false,
            accounts: "/etc".into(),
        }
    }
}

/// Containers without isolation that are recorded below one directory.
#[derive(Clone)]
pub struct HostService(pub(crate) Arc<Shared>);

/// What all handles of one service share.
pub(crate) struct Shared {
    pub(crate) containers: PathBuf,
    pub(crate) options: HostOptions,
}

impl HostService {
    /// The containers below `state_root/unisolated`, which is made (0700) with the first of them.
    pub fn new(state_root: PathBuf) -> Self {
        Self::with_options(state_root, HostOptions::default())
    }

    /// As [`HostService::new`], with options.
    pub fn with_options(state_root: PathBuf, options: HostOptions) -> Self {
        let containers = state_root.join(ALL);
        Self(Arc::new(Shared {
            containers,
            options,
        }))
    }

    /// Whether there is such a container.
    pub fn has(&self, id: &ContainerId) -> bool {
        self.0.folder(id).exists()
    }

    /// What would be done to start a container from `spec`. Nothing is changed.
    ///
    /// # Errors
    /// As [`plan::plan`].
    pub fn plan(&self, spec: &ContainerSpec) -> Result<plan::Plan> {
        plan::plan(spec, &self.0.facts_of(spec)?)
    }
}

impl Shared {
    pub(crate) fn folder(&self, id: &ContainerId) -> Folder {
        Folder::of(&self.containers, id.as_str())
    }

    /// Makes a container's folder; false where the id is in use.
    fn make(&self, folder: &Folder, spec: &ContainerSpec) -> Result<bool> {
        let mut tries = 0;
        loop {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.containers)
                .map_err(|error| failed("make", &self.containers, error))?;
            match folder.make(spec) {
                // Whoever has removed the last container has removed it, too.
                Err(error) if error.kind() == ErrorKind::NotFound && tries < MOST_TRIES => {
                    tries += 1
                }
                made => return made,
            }
        }
    }

    pub(crate) fn facts_of(&self, spec: &ContainerSpec) -> Result<Facts> {
        let numbers = spec
            .oci
            .process()
            .as_ref()
            .map(|process| process.user().clone());
        self.facts(spec.user.as_deref(), &numbers.unwrap_or_default())
    }

    /// What a plan must know.
    pub(crate) fn facts(&self, user: Option<&str>, numbers: &User) -> Result<Facts> {
        let read = |name: &str| {
            let path = self.options.accounts.join(name);
            let text = whole_file::read(&path).map_err(|error| failed("read", &path, error));
            // Without it nobody has a name.
            optional(text).map(Option::unwrap_or_default)
        };
        let passwd: Vec<_> = accounts::passwd(&read("passwd")?).collect();
        let request = UserRequest::of(user, numbers).ok();
        let known = request.and_then(|request| passwd.iter().find(|entry| request.is_user(entry)));
        let group =
            accounts::group(&read("group")?, known.map(|entry| entry.name.as_str())).collect();
        Ok(Facts {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            passwd,
            group,
        })
    }
}

impl ComputeService for HostService {
    fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Box<dyn ComputeSystem>> {
        self.plan(spec)?;
        let folder = self.0.folder(id);
        if !self.0.make(&folder, spec)? {
            return Err(id_in_use(id));
        }
        self.open(id)
    }

    fn open(&self, id: &ContainerId) -> Result<Box<dyn ComputeSystem>> {
        let folder = self.0.folder(id);
        let config = optional(folder.config::<Config>())?
            .ok_or_else(|| gone(&format!("container: {id}")).about(id.as_str()))?;
        Ok(Box::new(HostSystem::new(
            Arc::clone(&self.0),
            id.clone(),
            config,
            folder,
        )))
    }

    fn enumerate(&self) -> Result<Vec<Summary>> {
        self.survey()?.whole()
    }

    fn survey(&self) -> Result<Survey> {
        let containers = &self.0.containers;
        match clean_up(containers) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("list", containers, error));
            }
            _ => {}
        }
        let mut survey = Survey::default();
        for id in self.ids("")? {
            let looked = self
                .open(&id)
                .and_then(|system| system.properties(Default::default()));
            survey.note(&id, looked.map(|properties| properties.summary));
        }
        survey.summaries.sort_by_key(|summary| summary.created_at);
        Ok(survey)
    }

    fn remove_damaged(&self, id: &ContainerId) -> Result<Vec<String>> {
        remains::remove(&self.0, id)
    }

    fn ids(&self, beginning: &str) -> Result<Vec<ContainerId>> {
        let read = |error| failed("list", &self.0.containers, error);
        let mut ids = Vec::new();
        let listed = match fs::read_dir(&self.0.containers) {
            // Nobody has made any.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(ids),
            listed => listed.map_err(read)?,
        };
        for entry in listed {
            let name = entry.map_err(read)?.file_name();
            let id = name.to_str().filter(|name| name.starts_with(beginning));
            ids.extend(id.and_then(|id| id.parse::<ContainerId>().ok()));
        }
        ids.sort();
        Ok(ids)
    }

    fn features(&self) -> Features {
        let children = std::path::Path::new("/proc/thread-self/children").exists();
        let keeper = Feature {
            name: "processes without isolation",
            available: children,
            detail: match children {
                true => "a child subreaper keeps all that a process starts".to_owned(),
                false => "the kernel does not list a process's children".to_owned(),
            },
            remedy: (!children).then(|| "use a kernel with CONFIG_PROC_CHILDREN".to_owned()),
        };
        let lacking = |name, detail: &str| Feature {
            name,
            available: false,
            detail: detail.to_owned(),
            remedy: None,
        };
        let features = vec![
            keeper,
            lacking(
                "limits without isolation",
                "without a cgroup of its own nothing is limited or accounted for",
            ),
        ];
        Features {
            backend: "host",
            features,
        }
    }
}

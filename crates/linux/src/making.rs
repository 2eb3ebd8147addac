//! Making a container's cgroup in two parts: what its process is born in comes before the clone, the rest is made while
//! the process is being cloned, which takes as long.

use hoist_compute::{Phase, Result};

use crate::cgroup::{Cgroup, CgroupError, Layout, Version};
use crate::plan::CgroupPlan;
use crate::systemd::Scope;

/// A cgroup that is being made.
pub(crate) struct CgroupMaker<'a> {
    planned: &'a CgroupPlan,
    layout: &'a Layout,
    made: Option<Cgroup>,
    /// What systemd has made for it, until its process is there.
    scope: Option<Scope>,
}

impl<'a> CgroupMaker<'a> {
    pub(crate) fn new(planned: &'a CgroupPlan, layout: &'a Layout) -> Self {
        Self {
            planned,
            layout,
            made: None,
            scope: None,
        }
    }

    /// Makes the directory in the unified hierarchy; on a host that has no other, sets the limits, too.
    pub(crate) fn make_birthplace(&mut self) -> Result<()> {
        if let Some(unit) = &self.planned.unit {
            self.scope = Some(Scope::start(unit, self.layout)?);
        }
        let cgroup = self.create(Version::V2)?;
        self.made = Some(cgroup);
        if self.planned.has_v1() {
            Ok(())
        } else {
            self.limit()
        }
    }

    /// Makes the directories in the v1 hierarchies and sets the limits.
    pub(crate) fn make_rest(&mut self) -> Result<()> {
        let rest = self.create(Version::V1)?;
        self.made = Some(match self.made.take() {
            Some(birthplace) => birthplace.merge(rest, &self.planned.directories()),
            None => rest,
        });
        self.limit()
    }

    /// Lets go of the scope: it stays for as long as a process is in it.
    pub(crate) fn end_scope(&mut self) {
        self.scope = None;
    }

    /// What was made so far.
    pub(crate) fn made(&self) -> Option<&Cgroup> {
        self.made.as_ref()
    }

    fn create(&self, version: Version) -> Result<Cgroup> {
        let mut part = self.layout.clone();
        part.hierarchies
            .retain(|hierarchy| hierarchy.version == version);
        let CgroupPlan {
            base, name, limits, ..
        } = self.planned;
        match self.scope {
            Some(_) => Cgroup::adopt(&part, *base, name, limits),
            None => Cgroup::create(&part, *base, name, limits),
        }
        .map_err(fail)
    }

    fn limit(&self) -> Result<()> {
        let Some(cgroup) = &self.made else {
            return Ok(());
        };
        cgroup.apply(&self.planned.limits.writes).map_err(fail)?;
        match &self.planned.limits.device_program {
            Some(rules) => cgroup.attach_device_program(rules).map_err(fail),
            None => Ok(()),
        }
    }
}

fn fail(error: CgroupError) -> hoist_compute::Error {
    error.into_error(Phase::Create)
}

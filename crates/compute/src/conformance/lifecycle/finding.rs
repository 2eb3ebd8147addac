//! Opening and listing containers, and what a backend says of itself.

use super::super::{
    Fixture, Outcome,
    kit::{self, create, create_from, idle, new_id, refused},
};
use crate::{ErrorKind, State, Stdio};

pub(super) fn what_does_not_exist_is_not_found(fixture: &dyn Fixture) -> Outcome {
    let id = new_id(fixture)?;
    let error = refused(fixture.service().open(&id), ErrorKind::NotFound, "open")?;
    ensure!(
        error.to_json().to_string().contains(id.as_str()),
        "the error does not name the id: {error}"
    );
    Ok(())
}

pub(super) fn an_opened_container_is_the_created_one(fixture: &dyn Fixture) -> Outcome {
    let spec = fixture.spec(&["exit", "5"]);
    let container = create_from(fixture, &spec)?;
    let opened = fixture.service().open(container.id())?;
    ensure_eq!(opened.id(), container.id(), "its id");
    ensure!(
        *opened.spec() == spec,
        "its spec is another: {:?}",
        opened.spec()
    );
    ensure!(
        *container.spec() == spec,
        "the spec was changed: {:?}",
        container.spec()
    );
    let process = opened.start(Stdio::null())?;
    ensure_eq!(
        process.wait(Some(kit::DEADLINE))?.code,
        Some(5),
        "the process gives"
    );
    ensure_eq!(
        container.wait(Some(kit::DEADLINE))?.code,
        Some(5),
        "the first handle says"
    );
    Ok(())
}

pub(super) fn the_list_is_true(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let created = create(fixture, &["exit", "0"])?;
    let running = idle(fixture)?;
    let stopped = create(fixture, &["exit", "9"])?;
    stopped.start(Stdio::null())?.wait(Some(kit::DEADLINE))?;
    let list = service.enumerate()?;
    for (container, state) in [
        (&created, State::Created),
        (&running.container, State::Running),
        (&stopped, State::Stopped),
    ] {
        let mut entries = list.iter().filter(|summary| summary.id == *container.id());
        let summary = entries
            .next()
            .ok_or_else(|| format!("{} is not listed", container.id()))?;
        ensure_eq!(summary.state, state, "the list says of {}", container.id());
        ensure!(
            entries.next().is_none(),
            "{} is listed twice",
            container.id()
        );
        let arguments = container
            .spec()
            .oci
            .process()
            .as_ref()
            .and_then(|process| process.args().clone());
        ensure_eq!(
            Some(&summary.command),
            arguments.as_ref(),
            "the listed command"
        );
    }
    let survey = service.survey()?;
    for summary in &list {
        let mut surveyed = survey.summaries.iter();
        ensure!(
            surveyed.any(|other| other.id == summary.id),
            "{} is listed and not surveyed",
            summary.id
        );
    }
    ensure!(
        survey.unreadable.is_empty(),
        "the survey does not read {:?}",
        survey.unreadable
    );
    let mut ids = [&created, &running.container, &stopped].map(|container| container.id().clone());
    ids.sort();
    let found = service.ids("")?;
    ensure!(found.is_sorted(), "the ids are in order");
    let ours: Vec<_> = found.into_iter().filter(|id| ids.contains(id)).collect();
    ensure_eq!(ours, ids.to_vec(), "the ids of all containers");
    let whole = created.id().as_str();
    ensure_eq!(
        service.ids(whole)?,
        [created.id().clone()],
        "the ids that begin with {whole}"
    );
    ensure_eq!(
        service.ids(&format!("{whole}x"))?,
        [],
        "ids that nobody has"
    );
    running.container.terminate()?;
    let list = service.enumerate()?;
    ensure!(
        list.iter().any(|summary| summary.id == *running.container.id() && summary.state == State::Stopped),
        "the list does not see the end of {}",
        running.container.id()
    );
    let id = stopped.id().clone();
    stopped.delete()?;
    ensure!(
        service.enumerate()?.iter().all(|summary| summary.id != id),
        "a deleted container is listed"
    );
    ensure!(
        service.remove_damaged(&id)?.is_empty(),
        "something of a deleted container was found"
    );
    Ok(())
}

pub(super) fn features_are_told(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let before = service.enumerate()?.len();
    let features = service.features();
    ensure!(!features.backend.is_empty(), "the backend has no name");
    ensure!(!features.features.is_empty(), "no feature was looked at");
    for feature in &features.features {
        ensure!(
            feature.available || !feature.detail.is_empty(),
            "{} is not available, and no reason is given",
            feature.name
        );
    }
    ensure_eq!(
        service.features(),
        features,
        "asked again, the features are"
    );
    ensure_eq!(
        service.enumerate()?.len(),
        before,
        "afterwards the number of containers is"
    );
    Ok(())
}

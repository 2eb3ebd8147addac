//! Deleting containers.

use super::super::{
    Fixture, Outcome,
    kit::{self, create, refused, together},
};
use crate::{ErrorKind, Stdio};

pub(super) fn deleting_again_is_success(fixture: &dyn Fixture) -> Outcome {
    let service = fixture.service();
    let container = create(fixture, &["exit", "0"])?;
    let id = container.id().clone();
    container.start(Stdio::null())?.wait(Some(kit::DEADLINE))?;
    let handles = (0..16)
        .map(|_| service.open(&id))
        .collect::<Result<Vec<_>, _>>()?;
    for result in together(16, |index| handles[index].delete())? {
        result.map_err(|error| format!("one of several deletes at once failed: {error}"))?;
    }
    container.delete()?;
    handles[0].delete()?;
    refused(service.open(&id), ErrorKind::NotFound, "open after delete").map(drop)
}

pub(super) fn a_created_container_can_be_deleted(fixture: &dyn Fixture) -> Outcome {
    let container = create(fixture, &["exit", "0"])?;
    container.delete()?;
    refused(
        fixture.service().open(container.id()),
        ErrorKind::NotFound,
        "open after delete",
    )
    .map(drop)
}

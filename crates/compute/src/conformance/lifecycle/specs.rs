//! Specs that are refused.

use std::path::PathBuf;

use hoist_spec::{ContainerSpec, RootSource};

use super::super::{
    Ability, Fixture, Outcome,
    kit::{new_id, refused, with_arguments, with_process},
};
use crate::ErrorKind;

pub(super) fn a_bad_spec_is_refused(fixture: &dyn Fixture) -> Outcome {
    let good = || fixture.spec(&["exit", "0"]);
    let mut cases: Vec<(&str, &str, ContainerSpec)> = vec![
        (
            "no program",
            "",
            with_process(good(), |process| {
                process.set_args(Some(Vec::new()));
            }),
        ),
        (
            "a relative working directory",
            "not/absolute",
            with_process(good(), |process| {
                process.set_cwd(PathBuf::from("not/absolute"));
            }),
        ),
        (
            "a root that does not exist",
            "/no/such/root",
            ContainerSpec {
                root: RootSource::Directory("/no/such/root".into()),
                ..good()
            },
        ),
        (
            "an argument with a zero byte",
            "",
            with_arguments(good(), &["/probe", "a\0b"]),
        ),
    ];
    if fixture.lacks(Ability::Users).is_none() {
        cases.push((
            "a user that does not exist",
            "nobody-here",
            ContainerSpec {
                user: Some("nobody-here".to_owned()),
                ..good()
            },
        ));
    }
    for (what, named, spec) in cases {
        let service = fixture.service();
        let id = new_id(fixture)?;
        let error = match service.create(&id, &spec) {
            Err(error) => error,
            Ok(container) => {
                let _ = container.delete();
                return Err(format!("{what} was accepted").into());
            }
        };
        ensure!(
            matches!(error.kind(), ErrorKind::InvalidSpec | ErrorKind::NotFound),
            "{what} was refused as {:?} ({error})",
            error.kind()
        );
        ensure!(
            error.to_json().to_string().contains(named),
            "the error about {what} does not name {named}: {error}"
        );
        refused(
            service.open(&id),
            ErrorKind::NotFound,
            &format!("open after {what}"),
        )?;
        ensure!(
            service.enumerate()?.iter().all(|summary| summary.id != id),
            "{what} was refused and is listed"
        );
        // The id was not burnt.
        service.create(&id, &good())?.delete()?;
    }
    Ok(())
}

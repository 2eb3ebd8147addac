//! Every document of the corpus, and some thousands that are almost like them, are read or refused: no panic, and no more
//! memory than there is a reason for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code: a panic is how a test fails"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use hoist_fuzz::memory::{MOST, growth};
use hoist_fuzz::mutate::{Random, Words, changed};
use hoist_fuzz::{TARGETS, Target, corpus_of, documents};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// How many changed documents each target gets.
const CHANGED: u32 = 1500;

fn read(target: &Target, document: &[u8]) -> Result<(), String> {
    let mut grown = 0;
    catch_unwind(AssertUnwindSafe(|| {
        grown = growth(|| (target.run)(document));
    }))
    .map_err(|_| {
        format!(
            "{} panics on {:?}",
            target.name,
            String::from_utf8_lossy(document)
        )
    })?;
    match grown > MOST {
        true => Err(format!("{} takes {grown} bytes", target.name)),
        false => Ok(()),
    }
}

#[test]
fn every_target_has_documents_and_every_document_a_target() {
    let mut folders: Vec<String> =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
    folders.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(folders, names);
}

#[test]
fn documents_and_what_is_almost_like_them_are_read_or_refused() {
    for target in TARGETS {
        let all = documents(&corpus_of(target)).unwrap();
        for document in &all {
            read(target, document).unwrap_or_else(|fault| panic!("{fault}"));
        }
        let words = Words::of(&all);
        let config = Config {
            cases: CHANGED,
            failure_persistence: None,
            ..Config::default()
        };
        let strategy = (any::<prop::sample::Index>(), any::<u64>(), 1..8_usize);
        TestRunner::new(config)
            .run(&strategy, |(at, seed, most)| {
                let document = changed(&all, at.index(all.len()), &words, most, &mut Random(seed));
                read(target, &document).map_err(TestCaseError::fail)
            })
            .unwrap_or_else(|fault| panic!("{fault}"));
    }
}

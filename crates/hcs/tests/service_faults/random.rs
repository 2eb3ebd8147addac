//! Faults at random calls.

use std::thread;

use hoist_compute::{ComputeService, ErrorKind, ExitStatus, Stdio};
use hoist_spec::ContainerId;
use hoist_testing::full;
use serde_json::{Value, json};

use crate::place::{Case, HANGS_AFTER, Place, further, id, spec};

pub(crate) const CASES: &[(&str, Case)] = &[(
    "with faults at random calls each run and exec has the right result or an error, and nothing is left",
    faults_at_random_calls,
)];

fn is_right(status: &ExitStatus) -> bool {
    // A code that could not be read is unknown, never another.
    status.code == Some(9) || status.unknown.is_some()
}

/// The rules of a batch: each call and each notification that a round makes may fail, be lost or come late.
fn random_faults(seed: u64) -> Value {
    let functions = [
        "HcsCreateComputeSystem",
        "HcsOpenComputeSystem",
        "HcsRegisterComputeSystemCallback",
        "HcsStartComputeSystem",
        "HcsShutdownComputeSystem",
        "HcsGetComputeSystemProperties",
        "HcsCreateProcess",
        "HcsOpenProcess",
        "HcsRegisterProcessCallback",
        "HcsGetProcessProperties",
        "HcsModifyProcess",
    ];
    let mut seeds = (0..).map(|number: u64| seed.wrapping_mul(1000) + number);
    let mut rules: Vec<Value> = functions
        .iter()
        .zip(&mut seeds)
        .map(|(function, seed)| json!({"function": function, "one_in": 25, "seed": seed, "fail": 0x8007_05AA_u32}))
        .collect();
    for (kind, seed) in [0x1, 0x2, 0x3, 0x1_0000].into_iter().zip(seeds) {
        rules.push(json!({"notification": kind, "one_in": 25, "seed": seed, "drop": true}));
        rules.push(json!({"notification": kind, "one_in": 10, "seed": seed ^ 1, "delay": 20}));
    }
    rules.into()
}

/// A container is made and run, a process executed in it, and all ended; what is wrong, in words.
fn round(service: &dyn ComputeService, name: &ContainerId) -> Result<(), String> {
    let right = |status: &ExitStatus, is_right: bool| {
        if is_right {
            return Ok(());
        }
        Err(format!("it ended as {status:?}"))
    };
    let mut wrong = Ok(());
    let done = service.create(name, &spec(&["sleep"])).and_then(|system| {
        let process = system.start(Stdio::null())?;
        let exec = system.create_process(&further(&["exit", "9"]), Stdio::null())?;
        let status = exec.wait(Some(HANGS_AFTER))?;
        wrong = right(&status, is_right(&status));
        system.terminate()?;
        let status = process.wait(Some(HANGS_AFTER))?;
        wrong = wrong.clone().and(right(&status, status.code.is_none()));
        system.delete()
    });
    wrong?;
    match done {
        Err(error) if error.kind() == ErrorKind::InvalidSpec => Err(error.to_string()),
        _ => Ok(()),
    }
}

// 2,000 runs and as many execs with HOIST_TESTS_FULL=1, 40 of each without. HOIST_TEST_SEED=N begins with another batch.
fn faults_at_random_calls(place: &Place) {
    const BATCH: u64 = 40;
    const AT_ONCE: u64 = 4;
    let first = std::env::var("HOIST_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let service = &*place.service;
    let batches = if full() { 2000 / BATCH } else { 1 };
    for seed in first..first + batches {
        place.faults(&random_faults(seed));
        let name = |number: u64| id(&format!("random{seed}x{number}"));
        let wrong: Vec<String> = thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE)
                .map(|worker| {
                    let rounds = (worker..BATCH).step_by(AT_ONCE as usize);
                    scope.spawn(move || {
                        rounds
                            .filter_map(|number| {
                                let words = round(service, &name(number)).err()?;
                                Some(format!("round {number}: {words}"))
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            let done = workers.into_iter().map(|worker| worker.join().unwrap());
            done.flatten().collect()
        });
        assert!(wrong.is_empty(), "with HOIST_TEST_SEED={seed}: {wrong:#?}");
        // Whatever failed, what is left can be removed; with the service well again that does not fail.
        place.faults(&json!([]));
        let mut failed = 0;
        for number in 0..BATCH {
            if let Ok(system) = place.service.open(&name(number)) {
                failed += 1;
                let removed = system.terminate().and_then(|()| system.delete());
                assert!(
                    removed.is_ok(),
                    "with HOIST_TEST_SEED={seed}, round {number} cannot be removed: {removed:?}"
                );
            }
        }
        assert!(
            failed < BATCH,
            "with HOIST_TEST_SEED={seed} no round ended well"
        );
        place.assert_nothing_left_after(&format!("with HOIST_TEST_SEED={seed}"));
        if full() {
            let done = (seed - first + 1) * BATCH;
            eprintln!(
                "{done} runs and execs; {failed} of the last {BATCH} left something to remove"
            );
        }
    }
}

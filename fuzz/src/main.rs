//! `hoist-fuzz TARGET SECONDS FOUND CURRENT`: mutates the target's documents for so long.
//!
//! What reaches new code is put into the folder FOUND, and mutated, too; the document that is being read is in the file
//! CURRENT, so that whoever runs this has it where the program comes to a bad end. `cargo xtask fuzz` does all of that.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hoist_fuzz::coverage::Coverage;
use hoist_fuzz::memory::{MOST, growth};
use hoist_fuzz::mutate::{Random, Words, changed};
use hoist_fuzz::{Target, corpus_of, documents, target};

/// How long one document may take.
const PATIENCE: u64 = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let run = || -> Result<(), Box<dyn Error>> {
        let [name, seconds, found, current] = &arguments[..] else {
            return Err("usage: hoist-fuzz TARGET SECONDS FOUND CURRENT".into());
        };
        let target = target(name).ok_or_else(|| format!("there is no target {name}"))?;
        let time = Duration::from_secs(seconds.parse()?);
        fuzz(target, time, Path::new(found), Path::new(current))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hoist-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(
    target: &Target,
    time: Duration,
    found: &Path,
    current: &Path,
) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(found)?;
    let mut all = documents(&corpus_of(target))?;
    let words = Words::of(&all);
    all.extend(documents(found)?);
    let mut coverage = Coverage::default();
    let count = Arc::new(AtomicU64::new(0));
    watch(Arc::clone(&count));
    let mut read = |document: &[u8]| -> Result<bool, Box<dyn Error>> {
        fs::write(current, document)?;
        count.fetch_add(1, Relaxed);
        let mut grown = 0;
        let new = coverage.is_new(|| grown = growth(|| (target.run)(document)));
        if grown > MOST {
            return Err(format!("one document took {grown} bytes of memory").into());
        }
        Ok(new)
    };
    for document in &all {
        read(document)?;
    }
    let (began, known) = (Instant::now(), all.len());
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut random = Random(u64::from(seed.subsec_nanos()) ^ seed.as_secs());
    while began.elapsed() < time {
        // Those that were found last lead on more often.
        let at = match random.below(2) {
            0 => random.below(all.len()),
            _ => all.len() - 1 - random.below(all.len().min(32)),
        };
        let document = changed(&all, at, &words, 8, &mut random);
        if read(&document)? {
            let name = format!("{:016x}", hash(&document));
            fs::write(found.join(name), &document)?;
            all.push(document);
        }
    }
    println!(
        "{}: {} documents read in {} s, {} of them new, {} edges reached",
        target.name,
        count.load(Relaxed),
        time.as_secs(),
        all.len() - known,
        coverage.edges(),
    );
    Ok(())
}

/// Ends the program where the count does not go on.
fn watch(count: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut last = u64::MAX;
        loop {
            let now = count.load(Relaxed);
            if now == last {
                eprintln!("hoist-fuzz: one document took more than {PATIENCE} s");
                std::process::abort();
            }
            last = now;
            std::thread::sleep(Duration::from_secs(PATIENCE));
        }
    });
}

/// FNV-1a: a name for a document.
fn hash(document: &[u8]) -> u64 {
    document.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

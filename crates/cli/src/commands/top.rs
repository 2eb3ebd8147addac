//! `hoist top`.

use std::time::Duration;

use hoist::Engine;
use hoist_compute::{ErrorKind, Phase};

use crate::age::{age, words};
use crate::args::{TableFormat, Top};
use crate::failure::Failure;
use crate::{output, table};

/// Lists the processes of a container.
pub(crate) fn run(top: &Top, engine: &Engine) -> Result<u8, Failure> {
    let id = engine.resolve(&top.container)?;
    if !engine.is_running(&id)? {
        let what = format!(
            "list the processes of container {}: it is not running",
            top.container
        );
        return Err(
            hoist_compute::Error::new(ErrorKind::InvalidState, Phase::Operate, what).into(),
        );
    }
    let processes = engine.processes(&id)?;
    match top.format {
        TableFormat::Json => {
            for process in &processes {
                output::print_json(process, false)?;
            }
        }
        TableFormat::Table => {
            let rows: Vec<Vec<String>> = processes
                .iter()
                .map(|process| {
                    vec![
                        process.uid.to_string(),
                        process.pid.to_string(),
                        process.parent.to_string(),
                        format!("{} ago", words(age(process.started_at))),
                        clock(Duration::from_millis(process.cpu_milliseconds)),
                        table::printable(&process.command),
                    ]
                })
                .collect();
            output::print(&table::render(
                &["UID", "PID", "PPID", "STARTED", "TIME", "CMD"],
                &rows,
            ))?;
        }
    }
    Ok(0)
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

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
    if !top.ps_options.is_empty() {
        if top.format == TableFormat::Json {
            return Err(Failure::message(
                "--format json: what ps writes is a table, so give no options of ps with it",
            ));
        }
        let pids: Vec<String> = processes.iter().map(|one| one.pid.to_string()).collect();
        output::print(&by_ps(&top.ps_options, &pids)?)?;
        return Ok(0);
    }
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

/// What this machine's ps(1) shows of the processes, as docker does it: all that it lists with these options is looked through.
fn by_ps(options: &[String], pids: &[String]) -> Result<String, Failure> {
    if cfg!(windows) {
        return Err(Failure::message(format!(
            "options of ps ({}): there is no ps on Windows",
            options.join(" ")
        )));
    }
    let asked = format!("ps {}", options.join(" "));
    let run = std::process::Command::new("ps")
        .args(options)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| Failure::message(format!("run {asked}: {error}")))?;
    if !run.status.success() {
        return Err(Failure::message(format!(
            "{asked}: {}",
            String::from_utf8_lossy(&run.stderr).trim()
        )));
    }
    select(&String::from_utf8_lossy(&run.stdout), pids).ok_or_else(|| {
        Failure::message(format!(
            "{asked}: the list has no column PID, by which the container's processes are found"
        ))
    })
}

/// Of a list of ps, the rows of these processes; `None` where it has no column `PID`. The last column takes the rest of its line.
fn select(list: &str, pids: &[String]) -> Option<String> {
    let mut lines = list.lines();
    let head: Vec<&str> = lines.next()?.split_whitespace().collect();
    let column = head.iter().position(|title| *title == "PID")?;
    let rows = lines.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_one = pids
            .iter()
            .any(|pid| words.get(column) == Some(&pid.as_str()));
        let last = head.len().checked_sub(1)?.min(words.len());
        let (cells, rest) = words.split_at(last);
        let mut row: Vec<String> = cells.iter().map(|cell| (*cell).to_owned()).collect();
        row.push(rest.join(" "));
        is_one.then_some(row)
    });
    Some(table::render(&head, &rows.collect::<Vec<_>>()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_ps_lists_the_containers_processes_are_left() {
        let list = "  PID TTY      COMMAND\n    1 ?        init\n   42 ?        sh -c a  b\n  421 ?        other\n";
        let pids = ["42".to_owned()];
        assert_eq!(
            select(list, &pids).as_deref(),
            Some("PID   TTY   COMMAND\n42    ?     sh -c a b\n")
        );
        assert_eq!(select(list, &[]).as_deref(), Some("PID   TTY   COMMAND\n"));
        assert_eq!(select("TTY COMMAND\n? init\n", &pids), None);
        assert_eq!(select("", &pids), None);
    }
}

//! The processes of a job: what is known of them, and their standstill.

use std::{collections::HashMap, io, os::windows::io::AsHandle};

use hoist_compute::{CpuStatistics, MemoryStatistics, ProcessEntry, Query, Statistics, Timestamp};

use super::sys::{self, Job, Process, Times};

/// From 1601, where Windows begins to count, to 1970, in units of 100 ns.
const UNTIL_1970: u64 = 116_444_736_000_000_000;

/// What is known of a job's processes. Where Windows does not tell with what one was started, it is as it was `given`, by its id.
pub(super) fn measure(
    job: &Job,
    query: Query,
    given: impl Fn(u32) -> Option<String>,
) -> io::Result<(Vec<ProcessEntry>, Statistics)> {
    let parents: HashMap<u32, u32> = match query.processes {
        true => sys::listed()?
            .into_iter()
            .map(|listed| (listed.pid, listed.parent))
            .collect(),
        false => HashMap::new(),
    };
    let mut entries = Vec::new();
    let (mut usage_bytes, mut hosts) = (0, 0);
    for pid in job.process_ids()? {
        let Some(process) = of_job(job, pid)? else {
            continue;
        };
        usage_bytes += process.committed().unwrap_or(0);
        let program = process.program().unwrap_or_else(|_| format!("[{pid}]"));
        if is_console_host(&program) {
            hosts += 1;
            continue;
        }
        // One that ends at this moment is left out.
        let Ok(Times { created, processor }) = process.times() else {
            continue;
        };
        entries.push(ProcessEntry {
            pid,
            parent: parents.get(&pid).copied().unwrap_or(0),
            uid: 0,
            cpu_milliseconds: processor / 10_000,
            started_at: Timestamp(created.saturating_sub(UNTIL_1970).saturating_mul(100)),
            waits_in_kernel: None,
            // Else what is executed.
            command: match process.command_line() {
                Ok(line) => line,
                Err(_) => given(pid).unwrap_or(program),
            },
        });
    }
    let used = job.accounting()?;
    let statistics = Statistics {
        cpu: Some(CpuStatistics {
            usage_nanoseconds: used.processor_time.saturating_mul(100),
        }),
        memory: Some(MemoryStatistics {
            usage_bytes,
            peak_bytes: Some(used.peak_memory).filter(|bytes| *bytes > 0),
            limit_bytes: used.memory_limit,
            oom_kills: 0,
        }),
        pids: Some(u64::from(used.processes.saturating_sub(hosts))),
        ..Statistics::default()
    };
    Ok((entries, statistics))
}

/// Whether this is the host of a console without a window, which the system starts beside a process that has no other console: it ends
/// with the job, and is none of the container's.
fn is_console_host(program: &str) -> bool {
    const HOST: &str = r"\system32\conhost.exe";
    program.to_lowercase().ends_with(HOST)
}

/// A process of a job by its id; none where it is there no more, whoever bears the id now.
fn of_job(job: &Job, pid: u32) -> io::Result<Option<Process>> {
    let Some(process) = Process::open(pid)? else {
        return Ok(None);
    };
    let is_in = !process.has_ended()? && job.has(process.as_handle())?;
    Ok(is_in.then_some(process))
}

/// Has every process of a job stand still. Such a one starts no other: when no new one is found there is none.
pub(super) fn suspend(job: &Job) -> io::Result<()> {
    let mut suspended: HashMap<u32, Process> = HashMap::new();
    let stopped = (|| loop {
        let mut is_new = false;
        for pid in job.process_ids()? {
            if suspended.contains_key(&pid) {
                continue;
            }
            let Some(process) = of_job(job, pid)? else {
                continue;
            };
            match process.suspend() {
                Err(error) if !process.has_ended()? => return Err(error),
                _ => {}
            }
            is_new = true;
            suspended.insert(pid, process);
        }
        if !is_new {
            return Ok(());
        }
    })();
    if stopped.is_err() {
        for process in suspended.values() {
            // Why they cannot be suspended is told.
            let _ = process.resume();
        }
    }
    stopped
}

/// Lets every process of a job go on.
pub(super) fn resume(job: &Job) -> io::Result<()> {
    for pid in job.process_ids()? {
        let Some(process) = of_job(job, pid)? else {
            continue;
        };
        match process.resume() {
            Err(error) if !process.has_ended()? => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

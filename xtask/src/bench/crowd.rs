//! What many containers cost: starts beside others, many starts at once, many layers, and the memory of those who look after
//! containers.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bundle::{self, Content};
use super::tools::{Tool, Tools};
use crate::command::Outcome;

/// How many other containers there are.
const OTHERS: [u32; 3] = [0, 50, 1000];
/// How many starts are made at once, and how many in all.
const AT_ONCE: (u32, u32) = (64, 1000);
const LAYERS: u32 = 120;
/// How long the machine is left alone before each run that is timed. The kernel takes a container down behind the back of who has removed it, and
/// looks at all others meanwhile: a start right behind that waits for the end of the one before.
const PAUSE: Duration = Duration::from_millis(50);

/// Measures all of it; the result is Markdown.
pub(super) fn measure(tools: &Tools, work: &Path, runs: u32) -> Outcome<String> {
    let mut text = String::new();
    let players: Vec<&Tool> = tools
        .0
        .iter()
        .filter(|tool| matches!(tool.name, "hoist" | "crun"))
        .collect();
    let floor = tools.0.iter().find(|tool| tool.name == "floor");
    beside_others(&players, floor, work, runs, &mut text)?;
    at_once(&players, work, &mut text)?;
    if let Some(hoist) = players.iter().find(|tool| tool.name == "hoist") {
        layers(hoist, work, runs, &mut text)?;
        memory(hoist, work, &mut text)?;
    }
    Ok(text)
}

/// The floor takes turns with Hoist: what both lose beside others, the kernel's calls take.
fn beside_others(
    players: &[&Tool],
    floor: Option<&Tool>,
    work: &Path,
    runs: u32,
    text: &mut String,
) -> Outcome<()> {
    let _ = writeln!(
        text,
        "\n**run true beside other containers** ({runs} runs each)\n\n\
         | | others | median ms | p99 ms | × none, median | × none, p99 |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |"
    );
    for tool in players {
        let starters: Vec<&Tool> = match tool.name {
            "hoist" => floor.into_iter().chain([*tool]).collect(),
            _ => vec![*tool],
        };
        let mut crowd = Crowd {
            tool,
            names: Vec::new(),
        };
        let mut alone = None;
        for others in OTHERS {
            eprintln!("== {} beside {others}", tool.name);
            crowd.grow(work, others)?;
            let commands: Vec<_> = starters
                .iter()
                .map(|starter| || start(starter, work, 0))
                .collect();
            let now: Vec<(f64, f64)> = times(runs, &commands)?
                .iter()
                .map(|times| (quantile(times, 0.5), quantile(times, 0.99)))
                .collect();
            let alone = alone.get_or_insert_with(|| now.clone());
            for ((starter, (median, p99)), (of_median, of_p99)) in
                starters.iter().zip(&now).zip(alone)
            {
                let _ = writeln!(
                    text,
                    "| {} | {others} | {median:.2} | {p99:.2} | {:.2} | {:.2} |",
                    starter.name,
                    median / *of_median,
                    p99 / *of_p99
                );
            }
        }
    }
    Ok(())
}

fn at_once(players: &[&Tool], work: &Path, text: &mut String) -> Outcome<()> {
    let (threads, count) = AT_ONCE;
    let _ = writeln!(
        text,
        "\n**{count} containers, {threads} at a time**\n\n| | seconds | starts/s |\n| --- | ---: | ---: |"
    );
    for tool in players {
        eprintln!("== {} {threads} at a time", tool.name);
        let (next, failed) = (AtomicU32::new(0), AtomicU32::new(0));
        let begun = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            break;
                        }
                        if succeeds(&mut start(tool, work, number)).is_err() {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let seconds = begun.elapsed().as_secs_f64();
        let failed = failed.into_inner();
        if failed > 0 {
            return Err(format!("{}: {failed} of {count} starts failed", tool.name).into());
        }
        let rate = f64::from(count) / seconds;
        let _ = writeln!(text, "| {} | {seconds:.2} | {rate:.0} |", tool.name);
    }
    Ok(())
}

fn layers(hoist: &Tool, work: &Path, runs: u32, text: &mut String) -> Outcome<()> {
    eprintln!("== layers");
    let folder = work.join("layers");
    let empty: Vec<PathBuf> = (1..LAYERS)
        .map(|number| folder.join(number.to_string()))
        .collect();
    for layer in &empty {
        fs::create_dir_all(layer)?;
    }
    let command = |layers: &[PathBuf]| {
        let mut command = Command::new(&hoist.path);
        command.args(["run", "--rm", "--network", "none"]);
        for layer in layers.iter().chain([&bundle::root(work)]) {
            command.arg("--layer").arg(layer);
        }
        command.args(["--", "true"]);
        command
    };
    let (few, many): (&[PathBuf], &[PathBuf]) = (&[], &empty);
    let times = times(runs, &[few, many].map(|layers| || command(layers)))?;
    let (one, all) = (quantile(&times[0], 0.5), quantile(&times[1], 0.5));
    let _ = writeln!(
        text,
        "\n**layers** ({runs} runs each): one {one:.2} ms, {LAYERS} {all:.2} ms, {:.2} ×",
        all / one
    );
    Ok(())
}

fn memory(hoist: &Tool, work: &Path, text: &mut String) -> Outcome<()> {
    let mut command = stays(hoist, work, "bench-memory", &[]);
    let mut foreground = command.stdin(Stdio::null()).spawn()?;
    thread::sleep(Duration::from_millis(500));
    let in_front = private_kib(foreground.id());
    let removed = remove(hoist, "bench-memory");
    foreground.wait()?;
    removed?;
    let mut crowd = Crowd {
        tool: hoist,
        names: Vec::new(),
    };
    crowd.grow(work, 1)?;
    thread::sleep(Duration::from_millis(500));
    let behind = supervisor_of(&crowd.names[0])
        .ok_or("no supervisor is found")
        .map(private_kib)?;
    let _ = writeln!(
        text,
        "\n**private memory while a container runs** (`/proc/PID/smaps_rollup`): \
         `hoist run` {} KiB, the supervisor of `hoist run -d` {} KiB",
        in_front?, behind?
    );
    Ok(())
}

/// Containers that stay until this is dropped.
struct Crowd<'a> {
    tool: &'a Tool,
    names: Vec<String>,
}

impl Crowd<'_> {
    fn grow(&mut self, work: &Path, to: u32) -> Outcome<()> {
        for number in self.names.len()..to as usize {
            let name = format!("bench-crowd-{number}");
            succeeds(stays(self.tool, work, &name, &["-d"]).stdout(Stdio::null()))?;
            self.names.push(name);
        }
        Ok(())
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            if let Err(error) = remove(self.tool, name) {
                eprintln!("{name}: {error}");
            }
        }
    }
}

/// The command that runs `true`.
fn start(tool: &Tool, work: &Path, number: u32) -> Command {
    let mut command = Command::new(&tool.path);
    match tool.name {
        "hoist" => {
            command.args(["run", "--rm", "--network", "none", "--rootfs"]);
            command.arg(bundle::root(work)).args(["--", "true"]);
        }
        "floor" => {
            command.args(["run", "--docker", "--seccomp", "floor-crowd"]);
            command.arg(bundle::root(work)).arg("/bin/true");
        }
        _ => {
            command.args(["run", "--bundle"]);
            command.arg(bundle::bundle(work, Content::Docker, false));
            command.arg(format!("bench-start-{number}"));
        }
    }
    command
}

/// The command that runs a container which stays, with these `options` more.
fn stays(tool: &Tool, work: &Path, name: &str, options: &[&str]) -> Command {
    let mut command = Command::new(&tool.path);
    command.arg("run").args(options);
    if tool.name == "hoist" {
        command.args(["--name", name, "--network", "none", "--rootfs"]);
        command
            .arg(bundle::root(work))
            .args(["--", "sleep", "100000"]);
    } else {
        command.arg("--bundle");
        command
            .arg(bundle::bundle(work, Content::Docker, true))
            .arg(name);
    }
    command
}

fn remove(tool: &Tool, name: &str) -> Outcome<()> {
    let words = match tool.name {
        "hoist" => ["rm", "--force", name],
        _ => ["delete", "--force", name],
    };
    succeeds(Command::new(&tool.path).args(words).stdout(Stdio::null()))
}

fn succeeds(command: &mut Command) -> Outcome<()> {
    let child: std::io::Result<Child> = command.stdin(Stdio::null()).spawn();
    match child?.wait()?.success() {
        true => Ok(()),
        false => Err(format!("{command:?} fails").into()),
    }
}

/// Milliseconds, the shortest first, of commands that take turns, with a pause before each.
fn times(runs: u32, commands: &[impl Fn() -> Command]) -> Outcome<Vec<Vec<f64>>> {
    const WARM_UP: u32 = 10;
    let mut times = vec![Vec::new(); commands.len()];
    for number in 0..runs + WARM_UP {
        for (command, times) in commands.iter().zip(&mut times) {
            let mut command = command();
            thread::sleep(PAUSE);
            let begun = Instant::now();
            succeeds(&mut command)?;
            if number >= WARM_UP {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    Ok(times)
}

pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// What a process has for itself alone: the pages of its program are the page cache's, whoever else uses them.
fn private_kib(pid: u32) -> Outcome<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    Ok(text
        .lines()
        .filter(|line| line.starts_with("Private_Dirty:"))
        .filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .sum())
}

/// The process that looks after a container in the background: the parent of its first process.
fn supervisor_of(name: &str) -> Option<u32> {
    let id = fs::read_to_string(Path::new("/run/hoist/names").join(name)).ok()?;
    let status = Path::new("/run/hoist/supervisors")
        .join(id.trim())
        .join("status.json");
    let status: serde_json::Value = serde_json::from_str(&fs::read_to_string(status).ok()?).ok()?;
    u32::try_from(status["pid"].as_u64()?).ok()
}

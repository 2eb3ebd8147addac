//! What the behaviours share: containers that clean up after themselves, and short ways to run the probe.

use std::{
    fs::File,
    io::{self, Read, Write},
    ops::Deref,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use hoist_spec::{ContainerId, ContainerSpec, ProcessSpec, oci};
use serde_json::Value;

use super::{Fixture, Outcome};
use crate::{ComputeSystem, Error, ErrorKind, ExitStatus, Process, State, Stdio, Stream, Streams};

/// What has not happened by then never will.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// A container that is ended and deleted when the behaviour is done with it, however that ends.
pub(super) struct Container(Box<dyn ComputeSystem>);

impl Deref for Container {
    type Target = dyn ComputeSystem;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The behaviour has said what is wrong; leftovers are counted by who runs it.
        let _ = self.0.terminate();
        let _ = self.0.delete();
    }
}

/// An id that no other container of this test run has.
pub(super) fn new_id(fixture: &dyn Fixture) -> Outcome<ContainerId> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    Ok(format!("{}-{process}-{number}", fixture.tag()).parse()?)
}

/// A new container in state `Created`.
pub(super) fn create_from(fixture: &dyn Fixture, spec: &ContainerSpec) -> Outcome<Container> {
    Ok(Container(
        fixture.service().create(&new_id(fixture)?, spec)?,
    ))
}

/// A new container that is started next.
pub(super) fn create_to_start(
    fixture: &dyn Fixture,
    id: &ContainerId,
    spec: &ContainerSpec,
) -> Outcome<Container> {
    Ok(Container(fixture.service().create_to_start(id, spec)?))
}

/// A new container in state `Created` that will run the probe.
pub(super) fn create(fixture: &dyn Fixture, probe: &[&str]) -> Outcome<Container> {
    create_from(fixture, &fixture.spec(probe))
}

/// A container that is there already, to be cleaned up.
pub(super) fn adopt(fixture: &dyn Fixture, id: &ContainerId) -> Outcome<Container> {
    Ok(Container(fixture.service().open(id)?))
}

/// A running container, with its process and streams; standard error is thrown away.
pub(super) struct Running {
    pub(super) process: Box<dyn Process>,
    pub(super) stdin: Option<File>,
    pub(super) stdout: File,
    pub(super) container: Container,
}

impl Running {
    /// Has a container that is [`obedient`] end.
    pub(super) fn tell_to_end(&self) -> Outcome {
        let mut stdin = self.stdin.as_ref().ok_or("no standard input")?;
        Ok(stdin.write_all(b"\n")?)
    }
}

/// A running container that ends with `code` when it is told to.
pub(super) fn obedient(fixture: &dyn Fixture, code: &str) -> Outcome<Running> {
    ready(fixture, &["say", "ready", "+", "line", "+", "exit", code])
}

/// Standard input and output as pipes.
pub(super) fn in_and_out() -> Stdio {
    Stdio::Streams {
        stdin: Stream::Pipe,
        stdout: Stream::Pipe,
        stderr: Stream::Null,
    }
}

/// A started container.
pub(super) fn start_from(fixture: &dyn Fixture, spec: &ContainerSpec) -> Outcome<Running> {
    let container = create_from(fixture, spec)?;
    let process = container.start(in_and_out())?;
    let streams = process.take_streams();
    Ok(Running {
        process,
        stdin: streams.stdin,
        stdout: streams.stdout.ok_or("no standard output was handed out")?,
        container,
    })
}

/// A container that runs the probe.
pub(super) fn start(fixture: &dyn Fixture, probe: &[&str]) -> Outcome<Running> {
    start_from(fixture, &fixture.spec(probe))
}

/// A running container whose process has said that it is ready; by default one that runs until it is ended.
pub(super) fn ready(fixture: &dyn Fixture, probe: &[&str]) -> Outcome<Running> {
    let mut running = start(fixture, probe)?;
    expect_line(&mut running.stdout, "ready")?;
    Ok(running)
}

/// A container that runs until it is ended.
pub(super) fn idle(fixture: &dyn Fixture) -> Outcome<Running> {
    ready(fixture, &["idle"])
}

/// What came of a process.
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Ran {
    /// That the process has ended well, and what it printed as JSON.
    pub(super) fn json(&self) -> Outcome<Value> {
        ensure_eq!(
            self.status.code,
            Some(0),
            "the probe failed with {:?}",
            String::from_utf8_lossy(&self.stderr)
        );
        Ok(serde_json::from_slice(&self.stdout)?)
    }

    /// What it printed.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Reads both outputs to their end and waits.
pub(super) fn finish(process: &dyn Process) -> Outcome<Ran> {
    let Streams {
        stdin,
        stdout,
        stderr,
        ..
    } = process.take_streams();
    drop(stdin);
    let errors = thread::spawn(move || read_all(stderr));
    let stdout = read_all(stdout)?;
    let stderr = errors
        .join()
        .map_err(|_| "the reader of standard error panicked")??;
    Ok(Ran {
        status: process.wait(Some(DEADLINE))?,
        stdout,
        stderr,
    })
}

fn read_all(stream: Option<File>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Runs a container to its end and deletes it.
pub(super) fn run_from(fixture: &dyn Fixture, spec: &ContainerSpec) -> Outcome<Ran> {
    let container = create_from(fixture, spec)?;
    let process = container.start(Stdio::pipes())?;
    let ran = finish(&*process)?;
    container.delete()?;
    Ok(ran)
}

/// Runs the probe in a container to its end and deletes it.
pub(super) fn run(fixture: &dyn Fixture, probe: &[&str]) -> Outcome<Ran> {
    run_from(fixture, &fixture.spec(probe))
}

/// Runs a further process in a container to its end.
pub(super) fn exec_from(container: &dyn ComputeSystem, process: &ProcessSpec) -> Outcome<Ran> {
    finish(&*container.create_process(process, Stdio::pipes())?)
}

/// Runs the probe once more in a container.
pub(super) fn exec(
    fixture: &dyn Fixture,
    container: &dyn ComputeSystem,
    probe: &[&str],
) -> Outcome<Ran> {
    exec_from(container, &fixture.process(probe))
}

/// A spec with its process changed.
pub(super) fn with_process(
    mut spec: ContainerSpec,
    change: impl FnOnce(&mut oci::Process),
) -> ContainerSpec {
    let mut process = spec.oci.process().clone().unwrap_or_default();
    change(&mut process);
    spec.oci.set_process(Some(process));
    spec
}

/// Makes a spec's program `arguments`.
pub(super) fn with_arguments(spec: ContainerSpec, arguments: &[&str]) -> ContainerSpec {
    with_process(spec, |process| {
        process.set_args(Some(
            arguments.iter().map(|&word| word.to_owned()).collect(),
        ));
    })
}

/// That an operation was refused with an error of this kind.
pub(super) fn refused<T>(
    result: Result<T, Error>,
    kind: ErrorKind,
    operation: &str,
) -> Outcome<Error> {
    match result {
        Ok(_) => Err(format!("{operation} succeeded instead of being {kind:?}").into()),
        Err(error) => {
            ensure_eq!(error.kind(), kind, "{operation} was refused ({error}) as");
            Ok(error)
        }
    }
}

/// That the container is in this state.
pub(super) fn expect_state(container: &dyn ComputeSystem, state: State) -> Outcome {
    ensure_eq!(container.state()?, state, "the container is");
    Ok(())
}

/// Reads one line, without its end; carriage returns of a console are left out.
pub(super) fn read_line(stream: &mut impl Read) -> Outcome<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match stream.read(&mut byte)? {
            0 => {
                return Err(
                    format!("end of file after {:?}", String::from_utf8_lossy(&line)).into(),
                );
            }
            _ if byte[0] == b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            _ if byte[0] == b'\r' => {}
            _ => line.push(byte[0]),
        }
    }
}

/// That the next line is this one.
pub(super) fn expect_line(stream: &mut impl Read, line: &str) -> Outcome {
    ensure_eq!(read_line(stream)?, line, "the probe said");
    Ok(())
}

/// Asks again and again until it is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> Outcome<bool>) -> Outcome {
    let deadline = Instant::now() + DEADLINE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "it never came to be that {what}");
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Does `work` on `count` threads that begin together, and gives what each came to.
pub(super) fn together<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Outcome<Vec<T>> {
    let barrier = std::sync::Barrier::new(count);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|index| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(index)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".into()))
            .collect()
    })
}

/// Exit codes to be tried.
pub(super) fn codes(fixture: &dyn Fixture) -> Vec<i32> {
    let all = 0..=255;
    if fixture.is_bounded() {
        return all
            .filter(|code| [0, 1, 2, 3, 90, 126, 127, 128, 137, 254, 255].contains(code))
            .collect();
    }
    all.collect()
}

/// So many rounds, or a few.
pub(super) fn rounds(fixture: &dyn Fixture, all: u64) -> u64 {
    if fixture.is_bounded() { all / 5 } else { all }
}

/// Powers of two around which sizes are to be tried.
pub(super) fn powers(fixture: &dyn Fixture) -> Vec<u32> {
    if fixture.is_bounded() {
        return vec![0, 12, 16, 21];
    }
    (0..=21).collect()
}

/// The numbers two to the power of `powers`, one less and one more.
pub(super) fn sizes(powers: impl IntoIterator<Item = u32>) -> impl Iterator<Item = u64> {
    powers.into_iter().flat_map(|power| {
        let middle = 1_u64 << power;
        [middle - 1, middle, middle + 1]
    })
}

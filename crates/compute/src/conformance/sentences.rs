//! What the contract says, sentence by sentence, and the table from sentence to behaviour.

use std::fmt::Write as _;

use super::behaviours;

/// One thing that the contract says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// What behaviours call it.
    pub id: &'static str,
    /// Where it stands.
    pub place: &'static str,
    /// What it says.
    pub text: &'static str,
}

const fn sentence(id: &'static str, place: &'static str, text: &'static str) -> Sentence {
    Sentence { id, place, text }
}

/// All of it.
pub const SENTENCES: &[Sentence] = &[
    sentence(
        "create.state",
        "ComputeService::create",
        "Makes a container in state `Created`.",
    ),
    sentence(
        "create.not-started",
        "ComputeService::create",
        "Its process is not started.",
    ),
    sentence(
        "create.refuses",
        "ComputeService::create",
        "A spec that cannot be carried out here is refused before anything is made; after any error nothing of the container is left.",
    ),
    sentence(
        "create-to-start.as-create",
        "ComputeService::create_to_start",
        "Makes a container as `ComputeService::create` does, for a caller that starts it next, through the result: until its process runs others may find it still being made, and where its start fails it may be gone.",
    ),
    sentence(
        "create.id-in-use",
        "ComputeService::create",
        "An id that is in use is `AlreadyExists`.",
    ),
    sentence(
        "open.opens",
        "ComputeService::open",
        "Opens a container that this or another process has made.",
    ),
    sentence(
        "open.not-found",
        "ComputeService::open",
        "One that does not exist is `NotFound`.",
    ),
    sentence(
        "enumerate.lists",
        "ComputeService::enumerate",
        "Lists the containers, each with the state the kernel tells at this moment.",
    ),
    sentence(
        "survey.as-the-list",
        "ComputeService::survey",
        "As `ComputeService::enumerate`, of all that can be read, with the reason for each that cannot.",
    ),
    sentence(
        "remove-damaged.gone",
        "ComputeService::remove_damaged",
        "One that is gone is success.",
    ),
    sentence(
        "ids.begin",
        "ComputeService::ids",
        "The ids that begin so, in order.",
    ),
    sentence(
        "features.says",
        "ComputeService::features",
        "Says what this host can do, and why not what it cannot.",
    ),
    sentence(
        "features.changes-nothing",
        "ComputeService::features",
        "Changes nothing.",
    ),
    sentence(
        "service.threads",
        "ComputeSystem",
        "All methods may be called from several threads at once.",
    ),
    sentence(
        "system.truth",
        "ComputeSystem",
        "What another process does to the same container is seen: state is read when it is asked for.",
    ),
    sentence("system.id", "ComputeSystem::id", "Its id."),
    sentence(
        "system.spec",
        "ComputeSystem::spec",
        "The spec it was made from.",
    ),
    sentence(
        "system.state",
        "ComputeSystem::state",
        "Its state at this moment.",
    ),
    sentence(
        "start.starts",
        "ComputeSystem::start",
        "Starts the container's first process; returns when the program was executed.",
    ),
    sentence(
        "owner.one",
        "ComputeSystem::start",
        "The caller becomes the owner that reaps it and records its exit.",
    ),
    sentence(
        "start.execute",
        "ComputeSystem::start",
        "A program that does not exist or cannot be executed is an error in `Phase::Execute`.",
    ),
    sentence(
        "start.as-it-was",
        "ComputeSystem::start",
        "After an error the container is as it was, `Created`.",
    ),
    sentence(
        "start.not-created",
        "ComputeSystem::start",
        "A container that is not `Created` gives `InvalidState`.",
    ),
    sentence(
        "exec.starts",
        "ComputeSystem::create_process",
        "Starts a further process in the running container; the caller owns it.",
    ),
    sentence(
        "exec.failure-changes-nothing",
        "ComputeSystem::create_process",
        "A failure changes nothing in the container.",
    ),
    sentence(
        "exec.not-running",
        "ComputeSystem::create_process",
        "A container that is not `Running` gives `InvalidState`.",
    ),
    sentence(
        "limited.tree",
        "ComputeSystem::create_confined_process",
        "With limits and a time that the process and all it starts have for themselves, within the container's: `Process::terminate`, and the end of that time, then end all of them, whatever session or parent they have.",
    ),
    sentence(
        "limited.refused",
        "ComputeSystem::create_confined_process",
        "A limit that cannot be had here is an error, and no process is started.",
    ),
    sentence(
        "confinement.root",
        "Confinement",
        "A directory of the host that is its root, read-only, in a mount namespace of its own; the container's root is below it, and everything else is as without.",
    ),
    sentence(
        "exit.timed-out",
        "ExitStatus",
        "It was ended by force because it had run for as long as it may.",
    ),
    sentence(
        "exit.left-behind",
        "ExitStatus",
        "Why not all that it had started was ended with it when its time was over; `None` where all was.",
    ),
    sentence(
        "execs.created",
        "ComputeSystem::create_exec",
        "Makes a further process an object with an id, in state `Created`: it is not started.",
    ),
    sentence(
        "execs.id-in-use",
        "ComputeSystem::create_exec",
        "An id that another one of this container has is `AlreadyExists`.",
    ),
    sentence(
        "execs.with-the-container",
        "ComputeSystem::create_exec",
        "It is there until it is deleted, or the container is.",
    ),
    sentence(
        "execs.open",
        "ComputeSystem::open_exec",
        "Opens an exec that this or another process has made; one that does not exist is `NotFound`.",
    ),
    sentence(
        "execs.list",
        "ComputeSystem::execs",
        "Lists the container's execs, in the order in which they were made.",
    ),
    sentence("execs.id", "Exec::id", "Its id."),
    sentence("execs.spec", "Exec::spec", "What it was made from."),
    sentence(
        "execs.start",
        "Exec::start",
        "Starts it in its container; the caller becomes the owner that reaps it and records its exit.",
    ),
    sentence(
        "execs.start-failed",
        "Exec::start",
        "After an error it is as it was, `Created`, and nothing was changed in the container.",
    ),
    sentence(
        "execs.start-state",
        "Exec::start",
        "One that is not `Created`, or whose container is not `Running`, gives `InvalidState`.",
    ),
    sentence(
        "execs.properties",
        "Exec::properties",
        "What it is doing at this moment: its state, its processes, what they use.",
    ),
    sentence(
        "execs.signal",
        "Exec::signal",
        "Sends it `signal`; one that does not run gives `InvalidState`, and no other process is signalled.",
    ),
    sentence(
        "execs.terminate",
        "Exec::terminate",
        "Ends it by force with all it has started; on one that has ended, what it has left behind is ended.",
    ),
    sentence(
        "execs.wait",
        "Exec::wait",
        "Any process may wait, several times, late, and at the same time: all get the same status, and where its owner was lost, that it is unknown.",
    ),
    sentence(
        "execs.timeout",
        "Exec::wait",
        "`Timeout` where the time runs out first.",
    ),
    sentence(
        "execs.delete",
        "Exec::delete",
        "Forgets it; one that runs gives `InvalidState`; deleting again is success.",
    ),
    sentence(
        "process.terminate",
        "Process::terminate",
        "Ends it by force, and where it was started confined everything that it has started; after its end this is success.",
    ),
    sentence(
        "pause.freezes",
        "ComputeSystem::pause",
        "Freezes every process of the running container.",
    ),
    sentence(
        "pause.again",
        "ComputeSystem::pause",
        "Pausing a paused container is `InvalidState`.",
    ),
    sentence(
        "resume.goes-on",
        "ComputeSystem::resume",
        "Lets a paused container go on.",
    ),
    sentence(
        "resume.not-paused",
        "ComputeSystem::resume",
        "A container that is not `Paused` gives `InvalidState`.",
    ),
    sentence(
        "modify.changes",
        "ComputeSystem::modify",
        "Changes limits of the container while it runs; what `resources` does not name stays.",
    ),
    sentence(
        "modify.refused",
        "ComputeSystem::modify",
        "A limit that the kernel refuses is an error, and the limits are as before.",
    ),
    sentence(
        "properties.now",
        "ComputeSystem::properties",
        "What it is doing at this moment.",
    ),
    sentence(
        "query.parts",
        "Query",
        "Which parts of `Properties` to fill in.",
    ),
    sentence(
        "properties.summary",
        "Properties",
        "What a list shows of it.",
    ),
    sentence(
        "properties.processes",
        "Properties",
        "Its processes, where asked for.",
    ),
    sentence(
        "properties.statistics",
        "Properties",
        "What it uses, where asked for.",
    ),
    sentence(
        "signal.sends",
        "ComputeSystem::signal",
        "Sends `signal` to the container's first process.",
    ),
    sentence(
        "signal.not-running",
        "ComputeSystem::signal",
        "A container that does not run gives `InvalidState`, and no stranger that has come to bear the same process id is ever signalled.",
    ),
    sentence(
        "shutdown.asks",
        "ComputeSystem::shutdown",
        "Asks the container to end, by the stop signal of its spec, and returns at once.",
    ),
    sentence(
        "terminate.ends",
        "ComputeSystem::terminate",
        "Ends every process of the container by force, a paused one included, and returns when that is done.",
    ),
    sentence(
        "terminate.stopped",
        "ComputeSystem::terminate",
        "On a stopped container it does nothing.",
    ),
    sentence(
        "wait.waits",
        "ComputeSystem::wait",
        "Waits until the container's first process has ended.",
    ),
    sentence(
        "wait.any",
        "ComputeSystem::wait",
        "Any process may wait, several times, late, and at the same time: all get the same status.",
    ),
    sentence(
        "wait.timeout",
        "ComputeSystem::wait",
        "`Timeout` where `timeout` (none: for ever) runs out first.",
    ),
    sentence(
        "reset.created",
        "ComputeSystem::reset",
        "Makes a container that has ended ready to be started once more: it is `Created` again, with the same id and spec.",
    ),
    sentence(
        "reset.waiters",
        "ComputeSystem::reset",
        "Whoever still waits for the run that has ended gets its status, never that of a later one.",
    ),
    sentence(
        "reset.not-stopped",
        "ComputeSystem::reset",
        "A container that is not `Stopped` gives `InvalidState`.",
    ),
    sentence(
        "updates.none",
        "ComputeSystem::install_updates",
        "Where nothing waits it does nothing.",
    ),
    sentence(
        "mount.add",
        "ComputeSystem::add_mount",
        "Mounts a directory or file of this machine, or a new file system in memory, in the running container; the destination is resolved within its root; one at which a mount was added before is `AlreadyExists`.",
    ),
    sentence(
        "mount.remove",
        "ComputeSystem::remove_mount",
        "Takes a mount away that was added at this destination. Where none was, `NotFound`.",
    ),
    sentence(
        "mount.list",
        "ComputeSystem::added_mounts",
        "The mounts that were added since its start and not removed.",
    ),
    sentence(
        "files.open",
        "ComputeSystem::files",
        "Opens its root file system for copying.",
    ),
    sentence(
        "files.in-root",
        "RootFiles",
        "Paths are the container's: absolute, and every symbolic link on the way, however it changes meanwhile, is followed within its root.",
    ),
    sentence(
        "files.beneath",
        "Files::unpack",
        "No symbolic link below `directory` is followed. An entry that would lie outside is an error.",
    ),
    sentence(
        "changes",
        "ComputeSystem::changes",
        "A container without a writable layer of its own gives `Unsupported`.",
    ),
    sentence(
        "delete.removes",
        "ComputeSystem::delete",
        "Removes the container and all that was made for it.",
    ),
    sentence(
        "delete.running",
        "ComputeSystem::delete",
        "A container that runs gives `InvalidState`.",
    ),
    sentence(
        "delete.again",
        "ComputeSystem::delete",
        "Deleting again, also at the same time, is success.",
    ),
    sentence(
        "process.pid",
        "Process::pid",
        "Its id on this machine, outside the container.",
    ),
    sentence(
        "process.take-streams",
        "Process::take_streams",
        "Hands out the caller's ends of its streams; each can be taken once.",
    ),
    sentence(
        "process.wait",
        "Process::wait",
        "Waits until it has ended; as `ComputeSystem::wait`.",
    ),
    sentence(
        "process.readiness",
        "Process::readiness",
        "Becomes ready when `Process::wait` would return at once.",
    ),
    sentence("process.signal", "Process::signal", "Sends it `signal`."),
    sentence(
        "process.signal-after",
        "Process::signal",
        "After its end this is `InvalidState`, and no other process is signalled.",
    ),
    sentence(
        "process.resize",
        "Process::resize_console",
        "Gives its console another size.",
    ),
    sentence(
        "process.resize-without",
        "Process::resize_console",
        "Without a console, `InvalidState`.",
    ),
    sentence(
        "process.close-stdin",
        "Process::close_stdin",
        "Ends its standard input.",
    ),
    sentence(
        "process.close-stdin-again",
        "Process::close_stdin",
        "A stream that was taken is ended by dropping it instead; ending it twice is success.",
    ),
    sentence(
        "stream.null",
        "Stream::Null",
        "The null device: end of file at once, output thrown away.",
    ),
    sentence(
        "stream.given",
        "Stream::Given",
        "This very descriptor: the process reads and writes it without a copy in between.",
    ),
    sentence(
        "stream.pipe",
        "Stream::Pipe",
        "A new pipe, whose other end `Process::take_streams` hands out.",
    ),
    sentence(
        "stdio.console",
        "Stdio::Console",
        "A console of this size on all three.",
    ),
    sentence(
        "streams.stdin",
        "Streams::stdin",
        "Write here, drop it for end of file.",
    ),
    sentence(
        "streams.stdout",
        "Streams::stdout",
        "Read here until end of file.",
    ),
    sentence(
        "streams.stderr",
        "Streams::stderr",
        "The same for standard error.",
    ),
    sentence(
        "streams.console",
        "Streams::console",
        "The console's controlling side, to read and to write. On Linux the end of output reads as `EIO`. On Windows, where no handle is read and written at once, stdin and stdout are its two directions.",
    ),
    sentence(
        "state.created",
        "State::Created",
        "Made, its process not yet started.",
    ),
    sentence("state.running", "State::Running", "Its first process runs."),
    sentence(
        "state.stopped",
        "State::Stopped",
        "Its first process has ended.",
    ),
    sentence("state.paused", "State::Paused", "Its processes are frozen."),
    sentence(
        "state.order",
        "State",
        "`Created → Running ⇄ Paused → Stopped`.",
    ),
    sentence(
        "exit.state",
        "ExitStatus",
        "It is state: whoever asks, however late or often, gets the same answer.",
    ),
    sentence("exit.how", "ExitStatus", "How a process ended."),
    sentence(
        "exit.code",
        "ExitStatus::code",
        "The code it gave to exit(2), 0 to 255 on Linux.",
    ),
    sentence(
        "exit.no-code",
        "ExitStatus::code",
        "`None` where a signal ended it, or where the status was lost.",
    ),
    sentence(
        "exit.signal",
        "ExitStatus::signal",
        "The signal that ended it.",
    ),
    sentence("exit.when", "ExitStatus::finished_at", "When."),
    sentence(
        "exit.oom",
        "ExitStatus::oom",
        "The out-of-memory kill that ended it.",
    ),
    sentence(
        "exit.oom-cgroup",
        "OomKill::cgroup",
        "The cgroup whose limit was hit.",
    ),
    sentence(
        "exit.oom-limit",
        "OomKill::limit_bytes",
        "That limit in bytes, where it could be read.",
    ),
    sentence(
        "exit.unknown",
        "ExitStatus::unknown",
        "Why neither code nor signal is known (\"supervisor lost\").",
    ),
    sentence(
        "exit.never-zero",
        "ExitStatus::shell_code",
        "255 where it is unknown (never 0).",
    ),
    sentence(
        "exit.durable",
        "Design §3",
        "Recorded durably, so whoever asks, however late, however often, from whatever process, gets the same answer.",
    ),
    sentence(
        "error.fields",
        "Error",
        "A kind, the phase and step, the system call and number, the path or name it is about, and a remedy where there is one; the same as JSON.",
    ),
    sentence(
        "error.text",
        "Error",
        "Its text is `what was tried on what: why`, without a full stop.",
    ),
    sentence(
        "error.before-the-process",
        "Design §3",
        "\"Hoist failed before the process ran\" is always distinguishable from \"the process failed\".",
    ),
    sentence(
        "library.safe",
        "Design §3",
        "The library is safe to call from a program with many threads.",
    ),
    sentence(
        "library.environment",
        "Design §3",
        "The caller's working directory, umask, signal mask and environment are never touched.",
    ),
];

/// `docs/conformance.md`: each sentence with the behaviours that prove it.
pub fn table() -> String {
    let behaviours = behaviours();
    let mut page = String::from(HEAD);
    for sentence in SENTENCES {
        let proofs: Vec<&str> = behaviours
            .iter()
            .filter(|behaviour| behaviour.covers.contains(&sentence.id))
            .map(|behaviour| behaviour.name)
            .collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            sentence.place,
            sentence.text.replace('|', "\\|"),
            proofs.join("; ")
        );
    }
    page
}

const HEAD: &str = "\
# What every backend must do

The contract of `hoist-compute`, sentence by sentence, and the behaviours of its conformance suite that prove each. A
backend runs all of them with a few lines: see `crates/linux/tests/conformance.rs`. This page is made from the suite; a
test compares the two.

| where it stands | what it says | behaviours |
| --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_has_a_behaviour_and_every_behaviour_a_sentence() {
        let behaviours = behaviours();
        for sentence in SENTENCES {
            assert!(
                behaviours
                    .iter()
                    .any(|behaviour| behaviour.covers.contains(&sentence.id)),
                "nothing proves {}",
                sentence.id
            );
        }
        for behaviour in &behaviours {
            assert!(
                !behaviour.covers.is_empty(),
                "{} proves nothing",
                behaviour.name
            );
            for id in behaviour.covers {
                assert!(
                    SENTENCES.iter().any(|sentence| sentence.id == *id),
                    "{} is about {id}, which the contract does not say",
                    behaviour.name
                );
            }
        }
    }

    /// A method that is new says something new; a place that is gone says nothing any more.
    #[test]
    fn every_method_of_the_contract_says_something_and_every_method_named_is_there() {
        let source = include_str!("../service.rs");
        let mut methods = Vec::new();
        let mut of = "";
        for line in source.lines() {
            let name = |rest: &'static str| rest.split(['(', ':', '<', ' ']).next().unwrap_or(rest);
            if let Some(rest) = line.strip_prefix("pub trait ") {
                of = name(rest);
            } else if let Some(rest) = line.strip_prefix("    fn ") {
                methods.push(format!("{of}::{}", name(rest)));
            } else if line == "}" {
                of = "";
            }
        }
        assert!(methods.len() > 20, "{methods:?}");
        let places: Vec<&str> = SENTENCES.iter().map(|sentence| sentence.place).collect();
        for method in &methods {
            assert!(
                places.contains(&method.as_str()),
                "nothing is said of {method}"
            );
        }
        let traits = ["ComputeService::", "ComputeSystem::", "Exec::", "Process::"];
        for place in places {
            let is_method = traits.iter().any(|name| place.starts_with(name));
            assert!(
                !is_method || methods.iter().any(|method| method == place),
                "there is no {place}"
            );
        }
    }

    #[test]
    fn the_page_is_made_from_the_suite() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conformance.md");
        if std::env::var_os("HOIST_BLESS").is_some() {
            std::fs::write(path, table()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
        assert!(
            page == table(),
            "docs/conformance.md is out of date: HOIST_BLESS=1 makes it anew"
        );
    }
}

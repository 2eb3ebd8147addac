#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod ending;
mod exec;
mod inspect;
mod ps;
mod reports;
mod top;

use hoist_testing::{
    Need,
    command::{By::Anyone, Case},
};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "ps lists containers that run, and with -a those that have ended, the newest first",
        by: Anyone,
        needs: &[],
        run: ps::ps_lists,
    },
    Case {
        name: "ps writes docker's columns, short ids, whole ids with --no-trunc, ids alone with -q",
        by: Anyone,
        needs: &[],
        run: ps::ps_columns,
    },
    Case {
        name: "ps writes one JSON object with docker's members per line",
        by: Anyone,
        needs: &[],
        run: ps::ps_json,
    },
    Case {
        name: "ps of no containers is a header alone, and nothing as JSON",
        by: Anyone,
        needs: &[],
        run: ps::ps_of_none,
    },
    Case {
        name: "lists and reports are written by docker's templates, and what those ask for and is not there is refused by name",
        by: Anyone,
        needs: &[],
        run: ps::templates,
    },
    Case {
        name: "ps shows those containers that all filters take",
        by: Anyone,
        needs: &[],
        run: ps::filters,
    },
    Case {
        name: "inspect tells of a running container in docker's words",
        by: Anyone,
        needs: &[],
        run: inspect::inspect_running,
    },
    Case {
        name: "inspect shows those that are there and names those that are not",
        by: Anyone,
        needs: &[],
        run: inspect::inspect_some,
    },
    Case {
        name: "top lists the processes of a container, and no other, with their ids on this machine",
        by: Anyone,
        needs: &[],
        run: top::top,
    },
    Case {
        name: "top with options of ps shows what this machine's ps does of the container's processes",
        by: Anyone,
        needs: &[Need::Tool("ps")],
        run: top::top_by_ps,
    },
    Case {
        name: "a container is meant by its id, its name, and the beginning of its id",
        by: Anyone,
        needs: &[],
        run: inspect::references,
    },
    Case {
        name: "kill sends SIGKILL, or the signal that is named with or without SIG or by number",
        by: Anyone,
        needs: &[],
        run: ending::kill,
    },
    Case {
        name: "stop sends SIGTERM and lets a container end in its own way",
        by: Anyone,
        needs: &[],
        run: ending::stop_gently,
    },
    Case {
        name: "stop sends the container's own stop signal, or the one that it is given",
        by: Anyone,
        needs: &[],
        run: ending::stop_signals,
    },
    Case {
        name: "stop ends a container by force that does not end in time",
        by: Anyone,
        needs: &[],
        run: ending::stop_by_force,
    },
    Case {
        name: "stop waits as long as the container's own stop timeout says",
        by: Anyone,
        needs: &[],
        run: ending::stop_timeout,
    },
    Case {
        name: "stop of a container that has ended does nothing",
        by: Anyone,
        needs: &[],
        run: ending::stop_ended,
    },
    Case {
        name: "wait prints the exit code of a container that ends later, and of one that has ended",
        by: Anyone,
        needs: &[],
        run: ending::wait,
    },
    Case {
        name: "rm removes what has ended, refuses what runs, and ends it by force with -f",
        by: Anyone,
        needs: &[],
        run: ending::rm,
    },
    Case {
        name: "commands on several containers act on each that is there and fail for the others",
        by: Anyone,
        needs: &[],
        run: ending::several,
    },
    Case {
        name: "exec runs a process in the container's namespaces with what it is given",
        by: Anyone,
        needs: &[],
        run: exec::exec,
    },
    Case {
        name: "exec in a container that has ended says so",
        by: Anyone,
        needs: &[],
        run: exec::exec_in_ended,
    },
    Case {
        name: "exec takes environment, directory and user",
        by: Anyone,
        needs: &[],
        run: exec::exec_options,
    },
    Case {
        name: "info tells for each feature whether it is there, and why not",
        by: Anyone,
        needs: &[],
        run: reports::info,
    },
    Case {
        name: "plan prints the steps of run, takes none, and needs no container",
        by: Anyone,
        needs: &[],
        run: reports::plan,
    },
    Case {
        name: "version tells the version, as text, as JSON and by -v",
        by: Anyone,
        needs: &[],
        run: reports::version,
    },
    Case {
        name: "completions are scripts that the shells take",
        by: Anyone,
        needs: &[Need::Tool("bash")],
        run: reports::completions,
    },
    Case {
        name: "help is printed to standard output, with every command and every option of run",
        by: Anyone,
        needs: &[],
        run: reports::help,
    },
    Case {
        name: "a reader of standard output that goes away is no fault",
        by: Anyone,
        needs: &[],
        run: reports::reader_gone,
    },
];

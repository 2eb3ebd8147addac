#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod isolation;
mod keyring;
mod mounts;
mod naming;
mod process;
mod roots;
mod seccomp;
mod timeline;

use hoist_testing::command::{
    By::{Anyone, Root},
    Case,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "a container is alone: its own namespaces, processes, host name, network, devices and descriptors",
        by: Anyone,
        needs: &[],
        run: isolation::alone,
    },
    Case {
        name: "a container is confined as docker's: capabilities, a seccomp filter, masked and read-only paths",
        by: Anyone,
        needs: &[],
        run: isolation::confined,
    },
    Case {
        name: "neither a container nor an exec is in the session keyring of its caller, nor in that of another",
        by: Anyone,
        needs: &[],
        run: keyring::own_session_keyrings,
    },
    Case {
        name: "where a filter around Hoist refuses what makes a keyring, it refuses the container every use of one",
        by: Root,
        needs: &[],
        run: keyring::a_filter_that_refuses_keys,
    },
    Case {
        name: "without --rootfs and --layer the machine's programs are there and nothing private is",
        by: Anyone,
        needs: &[],
        run: roots::default_root,
    },
    Case {
        name: "what is written into the composed root is thrown away and reaches no host file",
        by: Anyone,
        needs: &[],
        run: roots::default_root_is_written,
    },
    Case {
        name: "above the root is nothing of the machine's, for the container and for whoever enters it, whatever the root is of",
        by: Anyone,
        needs: &[],
        run: roots::nothing_above,
    },
    Case {
        name: "a part of the machine's /sys can be bound, whatever the root is composed of",
        by: Anyone,
        needs: &[],
        run: roots::bind_of_sys,
    },
    Case {
        name: "what is written into --rootfs stays there",
        by: Anyone,
        needs: &[],
        run: roots::rootfs,
    },
    Case {
        name: "--layer stacks directories, the first at the base, and leaves them as they are",
        by: Anyone,
        needs: &[],
        run: roots::layers,
    },
    Case {
        name: "a layer's path may be long, and have any characters",
        by: Anyone,
        needs: &[],
        run: roots::odd_layers,
    },
    Case {
        name: "--read-only lets nothing be written but file systems in memory",
        by: Anyone,
        needs: &[],
        run: roots::read_only,
    },
    Case {
        name: "-i gives the caller's input, and without it there is none",
        by: Anyone,
        needs: &[],
        run: process::interactive,
    },
    Case {
        name: "--rm removes the container after its end, and without it its record stays",
        by: Anyone,
        needs: &[],
        run: naming::remove,
    },
    Case {
        name: "--name names the container, and the name is free again after it",
        by: Anyone,
        needs: &[],
        run: naming::name,
    },
    Case {
        name: "-e and --env-file set variables, the later over the earlier, = in the value and all",
        by: Anyone,
        needs: &[],
        run: process::environment,
    },
    Case {
        name: "-w is where the program begins",
        by: Anyone,
        needs: &[],
        run: process::working_directory,
    },
    Case {
        name: "-u runs as a user by name or number, with their groups and without capabilities",
        by: Root,
        needs: &[],
        run: process::user,
    },
    Case {
        name: "-v shows a directory or a file, writable or not, also by a relative path",
        by: Anyone,
        needs: &[],
        run: mounts::volume,
    },
    Case {
        name: "-v with ro is read-only with every mount below it",
        by: Root,
        needs: &[],
        run: mounts::volume_below,
    },
    Case {
        name: "--mount binds or makes file systems in memory of a size and mode",
        by: Anyone,
        needs: &[],
        run: mounts::mount,
    },
    Case {
        name: "--tmpfs is empty, writable and not executable, and takes options",
        by: Anyone,
        needs: &[],
        run: mounts::tmpfs,
    },
    Case {
        name: "--hostname is the host's name inside, otherwise it is the beginning of the id",
        by: Anyone,
        needs: &[],
        run: isolation::hostname,
    },
    Case {
        name: "--cap-add and --cap-drop give and take capabilities, ALL too",
        by: Anyone,
        needs: &[],
        run: isolation::capabilities,
    },
    Case {
        name: "--security-opt no-new-privileges, seccomp=unconfined and seccomp=FILE",
        by: Anyone,
        needs: &[],
        run: isolation::security,
    },
    Case {
        name: "--network none has a loopback alone, and host has the caller's network",
        by: Anyone,
        needs: &[],
        run: isolation::network,
    },
    Case {
        name: "--init is PID 1, reaps what nobody waits for, and passes signals on",
        by: Anyone,
        needs: &[],
        run: process::init,
    },
    Case {
        name: "--cidfile receives the id",
        by: Anyone,
        needs: &[],
        run: naming::id_file,
    },
    Case {
        name: "--entrypoint is the program, and the command its arguments",
        by: Anyone,
        needs: &[],
        run: process::entrypoint,
    },
    Case {
        name: "--timeline draws a well-formed picture with every lane",
        by: Anyone,
        needs: &[],
        run: timeline::picture,
    },
    Case {
        name: "--timeline to .json is a trace in Chrome's format whose steps do not overlap",
        by: Anyone,
        needs: &[],
        run: timeline::trace,
    },
    Case {
        name: "a timeline that cannot be written is told and does not end the container",
        by: Anyone,
        needs: &[],
        run: timeline::no_timeline,
    },
    Case {
        name: "arguments arrive as they were given",
        by: Anyone,
        needs: &[],
        run: process::arguments,
    },
    Case {
        // Row 38 of the list of known failures.
        name: "a call newer than the seccomp profile gets ENOSYS, and a forbidden one EPERM",
        by: Anyone,
        needs: &[],
        run: seccomp::newer_calls,
    },
    Case {
        // Row 38: with a filter that kills on anything else, nothing else can have been called.
        name: "after the filter only capset, prctl, execve and one write are called",
        by: Anyone,
        needs: &[],
        run: seccomp::calls_after_the_filter,
    },
    Case {
        name: "a filter that forbids every call, the exit too, leaves no process behind",
        by: Anyone,
        needs: &[],
        run: seccomp::nothing_allowed,
    },
];

//! `hoist-init`: the child's half of a container start, and the init process of `--init`.
//!
//! Started by the owner with a control socket as descriptor 3, it receives a plan, clones the container's process and
//! walks the plan in it. Started with arguments, it is PID 1: it starts the program named there, forwards signals and
//! reaps. It has no allocator, no threads and no libc, so nothing of the owner's program can be in its memory.
#![no_std]
#![no_main]

mod program;

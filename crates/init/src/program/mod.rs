//! The program's parts. `start` is where the kernel enters, `walk` the loop over the plan's steps.

mod added;
mod console;
mod control;
mod copy;
mod execute;
mod fault;
mod hook;
mod identity;
mod keep;
mod layers;
mod lend;
mod listener;
mod marks;
mod mounts;
mod network;
mod procfs;
mod reap;
mod release;
mod root;
mod slots;
mod start;
mod sys;
mod walk;

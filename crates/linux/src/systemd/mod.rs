//! The systemd cgroup driver: a container's cgroup is that of a scope, which systemd makes and knows the limits of.
//!
//! `unit` is pure: which scope a `cgroupsPath` of the form `slice:prefix:name` names, and what systemd is told of it.
//! `message` is the encoding of D-Bus, `bus` a blocking connection, `manager` systemd's own interface
//! (org.freedesktop.systemd1(5)), `scope` the scope of one container.

#[cfg(target_os = "linux")]
mod bus;
#[cfg(target_os = "linux")]
mod manager;
#[cfg(target_os = "linux")]
pub(crate) mod message;
#[cfg(target_os = "linux")]
mod scope;
mod unit;

#[cfg(target_os = "linux")]
pub(crate) use scope::{Scope, end, update};
pub use unit::{Unit, Value};

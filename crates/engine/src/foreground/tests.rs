//! Attaching real processes on real consoles, by the fake backend.

//! regex-lite under the name of `regex`.
//!
//! `oci-spec` compiles one regular expression, of digits, commas and hyphens (`execCPUAffinity`). For it, `regex` brings
//! half a mebibyte of engines and Unicode tables into every program that reads a `config.json`, which each start then has
//! in memory. The same authors' `regex-lite` has the same interface without them. Nothing else in the workspace uses
//! `regex`; nothing of our own belongs here.

pub use regex_lite::*;

//! A program's functions, and how a linker's script names them.
//!
//! Rust's functions lie in a section each, which bears their name. The name ends in a hash or holds those of crates, which differ from compiler
//! to compiler: patterns leave them open, and so name all functions that only differ in them, as those are of a generic function.
//! The C library's lie in an object file of its archive.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::process::Command;

use super::check::size_line;
use crate::command::Outcome;

/// Where a script brings together what it names.
pub(super) const SECTION: &str = ".text.hot";

/// Patterns whose namesakes are larger than this, and than what was executed of them three times, come last: most of what they name is cold.
const FEW: u64 = 1500;
/// Those whose namesakes are larger than this are left out.
const MANY: u64 = 64 * 1024;

/// The functions of a program.
pub(super) struct Symbols {
    addresses: Vec<u64>,
    functions: BTreeMap<u64, Function>,
}

struct Function {
    size: u64,
    /// Of those that name it, the first that can be found in a script.
    pattern: Option<String>,
}

/// A linker's script, and how many bytes it brings together.
pub(super) struct Script {
    pub(super) text: String,
    pub(super) executed: u64,
    pub(super) namesakes: u64,
}

impl Symbols {
    /// Reads them from a program that was not stripped.
    pub(super) fn of(program: &Path) -> Outcome<Self> {
        let members = members()?;
        let mut functions: BTreeMap<u64, Function> = BTreeMap::new();
        let listed = run(Command::new("nm").arg("--print-size").arg(program))?;
        for line in listed.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            let &[address, size, kind, name] = &*words else {
                continue;
            };
            if !matches!(kind, "t" | "T" | "w" | "W") {
                continue;
            }
            let number = |digits| u64::from_str_radix(digits, 16);
            let function = functions.entry(number(address)?).or_insert(Function {
                size: number(size)?,
                pattern: None,
            });
            if function.pattern.is_none() {
                function.pattern = pattern(name, &members);
            }
        }
        Ok(Self {
            addresses: functions.keys().copied().collect(),
            functions,
        })
    }

    pub(super) fn addresses(&self) -> &[u64] {
        &self.addresses
    }

    pub(super) fn count(&self) -> usize {
        self.functions.len()
    }

    /// The script that brings together what was executed, in this order.
    pub(super) fn script(&self, executed: &[u64]) -> Script {
        let mut all: HashMap<&str, u64> = HashMap::new();
        for function in self.functions.values() {
            if let Some(pattern) = &function.pattern {
                *all.entry(pattern).or_default() += function.size;
            }
        }
        let mut hot: HashMap<&str, u64> = HashMap::new();
        let mut order = Vec::new();
        for function in executed
            .iter()
            .filter_map(|address| self.functions.get(address))
        {
            if let Some(pattern) = &function.pattern {
                let size = hot.entry(pattern).or_insert_with(|| {
                    order.push(pattern.as_str());
                    0
                });
                *size += function.size;
            }
        }
        let namesakes = |pattern: &str| all[pattern] - hot[pattern];
        order.retain(|pattern| namesakes(pattern) <= MANY);
        // Stable: beside that, the order stays.
        order.sort_by_key(|pattern| {
            namesakes(pattern) > FEW && namesakes(pattern) > 2 * hot[pattern]
        });
        let executed = order.iter().map(|pattern| hot[pattern]).sum();
        let namesakes = order.iter().map(|pattern| namesakes(pattern)).sum();
        let mut text = format!(
            "/* Made by `cargo xtask layout`: what the most common commands execute, in the order in which they do. */\n\
             {}SECTIONS {{\n  {SECTION} : {{\n",
            size_line(executed + namesakes)
        );
        for pattern in &order {
            text.push_str(&format!("    {pattern}\n"));
        }
        text.push_str("  }\n}\nINSERT BEFORE .text;\n");
        Script {
            text,
            executed,
            namesakes,
        }
    }
}

/// How a script names the function `name`.
fn pattern(name: &str, members: &HashMap<String, String>) -> Option<String> {
    if let Some(member) = members.get(name) {
        return Some(format!("*libc.a:{member}(.text .text.*)"));
    }
    let open = if let Some((start, _)) = name.rsplit_once("17h").filter(|_| name.starts_with("_ZN"))
    {
        format!("{start}17h*")
    } else if name.starts_with("_R") {
        format!("{}*", without_crate_hashes(name))
    } else {
        return None;
    };
    Some(format!("*(.text.{open})"))
}

/// `name`, in the v0 mangling of Rust, without what tells one crate of a name from another, and without the number that LLVM puts behind copies.
fn without_crate_hashes(name: &str) -> String {
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    let mut open = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("Cs") {
        open.push_str(before);
        match after.split_once('_') {
            Some((hash, after)) if hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                open.push_str("Cs*_");
                rest = after;
            }
            _ => {
                open.push_str("Cs");
                rest = after;
            }
        }
    }
    open + rest
}

/// Which object file of the C library defines a function.
fn members() -> Outcome<HashMap<String, String>> {
    let archive = run(Command::new("gcc").arg("-print-file-name=libc.a"))?;
    let listed =
        run(Command::new("nm").args(["--print-file-name", "--defined-only", archive.trim()]))?;
    let mut members = HashMap::new();
    let mut ambiguous = HashSet::new();
    for line in listed.lines() {
        let Some((place, symbol)) = line.split_once(' ') else {
            continue;
        };
        let member = place.split(':').nth(1).unwrap_or_default();
        let (kind, name) = symbol.split_once(' ').unwrap_or_default();
        if matches!(kind, "t" | "T" | "w" | "W" | "i")
            && let Some(other) = members.insert(name.to_owned(), member.to_owned())
            && other != member
        {
            ambiguous.insert(name.to_owned());
        }
    }
    members.retain(|name, _| !ambiguous.contains(name));
    Ok(members)
}

fn run(command: &mut Command) -> Outcome<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_compilers_is_left_open() {
        let none = HashMap::new();
        let known = HashMap::from([("free".to_owned(), "malloc.o".to_owned())]);
        for (name, expected) in [
            (
                "_ZN5hoist4main17h0123456789abcdefE",
                Some("*(.text._ZN5hoist4main17h*)"),
            ),
            (
                "_ZN5hoist4main17h0123456789abcdefE.llvm.12",
                Some("*(.text._ZN5hoist4main17h*)"),
            ),
            (
                "_RNvNtCsjrHSEGnQ3l9_3std4path4file.50",
                Some("*(.text._RNvNtCs*_3std4path4file*)"),
            ),
            ("free", None),
        ] {
            assert_eq!(pattern(name, &none).as_deref(), expected, "{name}");
        }
        assert_eq!(
            pattern("free", &known).as_deref(),
            Some("*libc.a:malloc.o(.text .text.*)")
        );
    }
}

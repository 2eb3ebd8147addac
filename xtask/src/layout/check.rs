//! Whether the linker still finds what `hot.ld` names: of a name that nothing has any more it says nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::symbols::SECTION;
use crate::command::Outcome;

/// What a script says of the size of what it brings together, in bytes, between these words.
const BEFORE: &str = "/* Bytes that they had then: ";
const BEHIND: &str = " */\n";

/// The line of a script that says so.
pub(super) fn size_line(bytes: u64) -> String {
    format!("{BEFORE}{bytes}{BEHIND}")
}

/// Looks whether a program has at least half of what was brought together when its script was made.
pub(super) fn laid_out(program: &Path, script: &Path) -> Outcome<String> {
    let text = fs::read_to_string(script)?;
    let then = size_when_made(&text).ok_or_else(|| {
        format!(
            "{} does not say how large it was: cargo xtask layout",
            script.display()
        )
    })?;
    let listed = Command::new("readelf")
        .args(["--section-headers", "--wide"])
        .arg(program)
        .output()
        .map_err(|error| format!("readelf: {error}: apt-get install binutils"))?;
    if !listed.status.success() {
        return Err(format!("readelf {}: {}", program.display(), listed.status).into());
    }
    let now = section_size(&String::from_utf8(listed.stdout)?).unwrap_or(0);
    let said = format!(
        "{}: {now} bytes side by side, {then} when {} was made",
        program.display(),
        script.display()
    );
    match now >= then / 2 {
        true => Ok(said),
        false => Err(format!(
            "{said}: most of what it names has other names now, and lies anywhere: cargo xtask layout"
        )
        .into()),
    }
}

fn size_when_made(script: &str) -> Option<u64> {
    let (_, rest) = script.split_once(BEFORE)?;
    rest.split_once(BEHIND)?.0.parse().ok()
}

/// The size of the scripts' section in readelf(1)'s list; none where the program has no such section.
fn section_size(listed: &str) -> Option<u64> {
    let mut lines = listed.lines().map(str::split_ascii_whitespace);
    let mut words =
        lines.find_map(|mut words| words.any(|word| word == SECTION).then_some(words))?;
    // Behind the name: type, address, offset, size.
    u64::from_str_radix(words.nth(3)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "
  [Nr] Name              Type            Address          Off    Size   ES Flg Lk Inf Al
  [ 7] .rodata           PROGBITS        0000000000200780 0a6780 000100 00   A  0   0 64
  [ 8] .text.hot         PROGBITS        0000000000320780 11f780 11aeac 00  AX  0   0 64
  [ 9] .text             PROGBITS        000000000043b640 23a640 2528d8 00  AX  0   0 64
";

    #[test]
    fn the_size_of_the_scripts_section_is_read_and_of_no_other() {
        assert_eq!(section_size(LISTED), Some(0x11_aeac));
        let without: Vec<_> = LISTED
            .lines()
            .filter(|line| !line.contains(".hot"))
            .collect();
        assert_eq!(section_size(&without.join("\n")), None);
    }

    #[test]
    fn a_script_says_its_size() {
        let script = format!("/* Made. */\n{}SECTIONS {{\n", size_line(12_345));
        assert_eq!(size_when_made(&script), Some(12_345));
        assert_eq!(size_when_made("/* Made. */\n"), None);
    }
}

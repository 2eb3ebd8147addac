//! The environment of a process.

use std::collections::BTreeMap;

/// Entries `NAME=value` as the service takes them: split at the first `=`, the later of two with the same name wins, an entry
/// without `=` says nothing.
pub fn block(entries: &[String]) -> BTreeMap<String, String> {
    entries
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_equals_signs() {
        let entries = [
            "A=b=c", "EMPTY=", "NOTHING", "D=1", "D=2", "Case=x", "CASE=y",
        ];
        let block = block(&entries.map(str::to_owned));
        let pairs: Vec<_> = block
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            pairs,
            [
                ("A", "b=c"),
                ("CASE", "y"),
                ("Case", "x"),
                ("D", "2"),
                ("EMPTY", "")
            ]
        );
    }
}

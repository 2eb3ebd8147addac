//! Faults at will: a file of rules, which a test writes and may rewrite at any time.
//!
//! It holds a JSON array. A rule names an export (`"function"`) or a notification (`"notification"`, its number), says which of them
//! (`"nth"`, from 1; or `"one_in"`, so many at random by `"seed"`; else each), and one of `"fail": HRESULT`, `"hang": MILLISECONDS` (then
//! goes on), `"drop": true` and `"delay": MILLISECONDS` (notifications), `"die": true` (the service).

use std::{fs, path::PathBuf};

use serde::Deserialize;

/// A rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rule {
    function: Option<String>,
    notification: Option<u32>,
    nth: Option<u64>,
    one_in: Option<u64>,
    seed: u64,
    fail: Option<u32>,
    hang: Option<u64>,
    drop: bool,
    delay: Option<u64>,
    die: bool,
}

/// What is to happen to a call or notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Answer with this, and do nothing.
    pub fail: Option<i32>,
    /// Wait for so many milliseconds first.
    pub wait: u64,
    /// Do not notify.
    pub drop: bool,
    /// End the service's process.
    pub die: bool,
}

/// The rules and how often each was met.
#[derive(Debug, Default)]
pub struct Faults {
    file: Option<PathBuf>,
    text: String,
    rules: Vec<(Rule, u64)>,
}

impl Faults {
    /// By this file, which need not be there.
    pub fn of(file: Option<PathBuf>) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    /// Reads the rules anew where the file has changed.
    fn refresh(&mut self) {
        let Some(file) = &self.file else {
            return;
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        if text == self.text {
            return;
        }
        let rules: Vec<Rule> = match serde_json::from_str(&text) {
            Ok(rules) => rules,
            Err(_) if text.is_empty() => Vec::new(),
            // Half written: it is looked at again.
            Err(error) if error.is_eof() => return,
            // A test that asks for faults nobody knows must not pass without any.
            Err(error) => {
                eprintln!("the faults in {}: {error}", file.display());
                std::process::abort()
            }
        };
        self.rules = rules.into_iter().map(|rule| (rule, 0)).collect();
        self.text = text;
    }

    /// What is to happen to this call.
    pub fn at_call(&mut self, function: &str) -> Fault {
        self.at(|rule| rule.function.as_deref() == Some(function))
    }

    /// What is to happen to this notification.
    pub fn at_notification(&mut self, kind: u32) -> Fault {
        self.at(|rule| rule.notification == Some(kind))
    }

    fn at(&mut self, is_meant: impl Fn(&Rule) -> bool) -> Fault {
        self.refresh();
        let mut fault = Fault::default();
        for (rule, met) in &mut self.rules {
            if !is_meant(rule) {
                continue;
            }
            *met += 1;
            let due = match (rule.nth, rule.one_in) {
                (Some(nth), _) => *met == nth,
                (None, Some(one_in)) => random(rule.seed, *met).is_multiple_of(one_in.max(1)),
                (None, None) => true,
            };
            if due {
                fault.fail = fault.fail.or(rule.fail.map(u32::cast_signed));
                fault.wait += rule.hang.unwrap_or(0) + rule.delay.unwrap_or(0);
                fault.drop |= rule.drop;
                fault.die |= rule.die;
            }
        }
        fault
    }
}

/// The same for the same seed and number (splitmix64).
fn random(seed: u64, number: u64) -> u64 {
    let mut value = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_call_is_met_once_and_a_new_file_counts_anew() {
        let folder = std::env::temp_dir().join(format!("hoist-faults-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("faults.json");
        let mut faults = Faults::of(Some(file.clone()));
        assert_eq!(faults.at_call("f"), Fault::default());
        fs::write(
            &file,
            r#"[{"function":"f","nth":2,"fail":2147942405},{"notification":1,"drop":true}]"#,
        )
        .unwrap();
        let failed = |fault: Fault| fault.fail;
        assert_eq!(failed(faults.at_call("f")), None);
        assert_eq!(failed(faults.at_call("g")), None);
        assert_eq!(
            failed(faults.at_call("f")),
            Some(0x8007_0005_u32.cast_signed())
        );
        assert_eq!(failed(faults.at_call("f")), None);
        assert!(faults.at_notification(1).drop && !faults.at_notification(2).drop);
        fs::write(&file, r#"[{"function":"f","one_in":4,"seed":7,"hang":10}]"#).unwrap();
        let met = (0..400).filter(|_| faults.at_call("f").wait == 10).count();
        assert!((60..140).contains(&met), "{met}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

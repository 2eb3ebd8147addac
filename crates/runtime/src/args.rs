//! Reading a command line the way runc's callers write it: flags before or after the words, `--flag value` or `--flag=value`,
//! one dash or two.
//!
//! A parser of our own: a general one costs more memory and time than everything else that the program does before it makes
//! a system call.

use crate::failure::Failure;

/// A flag that a command knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Its name, without dashes.
    pub(crate) name: &'static str,
    /// Its short name; none where empty.
    pub(crate) short: &'static str,
    /// What its value is called; a flag without one is empty.
    pub(crate) value: &'static str,
    /// What it does, for help.
    pub(crate) help: &'static str,
}

impl Flag {
    /// A flag without a value.
    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            short: "",
            value: "",
            help,
        }
    }

    /// A flag with a value.
    pub(crate) const fn with_value(
        name: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            short: "",
            value,
            help,
        }
    }

    /// The same with a short name.
    pub(crate) const fn or(self, short: &'static str) -> Self {
        Self { short, ..self }
    }
}

/// A command line, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    flags: Vec<(&'static str, String)>,
    /// What is no flag, in order.
    pub(crate) words: Vec<String>,
}

impl Arguments {
    /// Reads `line` with `flags`. Where `literal_after` words were read, all that follows are words.
    pub(crate) fn read(
        line: &[String],
        flags: &[Flag],
        literal_after: usize,
    ) -> Result<Self, Failure> {
        let mut read = Self::default();
        let mut rest = line.iter();
        while let Some(argument) = rest.next() {
            if read.words.len() >= literal_after {
                read.words.push(argument.clone());
                continue;
            }
            if argument == "--" {
                read.words.extend(rest.cloned());
                break;
            }
            let Some(dashed) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else {
                read.words.push(argument.clone());
                continue;
            };
            let name = dashed.strip_prefix('-').unwrap_or(dashed);
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let flag = flags
                .iter()
                .find(|flag| flag.name == name || (!flag.short.is_empty() && flag.short == name))
                .ok_or_else(|| Failure::usage(format!("flag provided but not defined: -{name}")))?;
            let value = match (flag.value.is_empty(), value) {
                (true, None) => "true".to_owned(),
                (true, Some(value)) if matches!(value.as_str(), "true" | "false") => value,
                (true, Some(value)) => {
                    return Err(Failure::usage(format!(
                        "invalid boolean value {value:?} for -{name}"
                    )));
                }
                (false, Some(value)) => value,
                (false, None) => rest
                    .next()
                    .ok_or_else(|| Failure::usage(format!("flag needs an argument: -{name}")))?
                    .clone(),
            };
            read.flags.push((flag.name, value));
        }
        Ok(read)
    }

    /// Whether a flag without a value was given; the last one counts.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// The value of a flag; the last one counts.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// Every value of a flag that may be given several times.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.flags
            .iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a flag as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.value(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    Failure::usage(format!(
                        "invalid value {value:?} for flag -{name}: no number, or out of range"
                    ))
                })
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 3] = [
        Flag::with_value("bundle", "DIR", "").or("b"),
        Flag::switch("detach", "").or("d"),
        Flag::with_value("env", "K=V", ""),
    ];

    fn read(line: &[&str], literal_after: usize) -> Result<Arguments, Failure> {
        let line: Vec<_> = line.iter().map(|word| (*word).to_owned()).collect();
        Arguments::read(&line, &FLAGS, literal_after)
    }

    #[test]
    fn flags_may_stand_before_or_after_the_id() {
        for line in [
            ["--bundle", "/b", "id"],
            ["id", "--bundle", "/b"],
            ["id", "-b", "/b"],
            ["id", "-bundle", "/b"],
        ] {
            let read = read(&line, usize::MAX).unwrap();
            assert_eq!(read.value("bundle"), Some("/b"));
            assert_eq!(read.words, ["id"]);
        }
        assert_eq!(
            read(&["--env=A=b=c", "id"], 9).unwrap().value("env"),
            Some("A=b=c")
        );
    }

    #[test]
    fn what_follows_the_command_belongs_to_it() {
        let read = read(&["-d", "id", "ls", "-d", "--bundle"], 2).unwrap();
        assert!(read.has("detach"));
        assert_eq!(read.words, ["id", "ls", "-d", "--bundle"]);
    }

    #[test]
    fn a_switch_can_be_turned_off_and_the_last_one_counts() {
        assert!(!read(&["--detach=false"], 9).unwrap().has("detach"));
        assert!(
            !read(&["--detach", "--detach=false"], 9)
                .unwrap()
                .has("detach")
        );
        assert_eq!(
            read(&["--env", "a", "--env", "b"], 9)
                .unwrap()
                .values("env")
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
    }

    #[test]
    fn an_unknown_flag_and_a_missing_value_are_errors() {
        assert!(read(&["--what"], 9).is_err());
        assert!(read(&["--bundle"], 9).is_err());
        assert!(read(&["--detach=maybe"], 9).is_err());
    }
}

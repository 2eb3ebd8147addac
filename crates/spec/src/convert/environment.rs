//! A container's environment.

/// Where docker looks for programs when nobody says otherwise.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const TERM: &str = "TERM=xterm";

/// The environment of a container's first process: docker's variables, then the caller's, which win.
pub(super) fn first(hostname: &str, tty: bool, given: &[String]) -> Vec<String> {
    let mut environment = vec![PATH.to_owned()];
    if !hostname.is_empty() {
        environment.push(format!("HOSTNAME={hostname}"));
    }
    if tty {
        environment.push(TERM.to_owned());
    }
    merge(&mut environment, given, Names::WithCase);
    environment
}

/// The environment of a further process: the container's, then its own, which wins.
pub(super) fn further(container: &[String], tty: bool, given: &[String]) -> Vec<String> {
    let mut environment = container.to_vec();
    if tty && !environment.iter().any(|entry| key(entry) == key(TERM)) {
        environment.push(TERM.to_owned());
    }
    merge(&mut environment, given, Names::WithCase);
    environment
}

/// Some variables, then others, which win.
pub(super) fn merged(earlier: &[String], given: &[String], names: Names) -> Vec<String> {
    let mut environment = earlier.to_vec();
    merge(&mut environment, given, names);
    environment
}

/// When names of variables are the same.
#[derive(Clone, Copy)]
pub(super) enum Names {
    WithCase,
    WithoutCase,
}

impl Names {
    fn are_same(self, one: &str, other: &str) -> bool {
        match self {
            Self::WithCase => one == other,
            Self::WithoutCase => one.eq_ignore_ascii_case(other),
        }
    }
}

/// Each entry takes the place of an earlier one with its key, or comes last.
fn merge(environment: &mut Vec<String>, given: &[String], names: Names) {
    for entry in given {
        let same = |one: &&mut String| names.are_same(key(one), key(entry));
        match environment.iter_mut().find(same) {
            Some(place) => place.clone_from(entry),
            None => environment.push(entry.clone()),
        }
    }
}

fn key(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_callers_variables_take_the_place_of_dockers_and_of_their_own() {
        let given = texts(&["A=1", "TERM=dumb", "A=2=3", "PATH="]);
        assert_eq!(
            first("web01", true, &given),
            ["PATH=", "HOSTNAME=web01", "TERM=dumb", "A=2=3"]
        );
        assert_eq!(first("", false, &[]), [PATH]);
    }

    #[test]
    fn a_further_process_inherits_and_gets_a_terminal_type_only_where_there_is_none() {
        let container = texts(&["PATH=/bin", "A=1"]);
        assert_eq!(
            further(&container, true, &texts(&["A=2"])),
            ["PATH=/bin", "A=2", "TERM=xterm"]
        );
        assert_eq!(further(&texts(&["TERM=vt100"]), true, &[]), ["TERM=vt100"]);
    }
}

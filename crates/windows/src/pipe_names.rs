//! The names of the pipes by which Docker 1.8 carried a process's streams: the driver listened, the process's side connected.
//!
//! Each stream has a pipe of its own. The first process's pipes have fixed names, those of each further process a fresh id of their own,
//! so that none meets another's.
//!
//! Source: `daemon/execdriver/windows/{run,exec,namedpipes}.go` of Docker 1.8.3.

use std::{collections::hash_map::RandomState, fmt, hash::BuildHasher};

/// In whose namespace the pipes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeSpace {
    /// The container's own, which this machine reaches by another path.
    Container,
    /// This machine's, as for fake containers ("dummy mode"), whose processes are the machine's.
    Machine,
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardStream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// The id of a further process's pipes: 64 hexadecimal digits that nobody can guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecId(String);

/// A pipe's two names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeName {
    /// What the process's parameters say: where the container's side connects.
    pub client: String,
    /// Where this side listens.
    pub server: String,
}

impl StandardStream {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Input, Self::Output, Self::Error];

    fn word(self) -> &'static str {
        match self {
            Self::Input => "stdin",
            Self::Output => "stdout",
            Self::Error => "stderr",
        }
    }
}

impl ExecId {
    /// Another one than any before: of numbers of keyed hashes, whose keys come from the system's random numbers.
    pub fn fresh() -> Self {
        let digits =
            (0..4_u64).map(|number| format!("{:016x}", RandomState::new().hash_one(number)));
        Self(digits.collect())
    }
}

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PipeName {
    /// The pipe of a stream of a process in the system `id`: of its first process, or of the further one with the id `exec`.
    pub fn of(space: PipeSpace, id: &str, exec: Option<&ExecId>, stream: StandardStream) -> Self {
        let stream = stream.word();
        let own = match exec {
            None => stream.to_owned(),
            Some(exec) => format!("{exec}-{stream}"),
        };
        let purpose = if exec.is_some() { "exec" } else { "run" };
        match space {
            PipeSpace::Machine => {
                let name = format!(r"\\.\pipe\docker-{purpose}-{id}-{own}");
                Self {
                    client: name.clone(),
                    server: name,
                }
            }
            PipeSpace::Container => {
                let name = format!("docker-{purpose}-{own}");
                Self {
                    client: format!(r"\\.\pipe\{name}"),
                    server: format!(r"\\.\Containers\{id}\Device\NamedPipe\{name}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(space: PipeSpace, exec: Option<&ExecId>, stream: StandardStream) -> (String, String) {
        let name = PipeName::of(space, "c1", exec, stream);
        (name.client, name.server)
    }

    #[test]
    fn pipes_have_the_names_that_docker_1_8_gave_them() {
        let exec = ExecId("0f".repeat(32));
        let id = exec.to_string();
        let both = |name: &str| (name.to_owned(), name.to_owned());
        let real = |name: &str| {
            (
                format!(r"\\.\pipe\{name}"),
                format!(r"\\.\Containers\c1\Device\NamedPipe\{name}"),
            )
        };
        for (stream, word) in StandardStream::ALL
            .into_iter()
            .zip(["stdin", "stdout", "stderr"])
        {
            assert_eq!(
                name(PipeSpace::Container, None, stream),
                real(&format!("docker-run-{word}"))
            );
            assert_eq!(
                name(PipeSpace::Machine, None, stream),
                both(&format!(r"\\.\pipe\docker-run-c1-{word}"))
            );
            assert_eq!(
                name(PipeSpace::Container, Some(&exec), stream),
                real(&format!("docker-exec-{id}-{word}"))
            );
            assert_eq!(
                name(PipeSpace::Machine, Some(&exec), stream),
                both(&format!(r"\\.\pipe\docker-exec-c1-{id}-{word}"))
            );
        }
    }

    #[test]
    fn each_further_process_has_an_id_of_64_hexadecimal_digits_that_no_other_has() {
        let ids: std::collections::HashSet<String> =
            (0..1000).map(|_| ExecId::fresh().to_string()).collect();
        assert_eq!(ids.len(), 1000);
        let is_id = |id: &String| {
            id.len() == 64
                && id
                    .bytes()
                    .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        };
        assert!(ids.iter().all(is_id));
    }
}

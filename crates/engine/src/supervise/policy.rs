//! Restart policies and the pause between two starts.

use std::{fmt, str::FromStr, time::Duration};

use hoist_compute::ExitStatus;
use serde::{Deserialize, Serialize};

/// The pause before the first restart; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A container that lived this long begins with the first pause again.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// When a container that has ended is started once more; docker's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When it ended otherwise than by exit code 0.
    OnFailure {
        /// So many times at most.
        most: Option<u32>,
    },
    /// Whenever it ended, unless somebody stopped it.
    Always,
    /// As [`RestartPolicy::Always`]; the two differ only for who starts containers when the machine does.
    UnlessStopped,
}

/// A text that is no restart policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPolicy;

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no restart policy: use no, on-failure[:NUMBER], always or unless-stopped")
    }
}

impl std::error::Error for UnknownPolicy {}

impl FromStr for RestartPolicy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Ok(match text {
            "no" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => Self::OnFailure { most: None },
            _ => {
                let most = text.strip_prefix("on-failure:").ok_or(UnknownPolicy)?;
                Self::OnFailure {
                    most: Some(most.parse().map_err(|_| UnknownPolicy)?),
                }
            }
        })
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
            Self::OnFailure { most: None } => f.write_str("on-failure"),
            Self::OnFailure { most: Some(most) } => write!(f, "on-failure:{most}"),
        }
    }
}

impl TryFrom<String> for RestartPolicy {
    type Error = UnknownPolicy;

    fn try_from(text: String) -> Result<Self, UnknownPolicy> {
        text.parse()
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> Self {
        policy.to_string()
    }
}

/// Counts restarts and says how long to pause before each.
#[derive(Clone, Debug)]
pub(super) struct Restarts {
    policy: RestartPolicy,
    count: u32,
    pause: Duration,
}

impl Restarts {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            count: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// From now on another policy holds; what was counted stays.
    pub(super) fn change(&mut self, policy: RestartPolicy) {
        self.policy = policy;
    }

    /// How often the container was started once more.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The pause before the next start, after a life of this length that ended so; `None` where there is none.
    pub(super) fn next(&mut self, status: &ExitStatus, life: Duration) -> Option<Duration> {
        let again = match self.policy {
            RestartPolicy::No => false,
            RestartPolicy::OnFailure { most } => {
                status.code != Some(0) && most.is_none_or(|most| self.count < most)
            }
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        };
        if !again {
            return None;
        }
        self.count += 1;
        if life >= LONG_LIFE {
            self.pause = FIRST_PAUSE;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    #[test]
    fn policies_are_dockers_words() {
        for text in [
            "no",
            "always",
            "unless-stopped",
            "on-failure",
            "on-failure:3",
        ] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "never",
            "on-failure:",
            "on-failure:-1",
            "on-failure:x",
            "always:3",
        ] {
            assert_eq!(text.parse::<RestartPolicy>(), Err(UnknownPolicy), "{text}");
        }
    }

    #[test]
    fn the_pause_doubles_up_to_a_minute_and_begins_anew_after_ten_seconds_of_life() {
        let mut restarts = Restarts::new(RestartPolicy::Always);
        let ended = ExitStatus::exited(0);
        let pauses: Vec<u128> = (0..12)
            .filter_map(|_| restarts.next(&ended, SHORT))
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(
            pauses,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000
            ]
        );
        assert_eq!(restarts.next(&ended, LONG_LIFE), Some(FIRST_PAUSE));
        assert_eq!(restarts.next(&ended, SHORT), Some(FIRST_PAUSE * 2));
    }

    #[test]
    fn on_failure_counts_and_lets_success_be() {
        let mut restarts = Restarts::new(RestartPolicy::OnFailure { most: Some(2) });
        let failed = ExitStatus::exited(1);
        assert!(restarts.next(&failed, SHORT).is_some());
        assert!(restarts.next(&ExitStatus::unknown("x"), SHORT).is_some());
        assert_eq!(restarts.next(&failed, SHORT), None);
        assert_eq!(restarts.count(), 2);
        let mut restarts = Restarts::new(RestartPolicy::OnFailure { most: None });
        assert_eq!(restarts.next(&ExitStatus::exited(0), SHORT), None);
        assert_eq!(Restarts::new(RestartPolicy::No).next(&failed, SHORT), None);
    }
}

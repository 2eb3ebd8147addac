//! The options of the execution driver, `KEY=VALUE`.

use crate::Settings;

/// An option that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// Without `=`.
    #[error("option {0:?} has no '='; write KEY=VALUE")]
    NoValue(String),
    /// Of an unknown name.
    #[error("option {0:?} is not known; there are dummy, forcekill and isolation")]
    Unknown(String),
    /// With a value that it cannot have.
    #[error("option {key} cannot be {value:?}; use {allowed}")]
    Value {
        /// The option.
        key: &'static str,
        /// As given.
        value: String,
        /// What it can be.
        allowed: &'static str,
    },
}

/// Applies options to `settings`, the later of two counts; what is worth a warning comes back in words.
///
/// # Errors
/// The first option that is not understood.
pub fn parse_options<'a>(
    settings: &mut Settings,
    options: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<&'static str>, OptionError> {
    for option in options {
        let (key, value) = option
            .split_once('=')
            .ok_or_else(|| OptionError::NoValue(option.to_owned()))?;
        let value = value.trim();
        match key.trim().to_lowercase().as_str() {
            "dummy" => settings.dummy = switch("dummy", value)?,
            "terminate" => settings.force_kill = switch("terminate", value)?,
            "forcekill" => settings.force_kill = switch("forcekill", value)?,
            "isolation" => {
                settings.hyperv_by_default = match value {
                    "" | "default" | "process" => false,
                    "hyperv" => true,
                    _ => {
                        return Err(OptionError::Value {
                            key: "isolation",
                            value: value.to_owned(),
                            allowed: "default, process or hyperv",
                        });
                    }
                }
            }
            unknown => return Err(OptionError::Unknown(unknown.to_owned())),
        }
    }
    let mut warnings = Vec::new();
    if settings.dummy {
        warnings.push("dummy mode: the service makes fake containers, for development only");
    }
    if settings.force_kill {
        warnings.push("forcekill: containers are ended by force, without a chance to shut down");
    }
    Ok(warnings)
}

fn switch(key: &'static str, value: &str) -> Result<bool, OptionError> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(OptionError::Value {
            key,
            value: value.to_owned(),
            allowed: "0 or 1",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_an_option_counts() {
        let mut settings = Settings::hoist();
        let options = [
            "isolation=hyperv",
            " ISOLATION = process ",
            "forcekill=1",
            "dummy=0",
        ];
        let warnings = parse_options(&mut settings, options).unwrap();
        assert!(!settings.hyperv_by_default && settings.force_kill && !settings.dummy);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for option in [
            "dummy",
            "colour=blue",
            "isolation=chroot",
            "dummy=yes",
            "forcekill=",
        ] {
            assert!(
                parse_options(&mut Settings::hoist(), [option]).is_err(),
                "{option}"
            );
        }
    }
}

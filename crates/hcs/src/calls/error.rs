//! A call that failed.

use std::{fmt, time::Duration};

use hoist_compute::{Error, ErrorKind, OsCode, Phase};

use crate::{Hresult, documents::result::ResultDocument};

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The export.
    pub function: &'static str,
    /// How.
    pub failure: Failure,
    /// The service's own words, where it left any.
    pub words: Option<String>,
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// With this code, at once or by its notification.
    Result(Hresult),
    /// The system ended while the operation was waited for.
    SystemExited,
    /// It was not done in time, and still goes on.
    TimedOut(Duration),
    /// The service has gone.
    ServiceGone,
    /// Its answer is not understood.
    Answer(String),
    /// This set of calls has no such operation.
    NotThere,
}

impl CallError {
    /// `function` failed with `hresult`.
    pub fn result(function: &'static str, hresult: Hresult) -> Self {
        Self::new(function, Failure::Result(hresult))
    }

    /// `function` failed.
    pub fn new(function: &'static str, failure: Failure) -> Self {
        Self {
            function,
            failure,
            words: None,
        }
    }

    /// With what the result document says.
    pub fn with_document(mut self, text: Option<&str>) -> Self {
        self.words = text
            .and_then(ResultDocument::read)
            .map(|document| document.words())
            .filter(|words| !words.is_empty());
        self
    }

    /// The code, where it failed with one.
    pub fn hresult(&self) -> Option<Hresult> {
        match self.failure {
            Failure::Result(hresult) => Some(hresult),
            Failure::ServiceGone => Some(Hresult::BROKEN_PIPE),
            _ => None,
        }
    }

    /// Whether it says that what was to be ended is not there any more.
    pub fn is_gone(&self) -> bool {
        self.hresult().is_some_and(Hresult::is_gone)
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match &self.failure {
            Failure::Result(hresult) => hresult
                .meaning()
                .map_or(ErrorKind::System, |meaning| meaning.kind),
            Failure::TimedOut(_) => ErrorKind::Timeout,
            Failure::NotThere => ErrorKind::Unsupported,
            Failure::SystemExited | Failure::ServiceGone | Failure::Answer(_) => ErrorKind::System,
        }
    }

    /// As an error of the contract, from `operation` in `phase`.
    pub fn into_error(self, phase: Phase, operation: impl Into<String>) -> Error {
        let mut error = Error::new(self.kind(), phase, operation).call(self.function);
        if let Some(hresult) = self.hresult() {
            error = error.code(OsCode::Hresult(hresult.0));
            if hresult == Hresult::PROCEDURE_NOT_FOUND {
                let (build, name) = first_build(self.function);
                error = error.remedy(format!("use {name} (build {build}) or a later Windows"));
            } else if let Some(remedy) = hresult.meaning().and_then(|meaning| meaning.remedy) {
                error = error.remedy(remedy);
            }
        }
        error.because(self)
    }
}

/// The first build of Windows whose `vmcompute.dll` has a function (hcsshim's bindings and its checks of builds).
fn first_build(function: &str) -> (u32, &'static str) {
    match function {
        "HcsSignalProcess" => (17763, "Windows Server 2019 or Windows 10 1809"),
        _ => (14393, "Windows Server 2016 or Windows 10 1607"),
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.function)?;
        match &self.failure {
            Failure::Result(hresult) => hresult.fmt(f)?,
            Failure::SystemExited => f.write_str("the system ended meanwhile")?,
            Failure::TimedOut(limit) => write!(f, "not done after {} s", limit.as_secs())?,
            Failure::ServiceGone => f.write_str("the connection to the service ended")?,
            Failure::Answer(words) => write!(f, "the answer is not understood: {words}")?,
            Failure::NotThere => f.write_str("this Windows build has no such call")?,
        }
        match &self.words {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_the_dll_lacks_is_named_with_the_build_that_has_it() {
        for (function, build) in [("HcsSignalProcess", "17763"), ("HcsCreateProcess", "14393")] {
            let error = CallError::result(function, Hresult::PROCEDURE_NOT_FOUND);
            let error = error.into_error(Phase::Operate, "do it");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.what_to_do().unwrap().contains(build), "{error:?}");
            assert!(format!("{error:?}").contains(function), "{error:?}");
        }
        let other = CallError::result("HcsCreateProcess", Hresult(0x8007_0002));
        let remedy = other.into_error(Phase::Operate, "do it");
        assert!(!remedy.what_to_do().unwrap().contains("14393"));
    }
}

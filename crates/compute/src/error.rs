//! The one error of the contract: what was tried, on what, why it failed, and what to do.

use std::{borrow::Cow, error::Error as StdError, fmt};

use serde::{Deserialize, Serialize};

/// A result of the contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is, for programs that must decide what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such container, process or file.
    NotFound,
    /// The id or name is in use.
    AlreadyExists,
    /// The container's state does not allow the operation.
    InvalidState,
    /// Somebody else is about to do the same: whoever waits may find it done.
    InProgress,
    /// The request itself is wrong; nothing was changed.
    InvalidSpec,
    /// This host cannot do it.
    Unsupported,
    /// The host forbids it to this user.
    PermissionDenied,
    /// It took longer than it was given.
    Timeout,
    /// Processes wait inside the kernel, where nothing can end them until that does; they are named.
    Unkillable,
    /// What is written down of it cannot be read: a file is cut short, or not what it should be; it is named.
    Damaged,
    /// A system call failed.
    System,
}

/// How far an operation had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading the request, the host or the root; nothing was changed.
    Plan,
    /// Making the container.
    Create,
    /// Starting its process: everything before the program itself was executed.
    Start,
    /// Executing the requested program: it does not exist, or cannot be executed.
    Execute,
    /// Working on a container that exists.
    Operate,
    /// Removing it.
    Delete,
}

/// The operating system's own number for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OsCode {
    /// An `errno` (errno(3)).
    Errno(i32),
    /// A Windows `HRESULT`.
    Hresult(u32),
}

/// A failed operation of the contract.
///
/// Its text is `what was tried on what: why`, without a full stop; [`Error::remedy`] says what to do and
/// is printed apart. A failure of a container's own program is never an `Error`: that is an
/// [`ExitStatus`](crate::ExitStatus).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    phase: Phase,
    operation: Box<str>,
    subject: Option<String>,
    call: Option<Cow<'static, str>>,
    code: Option<OsCode>,
    remedy: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` while doing `operation` ("mount proc on /proc").
    pub fn new(kind: ErrorKind, phase: Phase, operation: impl Into<String>) -> Self {
        Self {
            kind,
            phase,
            operation: operation.into().into_boxed_str(),
            subject: None,
            call: None,
            code: None,
            remedy: None,
            source: None,
        }
    }

    /// Says which path, id or name the error is about.
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Says which system call failed.
    pub fn call(mut self, call: &'static str) -> Self {
        self.call = Some(Cow::Borrowed(call));
        self
    }

    /// Attaches the operating system's number.
    pub fn code(mut self, code: OsCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Says what the user can do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Attaches the error that caused this one.
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// How far the operation had come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What was being done when it failed: a step of the plan in its own words.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The path, id or name the error is about, where there is one.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The system call that failed, by its name in the manual.
    pub fn system_call(&self) -> Option<&str> {
        self.call.as_deref()
    }

    /// The operating system's number, where a system call failed.
    pub fn os_code(&self) -> Option<OsCode> {
        self.code
    }

    /// What the user can do, where that is known.
    pub fn what_to_do(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// The same as one JSON object: `kind`, `phase`, `operation`, `message`, and where known `subject`, `call`,
    /// `code`, `causes` and `remedy`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut causes = Vec::new();
        let mut cause = self.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        let mut object = serde_json::json!({
            "kind": self.kind,
            "phase": self.phase,
            "operation": self.operation,
            "message": self.to_string(),
        });
        let mut put = |name: &str, value: Option<serde_json::Value>| {
            if let (Some(value), Some(members)) = (value, object.as_object_mut()) {
                members.insert(name.to_owned(), value);
            }
        };
        put("subject", self.subject.clone().map(Into::into));
        put("call", self.call.as_deref().map(Into::into));
        put(
            "code",
            self.code.and_then(|code| serde_json::to_value(code).ok()),
        );
        put("causes", (!causes.is_empty()).then(|| causes.into()));
        put("remedy", self.remedy.clone().map(Into::into));
        object
    }

    /// The error that [`Error::to_json`] has written, in another process for instance; `None` where `value` is none. Its
    /// causes are texts, and its text is the same.
    pub fn from_json(value: serde_json::Value) -> Option<Self> {
        let written: Written = serde_json::from_value(value).ok()?;
        let mut error = Self::new(written.kind, written.phase, written.operation);
        error.subject = written.subject;
        error.call = written.call.map(Cow::Owned);
        error.code = written.code;
        error.remedy = written.remedy;
        let chain = written.causes.into_iter().rev();
        error.source = chain
            .fold(None, |source, text| Some(Box::new(Cause { text, source })))
            .map(|cause| cause as Box<dyn StdError + Send + Sync>);
        Some(error)
    }
}

/// An error as JSON.
#[derive(Deserialize)]
struct Written {
    kind: ErrorKind,
    phase: Phase,
    operation: String,
    subject: Option<String>,
    call: Option<String>,
    code: Option<OsCode>,
    #[serde(default)]
    causes: Vec<String>,
    remedy: Option<String>,
}

/// A cause that is known by its text alone.
#[derive(Debug)]
struct Cause {
    text: String,
    source: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|cause| cause as &(dyn StdError + 'static))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation)?;
        if let Some(subject) = self
            .subject
            .as_deref()
            .filter(|subject| !self.operation.contains(*subject))
        {
            write!(f, " ({subject})")?;
        }
        match self.code {
            Some(OsCode::Errno(errno)) => write!(f, ": {}", crate::errno::describe(errno)),
            Some(OsCode::Hresult(hresult)) => write!(f, ": 0x{hresult:08X}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_read_from_json_is_the_one_that_was_written() {
        let inner =
            Error::new(ErrorKind::System, Phase::Start, "look at the disk").code(OsCode::Errno(5));
        let outer = Error::new(ErrorKind::NotFound, Phase::Execute, "execute /x")
            .about("/x")
            .call("execve")
            .code(OsCode::Errno(2))
            .because(inner)
            .remedy("install it");
        let read = Error::from_json(outer.to_json()).unwrap();
        assert_eq!(read.to_json(), outer.to_json());
        assert_eq!(read.to_string(), outer.to_string());
        assert_eq!(read.kind(), ErrorKind::NotFound);
        let elsewhere = Error::new(ErrorKind::InProgress, Phase::Start, "start it").to_json();
        assert_eq!(elsewhere["kind"], "in_progress");
        let read = Error::from_json(elsewhere).unwrap();
        assert_eq!(read.kind(), ErrorKind::InProgress);
        assert!(Error::from_json(serde_json::json!({"kind": "no such"})).is_none());
    }
}

//! Results of the service's calls: their names, what they mean, and what to do.

use std::fmt;

use hoist_compute::ErrorKind;

/// A result of a call (`HRESULT`). Zero and positive values are success.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hresult(pub u32);

/// What is known of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Its symbol in Microsoft's headers.
    pub name: &'static str,
    /// What it says.
    pub words: &'static str,
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// What the user can do, where that is known.
    pub remedy: Option<&'static str>,
}

/// Both forms in which the service reports its own errors, `ERROR_VMCOMPUTE_*` and `HCS_E_*`.
const VMCOMPUTE: u32 = 0xC037_0000;
const HCS: u32 = 0x8037_0000;
const WIN32: u32 = 0x8007_0000;

impl Hresult {
    /// Success.
    pub const OK: Self = Self(0);
    /// The operation goes on; a notification tells the outcome.
    pub const PENDING: Self = Self(0xC037_0103);
    /// The connection to the service ended (`ERROR_BROKEN_PIPE`).
    pub const BROKEN_PIPE: Self = Self(0x8007_006D);
    /// An invalid argument (`WSAEINVAL`): once the answer to one exec too many in a Hyper-V container.
    pub const TOO_MANY_EXECS: Self = Self(0x8007_2726);
    /// A parameter is not valid (`E_INVALIDARG`).
    pub const INVALID_ARGUMENT: Self = Self(0x8007_0057);
    /// No such compute system.
    pub const SYSTEM_NOT_FOUND: Self = Self(0xC037_010E);
    /// The system exited unexpectedly.
    pub const UNEXPECTED_EXIT: Self = Self(0xC037_0106);
    /// The DLL lacks the procedure (`ERROR_PROC_NOT_FOUND`).
    pub const PROCEDURE_NOT_FOUND: Self = Self(0x8007_007F);

    /// Whether it is a success.
    pub fn is_success(self) -> bool {
        self.0 & 0x8000_0000 == 0
    }

    /// Whether the operation goes on.
    pub fn is_pending(self) -> bool {
        self.own_code() == Some(0x0103)
    }

    /// Whether it says that the system or process is no longer there or no longer runs.
    pub fn is_gone(self) -> bool {
        match self.own_code() {
            Some(code) => matches!(code, 0x010E | 0x0110 | 0x011F),
            // ERROR_NOT_FOUND; ERROR_PATH_NOT_FOUND and ERROR_BAD_PATHNAME, as the flat exports say it.
            None => matches!(self.win32(), Some(0x490 | 0x3 | 0xA1)),
        }
    }

    /// Whether it answers a shutdown that has begun already (`ERROR_SHUTDOWN_IN_PROGRESS`).
    pub fn is_shutdown_in_progress(self) -> bool {
        self.win32() == Some(0x45B)
    }

    /// Whether it says that the connection to the service ended.
    pub fn is_broken_pipe(self) -> bool {
        self.win32() == Some(0x6D)
    }

    /// The Win32 error it wraps; the service also gives such errors bare.
    fn win32(self) -> Option<u32> {
        match self.0 & 0x1FFF_0000 {
            0x0007_0000 => Some(self.0 & 0xFFFF),
            0 => Some(self.0),
            _ => None,
        }
    }

    /// The low word, where it is an error of the service itself in either form.
    fn own_code(self) -> Option<u32> {
        matches!(self.0 & 0xFFFF_0000, VMCOMPUTE | HCS).then_some(self.0 & 0xFFFF)
    }

    /// The same code in the form in which tables have it: bare Win32 errors wrapped, `HCS_E_*` as `ERROR_VMCOMPUTE_*`.
    pub fn canonical(self) -> Self {
        match (self.own_code(), self.win32()) {
            (Some(code), _) => Self(VMCOMPUTE | code),
            (None, Some(code)) if code != 0 => Self(WIN32 | code),
            _ => self,
        }
    }

    /// What is known of it.
    pub fn meaning(self) -> Option<&'static Meaning> {
        let table = match (self.own_code(), self.win32()) {
            (Some(code), _) => OWN.iter().find(|(known, _)| *known == code),
            (None, Some(code)) => SYSTEM.iter().find(|(known, _)| *known == code),
            _ => None,
        };
        table.map(|(_, meaning)| meaning)
    }
}

impl fmt::Display for Hresult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meaning() {
            Some(meaning) => write!(f, "{} ({}, 0x{:08X})", meaning.words, meaning.name, self.0),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for Hresult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08X}", self.0)
    }
}

const fn meaning(
    name: &'static str,
    words: &'static str,
    kind: ErrorKind,
    remedy: &'static str,
) -> Meaning {
    Meaning {
        name,
        words,
        kind,
        remedy: if remedy.is_empty() {
            None
        } else {
            Some(remedy)
        },
    }
}

use ErrorKind::{
    AlreadyExists, InvalidSpec, InvalidState, NotFound, PermissionDenied, System, Timeout,
    Unsupported,
};

/// Errors of the service itself, by their low word.
#[rustfmt::skip]
const OWN: &[(u32, Meaning)] = &[
    (0x0100, meaning("HCS_E_TERMINATED_DURING_START", "the system ended while it was started", System, "look into the event log Microsoft-Windows-Hyper-V-Compute")),
    (0x0101, meaning("HCS_E_IMAGE_MISMATCH", "the image's Windows does not match the host's", Unsupported, "use an image of the host's own build, or Hyper-V isolation")),
    (0x0102, meaning("HCS_E_HYPERV_NOT_INSTALLED", "a Windows feature that this needs is not installed", Unsupported, "install the Windows features Containers and, for Hyper-V isolation, Hyper-V")),
    (0x0103, meaning("ERROR_VMCOMPUTE_OPERATION_PENDING", "the operation goes on", InvalidState, "")),
    (0x0104, meaning("ERROR_VMCOMPUTE_TOO_MANY_NOTIFICATIONS", "a callback is registered already", InvalidState, "")),
    (0x0105, meaning("HCS_E_INVALID_STATE", "the system's state does not allow it", InvalidState, "")),
    (0x0106, meaning("HCS_E_UNEXPECTED_EXIT", "the system ended unexpectedly", System, "look into the event log Microsoft-Windows-Hyper-V-Compute")),
    (0x0107, meaning("HCS_E_TERMINATED", "the system was ended by force", InvalidState, "")),
    (0x0108, meaning("HCS_E_CONNECT_FAILED", "the guest cannot be reached", System, "check that the utility VM of the image boots")),
    (0x0109, meaning("HCS_E_CONNECTION_TIMEOUT", "the guest does not answer", Timeout, "")),
    (0x010A, meaning("HCS_E_CONNECTION_CLOSED", "the connection to the guest ended", System, "")),
    (0x010B, meaning("HCS_E_UNKNOWN_MESSAGE", "the guest does not know the message", Unsupported, "use an image with a newer utility VM")),
    (0x010C, meaning("HCS_E_UNSUPPORTED_PROTOCOL_VERSION", "the guest speaks another version of the protocol", Unsupported, "use an image with a newer utility VM")),
    (0x010D, meaning("HCS_E_INVALID_JSON", "the service does not take the document", InvalidSpec, "this Windows build may not know one of its fields: look at the document with hoist plan --platform windows")),
    (0x010E, meaning("HCS_E_SYSTEM_NOT_FOUND", "there is no such system", NotFound, "")),
    (0x010F, meaning("HCS_E_SYSTEM_ALREADY_EXISTS", "the id is in use", AlreadyExists, "use another id, or remove the container that has it")),
    (0x0110, meaning("HCS_E_SYSTEM_ALREADY_STOPPED", "the system does not run", InvalidState, "")),
    (0x0111, meaning("HCS_E_PROTOCOL_ERROR", "service and guest misunderstood each other", System, "")),
    (0x0112, meaning("HCS_E_INVALID_LAYER", "a layer's format is not known", InvalidSpec, "import the image's layers anew")),
    (0x0113, meaning("HCS_E_WINDOWS_INSIDER_REQUIRED", "it needs a preview build of Windows", Unsupported, "")),
    (0x0114, meaning("HCS_E_SERVICE_NOT_AVAILABLE", "a feature of the service is not available", Unsupported, "install the Windows feature Containers and start the service vmcompute")),
    (0x0115, meaning("HCS_E_OPERATION_NOT_STARTED", "the operation was never begun", System, "")),
    (0x0116, meaning("HCS_E_OPERATION_ALREADY_STARTED", "the operation has begun already", System, "")),
    (0x0117, meaning("HCS_E_OPERATION_PENDING", "the operation still goes on", InvalidState, "")),
    (0x0118, meaning("HCS_E_OPERATION_TIMEOUT", "the operation did not end in time and still goes on", Timeout, "")),
    (0x0119, meaning("HCS_E_OPERATION_SYSTEM_CALLBACK_ALREADY_SET", "a callback is set for the whole system", System, "")),
    (0x011A, meaning("HCS_E_OPERATION_RESULT_ALLOCATION_FAILED", "there was no memory for the result", System, "")),
    (0x011B, meaning("HCS_E_ACCESS_DENIED", "the service forbids it to this user", PermissionDenied, "run as administrator, or join the group Hyper-V Administrators")),
    (0x011C, meaning("HCS_E_GUEST_CRITICAL_ERROR", "the guest crashed", System, "")),
    (0x011D, meaning("HCS_E_PROCESS_INFO_NOT_AVAILABLE", "nothing is known of the process yet", InvalidState, "")),
    (0x011E, meaning("HCS_E_SERVICE_DISCONNECT", "the service has gone", System, "start the service vmcompute")),
    (0x011F, meaning("HCS_E_PROCESS_ALREADY_STOPPED", "the process has ended", InvalidState, "")),
];

/// Win32 errors that the service gives.
#[rustfmt::skip]
const SYSTEM: &[(u32, Meaning)] = &[
    (0x2, meaning("ERROR_FILE_NOT_FOUND", "the system cannot find the file specified", NotFound, "check the program's path in the container")),
    (0x3, meaning("ERROR_PATH_NOT_FOUND", "the system cannot find the path specified", NotFound, "")),
    (0x5, meaning("ERROR_ACCESS_DENIED", "access is denied", PermissionDenied, "run as administrator, or join the group Hyper-V Administrators")),
    (0x6, meaning("ERROR_INVALID_HANDLE", "the handle is not valid", InvalidState, "")),
    (0xD, meaning("ERROR_INVALID_DATA", "the data is not valid", InvalidSpec, "")),
    (0x15, meaning("ERROR_NOT_READY", "the layer's disk is not ready", System, "try again")),
    (0x32, meaning("ERROR_NOT_SUPPORTED", "this Windows build does not support it", Unsupported, "")),
    (0x57, meaning("ERROR_INVALID_PARAMETER", "a parameter is not valid", InvalidSpec, "")),
    (0x6D, meaning("ERROR_BROKEN_PIPE", "the connection to the service ended", System, "check that the service vmcompute runs")),
    (0x7E, meaning("ERROR_MOD_NOT_FOUND", "the DLL is not there", Unsupported, "install the Windows feature Containers")),
    (0x7F, meaning("ERROR_PROC_NOT_FOUND", "the DLL lacks the procedure", Unsupported, "use a newer Windows build")),
    (0xA1, meaning("ERROR_BAD_PATHNAME", "the path is not valid", NotFound, "")),
    (0xE6, meaning("ERROR_BAD_PIPE", "a named pipe cannot be had", System, "leave out --stdio named-pipes, or end what has a pipe of its name")),
    (0x45B, meaning("ERROR_SHUTDOWN_IN_PROGRESS", "a shutdown has begun already", InvalidState, "")),
    (0x48F, meaning("ERROR_DEVICE_NOT_CONNECTED", "the layer's disk is not connected", System, "try again")),
    (0x490, meaning("ERROR_NOT_FOUND", "it is not found", NotFound, "")),
    (0x5AA, meaning("ERROR_NO_SYSTEM_RESOURCES", "the machine lacks the resources for it", System, "free memory, or limit the container's less")),
    (0x5B4, meaning("ERROR_TIMEOUT", "it took too long", Timeout, "")),
    (0x2726, meaning("WSAEINVAL", "an argument is not valid", InvalidState, "")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_service_s_errors_are_one() {
        for code in [0xC037_010E, 0x8037_010E] {
            assert_eq!(Hresult(code).meaning().unwrap().kind, NotFound);
            assert!(Hresult(code).is_gone());
            assert_eq!(Hresult(code).canonical(), Hresult(0xC037_010E));
        }
        assert_eq!(Hresult(5).meaning(), Hresult(0x8007_0005).meaning());
        assert_eq!(Hresult(5).canonical(), Hresult(0x8007_0005));
    }

    #[test]
    fn every_code_of_the_service_has_a_name_and_words() {
        for code in 0x0100..=0x011F {
            let meaning = Hresult(0x8037_0000 | code).meaning().unwrap();
            assert!(!meaning.words.is_empty() && meaning.name.len() > 6);
        }
        assert_eq!(OWN.len(), 0x20);
    }

    #[test]
    fn a_code_that_is_not_known_is_shown_as_it_is() {
        assert_eq!(Hresult(0x8004_0001).to_string(), "0x80040001");
        assert_eq!(Hresult(0x8004_0001).canonical(), Hresult(0x8004_0001));
        assert_eq!(
            Hresult(0x8007_0005).to_string(),
            "access is denied (ERROR_ACCESS_DENIED, 0x80070005)"
        );
    }

    #[test]
    fn success_is_not_gone_and_pending_is_no_success() {
        assert!(Hresult::OK.is_success() && !Hresult::OK.is_gone());
        assert!(!Hresult::PENDING.is_success() && Hresult::PENDING.is_pending());
    }
}

//! What the Host Compute Service answers.

use hoist_hcs::calls::CallError;
use hoist_hcs::documents::process::ProcessStatus;
use hoist_hcs::documents::properties::SystemProperties;
use hoist_hcs::documents::result::ResultDocument;
use hoist_hcs::{Guid, Hresult};
use hoist_windows::command_line;

/// Each text as each document, and as a command line, which is put together again as it was.
pub(super) fn documents(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(status) = ProcessStatus::read(text)
        && status.code().is_ok()
    {
        assert!(status.exited && status.last_wait_result == 0);
    }
    let _ = SystemProperties::read(text);
    let _ = SystemProperties::read_list(text);
    if let Some(document) = ResultDocument::read(text) {
        assert!(!document.words().contains(['\r', '\n']));
    }
    let error = CallError::result("f", Hresult(0x8007_0005)).with_document(Some(text));
    assert!(!error.to_string().is_empty());
    let _ = text.parse::<Guid>();
    let words = command_line::split(text);
    let joined = command_line::join(words.iter().map(String::as_str));
    // The program's name has rules of its own: it holds no quotation mark.
    if !words.first().is_some_and(|program| program.contains('"')) {
        assert_eq!(command_line::split(&joined), words);
    }
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn deep_and_huge_documents_are_refused_and_not_followed() {
        for depth in [200, 100_000] {
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            documents(deep.as_bytes());
            documents(format!(r#"{{"ErrorMessage":{deep}}}"#).as_bytes());
        }
        let huge = format!(r#"{{"ErrorMessage":"{}"}}"#, "x".repeat(8 << 20));
        documents(huge.as_bytes());
    }
}

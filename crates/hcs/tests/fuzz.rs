//! Every document that is read, given texts that are almost right and texts that are not: no panic, and no answer that was not
//! given.

#![allow(
    clippy::unwrap_used,
    reason = "this is test code: a panic is how a test fails"
)]

use hoist_hcs::{
    Guid,
    calls::CallError,
    documents::{process::ProcessStatus, properties::SystemProperties, result::ResultDocument},
};
use hoist_windows::command_line;
use proptest::prelude::*;

/// Reads a text as every document there is.
fn read_all(text: &str) {
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
    let error = CallError::result("f", hoist_hcs::Hresult(0x8007_0005)).with_document(Some(text));
    assert!(!error.to_string().is_empty());
    let _ = text.parse::<Guid>();
    let _ = command_line::split(text);
}

/// Documents as the service gives them, to be spoilt.
const CORPUS: [&str; 5] = [
    r#"{"ProcessId":1000,"Exited":true,"ExitCode":4294967295,"LastWaitResult":0}"#,
    r#"{"Id":"c1","State":"Running","AreUpdatesPending":true,"Statistics":{"Uptime100ns":1,"Processor":{"TotalRuntime100ns":91}},"ProcessList":[{"ProcessId":4,"ImageName":"cmd.exe"}]}"#,
    r#"[{"Id":"a","Owner":"hoist","Stopped":true},{"Id":"b"}]"#,
    r#"{"Error":-2147024809,"ErrorMessage":"The parameter is incorrect.\r\n","ErrorEvents":[{"Message":"m","EventId":7,"Data":[{"Type":"String","Value":"v"}]}]}"#,
    "bd9c3ef9-f239-59b5-a27e-15c523b1d149",
];

#[test]
fn the_corpus_is_read() {
    CORPUS.iter().for_each(|text| read_all(text));
}

#[test]
fn deep_and_huge_documents_are_refused_and_not_followed() {
    for depth in [200, 100_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        read_all(&deep);
        read_all(&format!(r#"{{"ErrorMessage":{deep}}}"#));
    }
    read_all(&format!(r#"{{"ErrorMessage":"{}"}}"#, "x".repeat(8 << 20)));
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        read_all(&text);
    }

    #[test]
    fn a_spoilt_document_is_read_without_a_panic(
        which in 0..CORPUS.len(),
        at in any::<prop::sample::Index>(),
        cut in 0..6_usize,
        put in "[\\[\\]{}\",:0-9a-z\\\\-]{0,6}",
    ) {
        let text = CORPUS[which];
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        read_all(&format!("{}{put}{}", &text[..at], &text[end..]));
    }
}

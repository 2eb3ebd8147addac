//! The document that tells why a call failed.

use serde::Deserialize;

/// Longer texts are not read: no true result document comes near it.
const LONGEST: usize = 1 << 20;

/// Why a call failed, in the service's own words. All of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ResultDocument {
    /// The failure's code, again.
    pub error: i32,
    /// Words.
    pub error_message: String,
    /// What happened on the way.
    pub error_events: Vec<ErrorEvent>,
}

/// One thing that happened on the way to a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ErrorEvent {
    /// Words.
    pub message: String,
    /// Where in the service.
    pub stack_trace: String,
    /// Which part of the service.
    pub provider: String,
    /// The kind of event.
    pub event_id: u16,
    /// Its flags.
    pub flags: u32,
    /// The source.
    pub source: String,
}

impl ResultDocument {
    /// Reads what a failed call left; `None` where that says nothing, is no such document, or is absurdly long. A failure is never
    /// hidden by the document that should explain it.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let document: Self = serde_json::from_str(text).ok()?;
        (document != Self::default()).then_some(document)
    }

    /// The words in it, on one line.
    pub fn words(&self) -> String {
        let events = self.error_events.iter().map(|event| event.message.as_str());
        std::iter::once(self.error_message.as_str())
            .chain(events)
            .map(str::trim)
            .filter(|words| !words.is_empty())
            .collect::<Vec<_>>()
            .join("; ")
            .replace(['\r', '\n'], " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_failure_and_its_events_are_one_line() {
        let document = ResultDocument::read(
            r#"{"Error":-2147024809,"ErrorMessage":"The parameter is incorrect.\r\n","ErrorEvents":[{"Message":"invalid layer","EventId":7}],
            "Attribution":[{"OperationFailure":{}}]}"#,
        )
        .unwrap();
        assert_eq!(
            document.words(),
            "The parameter is incorrect.; invalid layer"
        );
    }

    #[test]
    fn what_is_no_result_document_explains_nothing() {
        for text in ["", "null", "[]", "{}", "{", "\u{0}", r#"{"Error":"x"}"#] {
            assert_eq!(ResultDocument::read(text), None, "{text:?}");
        }
        let huge = format!(r#"{{"ErrorMessage":"{}"}}"#, "x".repeat(LONGEST));
        assert_eq!(ResultDocument::read(&huge), None);
    }
}

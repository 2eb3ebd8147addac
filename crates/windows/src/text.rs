//! Texts as Windows takes them.

/// A text in UTF-16 with its NUL. One within it is not looked for: what comes behind that Windows does not see.
pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

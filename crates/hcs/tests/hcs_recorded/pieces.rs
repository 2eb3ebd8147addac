//! Parts of JSON texts, found and replaced without touching the rest.

use std::ops::Range;

/// Where the value at `path` (names and numbers) stands in `text`.
pub(crate) fn span(text: &str, path: &[&str]) -> Option<Range<usize>> {
    let mut at = skip_space(text, 0);
    for part in path {
        at = match text.as_bytes().get(at)? {
            b'{' => {
                members(text, at)?
                    .into_iter()
                    .find(|(name, _)| name == part)?
                    .1
                    .start
            }
            b'[' => elements(text, at)?.get(part.parse::<usize>().ok()?)?.start,
            _ => return None,
        };
    }
    Some(at..end_of(text, at)?)
}

/// `text` with the value at `path` replaced.
pub(crate) fn replace(text: &str, path: &[&str], value: &str) -> String {
    let span = span(text, path).unwrap_or_else(|| panic!("{path:?} is not in {text}"));
    format!("{}{value}{}", &text[..span.start], &text[span.end..])
}

/// `text` with the elements of the list at `path` in order.
pub(crate) fn sorted(text: &str, path: &[&str]) -> String {
    let Some(list) = span(text, path).filter(|list| text[list.clone()].starts_with('[')) else {
        return text.to_owned();
    };
    let mut texts: Vec<&str> = elements(text, list.start)
        .unwrap()
        .into_iter()
        .map(|element| &text[element])
        .collect();
    texts.sort_unstable();
    replace(text, path, &format!("[{}]", texts.join(",")))
}

fn skip_space(text: &str, mut at: usize) -> usize {
    while text.as_bytes().get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

fn end_of_string(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn end_of(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0;
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => at = end_of_string(text, at)? - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(bytes[start], b'"' | b'{' | b'[') {
            return Some(at);
        }
        if at == bytes.len() {
            return Some(at);
        }
    }
}

fn members(text: &str, start: usize) -> Option<Vec<(String, Range<usize>)>> {
    let mut all = Vec::new();
    let mut at = skip_space(text, start + 1);
    while text.as_bytes().get(at)? != &b'}' {
        let end = end_of_string(text, at)?;
        let name = serde_json::from_str(&text[at..end]).ok()?;
        at = skip_space(text, skip_space(text, end) + 1);
        let end = end_of(text, at)?;
        all.push((name, at..end));
        at = skip_space(text, end);
        if text.as_bytes().get(at)? == &b',' {
            at = skip_space(text, at + 1);
        }
    }
    Some(all)
}

fn elements(text: &str, start: usize) -> Option<Vec<Range<usize>>> {
    let mut all = Vec::new();
    let mut at = skip_space(text, start + 1);
    while text.as_bytes().get(at)? != &b']' {
        let end = end_of(text, at)?;
        all.push(at..end);
        at = skip_space(text, end);
        if text.as_bytes().get(at)? == &b',' {
            at = skip_space(text, at + 1);
        }
    }
    Some(all)
}

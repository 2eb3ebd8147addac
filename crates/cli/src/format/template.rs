//! Templates in the language of Go's text/template with docker's functions.

use std::{fmt, sync::Arc};

use gotmpl::{MissingKey, TemplateError, Value};
use serde_json::Value as Json;

use super::functions::{self, LABEL_OF};
use crate::failure::Failure;

/// A template whose syntax is right.
#[derive(Clone)]
pub(crate) struct Template {
    text: String,
    parsed: Arc<gotmpl::Template>,
}

impl Template {
    /// Reads a template. The error says what is wrong with it, and where.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        Ok(Self {
            parsed: Arc::new(parse(text, functions::all())?),
            text: text.to_owned(),
        })
    }

    /// Whether it has docker's `.Label "NAME"`, and needs the labels.
    pub(crate) fn asks_for_labels(&self) -> bool {
        with_escapes(&self.text).contains(LABEL_OF)
    }

    /// What it makes of `data`. What it asks for and `data` has not is an error that names it, and what there is.
    pub(crate) fn fill(&self, data: &Json) -> Result<String, Failure> {
        self.fill_in(&self.parsed, data)
    }

    /// As [`fill`](Self::fill), of headings: no function changes them.
    pub(super) fn fill_headings(&self, headings: &Json) -> Result<String, Failure> {
        let parsed = parse(&self.text, functions::of_headings()).map_err(Failure::message)?;
        self.fill_in(&parsed, headings)
    }

    fn fill_in(&self, parsed: &gotmpl::Template, data: &Json) -> Result<String, Failure> {
        let failed = |error: TemplateError| {
            let what = match error {
                TemplateError::MissingKey { key } => format!(
                    "there is no field {key}, but {}",
                    names(fields_beside(&self.text, &key, data)).join(", ")
                ),
                error => error.to_string(),
            };
            Failure::message(format!("--format '{}': {what}", self.text))
        };
        let data: Value = gotmpl::to_value(data).map_err(failed)?;
        parsed.execute_to_string(&data).map_err(failed)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, formatter)
    }
}

fn parse(text: &str, functions: gotmpl::FuncMap) -> Result<gotmpl::Template, String> {
    // The crate takes the end of the text for the end of every block.
    let missing = unended(text);
    if missing > 0 {
        return Err(format!("unexpected EOF: {missing} {{{{end}}}} missing"));
    }
    gotmpl::Template::new("")
        .missing_key(MissingKey::Error)
        .funcs(functions)
        .parse(&with_escapes(text))
        .map_err(|error| error.to_string())
}

/// `text` with docker's `\t` and `\n` between actions; in an action they stand in a string, for Go to read.
fn with_escapes(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (between, from) = rest.split_at(rest.find("{{").unwrap_or(rest.len()));
        result.push_str(&between.replace("\\t", "\t").replace("\\n", "\n"));
        let end = from.find("}}").map_or(from.len(), |at| at + 2);
        result.push_str(&with_labels(&from[..end]));
        rest = &from[end..];
    }
    result
}

/// Where docker has a method, `.Label "NAME"`, and there are the labels.
pub(crate) const LABEL: &str = "Label";

/// An action with a call of a function for each `.Label "NAME"`: there are no methods here.
fn with_labels(action: &str) -> String {
    let mut result = String::with_capacity(action.len());
    let mut rest = action;
    while let Some(next) = rest.chars().next() {
        if matches!(next, '"' | '`') {
            let (text, behind) = rest.split_at(length_of_text(rest));
            result.push_str(text);
            rest = behind;
            continue;
        }
        let is_of_path = |before: char| before.is_alphanumeric() || matches!(before, '_' | '.');
        let asked = (!result.ends_with(is_of_path))
            .then(|| rest.strip_prefix(".Label"))
            .flatten()
            .map(|behind| (behind, behind.trim_start()))
            .filter(|(behind, name)| behind != name && name.starts_with(['"', '`']));
        if let Some((_, name)) = asked {
            let of_whole = result.ends_with('$');
            if of_whole {
                result.pop();
            }
            let (name, behind) = name.split_at(length_of_text(name));
            let whole = if of_whole { "$" } else { "" };
            result.push_str(&format!("({LABEL_OF} {whole}.{LABEL} {name})"));
            rest = behind;
            continue;
        }
        result.push(next);
        rest = &rest[next.len_utf8()..];
    }
    result
}

/// How long the text is that begins here, with its quotes; all of it where it does not end.
fn length_of_text(text: &str) -> usize {
    let quote = text.chars().next().unwrap_or('"');
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            character if character == quote => return at + character.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// How many blocks of the template have no `{{end}}`.
fn unended(text: &str) -> usize {
    let actions = text.split("{{").skip(1);
    let words = actions.filter_map(|action| {
        let action = action.strip_prefix("- ").unwrap_or(action).trim_start();
        action
            .split(|character: char| !character.is_alphanumeric())
            .next()
    });
    words.fold(0, |open: usize, word| match word {
        "if" | "range" | "with" | "define" | "block" => open + 1,
        "end" => open.saturating_sub(1),
        _ => open,
    })
}

/// The object in which the template looks for the field `key`: as far as its path says, which begins at the whole.
fn fields_beside<'a>(text: &str, key: &str, data: &'a Json) -> &'a Json {
    let is_of_path =
        |character: char| character.is_alphanumeric() || matches!(character, '_' | '.');
    text.split(|character| !is_of_path(character))
        .filter_map(|path| path.split_once(&format!(".{key}")))
        .filter(|(_, behind)| behind.is_empty() || behind.starts_with('.'))
        .find_map(|(path, _)| {
            let mut steps = path.split('.').filter(|step| !step.is_empty());
            steps.try_fold(data, |data, step| data.get(step))
        })
        .unwrap_or(data)
}

fn names(data: &Json) -> Vec<&str> {
    let fields = data.as_object().into_iter().flatten();
    fields.map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(template: &str, data: &Json) -> Result<String, String> {
        Template::new(template)?
            .fill(data)
            .map_err(|failure| match failure {
                Failure::Message { what, .. } => what,
                other => format!("{other:?}"),
            })
    }

    #[test]
    fn templates_are_dockers() {
        let data = json!({
            "Name": "web", "Pid": 7, "Big": u64::MAX, "Running": true, "Error": null,
            "State": {"Status": "running"}, "Args": ["a", "b c"], "Labels": {"x": "1", "y.z": "2"},
        });
        for (template, text) in [
            ("{{.Name}} {{.State.Status}}", "web running"),
            ("{{ .Pid }}/{{.Big}}", "7/18446744073709551615"),
            ("{{.Running}}", "true"),
            ("{{.Args}} {{.Labels}}", "[a b c] map[x:1 y.z:2]"),
            (r"{{.Name}}\t{{.Pid}}\n", "web\t7\n"),
            (r#"{{join .Args "\t"}}"#, "a\tb c"),
            ("{{json .Args}}", r#"["a","b c"]"#),
            ("{{json .State}}", r#"{"Status":"running"}"#),
            ("{{json .Big}} {{json .Error}}", "18446744073709551615 null"),
            ("{{json .Name}}", r#""web""#),
            (r#"{{index .Labels "y.z"}}"#, "2"),
            ("{{index .Args 1}}", "b c"),
            ("{{len .Args}}", "2"),
            (
                "{{upper .Name}} {{lower \"WEB\"}} {{title .Name}}",
                "WEB web Web",
            ),
            ("{{range .Args}}<{{.}}>{{end}}", "<a><b c>"),
            (
                "{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}",
                "x=1;y.z=2;",
            ),
            ("{{if .Running}}yes{{else}}no{{end}}", "yes"),
            ("{{if eq .State.Status \"running\"}}{{.Name}}{{end}}", "web"),
            ("{{with .State}}{{.Status}}{{end}}", "running"),
            ("{{index (split \"a,b\" \",\") 1}}", "b"),
            ("{{pad .Name 1 2}}|{{truncate .Name 2}}", " web  |we"),
            ("{{printf \"%5d|%-5s|\" .Pid .Name}}", "    7|web  |"),
            ("{{.Name | upper | json}}", "\"WEB\""),
        ] {
            assert_eq!(fill(template, &data).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_name() {
        let data = json!({"Name": "web", "State": {"Status": "running", "Pid": 1}});
        for (template, words) in [
            ("{{.Nmae}}", &["no field Nmae", "Name, State"][..]),
            ("{{.State.Sttus}}", &["no field Sttus", "Pid, Status"]),
            (
                "{{json .State.Sttus.X}}",
                &["no field Sttus", "Pid, Status"],
            ),
            ("{{nosuch .Name}}", &["nosuch"]),
            ("{{.Name", &["unclosed action"]),
            ("{{if .Name}}", &["unexpected EOF", "1 {{end}}"]),
            (
                "{{- range .State}}{{ if . }}{{else}}{{end}}",
                &["1 {{end}}"],
            ),
            ("{{upper .State}}", &["upper", "string"]),
            ("{{truncate .Name}}", &["truncate", "2"]),
            ("{{join .Name \",\"}}", &["join", "list"]),
            ("{{.Name.First}}", &["First"]),
        ] {
            let error = fill(template, &data).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{template}: {error}");
            }
        }
    }

    #[test]
    fn headings_are_left_as_they_are() {
        let template = Template::new("{{upper .ID}}\\t{{json .Name}} {{truncate .ID 1}}").unwrap();
        let headings = json!({"ID": "Process id", "Name": "Name"});
        let filled = template.fill_headings(&headings).unwrap();
        assert_eq!(filled, "Process id\tName Process id");
    }
}

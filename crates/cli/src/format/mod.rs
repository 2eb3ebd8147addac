//! How lists and reports are written: for people, as JSON, or by a template of the caller's, as docker has it.

mod functions;
mod listed;
mod template;

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use serde_json::Value;

pub(crate) use listed::{Listed, ListedContainers, ListedProcesses, ListedUsage, ListedVolumes};
pub(crate) use template::{LABEL, Template};

use crate::failure::Failure;
use crate::table;

/// The ways to write a list.
#[derive(Clone, Debug)]
pub(crate) enum ListFormat {
    /// Columns for people.
    Table,
    /// One JSON object per line.
    Json,
    /// What a template makes of each, a line each.
    Template(Template),
    /// The same in columns below headings, where it has tabs.
    TableTemplate(Template),
}

/// The ways to write a report.
#[derive(Clone, Debug)]
pub(crate) enum ReportFormat {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// What a template makes of it.
    Template(Template),
}

/// Reads a [`ListFormat`].
pub(crate) fn list_format() -> impl TypedValueParser<Value = ListFormat> {
    Parser {
        words: &["table", "json"],
        read: |text| {
            Ok(match (text, text.strip_prefix("table ")) {
                ("table", _) => ListFormat::Table,
                ("json", _) => ListFormat::Json,
                (_, Some(template)) => ListFormat::TableTemplate(template_of(template)?),
                (template, None) => ListFormat::Template(template_of(template)?),
            })
        },
    }
}

/// Reads a [`ReportFormat`].
pub(crate) fn report_format() -> impl TypedValueParser<Value = ReportFormat> {
    Parser {
        words: &["text", "json"],
        read: |text| {
            Ok(match text {
                "text" => ReportFormat::Text,
                "json" => ReportFormat::Json,
                template => ReportFormat::Template(template_of(template)?),
            })
        },
    }
}

/// Reads a [`ReportFormat`] of what has no form for people.
pub(crate) fn inspect_format() -> impl TypedValueParser<Value = ReportFormat> {
    Parser {
        words: &["json"],
        read: |text| {
            Ok(match text {
                "json" => ReportFormat::Json,
                template => ReportFormat::Template(template_of(template)?),
            })
        },
    }
}

fn template_of(text: &str) -> Result<Template, String> {
    match text.contains("{{") {
        true => Template::new(text),
        false => {
            Err("it is no word that is known here, and no template, which has a {{".to_owned())
        }
    }
}

/// One that knows some words, and takes others.
#[derive(Clone)]
struct Parser<T> {
    words: &'static [&'static str],
    read: fn(&str) -> Result<T, String>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Parser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let read = self.read;
        StringValueParser::new()
            .try_map(move |text| read(&text))
            .parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            self.words.iter().map(|word| PossibleValue::new(*word)),
        ))
    }
}

/// The fields that the things of a list have, and their headings, by docker's names.
pub(crate) struct Fields {
    /// Name and heading.
    pub(crate) all: &'static [(&'static str, &'static str)],
    /// Those that are shown where nobody says which.
    pub(crate) shown: &'static [&'static str],
}

impl Fields {
    /// For `--help`: what a template may have.
    pub(crate) fn help(&self) -> String {
        let names: Vec<&str> = self.all.iter().map(|(name, _)| *name).collect();
        format!(
            "How to write the list: table, json (an object per line), or a template in the language of Go's text/template \
             with docker's functions, such as '{{{{.{}}}}}'; after the word table it makes the rows of one, whose columns \
             \\t parts.\n\nFields: {}.\n\n{FUNCTIONS}",
            names.first().unwrap_or(&""),
            names.join(", ")
        )
    }

    /// The list as it is to be written; each of `things` is an object with these fields.
    pub(crate) fn write(&self, format: &ListFormat, things: &[Value]) -> Result<String, Failure> {
        let lines = |lines: Result<Vec<String>, Failure>| Ok(lines?.concat());
        match format {
            ListFormat::Table => Ok(self.table(things)),
            ListFormat::Json => lines(
                things
                    .iter()
                    .map(|thing| Ok(format!("{thing}\n")))
                    .collect(),
            ),
            ListFormat::Template(template) => {
                let fill = |thing| Ok(format!("{}\n", template.fill(thing)?));
                lines(things.iter().map(fill).collect())
            }
            ListFormat::TableTemplate(template) => {
                let mut headings: serde_json::Map<String, Value> = self
                    .all
                    .iter()
                    .map(|(name, heading)| ((*name).to_owned(), (*heading).into()))
                    .collect();
                headings.insert(LABEL.to_owned(), Value::Null);
                let mut text = template.fill_headings(&Value::Object(headings))?;
                for thing in things {
                    text.push('\n');
                    text.push_str(&template.fill(thing)?);
                }
                let rows = text
                    .lines()
                    .map(|line| line.split('\t').map(str::to_owned).collect());
                Ok(table::align(&rows.collect::<Vec<_>>()))
            }
        }
    }

    fn table(&self, things: &[Value]) -> String {
        let heading = |field: &str| {
            let found = self.all.iter().find(|(name, _)| *name == field);
            found.map_or("", |(_, heading)| *heading)
        };
        let headings: Vec<&str> = self.shown.iter().map(|field| heading(field)).collect();
        let cell = |thing: &Value, field: &str| match &thing[field] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let row = |thing| self.shown.iter().map(|field| cell(thing, field)).collect();
        table::render(&headings, &things.iter().map(row).collect::<Vec<_>>())
    }
}

/// For `--help`: the part that is the same everywhere.
const FUNCTIONS: &str = "Functions: json, join, split, upper, lower, title, pad, truncate, and Go's own: index, len, print, \
    printf, println, slice, eq, ne, lt, le, gt, ge, and, or, not; actions: if, range, with, variables.";

/// For `--help` of a report: `what` is what a template is given.
pub(crate) fn report_help(words: &str, what: &str) -> String {
    format!(
        "How to write it: {words}, or a template in the language of Go's text/template with docker's functions, which is \
         given {what}.\n\n{FUNCTIONS}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIELDS: Fields = Fields {
        all: &[("ID", "THING ID"), ("Names", "NAMES"), ("Size", "SIZE")],
        shown: &["ID", "Names"],
    };

    fn written(format: &str) -> String {
        let things = [
            json!({"ID": "a1", "Names": "web", "Size": 5}),
            json!({"ID": "b2", "Names": "x", "Size": 17}),
        ];
        let command = clap::Command::new("x");
        let format = list_format().parse_ref(&command, None, OsStr::new(format));
        FIELDS.write(&format.unwrap(), &things).unwrap()
    }

    #[test]
    fn a_list_is_written_as_asked() {
        assert_eq!(
            written("table"),
            "THING ID   NAMES\na1         web\nb2         x\n"
        );
        assert_eq!(written("{{.ID}}={{.Size}}"), "a1=5\nb2=17\n");
        assert_eq!(
            written(r"table {{.Names}}\t{{.Size}}\t{{.ID}}"),
            "NAMES   SIZE   THING ID\nweb     5      a1\nx       17     b2\n"
        );
        assert_eq!(
            written("json"),
            "{\"ID\":\"a1\",\"Names\":\"web\",\"Size\":5}\n{\"ID\":\"b2\",\"Names\":\"x\",\"Size\":17}\n"
        );
    }

    #[test]
    fn a_word_that_is_no_format_is_refused() {
        let command = clap::Command::new("x");
        for format in ["yaml", "table", "", "{{.A"] {
            let read = report_format().parse_ref(&command, None, OsStr::new(format));
            assert!(read.is_err(), "{format}");
        }
    }
}

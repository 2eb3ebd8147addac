//! The functions that docker adds to those of Go's text/template.

use std::sync::Arc;

use gotmpl::{FuncMap, TemplateError, Value, ValueFunc};
use serde_json::Value as Json;

type Result = gotmpl::Result<Value>;
type Function = fn(&[Value]) -> Result;

/// Name, how many arguments, what it does.
const FUNCTIONS: &[(&str, usize, Function)] = &[
    ("json", 1, |given| Ok(text(to_json(&given[0])?.to_string()))),
    ("upper", 1, |given| {
        Ok(text(string("upper", &given[0])?.to_uppercase()))
    }),
    ("lower", 1, |given| {
        Ok(text(string("lower", &given[0])?.to_lowercase()))
    }),
    ("title", 1, |given| {
        Ok(text(title(string("title", &given[0])?)))
    }),
    ("join", 2, join),
    ("split", 2, |given| {
        let parts = string("split", &given[0])?.split(string("split", &given[1])?);
        Ok(Value::List(
            parts.map(|part| text(part.to_owned())).collect(),
        ))
    }),
    ("pad", 3, |given| {
        let spaces = |value| number("pad", value).map(|count| " ".repeat(count));
        let inner = string("pad", &given[0])?;
        Ok(text(match inner {
            "" => String::new(),
            inner => format!("{}{inner}{}", spaces(&given[1])?, spaces(&given[2])?),
        }))
    }),
    (LABEL_OF, 2, label),
    ("truncate", 2, |given| {
        let most = number("truncate", &given[1])?;
        let kept = string("truncate", &given[0])?.chars().take(most);
        Ok(text(kept.collect()))
    }),
];

/// What [`super::template`] makes of docker's method `.Label "NAME"`: the labels and a name. Nobody else calls it.
pub(super) const LABEL_OF: &str = "labelOf";

fn label(given: &[Value]) -> Result {
    let Value::Map(labels) = &given[0] else {
        return Err(refused(LABEL_OF, "labels", &given[0]));
    };
    let found = labels.get(string(LABEL_OF, &given[1])?);
    Ok(found.cloned().unwrap_or_else(|| text(String::new())))
}

/// All of them.
pub(super) fn all() -> FuncMap {
    let functions = FUNCTIONS.iter().map(|&(name, count, act)| {
        let function: ValueFunc = Arc::new(move |given| match given.len() {
            found if found == count => act(given),
            found => Err(TemplateError::ArgCount {
                name: name.to_owned(),
                expected: count,
                got: found,
            }),
        });
        (name.to_owned(), function)
    });
    functions.collect()
}

/// The same names, for headings, which each of them leaves as it is.
pub(super) fn of_headings() -> FuncMap {
    let functions = FUNCTIONS.iter().map(|&(name, ..)| {
        // A label is headed by its name.
        let kept = usize::from(name == LABEL_OF);
        let function: ValueFunc =
            Arc::new(move |given| Ok(given.get(kept).cloned().unwrap_or(Value::Nil)));
        (name.to_owned(), function)
    });
    functions.collect()
}

fn text(text: String) -> Value {
    Value::String(text.into())
}

fn string<'a>(function: &str, value: &'a Value) -> gotmpl::Result<&'a str> {
    value
        .as_str()
        .ok_or_else(|| refused(function, "a string", value))
}

fn number(function: &str, value: &Value) -> gotmpl::Result<usize> {
    // More than a line holds is a slip.
    const MOST: usize = 10_000;
    value
        .as_int()
        .and_then(|number| usize::try_from(number).ok())
        .filter(|&number| number <= MOST)
        .ok_or_else(|| refused(function, "a number from 0 to 10000", value))
}

fn refused(function: &str, wanted: &str, value: &Value) -> TemplateError {
    let found = value.type_name();
    TemplateError::Exec(format!(
        "{function} takes {wanted}, not this {found}: {value}"
    ))
}

fn join(given: &[Value]) -> Result {
    let Value::List(parts) = &given[0] else {
        return Err(refused("join", "a list", &given[0]));
    };
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    Ok(text(parts.join(string("join", &given[1])?)))
}

/// The first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut begins = true;
    let mut titled = String::with_capacity(text.len());
    for character in text.chars() {
        match begins {
            true => titled.extend(character.to_uppercase()),
            false => titled.push(character),
        }
        begins = character.is_whitespace();
    }
    titled
}

fn to_json(value: &Value) -> gotmpl::Result<Json> {
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Uint(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(value) => (&**value).into(),
        Value::List(values) => values
            .iter()
            .map(to_json)
            .collect::<std::result::Result<_, _>>()?,
        Value::Map(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| Ok((name.to_string(), to_json(value)?)));
            Json::Object(members.collect::<gotmpl::Result<_>>()?)
        }
        Value::Function(_) => return Err(refused("json", "data", value)),
    })
}

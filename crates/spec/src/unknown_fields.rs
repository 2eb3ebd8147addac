//! Reading a JSON document, and finding the fields of it that this passes over. Only a document that has such fields is read more
//! than once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::Faults;
use crate::json::{self, JsonPath, Segment};

/// Reads `text` as a `T`, as [`json::read`]; and the fields of it that `T` does not have.
pub(crate) fn read<T: DeserializeOwned + Serialize>(
    text: &str,
    document: &str,
) -> Result<(T, Vec<JsonPath>), Faults> {
    let (value, passes_over) = json::read_noting(text, document)?;
    let unknown = match passes_over {
        true => unknown_fields(text, &value),
        false => Vec::new(),
    };
    Ok((value, unknown))
}

/// Fields of the text that what was read from it has not kept. A field that says nothing (`null`, an empty
/// list or object) asks for nothing.
fn unknown_fields(text: &str, read: &impl Serialize) -> Vec<JsonPath> {
    // By way of text, as a record is written: a second way to serialize would add a tenth of a megabyte to every program.
    let Ok(kept) = serde_json::to_string(read) else {
        return Vec::new();
    };
    let (Ok(given), Ok(kept)) = (serde_json::from_str(text), serde_json::from_str(&kept)) else {
        return Vec::new();
    };
    let mut unknown = Vec::new();
    compare(&given, &kept, &mut Vec::new(), &mut unknown);
    unknown
}

/// The fields of a document, without what stands in them.
enum Shape<'a> {
    Null,
    /// A text, a number or a truth value.
    Scalar,
    List {
        is_empty: bool,
        /// The lists and objects among the elements, by index.
        nested: BTreeMap<usize, Shape<'a>>,
    },
    Object(BTreeMap<Key<'a>, Shape<'a>>),
}

impl Shape<'_> {
    fn says_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Scalar => false,
            Self::List { is_empty, .. } => *is_empty,
            Self::Object(members) => members.values().all(Self::says_nothing),
        }
    }
}

fn compare(given: &Shape, kept: &Shape, path: &mut Vec<Segment>, unknown: &mut Vec<JsonPath>) {
    match (given, kept) {
        (Shape::Object(given), Shape::Object(kept)) => {
            for (key, value) in given {
                path.push(Segment::Key(key.0.to_string()));
                match kept.get(key) {
                    Some(kept) => compare(value, kept, path, unknown),
                    None if value.says_nothing() => {}
                    None => unknown.push(JsonPath(path.clone())),
                }
                path.pop();
            }
        }
        (Shape::List { nested: given, .. }, Shape::List { nested: kept, .. }) => {
            for (index, value) in given {
                if let Some(kept) = kept.get(index) {
                    path.push(Segment::Index(*index));
                    compare(value, kept, path, unknown);
                    path.pop();
                }
            }
        }
        _ => {}
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Shape<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Shape<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Shape::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Shape::Scalar)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Shape::Scalar)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Shape::Scalar)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Shape::Scalar)
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Shape::Scalar)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (mut count, mut nested) = (0, BTreeMap::new());
                while let Some(element) = list.next_element()? {
                    if matches!(element, Shape::List { .. } | Shape::Object(_)) {
                        nested.insert(count, element);
                    }
                    count += 1;
                }
                Ok(Shape::List {
                    is_empty: count == 0,
                    nested,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((key, value)) = map.next_entry()? {
                    members.insert(key, value);
                }
                Ok(Shape::Object(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(given: &str, kept: &serde_json::Value) -> Vec<String> {
        unknown_fields(given, kept)
            .iter()
            .map(JsonPath::to_string)
            .collect()
    }

    #[test]
    fn what_was_not_kept_is_named_at_every_depth() {
        let kept = serde_json::json!({"a": 1, "list": ["x", {"b": true}, [{}]], "un\"quoted": 0});
        let given = r#"{"a": 1.5, "new": -1, "list": ["x", {"b": true, "c": "d"}, [{"e": [0]}]], "un\"quoted": 0}"#;
        assert_eq!(unknown(given, &kept), ["list[1].c", "list[2][0].e", "new"]);
    }

    #[test]
    fn what_says_nothing_is_not_missed() {
        let kept = serde_json::json!({});
        let given = r#"{"null": null, "list": [], "object": {"inner": {"null": null}}, "zero": 0, "text": ""}"#;
        assert_eq!(unknown(given, &kept), ["text", "zero"]);
    }
}

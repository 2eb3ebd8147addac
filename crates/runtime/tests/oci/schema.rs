//! The published schemas of the specification (`schema/`) accept what is printed.

use std::{collections::BTreeMap, fs};

use hoist_testing::Suite;
use serde_json::{Value, json};

use crate::kit::{Bundle, CONTAINERS};

pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .test(
            "the published schemas accept what spec, state and features print",
            CONTAINERS,
            accepted,
        )
        .test("the published schemas refuse what is wrong", &[], refused)
}

/// The schemas, by the names of their files.
struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    fn read() -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oci/schema");
        let files = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let schemas = files
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (
                    name,
                    serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(),
                )
            });
        Self(schemas.collect())
    }

    /// What the schema in `file` says against `value`.
    fn faults(&self, file: &str, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(file, &self.0[file], value, "", &mut faults);
        faults
    }

    fn check(&self, file: &str, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let mut found = Vec::new();
        let mut fault = |text: String| found.push(format!("{at}: {text}"));
        for (word, rule) in schema.as_object().unwrap() {
            match word.as_str() {
                "description" | "$schema" | "id" | "definitions" | "format" => {}
                "type" => {
                    if !has_type(rule.as_str().unwrap(), value) {
                        fault(format!("{value} is no {rule}"));
                    }
                }
                "enum" if !rule.as_array().unwrap().contains(value) => {
                    fault(format!("{value} is none of {rule}"));
                }
                "minimum" if value.as_f64() < rule.as_f64() => {
                    fault(format!("{value} is below {rule}"))
                }
                "maximum" if value.as_f64() > rule.as_f64() => {
                    fault(format!("{value} is above {rule}"))
                }
                "minItems" if value.as_array().map(|all| all.len() as u64) < rule.as_u64() => {
                    fault(format!("{value} has too few items"));
                }
                "required" => {
                    for name in rule.as_array().unwrap() {
                        if value.get(name.as_str().unwrap()).is_none() {
                            fault(format!("{name} is missing"));
                        }
                    }
                }
                "enum" | "minimum" | "maximum" | "minItems" => {}
                // Each is a short regular expression: what it says is looked at where it matters.
                "pattern" => {
                    if let (r#"^CAP_[A-Z_]+$"#, Some(text)) =
                        (rule.as_str().unwrap(), value.as_str())
                        && !text.starts_with("CAP_")
                    {
                        fault(format!("{value} is no capability"));
                    }
                }
                "properties" => {
                    for (name, schema) in rule.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.check(file, schema, value, &format!("{at}/{name}"), faults);
                        }
                    }
                }
                "patternProperties" | "additionalProperties" | "items" => {
                    let schema = match word.as_str() {
                        "patternProperties" => &rule[".{1,}"],
                        _ => rule,
                    };
                    let all: Vec<&Value> = match value {
                        Value::Array(all) => all.iter().collect(),
                        Value::Object(all) if word != "items" => all.values().collect(),
                        _ => Vec::new(),
                    };
                    for (index, value) in all.into_iter().enumerate().filter(|_| schema.is_object())
                    {
                        self.check(file, schema, value, &format!("{at}/{index}"), faults);
                    }
                }
                "allOf" => {
                    for schema in rule.as_array().unwrap() {
                        self.check(file, schema, value, at, faults);
                    }
                }
                "anyOf" => {
                    let good = rule.as_array().unwrap().iter().any(|schema| {
                        let mut found = Vec::new();
                        self.check(file, schema, value, at, &mut found);
                        found.is_empty()
                    });
                    if !good {
                        fault(format!("{value} is nothing of {rule}"));
                    }
                }
                "$ref" => {
                    let (other, pointer) = rule.as_str().unwrap().split_once('#').unwrap();
                    let other = if other.is_empty() { file } else { other };
                    let schema = self.0[other].pointer(pointer).unwrap();
                    self.check(other, schema, value, at, faults);
                }
                word => panic!("{file} has the unknown word {word}"),
            }
        }
        faults.extend(found);
    }
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        name => panic!("unknown type {name}"),
    }
}

fn accepted() {
    let schemas = Schemas::read();
    let bundle = Bundle::new(&["idle"]);
    bundle.call(&["spec"]).ok();
    let config: Value = serde_json::from_str(&bundle.read("config.json")).unwrap();
    assert_eq!(schemas.faults("config-schema.json", &config), [""; 0]);

    let mut bundle = Bundle::new(&["idle"]);
    bundle.config["annotations"] = json!({"a": "b"});
    assert_eq!(
        schemas.faults("config-schema.json", &bundle.config),
        [""; 0]
    );
    bundle.create().ok();
    assert_eq!(
        schemas.faults("state-schema.json", &bundle.state()),
        [""; 0]
    );
    bundle.call(&["start", &bundle.id]).ok();
    assert_eq!(
        schemas.faults("state-schema.json", &bundle.state()),
        [""; 0]
    );
    bundle.call(&["kill", &bundle.id, "KILL"]).ok();
    bundle.await_status("stopped");
    assert_eq!(
        schemas.faults("state-schema.json", &bundle.state()),
        [""; 0]
    );

    // That of `features` is of a later version than these; its words refer to theirs.
    let features = bundle.call(&["features"]).ok().json();
    let texts = "defs.json#/definitions/ArrayOfStrings";
    let all = |of: &str| json!({"type": "array", "minItems": 1, "items": {"$ref": format!("defs-linux.json#/definitions/{of}")}});
    let schema = json!({
        "type": "object",
        "required": ["ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux"],
        "properties": {
            "ociVersionMin": {"$ref": "defs.json#/definitions/ociVersion"},
            "ociVersionMax": {"$ref": "defs.json#/definitions/ociVersion"},
            "hooks": {"$ref": texts},
            "mountOptions": {"$ref": texts},
            "annotations": {"$ref": "defs.json#/definitions/annotations"},
            "potentiallyUnsafeConfigAnnotations": {"$ref": texts},
            "linux": {
                "type": "object",
                "properties": {
                    "namespaces": {"$ref": texts},
                    "capabilities": {"type": "array", "items": {"type": "string", "pattern": "^CAP_[A-Z_]+$"}},
                    "cgroup": {"type": "object", "additionalProperties": {"type": "boolean"}},
                    "seccomp": {
                        "type": "object",
                        "required": ["enabled", "actions", "operators", "archs", "knownFlags", "supportedFlags"],
                        "properties": {
                            "enabled": {"type": "boolean"},
                            "actions": all("SeccompAction"),
                            "operators": all("SeccompOperators"),
                            "archs": all("SeccompArch"),
                        },
                    },
                    "apparmor": {"type": "object", "additionalProperties": {"type": "boolean"}},
                    "selinux": {"type": "object", "additionalProperties": {"type": "boolean"}},
                    "intelRdt": {"type": "object", "additionalProperties": {"type": "boolean"}},
                    "memoryPolicy": {
                        "type": "object",
                        "required": ["modes", "flags"],
                        "properties": {"modes": {"$ref": texts}, "flags": {"$ref": texts}},
                    },
                    "mountExtensions": {"type": "object"},
                    "netDevices": {"type": "object", "additionalProperties": {"type": "boolean"}},
                },
            },
        },
    });
    let mut faults = Vec::new();
    schemas.check("defs.json", &schema, &features, "", &mut faults);
    assert_eq!(faults, [""; 0]);
    bundle.remove();
}

fn refused() {
    let schemas = Schemas::read();
    let good =
        json!({"ociVersion": "1.0.2", "id": "a", "status": "created", "bundle": "/b", "pid": 1});
    assert_eq!(schemas.faults("state-schema.json", &good), [""; 0]);
    let is_refused = |wrong: &Value| !schemas.faults("state-schema.json", wrong).is_empty();
    for (field, value) in [
        ("status", json!("odd")),
        ("pid", json!(-1)),
        ("pid", json!("1")),
        ("annotations", json!({"a": 1})),
        ("id", json!(3)),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        assert!(is_refused(&wrong), "{wrong}");
    }
    let mut short = good;
    short.as_object_mut().unwrap().remove("bundle");
    assert!(is_refused(&short));
}

use std::io::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use super::{
    DECLARATIONS, FEATURES, FUTURE_KEYWORDS, OPA_VERSION, Parameter, StaticType, declaration,
};

#[test]
fn every_declaration_is_found_by_its_name() {
    assert!(DECLARATIONS.is_sorted_by(|a, b| a.name < b.name));
    for declared in DECLARATIONS {
        assert_eq!(declaration(declared.name), Some(declared));
    }
    assert_eq!(declaration("coutn"), None);
    assert_eq!(declaration(""), None);
}

#[test]
fn what_the_compiler_writes_for_syntax_is_declared() {
    for name in
        ["internal.print", "internal.member_2", "internal.member_3", "internal.template_string"]
    {
        assert!(declaration(name).is_some_and(super::Declaration::is_internal), "{name}");
    }
    assert!(!declaration("print").is_some_and(super::Declaration::is_internal));
}

#[test]
fn the_table_says_what_opa_declares() {
    let Ok(version) = Command::new("opa").arg("version").output() else {
        skipped("there is no opa on the PATH");
        return;
    };
    let version = String::from_utf8(version.stdout).unwrap();
    if !version.lines().any(|line| line == format!("Version: {OPA_VERSION}")) {
        skipped(&format!(
            "the table is of OPA {OPA_VERSION}, and the one on the PATH is another:\n{version}"
        ));
        return;
    }
    let output = Command::new("opa").args(["capabilities", "--current"]).output().unwrap();
    let mut theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    without_descriptions(&mut theirs);
    assert_eq!(theirs["future_keywords"], json!(FUTURE_KEYWORDS));
    assert_eq!(theirs["features"], json!(FEATURES));
    let theirs = theirs["builtins"].as_array().unwrap();
    assert_eq!(theirs.len(), DECLARATIONS.len());
    for (theirs, ours) in theirs.iter().zip(DECLARATIONS) {
        let mut expected = json!({"name": ours.name, "decl": {"type": "function"}});
        let mut say = |key: &str, value: Value, said: bool| {
            if said {
                expected[key] = value;
            }
        };
        say("infix", json!(ours.infix), ours.infix.is_some());
        say("categories", json!(ours.categories), !ours.categories.is_empty());
        say("nondeterministic", json!(true), ours.nondeterministic);
        say("relation", json!(true), ours.relation);
        say("deprecated", json!(true), ours.deprecated);
        let parameters: Vec<Value> = ours.parameters.iter().map(parameter).collect();
        if !parameters.is_empty() {
            expected["decl"]["args"] = json!(parameters);
        }
        if let Some(of) = &ours.variadic {
            expected["decl"]["variadic"] = json_of(of);
        }
        if let Some(result) = &ours.result {
            expected["decl"]["result"] = parameter(result);
        }
        assert_eq!(theirs, &expected);
    }
}

/// Says so past the test harness, which keeps what a passing test prints to itself.
fn skipped(why: &str) {
    let words =
        format!("SKIPPED: the comparison of the built-ins' table with OPA, because {why}\n");
    std::io::stderr().write_all(words.as_bytes()).unwrap();
}

fn without_descriptions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("description").is_some_and(Value::is_string) {
                fields.remove("description");
            }
            fields.values_mut().for_each(without_descriptions);
        }
        Value::Array(elements) => elements.iter_mut().for_each(without_descriptions),
        _ => {}
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let mut of = json_of(&parameter.of);
    if let Some(name) = parameter.name {
        of["name"] = json!(name);
    }
    of
}

fn json_of(of: &StaticType) -> Value {
    let all = |types: &[StaticType]| types.iter().map(json_of).collect::<Vec<_>>();
    match of {
        StaticType::Null => json!({"type": "null"}),
        StaticType::Boolean => json!({"type": "boolean"}),
        StaticType::Number => json!({"type": "number"}),
        StaticType::String => json!({"type": "string"}),
        StaticType::Any => json!({"type": "any"}),
        StaticType::OneOf(types) => json!({"type": "any", "of": all(types)}),
        StaticType::Array(element) => json!({"type": "array", "dynamic": json_of(element)}),
        StaticType::Tuple(elements) => json!({"type": "array", "static": all(elements)}),
        StaticType::Set(element) => json!({"type": "set", "of": json_of(element)}),
        StaticType::Object(properties, dynamic) => {
            let mut object = json!({"type": "object"});
            if !properties.is_empty() {
                let properties = properties.iter();
                object["static"] =
                    properties.map(|(key, of)| json!({"key": key, "value": json_of(of)})).collect();
            }
            if let Some((key, value)) = dynamic {
                object["dynamic"] = json!({"key": json_of(key), "value": json_of(value)});
            }
            object
        }
    }
}

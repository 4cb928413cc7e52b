use std::io::Write as _;
use std::process::Command;

use serde_json::Value;

use super::{DECLARATIONS, OPA_VERSION, REFUSED, capabilities, declaration};

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
fn the_capabilities_are_those_that_opa_declares_without_the_network() {
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
    let ours = capabilities();
    assert_eq!(ours["future_keywords"], theirs["future_keywords"]);
    assert_eq!(ours["features"], theirs["features"]);
    let theirs = theirs["builtins"].as_array().unwrap();
    let refused = |builtin: &&Value| REFUSED.iter().any(|(name, _)| builtin["name"] == *name);
    assert_eq!(theirs.iter().filter(refused).count(), REFUSED.len());
    let shared: Vec<&Value> = theirs.iter().filter(|builtin| !refused(builtin)).collect();
    let ours = ours["builtins"].as_array().unwrap();
    assert_eq!(ours.len(), shared.len());
    for (ours, theirs) in ours.iter().zip(shared) {
        assert_eq!(ours, theirs);
    }
}

/// Reports this past the test harness, which captures the output of passing tests.
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

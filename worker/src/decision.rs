//! Turns the values of a tenant's rules into a typed decision or an error, and nothing in between.

use enforcer_protocol::{
    Decision, Diagnostic, DiagnosticCode, MAX_DECISION_STRING, MAX_REDACTIONS,
};
use enforcer_rego::Value;

use crate::value::member;

/// The values of the rules `allow`, `redact` and `reason`; [`Value::Undefined`] for a rule without
/// a value.
#[derive(Debug)]
pub(crate) struct RuleValues {
    pub(crate) allow: Value,
    pub(crate) redact: Value,
    pub(crate) reason: Value,
}

/// Decides. An undefined `allow` is a deny; anything of the wrong type is an error, because a
/// policy that gives nonsense for one rule cannot be trusted with another.
pub(crate) fn decide(values: RuleValues) -> Result<Decision, Diagnostic> {
    let (allow, redact, reason) = match &values.allow {
        Value::Undefined => (false, &values.redact, &values.reason),
        Value::Bool(allow) => (*allow, &values.redact, &values.reason),
        // The policy answers with one object instead of three rules.
        Value::Object(_) => match member(&values.allow, "allow") {
            Value::Bool(allow) => {
                (*allow, member(&values.allow, "redact"), member(&values.allow, "reason"))
            }
            other => {
                return Err(wrong_type("allow.allow", "a boolean", other));
            }
        },
        other => {
            return Err(wrong_type("allow", "a boolean, or an object with a boolean allow", other));
        }
    };
    Ok(Decision { allow, redact: redactions(redact)?, reason: reason_text(reason)? })
}

fn redactions(value: &Value) -> Result<Vec<String>, Diagnostic> {
    let expected = "an array or set of strings";
    let names: Vec<&Value> = match value {
        Value::Undefined => return Ok(Vec::new()),
        Value::Array(array) => array.iter().collect(),
        // A set iterates in sorted order.
        Value::Set(set) => set.iter().collect(),
        other => return Err(wrong_type("redact", expected, other)),
    };
    if names.len() > MAX_REDACTIONS {
        return Err(too_long(format!("redact names {} paths", names.len()), MAX_REDACTIONS));
    }
    names
        .into_iter()
        .map(|name| match name {
            Value::String(text) => bounded("a path in redact", text),
            other => Err(wrong_type("redact", expected, other)),
        })
        .collect()
}

fn reason_text(value: &Value) -> Result<Option<String>, Diagnostic> {
    match value {
        Value::Undefined | Value::Null => Ok(None),
        Value::String(text) => bounded("reason", text).map(Some),
        other => Err(wrong_type("reason", "a string or null", other)),
    }
}

fn bounded(what: &str, text: &str) -> Result<String, Diagnostic> {
    if text.len() > MAX_DECISION_STRING {
        return Err(too_long(format!("{what} has {} bytes", text.len()), MAX_DECISION_STRING));
    }
    Ok(text.to_owned())
}

fn wrong_type(what: &str, expected: &str, found: &Value) -> Diagnostic {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "undefined",
    };
    type_error(format!("{what} must be {expected}, and is {found}"))
}

fn too_long(what: String, limit: usize) -> Diagnostic {
    type_error(format!("{what}; the limit is {limit}"))
}

const fn type_error(message: String) -> Diagnostic {
    Diagnostic { code: DiagnosticCode::Type, message, location: None, line: None, help: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        if json.is_empty() { Value::Undefined } else { Value::from_json_str(json).unwrap() }
    }

    fn decided(allow: &str, redact: &str, reason: &str) -> Result<Decision, String> {
        let values =
            RuleValues { allow: value(allow), redact: value(redact), reason: value(reason) };
        decide(values).map_err(|diagnostic| diagnostic.message)
    }

    fn decision(allow: bool, redact: &[&str], reason: Option<&str>) -> Result<Decision, String> {
        let redact = redact.iter().map(|&name| name.to_owned()).collect();
        Ok(Decision { allow, redact, reason: reason.map(str::to_owned) })
    }

    #[test]
    fn three_rules_make_a_decision() {
        let expected = decision(true, &["b", "a"], Some("because"));
        assert_eq!(decided("true", r#"["b","a"]"#, r#""because""#), expected);
        assert_eq!(decided("false", "[]", "null"), decision(false, &[], None));
    }

    #[test]
    fn nothing_defined_is_a_deny() {
        assert_eq!(decided("", "", ""), decision(false, &[], None));
    }

    #[test]
    fn an_object_answers_for_all_three() {
        let object = r#"{"allow":true,"redact":["x"],"reason":"r"}"#;
        assert_eq!(
            decided(object, r#"["not this"]"#, r#""nor this""#),
            decision(true, &["x"], Some("r"))
        );
    }

    #[test]
    fn a_set_is_sorted() {
        let set =
            ["b", "c", "a"].into_iter().map(Value::from).collect::<std::collections::BTreeSet<_>>();
        let values = RuleValues {
            allow: Value::Bool(true),
            redact: Value::from(set),
            reason: Value::Undefined,
        };
        assert_eq!(decide(values).unwrap().redact, ["a", "b", "c"]);
    }

    #[test]
    fn any_other_type_is_an_error_and_never_an_allow() {
        for allow in [
            "null",
            "1",
            r#""true""#,
            "[true]",
            "{}",
            r#"{"allow":"yes"}"#,
            r#"{"allow":{"allow":true}}"#,
        ] {
            assert!(decided(allow, "", "").unwrap_err().starts_with("allow"), "{allow}");
        }
        for redact in ["null", "true", r#""pii""#, "{}", "[1]", r#"["a",null]"#] {
            assert!(decided("true", redact, "").unwrap_err().starts_with("redact"), "{redact}");
        }
        for reason in ["1", "false", "[]", "{}"] {
            assert!(decided("true", "", reason).unwrap_err().starts_with("reason"), "{reason}");
        }
    }

    #[test]
    fn a_decision_over_its_bounds_is_an_error() {
        let long = format!("\"{}\"", "x".repeat(MAX_DECISION_STRING + 1));
        assert!(decided("true", "", &long).unwrap_err().contains("limit"));
        assert!(decided("true", &format!("[{long}]"), "").unwrap_err().contains("limit"));
        let many = format!("[\"a\"{}]", ",\"a\"".repeat(MAX_REDACTIONS));
        assert!(decided("true", &many, "").unwrap_err().contains("limit"));
    }
}

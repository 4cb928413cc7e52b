use std::time::{Duration, Instant};

use regorus::Value;

use super::*;

/// The context of one evaluation.
pub(super) fn context() -> Context {
    Context::new(0, Instant::now() + Duration::from_secs(10))
}

/// Calls a built-in with arguments that are JSON.
pub(super) fn call(name: &str, args: &[&str]) -> Answer {
    let args: Vec<Value> = args.iter().map(|a| Value::from_json_str(a).unwrap()).collect();
    function(name).unwrap()(&mut context(), &args)
}

/// Calls built-ins with arguments that are JSON, and compares with OPA's answers: JSON, or the
/// message of an error.
pub(super) fn agree(calls: &[(&str, &[&str], &str)]) {
    for (name, args, expected) in calls {
        match (call(name, args), expected.strip_prefix("error: ")) {
            (Ok(value), None) => {
                let expected = crate::json::parse(expected.as_bytes()).unwrap();
                assert_eq!(value, expected, "{name}({})", args.join(", "));
            }
            (Err(failure), Some(words)) => {
                assert_eq!(failure.to_string(), words, "{name}({})", args.join(", "));
            }
            (answer, _) => panic!("{name}({}): {answer:?}, not {expected}", args.join(", ")),
        }
    }
}

#[test]
fn every_function_is_found_by_its_name() {
    for (i, (name, _)) in registry::FUNCTIONS.iter().enumerate() {
        assert_eq!(index_of(name), Some(i), "{name}");
    }
}

#[test]
fn sums_of_decimals_are_decimal() {
    let expected = Value::from_json_str("0.3").unwrap();
    assert_eq!(call("plus", &["0.1", "0.2"]), Ok(expected));
}

#[test]
fn the_two_halves_of_all_addresses_are_all_addresses() {
    let merged = |networks: &str| call("net.cidr_merge", &[networks]).map(|all| all.to_string());
    assert_eq!(merged(r#"["8000::/1", "::/1"]"#), Ok(r#"["::/0"]"#.to_owned()));
    assert_eq!(merged(r#"["128.0.0.0/1", "0.0.0.0/1"]"#), Ok(r#"["0.0.0.0/0"]"#.to_owned()));
}

/// The time of OPA's answers in the tables of calls.
const TABLE_NOW_NS: i64 = 1_800_000_000_000_000_000;

/// Checks a table of calls with OPA's answers, one JSON object a line: either a text that other
/// lines refer to by its name (`<name>`), or a call. Only the kind of an error is checked. With
/// `first`, the answer is an array, and its first element is given.
pub(super) fn table(lines: &str) {
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let line =
            texts.iter().fold(line.to_owned(), |line, (name, text)| line.replace(name, text));
        let call: Value = crate::json::parse(line.as_bytes()).unwrap();
        let field = |name: &str| call.as_object().unwrap().get(&Value::from(name)).cloned();
        if let Some(Value::String(name)) = field("text") {
            let text = json::write::marshal(&field("is").unwrap(), None).unwrap();
            let plain = text[1..text.len() - 1].replace("\\u003c", "<").replace("\\u003e", ">");
            texts.push((format!("<{name}>"), plain.replace("\\u0026", "&")));
            continue;
        }
        let name = field("name").unwrap();
        let args: Vec<Value> = field("args").unwrap().as_array().unwrap().iter().cloned().collect();
        let mut context = Context::new(TABLE_NOW_NS, Instant::now() + Duration::from_secs(60));
        let ours = function(name.as_string().unwrap()).unwrap()(&mut context, &args);
        let kind = match &ours {
            Ok(_) => None,
            Err(Failure::Builtin(_)) => Some(Value::from("eval_builtin_error")),
            Err(Failure::Type(_)) => Some(Value::from("eval_type_error")),
            Err(other) => Some(Value::from(format!("{other:?}"))),
        };
        let ours = match (ours, field("first")) {
            (Ok(Value::Array(all)), Some(_)) => Ok(all.first().cloned().unwrap()),
            (ours, _) => ours,
        };
        let same = match field("error") {
            Some(error) => kind == Some(error),
            None => ours.as_ref().ok() == field("result").as_ref(),
        };
        if !same {
            wrong.push(format!("{}\n  ours: {ours:?}", line.chars().take(400).collect::<String>()));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

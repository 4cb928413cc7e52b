use std::time::{Duration, Instant};

use regorus::Value;

use super::*;

/// What one evaluation has.
pub(super) fn context() -> Context {
    Context::new(0, Instant::now() + Duration::from_secs(10))
}

/// Calls a built-in with arguments that are JSON.
pub(super) fn call(name: &str, args: &[&str]) -> Answer {
    let args: Vec<Value> = args.iter().map(|a| Value::from_json_str(a).unwrap()).collect();
    function(name).unwrap()(&mut context(), &args)
}

/// Calls built-ins with arguments that are JSON, and compares with what OPA answers: JSON, or the words of
/// an error.
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

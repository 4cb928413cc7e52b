use std::time::{Duration, Instant};

use regorus::Value;

use super::{MODULE_BYTES, parse_module};
use crate::builtins::tests::table;
use crate::builtins::{Answer, Context, Failure};

#[test]
fn a_tree_is_what_it_is_to_opa() {
    table(include_str!("tests.jsonl"));
}

fn parsed(args: [&str; 2]) -> Answer {
    let mut context = Context::new(0, Instant::now() + Duration::from_secs(60));
    parse_module(&mut context, &args.map(Value::from))
}

fn said_of(name: &str, text: &str) -> String {
    match parsed([name, text]) {
        Err(Failure::Builtin(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_has_opa_s_words_with_the_line_and_a_mark() {
    assert_eq!(
        said_of("m.rego", "package a\n\n\tp if { x = }\n"),
        "1 error occurred: m.rego:3: rego_parse_error: unexpected } token\n\tp if { x = }\n\t           ^"
    );
    assert_eq!(
        said_of("", "package a\np := 1 +\nq if ]\nr if ]\n"),
        "1 error occurred: 3:6: rego_parse_error: unexpected ] token\n\tq if ]\n\t     ^"
    );
    let many = "3 errors occurred:\n\
        m.rego:3: rego_parse_error: illegal escape sequence\n\tp := \"é\\q\"\n\t     ^\n\
        m.rego:3: rego_parse_error: illegal token\n\tp := \"é\\q\"\n\t     ^\n\
        m.rego:3: rego_parse_error: illegal token\n\tp := \"é\\q\"\n\t     ^";
    assert_eq!(said_of("m.rego", "package a\n\np := \"é\\q\"\n"), many);
}

#[test]
fn statements_that_make_no_module_are_all_named() {
    assert_eq!(
        said_of("m.rego", "package a\n\np { true }\n\nq if true\n\ns { x }\n"),
        "2 errors occurred:\n\
        m.rego:3: rego_parse_error: `if` keyword is required before rule body\n\
        m.rego:7: rego_parse_error: `if` keyword is required before rule body"
    );
    assert_eq!(said_of("", ""), "0:0: rego_parse_error: empty module");
    assert_eq!(said_of("m.rego", "# only\n"), "m.rego:0: rego_parse_error: empty module");
    let no_package = "1 error occurred: 1:1: rego_parse_error: package expected";
    assert_eq!(said_of("", "p := 1\n"), no_package);
}

#[test]
fn a_byte_order_mark_in_a_text_is_an_error() {
    let text = "package a\np := \"\\ufeff\"\n";
    assert!(said_of("a", text).starts_with("failed to parse term: "));
}

#[test]
fn a_module_that_is_too_large_or_too_deep_ends_the_evaluation() {
    let large = format!("package a\n# {}", "x".repeat(MODULE_BYTES));
    assert!(matches!(parsed(["a", &large]), Err(Failure::Halt(_))));
    let deep = |levels| format!("package a\np := {}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parsed(["a", &deep(200)]).is_ok());
    assert!(matches!(parsed(["a", &deep(390)]), Err(Failure::Halt(_))));
    // The parser's own bound is an error of the module.
    assert!(matches!(parsed(["a", &deep(4_000)]), Err(Failure::Builtin(_))));
}

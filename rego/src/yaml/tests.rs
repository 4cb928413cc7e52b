use super::*;
use crate::json;

#[test]
fn yaml_means_the_json_that_it_stands_for() {
    let text = "base: &base {a: 1, b: x}\nmerged: {<<: *base, b: 2.5}\n1: [true, null, '7']\n";
    let expected =
        r#"{"base": {"a": 1, "b": "x"}, "merged": {"a": 1, "b": 2.5}, "1": [true, null, "7"]}"#;
    assert_eq!(parse(text), Ok(json::parse(expected.as_bytes()).unwrap()));
}

#[test]
fn a_fault_has_its_place() {
    assert!(parse("a: 1\nb: [1").unwrap_err().offset > 0);
    assert!(parse("a: .nan").is_err());
    assert!(parse("? [1]\n: 2").is_err());
}

#[test]
fn what_follows_the_first_document_must_be_yaml_too() {
    assert!(parse("a: 1\n---\nb: 2\n").is_ok());
    assert!(parse("a: 1\n---\n\tb: 2\n").is_err());
    assert!(parse("  a:\nb: 1").is_err());
}

#[test]
fn a_document_that_expands_without_end_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", "));
    }
    assert!(parse(&text).is_err());
}

#[test]
fn what_is_too_deep_is_a_limit_and_no_fault_of_the_text() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "? ".repeat(5_000)] {
        assert!(value(&text, 512).unwrap_err().is_limit);
    }
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    assert!(value(&deep, 512).is_ok());
}

#[test]
fn a_byte_order_mark_counts_at_the_beginning_alone() {
    let read = |text| parse(text).unwrap().to_string();
    assert_eq!(read("\u{feff}a: 1\n"), r#"{"a":1}"#);
    assert_eq!(read("a: 1\n\u{feff}b: 2\n"), "{\"a\":1,\"\u{feff}b\":2}");
}

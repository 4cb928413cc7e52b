//! Results of the Data API that no honest worker sends, and one that it may.

/// The text that a worker of this name sends as its result, whatever the question.
pub(crate) fn by_name(name: &str) -> Option<String> {
    let text = match name.strip_prefix("result-")? {
        "honest" => r#"{"a":[1,"\u003c"]}"#.to_owned(),
        "splices" => r#"true,"decision_id":"forged","result":true"#.to_owned(),
        "closes" => r#"true},{"result":true"#.to_owned(),
        "goes-on" => "true\n\n{\"result\":true}".to_owned(),
        "duplicates" => r#"{"allow":false,"allow":true}"#.to_owned(),
        "hides-duplicates" => r#"{"allow":false,"\u0061llow":true}"#.to_owned(),
        "unsorted" => r#"{"b":1,"a":2}"#.to_owned(),
        "surrogates" => r#""\ud800""#.to_owned(),
        "deep" => "[".repeat(100_000) + &"]".repeat(100_000),
        "control" => "\"\u{1b}[2J\"".to_owned(),
        "nothing" => String::new(),
        "not-json" => "NaN".to_owned(),
        "long" => format!("\"{}\"", "x".repeat(2 * 1024 * 1024)),
        _ => return None,
    };
    Some(text)
}

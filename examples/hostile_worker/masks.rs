//! Masks that no honest worker sends, and one that it may. Each is beside a decision that allows
//! and has a reason that nobody may see.

use enforcer_protocol::{Decision, JsonText, MAX_MASKED, Mask, MaskedDecision};

/// Whether a worker of this name says that its policy has a mask.
pub(crate) fn has_mask(name: &str) -> bool {
    name.starts_with("mask-") && name != "mask-unannounced"
}

/// The mask of a worker of this name, whatever the question.
pub(crate) fn by_name(name: &str) -> Option<Mask> {
    let manner = name.strip_prefix("mask-")?;
    let input = match manner {
        "honest" | "unannounced" | "denies" => r#"{"a":[1,"\u003c"]}"#.to_owned(),
        "splices" => r#"1},"sequence":7,"x":{"y":2"#.to_owned(),
        "goes-on" => "1\n\n{\"type\":\"decision\"}".to_owned(),
        "duplicates" => r#"{"a":1,"a":2}"#.to_owned(),
        "hides-duplicates" => r#"{"a":1,"\u0061":2}"#.to_owned(),
        "unsorted" => r#"{"b":1,"a":2}"#.to_owned(),
        "surrogates" => r#""\ud800""#.to_owned(),
        "deep" => "[".repeat(100_000) + &"]".repeat(100_000),
        "nothing" => String::new(),
        "long" => format!("\"{}\"", "x".repeat(MAX_MASKED)),
        "absent" => return Some(Mask::Absent),
        "fails" => return Some(Mask::Failed("line\n\u{1b}[2Jof the log".to_owned())),
        "too-large" => return Some(Mask::TooLarge),
        _ => return None,
    };
    let decision = Decision { allow: manner != "denies", ..Decision::default() };
    let input = Some(JsonText::new(input));
    let (erased, masked) = (vec!["/input/\"},\n".to_owned()], Vec::new());
    Some(Mask::Applied(Box::new(MaskedDecision { input, decision, erased, masked })))
}

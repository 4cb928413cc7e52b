//! JSON as Go's encoder writes it, from parts that are JSON already.

use serde::Serialize;

/// Writes an object member by member.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    text: String,
}

impl ObjectWriter {
    /// An object without members yet, of about this length.
    pub(super) fn new(capacity: usize) -> Self {
        let mut text = String::with_capacity(capacity);
        text.push('{');
        Self { text }
    }

    /// Adds a member. `name` needs no escapes.
    pub(super) fn member(&mut self, name: &str, value: &impl Serialize) {
        // Only maps whose keys are not strings cannot be written, and ours all have strings.
        let value = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
        self.raw(name, &escaped(&value));
    }

    /// Adds a member whose value is JSON already.
    pub(super) fn raw(&mut self, name: &str, value: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        self.text.push_str(value);
    }

    /// The whole object.
    pub(super) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A JSON text with the characters escaped that Go's encoder escapes. They occur in strings only.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

/// How much longer a text may become by being indented.
const MAX_GROWTH: usize = 8;

/// A JSON text without whitespace, with a line for each member and element, and two spaces for each
/// level; empty collections stay as they are. `None` if that were [`MAX_GROWTH`] times as long: a
/// deep value grows with its square.
pub(super) fn indented(json: &str) -> Option<String> {
    let limit = json.len().saturating_mul(MAX_GROWTH).saturating_add(4096);
    let line = |text: &mut String, level: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", level));
    };
    let mut text = String::with_capacity(json.len() * 2);
    let (mut level, mut in_string, mut is_escaped) = (0_usize, false, false);
    let mut rest = json.chars().peekable();
    while let Some(character) = rest.next() {
        if text.len() > limit {
            return None;
        }
        if in_string {
            text.push(character);
            in_string = is_escaped || character != '"';
            is_escaped = character == '\\' && !is_escaped;
            continue;
        }
        match character {
            '{' | '[' => {
                text.push(character);
                if let Some(end) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    level += 1;
                    line(&mut text, level);
                }
            }
            '}' | ']' => {
                level = level.saturating_sub(1);
                line(&mut text, level);
                text.push(character);
            }
            ',' => {
                text.push(character);
                line(&mut text, level);
            }
            ':' => text.push_str(": "),
            other => {
                in_string = other == '"';
                text.push(other);
            }
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_has_its_members_in_order() {
        let mut object = ObjectWriter::new(0);
        object.raw("result", "[1]");
        object.member("warning", &"<a> & b");
        let expected = r#"{"result":[1],"warning":"\u003ca\u003e \u0026 b"}"#;
        assert_eq!(object.finish(), expected);
        assert_eq!(ObjectWriter::new(0).finish(), "{}");
    }

    #[test]
    fn an_indented_text_is_the_same_value_as_serde_and_go_lay_it_out() {
        for value in [
            json!({"a": [1, {"b": []}, "x, y: {z}"], "c": {}, "d": "\"\\\\\"["}),
            json!([]),
            json!("text"),
            json!([[[]]]),
        ] {
            let text = indented(&value.to_string());
            assert_eq!(text, serde_json::to_string_pretty(&value).ok());
        }
    }

    #[test]
    fn a_deep_value_does_not_grow_with_its_square() {
        assert!(indented(&("[".repeat(30) + "1" + &"]".repeat(30))).is_some());
        assert!(indented(&("[".repeat(1_000) + "1" + &"]".repeat(1_000))).is_none());
    }
}

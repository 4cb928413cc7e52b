//! Reads the engine's error texts.
//!
//! regorus reports errors as text of this form, and as nothing else:
//! ```text
//!
//! --> policy.rego:5:1
//!   |
//! 5 | }
//!   | ^
//! error: expecting expression
//! ```

use enforcer_protocol::{Diagnostic, DiagnosticCode, Location, MAX_DIAGNOSTIC_STRING};

/// The diagnostic that an error of the engine amounts to. `code` says what an error without a
/// better-known kind is.
pub(crate) fn from_engine(error: &anyhow::Error, code: DiagnosticCode) -> Diagnostic {
    let text = error.to_string();
    let (location, message) = split(&text);
    Diagnostic { code, message: shortened(without_internals(message)), location }
}

/// As [`from_engine`], for an error of an evaluation, with OPA's code for it.
pub(crate) fn from_evaluation(error: &anyhow::Error) -> Diagnostic {
    let mut diagnostic = from_engine(error, DiagnosticCode::Builtin);
    diagnostic.code = evaluation_code(&diagnostic.message);
    diagnostic
}

/// A diagnostic of a bundle's file.
pub(crate) fn in_bundle(message: impl Into<String>, location: Option<Location>) -> Diagnostic {
    let message: String = message.into();
    Diagnostic { code: DiagnosticCode::Bundle, message: shortened(&message), location }
}

/// `text`, cut to what a diagnostic may hold.
pub(crate) fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_DIAGNOSTIC_STRING)).unwrap_or_default().to_owned()
}

/// Where in a file a byte of it stands.
pub(crate) fn location_of(path: &str, content: &[u8], offset: usize) -> Location {
    let before = content.get(..offset).unwrap_or_default();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let row = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line = before.get(line_start..).unwrap_or_default();
    let col = String::from_utf8_lossy(line).chars().count() + 1;
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Location { file: shortened(path), row: number(row), col: number(col) }
}

fn split(text: &str) -> (Option<Location>, &str) {
    let Some((place, rest)) = text.strip_prefix("\n--> ").and_then(|after| after.split_once('\n'))
    else {
        return (None, first_line(text));
    };
    let message = rest.split_once("\nerror: ").map_or(rest, |(_, message)| message);
    (location(place), first_line(message))
}

fn location(place: &str) -> Option<Location> {
    let mut parts = place.rsplitn(3, ':');
    let col = parts.next()?.parse().ok()?;
    let row = parts.next()?.parse().ok()?;
    Some(Location { file: shortened(parts.next()?), row, col })
}

fn first_line(text: &str) -> &str {
    let line = text.trim_start().lines().next().unwrap_or_default();
    line.trim_end_matches([':', ' '])
}

/// A message without the values and scopes as Rust writes them, which regorus puts at the end of
/// some.
fn without_internals(message: &str) -> &str {
    /// How such a message begins, and with what its useless part does.
    const DUMPS: [(&str, &[char]); 4] = [
        ("function produced multiple outputs ", &['S']),
        ("var ", &['(']),
        ("internal error", &['(', '{', '[']),
        ("statements not scheduled ", &['{']),
    ];

    if message.starts_with(KEY_CONFLICT) {
        // A key or value of many lines is cut off behind its first.
        let end = message.find(KEY_CONFLICT_END).map(|at| at + KEY_CONFLICT_END.len());
        let whole = end.and_then(|end| message.get(..end));
        return whole.unwrap_or("value for a key generated multiple times");
    }
    DUMPS
        .iter()
        .filter_map(|(start, dump)| {
            let rest = message.strip_prefix(start)?;
            message.get(..start.len() + rest.find(*dump)?)
        })
        .next()
        .map_or(message, str::trim_end)
}

/// How regorus says that an object would have two values for a key, before it says which.
const KEY_CONFLICT: &str = "value for key `";
const KEY_CONFLICT_END: &str = " generated multiple times";

/// OPA's kind of an evaluation error, by the words regorus has for it. A built-in's complaint is
/// the rest: there are too many to list, and regorus has the fewer others.
fn evaluation_code(message: &str) -> DiagnosticCode {
    const CONFLICTS: [&str; 8] = [
        "rule conflicts with",
        "rules must not produce multiple outputs",
        "rules should not produce multiple outputs",
        "functions must not produce multiple outputs",
        "function produced multiple outputs",
        "generated multiple times",
        "previous value is not a",
        "conflict type with the default rules",
    ];
    const INTERNAL: [&str; 4] =
        ["internal error", "recursion detected", "Loop hoisting", "statements not scheduled"];

    if CONFLICTS.iter().any(|words| message.contains(words)) {
        DiagnosticCode::Conflict
    } else if message.starts_with("var ") && message.ends_with(" is unsafe") {
        // regorus looks for it in bodies before it evaluates, and in heads not.
        DiagnosticCode::Compile
    } else if message.contains("` expects ") || message.starts_with("could not find function") {
        DiagnosticCode::Type
    } else if INTERNAL.iter().any(|words| message.starts_with(words)) {
        DiagnosticCode::Internal
    } else {
        DiagnosticCode::Builtin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_text_is_taken_apart() {
        let error = anyhow::anyhow!(
            "\n--> a:b/policy.rego:12:7\n   |\n12 | x := 1\n   |      ^\nerror: rule conflicts with rule at p:2:1"
        );
        let diagnostic = from_evaluation(&error);
        assert_eq!(diagnostic.code, DiagnosticCode::Conflict);
        assert_eq!(diagnostic.message, "rule conflicts with rule at p:2:1");
        let location = diagnostic.location.unwrap();
        assert_eq!(
            (location.file.as_str(), location.row, location.col),
            ("a:b/policy.rego", 12, 7)
        );
    }

    #[test]
    fn the_engine_s_internals_are_not_shown() {
        use DiagnosticCode::{Builtin, Compile, Conflict, Internal};
        for (text, code, message) in [
            (
                "function produced multiple outputs Set({Number(1), Number(2)})",
                Conflict,
                "function produced multiple outputs",
            ),
            (
                "functions must not produce multiple outputs for same inputs",
                Conflict,
                "functions must not produce multiple outputs for same inputs",
            ),
            (
                "value for key `1` generated multiple times: `1` and `2`",
                Conflict,
                "value for key `1` generated multiple times",
            ),
            (
                "value for key `1` generated multiple times: `[\n  1\n]` and `[]`",
                Conflict,
                "value for key `1` generated multiple times",
            ),
            (
                "value for key `[\n  1\n]` generated multiple times: `1` and `2`",
                Conflict,
                "value for a key generated multiple times",
            ),
            ("previous value is not a set", Conflict, "previous value is not a set"),
            ("var x is unsafe (path [\"a\"], scopes [{}])", Compile, "var x is unsafe"),
            (
                "internal error: make: not an object Set({String(\"a\")})",
                Internal,
                "internal error: make: not an object Set",
            ),
            (
                "statements not scheduled in query {query:?}",
                Internal,
                "statements not scheduled in query",
            ),
            ("`x (1)` is no number {", Builtin, "`x (1)` is no number {"),
        ] {
            let diagnostic = from_evaluation(&anyhow::anyhow!("{text}"));
            assert_eq!((diagnostic.code, diagnostic.message.as_str()), (code, message));
        }
    }

    #[test]
    fn a_text_of_another_form_is_its_own_message() {
        let diagnostic =
            from_engine(&anyhow::anyhow!("no such thing\nand more"), DiagnosticCode::Parse);
        assert_eq!((diagnostic.message.as_str(), diagnostic.location), ("no such thing", None));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let diagnostic = in_bundle("é".repeat(MAX_DIAGNOSTIC_STRING), None);
        assert_eq!(diagnostic.message.len(), MAX_DIAGNOSTIC_STRING);
    }
}

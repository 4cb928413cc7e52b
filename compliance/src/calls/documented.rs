//! Intended differences of values from OPA's, each with its reason in `docs/rego.md`.

use crate::documented::rows;

/// One line of the list: `built-in | a part of the call | a part of OPA's answer | a part of ours`.
struct Entry {
    name: String,
    parts: [String; 3],
}

/// The list.
#[derive(Default)]
pub struct Documented(Vec<Entry>);

impl Documented {
    /// Reads a list; `#` begins a line with a reason.
    ///
    /// # Errors
    /// The line that does not have four parts, or does not name its calls.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "built-in | call | OPA | ours";
        rows(text, form)?
            .into_iter()
            .map(|[name, call, opa, ours]| {
                let parts = [call, opa, ours];
                if parts.iter().all(String::is_empty) {
                    return Err(format!("not `{form}`: {name} without a part"));
                }
                Ok(Entry { name, parts })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a difference is in the list. `*` stands for every built-in.
    #[must_use]
    pub fn holds(&self, name: &str, call: &str, opa: &str, ours: &str) -> bool {
        self.0.iter().any(|entry| {
            let is_meant = entry.name == "*" || entry.name == name;
            let mut texts = [call, opa, ours].into_iter().zip(&entry.parts);
            is_meant && texts.all(|(text, part)| text.contains(part.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_about_some_calls_and_not_about_all() {
        let list = Documented::parse("# why\nplus | 1e400 |  | Halt\n").unwrap();
        assert!(list.holds("plus", "plus(1e400)", "1", "Halt(x)"));
        assert!(!list.holds("plus", "plus(1)", "1", "Halt(x)"));
        assert!(!list.holds("minus", "minus(1e400)", "1", "Halt(x)"));
        assert!(Documented::parse("plus | | |").is_err());
        assert!(Documented::parse("plus").is_err());
    }
}

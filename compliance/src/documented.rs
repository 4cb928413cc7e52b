//! Intended differences from OPA, each documented in `docs/rego.md`.

use crate::compare::Difference;

/// One line of the list: `kind | a part of OPA's answer | a part of ours`.
struct Entry {
    kind: String,
    opa: String,
    ours: String,
}

/// The list of documented differences.
#[derive(Default)]
pub struct Documented(Vec<Entry>);

impl Documented {
    /// Reads a list; `#` begins a comment.
    ///
    /// # Errors
    /// The line that does not have three parts.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rows = rows(text, "kind | OPA | ours")?.into_iter();
        Ok(Self(rows.map(|[kind, opa, ours]| Entry { kind, opa, ours }).collect()))
    }

    /// Whether a difference is in the list. A wrong allow never is.
    #[must_use]
    pub fn holds(&self, difference: &Difference) -> bool {
        difference.kind != crate::compare::Kind::WrongAllow
            && self.0.iter().any(|entry| {
                entry.kind == difference.kind.name()
                    && difference.opa.contains(&entry.opa)
                    && difference.ours.contains(&entry.ours)
            })
    }
}

/// The lines of a list, each of as many parts between bars; `#` begins a comment.
///
/// # Errors
/// The line with a different number of parts, and the expected form.
pub(crate) fn rows<const PARTS: usize>(
    text: &str,
    form: &str,
) -> Result<Vec<[String; PARTS]>, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<String> = line.split('|').map(|part| part.trim().to_owned()).collect();
            parts.try_into().map_err(|_| format!("not `{form}`: {line}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Kind;

    #[test]
    fn a_wrong_allow_cannot_be_documented_away() {
        let list = Documented::parse("# why\nvalue | 1 | 2\nwrong-allow | |\n").unwrap();
        let mut difference = Difference {
            kind: Kind::Value,
            evaluation: None,
            opa: "1".into(),
            ours: "2".into(),
            signature: String::new(),
        };
        assert!(list.holds(&difference));
        difference.kind = Kind::WrongAllow;
        assert!(!list.holds(&difference));
        assert!(Documented::parse("value").is_err());
    }
}

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Names a tenant: 1 to 63 of `A-Z a-z 0-9 _ -`, beginning with a letter or a digit.
///
/// It is parsed once, at the edge. A value of this type can name a directory, a Rego package, a
/// metric label or a topic without being checked or escaped again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TenantId(String);

impl TenantId {
    /// Longest tenant id in bytes, as of a DNS label (RFC 1035, section 2.3.4).
    pub const MAX_LENGTH: usize = 63;

    /// The id as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = text.bytes();
        let well_formed = text.len() <= Self::MAX_LENGTH
            && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidTenantId) }
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The text is not a tenant id. It is not repeated here: it may be hostile, and the caller that
/// reports the error knows its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant id is 1 to 63 letters, digits, '_' or '-', and begins with a letter or a digit")]
pub struct InvalidTenantId;

/// Names a bundle by the SHA-256 digest of its content, so that equal bundles have equal names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision([u8; 32]);

impl Revision {
    /// The revision with this digest.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every decision is logged with it, so it is written at once.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let digits = digits.map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
        let mut text = [0; 64];
        text.iter_mut().zip(digits).for_each(|(place, digit)| *place = digit);
        formatter.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Revision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_contract_are_tenant_ids() {
        for id in ["tenant_a", "tenant-c", "A", "7", "0-_", &"x".repeat(63)] {
            assert_eq!(id.parse::<TenantId>().unwrap().as_str(), id);
        }
    }

    #[test]
    fn nothing_that_could_name_something_else_is_a_tenant_id() {
        for id in [
            "",
            ".",
            "..",
            "a/b",
            "%2e%2e",
            "-a",
            "_a",
            "a b",
            "a\n",
            "a\0",
            "tеnant", // Cyrillic е
            "ａ",     // full-width a
            "a\u{202e}",
            "a.b",
            "a\"]",
            &"x".repeat(64),
        ] {
            assert_eq!(id.parse::<TenantId>(), Err(InvalidTenantId), "{id:?}");
        }
    }

    proptest! {
        #[test]
        fn exactly_the_grammar_is_accepted(text in "[A-Za-z0-9_./% -]{0,70}") {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let expected = (1..=63).contains(&text.len())
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(allowed);
            prop_assert_eq!(text.parse::<TenantId>().is_ok(), expected);
        }
    }

    #[test]
    fn a_revision_is_shown_as_the_hex_digits_of_its_digest() {
        let mut digest = [0; 32];
        digest[0] = 0xab;
        let shown = Revision::from_digest(digest).to_string();
        assert_eq!(shown, format!("ab{}", "0".repeat(62)));
    }
}

//! The parameters of the Data API, read as OPA reads them.

use std::borrow::Cow;

use enforcer_protocol::{Explain, ExplainForm, ExplainMode};
use percent_encoding::percent_decode;

/// The parameters of a request. Others are ignored.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The last `input`.
    pub(super) input: Option<Vec<u8>>,
    /// The last `q`.
    pub(super) query: Option<Vec<u8>>,
    /// The first `explain` that is a mode.
    mode: Option<ExplainMode>,
    pub(super) pretty: bool,
    pub(super) metrics: bool,
    pub(super) instrument: bool,
    pub(super) provenance: bool,
    pub(super) strict_builtin_errors: bool,
}

impl Parameters {
    /// Reads a query.
    pub(super) fn of(query: Option<&str>) -> Self {
        let (mut input, mut text, mut mode) = (None, None, None);
        let mut flags = [const { Flag::Missing }; FLAGS.len()];
        for (name, value) in pairs(query.unwrap_or_default()) {
            if *name == *b"input" {
                input = Some(value.into_owned());
            } else if *name == *b"q" {
                text = Some(value.into_owned());
            } else if *name == *b"explain" {
                mode = mode.or_else(|| mode_of(&value));
            } else if let Some(index) = FLAGS.iter().position(|flag| *flag.as_bytes() == *name)
                && let Some(flag) = flags.get_mut(index)
            {
                flag.add(&value);
            }
        }
        let [pretty, metrics, instrument, provenance, strict_builtin_errors] =
            flags.map(|flag| flag.is_set());
        let query = text;
        Self { input, query, mode, pretty, metrics, instrument, provenance, strict_builtin_errors }
    }

    /// Which events of the evaluation are to be shown, and how.
    pub(super) fn explain(&self) -> Option<Explain> {
        let form = if self.pretty { ExplainForm::Lines } else { ExplainForm::Events };
        self.mode.map(|mode| Explain { mode, form })
    }
}

fn mode_of(value: &[u8]) -> Option<ExplainMode> {
    match value {
        b"notes" => Some(ExplainMode::Notes),
        b"fails" => Some(ExplainMode::Fails),
        b"full" => Some(ExplainMode::Full),
        b"debug" => Some(ExplainMode::Debug),
        _ => None,
    }
}

/// The parameters that are switches.
const FLAGS: [&str; 5] = ["pretty", "metrics", "instrument", "provenance", "strict-builtin-errors"];

/// The values of a switch so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Missing,
    /// Once, without a value.
    Bare,
    /// With a value `true`.
    True,
    /// With values of which none is `true`.
    Other,
}

impl Flag {
    fn add(&mut self, value: &[u8]) {
        *self = match self {
            Self::True => Self::True,
            _ if value.eq_ignore_ascii_case(b"true") => Self::True,
            Self::Missing if value.is_empty() => Self::Bare,
            Self::Missing | Self::Bare | Self::Other => Self::Other,
        };
    }

    const fn is_set(self) -> bool {
        match self {
            Self::Bare | Self::True => true,
            Self::Missing | Self::Other => false,
        }
    }
}

/// The names and values of a query, decoded. As in Go, a pair with a semicolon or an invalid escape
/// is dropped.
fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((unescaped(name)?, unescaped(value)?))
    })
}

/// `+` is a space.
fn unescaped(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    if !are_escapes_valid(text) {
        return None;
    }
    let spaced = text.replace('+', " ");
    Some(Cow::Owned(percent_decode(spaced.as_bytes()).collect()))
}

/// Whether two hexadecimal digits follow each `%`.
pub(super) fn are_escapes_valid(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPA 1.22.2's reading.
    #[test]
    fn a_switch_is_set_by_its_name_or_by_true() {
        let pretty = |query| Parameters::of(Some(query)).pretty;
        for query in ["pretty", "pretty=", "pretty=true", "pretty=TRUE", "pretty=0&pretty=true"] {
            assert!(pretty(query), "{query}");
        }
        for query in ["", "pretty=1", "pretty=yes", "pretty&pretty", "pretty=true%20", "Pretty"] {
            assert!(!pretty(query), "{query}");
        }
        assert!(Parameters::of(Some("a=b&strict-builtin-errors")).strict_builtin_errors);
        assert_eq!(Parameters::of(None), Parameters::default());
    }

    #[test]
    fn the_first_mode_of_explanations_counts() {
        let mode = |query| Parameters::of(Some(query)).explain().map(|explain| explain.mode);
        assert_eq!(mode("explain=off&explain=full&explain=notes"), Some(ExplainMode::Full));
        assert_eq!(mode("explain=Full"), None);
        assert_eq!(mode("explain"), None);
    }

    #[test]
    fn the_last_input_counts() {
        let input = |query| Parameters::of(Some(query)).input.map(String::from_utf8);
        assert_eq!(input("input=1&input=%7B+%22a%22:2}"), Some(Ok("{ \"a\":2}".to_owned())));
        assert_eq!(input("in%70ut=3"), Some(Ok("3".to_owned())));
        assert_eq!(input("input"), Some(Ok(String::new())));
        assert_eq!(input("input=1;2&x"), None);
        assert_eq!(input("input=%zz"), None);
        assert_eq!(input("input=%4"), None);
    }
}

//! Conditions of rules on the input, on base data and on arguments. A condition is necessary, never
//! sufficient.

use std::rc::Rc;

use regorus::Value;

use crate::ast::Name;

/// How many ways to reach a rule are told apart; with more, an `or` says nothing.
const MAX_PATHS: usize = 32;

/// The subject of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Input(Vec<Value>),
    Data(Vec<Value>),
    Argument(usize),
}

/// A requirement of a rule on a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It is defined, and perhaps this variable's value.
    Any(Option<Name>),
    /// It is this scalar.
    Equal(Value),
    /// It is an array of these elements, `None` of any.
    Array(Vec<Option<Value>>),
    Prefix(Rc<str>),
    Suffix(Rc<str>),
    /// It is a collection with this element.
    Member(Value),
    /// It is a text that has these parts between the delimiters.
    Glob(Rc<str>, Vec<Option<Value>>),
}

/// The conditions of a rule.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    /// All of them must hold.
    pub(crate) all: Vec<(Source, Condition)>,
    /// Of each, one list must hold.
    pub(crate) alternatives: Vec<Vec<Vec<(Source, Condition)>>>,
    /// A value must be a key of a collection of base data.
    pub(crate) memberships: Vec<(Source, Vec<Value>)>,
}

impl Condition {
    /// Whether a value can meet it; an argument may have none.
    pub(crate) fn admits(&self, value: Option<&Value>) -> bool {
        let text = value.and_then(|value| match value {
            Value::String(text) => Some(text.as_ref()),
            _ => None,
        });
        match (self, value) {
            (Self::Any(_), _) => true,
            (_, None) => false,
            (Self::Equal(wanted), Some(value)) => wanted == value,
            (Self::Array(wanted), Some(Value::Array(array))) => matches(wanted, array.as_slice()),
            (Self::Prefix(prefix), Some(_)) => text.is_some_and(|text| text.starts_with(&**prefix)),
            (Self::Suffix(suffix), Some(_)) => text.is_some_and(|text| text.ends_with(&**suffix)),
            (Self::Member(wanted), Some(Value::Array(array))) => array.iter().any(|v| v == wanted),
            (Self::Member(wanted), Some(Value::Set(set))) => set.contains(wanted),
            (Self::Member(wanted), Some(Value::Object(object))) => {
                object.iter().any(|(_, value)| value == wanted)
            }
            (Self::Glob(delimiters, wanted), Some(_)) => text.is_some_and(|text| {
                let parts = split(text, delimiters).into_iter().map(Value::from);
                matches(wanted, &parts.collect::<Vec<_>>())
            }),
            (Self::Array(_) | Self::Member(_), Some(_)) => false,
        }
    }
}

fn matches(wanted: &[Option<Value>], values: &[Value]) -> bool {
    wanted.len() == values.len()
        && wanted
            .iter()
            .zip(values)
            .all(|(wanted, value)| wanted.as_ref().is_none_or(|wanted| wanted == value))
}

impl Conditions {
    /// The lists of which one must hold.
    pub(crate) fn paths(&self) -> Vec<Vec<&(Source, Condition)>> {
        let mut paths: Vec<Vec<&(Source, Condition)>> = vec![self.all.iter().collect()];
        for alternatives in &self.alternatives {
            if paths.len() * alternatives.len() > MAX_PATHS {
                return vec![self.all.iter().collect()];
            }
            let both = |path: &Vec<_>| {
                let path = path.clone();
                alternatives.iter().map(move |more| path.iter().copied().chain(more).collect())
            };
            paths = paths.iter().flat_map(both).collect();
        }
        paths
    }
}

/// The parts of a text between delimiters that no backslash stands before.
pub(crate) fn split<'t>(text: &'t str, delimiters: &str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let (mut start, mut is_escaped) = (0, false);
    for (at, character) in text.char_indices() {
        if character == '\\' || is_escaped {
            is_escaped = !is_escaped;
        } else if delimiters.contains(character) {
            parts.extend(text.get(start..at));
            start = at + character.len_utf8();
        }
    }
    parts.extend(text.get(start..));
    parts
}

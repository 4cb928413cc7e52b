//! Constants in types: the keys of objects, as JSON.

use std::cmp::Ordering;
use std::fmt;

use crate::ast::{Name, Term, TermValue};
use crate::compile::order::compare_numbers;

/// A constant as JSON, where a set is an array of its members in order.
#[derive(Debug, Clone)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    /// The original text.
    Number(Name),
    String(Name),
    Array(Vec<Self>),
    /// Sorted by key.
    Object(Vec<(Name, Self)>),
}

impl Constant {
    /// A term as a constant, where no part of it needs an evaluation. Recurses to the term's depth.
    pub(super) fn of(value: &TermValue) -> Option<Self> {
        let all = |terms: &[Term]| -> Option<Vec<Self>> {
            terms.iter().map(|term| Self::of(&term.value)).collect()
        };
        match value {
            TermValue::Null => Some(Self::Null),
            TermValue::Bool(value) => Some(Self::Bool(*value)),
            TermValue::Number(number) => Some(Self::Number(Name::clone(number))),
            TermValue::String(string) => Some(Self::String(Name::clone(string))),
            TermValue::Array(terms) | TermValue::Set(terms) => all(terms).map(Self::Array),
            TermValue::Object(pairs) => {
                let mut fields = pairs
                    .iter()
                    .map(|(key, value)| {
                        Some((Self::of(&key.value)?.into_key(), Self::of(&value.value)?))
                    })
                    .collect::<Option<Vec<_>>>()?;
                // The last of several values for one key is kept.
                fields.reverse();
                fields.sort_by(|(left, _), (right, _)| left.cmp(right));
                fields.dedup_by(|(later, _), (earlier, _)| later == earlier);
                Some(Self::Object(fields))
            }
            TermValue::Var(_)
            | TermValue::Ref(_)
            | TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. }
            | TermValue::Call(_)
            | TermValue::TemplateString { .. } => None,
        }
    }

    /// Its name as a property of a JSON object: itself, or its JSON.
    fn into_key(self) -> Name {
        match self {
            Self::String(name) => name,
            other => other.to_json().to_string().into(),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(number) => number
                .parse::<serde_json::Number>()
                .map_or_else(|_| number.to_string().into(), serde_json::Value::Number),
            Self::String(string) => (**string).into(),
            Self::Array(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key.to_string(), value.to_json()));
                serde_json::Value::Object(fields.collect())
            }
        }
    }

    /// It as Rego writes it: with a space behind commas and colons.
    pub(super) fn as_term(&self) -> String {
        match self {
            Self::Array(elements) => {
                let elements: Vec<String> = elements.iter().map(Self::as_term).collect();
                format!("[{}]", elements.join(", "))
            }
            Self::Object(fields) => {
                let field = |(key, value): &(Name, Self)| {
                    format!("{}: {}", serde_json::Value::from(&**key), value.as_term())
                };
                let fields: Vec<String> = fields.iter().map(field).collect();
                format!("{{{}}}", fields.join(", "))
            }
            Self::Number(text) => text.to_string(),
            Self::Null | Self::Bool(_) | Self::String(_) => self.to_json().to_string(),
        }
    }

    /// Its position in an array: OPA accepts integers in their usual form, not `1.0`.
    pub(super) fn position(&self) -> Option<usize> {
        match self {
            Self::Number(number) => number.parse::<i64>().ok().and_then(|at| at.try_into().ok()),
            Self::Null | Self::Bool(_) | Self::String(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::String(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
        }
    }
}

impl Ord for Constant {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => compare_numbers(left, right),
            (Self::String(left), Self::String(right)) => left.cmp(right),
            (Self::Array(left), Self::Array(right)) => left.cmp(right),
            (Self::Object(left), Self::Object(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Constant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Constant {}

/// As a property's name in a type's text.
impl fmt::Display for Constant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(text) | Self::String(text) => formatter.write_str(text),
            other => write!(formatter, "{}", other.to_json()),
        }
    }
}

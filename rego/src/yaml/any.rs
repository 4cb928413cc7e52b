//! Values of any type, as YAML's values in Go's `interface {}`.

use std::collections::HashMap;

use crate::builtins::go::float;
use crate::builtins::go::quote::quote;

/// A value of any type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Any {
    Null,
    Bool(bool),
    Integer(i64),
    /// An integer that needs an unsigned type.
    Unsigned(u64),
    Float(f64),
    Text(String),
    /// A point in time, in the form of RFC 3339.
    Time(String),
    Sequence(Vec<Self>),
    Mapping(Mapping),
}

impl Any {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::Unsigned(_)
            | Self::Float(_)
            | Self::Time(_)
            | Self::Sequence(_)
            | Self::Mapping(_) => None,
        }
    }

    /// The equality of a key.
    ///
    /// # Errors
    /// The type of a value that cannot be a key.
    pub(super) fn identity(&self) -> Result<Identity, &'static str> {
        Ok(match self {
            Self::Null => Identity::Null,
            Self::Bool(value) => Identity::Bool(*value),
            Self::Integer(value) => Identity::Integer(*value),
            Self::Unsigned(value) => Identity::Unsigned(*value),
            // Both zeros are equal.
            Self::Float(value) => Identity::Float((value + 0.0).to_bits()),
            Self::Text(text) => Identity::Text(text.clone()),
            Self::Time(text) => Identity::Time(text.clone()),
            Self::Sequence(_) => return Err("[]interface {}"),
            Self::Mapping(mapping) => return Err(mapping.go_type()),
        })
    }

    /// As Go's `%#v` shows it.
    pub(super) fn go_syntax(&self) -> String {
        match self {
            Self::Null => "interface {}(nil)".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Unsigned(value) => format!("{value:#x}"),
            Self::Float(value) => float::format(*value, 'g', None),
            Self::Text(text) | Self::Time(text) => quote(text),
            Self::Sequence(elements) => {
                let shown: Vec<_> = elements.iter().map(Self::go_syntax).collect();
                format!("[]interface {{}}{{{}}}", shown.join(", "))
            }
            Self::Mapping(mapping) => {
                let entries = mapping.entries().iter();
                let mut shown: Vec<_> = entries
                    .map(|(key, value)| format!("{}:{}", key.go_syntax(), value.go_syntax()))
                    .collect();
                shown.sort_unstable();
                format!("{}{{{}}}", mapping.go_type(), shown.join(", "))
            }
        }
    }
}

/// The equality of keys: numbers of different types differ, as in Go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(u64),
    Text(String),
    Time(String),
}

/// Keys and values, in the order of their first appearance.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    is_of_texts: bool,
    entries: Vec<(Any, Any)>,
    places: HashMap<Identity, usize>,
}

impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.is_of_texts == other.is_of_texts && self.entries == other.entries
    }
}

impl Mapping {
    pub(super) fn new(is_of_texts: bool) -> Self {
        Self { is_of_texts, entries: Vec::new(), places: HashMap::new() }
    }

    /// Whether the keys are texts by type, so that keys of merged mappings must be too. Keys of
    /// another mapping may happen to be texts.
    pub(crate) const fn is_of_texts(&self) -> bool {
        self.is_of_texts
    }

    pub(crate) fn entries(&self) -> &[(Any, Any)] {
        &self.entries
    }

    pub(crate) fn into_entries(self) -> Vec<(Any, Any)> {
        self.entries
    }

    /// The value at a key that is a text.
    pub(crate) fn get(&self, name: &str) -> Option<&Any> {
        let place = *self.places.get(&Identity::Text(name.to_owned()))?;
        self.entries.get(place).map(|(_, value)| value)
    }

    /// Sets the value of a key, and replaces an existing one.
    pub(super) fn insert(&mut self, key: Any, identity: Identity, value: Any) {
        let place = self.places.get(&identity).and_then(|place| self.entries.get_mut(*place));
        if let Some((_, earlier)) = place {
            *earlier = value;
            return;
        }
        self.places.insert(identity, self.entries.len());
        self.entries.push((key, value));
    }

    const fn go_type(&self) -> &'static str {
        if self.is_of_texts { "map[string]interface {}" } else { "map[interface {}]interface {}" }
    }
}

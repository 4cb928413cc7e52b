//! Parts of a tree's nodes.

use regorus::Value;

pub(super) fn part<'a>(node: &'a Value, name: &str) -> Option<&'a Value> {
    match node {
        Value::Object(object) => object.get(&Value::from(name)),
        _ => None,
    }
}

pub(super) fn text<'a>(node: &'a Value, name: &str) -> &'a str {
    match part(node, name) {
        Some(Value::String(text)) => text,
        _ => "",
    }
}

pub(super) fn flag(node: &Value, name: &str) -> bool {
    matches!(part(node, name), Some(Value::Bool(true)))
}

pub(super) fn list<'a>(node: &'a Value, name: &str) -> Vec<&'a Value> {
    match part(node, name) {
        Some(Value::Array(elements)) => elements.iter().collect(),
        _ => Vec::new(),
    }
}

pub(super) fn texts<'a>(node: &'a Value, name: &str) -> Vec<&'a str> {
    list(node, name)
        .into_iter()
        .filter_map(|value| match value {
            Value::String(text) => Some(&**text),
            _ => None,
        })
        .collect()
}

/// The first of some nodes with a name.
pub(super) fn named<'a>(nodes: &[&'a Value], name: &str) -> Option<&'a Value> {
    nodes.iter().copied().find(|node| text(node, "Name") == name)
}

/// The kind of a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal {
    Variable,
    Integer,
    Float,
    Text,
    Block,
    Bool,
    Null,
    Enum,
    List,
    Object,
}

const LITERALS: [Literal; 10] = [
    Literal::Variable,
    Literal::Integer,
    Literal::Float,
    Literal::Text,
    Literal::Block,
    Literal::Bool,
    Literal::Null,
    Literal::Enum,
    Literal::List,
    Literal::Object,
];

impl Literal {
    /// The library's number of it.
    pub(super) fn number(self) -> u64 {
        LITERALS.iter().zip(0..).find(|(kind, _)| **kind == self).map_or(0, |(_, number)| number)
    }

    pub(super) fn of(value: &Value) -> Self {
        let number = match part(value, "Kind") {
            Some(Value::Number(number)) => number.as_i64().and_then(|n| usize::try_from(n).ok()),
            _ => None,
        };
        number.and_then(|number| LITERALS.get(number).copied()).unwrap_or(Self::Variable)
    }
}

/// The type of a field, an argument or a variable.
pub(super) fn type_of(node: &Value) -> &Value {
    part(node, "Type").unwrap_or(&Value::Null)
}

/// A spread has a name and no alias, a field has both.
pub(super) fn is_spread(selection: &Value) -> bool {
    part(selection, "Alias").is_none() && part(selection, "Name").is_some()
}

pub(super) fn is_inline(selection: &Value) -> bool {
    part(selection, "TypeCondition").is_some()
}

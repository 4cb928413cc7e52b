//! The kinds of value that generated policies handle, and the documents that they read.
//!
//! Names and constants come from small sets, so that look-ups often succeed and comparisons often
//! hold: most evaluations should have a value.

use std::collections::BTreeMap;

use crate::random::Random;
use crate::value::{Number, Value};

/// The type of an expression, as far as the generator plans it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Bool,
    Number,
    String,
    Any,
    Array(Box<Type>),
    Set(Box<Type>),
    /// An object of any keys that are text.
    Map(Box<Type>),
    /// An object of these keys.
    Record(Vec<(&'static str, Type)>),
}

impl Type {
    pub(crate) fn array(item: Self) -> Self {
        Self::Array(Box::new(item))
    }

    pub(crate) fn set(item: Self) -> Self {
        Self::Set(Box::new(item))
    }

    pub(crate) fn map(item: Self) -> Self {
        Self::Map(Box::new(item))
    }

    /// A type that is not a collection.
    pub(crate) fn scalar(random: &mut Random) -> Self {
        match random.below(20) {
            0..9 => Self::String,
            9..17 => Self::Number,
            17..19 => Self::Bool,
            _ => Self::Null,
        }
    }

    /// Any type, nested up to a depth.
    pub(crate) fn any(random: &mut Random, depth: usize) -> Self {
        if depth == 0 {
            return Self::scalar(random);
        }
        match random.below(10) {
            0..5 => Self::scalar(random),
            5..7 => Self::array(Self::any(random, depth - 1)),
            7 => Self::set(Self::any(random, depth - 1)),
            8 => Self::map(Self::any(random, depth - 1)),
            _ => item(),
        }
    }

    /// The types that an iteration over it binds: key and element.
    pub(crate) fn elements(&self) -> Option<(Self, Self)> {
        match self {
            Self::Array(item) => Some((Self::Number, (**item).clone())),
            Self::Set(item) => Some(((**item).clone(), (**item).clone())),
            Self::Map(item) => Some((Self::String, (**item).clone())),
            Self::Record(_) => Some((Self::String, Self::Any)),
            Self::Null | Self::Bool | Self::Number | Self::String | Self::Any => None,
        }
    }
}

pub(crate) const WORDS: &[&str] = &["a", "b", "c", "admin", "x", "read", "", "a,b", "Ä😀", "d/e"];
pub(crate) const KEYS: &[&str] = &["a", "b", "c", "x", "admin"];
pub(crate) const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "4",
    "10",
    "-1",
    "1.5",
    "0.1",
    "1e3",
    "2.50",
    "9007199254740993",
    "100000000000000000000",
];

/// An element of `input.items`.
pub(crate) fn item() -> Type {
    Type::Record(vec![
        ("id", Type::String),
        ("n", Type::Number),
        ("ok", Type::Bool),
        ("tags", Type::array(Type::String)),
    ])
}

/// The input of requests.
pub(crate) fn input() -> Type {
    Type::Record(vec![
        ("user", Type::String),
        ("n", Type::Number),
        ("m", Type::Number),
        ("flag", Type::Bool),
        ("none", Type::Null),
        ("tags", Type::array(Type::String)),
        ("nums", Type::array(Type::Number)),
        ("by", Type::map(Type::Number)),
        ("items", Type::array(item())),
        ("grid", Type::array(Type::array(Type::Number))),
        (
            "deep",
            Type::Record(vec![
                ("a", Type::Record(vec![("b", Type::Number), ("c", Type::array(Type::String))])),
                ("k", Type::String),
            ]),
        ),
        ("any", Type::Any),
    ])
}

/// The base documents, below `data.base`.
pub(crate) fn base() -> Type {
    Type::Record(vec![
        (
            "users",
            Type::map(Type::Record(vec![
                ("role", Type::String),
                ("age", Type::Number),
                ("groups", Type::array(Type::String)),
            ])),
        ),
        ("limits", Type::map(Type::Number)),
        ("words", Type::array(Type::String)),
        ("list", Type::array(Type::Any)),
        ("matrix", Type::array(Type::map(Type::Bool))),
        ("who", Type::String),
        ("count", Type::Number),
    ])
}

/// How many of a hundred parts of a document are left out or have a different type.
const DEFECTS: usize = 4;

/// A document of this type, with a defect now and then.
pub(crate) fn document(random: &mut Random, wanted: &Type) -> Value {
    if random.chance(DEFECTS) {
        let other = Type::any(random, 1);
        return exact(random, &other);
    }
    exact(random, wanted)
}

fn exact(random: &mut Random, wanted: &Type) -> Value {
    match wanted {
        Type::Null => Value::Null,
        Type::Bool => Value::Bool(random.chance(70)),
        Type::Number => Number::parse(random.pick(NUMBERS)).map_or(Value::Null, Value::Number),
        Type::String => Value::text(random.pick(WORDS)),
        Type::Any => {
            let some = Type::any(random, 2);
            exact(random, &some)
        }
        // Documents cannot have sets.
        Type::Array(item) | Type::Set(item) => {
            let length = random.between(0, 3);
            Value::Array((0..length).map(|_| document(random, item)).collect())
        }
        Type::Map(item) => {
            let length = random.between(1, 3);
            let members = (0..length)
                .map(|_| (Value::text(random.pick(KEYS)), document(random, item)))
                .collect();
            Value::Object(members)
        }
        Type::Record(fields) => {
            let mut members = BTreeMap::new();
            for (name, field) in fields {
                if !random.chance(DEFECTS) {
                    members.insert(Value::text(*name), document(random, field));
                }
            }
            Value::Object(members)
        }
    }
}

/// A step from a document into it.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Field(&'static str),
    /// Of an array.
    Index,
    /// Of a map.
    Key,
}

/// A part of a document.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) steps: Vec<Step>,
    pub(crate) content: Type,
}

/// The depth to which parts are distinguished; documents are not much deeper.
const DEEPEST_PLACE: usize = 4;

/// All parts of documents of this type.
pub(crate) fn places(document: &Type) -> Vec<Place> {
    let mut all = Vec::new();
    collect(document, &mut Vec::new(), &mut all);
    all
}

fn collect(document: &Type, steps: &mut Vec<Step>, all: &mut Vec<Place>) {
    all.push(Place { steps: steps.clone(), content: document.clone() });
    if steps.len() >= DEEPEST_PLACE {
        return;
    }
    let inner: Vec<(Step, &Type)> = match document {
        Type::Record(fields) => {
            fields.iter().map(|(name, field)| (Step::Field(name), field)).collect()
        }
        Type::Array(item) => vec![(Step::Index, &**item)],
        Type::Map(item) => vec![(Step::Key, &**item)],
        Type::Null | Type::Bool | Type::Number | Type::String | Type::Any | Type::Set(_) => {
            Vec::new()
        }
    };
    for (step, part) in inner {
        steps.push(step);
        collect(part, steps, all);
        steps.pop();
    }
}

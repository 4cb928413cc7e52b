//! The functions of templates.

use crate::builtins::go::fmt::{Arg, sprintf};
use crate::builtins::go::{unicode, url};
use crate::builtins::{Failure, bytes};

use super::NO_VALUE;

/// A function's arguments: the least number, and whether there may be more.
const FUNCTIONS: &[(&str, usize, bool)] = &[
    ("and", 1, true),
    ("call", 1, true),
    ("eq", 1, true),
    ("ge", 2, false),
    ("gt", 2, false),
    ("html", 0, true),
    ("index", 1, true),
    ("js", 0, true),
    ("le", 2, false),
    ("len", 1, false),
    ("lt", 2, false),
    ("ne", 2, false),
    ("not", 1, false),
    ("or", 1, true),
    ("print", 0, true),
    ("printf", 1, true),
    ("println", 0, true),
    ("slice", 1, true),
    ("urlquery", 0, true),
];

/// Whether a function exists.
pub(super) fn is_known(name: &str) -> bool {
    FUNCTIONS.iter().any(|(known, ..)| *known == name)
}

/// The least number of arguments, and whether there may be more.
pub(super) fn arity(name: &str) -> (usize, bool) {
    let found = FUNCTIONS.iter().find(|(known, ..)| *known == name);
    found.map_or((0, true), |(_, least, more)| (*least, *more))
}

/// A value, or no value.
pub(super) type Held = Option<Arg>;

/// Why a function has no result: Go's message, or a limit is reached.
pub(super) enum Problem {
    Words(String),
    Limit(Failure),
}

impl From<String> for Problem {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Limit(failure)
    }
}

/// Whether a value counts as true.
pub(super) fn is_true(value: Option<&Arg>) -> bool {
    match value {
        None | Some(Arg::Nil) => false,
        Some(Arg::Bool(value)) => *value,
        Some(Arg::Int(i) | Arg::MachineInt(i)) => *i != 0,
        Some(Arg::Float(f)) => *f != 0.0,
        Some(Arg::Big(_)) => true,
        Some(Arg::Text(text) | Arg::Number(text)) => !text.is_empty(),
        Some(Arg::List(elements)) => !elements.is_empty(),
        Some(Arg::Map(entries)) => !entries.is_empty(),
    }
}

/// Calls a function other than `and` and `or`, which may skip arguments.
pub(super) fn call(name: &str, args: &[Held]) -> Result<Held, Problem> {
    let first = args.first().and_then(Option::as_ref);
    let rest = args.get(1..).unwrap_or_default();
    let second = rest.first().and_then(Option::as_ref);
    Ok(Some(match name {
        "not" => Arg::Bool(!is_true(first)),
        "len" => Arg::MachineInt(length(first)?),
        "index" => return index(first, rest),
        "slice" => return slice(first, rest).map(Some),
        "eq" => Arg::Bool(equals_any(first, rest)?),
        "ne" => Arg::Bool(!equals(first, second)?),
        "lt" => Arg::Bool(is_less(first, second)?),
        "le" => Arg::Bool(is_less(first, second)? || equals(first, second)?),
        "gt" => Arg::Bool(!(is_less(first, second)? || equals(first, second)?)),
        "ge" => Arg::Bool(!is_less(first, second)?),
        "print" => Arg::Text(sprint(args)?),
        "println" => {
            let shown: Result<Vec<_>, Failure> =
                args.iter().map(|arg| show(arg.as_ref().unwrap_or(&Arg::Nil))).collect();
            Arg::Text(format!("{}\n", shown?.join(" ")))
        }
        "printf" => {
            let Some(Arg::Text(format)) = first else { return Err(String::new().into()) };
            let rest: Vec<Arg> = rest.iter().map(|arg| arg.clone().unwrap_or(Arg::Nil)).collect();
            Arg::Text(sprintf(format, &rest)?)
        }
        "html" => Arg::Text(escape_html(&printed(args)?)),
        "js" => Arg::Text(escape_js(&printed(args)?)),
        "urlquery" => Arg::Text(url::escape(&printed(args)?, url::Part::Query)),
        _ => return Err("call of nil".to_owned().into()),
    }))
}

/// As Go prints a value.
pub(super) fn show(value: &Arg) -> Result<String, Failure> {
    match value {
        Arg::Text(text) | Arg::Number(text) => Ok(text.clone()),
        other => sprintf("%v", std::slice::from_ref(other)),
    }
}

/// Values in sequence, with a space between two that are not texts.
fn sprint(args: &[Held]) -> Result<String, Failure> {
    let is_text = |arg: &Held| matches!(arg, Some(Arg::Text(_) | Arg::Number(_)));
    let mut out = String::new();
    let mut before = true;
    for (i, arg) in args.iter().enumerate() {
        let text = is_text(arg);
        if i > 0 && !text && !before {
            out.push(' ');
        }
        out.push_str(&show(arg.as_ref().unwrap_or(&Arg::Nil))?);
        before = text;
    }
    Ok(out)
}

/// The text that escaping functions get from their arguments.
fn printed(args: &[Held]) -> Result<String, Failure> {
    let args: Vec<Held> = args
        .iter()
        .map(|arg| match arg {
            None | Some(Arg::Nil) => Some(Arg::Text(NO_VALUE.to_owned())),
            some => some.clone(),
        })
        .collect();
    sprint(&args)
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn escape_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' | '\0'..' ' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c if c.is_ascii() || unicode::is_printable(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    out
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn length(value: Option<&Arg>) -> Result<i64, String> {
    match value {
        Some(Arg::Text(text) | Arg::Number(text)) => Ok(count(bytes::of(text).len())),
        Some(Arg::List(elements)) => Ok(count(elements.len())),
        Some(Arg::Map(entries)) => Ok(count(entries.len())),
        Some(Arg::Nil) => Err("len of nil pointer".to_owned()),
        Some(other) => Err(format!("len of type {}", other.type_name())),
        None => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
    }
}

/// An index into a collection of this many elements.
fn place(index: Option<&Arg>, length: usize) -> Result<usize, String> {
    match index {
        Some(Arg::MachineInt(i)) => usize::try_from(*i)
            .ok()
            .filter(|place| *place <= length)
            .ok_or_else(|| format!("index out of range: {i}")),
        None | Some(Arg::Nil) => Err("cannot index slice/array with nil".to_owned()),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.type_name())),
    }
}

fn index(value: Option<&Arg>, indexes: &[Held]) -> Result<Held, Problem> {
    let mut value = match value {
        None | Some(Arg::Nil) => return Err("index of untyped nil".to_owned().into()),
        Some(value) => value.clone(),
    };
    for index in indexes {
        let index = index.as_ref();
        value = match &value {
            Arg::Nil => return Err("index of nil pointer".to_owned().into()),
            Arg::List(elements) => {
                let place = place(index, elements.len())?;
                let missing = || "reflect: slice index out of range".to_owned();
                elements.get(place).cloned().ok_or_else(missing)?
            }
            Arg::Text(text) | Arg::Number(text) => {
                let bytes = bytes::of(text);
                let place = place(index, bytes.len())?;
                let missing = || "reflect: string index out of range".to_owned();
                Arg::MachineInt(i64::from(*bytes.get(place).ok_or_else(missing)?))
            }
            Arg::Map(entries) => {
                let key = match index {
                    Some(Arg::Text(key)) => key,
                    None | Some(Arg::Nil) => {
                        return Err("value is nil; should be of type string".to_owned().into());
                    }
                    Some(other) => {
                        let name = other.type_name();
                        let what = format!("value has type {name}; should be string");
                        return Err(what.into());
                    }
                };
                let found = entries.iter().find(|(known, _)| known == key);
                found.map_or(Arg::Nil, |(_, value)| value.clone())
            }
            other => {
                return Err(format!("can't index item of type {}", other.type_name()).into());
            }
        };
    }
    Ok(Some(value))
}

fn slice(value: Option<&Arg>, indexes: &[Held]) -> Result<Arg, Problem> {
    let Some(value) = value.filter(|value| **value != Arg::Nil) else {
        return Err("slice of untyped nil".to_owned().into());
    };
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let length = match value {
        Arg::Text(_) | Arg::Number(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned().into());
        }
        Arg::Text(text) | Arg::Number(text) => bytes::of(text).len(),
        Arg::List(elements) => elements.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name()).into()),
    };
    let places: Result<Vec<usize>, String> =
        indexes.iter().map(|index| place(index.as_ref(), length)).collect();
    let places = places?;
    let from = places.first().copied().unwrap_or(0);
    let to = places.get(1).copied().unwrap_or(length);
    let most = places.get(2).copied().unwrap_or(length);
    for (low, high) in [(from, to), (to, most)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}").into());
        }
    }
    let cut = |text: &str| {
        let bytes = bytes::of(text);
        bytes::to_text(bytes.get(from..to).unwrap_or_default())
    };
    Ok(match value {
        Arg::Text(text) => Arg::Text(cut(text)),
        Arg::Number(text) => Arg::Number(cut(text)),
        Arg::List(elements) => Arg::List(elements.get(from..to).unwrap_or_default().to_vec()),
        other => other.clone(),
    })
}

/// Kinds of values that can be compared.
#[derive(PartialEq, Eq)]
enum Kind {
    None,
    Bool,
    Integer,
    Float,
    Text,
}

fn kind(value: Option<&Arg>) -> Kind {
    match value {
        Some(Arg::Bool(_)) => Kind::Bool,
        Some(Arg::Int(_) | Arg::MachineInt(_)) => Kind::Integer,
        Some(Arg::Float(_)) => Kind::Float,
        Some(Arg::Text(_) | Arg::Number(_)) => Kind::Text,
        None | Some(Arg::Nil | Arg::Big(_) | Arg::List(_) | Arg::Map(_)) => Kind::None,
    }
}

fn without_nil(value: Option<&Arg>) -> Option<&Arg> {
    value.filter(|value| **value != Arg::Nil)
}

fn equals_any(first: Option<&Arg>, rest: &[Held]) -> Result<bool, String> {
    if rest.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in rest {
        if equals(first, other.as_ref())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(a: Option<&Arg>, b: Option<&Arg>) -> Result<bool, String> {
    let (a, b) = (without_nil(a), without_nil(b));
    if kind(a) != kind(b) {
        return match (a, b) {
            (Some(a), Some(b)) => Err(incompatible(a, b)),
            _ => Ok(false),
        };
    }
    match (a, b) {
        (None, None) => Ok(true),
        (None, _) | (_, None) => Ok(false),
        (Some(Arg::Text(a) | Arg::Number(a)), Some(Arg::Text(b) | Arg::Number(b))) => Ok(a == b),
        (Some(a @ (Arg::List(_) | Arg::Map(_))), Some(b)) => {
            let same = std::mem::discriminant(a) == std::mem::discriminant(b);
            let what = if same { "non-comparable type" } else { "non-comparable types" };
            let shown = sprintf("%s", std::slice::from_ref(b)).unwrap_or_default();
            Err(format!("{what} {shown}: {}", b.type_name()))
        }
        (Some(a), Some(b)) => Ok(a == b),
    }
}

fn incompatible(a: &Arg, b: &Arg) -> String {
    let (a, b) = (a.type_name(), b.type_name());
    format!("incompatible types for comparison: {a} and {b}")
}

fn is_less(a: Option<&Arg>, b: Option<&Arg>) -> Result<bool, String> {
    let (a, b) = (without_nil(a), without_nil(b));
    let wrong = || "invalid type for comparison".to_owned();
    let (Some(a), Some(b)) = (a, b) else { return Err(wrong()) };
    if kind(Some(a)) == Kind::None || kind(Some(b)) == Kind::None {
        return Err(wrong());
    }
    match (a, b) {
        (Arg::MachineInt(a) | Arg::Int(a), Arg::MachineInt(b) | Arg::Int(b)) => Ok(a < b),
        (Arg::Float(a), Arg::Float(b)) => Ok(a < b),
        (Arg::Text(a) | Arg::Number(a), Arg::Text(b) | Arg::Number(b)) => {
            Ok(bytes::of(a) < bytes::of(b))
        }
        (Arg::Bool(_), Arg::Bool(_)) => Err(wrong()),
        (a, b) => Err(incompatible(a, b)),
    }
}

//! Types as text, in OPA's form: `array<number>[string]`, `object<a: number>[string: any]`.

use std::fmt::{self, Write};

use super::model::{Function, Known, Type};

/// The highest length of a type's text in a message. Types of rules that use each other can be
/// larger than any text.
const MAX_LENGTH: usize = 200;

/// A type as text, truncated where it is too long for a message.
pub(super) fn of(known: Option<&Type>) -> String {
    let mut out = Bounded { text: String::new() };
    if write_known(&mut out, known).is_err() {
        out.text.push('…');
    }
    out.text
}

/// The types of arguments as text: `(number, string)`.
pub(super) fn arguments(types: &[Known]) -> String {
    let types: Vec<String> = types.iter().map(|known| of(known.as_ref())).collect();
    format!("({})", types.join(", "))
}

/// A function's parameters as text, with the names of built-ins' arguments: `(x: number, y:
/// number)`. The result can be the last argument of a call.
pub(super) fn parameters(function: &Function, with_result: bool) -> String {
    let names = function.declaration.iter().flat_map(|declaration| {
        declaration.parameters.iter().chain(&declaration.result).map(|parameter| parameter.name)
    });
    let mut names = names.chain(std::iter::repeat(None));
    let result = function.result.as_ref().filter(|_| with_result).map(Some);
    let parts = function.parameters.iter().map(Option::as_ref).chain(result);
    let mut parts: Vec<String> = parts
        .map(|part| match names.next().flatten() {
            Some(name) => format!("{name}: {}", of(part)),
            None => of(part),
        })
        .collect();
    if let Some(variadic) = &function.variadic {
        parts.push(format!("{}...", of(Some(variadic))));
    }
    format!("({})", parts.join(", "))
}

/// Text that ends at [`MAX_LENGTH`].
struct Bounded {
    text: String,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > MAX_LENGTH {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

fn write_known(out: &mut Bounded, known: Option<&Type>) -> fmt::Result {
    match known {
        None => out.write_str("???"),
        Some(of) => write_type(out, of),
    }
}

fn write_type(out: &mut Bounded, of: &Type) -> fmt::Result {
    match of {
        Type::Null => out.write_str("null"),
        Type::Boolean => out.write_str("boolean"),
        Type::Number => out.write_str("number"),
        Type::String => out.write_str("string"),
        Type::Any => out.write_str("any"),
        Type::Array(array) => {
            out.write_str("array")?;
            write_list(out, &array.items, |out, item| write_known(out, item.as_ref()))?;
            match &array.rest {
                Some(rest) => {
                    out.write_char('[')?;
                    write_type(out, rest)?;
                    out.write_char(']')
                }
                None => Ok(()),
            }
        }
        Type::Object(object) => {
            out.write_str("object")?;
            write_list(out, &object.fields, |out, (key, value)| {
                write!(out, "{key}: ")?;
                write_known(out, value.as_ref())
            })?;
            match &object.rest {
                Some((key, value)) => {
                    out.write_char('[')?;
                    write_known(out, key.as_ref())?;
                    out.write_str(": ")?;
                    write_known(out, value.as_ref())?;
                    out.write_char(']')
                }
                None => Ok(()),
            }
        }
        Type::Set(set) => {
            out.write_str("set")?;
            match &set.of {
                Some(of) => {
                    out.write_char('[')?;
                    write_type(out, of)?;
                    out.write_char(']')
                }
                None => Ok(()),
            }
        }
        Type::OneOf(one_of) => {
            out.write_str("any")?;
            write_list(out, &one_of.types, write_type)
        }
        Type::Function(function) => {
            let parameters = function.parameters.iter().map(|known| self::of(known.as_ref()));
            let parameters: Vec<String> = parameters.collect();
            write!(out, "({}) => ", parameters.join(", "))?;
            write_known(out, function.result.as_ref())
        }
    }
}

fn write_list<'i, Item: 'i>(
    out: &mut Bounded,
    items: impl IntoIterator<Item = &'i Item>,
    write: impl Fn(&mut Bounded, &Item) -> fmt::Result,
) -> fmt::Result {
    let mut is_empty = true;
    for item in items {
        out.write_str(if is_empty { "<" } else { ", " })?;
        is_empty = false;
        write(out, item)?;
    }
    if is_empty { Ok(()) } else { out.write_char('>') }
}

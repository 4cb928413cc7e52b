//! `json.*`

mod patch;
mod paths;
pub(crate) mod read;
pub(crate) mod write;

use regorus::Value;

use self::write::{Layout, marshal as to_json};
use super::operands::{argument, array, object, string, type_name, wrong};
use super::{Answer, Context, Failure, limits, order, text};

pub(super) fn marshal(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(to_json(argument(args, 1), None)?))
}

pub(super) fn marshal_with_options(_: &mut Context, args: &[Value]) -> Answer {
    let value = argument(args, 1);
    let (mut prefix, mut indent) = ("", "\t");
    let (mut asked, mut explicit) = (false, None);
    for (i, (key, option)) in order::entries(object(args, 2)?).into_iter().enumerate() {
        let wrong_text =
            |value: &Value| format!("operand {i} must be string but got {}", type_name(value));
        let Value::String(name) = key else {
            let key_text = text::term(key)?;
            let what = wrong_text(key);
            let what = format!("failed to stringify key {key_text} at index {i}: {what}");
            return Err(wrong(2, &what));
        };
        match (&**name, option) {
            ("prefix", Value::String(text)) => (prefix, asked) = (text, true),
            ("indent", Value::String(text)) => (indent, asked) = (text, true),
            ("pretty", Value::Bool(pretty)) => explicit = Some(*pretty),
            ("prefix" | "indent", other) => {
                let what = wrong_text(other);
                let name = text::term(key)?;
                return Err(wrong(2, &format!("key {name} failed cast to string: {what}")));
            }
            ("pretty", _) => {
                let name = text::term(key)?;
                return Err(wrong(2, &format!("key {name} failed cast to bool")));
            }
            _ => {
                let name = text::term(key)?;
                return Err(wrong(2, &format!("object contained unknown key {name}")));
            }
        }
    }
    let layout = explicit.unwrap_or(asked).then_some(Layout { prefix, indent });
    let json = to_json(value, layout)?;
    // Go puts no prefix before the first line; OPA does.
    Ok(Value::from(if layout.is_some() { format!("{prefix}{json}") } else { json }))
}

pub(super) fn unmarshal(_: &mut Context, args: &[Value]) -> Answer {
    read::parse(string(args, 1)?)
}

pub(super) fn is_valid(_: &mut Context, args: &[Value]) -> Answer {
    let Value::String(text) = argument(args, 1) else { return Ok(Value::from(false)) };
    Ok(Value::from(read::is_valid(text)?))
}

pub(super) fn filter(context: &mut Context, args: &[Value]) -> Answer {
    object(args, 1)?;
    let tree = paths::tree(context, args)?;
    tree.filter(argument(args, 1), 0, limits::DEPTH)
}

pub(super) fn remove(context: &mut Context, args: &[Value]) -> Answer {
    object(args, 1)?;
    let tree = paths::tree(context, args)?;
    Ok(tree.remove(argument(args, 1), 0, limits::DEPTH)?.unwrap_or(Value::Undefined))
}

pub(super) fn patch(context: &mut Context, args: &[Value]) -> Answer {
    let operations = array(args, 2)?;
    patch::patched(context, argument(args, 1), operations)
}

/// Errors of OPA's functions on paths besides operand types.
fn failed(what: impl Into<String>) -> Failure {
    Failure::Builtin(what.into())
}

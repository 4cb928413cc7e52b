//! The rules for literals in queries.

use regorus::Value;

use super::schema::Type;
use super::tree::{Literal, list, named, part, text, type_of};
use super::{DEPTH, broken, types};
use crate::builtins::Failure;
use crate::builtins::limits;

/// Scalars whose values are known.
const SCALARS: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

/// Checks that a literal fits an expected type. The variables are those of the operation.
///
/// # Errors
/// The library's message, when it does not fit.
pub(super) fn check(
    value: &Value,
    expected: &Value,
    of: &Type,
    variables: &[&Value],
) -> Result<(), Failure> {
    let kind = Literal::of(value);
    let raw = text(value, "Raw");
    let wrong = || {
        let wanted = types::show(expected);
        Err(broken(format!("Expected value of type \"{wanted}\", found {raw}.")))
    };
    if kind == Literal::Null && types::is_required(expected) {
        return wrong();
    }
    let is = |names: &[&str]| names.contains(&of.name.as_str());
    if of.kind == "SCALAR" && !is(&SCALARS) {
        return Ok(());
    }
    if !has_value(value, DEPTH)? {
        return wrong();
    }
    let fits = match kind {
        Literal::Null | Literal::Variable => true,
        Literal::List => types::element(expected).is_some(),
        Literal::Integer => is(&["Int", "Float", "ID"]),
        Literal::Float => is(&["Float"]),
        Literal::Text | Literal::Block => of.kind != "ENUM" && is(&["String", "ID"]),
        Literal::Enum => of.kind == "ENUM" && of.has_value(raw),
        Literal::Bool => is(&["Boolean"]),
        Literal::Object => return object(value, of, variables),
    };
    if fits { Ok(()) } else { wrong() }
}

/// Whether the numbers of a literal are machine numbers.
fn has_value(value: &Value, depth: usize) -> Result<bool, Failure> {
    let below = depth.checked_sub(1).ok_or_else(|| limits::exceeded("a value is too deep"))?;
    let raw = text(value, "Raw");
    match Literal::of(value) {
        Literal::Integer => Ok(raw.parse::<i64>().is_ok()),
        Literal::Float => Ok(raw.parse::<f64>().is_ok_and(f64::is_finite)),
        Literal::Bool => Ok(matches!(raw, "true" | "false")),
        Literal::List | Literal::Object => {
            for child in list(value, "Children") {
                let literal = part(child, "Value").unwrap_or(&Value::Null);
                if !has_value(literal, below)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(true),
    }
}

fn object(value: &Value, of: &Type, variables: &[&Value]) -> Result<(), Failure> {
    let children = list(value, "Children");
    let name = &of.name;
    for field in of.fields() {
        let (field_name, field_type) = (text(field, "Name"), type_of(field));
        let is_asked_for = types::is_required(field_type) && part(field, "DefaultValue").is_none();
        if is_asked_for && named(&children, field_name).is_none() {
            let shown = types::show(field_type);
            return Err(broken(format!(
                "Field \"{name}.{field_name}\" of required type \"{shown}\" was not provided."
            )));
        }
    }
    if of.has_directive("oneOf") {
        one_of(&children, name, variables)?;
    }
    for child in children {
        let child = text(child, "Name");
        if of.field(child).is_none() {
            return Err(broken(format!("Field \"{child}\" is not defined by type \"{name}\".")));
        }
    }
    Ok(())
}

fn one_of(children: &[&Value], name: &str, variables: &[&Value]) -> Result<(), Failure> {
    let [child] = children else {
        return Err(broken(format!("OneOf Input Object \"{name}\" must specify exactly one key.")));
    };
    let literal = part(child, "Value").unwrap_or(&Value::Null);
    match Literal::of(literal) {
        Literal::Null => {
            let child = text(child, "Name");
            Err(broken(format!("Field \"{name}.{child}\" must be non-null.")))
        }
        Literal::Variable => {
            let raw = text(literal, "Raw");
            let mut known = variables.iter();
            let variable = known.find(|variable| text(variable, "Variable") == raw);
            match variable {
                Some(variable) if !types::is_required(type_of(variable)) => Err(broken(format!(
                    "Variable \"${raw}\" must be non-nullable to be used for OneOf Input Object \"{name}\"."
                ))),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

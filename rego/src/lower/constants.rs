//! Terms that are constants, and their values.

use regorus::Value;
use regorus::value::{Array, Object, Set};

use crate::ast::{Term, TermValue};
use crate::compile::Key;
use crate::diagnostic::{Code, Diagnostic};
use crate::number;
use crate::source::Span;

/// A term's value where it is a constant: a scalar, or a collection of constants. `None` for a term
/// that has a variable or must be evaluated.
pub(crate) fn constant(term: &Term) -> Result<Option<Value>, Diagnostic> {
    let all = |terms: &[Term]| -> Result<Option<Vec<Value>>, Diagnostic> {
        terms.iter().map(constant).collect()
    };
    Ok(match &term.value {
        TermValue::Null => Some(Value::Null),
        TermValue::Bool(value) => Some(Value::Bool(*value)),
        TermValue::Number(text) => Some(number(text, term.span)?),
        TermValue::String(text) => Some(Value::from(&**text)),
        TermValue::Array(terms) => all(terms)?.map(|values| Array::from(values).into_value()),
        TermValue::Set(terms) => {
            all(terms)?.map(|values| values.into_iter().collect::<Set>().into_value())
        }
        TermValue::Object(items) => {
            let mut object = Object::new();
            for (key, value) in items {
                let (Some(key), Some(value)) = (constant(key)?, constant(value)?) else {
                    return Ok(None);
                };
                object.insert(key, value);
            }
            Some(object.into_value())
        }
        TermValue::Var(_)
        | TermValue::Ref(_)
        | TermValue::ArrayComprehension { .. }
        | TermValue::SetComprehension { .. }
        | TermValue::ObjectComprehension { .. }
        | TermValue::Call(_)
        | TermValue::TemplateString { .. } => None,
    })
}

/// The value of a key of the rule tree.
pub(crate) fn key_value(key: &Key, span: Option<Span>) -> Result<Value, Diagnostic> {
    Ok(match key {
        Key::Null => Value::Null,
        Key::Bool(value) => Value::Bool(*value),
        Key::String(name) => Value::from(&**name),
        Key::Number(text) => number::parse(text).map_err(|error| Diagnostic {
            code: Code::Bundle,
            message: error.to_string(),
            span,
            help: None,
        })?,
    })
}

fn number(text: &str, span: Span) -> Result<Value, Diagnostic> {
    number::parse(text).map_err(|error| Diagnostic::new(Code::Bundle, error.to_string(), span))
}

//! The types of a policy's documents, kept to check the paths that clients ask for: to OPA, such a
//! path is a query that has to compile.

use regorus::Value;

use super::constant::Constant;
use super::model::{Known, Type};
use super::text;
use super::tree::Node;
use crate::builtins::number;
use crate::compile::PathTypes;
use crate::request::{key_text, reference};

/// The types of the documents below `data`.
#[derive(Debug)]
pub(super) struct Documents(pub(super) Node);

impl PathTypes for Documents {
    fn check(&self, path: &[Value]) -> Result<(), String> {
        let mut node = &self.0;
        for (position, key) in path.iter().enumerate() {
            let key = constant(key);
            if let Some(of) = node.value() {
                return self.check_keys(of, path, position);
            }
            // Every rule is in a package, and names of packages and rules are strings.
            if position < 2 && !matches!(key, Constant::String(_)) {
                let names = node.names().map(|name| key_text(&Value::from(name)));
                let names: Vec<String> = names.take(MAX_NAMES).collect();
                let want = format!("want (one of): [{}]", names.join(" "));
                let have = format!("have (type): {}", text::of(Some(&key.type_of())));
                return Err(invalid(path, position, &have, &want));
            }
            let Some(child) = node.child_at(&key) else { return Ok(()) };
            node = child;
        }
        match node.value() {
            Some(function @ Type::Function(_)) => Err(unsupported(path, path.len(), function)),
            _ => Ok(()),
        }
    }
}

impl Documents {
    /// Checks the keys from a position on, in a value of a type.
    fn check_keys(&self, of: &Type, path: &[Value], position: usize) -> Result<(), String> {
        let mut known: Known = Some(of.clone());
        for (position, key) in path.iter().enumerate().skip(position) {
            let Some(of) = known.as_ref() else { return Ok(()) };
            let have = || format!("have: {}", key_text(key));
            if of.is_empty_collection() {
                return Err(invalid(path, position, &have(), "want (one of): []"));
            }
            let Some(keys) = of.keys() else { return Err(unsupported(path, position, of)) };
            match of.select(&constant(key)) {
                None => {
                    let names = field_names(of);
                    let want = if names.is_empty() {
                        format!("want (type): {}", text::of(Some(&keys)))
                    } else {
                        format!("want (one of): [{}]", names.join(" "))
                    };
                    return Err(invalid(path, position, &have(), &want));
                }
                child => known = child,
            }
        }
        Ok(())
    }
}

/// The constant keys that objects of a type have, as OPA writes them; at most [`MAX_NAMES`].
fn field_names(of: &Type) -> Vec<String> {
    let of_object = |of: &Type| match of {
        Type::Object(object) => object.fields.iter().map(|(key, _)| key.clone()).collect(),
        _ => Vec::new(),
    };
    let mut keys: Vec<Constant> = match of {
        Type::OneOf(one_of) => one_of.types.iter().take(MAX_NAMES).flat_map(of_object).collect(),
        other => of_object(other),
    };
    keys.sort();
    keys.dedup();
    let written = |key: &Constant| match key {
        Constant::String(text) => key_text(&Value::from(&**text)),
        other => other.as_term(),
    };
    keys.iter().take(MAX_NAMES).map(written).collect()
}

/// How many keys a message names.
const MAX_NAMES: usize = 64;

fn constant(key: &Value) -> Constant {
    match key {
        Value::Number(_) => Constant::Number(number::text::of(key).into()),
        Value::String(text) => Constant::String(text.as_ref().into()),
        other => Constant::String(other.to_string().into()),
    }
}

/// OPA's message about a key that the value cannot have.
fn invalid(path: &[Value], position: usize, have: &str, want: &str) -> String {
    let written = reference(path);
    let before = path.get(..position).map(reference).unwrap_or_default();
    let pad = " ".repeat(before.len() + 1);
    format!(
        "1 error occurred: 1:1: rego_type_error: undefined ref: {written}\n\t{written}\n\t{pad}^\n\t{pad}{have}\n\t{pad}{want}"
    )
}

/// OPA's message about a value that has no keys. `position` is the number of keys that lead to it.
fn unsupported(path: &[Value], position: usize, have: &Type) -> String {
    let written = reference(path);
    let what = match have {
        Type::Function(_) => format!("function {written} used as reference, not called"),
        _ => format!("undefined ref: {written}"),
    };
    let marks = path.get(..position).map(reference).unwrap_or_default().len();
    format!(
        "1 error occurred: 1:1: rego_type_error: {what}\n\t{written}\n\t{}\n\thave: {}",
        "^".repeat(marks),
        text::of(Some(have))
    )
}

//! A block's fields in OPA's form: authors and addresses split, references parsed.

use serde_json::{Map, Value, json};

use crate::ast::{ExprKind, RegoVersion, Term, TermValue};
use crate::compile::text;
use crate::source::FileId;

use super::super::parser::Parser;
use super::super::token::Token;
use super::super::words;
use super::any::{check_keys, go_text, to_json};
use super::raw::Raw;
use super::url;
use crate::yaml::{Any, Mapping};

/// Parses a block's fields.
///
/// # Errors
/// OPA's message.
pub(super) fn fields(raw: Raw) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    for (name, text) in [("title", raw.title), ("description", raw.description)] {
        if !text.is_empty() {
            fields.insert(name.to_owned(), text.into());
        }
    }
    if raw.entrypoint {
        fields.insert("entrypoint".to_owned(), true.into());
    }
    let mut list = |name: &str, items: Vec<Value>| {
        if !items.is_empty() {
            fields.insert(name.to_owned(), items.into());
        }
    };
    list("organizations", raw.organizations.into_iter().map(Value::from).collect());
    let related: Result<Vec<Value>, String> = raw
        .related_resources
        .iter()
        .map(|item| related(item).map_err(|error| about(item, "related-resource", &error)))
        .collect();
    list("related_resources", related?);
    let compile = raw.compile.map(compile).transpose()?;
    list("schemas", raw.schemas.into_iter().map(schema).collect::<Result<_, _>>()?);
    let authors: Result<Vec<Value>, String> = raw
        .authors
        .iter()
        .map(|item| author(item).map_err(|error| about(item, "author", &error)))
        .collect();
    list("authors", authors?);
    if let Some(compile) = compile {
        fields.insert("compile".to_owned(), compile);
    }
    for (name, members) in [("custom", raw.custom), ("labels", raw.labels)] {
        let mut values = Map::new();
        for (key, value) in members.iter().flat_map(Mapping::entries) {
            check_keys(value, &[])?;
            values.insert(key.as_text().unwrap_or_default().to_owned(), to_json(value));
        }
        if !values.is_empty() {
            fields.insert(name.to_owned(), values.into());
        }
    }
    Ok(fields)
}

fn about(item: &Any, what: &str, error: &str) -> String {
    format!("invalid {what} definition {}: {error}", go_text(item))
}

/// A member that is a string, without spaces around it.
fn member<'a>(item: &'a Mapping, name: &str) -> &'a str {
    item.get(name).and_then(Any::as_text).unwrap_or_default().trim()
}

fn related(item: &Any) -> Result<Value, String> {
    check_keys(item, &[])?;
    match item {
        Any::Mapping(item) => {
            let (description, address) = (member(item, "description"), member(item, "ref"));
            if address.is_empty() {
                return Err("'ref' value required in object".to_owned());
            }
            let address = url::normalize(address)?;
            Ok(if description.is_empty() {
                json!({ "ref": address })
            } else {
                json!({ "ref": address, "description": description })
            })
        }
        _ => match item.as_text() {
            Some("") => Err("ref URL may not be empty string".to_owned()),
            Some(address) => Ok(json!({ "ref": url::normalize(address)? })),
            None => Err("invalid value type, must be string or map".to_owned()),
        },
    }
}

fn author(item: &Any) -> Result<Value, String> {
    check_keys(item, &[])?;
    let (name, email) = match item {
        Any::Mapping(item) => {
            let (name, email) = (member(item, "name"), member(item, "email"));
            if name.is_empty() && email.is_empty() {
                return Err("'name' and/or 'email' values required in object".to_owned());
            }
            (name.to_owned(), email)
        }
        _ => {
            let text = item.as_text().ok_or("invalid value type, must be string or map")?;
            author_text(text)?
        }
    };
    Ok(if email.is_empty() {
        json!({ "name": name })
    } else {
        json!({ "name": name, "email": email })
    })
}

/// `Given Family <address>`
fn author_text(text: &str) -> Result<(String, &str), String> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let last = *words.last().ok_or("author is an empty string")?;
    let email = last.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    if email.is_some() {
        words.pop();
    }
    Ok((words.join(" "), email.unwrap_or_default()))
}

fn compile(members: Mapping) -> Result<Value, String> {
    let mut compile = Map::new();
    for (key, value) in members.entries() {
        let Some(name) = key.as_text() else { continue };
        match (name, value) {
            ("unknowns", Any::Sequence(items)) if !items.is_empty() => {
                let unknowns: Result<Vec<Value>, String> = items.iter().map(unknown).collect();
                compile.insert(name.to_owned(), unknowns?.into());
            }
            ("mask_rule", _) => {
                let Some(text) = value.as_text() else { continue };
                let mask = term(text)
                    .ok_or_else(|| format!("invalid mask_rule annotation {text:?}: no term"))?;
                let mask = match &mask.value {
                    TermValue::Var(_) | TermValue::String(_) => json(&[mask]),
                    TermValue::Ref(keys) => json(keys),
                    _ => return Err(format!("invalid mask_rule annotation type {text:?}: string")),
                };
                compile.insert(name.to_owned(), mask);
            }
            _ => {}
        }
    }
    Ok(compile.into())
}

fn unknown(item: &Any) -> Result<Value, String> {
    let Some(text) = item.as_text() else { return Ok(Value::Null) };
    match term(text) {
        Some(Term { value: TermValue::Ref(keys), .. }) => Ok(json(&keys)),
        Some(term) => Err(format!(
            "invalid unknowns element {text:?}: expected ref but got {}",
            words::term(&term)
        )),
        None => Err(format!("invalid unknowns element {text:?}: failed to parse ref")),
    }
}

fn schema(pair: Option<Mapping>) -> Result<Value, String> {
    let pair = pair.and_then(|pair| pair.into_entries().into_iter().next());
    let (key, value) = pair.unwrap_or((Any::Null, Any::Null));
    let path = key.as_text().unwrap_or_default();
    let Some(Term { value: TermValue::Ref(keys), .. }) = term(path) else {
        return Err("invalid document reference".to_owned());
    };
    let keys = json(&keys);
    match &value {
        Any::Mapping(mapping) if mapping.is_of_texts() => {
            Ok(json!({ "path": keys, "definition": to_json(&value) }))
        }
        _ => match value.as_text() {
            Some(text) => Ok(json!({ "path": keys, "schema": schema_path(text)? })),
            None => Err(format!("invalid schema declaration for path {path:?}")),
        },
    }
}

/// `schema`, `schema.x`
fn schema_path(text: &str) -> Result<Value, String> {
    let is_root = |term: &Term| matches!(&term.value, TermValue::Var(name) if &**name == "schema");
    match term(text) {
        Some(root) if is_root(&root) => Ok(json(&[root])),
        Some(Term { value: TermValue::Ref(keys), .. }) if keys.first().is_some_and(is_root) => {
            Ok(json(&keys))
        }
        _ => Err("invalid schema reference".to_owned()),
    }
}

/// A term from a separate text.
fn term(text: &str) -> Option<Term> {
    let mut parser = Parser::new(text, FileId(0), RegoVersion::V1);
    let body = parser.query(true, Token::Eof)?;
    let is_whole = parser.s.token == Token::Eof && !parser.has_faults();
    let [only] = <[_; 1]>::try_from(body).ok().filter(|_| is_whole)?;
    match only.kind {
        ExprKind::Term(term) => Some(term),
        _ => None,
    }
}

/// Keys as OPA's JSON, without places, which would refer to the separate text.
fn json(keys: &[Term]) -> Value {
    keys.iter()
        .map(|key| {
            let value = match &key.value {
                TermValue::Null => json!({}),
                TermValue::Bool(value) => json!(value),
                TermValue::Number(number) => number.parse().map_or(Value::Null, Value::Number),
                TermValue::String(text) | TermValue::Var(text) => json!(&**text),
                TermValue::Ref(keys) => json(keys),
                _ => json!(words::term(key)),
            };
            json!({ "type": text::kind(&key.value), "value": value })
        })
        .collect()
}

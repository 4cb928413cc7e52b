//! The documents that references of a schema can lead to.

use std::collections::{BTreeMap, HashMap};

use regorus::Value;

use super::describe::{failed, must_be_of_type};
use super::{DEPTH, Draft};
use crate::builtins::go::url::{self, Url};
use crate::builtins::json::read;
use crate::builtins::{Answer, Failure, limits, order};

/// The drafts' own schemas.
const DRAFTS: [(&str, Draft, &str); 3] = [
    ("http://json-schema.org/draft-04/schema", Draft::Four, include_str!("draft-04.json")),
    ("http://json-schema.org/draft-06/schema", Draft::Six, include_str!("draft-06.json")),
    ("http://json-schema.org/draft-07/schema", Draft::Seven, include_str!("draft-07.json")),
];

/// A document, and its declared draft.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) draft: Option<Draft>,
}

/// Documents by their URLs.
#[derive(Debug, Default)]
pub(super) struct Pool(HashMap<String, Option<Document>>);

/// The declared draft of a schema.
///
/// # Errors
/// When it is not a schema, or the draft is not a text.
pub(super) fn draft_of(document: &Value) -> Result<Option<Draft>, Failure> {
    match document {
        Value::Bool(_) => Ok(None),
        Value::Object(object) => match object.get(&Value::from("$schema")) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let url = url::parse(text)?.to_string();
                Ok(DRAFTS.iter().find(|(known, ..)| *known == url).map(|(_, draft, _)| *draft))
            }
            Some(_) => Err(must_be_of_type("$schema", "string")),
        },
        _ => Err(failed("schema is invalid".to_owned())),
    }
}

impl Pool {
    /// Adds a document and all its parts with identifiers, and makes its references absolute.
    pub(super) fn add(&mut self, document: &Value, base: &Url) -> Answer {
        let name = base.to_string();
        self.check(&name)?;
        let draft = draft_of(document)?;
        let value = self.resolved(document, base, draft, DEPTH)?;
        self.0.insert(name, Some(Document { value: value.clone(), draft }));
        Ok(value)
    }

    fn check(&self, name: &str) -> Result<(), Failure> {
        if self.0.contains_key(name) {
            return Err(failed(format!("Reference already exists: \"{name}\"")));
        }
        Ok(())
    }

    fn resolved(
        &mut self,
        value: &Value,
        base: &Url,
        draft: Option<Draft>,
        depth: usize,
    ) -> Answer {
        let below = depth.checked_sub(1).ok_or_else(|| limits::exceeded("a schema is too deep"))?;
        match value {
            Value::Array(array) => {
                let elements: Result<Vec<Value>, Failure> =
                    array.iter().map(|v| self.resolved(v, base, draft, below)).collect();
                Ok(Value::from(elements?))
            }
            Value::Object(object) => {
                let get = |key: &str| match object.get(&Value::from(key)) {
                    Some(Value::String(text)) => Some(&**text),
                    _ => None,
                };
                let has_old_key = object.get(&Value::from("id")).is_some();
                let id = get(if has_old_key { "id" } else { "$id" });
                let own = id.and_then(|id| inherited(base, id));
                let name = own.as_ref().map(Url::to_string);
                if let Some(name) = &name {
                    self.check(name)?;
                    self.0.insert(name.clone(), None);
                }
                let base = own.as_ref().unwrap_or(base);
                let reference = get("$ref").and_then(|text| inherited(base, text));
                let mut entries = BTreeMap::new();
                for (key, value) in order::entries(object) {
                    let value = match (key, &reference) {
                        (Value::String(name), Some(url)) if &**name == "$ref" => {
                            Value::from(url.to_string())
                        }
                        (Value::String(name), _) => {
                            self.keyword(name, value, base, draft, below)?
                        }
                        _ => value.clone(),
                    };
                    entries.insert(key.clone(), value);
                }
                let value = Value::from(entries);
                if let Some(name) = name {
                    self.0.insert(name, Some(Document { value: value.clone(), draft }));
                }
                Ok(value)
            }
            other => Ok(other.clone()),
        }
    }

    fn keyword(
        &mut self,
        name: &str,
        value: &Value,
        base: &Url,
        draft: Option<Draft>,
        depth: usize,
    ) -> Answer {
        match name {
            // These are values, not schemas.
            "const" | "enum" => Ok(value.clone()),
            // The keys of these are names, not keywords.
            "properties" | "dependencies" | "patternProperties" => match value {
                Value::Object(children) => {
                    let mut entries = BTreeMap::new();
                    for (key, child) in order::entries(children) {
                        entries.insert(key.clone(), self.resolved(child, base, draft, depth)?);
                    }
                    Ok(Value::from(entries))
                }
                other => Ok(other.clone()),
            },
            _ => self.resolved(value, base, draft, depth),
        }
    }

    /// The target of a reference.
    ///
    /// # Errors
    /// When it does not exist, or would have to be fetched.
    pub(super) fn find(&mut self, reference: &Url) -> Result<Document, Failure> {
        let name = reference.to_string();
        if let Some(Some(document)) = self.0.get(&name) {
            return Ok(document.clone());
        }
        let whole =
            Url { fragment: String::new(), raw_fragment: String::new(), ..reference.clone() };
        let whole_name = whole.to_string();
        if let Some(Some(document)) = self.0.get(&whole_name) {
            let value = pointed(&document.value, &reference.fragment)?;
            let document = Document { value, draft: document.draft };
            self.0.insert(name, Some(document.clone()));
            return Ok(document);
        }
        let is_file = reference.scheme == "file";
        let is_canonical = if is_file {
            reference.path.starts_with('/')
        } else {
            !reference.scheme.is_empty() && !reference.host.is_empty()
        };
        if !is_canonical {
            return Err(failed(format!("Reference {name} must be canonical")));
        }
        let known = DRAFTS.iter().find(|(known, ..)| *known == whole_name);
        let Some((_, draft, text)) = known.filter(|_| !is_file) else {
            return Err(failed(format!("remote reference loading disabled: {name}")));
        };
        let document = self.add(&read::parse(text)?, &whole)?;
        let value = pointed(&document, &reference.fragment)?;
        Ok(Document { value, draft: Some(*draft) })
    }
}

fn inherited(base: &Url, reference: &str) -> Option<Url> {
    let base = Url { fragment: String::new(), ..base.clone() };
    let resolved = base.resolve(&url::parse(reference).ok()?);
    url::parse(&resolved.to_string()).ok()
}

/// The target of a JSON pointer. An invalid pointer leads to the whole document.
fn pointed(document: &Value, pointer: &str) -> Answer {
    let Some(path) = pointer.strip_prefix('/') else { return Ok(document.clone()) };
    let mut value = document;
    for token in path.split('/') {
        value = match value {
            Value::Object(object) => {
                let key = token.replace("~1", "/").replace("~0", "~");
                let found = object.get(&Value::from(key.as_str()));
                found.ok_or_else(|| failed(format!("Object has no key '{key}'")))?
            }
            Value::Array(array) => {
                let index: i64 =
                    token.parse().map_err(|_| failed(format!("Invalid array index '{token}'")))?;
                let found = usize::try_from(index).ok().and_then(|index| array.get(index));
                found.ok_or_else(|| {
                    failed(format!("Out of bound array[0,{}] index '{index}'", array.len()))
                })?
            }
            _ => return Err(failed(format!("Invalid token reference '{token}'"))),
        };
    }
    Ok(value.clone())
}

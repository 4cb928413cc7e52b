//! Reads folders of files without changes.

use std::collections::BTreeMap;
use std::path::Path;

use crate::json;
use crate::tool::Failure;
use crate::value::{Number, Value};

/// The highest depth of nested folders, which bounds cycles of links.
const DEEPEST: usize = 40;

/// All files below a folder whose path is wanted, with that path, `/` between its parts.
///
/// # Errors
/// A folder that cannot be listed.
pub fn below(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    list(root, "", 0, wanted, &mut found)?;
    found.sort();
    Ok(found)
}

fn list(
    folder: &Path,
    prefix: &str,
    depth: usize,
    wanted: &dyn Fn(&str) -> bool,
    found: &mut Vec<String>,
) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(Failure::file(folder))? {
        let entry = entry.map_err(Failure::file(folder))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().map_err(Failure::file(entry.path()))?;
        if kind.is_dir() && depth < DEEPEST && name != ".git" {
            list(&entry.path(), &path, depth + 1, wanted, found)?;
        } else if kind.is_file() && wanted(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// A file's text; invalid UTF-8 is replaced.
///
/// # Errors
/// A file that cannot be read.
pub fn text(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(Failure::file(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The documents in a file of JSON or YAML.
///
/// # Errors
/// A file that cannot be read, or that does not hold such documents.
pub fn document(path: &Path) -> Result<Value, Failure> {
    let text = text(path)?;
    if path.extension().is_some_and(|extension| extension == "json") {
        return json::parse(&text).map_err(|reason| Failure::content(path, reason));
    }
    let yaml: yaml_serde::Value =
        yaml_serde::from_str(&text).map_err(|reason| Failure::content(path, reason))?;
    Ok(from_yaml(&yaml))
}

fn from_yaml(yaml: &yaml_serde::Value) -> Value {
    match yaml {
        yaml_serde::Value::Null => Value::Null,
        yaml_serde::Value::Bool(bool) => Value::Bool(*bool),
        yaml_serde::Value::Number(number) => {
            Number::parse(&number.to_string()).map_or(Value::Null, Value::Number)
        }
        yaml_serde::Value::String(text) => Value::text(text.clone()),
        yaml_serde::Value::Sequence(items) => Value::Array(items.iter().map(from_yaml).collect()),
        yaml_serde::Value::Mapping(members) => {
            let mut object = BTreeMap::new();
            for (key, member) in members {
                let key = match from_yaml(key) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                object.insert(Value::String(key), from_yaml(member));
            }
            Value::Object(object)
        }
        yaml_serde::Value::Tagged(tagged) => from_yaml(&tagged.value),
    }
}

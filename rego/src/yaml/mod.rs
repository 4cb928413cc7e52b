//! YAML as OPA reads and writes it: with Go's `yaml.v3`, as the JSON that it stands for.

mod any;
mod decode;
mod emit;
mod float;
mod json;
mod parse;
mod resolve;
mod scan;
mod time;

#[cfg(test)]
mod tests;

use regorus::Value;

pub(crate) use any::{Any, Mapping};
pub(crate) use decode::Decoder;
pub(crate) use parse::Index;

/// Levels of a document, as for JSON.
const MAX_DEPTH: usize = 127;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct YamlError {
    /// What is wrong, for the person who wrote the document, in Go's words.
    pub(crate) message: String,
    /// Where, in bytes from the document's beginning; 0 where it is not known.
    pub(crate) offset: usize,
    /// Whether it is no fault of the document that it is too much.
    pub(crate) is_limit: bool,
}

impl YamlError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), offset: 0, is_limit: false }
    }

    /// A failure of Go's package, at a place.
    fn at(offset: usize, what: String) -> Self {
        Self { message: format!("yaml: {what}"), offset, is_limit: false }
    }

    fn too_deep() -> Self {
        Self { is_limit: true, ..Self::new("the YAML text is too deep") }
    }

    fn too_much() -> Self {
        Self { is_limit: true, ..Self::new("the YAML text stands for too much") }
    }
}

/// Reads the first document of a text; what follows it must be YAML too. Merge keys (`<<`) are applied,
/// keys become strings.
///
/// # Errors
/// What is no YAML, nests deeper than 127 levels, or has a number that JSON does not have.
pub(crate) fn parse(text: &str) -> Result<Value, YamlError> {
    value(text, MAX_DEPTH)
}

/// The same, to a depth.
///
/// # Errors
/// The same.
pub(crate) fn value(text: &str, depth: usize) -> Result<Value, YamlError> {
    json::value(text, depth)
}

/// Decodes the first document of a text, whatever follows, by a function; the text may hold none. Levels are
/// bound as for JSON.
///
/// # Errors
/// What is no YAML, what the function fails with, and values that do not fit their types.
pub(crate) fn decode<T: Default>(
    text: &str,
    decode: impl FnOnce(&mut Decoder<'_>, Index) -> Result<T, YamlError>,
) -> Result<T, YamlError> {
    decode_first(text, MAX_DEPTH, decode)
}

fn decode_first<T: Default>(
    text: &str,
    depth: usize,
    decode: impl FnOnce(&mut Decoder<'_>, Index) -> Result<T, YamlError>,
) -> Result<T, YamlError> {
    let (nodes, root) = parse::first(text, depth)?;
    let Some(root) = root else { return Ok(T::default()) };
    let mut decoder = Decoder::new(&nodes, depth);
    let decoded = decode(&mut decoder, root)?;
    decoder.finish()?;
    Ok(decoded)
}

/// The YAML text of a JSON text.
///
/// # Errors
/// What YAML does not take of JSON: some control characters, and keys of more than 1,024 characters.
pub(crate) fn of_json(json: &str, depth: usize) -> Result<String, YamlError> {
    let any = decode_first(json, depth, |decoder, root| decoder.any(root))?;
    emit::emit(&any.unwrap_or(Any::Null))
}

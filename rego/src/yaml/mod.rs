//! YAML as OPA reads and writes it: with Go's `yaml.v3`, converted to and from JSON.

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
    /// Go's message, for the author of the document.
    pub(crate) message: String,
    /// The offset in bytes from the document's beginning; 0 where it is unknown.
    pub(crate) offset: usize,
    /// Whether a limit was exceeded, which is not a fault of the document.
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
/// When the text is not YAML, nests deeper than 127 levels, or has a number that JSON lacks.
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

/// Decodes the first document of a text by a function, ignoring later ones; the text may be empty.
/// Levels are bounded as for JSON.
///
/// # Errors
/// When the text is not YAML, the function fails, or values do not fit their types.
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
/// For JSON that YAML refuses: some control characters, and keys of more than 1,024 characters.
pub(crate) fn of_json(json: &str, depth: usize) -> Result<String, YamlError> {
    let any = decode_first(json, depth, |decoder, root| decoder.any(root))?;
    emit::emit(&any.unwrap_or(Any::Null))
}

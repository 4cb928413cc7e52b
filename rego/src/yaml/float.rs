//! Floats as texts: of YAML, of keys, and of JSON.

use super::YamlError;
use crate::builtins::go::float;

/// A float in YAML.
pub(super) fn yaml(value: f64) -> String {
    match float::format(value, 'g', None).as_str() {
        "+Inf" => ".inf".to_owned(),
        "-Inf" => "-.inf".to_owned(),
        "NaN" => ".nan".to_owned(),
        text => text.to_owned(),
    }
}

/// A float as a key: the shortest text of the nearest 32-bit float.
#[allow(clippy::cast_possible_truncation, reason = "Go rounds keys to 32 bits")]
pub(super) fn key(value: f64) -> String {
    let rounded = value as f32;
    let shortest = format!("{rounded:e}").parse().unwrap_or(f64::from(rounded));
    yaml(shortest)
}

/// A float as Go writes it in JSON.
///
/// # Errors
/// Values that JSON lacks.
pub(super) fn json(value: f64) -> Result<String, YamlError> {
    if !value.is_finite() {
        let shown = float::format(value, 'g', None);
        return Err(YamlError::new(format!("json: unsupported value: {shown}")));
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return Ok(if size >= 1e21 { text.replace('e', "e+") } else { text });
    }
    Ok(value.to_string())
}

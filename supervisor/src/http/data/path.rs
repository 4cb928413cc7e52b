//! Paths of the Data API, and references as OPA writes them.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;

use super::super::error::ApiError;
use super::parameters::are_escapes_valid;

/// The keys below `data` of a path's segments, decoded, behind those of `root`. Empty segments are
/// left out, as OPA leaves them out, and an invalid escape stands for itself.
///
/// A key is never part of a text that is parsed: the worker looks the keys up one by one. So no
/// segment can be an expression (CVE-2025-46569 of OPA). Those that OPA refuses are refused here,
/// too.
///
/// # Errors
/// When a segment is not UTF-8 once decoded, or has a quotation mark or a zero in it.
pub(crate) fn document_path(root: &[&str], path: &str) -> Result<Vec<String>, ApiError> {
    let mut keys: Vec<String> = root.iter().map(|&key| key.to_owned()).collect();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let key = if are_escapes_valid(segment) {
            percent_decode_str(segment).decode_utf8().map_err(|_| invalid("it is not UTF-8"))?
        } else {
            segment.into()
        };
        if key.contains('"') {
            return Err(invalid(&format!("invalid ref term '{key}'")));
        }
        if key.contains('\0') {
            return Err(invalid("a segment has a zero in it"));
        }
        keys.push(key.into_owned());
    }
    Ok(keys)
}

fn invalid(why: &str) -> ApiError {
    ApiError::InvalidParameter(format!("invalid path: {why}"))
}

/// The reference to the document at a path, as OPA writes it in its messages.
pub(super) fn reference(path: &[String]) -> String {
    let mut text = "data".to_owned();
    for key in path {
        // Writing to a string does not fail.
        let _ = match key {
            key if is_name(key) => write!(text, ".{key}"),
            key if key.parse::<i64>().is_ok() => write!(text, "[{key}]"),
            key => write!(text, "[{}]", serde_json::Value::from(key.as_str())),
        };
    }
    text
}

/// Words that OPA never writes after a dot.
const KEYWORDS: [&str; 15] = [
    "not", "package", "import", "as", "default", "else", "with", "null", "true", "false", "some",
    "if", "contains", "in", "every",
];

fn is_name(key: &str) -> bool {
    let mut bytes = key.bytes();
    !KEYWORDS.contains(&key)
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_become_keys_and_nothing_else() {
        let keys = |path| document_path(&["tenants", "t"], path).unwrap().split_off(2);
        assert_eq!(keys(""), [""; 0]);
        assert_eq!(keys("a//b/"), ["a", "b"]);
        assert_eq!(keys("a%2Fb/%252F/c+d/%20"), ["a/b", "%2F", "c+d", " "]);
        assert_eq!(keys("a%zz/%/..%2F.."), ["a%zz", "%", "../.."]);
        for injected in ["x%5D;%20http.send", "x%0Ay", "a%20with%20input%20as%201", "%60x%60"] {
            assert_eq!(keys(injected).len(), 1, "{injected}");
        }
    }

    #[test]
    fn segments_that_opa_refuses_are_refused() {
        for path in ["x%22y", "a/\"", "%ff", "%00", "a/b%00c"] {
            let refused = document_path(&[], path);
            assert!(matches!(refused, Err(ApiError::InvalidParameter(_))), "{path}: {refused:?}");
        }
    }

    #[test]
    fn references_are_written_as_in_rego() {
        let of =
            |path: &[&str]| reference(&path.iter().map(|&key| key.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]), "data");
        assert_eq!(of(&["a", "x y", "0", "_b"]), "data.a[\"x y\"][0]._b");
        assert_eq!(of(&["null"]), "data[\"null\"]");
    }
}

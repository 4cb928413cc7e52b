//! The names in an archive.

use crate::bundles::bundle::{ArchiveError, BundleError};
use crate::bundles::limits::{MAX_DEPTH, MAX_PATH};

/// Bytes of a text of an archive that a message repeats.
const SHOWN: usize = 256;

/// An entry's place in the bundle.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Normal {
    /// The bundle's root itself.
    Root,
    /// A path below it, `/` between the parts.
    Below(String),
}

/// An entry's place, from its name. OPA writes names with one leading `/`, and `tar` of a directory
/// writes `./`: both are the bundle's root.
///
/// # Errors
/// When the name could lead elsewhere, or is over a bound.
pub(super) fn normal(name: &[u8], is_directory: bool) -> Result<Normal, BundleError> {
    let refused = |why| BundleError::from(ArchiveError::Name { path: shown(name), why });
    let text = std::str::from_utf8(name)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or_else(|| BundleError::Name { path: shown(name) })?;
    let path = text.strip_prefix("./").or_else(|| text.strip_prefix('/')).unwrap_or(text);
    let path = if is_directory { path.strip_suffix('/').unwrap_or(path) } else { path };
    if is_directory && (path.is_empty() || text == ".") {
        return Ok(Normal::Root);
    }
    if path.len() > MAX_PATH {
        return Err(BundleError::PathTooLong { path: shown(name) });
    }
    for part in path.split('/') {
        match part {
            "" => return Err(refused("the name has an empty part; one leading / is allowed")),
            "." | ".." => return Err(refused("the name has . or .. for a part")),
            _ => {}
        }
    }
    let directories = path.matches('/').count() + usize::from(is_directory);
    if directories > MAX_DEPTH {
        return Err(BundleError::TooDeep { path: shown(name) });
    }
    Ok(Normal::Below(path.to_owned()))
}

/// A name for a message: escaped, and not longer than a message may be.
pub(super) fn shown(name: &[u8]) -> String {
    let name = name.get(..SHOWN).unwrap_or(name);
    String::from_utf8_lossy(name).escape_debug().to_string()
}

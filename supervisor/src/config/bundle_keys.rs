//! The keys that bundles are signed with, and the signatures that a tenant's bundle needs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use toml::{Table, Value as Toml};

use super::errors::ConfigError;
use super::file::ConfigFile;
use super::settings::{BUNDLE_KEY, BUNDLE_SCOPE};
use crate::signatures::{Algorithm, MAX_KEY_FILE, VerifyingKey};

/// Keys in the configuration file.
const MAX_BUNDLE_KEYS: usize = 256;

/// Bytes of a key's id, which a token repeats.
const MAX_KEY_ID: usize = 128;

/// Bytes of a scope, which a token repeats.
const MAX_SCOPE: usize = 128;

/// Keys by their ids.
pub(crate) type BundleKeys = BTreeMap<String, BundleKey>;

/// A key that bundles are signed with.
#[derive(Clone, Debug)]
pub(crate) struct BundleKey {
    pub(crate) key: VerifyingKey,
    /// The scope of the tokens that it signs; empty for tokens without one.
    pub(crate) scope: String,
}

/// Whether a bundle must be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureRequirement {
    /// A signature that is there is verified.
    Optional,
    Required,
}

/// The signature that a tenant's bundle needs to be accepted.
#[derive(Clone, Debug)]
pub(crate) struct BundleVerification {
    pub(crate) requirement: SignatureRequirement,
    /// All keys.
    pub(crate) keys: Arc<BundleKeys>,
    /// The ids of those that may sign this bundle; `None` for all.
    pub(crate) allowed: Option<Vec<String>>,
    /// The scope of a token, instead of its key's.
    pub(crate) scope: Option<String>,
}

#[cfg(test)]
impl BundleVerification {
    /// Of bundles that nobody signs.
    pub(crate) fn none() -> Self {
        Self {
            requirement: SignatureRequirement::Optional,
            keys: Arc::default(),
            allowed: None,
            scope: None,
        }
    }
}

pub(super) fn bundle_signature(text: &str) -> Result<SignatureRequirement, String> {
    match text {
        "optional" => Ok(SignatureRequirement::Optional),
        "required" => Ok(SignatureRequirement::Required),
        _ => Err("expected optional or required".to_owned()),
    }
}

/// Ids of keys; `None` for any.
pub(super) fn allowed_keys(text: &str, keys: &BundleKeys) -> Result<Option<Vec<String>>, String> {
    if text == BUNDLE_KEY.default {
        return Ok(None);
    }
    let ids: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).collect();
    if ids.iter().all(|id| keys.contains_key(id)) {
        return Ok(Some(ids));
    }
    Err("expected any, or ids of tables such as [bundle_keys.release] in the configuration file"
        .to_owned())
}

/// A scope; `None` for the key's own.
pub(super) fn bundle_scope(text: &str) -> Result<Option<String>, String> {
    if text == BUNDLE_SCOPE.default { Ok(None) } else { scope(text).map(Some) }
}

fn scope(text: &str) -> Result<String, String> {
    let is_scope = text.len() <= MAX_SCOPE && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_scope {
        return Ok(text.to_owned());
    }
    Err(format!("expected up to {MAX_SCOPE} letters, digits and signs, without spaces"))
}

/// The keys of a configuration file, and the faults of its table.
pub(super) fn bundle_keys(file: &ConfigFile) -> (BundleKeys, Vec<ConfigError>) {
    let (mut keys, mut faults) = (BundleKeys::new(), Vec::new());
    let Some((name, value)) = file.bundle_keys() else { return (keys, faults) };
    match value {
        Toml::Table(tables) if tables.len() > MAX_BUNDLE_KEYS => {
            let expected = format!("expected up to {MAX_BUNDLE_KEYS} keys");
            let count = Toml::from(i64::try_from(tables.len()).unwrap_or(i64::MAX));
            faults.push(file.fault(name, &count, &expected));
        }
        Toml::Table(tables) => {
            for (id, value) in tables {
                let name = format!("{name}.{id}");
                match value {
                    Toml::Table(table) if is_key_id(id) => {
                        match bundle_key(file, &name, table, &mut faults) {
                            Some(key) => drop(keys.insert(id.clone(), key)),
                            None => continue,
                        }
                    }
                    Toml::Table(_) => faults.push(file.fault(
                        &name,
                        &Toml::from(id.as_str()),
                        &format!("expected an id of 1 to {MAX_KEY_ID} letters, digits and signs, without spaces and commas, that is not any"),
                    )),
                    other => faults.push(file.fault(&name, other, "expected a table")),
                }
            }
        }
        other => {
            faults.push(file.fault(name, other, "expected tables, such as [bundle_keys.release]"))
        }
    }
    (keys, faults)
}

fn is_key_id(id: &str) -> bool {
    (1..=MAX_KEY_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
        && id != "any"
}

/// One key. Every fault is reported, not only the first.
fn bundle_key(
    file: &ConfigFile,
    name: &str,
    table: &Table,
    faults: &mut Vec<ConfigError>,
) -> Option<BundleKey> {
    let before = faults.len();
    let mut text = |key: &str, default: &str| match table.get(key) {
        Some(Toml::String(text)) => text.clone(),
        Some(other) => {
            faults.push(file.fault(&format!("{name}.{key}"), other, "expected a string"));
            default.to_owned()
        }
        None => default.to_owned(),
    };
    let algorithm_name = text("algorithm", "");
    let path = text("key", "");
    let scope_text = text("scope", "");
    let mut fault = |key: &str, value: &str, expected: &str| {
        faults.push(file.fault(&format!("{name}.{key}"), &Toml::from(value), expected));
    };
    for key in table.keys() {
        if !["algorithm", "key", "scope"].contains(&key.as_str()) {
            fault(key, "", "expected one of algorithm, key, scope");
        }
    }
    let algorithm = algorithm_name.parse::<Algorithm>().ok();
    if algorithm.is_none() {
        let names: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
        fault("algorithm", &algorithm_name, &format!("expected one of {}", names.join(", ")));
    }
    let scope = scope(&scope_text).map_err(|expected| fault("scope", &scope_text, &expected)).ok();
    let content =
        key_file(&file.resolved(&path)).map_err(|expected| fault("key", &path, &expected)).ok();
    let (algorithm, content) = (algorithm?, content?);
    let key = VerifyingKey::parse(algorithm, &content)
        .map_err(|error| {
            fault("key", &path, &format!("expected, for {algorithm}, {error}"));
        })
        .ok()?;
    let scope = scope?;
    (faults.len() == before).then_some(BundleKey { key, scope })
}

fn key_file(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("expected the file of a key, relative to this file: {error}");
    // Opening a FIFO would block.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err("expected the file of a key, but this is not a regular file".to_owned());
    }
    let mut content = Vec::new();
    let mut file = File::open(path).map_err(unreadable)?.take(MAX_KEY_FILE + 1);
    file.read_to_end(&mut content).map_err(unreadable)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= MAX_KEY_FILE) {
        return Ok(content);
    }
    Err(format!("expected the file of a key, of up to {MAX_KEY_FILE} bytes"))
}

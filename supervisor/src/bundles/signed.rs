//! Compares a bundle with its signature, before a worker gets a byte of it.

use super::bundle::{BundleFile, ReadFile, SignatureError};
use super::names::{MANIFEST, Role};
use crate::config::{BundleVerification, SignatureRequirement};
use crate::signatures::{
    DigestAlgorithm, ListedFile, MAX_SIGNATURES_FILE, MAX_SIGNED_JSON, NotCanonical, SignedFiles,
    Token, TokenError,
};

/// Characters of a text of the token that a message repeats.
const SHOWN: usize = 128;

/// Verifies the signature of a bundle's files, where there is one. `directory` is the name of the
/// directory that they are in, which `opa sign` writes before their paths.
///
/// # Errors
/// When it must be signed and is not, or when its signature is not for exactly these files by a key
/// that may sign them.
pub(super) fn verify(
    files: &[ReadFile],
    directory: Option<&str>,
    verification: &BundleVerification,
) -> Result<(), SignatureError> {
    let signatures = files.iter().find(|read| read.role == Role::Signatures);
    let Some(ReadFile { file: signatures, .. }) = signatures else {
        return match verification.requirement {
            SignatureRequirement::Optional => Ok(()),
            SignatureRequirement::Required => Err(SignatureError::Missing),
        };
    };
    if verification.keys.is_empty() {
        return Err(SignatureError::NoKeys);
    }
    if signatures.length() > MAX_SIGNATURES_FILE {
        return Err(TokenError::TooLarge.into());
    }
    let token = Token::read(&signatures.content.concat())?;
    let id = key_id(&token, verification)?;
    let key = verification.keys.get(&id).ok_or_else(|| unknown(&id))?;
    let scope = verification.scope.as_deref().unwrap_or(&key.scope);
    let mut listed = below(token.verify(&id, &key.key, scope)?, directory);
    for ReadFile { file, role } in files {
        if *role != Role::Signatures {
            let signed = listed.remove(&file.path);
            let signed =
                signed.ok_or_else(|| SignatureError::NotListed { path: file.path.clone() })?;
            compare(file, &signed)?;
        }
    }
    match listed.into_keys().next() {
        Some(path) => Err(SignatureError::NotThere { path: path.chars().take(SHOWN).collect() }),
        None => Ok(()),
    }
}

/// The files by their paths in the bundle. Where all of them are below the bundle's own directory,
/// it was signed by its name.
fn below(listed: SignedFiles, directory: Option<&str>) -> SignedFiles {
    let Some(directory) = directory else { return listed };
    let path = |name: &str| Some(name.strip_prefix(directory)?.strip_prefix('/')?.to_owned());
    // A bundle that was signed from within and has all its files in a directory of this name would
    // have no manifest, no signature and no data in its root: OPA does not build such a bundle.
    let stripped: Option<SignedFiles> =
        listed.iter().map(|(name, file)| Some((path(name)?, file.clone()))).collect();
    stripped.unwrap_or(listed)
}

/// The key that the token must be signed with.
fn key_id(token: &Token, verification: &BundleVerification) -> Result<String, SignatureError> {
    let candidates: Vec<&String> = match &verification.allowed {
        Some(allowed) => allowed.iter().collect(),
        None => verification.keys.keys().collect(),
    };
    match (candidates.as_slice(), token.key()) {
        // As in OPA, where a bundle has a key configured, the token's name for it does not count.
        ([id], _) if verification.allowed.is_some() => Ok((*id).clone()),
        ([id], None) => Ok((*id).clone()),
        (_, None) => Err(TokenError::NoKey.into()),
        (candidates, Some(id)) if candidates.iter().any(|candidate| *candidate == id) => {
            Ok(id.to_owned())
        }
        (_, Some(id)) => Err(unknown(id)),
    }
}

fn unknown(id: &str) -> SignatureError {
    SignatureError::Token(TokenError::UnknownKey(id.chars().take(SHOWN).collect()))
}

fn compare(file: &BundleFile, signed: &ListedFile) -> Result<(), SignatureError> {
    let path = || file.path.clone();
    let algorithm: DigestAlgorithm =
        signed.algorithm.parse().map_err(|_| SignatureError::Digest { path: path() })?;
    let digest = match file.path.rsplit('/').next().unwrap_or_default() {
        "data.json" | MANIFEST => of_json(file, algorithm)
            .map_err(|error| SignatureError::NotCanonical { path: path(), error })?,
        // JSON is YAML, and OPA reads it as JSON.
        "data.yaml" | "data.yml" => {
            of_json(file, algorithm).map_err(|_| SignatureError::Yaml { path: path() })?
        }
        _ => algorithm.of_bytes(file.content.iter().map(AsRef::as_ref)),
    };
    let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if signed.hash.eq_ignore_ascii_case(&hexadecimal) {
        return Ok(());
    }
    Err(SignatureError::Differs { path: path() })
}

fn of_json(file: &BundleFile, algorithm: DigestAlgorithm) -> Result<Box<[u8]>, NotCanonical> {
    // Before it is copied into one piece.
    if file.length() > MAX_SIGNED_JSON {
        return Err(NotCanonical::TooLarge);
    }
    algorithm.of_json(without_mark(&file.content.concat()))
}

/// A text without its byte order mark, which OPA skips here.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

#[cfg(test)]
mod tests;

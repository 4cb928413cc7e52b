//! `.signatures.json` and the token in it.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::algorithm::Algorithm;
use super::key::VerifyingKey;

/// Bytes of `.signatures.json`. A file that is listed takes about 170 bytes and its name, in Base64.
pub(crate) const MAX_SIGNATURES_FILE: u64 = 8 * 1024 * 1024;

/// Files in a token: as many as a bundle has entries.
const MAX_LISTED_FILES: usize = 16_384;

/// Bytes of a token's header. OPA's have about 50.
const MAX_HEADER: usize = 4096;

/// Characters of a text of the token that a message repeats.
const SHOWN: usize = 64;

/// OPA's own way to sign, and the only one that is known here.
const DEFAULT_PLUGIN: &str = "_default";

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("is larger than {MAX_SIGNATURES_FILE} bytes")]
    TooLarge,
    #[error("cannot be read: {0}")]
    NotJson(String),
    #[error("is signed by the plugin {0:?}, which is not known here; sign with opa sign")]
    Plugin(String),
    #[error("must have exactly one token, and has {0}")]
    Count(usize),
    #[error("the token is not three parts in Base64, divided by dots")]
    NotCompact,
    #[error("the token's header cannot be read: {0}")]
    Header(String),
    #[error("the token's header has \"crit\", and no extension is known here")]
    Critical,
    #[error("the token's claims cannot be read: {0}")]
    Claims(String),
    #[error("the token names no key, and more than one may be the right one; sign with a key id")]
    NoKey,
    #[error(
        "the key {0:?} may not sign this bundle; the configuration's keys are in [bundle_keys]"
    )]
    UnknownKey(String),
    #[error("the key is for {key}, and the token says {token:?}")]
    Algorithm { key: Algorithm, token: String },
    #[error("the signature is not by the key {0:?}")]
    Signature(String),
    #[error("the scope must be {expected:?}, and is {found:?}")]
    Scope { expected: String, found: String },
    #[error("the token lists more than {MAX_LISTED_FILES} files")]
    TooManyFiles,
    #[error("the token lists {0:?} twice")]
    Twice(String),
}

/// A token that is not verified yet.
#[derive(Debug)]
pub(crate) struct Token {
    /// The bytes that are signed: the first two parts and their dot.
    signed: String,
    claims: Vec<u8>,
    signature: Vec<u8>,
    algorithm: String,
    key: Option<String>,
}

/// The files that a verified token lists, by name.
pub(crate) type SignedFiles = BTreeMap<String, ListedFile>;

/// The digest that a token lists for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedFile {
    /// The algorithm's name, as the token has it.
    pub(crate) algorithm: String,
    /// In hexadecimal digits.
    pub(crate) hash: String,
}

#[derive(Deserialize)]
struct SignaturesFile {
    #[serde(default)]
    signatures: Option<Vec<String>>,
    #[serde(default)]
    plugin: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    files: Option<Vec<ClaimedFile>>,
    #[serde(default)]
    scope: Option<String>,
}

#[derive(Deserialize)]
struct ClaimedFile {
    name: String,
    hash: String,
    algorithm: String,
}

#[derive(Deserialize)]
struct KeyClaim {
    #[serde(default)]
    keyid: Option<String>,
}

impl Token {
    /// Reads the content of `.signatures.json`.
    ///
    /// # Errors
    /// When it does not hold one token in OPA's form.
    pub(crate) fn read(file: &[u8]) -> Result<Self, TokenError> {
        if u64::try_from(file.len()).map_or(true, |length| length > MAX_SIGNATURES_FILE) {
            return Err(TokenError::TooLarge);
        }
        let file: SignaturesFile = object(file).map_err(TokenError::NotJson)?;
        match file.plugin {
            Some(plugin) if !plugin.is_empty() && plugin != DEFAULT_PLUGIN => {
                return Err(TokenError::Plugin(shown(&plugin)));
            }
            _ => {}
        }
        let tokens = file.signatures.unwrap_or_default();
        let [token] = tokens.as_slice() else { return Err(TokenError::Count(tokens.len())) };
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotCompact)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::NotCompact)?;
        if header.len() > MAX_HEADER || claims.contains('.') {
            return Err(TokenError::NotCompact);
        }
        let decode = |part: &str| {
            BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| TokenError::NotCompact)
        };
        let header: Header = object(&decode(header)?).map_err(TokenError::Header)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let (claims, signature) = (decode(claims)?, decode(signature)?);
        let mut key = header.kid.filter(|key| !key.is_empty());
        if key.is_none() {
            // OPA's older place for it.
            let claim: KeyClaim = object(&claims).map_err(TokenError::Claims)?;
            key = claim.keyid.filter(|key| !key.is_empty());
        }
        Ok(Self { signed: signed.to_owned(), claims, signature, algorithm: header.alg, key })
    }

    /// The id of the key that the token names.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Verifies the token, and returns the files that it lists.
    ///
    /// # Errors
    /// When it is not signed by `key` for `scope`, or lists files in another form than OPA's.
    pub(crate) fn verify(
        self,
        id: &str,
        key: &VerifyingKey,
        scope: &str,
    ) -> Result<SignedFiles, TokenError> {
        if self.algorithm != key.algorithm().name() {
            let (key, token) = (key.algorithm(), shown(&self.algorithm));
            return Err(TokenError::Algorithm { key, token });
        }
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(TokenError::Signature(id.to_owned()));
        }
        let claims: Claims = object(&self.claims).map_err(TokenError::Claims)?;
        let found = claims.scope.unwrap_or_default();
        if found != scope {
            let (expected, found) = (scope.to_owned(), shown(&found));
            return Err(TokenError::Scope { expected, found });
        }
        let claimed = claims.files.unwrap_or_default();
        if claimed.len() > MAX_LISTED_FILES {
            return Err(TokenError::TooManyFiles);
        }
        let mut files = BTreeMap::new();
        for ClaimedFile { name, hash, algorithm } in claimed {
            if files.contains_key(&name) {
                return Err(TokenError::Twice(shown(&name)));
            }
            files.insert(name, ListedFile { algorithm, hash });
        }
        Ok(files)
    }
}

/// Reads a JSON object. An array with the fields in order, which serde would take too, is none.
fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err("it is not a JSON object".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// As much of a text as a message repeats.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests;

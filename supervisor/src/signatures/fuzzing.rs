//! The entry points of the fuzz target of signatures; not part of the crate's interface.

use super::canonical::walk;
use super::key::VerifyingKey;
use super::token::Token;

/// The key's id in the messages.
const KEY_ID: &str = "key";

/// The files that `.signatures.json` lists, each with its algorithm and digest, if the key signed it
/// for no scope. `algorithm` is the name of the key's algorithm, as tokens have it.
///
/// # Errors
/// When the key is not one of the algorithm's, or the token does not verify; with the message for
/// the operator.
pub fn verify(
    algorithm: &str,
    key: &[u8],
    signatures_file: &[u8],
) -> Result<Vec<(String, String, String)>, String> {
    let algorithm = algorithm.parse().map_err(|_| "the algorithm is not known".to_owned())?;
    // First, because most inputs end here, and reading a key takes long.
    let token = Token::read(signatures_file).map_err(|error| error.to_string())?;
    let key = VerifyingKey::parse(algorithm, key).map_err(|error| error.to_string())?;
    let files = token.verify(KEY_ID, &key, "").map_err(|error| error.to_string())?;
    Ok(files.into_iter().map(|(name, file)| (name, file.algorithm, file.hash)).collect())
}

/// The bytes of a JSON document that are digested.
///
/// # Errors
/// When the document is over a bound or is not JSON; with the message for the operator.
pub fn canonical(json: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    walk(json, &mut |piece| bytes.extend_from_slice(piece)).map_err(|error| error.to_string())?;
    Ok(bytes)
}

//! The entry point of the fuzz target of archives; not part of the crate's interface.

use std::io::Read;
use std::sync::Arc;

use super::archive;
use super::read::accept;
use crate::config::{BundleVerification, SignatureRequirement};

/// A file of a bundle: its path, and its content.
type File = (String, Vec<u8>);

/// The files of the bundle in an archive of `length` bytes, whose files may have `max_bytes`
/// together, in the bundle's order.
///
/// # Errors
/// When it is not a bundle; with the message for the operator.
pub fn unpack(archive: impl Read, length: u64, max_bytes: u64) -> Result<Vec<File>, String> {
    let verification = BundleVerification {
        requirement: SignatureRequirement::Optional,
        keys: Arc::default(),
        allowed: None,
        scope: None,
    };
    let bundle = archive::unpack(archive, length, max_bytes)
        .and_then(|files| accept(files, None, &verification));
    let files = bundle.map_err(|error| error.to_string())?.files;
    Ok(files.into_iter().map(|file| (file.path, file.content.concat())).collect())
}

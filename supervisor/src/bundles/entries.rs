//! The tenants that exist: the directories and archives in `BUNDLES_DIR`.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use enforcer_protocol::TenantId;

use super::source::{ARCHIVE_SUFFIX, Source};

/// A directory or an archive in `BUNDLES_DIR`.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A tenant's bundle.
    Tenant(TenantId, Source),
    /// A directory or an archive whose name is not a tenant id, escaped for the log.
    NoTenant(String),
}

/// The bundles in `bundles_dir`, sorted by name. A tenant comes twice if it has a directory and an
/// archive. Other files, and names that begin with a dot, are ignored: `.git`, or Kubernetes'
/// `..data`.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn entries(bundles_dir: &Path) -> io::Result<Vec<Entry>> {
    let mut names = Vec::new();
    for entry in bundles_dir.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_archive_name = name.as_encoded_bytes().ends_with(ARCHIVE_SUFFIX.as_bytes());
        // An entry that cannot be examined counts as a bundle: reading it reports the error. The
        // listing itself tells directories, because examining one on a file system that hangs would
        // hang for all tenants.
        let is_directory = match entry.file_type() {
            Ok(kind) if kind.is_dir() => true,
            _ => entry.path().metadata().map_or(!is_archive_name, |metadata| metadata.is_dir()),
        };
        if is_directory || is_archive_name {
            names.push((name, is_directory));
        }
    }
    names.sort();
    let named = |(name, is_directory): (OsString, bool)| {
        let text = name.to_str();
        let id = if is_directory {
            text
        } else {
            text.and_then(|text| text.strip_suffix(ARCHIVE_SUFFIX))
        };
        match id.map(str::parse) {
            Some(Ok(tenant_id)) => {
                let source = Source::new(bundles_dir, &tenant_id);
                Entry::Tenant(tenant_id, source)
            }
            _ => Entry::NoTenant(name.to_string_lossy().escape_debug().to_string()),
        }
    };
    Ok(names.into_iter().map(named).collect())
}

/// The tenant whose bundle an entry of `BUNDLES_DIR` of this name would be.
pub(super) fn tenant_of(name: &str) -> Option<TenantId> {
    name.strip_suffix(ARCHIVE_SUFFIX).unwrap_or(name).parse().ok()
}

/// The file system that a directory is on.
pub(crate) fn device(directory: &Path) -> Option<u64> {
    Some(directory.metadata().ok()?.dev())
}

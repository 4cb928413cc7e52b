//! The tenants that exist: the directories in `BUNDLES_DIR`.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use enforcer_protocol::TenantId;

/// A directory in `BUNDLES_DIR`.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A tenant's bundle.
    Tenant(TenantId, PathBuf),
    /// A directory whose name is not a tenant id, escaped for the log.
    NoTenant(String),
}

/// The bundle directories in `bundles_dir`, sorted by name. Files, and names that begin with a dot,
/// are ignored: `.git`, or Kubernetes' `..data`.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn entries(bundles_dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in bundles_dir.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let path = entry.path();
        // An entry that cannot be examined counts as a bundle: reading it reports the error. The
        // listing itself tells directories, because examining one on a file system that hangs would
        // hang for all tenants.
        let is_file = match entry.file_type() {
            Ok(kind) if kind.is_dir() => false,
            _ => path.metadata().is_ok_and(|metadata| !metadata.is_dir()),
        };
        if name.as_encoded_bytes().starts_with(b".") || is_file {
            continue;
        }
        entries.push((name, path));
    }
    entries.sort();
    let named = |(name, path): (std::ffi::OsString, PathBuf)| match name.to_str().map(str::parse) {
        Some(Ok(tenant_id)) => Entry::Tenant(tenant_id, path),
        _ => Entry::NoTenant(name.to_string_lossy().escape_debug().to_string()),
    };
    Ok(entries.into_iter().map(named).collect())
}

/// The file system that a directory is on.
pub(crate) fn device(directory: &Path) -> Option<u64> {
    Some(directory.metadata().ok()?.dev())
}

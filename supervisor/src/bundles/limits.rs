//! The limits of a bundle.

/// Files in one bundle.
pub(crate) const MAX_FILES: usize = 4096;

/// Bytes of all files of one bundle.
pub(crate) const MAX_BUNDLE_BYTES: u64 = 256 * 1024 * 1024;

/// Directories below one another. A symbolic link that leads back up ends here.
pub(crate) const MAX_DEPTH: usize = 16;

/// Directory entries of any kind that are examined, which bounds the time of a reading.
pub(crate) const MAX_ENTRIES: usize = 16_384;

/// Bytes of a file's path below the bundle's root.
pub(crate) const MAX_PATH: usize = 512;

/// Files of one bundle that are named as ignored.
pub(crate) const MAX_IGNORED: usize = 16;

/// Directories of one bundle that are watched; changes in others are found by polling.
pub(super) const REMEMBERED_DIRECTORIES: usize = 64;

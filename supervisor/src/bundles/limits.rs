//! The limits of a bundle.

/// Files in one bundle.
pub(crate) const MAX_FILES: usize = 4096;

/// Bytes of all files of one bundle.
pub(crate) const MAX_BUNDLE_BYTES: u64 = 256 * 1024 * 1024;

/// Directories below one another. A symbolic link that leads back up ends here.
pub(crate) const MAX_DEPTH: usize = 16;

/// Directory entries of any kind that are examined, which bounds the time of a reading.
pub(crate) const MAX_ENTRIES: usize = 16_384;

/// Bytes of an archive, as it is in `BUNDLES_DIR`. One that does not compress at all is a little
/// larger than its files.
pub(crate) const MAX_ARCHIVE_BYTES: u64 = MAX_BUNDLE_BYTES + MAX_ARCHIVE_OVERHEAD;

/// Bytes of an archive's headers and padding, unpacked: two blocks for every entry.
pub(crate) const MAX_ARCHIVE_OVERHEAD: u64 = 32 * 1024 * 1024;

/// How many times as large as itself an archive may be when it is unpacked. gzip reaches 1032;
/// policies and data that people write stay far below 100.
pub(crate) const MAX_COMPRESSION_RATIO: u64 = 250;

/// Unpacked bytes up to which the ratio is not looked at: a small archive costs nothing.
pub(crate) const RATIO_ALLOWANCE: u64 = 8 * 1024 * 1024;

/// Bytes of a header that extends an entry's (a long name, or PAX records).
pub(crate) const MAX_EXTENSION_BYTES: u64 = 8 * 1024;

/// Bytes of a file's path below the bundle's root.
pub(crate) const MAX_PATH: usize = 512;

/// Files of one bundle that are named as ignored.
pub(crate) const MAX_IGNORED: usize = 16;

/// Directories of one bundle that are watched; changes in others are found by polling.
pub(super) const REMEMBERED_DIRECTORIES: usize = 64;

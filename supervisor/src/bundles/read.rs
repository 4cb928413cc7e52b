//! Reads bundles: policies and data as bytes, whole and at one moment, or not at all.
//!
//! Nothing here parses Rego or data: the worker does, inside its sandbox. Only where a bundle is
//! signed, [`signed`] digests its data by their meaning, within bounds.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use enforcer_protocol::{BUNDLE_CHUNK, Revision};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use sha2::{Digest, Sha256};

use super::archive::read_archive;
use super::bundle::{Bundle, BundleError, BundleFile, ReadFile, ReadFiles, length};
use super::limits::MAX_IGNORED;
use super::names::Role;
use super::signed;
use super::source::{Place, Source};
use super::walk::{Found, Walk, directory_flags, identity, open_beneath};
use crate::config::BundleVerification;

/// How often a bundle that changes while it is read is read again before that is an error.
const READ_ATTEMPTS: usize = 4;

/// Reads the bundle in `source`, and verifies its signature. It blocks.
///
/// # Errors
/// When it cannot be read whole, is over a bound, leads out of its directory, or is not signed as
/// `verification` says.
pub(crate) fn read(
    source: &Source,
    max_bytes: u64,
    verification: &BundleVerification,
) -> Result<Bundle, BundleError> {
    let mut last = None;
    for _ in 0..READ_ATTEMPTS {
        let (read, directory) = match source.place() {
            Place::Directory(root) => (read_directory(root, max_bytes), root.file_name()),
            Place::Archive(path) => (read_archive(path, max_bytes), None),
            Place::Downloaded(path) => {
                let whole = |error| match error {
                    BundleError::BeingWritten(error) => error.into(),
                    error => error,
                };
                (read_archive(&path, max_bytes).map_err(whole), None)
            }
            Place::AlsoRemote(_) => (Err(BundleError::AlsoRemote), None),
            Place::Both(_) => (Err(BundleError::Ambiguous), None),
        };
        match read {
            Ok(Some(files)) => {
                return accept(files, directory.and_then(OsStr::to_str), verification);
            }
            Ok(None) => last = Some(BundleError::Changing),
            // A listed file is gone: a sign of change, or a dangling link.
            Err(error @ BundleError::Unreadable { error: Errno::ENOENT, .. }) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(BundleError::Changing))
}

/// The bundle of these files, if its signature allows it.
pub(super) fn accept(
    read: ReadFiles,
    directory: Option<&str>,
    verification: &BundleVerification,
) -> Result<Bundle, BundleError> {
    let ReadFiles { files: read, ignored: mut ignored_files } = read;
    signed::verify(&read, directory, verification)?;
    let mut files = Vec::with_capacity(read.len());
    for ReadFile { file, role } in read {
        match role {
            Role::Part => files.push(file),
            Role::Other if ignored_files.len() < MAX_IGNORED => ignored_files.push(file.path),
            Role::Other | Role::Signatures => {}
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    ignored_files.sort();
    Ok(Bundle { revision: revision(&files), files, ignored_files })
}

/// `None` when the bundle changed meanwhile.
fn read_directory(root: &Path, max_bytes: u64) -> Result<Option<ReadFiles>, BundleError> {
    let root =
        nix::fcntl::open(root, directory_flags(), Mode::empty()).map_err(|error| match error {
            Errno::ENOENT | Errno::ENOTDIR => BundleError::Gone,
            error => BundleError::Unreadable { path: ".".into(), error },
        })?;

    let before = Walk::of(&root)?;
    if before.found.iter().map(Found::length).sum::<u64>() > max_bytes {
        return Err(BundleError::TooLarge { limit: max_bytes });
    }
    let mut left = max_bytes;
    let mut files = Vec::with_capacity(before.found.len());
    for found in &before.found {
        let Some(content) = read_file(&root, found, &mut left)? else {
            return Ok(None);
        };
        let file = BundleFile { path: found.path.clone(), content };
        files.push(ReadFile { file, role: found.role });
    }
    if Walk::of(&root)?.found != before.found {
        return Ok(None);
    }
    Ok(Some(ReadFiles { files, ignored: before.ignored }))
}

fn revision(files: &[BundleFile]) -> Revision {
    let mut digest = Sha256::new();
    for file in files {
        // Lengths go first, so that no two bundles are the same string of bytes.
        digest.update(length(file.path.as_bytes()).to_le_bytes());
        digest.update(&file.path);
        digest.update(file.length().to_le_bytes());
        for piece in &file.content {
            digest.update(piece);
        }
    }
    Revision::from_digest(digest.finalize().into())
}

/// The content of a file that was found, whose length is taken from the bytes left; `None` when it
/// is another file by now, or changes.
fn read_file(
    root: &OwnedFd,
    found: &Found,
    left: &mut u64,
) -> Result<Option<Vec<Box<[u8]>>>, BundleError> {
    let path = found.path.as_str();
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut file = File::from(open_beneath(root, path, flags)?);
    let unreadable = |error: io::Error| BundleError::Unreadable {
        path: path.to_owned(),
        error: error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
    };
    let is_the_same = |file: &File| -> Result<bool, BundleError> {
        Ok(identity(&file.metadata().map_err(unreadable)?) == found.identity)
    };
    if !is_the_same(&file)? {
        return Ok(None);
    }
    let mut content = Vec::new();
    let chunk = u64::try_from(BUNDLE_CHUNK).unwrap_or(u64::MAX);
    // Only a capacity: the file may have another length by now.
    let mut expected = usize::try_from(found.length()).unwrap_or(0);
    loop {
        let mut piece = Vec::with_capacity(expected.min(BUNDLE_CHUNK));
        (&mut file).take(chunk).read_to_end(&mut piece).map_err(unreadable)?;
        let read = length(&piece);
        let Some(rest) = left.checked_sub(read) else {
            // It has grown since it was found.
            return Ok(None);
        };
        *left = rest;
        expected = expected.saturating_sub(piece.len());
        if read > 0 {
            content.push(piece.into_boxed_slice());
        }
        if read < chunk {
            return Ok(is_the_same(&file)?.then_some(content));
        }
    }
}

#[cfg(test)]
mod tests;

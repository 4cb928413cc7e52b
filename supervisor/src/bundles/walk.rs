//! Finds the files of a bundle without reading them, and tells whether they have changed.

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstat};

use super::bundle::BundleError;
use super::limits::{
    MAX_DEPTH, MAX_ENTRIES, MAX_FILES, MAX_IGNORED, MAX_PATH, REMEMBERED_DIRECTORIES,
};
use super::names::{MANIFEST, MANIFEST_PROTO, RefusedName, Role, SIGNATURES, role};

/// A bundle's fingerprint, which tells whether it may have changed without reading it.
#[derive(Debug)]
pub(crate) struct Stat {
    /// Differs for different states of the files; equal states have equal fingerprints.
    pub(crate) fingerprint: u64,
    /// Bytes of all files, as far as they could be examined.
    pub(crate) bytes: u64,
    /// The directories that files may be in, the root first.
    pub(crate) directories: Vec<Directory>,
}

/// A directory of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Below the bundle's root; empty for the root itself.
    pub(crate) path: String,
    /// File system and number, which another directory in its place does not share.
    pub(crate) identity: (u64, u64),
}

/// Looks at the bundle in the directory `root`, also at an invalid one.
pub(super) fn stat_directory(root: &Path) -> Stat {
    let mut hasher = DefaultHasher::new();
    let unreadable = |error| BundleError::Unreadable { path: ".".into(), error };
    let opened = nix::fcntl::open(root, directory_flags(), Mode::empty()).map_err(unreadable);
    let mut stat = Stat { fingerprint: 0, bytes: 0, directories: Vec::new() };
    let error = match opened {
        Err(error) => Some(error),
        Ok(root) => {
            let mut walk = Walk::new(&root);
            let error = walk.all().err();
            walk.found.hash(&mut hasher);
            stat.bytes = walk.found.iter().map(Found::length).sum();
            stat.directories = walk.directories;
            error
        }
    };
    error.map(|error| error.to_string()).hash(&mut hasher);
    stat.fingerprint = hasher.finish();
    stat
}

/// Differs for another file, and for the same one once it was written to.
pub(super) fn identity(metadata: &Metadata) -> [i128; 7] {
    [
        metadata.dev().into(),
        metadata.ino().into(),
        metadata.size().into(),
        metadata.mtime().into(),
        metadata.mtime_nsec().into(),
        metadata.ctime().into(),
        metadata.ctime_nsec().into(),
    ]
}

/// A file of the bundle, and its identity, which tells whether it is still the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Found {
    pub(super) path: String,
    pub(super) identity: [i128; 7],
    pub(super) role: Role,
}

impl Found {
    pub(super) fn length(&self) -> u64 {
        let [_, _, length, ..] = self.identity;
        u64::try_from(length).unwrap_or(0)
    }
}

/// Finds the files of a bundle without reading them.
pub(super) struct Walk<'a> {
    root: &'a OwnedFd,
    entries: usize,
    /// The files that decide, and those that were signed with them. Sorted by path.
    pub(super) found: Vec<Found>,
    /// How many of them decide.
    parts: usize,
    /// The first files that are not part of an unsigned bundle.
    pub(super) ignored: Vec<String>,
    /// Whether there is a signature, which covers all files.
    is_signed: bool,
    directories: Vec<Directory>,
}

impl<'a> Walk<'a> {
    const fn new(root: &'a OwnedFd) -> Self {
        Self {
            root,
            entries: 0,
            found: Vec::new(),
            parts: 0,
            ignored: Vec::new(),
            is_signed: false,
            directories: Vec::new(),
        }
    }

    pub(super) fn of(root: &'a OwnedFd) -> Result<Self, BundleError> {
        let mut walk = Self::new(root);
        walk.all()?;
        Ok(walk)
    }

    fn all(&mut self) -> Result<(), BundleError> {
        // Of any kind: what is not a file is refused where it is found.
        self.is_signed = open_beneath(self.root, SIGNATURES, OFlag::O_PATH).is_ok();
        let result = self.directory("", 0);
        self.found.sort();
        result
    }

    fn directory(&mut self, path: &str, depth: usize) -> Result<(), BundleError> {
        if depth > MAX_DEPTH {
            return Err(BundleError::TooDeep { path: path.to_owned() });
        }
        let unreadable = |error| BundleError::Unreadable { path: shown(path), error };
        let directory = open_beneath(self.root, &shown(path), directory_flags())?;
        if self.directories.len() < REMEMBERED_DIRECTORIES {
            let stat = fstat(&directory).map_err(unreadable)?;
            let identity = (stat.st_dev, stat.st_ino);
            self.directories.push(Directory { path: path.to_owned(), identity });
        }
        let mut directory = Dir::from_fd(directory).map_err(unreadable)?;
        for entry in directory.iter() {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_bytes();
            if self.is_skipped(path, name) {
                continue;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(BundleError::TooManyEntries);
            }
            let lossy = || join(path, &String::from_utf8_lossy(name).escape_debug().to_string());
            let name = std::str::from_utf8(name)
                .ok()
                .filter(|name| !name.chars().any(char::is_control))
                .ok_or_else(|| BundleError::Name { path: lossy() })?;
            self.entry(&join(path, name), depth)?;
        }
        Ok(())
    }

    /// Whether an entry is left out unexamined: a hidden one, of which only OPA's own count. A
    /// signature covers all hidden entries but those of Kubernetes (`..data`).
    fn is_skipped(&self, directory: &str, name: &[u8]) -> bool {
        let is_in_root = directory.is_empty()
            && [MANIFEST, MANIFEST_PROTO].iter().any(|ours| name == ours.as_bytes());
        // OPA takes a signature from any directory, so one elsewhere is refused and not skipped.
        let is_ours = is_in_root || name == SIGNATURES.as_bytes();
        let is_dots = name == b"." || name == b"..";
        match (name.starts_with(b"."), self.is_signed) {
            (false, _) => false,
            (true, true) => is_dots || (directory.is_empty() && name.starts_with(b"..")),
            (true, false) => !is_ours,
        }
    }

    fn entry(&mut self, path: &str, depth: usize) -> Result<(), BundleError> {
        if path.len() > MAX_PATH {
            return Err(BundleError::PathTooLong { path: path.to_owned() });
        }
        let role = role(path);
        // O_PATH: a file that is not part of the bundle is not opened, only checked for being a
        // directory.
        let opened = match open_beneath(self.root, path, OFlag::O_PATH) {
            Ok(opened) => opened,
            Err(_) if role == Ok(Role::Other) && !self.is_signed => return Ok(()),
            Err(error) => return Err(error),
        };
        let metadata = File::from(opened)
            .metadata()
            .map_err(|_| BundleError::NotAFile { path: path.to_owned() })?;
        if metadata.is_dir() {
            return self.directory(path, depth + 1);
        }
        let role = role
            .map_err(|RefusedName(why)| BundleError::RefusedName { path: path.to_owned(), why })?;
        if role == Role::Other && !self.is_signed {
            if self.ignored.len() < MAX_IGNORED {
                self.ignored.push(path.to_owned());
            }
            return Ok(());
        }
        if !metadata.is_file() {
            return Err(BundleError::NotAFile { path: path.to_owned() });
        }
        if role == Role::Part {
            self.parts += 1;
            if self.parts > MAX_FILES {
                return Err(BundleError::TooManyFiles);
            }
        }
        let identity = identity(&metadata);
        self.found.push(Found { path: path.to_owned(), identity, role });
        Ok(())
    }
}

/// Opens a path that must not leave the bundle, not by `..`, not by a link, and not between a
/// check and its use: the kernel resolves it (`openat2(2)`, `RESOLVE_BENEATH`).
pub(super) fn open_beneath(
    root: &OwnedFd,
    path: &str,
    flags: OFlag,
) -> Result<OwnedFd, BundleError> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root.as_fd(), path, how).map_err(|error| match error {
        Errno::EXDEV => BundleError::Escapes { path: path.to_owned() },
        error => BundleError::Unreadable { path: path.to_owned(), error },
    })
}

pub(super) fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn shown(path: &str) -> String {
    if path.is_empty() { ".".to_owned() } else { path.to_owned() }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

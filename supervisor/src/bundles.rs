//! Reads bundles: a directory's policies and data as bytes, whole and at one moment, or not at all.
//!
//! Nothing here parses Rego or JSON: that is the worker's, inside its sandbox.

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use enforcer_protocol::{BUNDLE_CHUNK, Revision, TenantId};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstat};
use sha2::{Digest, Sha256};

/// Files in one bundle.
pub(crate) const MAX_FILES: usize = 4096;

/// Bytes of all files of one bundle.
pub(crate) const MAX_BUNDLE_BYTES: u64 = 256 * 1024 * 1024;

/// Directories below one another. A symbolic link that leads back up ends here.
pub(crate) const MAX_DEPTH: usize = 16;

/// Directory entries that are looked at, of whatever kind: what bounds the time of a reading.
pub(crate) const MAX_ENTRIES: usize = 16_384;

/// Bytes of a file's path below the bundle's root.
pub(crate) const MAX_PATH: usize = 512;

/// Files of one bundle that are named as ignored.
pub(crate) const MAX_IGNORED: usize = 16;

/// Directories of one bundle that are watched; what changes in others is found by looking.
const REMEMBERED_DIRECTORIES: usize = 64;

/// How often a bundle that changes while it is read is read again before that is an error.
const READ_ATTEMPTS: usize = 4;

/// A bundle as it was at one moment.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) revision: Revision,
    /// Sorted by path.
    pub(crate) files: Vec<BundleFile>,
    /// Files that mean nothing to us, by path; at most [`MAX_IGNORED`].
    pub(crate) ignored_files: Vec<String>,
}

/// A file of a bundle.
#[derive(Debug)]
pub(crate) struct BundleFile {
    /// Below the bundle's root, `/` between the parts.
    pub(crate) path: String,
    /// In pieces of [`BUNDLE_CHUNK`], of which the last may be shorter: so a large file is read, sent
    /// and freed with pauses in which its thread can be told to give way.
    pub(crate) content: Vec<Box<[u8]>>,
}

impl BundleFile {
    /// Bytes.
    pub(crate) fn length(&self) -> u64 {
        self.content.iter().map(|piece| length(piece)).sum()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Why a bundle cannot be read. Paths are below the bundle's root: these texts reach users.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("the bundle's directory is not there")]
    Gone,
    #[error("{path}: cannot be read: {error}")]
    Unreadable { path: String, error: Errno },
    #[error("{path}: leads out of the bundle's directory; a link must be relative and stay inside")]
    Escapes { path: String },
    #[error("{path}: is no regular file")]
    NotAFile { path: String },
    #[error("{path}: the name is not UTF-8, or holds control characters")]
    Name { path: String },
    #[error("{path}: the path is longer than {MAX_PATH} bytes")]
    PathTooLong { path: String },
    #[error("{path}: is more than {MAX_DEPTH} directories deep; does a link lead back up?")]
    TooDeep { path: String },
    #[error("the bundle holds more than {MAX_FILES} files")]
    TooManyFiles,
    #[error("the bundle's directory holds more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    #[error("the bundle is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the bundle kept changing while it was read")]
    Changing,
}

impl BundleError {
    /// Whether it is the host's fault or the moment's, so that the same bundle may be read later.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Unreadable { error, .. } => matches!(
                error,
                Errno::EMFILE
                    | Errno::ENFILE
                    | Errno::ENOMEM
                    | Errno::EIO
                    | Errno::ESTALE
                    | Errno::EINTR
                    | Errno::EAGAIN
            ),
            Self::Changing => true,
            _ => false,
        }
    }
}

/// A directory in `BUNDLES_DIR`.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A tenant's bundle.
    Tenant(TenantId, PathBuf),
    /// A directory whose name is no tenant id, shown so that it can be logged.
    NoTenant(String),
}

/// The bundle directories in `bundles_dir`, sorted by name. Files, and names that begin with a
/// dot, are not looked at: `.git`, or Kubernetes' `..data`.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn entries(bundles_dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in bundles_dir.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let path = entry.path();
        // What cannot be looked at counts as a bundle: reading it says why it is none. A directory is
        // known without looking at it, which on a file system that hangs would hang for all.
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

/// Reads the bundle in `root`. It blocks.
///
/// # Errors
/// When it cannot be read whole, is over a bound, or leads out of its directory.
pub(crate) fn read(root: &Path, max_bytes: u64) -> Result<Bundle, BundleError> {
    let mut last = None;
    for _ in 0..READ_ATTEMPTS {
        match read_once(root, max_bytes) {
            Ok(Some(bundle)) => return Ok(bundle),
            Ok(None) => last = Some(BundleError::Changing),
            // What was listed is gone: a sign of change, or a link that leads nowhere.
            Err(error @ BundleError::Unreadable { error: Errno::ENOENT, .. }) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(BundleError::Changing))
}

/// `None` when the bundle changed meanwhile.
fn read_once(root: &Path, max_bytes: u64) -> Result<Option<Bundle>, BundleError> {
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
        files.push(BundleFile { path: found.path.clone(), content });
    }
    if Walk::of(&root)?.found != before.found {
        return Ok(None);
    }
    let mut ignored_files = before.ignored;
    ignored_files.sort();
    Ok(Some(Bundle { revision: revision(&files), files, ignored_files }))
}

/// What tells whether a bundle may have changed, without reading it.
#[derive(Debug)]
pub(crate) struct Glance {
    /// Another for another state of the files; equal states have equal ones.
    pub(crate) fingerprint: u64,
    /// Bytes of all files, as far as they could be looked at.
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

/// Looks at the bundle in `root`, whatever is wrong with it.
pub(crate) fn glance(root: &Path) -> Glance {
    let mut hasher = DefaultHasher::new();
    let unreadable = |error| BundleError::Unreadable { path: ".".into(), error };
    let opened = nix::fcntl::open(root, directory_flags(), Mode::empty()).map_err(unreadable);
    let mut glance = Glance { fingerprint: 0, bytes: 0, directories: Vec::new() };
    let error = match opened {
        Err(error) => Some(error),
        Ok(root) => {
            let mut walk = Walk::new(&root);
            let error = walk.all().err();
            walk.found.hash(&mut hasher);
            glance.bytes = walk.found.iter().map(Found::length).sum();
            glance.directories = walk.directories;
            error
        }
    };
    error.map(|error| error.to_string()).hash(&mut hasher);
    glance.fingerprint = hasher.finish();
    glance
}

/// The file system that a directory is on.
pub(crate) fn device(directory: &Path) -> Option<u64> {
    Some(directory.metadata().ok()?.dev())
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

/// The content of a file that was found, which is taken from what is left; `None` when it is another
/// file by now, or changes.
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
    // Only to have room: the file may have another length by now.
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

/// What is another for another file, and for the same one once it was written to.
fn identity(metadata: &Metadata) -> [i128; 7] {
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

/// A file of the bundle, and what tells whether it is still the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Found {
    path: String,
    identity: [i128; 7],
}

impl Found {
    fn length(&self) -> u64 {
        let [_, _, length, ..] = self.identity;
        u64::try_from(length).unwrap_or(0)
    }
}

/// The manifest of an OPA bundle, in its root.
const MANIFEST: &str = ".manifest";

/// Whether a file of this name, so many directories deep, is part of the bundle: policies and data as
/// OPA reads them from a directory, and what describes the bundle.
fn is_wanted(name: &str, depth: usize) -> bool {
    match name {
        "data.json" | "data.yaml" | "data.yml" => true,
        "metadata.json" | MANIFEST => depth == 0,
        _ => name.ends_with(".rego"),
    }
}

/// Finds the files of a bundle without reading them.
struct Walk<'a> {
    root: &'a OwnedFd,
    entries: usize,
    found: Vec<Found>,
    /// The first files that mean nothing to us.
    ignored: Vec<String>,
    /// As many as are remembered.
    directories: Vec<Directory>,
}

impl<'a> Walk<'a> {
    const fn new(root: &'a OwnedFd) -> Self {
        Self { root, entries: 0, found: Vec::new(), ignored: Vec::new(), directories: Vec::new() }
    }

    fn of(root: &'a OwnedFd) -> Result<Self, BundleError> {
        let mut walk = Self::new(root);
        walk.all()?;
        Ok(walk)
    }

    fn all(&mut self) -> Result<(), BundleError> {
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
            let is_manifest = path.is_empty() && name == MANIFEST.as_bytes();
            if name.starts_with(b".") && !is_manifest {
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
            self.entry(&join(path, name), name, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &str, name: &str, depth: usize) -> Result<(), BundleError> {
        if path.len() > MAX_PATH {
            return Err(BundleError::PathTooLong { path: path.to_owned() });
        }
        let is_wanted = is_wanted(name, depth);
        // O_PATH: a file that is not wanted is not opened, only asked whether it is a directory.
        let opened = match open_beneath(self.root, path, OFlag::O_PATH) {
            Ok(opened) => opened,
            Err(_) if !is_wanted => return Ok(()),
            Err(error) => return Err(error),
        };
        let metadata = File::from(opened)
            .metadata()
            .map_err(|_| BundleError::NotAFile { path: path.to_owned() })?;
        if metadata.is_dir() {
            return self.directory(path, depth + 1);
        }
        if !is_wanted {
            if self.ignored.len() < MAX_IGNORED {
                self.ignored.push(path.to_owned());
            }
            return Ok(());
        }
        if !metadata.is_file() {
            return Err(BundleError::NotAFile { path: path.to_owned() });
        }
        if self.found.len() == MAX_FILES {
            return Err(BundleError::TooManyFiles);
        }
        let identity = identity(&metadata);
        self.found.push(Found { path: path.to_owned(), identity });
        Ok(())
    }
}

/// Opens a path that must not leave the bundle, not by `..`, not by a link, and not between a
/// check and its use: the kernel resolves it (`openat2(2)`, `RESOLVE_BENEATH`).
fn open_beneath(root: &OwnedFd, path: &str, flags: OFlag) -> Result<OwnedFd, BundleError> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root.as_fd(), path, how).map_err(|error| match error {
        Errno::EXDEV => BundleError::Escapes { path: path.to_owned() },
        error => BundleError::Unreadable { path: path.to_owned(), error },
    })
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn shown(path: &str) -> String {
    if path.is_empty() { ".".to_owned() } else { path.to_owned() }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn directory(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn paths(root: &TempDir) -> Vec<String> {
        read(root.path(), MAX_BUNDLE_BYTES)
            .unwrap()
            .files
            .into_iter()
            .map(|file| file.path)
            .collect()
    }

    #[test]
    fn a_bundle_is_its_policies_its_data_and_what_describes_it() {
        let root = directory(&[
            ("policy.rego", "a"),
            ("lib/deep/x.rego", "b"),
            ("data.json", "{}"),
            ("metadata.json", "{}"),
            ("lib/data.yaml", "c"),
            (".manifest", "{}"),
            ("lib/.manifest", "not read"),
            ("lib/metadata.json", "not read"),
            ("README.md", "not read"),
            (".git/x.rego", "not read"),
            (".policy.rego.swp", "not read"),
        ]);
        let read = [
            ".manifest",
            "data.json",
            "lib/data.yaml",
            "lib/deep/x.rego",
            "metadata.json",
            "policy.rego",
        ];
        assert_eq!(paths(&root), read);
        let bundle = super::read(root.path(), MAX_BUNDLE_BYTES).unwrap();
        assert_eq!(bundle.ignored_files, ["README.md", "lib/metadata.json"]);
    }

    #[test]
    fn equal_content_is_the_same_revision_and_any_change_is_another() {
        let revision = |files: &[(&str, &str)]| {
            read(directory(files).path(), MAX_BUNDLE_BYTES).unwrap().revision
        };
        let base = revision(&[("a.rego", "x"), ("b.rego", "y")]);
        assert_eq!(base, revision(&[("b.rego", "y"), ("a.rego", "x")]));
        for changed in [
            [("a.rego", "x"), ("b.rego", "z")],
            [("a.rego", "x"), ("c.rego", "y")],
            [("a.rego", "xy"), ("b.rego", "")],
        ] {
            assert_ne!(base, revision(&changed));
        }
    }

    #[test]
    fn a_file_of_any_length_is_read_whole_in_pieces() {
        for (length, pieces) in
            [(0, 0), (1, 1), (BUNDLE_CHUNK, 1), (BUNDLE_CHUNK + 1, 2), (3 * BUNDLE_CHUNK, 3)]
        {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let root = directory(&[("data.json", &text)]);
            let bundle = read(root.path(), u64::try_from(length).unwrap()).unwrap();
            let file = &bundle.files[0];
            assert_eq!(file.length(), u64::try_from(length).unwrap());
            assert_eq!(file.content.concat(), text.as_bytes(), "{length}");
            assert_eq!(file.content.len(), pieces, "{length}");
            if let Some(less) = u64::try_from(length).unwrap().checked_sub(1) {
                assert!(matches!(read(root.path(), less), Err(BundleError::TooLarge { .. })));
            }
        }
    }

    #[test]
    fn a_config_map_s_links_are_followed() {
        let root = directory(&[("..2024/policy.rego", "a"), ("..2024/lib/x.rego", "b")]);
        symlink("..2024", root.path().join("..data")).unwrap();
        symlink("..data/policy.rego", root.path().join("policy.rego")).unwrap();
        symlink("..data/lib", root.path().join("lib")).unwrap();
        assert_eq!(paths(&root), ["lib/x.rego", "policy.rego"]);
    }

    #[test]
    fn a_bundle_that_is_swapped_while_it_is_read_is_never_a_mixture() {
        const FILES: usize = 40;
        let root = directory(&[]);
        for version in ["old", "new"] {
            fs::create_dir(root.path().join(format!("..{version}"))).unwrap();
            for file in 0..FILES {
                fs::write(root.path().join(format!("..{version}/{file}.rego")), version).unwrap();
            }
        }
        let swap = |version: &str| {
            symlink(format!("..{version}"), root.path().join("..next")).unwrap();
            fs::rename(root.path().join("..next"), root.path().join("..data")).unwrap();
        };
        swap("old");
        for file in 0..FILES {
            let link = root.path().join(format!("{file}.rego"));
            symlink(format!("..data/{file}.rego"), link).unwrap();
        }
        std::thread::scope(|scope| {
            // Dropped when the reading ends, also by a failed assertion.
            let (reading, done) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                while done.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    swap("new");
                    swap("old");
                }
            });
            let _reading = reading;
            for _ in 0..200 {
                match read(root.path(), MAX_BUNDLE_BYTES) {
                    Ok(Bundle { files, .. }) => {
                        let first = &files[0];
                        let is_whole = files.iter().all(|file| file.content == first.content);
                        assert!(is_whole && files.len() == FILES, "{files:?}");
                    }
                    Err(error) => assert!(matches!(error, BundleError::Changing), "{error}"),
                }
            }
        });
    }

    #[test]
    fn no_path_leaves_the_bundle() {
        let outside = directory(&[("secret.rego", "secret"), ("lib/secret.rego", "secret")]);
        let absolute = outside.path().join("secret.rego");
        let name = outside.path().file_name().unwrap().to_str().unwrap();
        for (link, target) in [
            ("x.rego", absolute.to_str().unwrap().to_owned()),
            ("x.rego", format!("../{name}/secret.rego")),
            ("data.json", "/etc/passwd".to_owned()),
            ("x.rego", "/proc/self/environ".to_owned()),
        ] {
            let root = directory(&[("policy.rego", "a")]);
            symlink(&target, root.path().join(link)).unwrap();
            let error = read(root.path(), MAX_BUNDLE_BYTES).unwrap_err();
            assert!(matches!(error, BundleError::Escapes { .. }), "{target}: {error}");
        }
        // A directory outside is not looked into, so that nothing of it is read.
        let root = directory(&[("policy.rego", "a")]);
        symlink(outside.path(), root.path().join("lib")).unwrap();
        assert_eq!(paths(&root), ["policy.rego"]);
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let root = directory(&[]);
        nix::unistd::mkfifo(&root.path().join("x.rego"), Mode::S_IRUSR).unwrap();
        assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::NotAFile { .. })));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_refused() {
        let root = directory(&[]);
        symlink("nowhere", root.path().join("x.rego")).unwrap();
        let error = read(root.path(), MAX_BUNDLE_BYTES).unwrap_err();
        assert!(matches!(error, BundleError::Unreadable { error: Errno::ENOENT, .. }), "{error}");
    }

    #[test]
    fn a_link_that_leads_back_up_ends() {
        let root = directory(&[("policy.rego", "a")]);
        symlink(".", root.path().join("again")).unwrap();
        assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::TooDeep { .. })));
    }

    #[test]
    fn every_bound_is_kept() {
        let root = directory(&[]);
        for index in 0..=MAX_FILES {
            fs::write(root.path().join(format!("{index}.rego")), "").unwrap();
        }
        assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::TooManyFiles)));

        let root = directory(&[]);
        // A sparse file: it has its length, and no blocks.
        let file = File::create(root.path().join("data.json")).unwrap();
        file.set_len(MAX_BUNDLE_BYTES + 1).unwrap();
        assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::TooLarge { .. })));

        let deep = format!("{}/x.rego", "d/".repeat(MAX_DEPTH + 1));
        let root = directory(&[(&deep, "")]);
        assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::TooDeep { .. })));

        let long = format!("{}x.rego", format!("{}/", "d".repeat(200)).repeat(3));
        let root = directory(&[(&long, "")]);
        assert!(matches!(
            read(root.path(), MAX_BUNDLE_BYTES),
            Err(BundleError::PathTooLong { .. })
        ));

        let root = directory(&[]);
        for index in 0..=MAX_ENTRIES {
            fs::write(root.path().join(index.to_string()), "").unwrap();
        }
        assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::TooManyEntries)));

        let root = directory(&[("a\nb.rego", "")]);
        assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::Name { .. })));
    }

    #[test]
    fn directories_are_told_apart_by_their_names() {
        let root = directory(&[
            ("tenant_a/policy.rego", ""),
            ("not a tenant/policy.rego", ""),
            ("..data/policy.rego", ""),
            ("README.md", ""),
        ]);
        symlink("nowhere", root.path().join("tenant_b")).unwrap();
        let entries = entries(root.path()).unwrap();
        assert_eq!(entries.len(), 3);
        assert!(matches!(&entries[2], Entry::Tenant(id, _) if id.as_str() == "tenant_b"));
        assert!(matches!(&entries[0], Entry::NoTenant(name) if name == "not a tenant"));
        assert!(matches!(&entries[1], Entry::Tenant(id, _) if id.as_str() == "tenant_a"));
    }
}

//! Reads a bundle from an archive, `tar` in `gzip`, as OPA writes it.
//!
//! An archive comes from a tenant. It is read in one pass, as a stream: what it says of itself is
//! compared with a bound before anything is reserved for it, and everything that readers of archives
//! disagree about is refused.

mod extensions;
mod meter;
mod path;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use enforcer_protocol::BUNDLE_CHUNK;
use flate2::bufread::MultiGzDecoder;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use tar::{Archive, EntryType};

use super::bundle::{ArchiveError, BundleError, BundleFile, ReadFile, ReadFiles};
use super::limits::{MAX_ARCHIVE_BYTES, MAX_ENTRIES, MAX_EXTENSION_BYTES, MAX_FILES};
use super::names::{RefusedName, Role, role};
use super::walk::identity;
use extensions::Extensions;
use meter::{Compressed, Meter, Unpacked};
use path::{Normal, normal};

/// How long an archive must be unchanged before an error in its form counts. A program that writes
/// it may pause.
const SETTLED: Duration = Duration::from_secs(2);

/// Bytes that are read from the file at once.
const BUFFER: usize = 64 * 1024;

/// Reads the archive at `path`. `None` when it changed meanwhile.
///
/// # Errors
/// When it is not an archive of a bundle within the bounds.
pub(super) fn read_archive(path: &Path, max_bytes: u64) -> Result<Option<ReadFiles>, BundleError> {
    let unreadable = |error: Errno| match error {
        Errno::ENOENT => BundleError::Gone,
        error => BundleError::Unreadable { path: ".".into(), error },
    };
    let of_io =
        |error: io::Error| unreadable(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
    // O_NONBLOCK: opening a FIFO would wait for its writer.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let opened: OwnedFd = nix::fcntl::open(path, flags, Mode::empty()).map_err(unreadable)?;
    let file = File::from(opened);
    let before = file.metadata().map_err(of_io)?;
    if !before.is_file() {
        return Err(BundleError::NotAFile { path: ".".into() });
    }
    if before.len() > MAX_ARCHIVE_BYTES {
        return Err(ArchiveError::TooLarge.into());
    }
    let read = unpack(file.try_clone().map_err(of_io)?, before.len(), max_bytes);
    // Also what another file in its place would be.
    let after = file.metadata().and_then(|open| Ok((open, path.metadata()?)));
    let is_same = after.is_ok_and(|(open, named)| {
        identity(&open) == identity(&before) && identity(&named) == identity(&before)
    });
    if !is_same {
        return Ok(None);
    }
    match read {
        Ok(files) => Ok(Some(files)),
        Err(BundleError::Archive(error)) if error.may_be_unfinished() => {
            // A time in the future says nothing.
            let age =
                before.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            if age.is_some_and(|age| age < SETTLED) {
                return Err(BundleError::BeingWritten(error));
            }
            Err(error.into())
        }
        Err(error) => Err(error),
    }
}

/// Unpacks an archive of `length` bytes, whose files may have `max_bytes` together. Memory is
/// reserved only for bytes that arrived.
///
/// # Errors
/// When it is not an archive of a bundle within the bounds.
pub(super) fn unpack(
    archive: impl Read,
    length: u64,
    max_bytes: u64,
) -> Result<ReadFiles, BundleError> {
    let meter = Meter::new(max_bytes);
    let compressed = Compressed::new(archive, length, &meter);
    let unpacked =
        Unpacked::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, compressed)), &meter);
    Unpacking::new(max_bytes, &meter).all(unpacked)
}

/// An archive while it is read.
struct Unpacking<'m> {
    meter: &'m Meter,
    max_bytes: u64,
    left: u64,
    entries: usize,
    parts: usize,
    /// The paths of files and of directories.
    seen: BTreeSet<String>,
    directories: BTreeSet<String>,
    files: Vec<ReadFile>,
}

impl<'m> Unpacking<'m> {
    const fn new(max_bytes: u64, meter: &'m Meter) -> Self {
        Self {
            meter,
            max_bytes,
            left: max_bytes,
            entries: 0,
            parts: 0,
            seen: BTreeSet::new(),
            directories: BTreeSet::new(),
            files: Vec::new(),
        }
    }

    fn all<R: Read>(mut self, unpacked: R) -> Result<ReadFiles, BundleError> {
        let mut archive = Archive::new(unpacked);
        let mut extensions = Extensions::default();
        // Raw: the crate itself would hold extensions of any length.
        let entries = archive.entries().map_err(|error| self.error(&error))?.raw(true);
        for entry in entries {
            let entry = entry.map_err(|error| self.error(&error))?;
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(BundleError::TooManyEntries);
            }
            self.entry(entry, &mut extensions)?;
        }
        if extensions.is_pending() {
            return Err(extension("it belongs to no entry"));
        }
        self.end(archive.into_inner())?;
        if let Some(path) = self.seen.iter().find(|path| self.directories.contains(*path)) {
            return Err(ArchiveError::FileAndDirectory { path: path.clone() }.into());
        }
        Ok(ReadFiles { files: self.files, ignored: Vec::new() })
    }

    fn entry<R: Read>(
        &mut self,
        mut entry: tar::Entry<'_, R>,
        extensions: &mut Extensions,
    ) -> Result<(), BundleError> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName) {
            let content = self.extension(&mut entry)?;
            let is_taken = match kind {
                EntryType::XHeader => extensions.take_records(&content),
                EntryType::GNULongName => extensions.take_long_name(&content),
                // It concerns all entries behind it, so it may say nothing that matters.
                _ => Extensions::default().take_records(&content).and_then(|taken| {
                    if taken { Err("it names all files".to_owned()) } else { Ok(false) }
                }),
            };
            return is_taken.map(|_| ()).map_err(extension);
        }
        let name =
            extensions.take_name().unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let shown = || path::shown(&name);
        if let Some(kind) = refused_kind(kind) {
            return Err(ArchiveError::Kind { path: shown(), kind }.into());
        }
        let is_directory = kind == EntryType::Directory;
        let path = match normal(&name, is_directory)? {
            Normal::Root => return Ok(()),
            Normal::Below(path) => path,
        };
        self.add_directories(&path);
        if is_directory {
            self.directories.insert(path);
            return Ok(());
        }
        if !self.seen.insert(path.clone()) {
            return Err(ArchiveError::Twice { path }.into());
        }
        let role = role(&path)
            .map_err(|RefusedName(why)| BundleError::RefusedName { path: path.clone(), why })?;
        if role == Role::Part {
            self.parts += 1;
            if self.parts > MAX_FILES {
                return Err(BundleError::TooManyFiles);
            }
        }
        let content = self.content(&mut entry, &path)?;
        self.files.push(ReadFile { file: BundleFile { path, content }, role });
        Ok(())
    }

    /// Remembers the directories that a path goes through.
    fn add_directories(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            if let Some(directory) = path.get(..at)
                && !self.directories.contains(directory)
            {
                self.directories.insert(directory.to_owned());
            }
        }
    }

    fn extension<R: Read>(&self, entry: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, BundleError> {
        let length = self.length_of(entry)?;
        if length > MAX_EXTENSION_BYTES {
            return Err(ArchiveError::ExtensionTooLarge.into());
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| self.error(&error))?;
        self.is_whole(length, content.len())?;
        Ok(content)
    }

    /// A file's content in pieces, whose length is taken from the bytes left.
    fn content<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        path: &str,
    ) -> Result<Vec<Box<[u8]>>, BundleError> {
        let length = self.length_of(entry)?;
        self.left =
            self.left.checked_sub(length).ok_or(BundleError::TooLarge { limit: self.max_bytes })?;
        let mut expected =
            usize::try_from(length).map_err(|_| BundleError::TooLarge { limit: self.max_bytes })?;
        let mut content = Vec::new();
        while expected > 0 {
            let next = expected.min(BUNDLE_CHUNK);
            let mut piece = Vec::with_capacity(next);
            let limit = u64::try_from(next).unwrap_or(u64::MAX);
            entry.take(limit).read_to_end(&mut piece).map_err(|error| self.error(&error))?;
            if piece.len() < next {
                let why = format!("it ends within {path}");
                return Err(ArchiveError::Damaged(why).into());
            }
            expected -= next;
            content.push(piece.into_boxed_slice());
        }
        Ok(content)
    }

    /// An entry's length: octal digits, as OPA writes it. The crate also reads a sign, which other
    /// readers do not, and lengths of more than 8 GiB.
    fn length_of<R: Read>(&self, entry: &tar::Entry<'_, R>) -> Result<u64, BundleError> {
        let field = &entry.header().as_old().size;
        if !field.iter().all(|byte| matches!(byte, b'0'..=b'7' | b' ' | 0)) {
            let why = "the length of an entry is not a number of up to 8 GiB".to_owned();
            return Err(ArchiveError::Damaged(why).into());
        }
        entry.header().entry_size().map_err(|error| self.error(&error))
    }

    fn is_whole(&self, length: u64, read: usize) -> Result<(), BundleError> {
        if u64::try_from(read).is_ok_and(|read| read == length) {
            return Ok(());
        }
        Err(ArchiveError::Damaged("it ends within a header".to_owned()).into())
    }

    /// Reads what is behind the last entry, which must be zeros: other readers may go on there.
    /// The checksum of the archive is at its very end.
    fn end<R: Read>(&self, mut rest: R) -> Result<(), BundleError> {
        let mut block = [0; 4096];
        loop {
            let read = rest.read(&mut block).map_err(|error| self.error(&error))?;
            if read == 0 {
                return Ok(());
            }
            if block.iter().take(read).any(|byte| *byte != 0) {
                return Err(ArchiveError::Trailing.into());
            }
        }
    }

    /// The bundle's error for an error of a reader.
    fn error(&self, error: &io::Error) -> BundleError {
        if let Some(breach) = self.meter.breach() {
            return breach.into();
        }
        match error.raw_os_error() {
            Some(code) => {
                BundleError::Unreadable { path: ".".into(), error: Errno::from_raw(code) }
            }
            None if error.kind() == io::ErrorKind::UnexpectedEof => ArchiveError::Truncated.into(),
            None => ArchiveError::Damaged(path::shown(error.to_string().as_bytes())).into(),
        }
    }
}

fn extension(why: impl Into<String>) -> BundleError {
    ArchiveError::Extension(why.into()).into()
}

/// A name for the kind of an entry that is neither a file nor a directory.
fn refused_kind(kind: EntryType) -> Option<&'static str> {
    match kind {
        EntryType::Regular | EntryType::Directory => None,
        EntryType::Link => Some("a hard link"),
        EntryType::Symlink => Some("a symbolic link"),
        EntryType::GNULongLink => Some("a link with a long name"),
        EntryType::Char | EntryType::Block => Some("a device"),
        EntryType::Fifo => Some("a FIFO"),
        EntryType::GNUSparse => Some("a sparse file"),
        EntryType::Continuous => Some("a contiguous file"),
        _ => Some("an entry of an unknown kind"),
    }
}

#[cfg(test)]
mod tests;

//! The bundle cache: a directory that one supervisor uses, and a tenant's files in it.
//!
//! | file | |
//! |---|---|
//! | `good.tar.gz` | the last bundle that a worker loaded |
//! | `candidate.tar.gz` | a newer one that was read and verified, until a worker has loaded it |
//! | `download.part` | one that is being downloaded |
//! | `refused.tar.gz` | a good copy that is refused by now: its key was withdrawn, or a worker of a newer version does not load it |
//! | `state.json` | the origin and the history of the good one |
//!
//! The state is removed before the good copy is replaced, and written after it. So after a crash
//! there may be a good copy without an ETag, which is then downloaded again, and never one with the
//! ETag of another.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use enforcer_protocol::TenantId;
use serde::{Deserialize, Serialize};

use super::transfer::new_file;

/// Bytes of a state's file.
const MAX_STATE: u64 = 64 * 1024;

/// Revisions that were replaced and are remembered, to notice a server that goes back.
pub(super) const REMEMBERED_REVISIONS: usize = 32;

/// The places of a tenant's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CachedFiles {
    directory: PathBuf,
}

/// The origin and the history of the good copy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Where it is from. The ETag is another server's otherwise.
    pub(super) url: String,
    pub(super) etag: Option<String>,
    pub(super) revision: String,
    /// When it was downloaded, in the form of RFC 3339.
    pub(super) downloaded: String,
    /// The revisions before it, the last one last.
    pub(super) replaced: Vec<String>,
}

impl CachedFiles {
    /// In the cache at `cache`. They need not exist.
    pub(crate) fn new(cache: &Path, tenant_id: &TenantId) -> Self {
        Self { directory: cache.join(tenant_id.as_str()) }
    }

    pub(crate) fn good(&self) -> PathBuf {
        self.directory.join("good.tar.gz")
    }

    pub(crate) fn candidate(&self) -> PathBuf {
        self.directory.join("candidate.tar.gz")
    }

    pub(super) fn part(&self) -> PathBuf {
        self.directory.join("download.part")
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state.json")
    }

    /// Makes the directory, and removes what an earlier process left unfinished. Returns what it
    /// knew of the good copy. It blocks.
    pub(super) fn open(&self) -> io::Result<Option<State>> {
        create_directory(&self.directory)?;
        for path in [self.candidate(), self.part()] {
            remove(&path)?;
        }
        let mut content = Vec::new();
        match File::open(self.state()) {
            Ok(file) => file.take(MAX_STATE).read_to_end(&mut content)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // One that is damaged costs a download.
        Ok(serde_json::from_slice(&content).ok())
    }

    /// Makes the download the candidate. It blocks.
    pub(super) fn offer(&self) -> io::Result<()> {
        fs::rename(self.part(), self.candidate())?;
        self.sync()
    }

    /// Makes the candidate the good copy. It blocks.
    pub(super) fn accept(&self, state: &State) -> io::Result<()> {
        remove(&self.state())?;
        self.sync()?;
        fs::rename(self.candidate(), self.good())?;
        self.sync()?;
        self.write(state)
    }

    /// Writes what is known of the good copy. It blocks.
    pub(super) fn write(&self, state: &State) -> io::Result<()> {
        let new = self.directory.join("state.new");
        let mut file = new_file(&new)?;
        file.write_all(&serde_json::to_vec(state).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&new, self.state())?;
        self.sync()
    }

    /// Moves the good copy out of the way. It blocks.
    pub(super) fn set_aside(&self) -> io::Result<()> {
        remove(&self.state())?;
        fs::rename(self.good(), self.directory.join("refused.tar.gz"))?;
        self.sync()
    }

    /// Removes the candidate. It blocks.
    pub(super) fn discard_candidate(&self) -> io::Result<()> {
        remove(&self.candidate())
    }

    /// Removes the download. It blocks.
    pub(super) fn discard_part(&self) -> io::Result<()> {
        remove(&self.part())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// The lock of the cache. Two supervisors with one cache would replace each other's good copies
/// while they read them. The kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct CacheLock {
    _directory: File,
}

/// Why a supervisor may not use a cache.
#[derive(Debug)]
pub(crate) enum CacheRefused {
    /// Another process has the lock.
    InUse,
    /// The operating system's error.
    Unusable(io::Error),
}

impl CacheLock {
    /// Makes the directory of the cache if it is missing, and locks it. It blocks.
    ///
    /// # Errors
    /// When the directory cannot be made or locked, or another supervisor uses it.
    pub(crate) fn take(cache: &Path) -> Result<Self, CacheRefused> {
        create_directory(cache).map_err(CacheRefused::Unusable)?;
        // The directory itself: a file in it could be removed by somebody who tidies up. Workers do
        // not inherit the lock, because the file is closed when they are started.
        let directory = File::open(cache).map_err(CacheRefused::Unusable)?;
        match directory.try_lock() {
            Ok(()) => Ok(Self { _directory: directory }),
            Err(TryLockError::WouldBlock) => Err(CacheRefused::InUse),
            Err(TryLockError::Error(error)) => Err(CacheRefused::Unusable(error)),
        }
    }
}

/// Makes a directory, which only this user may read.
fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if path.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_has_one_user_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("made").join("cache");
        let first = CacheLock::take(&cache).unwrap();
        assert!(matches!(CacheLock::take(&cache), Err(CacheRefused::InUse)));
        drop(first);
        CacheLock::take(&cache).unwrap();

        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(CacheLock::take(&file), Err(CacheRefused::Unusable(_))));
    }

    #[test]
    fn a_process_that_ended_at_any_moment_leaves_a_good_copy_and_no_etag_of_another() {
        let directory = tempfile::tempdir().unwrap();
        let files = CachedFiles::new(directory.path(), &"acme".parse().unwrap());
        assert!(files.open().unwrap().is_none());
        fs::write(files.part(), "first").unwrap();
        files.offer().unwrap();
        let state = State { etag: Some("\"1\"".to_owned()), ..State::default() };
        files.accept(&state).unwrap();
        assert_eq!(files.open().unwrap().unwrap().etag.as_deref(), Some("\"1\""));

        // It ended while it downloaded, and with a candidate.
        fs::write(files.part(), "half").unwrap();
        fs::write(files.candidate(), "second").unwrap();
        assert_eq!(files.open().unwrap().unwrap().etag.as_deref(), Some("\"1\""));
        assert_eq!(fs::read(files.good()).unwrap(), b"first");
        assert!(!files.part().exists() && !files.candidate().exists());

        // It ended while it replaced the good copy: the state is not there, or not writable.
        fs::write(files.candidate(), "second").unwrap();
        fs::create_dir(files.directory.join("state.new")).unwrap();
        files.accept(&state).unwrap_err();
        assert_eq!(fs::read(files.good()).unwrap(), b"second");
        assert!(files.open().unwrap().is_none());
    }
}

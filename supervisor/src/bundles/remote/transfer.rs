//! Takes the body of an answer to a file, within bounds of size and time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::client::Download;
use super::error::DownloadError;
use crate::blocking::spawn_blocking_on;
use crate::outbound::error::chain;

/// The longest that one download may take. Others may wait for its place.
const MAX_TIME: Duration = Duration::from_secs(300);

/// The time after which a download must have its least rate.
const RATE_GRACE: Duration = Duration::from_secs(10);

/// The least rate of a download, in bytes a second: that of a bad mobile connection.
const MIN_RATE: u64 = 4 * 1024;

/// Pieces of a body that wait to be written. hyper's are of up to half a mebibyte.
const PIECES: usize = 4;

/// How long the file may take to be written after its last byte came.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// A part of the file.
enum Piece {
    Bytes(Bytes),
    /// All of it came. Without it, the file is removed.
    End,
}

/// Writes the body to `path`, which is replaced. `idle` is the longest pause between two parts of
/// it; `received` is told of all bytes that came. Returns the file's length.
///
/// # Errors
/// When the body is too large, too slow, or ends early, or when it cannot be written.
pub(super) async fn save(
    download: &mut Download,
    path: &Path,
    max_bytes: u64,
    idle: Duration,
    files: &Handle,
    received: impl Fn(u64),
) -> Result<u64, DownloadError> {
    if download.length.is_some_and(|length| length > max_bytes) {
        return Err(DownloadError::TooLarge(max_bytes));
    }
    let (pieces, waiting) = mpsc::channel(PIECES);
    let path: PathBuf = path.to_owned();
    let writing = spawn_blocking_on(files, move || write(&path, waiting));
    let began = Instant::now();
    let latest = began + MAX_TIME;
    let mut length: u64 = 0;
    loop {
        let slow =
            || DownloadError::TooSlow { received: length, seconds: began.elapsed().as_secs() };
        let until = (Instant::now() + idle).min(latest);
        let Some(frame) = timeout_at(until, download.body.frame()).await.map_err(|_| slow())?
        else {
            break;
        };
        let frame = frame.map_err(|error| DownloadError::Body(chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
        length = length.saturating_add(bytes);
        received(bytes);
        if length > max_bytes {
            return Err(DownloadError::TooLarge(max_bytes));
        }
        let took = began.elapsed();
        if took > RATE_GRACE && length < took.as_secs().saturating_mul(MIN_RATE) {
            return Err(DownloadError::TooSlow { received: length, seconds: took.as_secs() });
        }
        match timeout_at(latest, pieces.send(Piece::Bytes(data))).await {
            Ok(Ok(())) => {}
            // The writer ended; its error says why.
            Ok(Err(_)) => break,
            Err(_) => return Err(DownloadError::Cache("writing hangs".to_owned())),
        }
    }
    let _ = timeout_at(latest, pieces.send(Piece::End)).await;
    drop(pieces);
    let failed = |error: String| DownloadError::Cache(error);
    timeout(WRITE_PATIENCE, writing)
        .await
        .map_err(|_| failed("writing hangs".to_owned()))?
        .map_err(|_| failed("the host has no thread to write it".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    Ok(length)
}

/// Writes all pieces to a new file at `path`, or leaves none.
fn write(path: &Path, mut pieces: mpsc::Receiver<Piece>) -> io::Result<()> {
    let written = write_to(path, &mut pieces);
    if written.is_err() {
        // It may not even exist.
        let _ = fs::remove_file(path);
    }
    written
}

fn write_to(path: &Path, pieces: &mut mpsc::Receiver<Piece>) -> io::Result<()> {
    let mut file = new_file(path)?;
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => file.write_all(&bytes)?,
            Some(Piece::End) => return file.sync_all(),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A new file at `path`, which nobody else has open.
pub(super) fn new_file(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

//! Counts what goes into the unpacking of an archive and what comes out, and stops it.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};

use crate::bundles::bundle::ArchiveError;
use crate::bundles::limits::{MAX_ARCHIVE_OVERHEAD, MAX_COMPRESSION_RATIO, RATIO_ALLOWANCE};

/// The counts of one archive.
#[derive(Debug)]
pub(super) struct Meter {
    compressed: Cell<u64>,
    unpacked: Cell<u64>,
    limit: u64,
    breach: RefCell<Option<ArchiveError>>,
}

impl Meter {
    /// For an archive whose files may have `max_bytes`.
    pub(super) const fn new(max_bytes: u64) -> Self {
        Self {
            compressed: Cell::new(0),
            unpacked: Cell::new(0),
            limit: max_bytes.saturating_add(MAX_ARCHIVE_OVERHEAD),
            breach: RefCell::new(None),
        }
    }

    /// The bound that stopped the unpacking.
    pub(super) fn breach(&self) -> Option<ArchiveError> {
        self.breach.borrow().clone()
    }

    fn stop(&self, breach: ArchiveError) -> io::Error {
        let error = io::Error::other(breach.to_string());
        self.breach.replace(Some(breach));
        error
    }
}

/// The file of an archive, up to the length that it had.
#[derive(Debug)]
pub(super) struct Compressed<'m, R> {
    file: io::Take<R>,
    meter: &'m Meter,
}

impl<'m, R: Read> Compressed<'m, R> {
    pub(super) fn new(file: R, length: u64, meter: &'m Meter) -> Self {
        Self { file: file.take(length), meter }
    }
}

impl<R: Read> Read for Compressed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.meter.compressed.set(self.meter.compressed.get().saturating_add(count));
        Ok(read)
    }
}

/// The unpacked archive.
#[derive(Debug)]
pub(super) struct Unpacked<'m, R> {
    inner: R,
    meter: &'m Meter,
}

impl<'m, R> Unpacked<'m, R> {
    pub(super) const fn new(inner: R, meter: &'m Meter) -> Self {
        Self { inner, meter }
    }
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        let unpacked = self.meter.unpacked.get().saturating_add(count);
        self.meter.unpacked.set(unpacked);
        let allowed = self.meter.compressed.get().saturating_mul(MAX_COMPRESSION_RATIO);
        if unpacked > RATIO_ALLOWANCE && unpacked > allowed {
            return Err(self.meter.stop(ArchiveError::Ratio));
        }
        if unpacked > self.meter.limit {
            return Err(self.meter.stop(ArchiveError::Overhead));
        }
        Ok(read)
    }
}

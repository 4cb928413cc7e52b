//! Any bytes as a tenant's archive: reading it ends within its bounds of memory, and a bundle that it
//! holds has each file once, below the bundle's root, however the archive's bytes arrive.

#![no_main]

use std::alloc::System;
use std::io::{self, Read, Write};

use cap::Cap;
use enforcer_supervisor::fuzzing::unpack;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

/// Bytes that the files of an archive may have together: fewer than an input may have.
const MAX_BYTES: u64 = 32 * 1024;

/// Bytes that reading may hold at once. An input of 64 KiB unpacks to 16 MiB at most. Of these each
/// entry with a long name takes three blocks of 512 bytes, and the names of its 16 directories up to
/// three times as much; the decompressor and its buffers take less than 1 MiB.
const MAX_MEMORY: usize = 64 * 1024 * 1024;

/// Bytes of a path, as the documents promise.
const MAX_PATH: usize = 512;

/// Bytes of a block of tar.
const BLOCK: usize = 512;

/// Fails an allocation that would exceed the limit, which ends the fuzzer.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|input: &[u8]| {
    check(input);
    // A chance change does not keep checksums, so the input is also tried as what they protect.
    check(&gzip(&with_checksums(input)));
});

fn check(archive: &[u8]) {
    let whole = read(archive, usize::MAX);
    let size = archive.last().copied().map_or(1, usize::from).max(1);
    // Only which of an archive's faults is found first may depend on it.
    assert_eq!(whole, read(archive, size), "the bundle depends on how its bytes arrive");
    let Some(files) = whole else { return };
    assert!(files.is_sorted_by(|(left, _), (right, _)| left < right), "{files:?}");
    for (path, _) in &files {
        assert!(path.len() <= MAX_PATH && !path.contains(char::is_control), "{path:?}");
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
    }
    let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
    assert!(bytes as u64 <= MAX_BYTES, "{bytes}");
}

/// Reads an archive that arrives in pieces of up to `size` bytes, with little memory.
fn read(archive: &[u8], size: usize) -> Option<Vec<(String, Vec<u8>)>> {
    let length = archive.len() as u64;
    MEMORY.set_limit(MEMORY.allocated() + MAX_MEMORY).expect("it is above what is in use");
    let files = unpack(Pieces { rest: archive, size }, length, MAX_BYTES);
    MEMORY.set_limit(usize::MAX).expect("nothing is above it");
    files.ok()
}

/// Bytes that arrive in pieces.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = buffer.len().min(self.size);
        self.rest.read(&mut buffer[..size])
    }
}

/// The input as a tar file: the headers that a reader finds have their checksums, and it ends.
fn with_checksums(input: &[u8]) -> Vec<u8> {
    let mut tar = input.to_vec();
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let length = std::str::from_utf8(&header[124..135]).ok();
        let length = length.and_then(|digits| usize::from_str_radix(digits, 8).ok()).unwrap_or(0);
        at += BLOCK + length.next_multiple_of(BLOCK);
    }
    tar.resize(tar.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    tar
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

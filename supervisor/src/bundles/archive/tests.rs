//! Archives as they are found, made here byte by byte.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::bundles::limits::{MAX_BUNDLE_BYTES, MAX_DEPTH, MAX_PATH};
use crate::bundles::read::read;
use crate::bundles::source::Source;
use crate::config::BundleVerification;

/// A tar file that is written entry by entry.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(b'0', name.as_bytes(), content.as_ref())
    }

    fn entry(mut self, kind: u8, name: &[u8], content: &[u8]) -> Self {
        self.0.extend(header(kind, name, content.len()));
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A header with PAX records.
    fn records(self, kind: u8, records: &[(&str, &str)]) -> Self {
        let records: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.entry(kind, b"PaxHeaders/x", records.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length = |digits: usize| rest.len() + digits;
    let digits = (1..5).find(|digits| length(*digits).to_string().len() == *digits).unwrap();
    format!("{}{rest}", length(digits))
}

fn header(kind: u8, name: &[u8], length: usize) -> [u8; 512] {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{length:011o}").as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    sealed(header)
}

/// With its checksum.
fn sealed(mut header: [u8; 512]) -> [u8; 512] {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The archive as a file that has been at rest for a while.
fn settled(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenant.tar.gz");
    fs::write(&path, bytes).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    (directory, path)
}

fn unpacked(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let (_directory, path) = settled(bytes);
    let source = Source::At(path.clone());
    let bundle = read(&source, MAX_BUNDLE_BYTES, &BundleVerification::none());
    let bundle = bundle.map_err(|error| error.to_string())?;
    let text = |file: &BundleFile| String::from_utf8(file.content.concat()).unwrap();
    Ok(bundle.files.iter().map(|file| (file.path.clone(), text(file))).collect())
}

fn names(tar: Tar) -> Result<Vec<String>, String> {
    Ok(unpacked(&gzip(&tar.end()))?.into_iter().map(|(path, _)| path).collect())
}

#[track_caller]
fn refused(tar: Tar, expected: &str) {
    let error = names(tar).unwrap_err();
    assert!(error.contains(expected), "expected {expected:?}: {error}");
}

#[test]
fn an_archive_has_the_files_and_the_revision_of_the_same_directory() {
    let files =
        [("data.json", "{}"), ("lib/x.rego", "b"), ("policy.rego", "a"), (".manifest", "{}")];
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("lib")).unwrap();
    for (path, content) in files {
        fs::write(directory.path().join(path), content).unwrap();
    }
    fs::write(directory.path().join("README.md"), "").unwrap();
    let none = BundleVerification::none();
    let expected = read(&Source::At(directory.path().to_owned()), 1024, &none).unwrap();
    for root in ["/", "./", ""] {
        let mut tar = Tar::default().entry(b'5', b"./", b"").file(&format!("{root}README.md"), "");
        for (path, content) in files {
            tar = tar.file(&format!("{root}{path}"), content);
        }
        tar = tar.entry(b'5', format!("{root}lib/").as_bytes(), b"");
        let (_directory, path) = settled(&gzip(&tar.end()));
        let bundle = read(&Source::At(path.clone()), 1024, &none).unwrap();
        assert_eq!(bundle.revision, expected.revision, "{root}");
        assert_eq!(bundle.ignored_files, expected.ignored_files);
        assert_eq!(bundle.ignored_files, ["README.md"]);
    }
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let long = format!("{}/x.rego", "d".repeat(200));
    let gnu = Tar::default().entry(b'L', b"././@LongLink", format!("{long}\0").as_bytes());
    assert_eq!(names(gnu.file("short.rego", "")), Ok(vec![long.clone()]));
    let pax = Tar::default().records(b'x', &[("mtime", "1.5"), ("path", &long)]);
    assert_eq!(
        names(pax.file("short.rego", "").file("y.rego", "")),
        Ok(vec![long, "y.rego".into()])
    );
    let comment = Tar::default().records(b'g', &[("comment", "5f3a")]);
    assert_eq!(names(comment.file("x.rego", "")), Ok(vec!["x.rego".into()]));
}

#[test]
fn no_name_leads_out_of_the_bundle() {
    for (name, expected) in [
        ("../x.rego", "has . or .. for a part"),
        ("a/../../x.rego", "has . or .. for a part"),
        ("/../x.rego", "has . or .. for a part"),
        ("a/./x.rego", "has . or .. for a part"),
        ("././x.rego", "has . or .. for a part"),
        ("//x.rego", "has an empty part"),
        ("a//x.rego", "has an empty part"),
        ("/./x.rego", "has . or .. for a part"),
        ("x.rego/", "has an empty part"),
        ("", "has an empty part"),
        ("a\nb.rego", "control characters"),
        ("a\u{85}b.rego", "control characters"),
    ] {
        refused(Tar::default().file(name, ""), expected);
        if !name.is_empty() {
            refused(Tar::default().records(b'x', &[("path", name)]).file("y.rego", ""), expected);
        }
    }
    refused(Tar::default().entry(b'0', b"\xff.rego", b""), "not UTF-8");
    let pax = Tar::default().records(b'x', &[("path", "a\0b.rego")]);
    refused(pax.file("y.rego", ""), "control characters");
    refused(Tar::default().entry(b'5', b"..", b""), "has . or .. for a part");
}

#[test]
fn only_files_and_directories_are_unpacked() {
    for (kind, expected) in [
        (b'1', "a hard link"),
        (b'2', "a symbolic link"),
        (b'3', "a device"),
        (b'4', "a device"),
        (b'6', "a FIFO"),
        (b'7', "a contiguous file"),
        (b'S', "a sparse file"),
        (b'K', "a link with a long name"),
        (b'V', "an entry of an unknown kind"),
        (b'z', "an entry of an unknown kind"),
    ] {
        let tar = Tar::default().file("policy.rego", "").entry(kind, b"link", b"");
        refused(tar, &format!("link: is {expected}"));
    }
}

#[test]
fn a_path_is_one_thing_once() {
    refused(Tar::default().file("x.rego", "a").file("/x.rego", "b"), "x.rego: comes twice");
    refused(Tar::default().file("a", "").file("a/x.rego", ""), "a: is a file and a directory");
    refused(Tar::default().file("a/x.rego", "").file("a", ""), "a: is a file and a directory");
    refused(Tar::default().file("a", "").entry(b'5', b"a/", b""), "a: is a file and a directory");
    let twice = Tar::default().entry(b'5', b"a/", b"").entry(b'5', b"a", b"");
    assert_eq!(names(twice), Ok(vec![]));
}

#[test]
fn headers_that_readers_disagree_about_are_refused() {
    let refused_record = |key, value, expected| {
        refused(Tar::default().records(b'x', &[(key, value)]).file("x.rego", "a"), expected);
    };
    refused_record("size", "0", "the record size is not supported");
    refused_record("linkpath", "/etc/passwd", "the record linkpath");
    refused_record("hdrcharset", "BINARY", "the record hdrcharset");
    refused_record("GNU.sparse.realsize", "9", "the record GNU.sparse.realsize");
    let twice = Tar::default().records(b'x', &[("path", "a.rego"), ("path", "b.rego")]);
    refused(twice.file("x.rego", ""), "the path is given twice");
    let both = Tar::default().records(b'x', &[("path", "a.rego")]).entry(b'L', b"", b"b.rego\0");
    refused(both.file("x.rego", ""), "it follows another one");
    let global = Tar::default().records(b'g', &[("path", "a.rego")]);
    refused(global.file("x.rego", ""), "it names all files");
    refused(Tar::default().records(b'g', &[("size", "1")]).file("x.rego", ""), "the record size");
    refused(Tar::default().file("x.rego", "").records(b'x', &[]), "it belongs to no entry");
    for malformed in
        ["9999 path=x\n", "x path=a\n", "12 path=a.reg", " path=a\n", "5 a\n", "1\n", "0 \n"]
    {
        let tar = Tar::default().entry(b'x', b"", malformed.as_bytes());
        refused(tar.file("x.rego", ""), "a record");
    }
    let large = "x".repeat(usize::try_from(MAX_EXTENSION_BYTES).unwrap() + 1);
    for kind in [b'x', b'g', b'L'] {
        refused(Tar::default().entry(kind, b"", large.as_bytes()), "larger than 8192 bytes");
    }
}

#[test]
fn every_bound_is_kept() {
    let long = format!("{}.rego", "d/".repeat(3) + &"x".repeat(MAX_PATH));
    refused(
        Tar::default().records(b'x', &[("path", &long)]).file("x", ""),
        "longer than 512 bytes",
    );
    let deep = "d/".repeat(MAX_DEPTH + 1) + "x.rego";
    refused(Tar::default().file(&deep, ""), "more than 16 directories deep");
    let mut many = Tar::default();
    for index in 0..=MAX_FILES {
        many = many.file(&format!("{index}.rego"), "");
    }
    refused(many, "more than 4096 files");
    // Only what was read until the bound costs anything: the rest of this archive is not tar.
    let mut many = Tar::default();
    for _ in 0..=MAX_ENTRIES {
        many = many.entry(b'5', b"d", b"");
    }
    refused(many.entry(b'0', b"bad", &[0xff; 512]), "more than 16384 entries");

    let (_directory, path) =
        settled(&gzip(&Tar::default().file("a.rego", "12345").file("b", "6").end()));
    let none = BundleVerification::none();
    assert!(read(&Source::At(path.clone()), 6, &none).is_ok());
    let error = read(&Source::At(path.clone()), 5, &none).unwrap_err();
    assert!(matches!(error, BundleError::TooLarge { limit: 5 }), "{error}");
}

#[test]
fn a_size_that_is_only_claimed_reserves_nothing() {
    for size in ["77777777777", "\u{0}", "9", "+1"] {
        let mut claimed = header(b'0', b"data.json", 0);
        claimed[124..136].fill(0);
        claimed[124..124 + size.len()].copy_from_slice(size.as_bytes());
        let error = unpacked(&gzip(&Tar(sealed(claimed).to_vec()).end())).unwrap_err();
        let is_known = ["larger than", "damaged", "is not a number"]
            .iter()
            .any(|expected| error.contains(expected));
        assert!(is_known, "{size:?}: {error}");
    }
    // In base 256, up to the whole of 64 bits.
    let mut claimed = header(b'0', b"data.json", 0);
    claimed[124..136].fill(0xff);
    let error = unpacked(&gzip(&Tar(sealed(claimed).to_vec()).end())).unwrap_err();
    assert!(error.contains("larger than") || error.contains("damaged"), "{error}");
}

#[test]
fn a_bomb_stops_early() {
    let bomb =
        Tar::default().entry(b'5', b"d", b"").file("data.json", vec![b' '; 40 * 1024 * 1024]);
    refused(bomb, "unpacks to more than 250 times its size");
    // Also one that is only padding behind the end.
    let mut padding = Tar::default().file("x.rego", "").end();
    padding.resize(40 * 1024 * 1024, 0);
    let error = unpacked(&gzip(&padding)).unwrap_err();
    assert!(error.contains("250 times"), "{error}");
}

#[test]
fn what_is_behind_the_end_is_refused_and_padding_is_not() {
    let good = Tar::default().file("x.rego", "a").end();
    let mut padded = good.clone();
    padded.resize(20 * 512, 0);
    assert!(unpacked(&gzip(&padded)).is_ok());
    let more = Tar::default().file("y.rego", "b").end();
    let expected = "goes on behind its end";
    let error = unpacked(&gzip(&[good.clone(), more.clone()].concat())).unwrap_err();
    assert!(error.contains(expected), "{error}");
    // Two archives in one file, one after the other.
    let error = unpacked(&[gzip(&good), gzip(&more)].concat()).unwrap_err();
    assert!(error.contains(expected), "{error}");
    // One archive in two members of gzip is one archive, as for OPA.
    let (left, right) = good.split_at(700);
    assert!(unpacked(&[gzip(left), gzip(right)].concat()).is_ok());
    // Bytes behind the last member.
    let error = unpacked(&[gzip(&good), b"garbage".to_vec()].concat()).unwrap_err();
    assert!(error.contains("damaged") || error.contains("truncated"), "{error}");
}

#[test]
fn a_damaged_archive_is_refused() {
    let good = gzip(&Tar::default().file("x.rego", "package a").end());
    let mut wrong_sum = good.clone();
    let checksum = wrong_sum.len() - 8;
    wrong_sum[checksum] ^= 1;
    for bytes in [
        wrong_sum,
        Vec::new(),
        b"no gzip at all".to_vec(),
        Tar::default().file("x.rego", "").end(),
        gzip(b"no tar at all"),
        gzip(&[7; 512]),
        gzip(&Tar::default().file("x.rego", "package a").0[..700]),
    ] {
        let error = unpacked(&bytes).unwrap_err();
        assert!(error.contains("damaged") || error.contains("truncated"), "{error}");
    }
    // At every length that a copy may stop at.
    for length in 0..good.len() {
        let error = unpacked(&good[..length]).unwrap_err();
        assert!(error.contains("damaged") || error.contains("truncated"), "{length}: {error}");
    }
    assert!(unpacked(&good).is_ok());
}

#[test]
fn an_archive_that_may_still_be_written_is_not_refused_yet() {
    let good = gzip(&Tar::default().file("x.rego", "package a").end());
    let (_directory, path) = settled(&good[..good.len() / 2]);
    let read_now = || read(&Source::At(path.clone()), 1024, &BundleVerification::none());
    let error = read_now().unwrap_err();
    assert!(!error.is_passing() && matches!(error, BundleError::Archive(_)), "{error}");
    // It was written to a moment ago.
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    let error = read_now().unwrap_err();
    assert!(error.is_passing() && matches!(error, BundleError::BeingWritten(_)), "{error}");
    fs::write(&path, &good).unwrap();
    assert!(read_now().is_ok());
}

#[test]
fn a_directory_and_an_archive_of_one_tenant_are_refused_and_neither_is_guessed() {
    let root = tempfile::tempdir().unwrap();
    let source = Source::new(root.path(), &"acme".parse().unwrap());
    let none = BundleVerification::none();
    let read_now = || read(&source, 1024, &none);
    assert!(matches!(read_now(), Err(BundleError::Gone)));
    fs::create_dir(root.path().join("acme")).unwrap();
    assert!(read_now().is_ok());
    let before = source.stat().fingerprint;
    let archive = root.path().join("acme.tar.gz");
    fs::write(&archive, gzip(&Tar::default().file("x.rego", "").end())).unwrap();
    assert!(matches!(read_now(), Err(BundleError::Ambiguous)));
    assert_ne!(source.stat().fingerprint, before);
    fs::remove_dir(root.path().join("acme")).unwrap();
    assert_eq!(read_now().unwrap().files.len(), 1);
}

#[test]
fn an_archive_that_is_no_file_is_refused_without_waiting() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("acme.tar.gz");
    nix::unistd::mkfifo(&path, Mode::S_IRUSR).unwrap();
    let error = read(&Source::At(path.clone()), 1024, &BundleVerification::none()).unwrap_err();
    assert!(matches!(error, BundleError::NotAFile { .. }), "{error}");
}

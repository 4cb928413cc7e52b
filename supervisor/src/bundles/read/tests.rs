//! Bundles on a real file system.

use super::*;
use crate::bundles::entries::{Entry, entries};
use crate::bundles::limits::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// Reads a directory that nobody has signed.
fn read(root: &Path, max_bytes: u64) -> Result<Bundle, BundleError> {
    super::read(&Source::At(root.to_owned()), max_bytes, &BundleVerification::none())
}

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
    read(root.path(), MAX_BUNDLE_BYTES).unwrap().files.into_iter().map(|file| file.path).collect()
}

#[test]
fn a_bundle_is_its_policies_its_data_and_its_metadata() {
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
    let expected = [
        ".manifest",
        "data.json",
        "lib/data.yaml",
        "lib/deep/x.rego",
        "metadata.json",
        "policy.rego",
    ];
    assert_eq!(paths(&root), expected);
    let bundle = read(root.path(), MAX_BUNDLE_BYTES).unwrap();
    assert_eq!(bundle.ignored_files, ["README.md", "lib/metadata.json"]);
}

#[test]
fn equal_content_is_the_same_revision_and_any_change_is_another() {
    let revision =
        |files: &[(&str, &str)]| read(directory(files).path(), MAX_BUNDLE_BYTES).unwrap().revision;
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
fn entries_that_are_not_files_are_refused_without_waiting() {
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
    assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::PathTooLong { .. })));

    let root = directory(&[]);
    for index in 0..=MAX_ENTRIES {
        fs::write(root.path().join(index.to_string()), "").unwrap();
    }
    assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::TooManyEntries)));

    let root = directory(&[("a\nb.rego", "")]);
    assert!(matches!(read(root.path(), MAX_BUNDLE_BYTES), Err(BundleError::Name { .. })));
}

#[test]
fn directories_and_archives_are_told_apart_by_their_names() {
    let root = directory(&[
        ("tenant_a/policy.rego", ""),
        ("not a tenant/policy.rego", ""),
        ("tenant_d.tar.gz/policy.rego", ""),
        ("..data/policy.rego", ""),
        ("README.md", ""),
        ("tenant_c.tar.gz", ""),
        ("tenant_c.tar.gz.part", ""),
        (".tenant_c.tar.gz", ""),
        ("not a tenant.tar.gz", ""),
    ]);
    symlink("nowhere", root.path().join("tenant_b")).unwrap();
    symlink("nowhere", root.path().join("tenant_e.tar.gz")).unwrap();
    let entries: Vec<String> = entries(root.path())
        .unwrap()
        .into_iter()
        .map(|entry| match entry {
            Entry::Tenant(id, _) => format!("tenant {id}"),
            Entry::NoTenant(name) => format!("no tenant {name}"),
        })
        .collect();
    let expected = [
        "no tenant not a tenant",
        "no tenant not a tenant.tar.gz",
        "tenant tenant_a",
        "tenant tenant_b",
        "tenant tenant_c",
        "no tenant tenant_d.tar.gz",
        "tenant tenant_e",
    ];
    assert_eq!(entries, expected);
}

#[test]
fn a_file_that_would_change_what_opa_decides_is_refused_by_name() {
    for path in ["patch.json", "lib/patch.json", ".manifest.pb", "lib/.signatures.json"] {
        let root = directory(&[("policy.rego", "a"), (path, "{}")]);
        let error = read(root.path(), MAX_BUNDLE_BYTES).unwrap_err();
        assert!(
            matches!(&error, BundleError::RefusedName { path: at, .. } if at == path),
            "{error}"
        );
    }
}

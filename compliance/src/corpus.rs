//! Real-world policies: the folders of a repository that are loaded together, and their tests.
//!
//! Repositories do not say which folders belong together. Here a **bundle** is a folder's own
//! modules, and all folders that define the packages that those use, found by the `data.…` names in
//! them. Where several folders define a package, the nearest ones are taken: a library stands
//! beside its users.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files;
use crate::tool::Failure;

/// Modules that are loaded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The folder of its own modules, below the repository's.
    pub folder: String,
    /// All files, by their path below the repository's folder.
    pub files: BTreeMap<String, String>,
    /// The tests of the folder's own modules, as paths below `data`.
    pub tests: Vec<Vec<String>>,
    /// The packages of the folder's own modules, without those that hold tests.
    pub packages: Vec<Vec<String>>,
}

struct Module {
    path: String,
    text: String,
    package: Vec<String>,
    uses: BTreeSet<Vec<String>>,
}

/// A bundle has no more modules than this; a folder that needs more gets the nearest ones.
const MOST_MODULES: usize = 1500;

/// The bundles of a repository.
///
/// # Errors
/// Files that cannot be read.
pub fn bundles(root: &Path) -> Result<Vec<Bundle>, Failure> {
    let mut folders: BTreeMap<String, Vec<Module>> = BTreeMap::new();
    for path in files::below(root, &|path| path.ends_with(".rego"))? {
        let text = files::text(&root.join(&path))?;
        let module =
            Module { package: package(&text), uses: references(&text), text, path: path.clone() };
        folders.entry(parent(&path).to_owned()).or_default().push(module);
    }
    let data = files::below(root, &|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        ["data.json", "data.yaml", "data.yml"].contains(&name)
    })?;
    let mut definers = Definers::new();
    for (folder, modules) in &folders {
        for module in modules.iter().filter(|module| !module.package.is_empty()) {
            definers.entry(module.package.clone()).or_default().insert(folder.clone());
        }
    }
    let mut bundles = Vec::new();
    for folder in folders.keys() {
        bundles.push(bundle(root, &folders, &definers, &data, folder)?);
    }
    // A folder that only has modules used by another one is not a separate bundle, unless it has
    // tests.
    let mut used = BTreeSet::new();
    for bundle in &bundles {
        let others = bundle.files.keys().map(|path| parent(path));
        used.extend(others.filter(|other| *other != bundle.folder).map(str::to_owned));
    }
    bundles.retain(|bundle| !bundle.tests.is_empty() || !used.contains(&bundle.folder));
    Ok(merged(bundles))
}

/// A bundle that is mostly contained in another is measured with it: large repositories would be
/// loaded hundreds of times.
fn merged(mut bundles: Vec<Bundle>) -> Vec<Bundle> {
    bundles.sort_by_key(|bundle| std::cmp::Reverse(bundle.files.len()));
    let mut kept: Vec<Bundle> = Vec::new();
    for bundle in bundles {
        let home = kept.iter_mut().find(|home| {
            bundle.files.len() * 2 >= home.files.len()
                && bundle.files.iter().all(|(path, text)| home.files.get(path) == Some(text))
        });
        match home {
            Some(home) => {
                home.tests.extend(bundle.tests);
                home.packages.extend(bundle.packages);
            }
            None => kept.push(bundle),
        }
    }
    for bundle in &mut kept {
        for paths in [&mut bundle.tests, &mut bundle.packages] {
            paths.sort();
            paths.dedup();
        }
    }
    kept.sort_by(|one, other| one.folder.cmp(&other.folder));
    kept
}

/// The folders that define each package.
type Definers = BTreeMap<Vec<String>, BTreeSet<String>>;

fn bundle(
    root: &Path,
    folders: &BTreeMap<String, Vec<Module>>,
    definers: &Definers,
    data: &[String],
    folder: &str,
) -> Result<Bundle, Failure> {
    let mut taken = BTreeSet::from([folder.to_owned()]);
    let mut open = vec![folder.to_owned()];
    let mut modules = folders.get(folder).map_or(0, Vec::len);
    while let Some(user) = open.pop() {
        for used in folders.get(&user).into_iter().flatten().flat_map(|module| &module.uses) {
            for provider in providers(definers, &user, used) {
                let more = folders.get(&provider).map_or(0, Vec::len);
                if modules + more <= MOST_MODULES && taken.insert(provider.clone()) {
                    modules += more;
                    open.push(provider);
                }
            }
        }
    }
    let mut texts = BTreeMap::new();
    for module in taken.iter().filter_map(|folder| folders.get(folder)).flatten() {
        texts.insert(module.path.clone(), module.text.clone());
    }
    // The folder determines the path of base data, so the folders' own data is at the root.
    for path in data {
        if taken.contains(parent(path)) && parent(path) == folder {
            let name = path.rsplit('/').next().unwrap_or(path).to_owned();
            texts.insert(name, files::text(&root.join(path))?);
        }
    }
    let own = folders.get(folder).into_iter().flatten();
    let mut tests = BTreeSet::new();
    let mut packages = BTreeSet::new();
    for module in own {
        let names = test_names(&module.text);
        if names.is_empty() {
            packages.insert(module.package.clone());
        }
        for name in names {
            let mut path = module.package.clone();
            path.push(name);
            tests.insert(path);
        }
    }
    // A package with tests would be evaluated with all of them once more.
    packages.retain(|package| !tests.iter().any(|test| test.starts_with(package)));
    Ok(Bundle {
        folder: folder.to_owned(),
        files: texts,
        tests: tests.into_iter().collect(),
        packages: packages.into_iter().collect(),
    })
}

/// The nearest folders that define what a user uses.
fn providers(definers: &Definers, user: &str, used: &[String]) -> Vec<String> {
    // A package that contains the used name, or packages below it.
    let above = (1..used.len()).filter_map(|length| definers.get(used.get(..length)?));
    let below =
        definers.range(used.to_vec()..).take_while(|(package, _)| package.starts_with(used));
    let all = above.chain(below.map(|(_, folders)| folders)).flatten();
    let mut best = 0;
    let mut nearest = BTreeSet::new();
    for folder in all.filter(|folder| *folder != user) {
        let common = folder.split('/').zip(user.split('/')).take_while(|(one, other)| one == other);
        let near = common.count();
        if near > best {
            best = near;
            nearest.clear();
        }
        if near == best {
            nearest.insert(folder.clone());
        }
    }
    nearest.into_iter().collect()
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn is_name(mark: char) -> bool {
    mark.is_ascii_alphanumeric() || mark == '_'
}

/// The keys at the beginning of a text: `.a["b"].c`.
fn keys(mut rest: &str) -> Vec<String> {
    let mut keys = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('.') {
            let (key, next) =
                after.split_at(after.find(|mark| !is_name(mark)).unwrap_or(after.len()));
            if key.is_empty() {
                return keys;
            }
            keys.push(key.to_owned());
            rest = next;
        } else if let Some((key, next)) =
            rest.strip_prefix("[\"").and_then(|after| after.split_once("\"]"))
        {
            keys.push(key.to_owned());
            rest = next;
        } else {
            return keys;
        }
    }
}

/// A module's package, as keys below `data`.
fn package(text: &str) -> Vec<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("package "));
    line.map(|line| keys(&format!(".{}", line.trim()))).unwrap_or_default()
}

/// The names of other packages that a module uses.
fn references(text: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for (at, word) in line.match_indices("data") {
            let before = line.get(..at).and_then(|before| before.chars().next_back());
            if before.is_some_and(|mark| is_name(mark) || mark == '.' || mark == '"') {
                continue;
            }
            let keys = keys(line.get(at + word.len()..).unwrap_or_default());
            if !keys.is_empty() {
                found.insert(keys);
            }
        }
    }
    found
}

fn test_names(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with("test_"))
        .map(|line| line.split(|mark| !is_name(mark)).next().unwrap_or_default().to_owned())
        .collect()
}

/// Whether a module's answer depends on the clock, on randomness or on the host.
#[must_use]
pub fn varies(text: &str) -> bool {
    ["time.now_ns", "rand.intn", "uuid.rfc4122", "opa.runtime", "http.send", "net.lookup"]
        .iter()
        .any(|name| text.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_uses_and_tests_is_found() {
        let text = "# data.no\npackage a[\"b-c\"].d\nimport data.lib.x as y\nallow if data[\"z\"].w == input.data.v\ntest_ok if true\ntest_many[i] := 1 if i := 1\n";
        assert_eq!(package(text), ["a", "b-c", "d"]);
        let uses: Vec<String> = references(text).iter().map(|keys| keys.join("/")).collect();
        assert_eq!(uses, ["lib/x", "z/w"]);
        assert_eq!(test_names(text).into_iter().collect::<Vec<_>>(), ["test_many", "test_ok"]);
    }

    #[test]
    fn a_bundle_is_a_folder_with_the_nearest_libraries_that_it_uses() {
        let root = std::env::temp_dir().join(format!("corpus-{}", std::process::id()));
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("one/lib/l.rego", "package lib\n");
        put("two/lib/l.rego", "package lib\n");
        put("two/policy/p.rego", "package p\nimport data.lib\n");
        put("two/policy/p_test.rego", "package p_test\nimport data.p\ntest_p if p.x\n");
        let bundles = bundles(&root).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        let folders: Vec<&str> = bundles.iter().map(|bundle| bundle.folder.as_str()).collect();
        assert_eq!(folders, ["one/lib", "two/policy"]);
        let files: Vec<&String> = bundles[1].files.keys().collect();
        assert_eq!(files, ["two/lib/l.rego", "two/policy/p.rego", "two/policy/p_test.rego"]);
        assert_eq!(bundles[1].tests, [["p_test", "test_p"]]);
    }
}

//! `.manifest`: what a bundle says of itself, as OPA reads it.

use std::time::{Duration, Instant};

use regorus::Value;

use crate::ast::{Module, RegoVersion, Term, TermValue};
use crate::builtins::glob::Pattern;
use crate::diagnostic::{Code, Diagnostic};
use crate::json;
use crate::report::Report;
use crate::source::Sources;

/// Patterns of `file_rego_versions`. Each is compiled, and compared with the path of each module.
const MAX_PATTERNS: usize = 1024;

/// Roots. Each is compared with each other, each package, and each key of data near the root.
const MAX_ROOTS: usize = 1024;

/// How long all patterns may be compared with one path.
const MATCHING: Duration = Duration::from_secs(1);

/// What a bundle's manifest says.
pub(crate) struct Manifest {
    /// The revision that its author chose.
    pub(crate) revision: Option<String>,
    /// The paths below `data` that the bundle may define, without slashes at their ends; `""` is
    /// everything.
    roots: Vec<String>,
    /// The language of modules that no pattern matches.
    rego_version: RegoVersion,
    /// Patterns in the order in which they are tried.
    file_versions: Vec<(Pattern, RegoVersion)>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            revision: None,
            roots: vec![String::new()],
            rego_version: RegoVersion::V1,
            file_versions: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Manifest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns = self.file_versions.len();
        formatter
            .debug_struct("Manifest")
            .field("revision", &self.revision)
            .field("roots", &self.roots)
            .field("rego_version", &self.rego_version)
            .field("patterns", &patterns)
            .finish()
    }
}

impl Manifest {
    /// Reads the manifest's file. Unknown fields have no meaning, as in OPA.
    ///
    /// # Errors
    /// When a field has another type, or says what cannot be followed.
    pub(crate) fn read(path: &str, content: &[u8]) -> Result<Self, Report> {
        let at_fault = |message: String| Report::in_file(path, content, 0, message);
        let value = json::parse(content).map_err(|error| {
            let message = format!("the file cannot be read as JSON: {}", error.message);
            Report::in_file(path, content, error.offset, message)
        })?;
        match value {
            Value::Null => Ok(Self::default()),
            Value::Object(_) => Self::of(&value).map_err(at_fault),
            _ => Err(at_fault("the file must hold a JSON object".to_owned())),
        }
    }

    fn of(value: &Value) -> Result<Self, String> {
        let mut manifest = Self::default();
        match field(value, "revision")? {
            None => {}
            Some(Value::String(revision)) => {
                manifest.revision = Some(revision.to_string()).filter(|text| !text.is_empty());
            }
            Some(_) => return Err("revision must be a string".to_owned()),
        }
        if let Some(roots) = field(value, "roots")? {
            manifest.roots = roots_of(roots)?;
        }
        if let Some(version) = field(value, "rego_version")? {
            manifest.rego_version = version_of(version, "rego_version")?;
        }
        if let Some(versions) = field(value, "file_rego_versions")? {
            manifest.file_versions = file_versions_of(versions)?;
        }
        match field(value, "metadata")? {
            None | Some(Value::Object(_)) => {}
            Some(_) => return Err("metadata must be an object".to_owned()),
        }
        match field(value, "wasm")? {
            None => {}
            Some(Value::Array(resolvers)) if resolvers.is_empty() => {}
            Some(_) => {
                return Err("the manifest has documents evaluated by WebAssembly (wasm), which is not supported; build the bundle without --target wasm".to_owned());
            }
        }
        Ok(manifest)
    }

    /// The language of the module at a path below the bundle's root.
    ///
    /// # Errors
    /// When the patterns take too long.
    pub(crate) fn version_for(&self, path: &str) -> Result<RegoVersion, Report> {
        // OPA compares the patterns with the path as `opa build` writes it.
        let path = format!("/{path}");
        let deadline = Instant::now() + MATCHING;
        for (pattern, version) in &self.file_versions {
            let is_match = pattern.is_match(&path, deadline).map_err(|error| {
                Report::of_bundle(format!("file_rego_versions cannot be compared: {error}"))
            })?;
            if is_match {
                return Ok(*version);
            }
        }
        Ok(self.rego_version)
    }

    /// The modules whose packages are outside of the roots.
    pub(crate) fn modules_outside(&self, modules: &[Module], sources: &Sources) -> Vec<Diagnostic> {
        modules
            .iter()
            .filter_map(|module| {
                let path: Vec<&str> =
                    module.package.path.iter().skip(1).filter_map(text_of).collect();
                if self.roots.iter().any(|root| contains(&segments(root), &path)) {
                    return None;
                }
                let message = format!(
                    "manifest roots [{}] do not permit 'package {}' in module '{}'",
                    self.roots.join(" "),
                    path.join("."),
                    sources.file(module.file).map_or("", |source| &source.path)
                );
                Some(Diagnostic::new(Code::Bundle, message, module.package.span))
            })
            .collect()
    }

    /// Checks that all data is within the roots.
    ///
    /// # Errors
    /// The first path that is not.
    pub(crate) fn check_data(&self, data: &Value) -> Result<(), Report> {
        self.check_below(data, &mut Vec::new())
    }

    fn check_below<'v>(&self, data: &'v Value, path: &mut Vec<&'v str>) -> Result<(), Report> {
        if self.roots.iter().any(|root| contains(&segments(root), path)) {
            return Ok(());
        }
        let is_above = self.roots.iter().any(|root| {
            let root = segments(root);
            root.len() > path.len() && root.starts_with(path)
        });
        match data {
            Value::Object(object) if path.is_empty() || is_above => {
                for (key, value) in object.iter() {
                    let Value::String(key) = key else { continue };
                    path.push(key);
                    // Never deeper than the deepest root.
                    self.check_below(value, path)?;
                    path.pop();
                }
                Ok(())
            }
            _ => Err(Report::of_bundle(format!(
                "manifest roots [{}] do not permit data at path '/{}' (hint: check bundle directory structure)",
                self.roots.join(" "),
                path.join("/")
            ))),
        }
    }
}

fn text_of(term: &Term) -> Option<&str> {
    match &term.value {
        TermValue::Var(name) | TermValue::String(name) => Some(name),
        _ => None,
    }
}

/// A field's value, null for a field that is not there. OPA does not distinguish between small and
/// capital letters in names of fields.
fn field<'v>(manifest: &'v Value, name: &str) -> Result<Option<&'v Value>, String> {
    let Value::Object(object) = manifest else { return Ok(None) };
    let mut found = object
        .iter()
        .filter(|(key, _)| key.as_string().is_ok_and(|key| key.eq_ignore_ascii_case(name)));
    let first = found.next().map(|(_, value)| value);
    if found.next().is_some() {
        return Err(format!("{name} is given twice, in small and capital letters"));
    }
    Ok(first.filter(|value| **value != Value::Null))
}

fn roots_of(value: &Value) -> Result<Vec<String>, String> {
    let expected = || "roots must be an array of strings".to_owned();
    let Value::Array(array) = value else { return Err(expected()) };
    if array.len() > MAX_ROOTS {
        return Err(format!("roots has more than {MAX_ROOTS} elements"));
    }
    let mut roots = Vec::with_capacity(array.len());
    for element in array.iter() {
        match element {
            Value::String(root) => roots.push(root.trim_matches('/').to_owned()),
            // As Go reads it.
            Value::Null => roots.push(String::new()),
            _ => return Err(expected()),
        }
    }
    for (index, root) in roots.iter().enumerate() {
        for other in roots.iter().skip(index + 1) {
            let (left, right) = (segments(root), segments(other));
            if contains(&left, &right) || contains(&right, &left) {
                return Err(format!("manifest has overlapped roots: '{root}' and '{other}'"));
            }
        }
    }
    Ok(roots)
}

fn version_of(value: &Value, name: &str) -> Result<RegoVersion, String> {
    match value {
        version if *version == Value::from(1_u64) => Ok(RegoVersion::V1),
        version if *version == Value::from(0_u64) => Ok(RegoVersion::V0),
        version if *version == Value::from(2_u64) => {
            Err(format!("{name} is 2, and this version of Rego is not supported; use 0 or 1"))
        }
        _ => Err(format!("{name} must be 0 or 1")),
    }
}

fn file_versions_of(value: &Value) -> Result<Vec<(Pattern, RegoVersion)>, String> {
    let Value::Object(versions) = value else {
        return Err("file_rego_versions must be an object".to_owned());
    };
    if versions.len() > MAX_PATTERNS {
        return Err(format!("file_rego_versions has more than {MAX_PATTERNS} patterns"));
    }
    let mut patterns = Vec::with_capacity(versions.len());
    // In the order of their texts, as in OPA.
    for (key, version) in versions.iter() {
        let Value::String(text) = key else { continue };
        // OPA reads a null as 0.
        let version = if *version == Value::Null { Value::from(0_u64) } else { version.clone() };
        let version =
            version_of(&version, &format!("file_rego_versions: the version of '{text}'"))?;
        let pattern = Pattern::new(text)
            .map_err(|error| format!("failed to compile glob pattern {text}: {error}"))?;
        patterns.push((pattern, version));
    }
    Ok(patterns)
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').collect()
}

/// Whether a root contains a path.
fn contains(root: &[&str], path: &[&str]) -> bool {
    matches!(root, [""]) || path.starts_with(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest, String> {
        Manifest::read(".manifest", text.as_bytes()).map_err(|report| report.message)
    }

    #[test]
    fn a_manifest_is_read_as_opa_reads_it() {
        for text in [
            "null",
            "{}",
            r#"{"roots": null, "wasm": null, "unknown": [1], "metadata": {"a": []}}"#,
        ] {
            let manifest = read(text).unwrap();
            assert_eq!(manifest.roots, [""], "{text}");
            assert_eq!(
                (manifest.revision, manifest.rego_version),
                (None, RegoVersion::V1),
                "{text}"
            );
        }
        let manifest = read(r#"{"Revision": "abc", "ROOTS": ["/a/b/", null]}"#);
        assert_eq!(manifest.unwrap_err(), "manifest has overlapped roots: 'a/b' and ''");
        let manifest =
            read(r#"{"Revision": "abc", "ROOTS": ["/a/b/", "c"], "rego_version": 0}"#).unwrap();
        assert_eq!(manifest.roots, ["a/b", "c"]);
        assert_eq!(manifest.revision.as_deref(), Some("abc"));
        assert_eq!(manifest.rego_version, RegoVersion::V0);
    }

    #[test]
    fn a_manifest_that_cannot_be_followed_is_refused() {
        for (text, expected) in [
            ("[]", "must hold a JSON object"),
            (r#"{"revision": 1}"#, "revision must be a string"),
            (r#"{"roots": "a"}"#, "roots must be an array of strings"),
            (r#"{"roots": [1]}"#, "roots must be an array of strings"),
            (r#"{"roots": ["a", "a/b"]}"#, "overlapped roots: 'a' and 'a/b'"),
            (r#"{"roots": ["a", "a"]}"#, "overlapped roots: 'a' and 'a'"),
            (r#"{"rego_version": 2}"#, "rego_version is 2"),
            (r#"{"rego_version": 1, "REGO_version": 0}"#, "given twice"),
            (r#"{"rego_version": "1"}"#, "rego_version must be 0 or 1"),
            (r#"{"file_rego_versions": {"/a": 7}}"#, "the version of '/a' must be 0 or 1"),
            (r#"{"file_rego_versions": {"[": 1}}"#, "failed to compile glob pattern ["),
            (r#"{"metadata": [1]}"#, "metadata must be an object"),
            (r#"{"wasm": [{"entrypoint": "a"}]}"#, "WebAssembly"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn the_first_pattern_that_matches_decides_a_module_s_language() {
        let manifest = read(
            r#"{"rego_version": 0, "file_rego_versions": {"/a/*": 1, "/**": 0, "*/z.rego": 1}}"#,
        )
        .unwrap();
        for (path, expected) in [
            ("a/x.rego", RegoVersion::V0),
            ("b/x.rego", RegoVersion::V0),
            ("b/z.rego", RegoVersion::V1),
        ] {
            // `*` sorts before `/`, and `/**` before `/a/*`.
            assert_eq!(manifest.version_for(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn data_outside_of_the_roots_is_refused() {
        for (roots, data, is_allowed) in [
            (r#"[""]"#, r#"{"a": 1}"#, true),
            (r#"["a"]"#, r#"{"a": 1}"#, true),
            (r#"["a"]"#, r#"{"a": {"b": 1}}"#, true),
            (r#"["a/b"]"#, r#"{"a": {"b": 1}}"#, true),
            (r#"["a/b"]"#, r#"{"a": {"b": 1, "c": 2}}"#, false),
            (r#"["a/b"]"#, r#"{"a": {}}"#, true),
            (r#"["a/b"]"#, r#"{"a": 1}"#, false),
            (r#"["a"]"#, r#"{"b": 1}"#, false),
            ("[]", "{}", true),
            ("[]", r#"{"a": 1}"#, false),
        ] {
            let manifest = read(&format!(r#"{{"roots": {roots}}}"#)).unwrap();
            let data = json::parse(data.as_bytes()).unwrap();
            assert_eq!(manifest.check_data(&data).is_ok(), is_allowed, "{roots} {data}");
        }
    }
}

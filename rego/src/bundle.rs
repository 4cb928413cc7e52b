//! A bundle's files: modules, one document of data, and ignored files.

use std::collections::BTreeMap;

use regorus::Value;

use crate::json;
use crate::manifest::Manifest;
use crate::report::Report;

/// How many ignored files are named; more are only counted.
pub const MAX_IGNORED_FILES: usize = 16;

/// The highest nesting of directories with data; the supervisor has its own bound.
const MAX_DATA_DEPTH: usize = 64;

/// A file of a bundle.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path below the bundle's root, `/` between the parts.
    pub path: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Whether test modules are part of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tests {
    /// `*_test.rego` is ignored: a policy that serves decisions needs no tests.
    #[default]
    Excluded,
    /// They are loaded with the others.
    Included,
}

/// A bundle's files, sorted by what they are.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Path and text of each module.
    pub(crate) modules: Vec<(String, String)>,
    /// The base data: the root of `data`, without the rules.
    pub(crate) data: Value,
    /// `version` of `metadata.json`.
    pub(crate) version: Option<String>,
    /// What `.manifest` says.
    pub(crate) manifest: Manifest,
    /// Ignored files, at most [`MAX_IGNORED_FILES`].
    pub(crate) ignored_files: Vec<String>,
}

/// The kind of a file, by its path.
enum Kind<'a> {
    Module,
    Test,
    Json(&'a str),
    Yaml(&'a str),
    Metadata,
    Manifest,
    Other,
}

/// Whether a file holds tests, by its path.
#[must_use]
pub fn is_test(path: &str) -> bool {
    path.ends_with("_test.rego")
}

impl<'a> Kind<'a> {
    fn of(path: &'a str) -> Self {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        match name {
            "data.json" => Self::Json(directory),
            "data.yaml" | "data.yml" => Self::Yaml(directory),
            "metadata.json" if directory.is_empty() => Self::Metadata,
            ".manifest" if directory.is_empty() => Self::Manifest,
            _ if is_test(name) => Self::Test,
            _ if name.ends_with(".rego") => Self::Module,
            _ => Self::Other,
        }
    }
}

/// Sorts files and reads those that are not modules.
///
/// # Errors
/// All files that cannot be read, and keys whose data two files define.
pub(crate) fn read(files: Vec<File>, tests: Tests) -> Result<Bundle, Vec<Report>> {
    let mut bundle = Bundle {
        modules: Vec::new(),
        data: Value::new_object(),
        version: None,
        manifest: Manifest::default(),
        ignored_files: Vec::new(),
    };
    let mut faults = Vec::new();
    for file in files {
        let outcome = match Kind::of(&file.path) {
            Kind::Module => add_module(&mut bundle, file),
            Kind::Test => match tests {
                Tests::Excluded => Ok(()),
                Tests::Included => add_module(&mut bundle, file),
            },
            Kind::Json(directory) => {
                json_of(&file).and_then(|data| merge(&mut bundle.data, directory, data, &file))
            }
            Kind::Yaml(directory) => {
                yaml_of(&file).and_then(|data| merge(&mut bundle.data, directory, data, &file))
            }
            Kind::Metadata => version_of(&file).map(|version| bundle.version = version),
            Kind::Manifest => {
                Manifest::read(&file.path, &file.content).map(|manifest| bundle.manifest = manifest)
            }
            Kind::Other => {
                if bundle.ignored_files.len() < MAX_IGNORED_FILES {
                    bundle.ignored_files.push(file.path);
                }
                Ok(())
            }
        };
        faults.extend(outcome.err());
    }
    if faults.is_empty() {
        faults.extend(bundle.manifest.check_data(&bundle.data).err());
    }
    if faults.is_empty() { Ok(bundle) } else { Err(faults) }
}

fn add_module(bundle: &mut Bundle, file: File) -> Result<(), Report> {
    match String::from_utf8(file.content) {
        Ok(text) => {
            bundle.modules.push((file.path, text));
            Ok(())
        }
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            Err(Report::in_file(&file.path, error.as_bytes(), offset, "the file is not UTF-8"))
        }
    }
}

fn json_of(file: &File) -> Result<Value, Report> {
    json::parse(&file.content).map_err(|error| {
        let message = format!("the file cannot be read as JSON: {}", error.message);
        Report::in_file(&file.path, &file.content, error.offset, message)
    })
}

fn yaml_of(file: &File) -> Result<Value, Report> {
    let failed = |offset: usize, message: String| {
        let message = format!("the file cannot be read as YAML: {message}");
        Report::in_file(&file.path, &file.content, offset, message)
    };
    let text = str::from_utf8(&file.content)
        .map_err(|error| failed(error.valid_up_to(), "it is not UTF-8".to_owned()))?;
    crate::yaml::parse(text).map_err(|error| failed(error.offset, error.message))
}

/// Inserts a file's data at the path of its directory, as OPA merges data files.
fn merge(data: &mut Value, directory: &str, read: Value, file: &File) -> Result<(), Report> {
    let at_fault = |message: String| Report::in_file(&file.path, &file.content, 0, message);
    if read.as_object().is_err() {
        return Err(at_fault("the file must hold an object".to_owned()));
    }
    let keys: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    if keys.len() > MAX_DATA_DEPTH {
        return Err(at_fault(format!("the file is more than {MAX_DATA_DEPTH} directories deep")));
    }
    let nested = keys
        .iter()
        .rev()
        .fold(read, |inner, key| Value::from(BTreeMap::from([(Value::from(*key), inner)])));
    merge_objects(data, nested, &mut Vec::new())
        .map_err(|path| at_fault(format!("another file of the bundle defines data.{path} already")))
}

/// Merges objects key by key. The error is the path that both define.
fn merge_objects(into: &mut Value, from: Value, path: &mut Vec<String>) -> Result<(), String> {
    let Value::Object(from) = from else { return Err(path.join(".")) };
    let Ok(into) = into.as_object_mut() else { return Err(path.join(".")) };
    for (key, value) in from.iter() {
        match into.get_mut(key) {
            None => {
                into.insert(key.clone(), value.clone());
            }
            Some(existing) => {
                let name =
                    key.as_string().map_or_else(|_| key.to_string(), |name| name.to_string());
                path.push(name);
                // Only directories are merged, whose depth is bounded; equal keys of two files end
                // below them.
                merge_objects(existing, value.clone(), path)?;
                path.pop();
            }
        }
    }
    Ok(())
}

fn version_of(file: &File) -> Result<Option<String>, Report> {
    let metadata = json_of(file)?;
    let at_fault = |message: &str| Report::in_file(&file.path, &file.content, 0, message);
    let object = metadata.as_object().map_err(|_| at_fault("the file must hold a JSON object"))?;
    match object.get(&Value::from("version")) {
        None => Ok(None),
        Some(Value::String(version)) => Ok(Some(version.to_string())),
        Some(_) => Err(at_fault("version must be a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::RegoVersion;

    fn bundle(files: &[(&str, &str)]) -> Result<Bundle, Vec<String>> {
        let files = files
            .iter()
            .map(|(path, content)| File { path: (*path).into(), content: (*content).into() })
            .collect();
        read(files, Tests::Excluded)
            .map_err(|faults| faults.iter().map(Report::to_string).collect())
    }

    #[test]
    fn data_of_directories_is_merged() {
        let read = bundle(&[
            ("data.json", r#"{"a": {"x": 1}}"#),
            ("a/data.json", r#"{"y": 2}"#),
            ("a/b/data.yaml", "z: [3]"),
        ]);
        let expected = json::parse(br#"{"a": {"x": 1, "y": 2, "b": {"z": [3]}}}"#).unwrap();
        assert_eq!(read.unwrap().data, expected);
    }

    #[test]
    fn two_files_that_define_one_key_are_a_fault() {
        let faults = bundle(&[("data.json", r#"{"a": {"x": 1}}"#), ("a/data.json", r#"{"x": 2}"#)]);
        assert_eq!(
            faults.unwrap_err(),
            ["a/data.json:1:1: bundle_error: another file of the bundle defines data.a.x already"]
        );
    }

    #[test]
    fn every_file_is_something_or_named_as_ignored() {
        let read = bundle(&[
            ("a.rego", "package a"),
            ("a_test.rego", "package a"),
            ("notes.txt", ""),
            ("lib/other.json", "{"),
            ("metadata.json", r#"{"version": "1.2"}"#),
            (".manifest", r#"{"rego_version": 0}"#),
        ])
        .unwrap();
        assert_eq!(read.modules.len(), 1);
        assert_eq!(read.ignored_files, ["notes.txt", "lib/other.json"]);
        assert_eq!(read.version.as_deref(), Some("1.2"));
        assert_eq!(read.manifest.version_for("a.rego").unwrap(), RegoVersion::V0);
    }

    #[test]
    fn every_file_that_cannot_be_read_is_reported() {
        let faults = bundle(&[
            ("data.json", "{\n\"a\": }"),
            ("x/data.json", "[]"),
            ("x/data.yaml", "a: [1"),
            ("metadata.json", r#"{"version": 1}"#),
        ])
        .unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults[0].starts_with("data.json:2:6: bundle_error: the file cannot be read"));
    }
}

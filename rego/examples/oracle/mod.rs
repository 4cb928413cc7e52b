//! The real OPA as a process, the cases that it is asked, and values as it writes them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use enforcer_rego::builtins::compare;
use regorus::Value;
use serde_json::{Map, Value as Json, json};

/// OPA (`tests/opa`), which answers a line of JSON with a line of JSON.
pub(crate) struct Opa {
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Opa {
    /// Starts `opa-oracle` of the PATH, or the program that `OPA_ORACLE` names.
    pub(crate) fn start() -> Self {
        let program = std::env::var("OPA_ORACLE").unwrap_or_else(|_| "opa-oracle".to_owned());
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("OPA starts");
        let input = process.stdin.take().expect("a pipe");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { _process: process, input, output }
    }

    /// Asks one question.
    pub(crate) fn ask(&mut self, request: &Json) -> String {
        writeln!(self.input, "{request}").expect("OPA reads");
        self.input.flush().expect("OPA reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("OPA answers");
        line
    }
}

/// The cases at a path: the lines of a file, or those of a folder of OPA's compliance suite that ask
/// for one document.
pub(crate) fn cases(path: &Path) -> Vec<Json> {
    let mut cases = Vec::new();
    if path.is_dir() {
        let mut entries: Vec<_> = path.read_dir().expect("a folder").flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::path);
        entries.iter().for_each(|entry| cases.extend(self::cases(&entry.path())));
        return cases;
    }
    let text = std::fs::read_to_string(path).expect("a file of cases");
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml") => {
            let suite: Json = yaml_serde::from_str(&text).unwrap_or_default();
            let suite = suite.get("cases").and_then(Json::as_array).into_iter().flatten();
            cases.extend(suite.filter_map(case));
        }
        Some("jsonl") => {
            cases.extend(text.lines().map(|line| serde_json::from_str(line).expect("a case")));
        }
        _ => {}
    }
    cases
}

/// A case of the suite, if its query is `document = variable` and its input is JSON.
fn case(of_suite: &Json) -> Option<Json> {
    let (document, _) = of_suite.get("query")?.as_str()?.split_once(" = ")?;
    let is_name = |key: &&str| {
        key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !key.is_empty()
    };
    let path: Vec<&str> = document.trim().strip_prefix("data.")?.split('.').collect();
    if !path.iter().all(is_name) || of_suite.get("input_term").is_some() {
        return None;
    }
    let modules = of_suite.get("modules").and_then(Json::as_array).into_iter().flatten();
    let named = |(index, module): (usize, &Json)| (format!("test-{index}.rego"), module.clone());
    let files: Map<String, Json> = modules.enumerate().map(named).collect();
    let data = of_suite.get("data").filter(|data| data.is_object()).cloned();
    let mut case = json!({"note": of_suite.get("note"), "files": files, "path": path,
        "data": data.unwrap_or_else(|| json!({})), "strict": of_suite.get("strict_error")});
    if let (Some(case), Some(input)) = (case.as_object_mut(), of_suite.get("input")) {
        case.insert("input".to_owned(), input.clone());
    }
    Some(case)
}

/// A value as Rego writes it.
pub(crate) fn rego(value: &Value) -> String {
    match value {
        Value::Array(all) => format!("[{}]", list(all.iter().map(rego))),
        Value::Set(all) if all.is_empty() => "set()".to_owned(),
        Value::Set(all) => {
            let mut all: Vec<_> = all.iter_sorted().collect();
            all.sort_by(|a, b| compare(a, b));
            format!("{{{}}}", list(all.into_iter().map(rego)))
        }
        Value::Object(all) => {
            let mut all: Vec<_> = all.iter_sorted().collect();
            all.sort_by(|(a, _), (b, _)| compare(a, b));
            let item = |(key, value): (&Value, &Value)| format!("{}: {}", rego(key), rego(value));
            format!("{{{}}}", list(all.into_iter().map(item)))
        }
        other => other.to_json_str().unwrap_or_default(),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

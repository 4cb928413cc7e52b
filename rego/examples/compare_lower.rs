//! Compares lowered policies with the real OPA.
//!
//! ```text
//! cargo run -p enforcer-rego --features opa-json --example compare_lower -- cases
//! ```
//!
//! `cases` is a folder of OPA's compliance suite, or a `.jsonl` file. A line of such a file is
//! `{"note", "files": {path: text}, "data", "input", "path": [key], "strict"}`.
//! OPA compiles the modules (`tests/opa`, as `opa-oracle` on the PATH); its trees are lowered and
//! evaluated by [`enforcer_rego::core::evaluate`], and the value at `path` (or at each of
//! `paths`) is compared with OPA's.
//! `OPA_ORACLE` names another program. With `--own`, this crate's parser and compiler are compared, too.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a tool for developers: it prints its findings, and ends on an invalid case"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use enforcer_rego::ast::RegoVersion;
use enforcer_rego::builtins::{Context, Failure};
use enforcer_rego::compile::{Compiled, Options, compile};
use enforcer_rego::core::data::value_at;
use enforcer_rego::core::evaluate::{Fault, evaluate};
use enforcer_rego::core::{Found, Program};
use enforcer_rego::diagnostic::Diagnostic;
use enforcer_rego::lower::lower;
use enforcer_rego::parse::parse_module;
use enforcer_rego::source::{FileId, Sources};
use enforcer_rego::{json, opa_json};
use regorus::Value;
use serde_json::json;

mod oracle;

use oracle::{Opa, cases, rego};

/// The result of a case.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    SameUndefined,
    SameError,
    Refused,
    NoBuiltin(String),
    /// Different, with a built-in that this crate lacks.
    Borrowed(String),
    Different(String),
}

fn main() {
    let path = std::env::args().nth(1).expect("a file of cases");
    let cases = cases(Path::new(&path));
    // The evaluator recurses, and a debug build's frames are large.
    let run = std::thread::Builder::new().stack_size(256 << 20).spawn(move || compare_all(&cases));
    let different = run.expect("a thread").join().expect("no panic");
    std::process::exit(i32::from(different > 0));
}

fn compare_all(cases: &[serde_json::Value]) -> usize {
    let mut opa = Opa::start();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases {
        let note = case.get("note").and_then(|note| note.as_str()).unwrap_or_default();
        let verdicts =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compare_case(&mut opa, case)));
        for verdict in verdicts.unwrap_or_else(|_| vec![Verdict::Borrowed("panicked".to_owned())]) {
            let kind = match verdict {
                Verdict::Same => "same value",
                Verdict::SameUndefined => "both undefined",
                Verdict::SameError => "both an error",
                Verdict::Refused => "refused by OPA",
                Verdict::NoBuiltin(name) => {
                    *missing.entry(name).or_default() += 1;
                    "without the built-in"
                }
                Verdict::Borrowed(how) => {
                    if std::env::var("BORROWED").is_ok() {
                        println!("BORROWED {note}: {how}");
                    }
                    "different, with built-ins of regorus"
                }
                Verdict::Different(how) => {
                    println!("DIFFERENT {note}: {how}");
                    "different"
                }
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    println!("{counts:?}");
    if !missing.is_empty() {
        println!("missing built-ins: {missing:?}");
    }
    counts.get("different").copied().unwrap_or_default()
}

fn compare_case(opa: &mut Opa, case: &serde_json::Value) -> Vec<Verdict> {
    let get = |key: &str| case.get(key).cloned().unwrap_or(serde_json::Value::Null);
    let paths: Vec<Vec<String>> = match case.get("paths") {
        Some(paths) => serde_json::from_value(paths.clone()).expect("paths"),
        None => vec![serde_json::from_value(get("path")).expect("a path")],
    };
    let query = |keys: &Vec<String>| {
        keys.iter().fold("data".to_owned(), |query, key| format!("{query}[{}]", json!(key)))
    };
    let strict = get("strict").as_bool().unwrap_or_default();
    let compiled = opa.ask(&json!({"op": "compile", "files": get("files")}));
    let mut request = json!({"op": "eval", "files": get("files"), "data": get("data"),
        "queries": paths.iter().map(query).collect::<Vec<_>>(), "strict": strict, "terms": true,
        "no_input": case.get("input").is_none()});
    if let (Some(request), Some(input)) = (request.as_object_mut(), case.get("input")) {
        request.insert("input".to_owned(), input.clone());
    }
    let expected: serde_json::Value = serde_json::from_str(&opa.ask(&request)).expect("JSON");

    let mut sources = Sources::default();
    let files: BTreeMap<String, String> = serde_json::from_value(get("files")).expect("files");
    for (path, text) in &files {
        sources.add(path, text);
    }
    let modules = match opa_json::read::answer(&sources, &compiled, RegoVersion::V1) {
        Ok(Ok(modules)) => modules,
        Ok(Err(_)) => return vec![Verdict::Refused],
        Err(error) => return vec![Verdict::Different(format!("OPA's tree: {error}"))],
    };
    let compiled = if std::env::args().any(|arg| arg == "--own") {
        own_front_end(&sources)
    } else {
        Ok(opa_json::read::compiled(&sources, modules))
    };
    let program = match compiled.and_then(|compiled| lower(&sources, &compiled)) {
        Ok(program) => program,
        Err(faults) => return vec![Verdict::Different(format!("refused here: {faults:?}"))],
    };
    let borrowed = borrowed(&program);
    let data = parse(case.get("data")).unwrap_or_else(Value::new_object);
    let input = parse(case.get("input"));
    let results = expected.get("results").and_then(|results| results.as_array());
    let compare = |(keys, expected): (&Vec<String>, &serde_json::Value)| match compare_path(
        &program,
        (keys, strict),
        input.clone(),
        data.clone(),
        expected,
    ) {
        Verdict::Different(how) if !borrowed.is_empty() => {
            Verdict::Borrowed(format!("{how}\n  {borrowed:?}"))
        }
        Verdict::Different(how) => Verdict::Different(format!("{} {how}", query(keys))),
        verdict => verdict,
    };
    paths.iter().zip(results.into_iter().flatten()).map(compare).collect()
}

/// The modules from this crate's parser and compiler.
fn own_front_end(sources: &Sources) -> Result<Compiled, Vec<Diagnostic>> {
    let files = (0..).map(FileId).take_while(|file| sources.file(*file).is_some());
    let modules = files.map(|file| parse_module(sources, file, RegoVersion::V1));
    compile(sources, modules.collect::<Result<_, _>>()?, &Options::default())
}

fn compare_path(
    program: &Program,
    (keys, strict): (&[String], bool),
    input: Option<Value>,
    data: Value,
    expected: &serde_json::Value,
) -> Verdict {
    let mut context = Context::new(0, Instant::now() + Duration::from_secs(60));
    let path: Vec<Value> = keys.iter().map(|key| Value::from(&**key)).collect();
    let at = |value: Value, rest: &[Value]| {
        rest.iter().try_fold(value, |value, key| value_at(&value, key).cloned())
    };
    let found = match program.documents.find(&path) {
        Found::Rule(rule, rest) | Found::Keyed { rule, rest, .. } => {
            evaluate(program, rule, input, data, &mut context)
                .map(|value| value.and_then(|value| at(value, rest)))
        }
        Found::Base => Ok(at(data, &path)),
        Found::Nothing => Ok(None),
    };
    let found = match (found, context.errors.first()) {
        (Ok(_), Some(error)) if strict => Err(Fault::Builtin(error.clone())),
        (found, _) => found,
    };
    let error = expected.get("error").map(ToString::to_string);
    let text = expected.get("result").and_then(|result| result.as_str());
    match (found, text, error) {
        (Err(Fault::Program(message)), ..) if message.starts_with("no built-in ") => {
            Verdict::NoBuiltin(message.trim_start_matches("no built-in ").to_owned())
        }
        (Ok(Some(value)), Some(text), _) => {
            let ours = format!("[{}]", rego(&value));
            if ours == text {
                Verdict::Same
            } else {
                Verdict::Different(format!("\n  OPA  {text}\n  ours {ours}"))
            }
        }
        (Ok(None), None, None) => Verdict::SameUndefined,
        (_, _, Some(error)) if error.contains("eval_internal_error") => Verdict::Refused,
        (Err(fault), _, Some(error)) => {
            let is_conflict =
                matches!(fault, Fault::Conflict { .. } | Fault::Builtin(Failure::Conflict(_)));
            if is_conflict == error.contains("eval_conflict_error") {
                Verdict::SameError
            } else {
                Verdict::Different(format!("\n  OPA  {error}\n  ours {fault}"))
            }
        }
        (found, text, error) => {
            let ours = match found {
                Ok(Some(value)) => rego(&value),
                Ok(None) => "undefined".to_owned(),
                Err(fault) => format!("error: {fault}"),
            };
            let theirs = text.map(str::to_owned).or(error).unwrap_or("undefined".to_owned());
            Verdict::Different(format!("\n  OPA  {theirs}\n  ours {ours}"))
        }
    }
}

fn parse(value: Option<&serde_json::Value>) -> Option<Value> {
    Some(json::parse(value?.to_string().as_bytes()).expect("JSON"))
}

/// The built-ins that this crate lacks.
fn borrowed(program: &Program) -> Vec<String> {
    let text = format!("{:?}", program.rules);
    let names = text.split("Builtin(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut missing: Vec<String> = names
        .filter(|name| {
            enforcer_rego::core::own::function(name).is_none()
                && enforcer_rego::builtins::function(name).is_none()
        })
        .map(str::to_owned)
        .collect();
    missing.sort();
    missing.dedup();
    missing
}

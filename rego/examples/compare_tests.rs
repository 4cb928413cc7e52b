//! Runs the tests of bundles beside the real OPA.
//!
//! ```text
//! cargo run -p enforcer-rego --features opa-json --example compare_tests -- directory…
//! ```
//!
//! Outcomes of tests and of their cases, and coverage, are compared with those of `opa test` (`OPA`
//! names the program), and counted; a difference fails. `SHOW=1` prints ours.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a tool for developers: it prints its findings, and ends where it cannot read"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use enforcer_rego::tester::{Options, Outcome, SubResult, Suite, TestResult};
use enforcer_rego::{File, Settings};
use serde_json::{Value, json};

fn main() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let shows = std::env::var("SHOW").is_ok();
    for directory in std::env::args().skip(1) {
        let mut files = Vec::new();
        read(Path::new(&directory), Path::new(&directory), &mut files);
        let mut suite = match Suite::load(files, &Settings::default()) {
            Ok(suite) => suite,
            Err(reports) => {
                println!("REFUSED {directory}: {}", reports.first().expect("a report"));
                *counts.entry("refused").or_default() += 1;
                continue;
            }
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_nanos();
        let now_ns = i64::try_from(now).expect("a time");
        let options = Options { coverage: true, now_ns, ..Options::default() };
        let tests = suite.run(&options).expect("no regular expression");
        if shows {
            for result in &tests.results {
                println!("{} {} {:?}", result.package, result.name, outcome(result));
                if let Outcome::Failed(failure) = &result.outcome
                    && let Some(why) = &failure.why
                {
                    why.lines().iter().for_each(|line| println!("    {}", line.plain()));
                }
            }
        }
        let ours: BTreeMap<String, Value> = tests.results.iter().map(described).collect();
        let theirs: BTreeMap<String, Value> =
            opa(&directory, &[]).as_array().into_iter().flatten().map(described_by_opa).collect();
        for (name, result) in &theirs {
            let kind =
                if ours.get(name) == Some(result) { "tests: as OPA" } else { "tests: DIFFERENT" };
            if kind == "tests: DIFFERENT" {
                println!("DIFFERENT {name}\n  OPA  {result}\n  ours {:?}", ours.get(name));
            }
            *counts.entry(kind).or_default() += 1;
        }
        for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
            println!("ONLY OURS {name}");
            *counts.entry("tests: only ours").or_default() += 1;
        }
        let mut theirs = opa(&directory, &["--coverage"]);
        if theirs.get("files").is_none() {
            *counts.entry("coverage: none of OPA").or_default() += 1;
            continue;
        }
        let mut ours = serde_json::to_value(tests.coverage.expect("coverage")).expect("JSON");
        let prefix = format!("{}/", directory.trim_end_matches('/'));
        if let Some(files) = theirs.get_mut("files").and_then(Value::as_object_mut) {
            *files = std::mem::take(files)
                .into_iter()
                .map(|(file, report)| (file.trim_start_matches(&prefix).to_owned(), report))
                .collect();
        }
        rounded(&mut ours);
        rounded(&mut theirs);
        let files = theirs.get("files").and_then(Value::as_object).expect("files");
        for (file, report) in files {
            let our_report = ours.get("files").and_then(|files| files.get(file));
            let kind = if our_report == Some(report) {
                "coverage of files: as OPA"
            } else {
                "coverage of files: DIFFERENT"
            };
            if our_report != Some(report) {
                println!(
                    "COVERAGE {directory} {file}\n  OPA  {report}\n  ours {}",
                    our_report.unwrap_or(&Value::Null)
                );
            }
            *counts.entry(kind).or_default() += 1;
        }
        let total = |report: &Value| report.get("coverage").cloned();
        let kind = if total(&ours) == total(&theirs) {
            "coverage in percent: as OPA"
        } else {
            "coverage in percent: DIFFERENT"
        };
        *counts.entry(kind).or_default() += 1;
    }
    println!("{counts:#?}");
    let is_alike = |kind: &&str| !(kind.contains("DIFFERENT") || kind.contains("only ours"));
    std::process::exit(i32::from(!counts.keys().all(is_alike)));
}

fn read(root: &Path, directory: &Path, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below").to_str().expect("UTF-8");
            files.push(File {
                path: name.to_owned(),
                content: std::fs::read(&path).expect("a file"),
            });
        }
    }
}

fn opa(directory: &str, more: &[&str]) -> Value {
    let program = std::env::var("OPA").unwrap_or_else(|_| "opa".to_owned());
    let output = Command::new(program)
        .args(["test", "--format", "json", directory])
        .args(more)
        .output()
        .expect("OPA runs");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn outcome(result: &TestResult) -> &'static str {
    match &result.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Error { .. } => "error",
        Outcome::Skipped => "skipped",
        Outcome::TimedOut => "timed out",
    }
}

fn described(result: &TestResult) -> (String, Value) {
    let error = match &result.outcome {
        Outcome::Error { code, message, .. } => json!([code, message]),
        _ => Value::Null,
    };
    let row = result.place.row;
    let cases: Vec<Value> = result.cases.values().map(case).collect();
    let output = result.output.iter().map(|line| format!("{line}\n")).collect::<String>();
    let described = json!({"outcome": outcome(result), "row": row, "error": error,
        "cases": cases, "output": output});
    (format!("{}.{}", result.package, result.name), described)
}

fn case(case: &SubResult) -> Value {
    let cases: Vec<Value> = case.cases.values().map(self::case).collect();
    json!([case.name, case.failed, cases])
}

fn described_by_opa(result: &Value) -> (String, Value) {
    let text = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default();
    let is = |key: &str| result.get(key).and_then(Value::as_bool).unwrap_or_default();
    let error = result.get("error");
    let outcome = match (is("fail"), is("skip"), error) {
        (true, ..) => "failed",
        (_, true, _) => "skipped",
        (.., Some(_)) => "error",
        _ => "passed",
    };
    // OPA lists the values of a conflict below its message; here they are told beside it.
    let message = |error: &Value| {
        let lines = error.get("message").and_then(Value::as_str);
        lines
            .and_then(|lines| lines.lines().next())
            .map(|line| line.trim_end_matches(':').to_owned())
    };
    let error = error.map_or(Value::Null, |error| json!([error.get("code"), message(error)]));
    let row = result.get("location").and_then(|location| location.get("row"));
    let cases = opa_cases(result);
    let output = decode(text("output"));
    let described =
        json!({"outcome": outcome, "row": row, "error": error, "cases": cases, "output": output});
    (format!("{}.{}", text("package"), text("name")), described)
}

fn opa_cases(result: &Value) -> Vec<Value> {
    let cases = result.get("sub_results").and_then(Value::as_object);
    let one = |(name, case): (&String, &Value)| {
        json!([name, case.get("fail").is_some(), opa_cases(case)])
    };
    cases.into_iter().flatten().map(one).collect()
}

/// Base64, as Go writes bytes in JSON.
fn decode(text: &str) -> String {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_usize, 0);
    for digit in text.chars().filter_map(|character| digits.find(character)) {
        bits = (bits << 6 | digit) & 0xfff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).expect("eight bits"));
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Rounds numbers, which OPA prints in its own way.
fn rounded(json: &mut Value) {
    match json {
        Value::Number(number) => {
            let rounded = number.as_f64().map(|number| (number * 100.0).round());
            *json = json!(rounded);
        }
        Value::Array(items) => items.iter_mut().for_each(rounded),
        Value::Object(fields) => fields.values_mut().for_each(rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

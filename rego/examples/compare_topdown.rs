//! Compares the evaluator that explains with the real OPA and with the one that serves.
//!
//! ```text
//! cargo run -p enforcer-rego --features opa-json --example compare_topdown -- cases
//! ```
//!
//! `cases` is a folder of OPA's compliance suite, or a `.jsonl` file. A line of such a file is
//! `{"note", "files": {path: text}, "data", "input", "path": [key], "strict"}`.
//! OPA (`tests/opa`, as `opa-oracle` on the PATH; `OPA_ORACLE` names another program) evaluates
//! `data` at the path and traces it. A second argument N takes each Nth case only. The two evaluators
//! must have equal values, or they fail; other differences from OPA are counted. Traces are compared
//! event by event, in each mode. `TRACES=full` prints the first difference of each trace of that mode.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a tool for developers: it prints its findings, and ends on an invalid case"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use enforcer_rego::topdown::{Explainer, Mode, Question};
use enforcer_rego::{DocumentQuery, EvaluationError, File, Moment, Policy, Settings, json};
use regorus::Value;
use serde_json::json;

mod oracle;

use oracle::{Opa, cases, rego};

/// The time of all evaluations.
const NOW: i64 = 1_700_000_000_000_000_000;

/// A worker's stack.
const STACK: usize = 8 << 20;

fn main() {
    let path = std::env::args().nth(1).expect("a file of cases");
    let step = std::env::args().nth(2).map_or(1, |step| step.parse().expect("a number"));
    let cases: Vec<_> = cases(Path::new(&path)).into_iter().step_by(step).collect();
    let run = std::thread::Builder::new().stack_size(STACK).spawn(move || compare_all(&cases));
    let different = run.expect("a thread").join().expect("no panic");
    std::process::exit(i32::from(different > 0));
}

fn compare_all(cases: &[serde_json::Value]) -> usize {
    let mut opa = Opa::start();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases {
        let note = case.get("note").and_then(|note| note.as_str()).unwrap_or_default();
        let mut count = |kind: &str| *counts.entry(kind.to_owned()).or_default() += 1;
        compare_case(&mut opa, case, note, &mut count);
    }
    println!("{counts:#?}");
    counts.iter().filter(|(kind, _)| kind.contains("DIFFERENT")).map(|(_, count)| count).sum()
}

fn compare_case(opa: &mut Opa, case: &serde_json::Value, note: &str, count: &mut dyn FnMut(&str)) {
    let get = |key: &str| case.get(key).cloned().unwrap_or(serde_json::Value::Null);
    let keys: Vec<String> = serde_json::from_value(get("path")).expect("a path");
    let path: Vec<Value> = keys.iter().map(|key| Value::from(&**key)).collect();
    let strict = get("strict").as_bool().unwrap_or_default();
    let files: BTreeMap<String, String> = serde_json::from_value(get("files")).expect("files");
    let mut files: Vec<File> =
        files.into_iter().map(|(path, text)| File { path, content: text.into_bytes() }).collect();
    files.push(File { path: "data.json".to_owned(), content: get("data").to_string().into() });
    let settings = Settings { strict_builtin_errors: strict, ..Settings::default() };
    let Ok(explainer) = Explainer::load(files.clone(), &settings) else {
        count("refused at load");
        return;
    };
    let Ok(mut policy) = Policy::load(files, &settings) else {
        println!("DIFFERENT {note}: only the policy is refused");
        count("DIFFERENT loading");
        return;
    };
    let input = case.get("input").map(|value| json::parse(value.to_string().as_bytes()).unwrap());
    let moment = || Moment { now_ns: NOW, deadline: Instant::now() + Duration::from_secs(20) };
    let question =
        || Question { input: input.clone(), moment: moment(), strict_builtin_errors: None };
    let ours = explainer.evaluate(&path, question());
    let query = DocumentQuery { path: &path, strict_builtin_errors: false };
    let machine = policy.evaluate(query, input.clone(), moment());
    let (explained, served) = (text(&ours.result), text(&machine.result));
    if explained == served {
        count("values: as the machine");
    } else {
        println!("DIFFERENT {note}\n  machine   {served}\n  explained {explained}");
        count("values: DIFFERENT from the machine");
    }
    if ours.prints != machine.prints {
        println!("PRINTS {note}\n  machine   {:?}\n  explained {:?}", machine.prints, ours.prints);
        count("prints: differ from the machine");
    }
    let query =
        keys.iter().fold("data".to_owned(), |query, key| format!("{query}[{}]", json!(key)));
    let mut request = json!({"op": "eval", "files": get("files"), "data": get("data"),
        "queries": [query], "strict": strict, "terms": true, "time": NOW,
        "no_input": case.get("input").is_none()});
    if let (Some(request), Some(input)) = (request.as_object_mut(), case.get("input")) {
        request.insert("input".to_owned(), input.clone());
    }
    let answer = parsed(&opa.ask(&request));
    let result = answer.get("results").and_then(|results| results.get(0)).unwrap_or(&answer);
    let error = result.get("error").map(ToString::to_string);
    let theirs = match (result.get("result").and_then(|result| result.as_str()), error) {
        (Some(text), _) => text.to_owned(),
        (None, Some(error)) => error,
        (None, None) if result.get("errors").is_some() => "refused".to_owned(),
        (None, None) => "undefined".to_owned(),
    };
    let is_same = match &ours.result {
        Ok(Value::Undefined) => theirs == "undefined",
        Ok(value) => numbers(&theirs) == numbers(&format!("[{}]", rego(value))),
        Err(EvaluationError::Failed { kind, .. }) => theirs.contains(kind.as_str()),
        Err(_) => false,
    };
    if is_same {
        count("values: as OPA");
    } else {
        println!("VALUE {note}\n  OPA       {theirs}\n  explained {explained}");
        count("values: not as OPA");
    }
    compare_traces(opa, &explainer, (&path, &question), &request, note, count);
}

/// An answer of OPA. A number in it may be one that no double is.
fn parsed(answer: &str) -> serde_json::Value {
    serde_json::from_str(answer).unwrap_or_default()
}

/// Compares the traces in all modes.
fn compare_traces(
    opa: &mut Opa,
    explainer: &Explainer,
    (path, question): (&[Value], &dyn Fn() -> Question),
    request: &serde_json::Value,
    note: &str,
    count: &mut dyn FnMut(&str),
) {
    let mut request = request.clone();
    if let Some(request) = request.as_object_mut() {
        let query = request.get("queries").and_then(|queries| queries.get(0)).cloned();
        request.remove("queries");
        request.remove("terms");
        request.insert("query".to_owned(), query.unwrap_or_default());
        request.insert("explain".to_owned(), json!(true));
    }
    let answer = parsed(&opa.ask(&request));
    let modes = [
        ("notes", Mode::Notes),
        ("fails", Mode::Fails),
        ("full", Mode::Full),
        ("debug", Mode::Debug),
    ];
    for (name, mode) in modes {
        let (_, trace) = explainer.trace(path, question(), mode, true);
        let ours = trace.lines();
        let lines = answer.get("lines").and_then(|lines| lines.get(name));
        let theirs: Vec<String> =
            lines.map(|lines| serde_json::from_value(lines.clone()).unwrap()).unwrap_or_default();
        if ours == theirs {
            let what = if ours.is_empty() { "equal and empty" } else { "equal" };
            count(&format!("trace, {name}: {what}"));
        } else {
            count(&format!("trace, {name}: not equal"));
            if std::env::var("TRACES").is_ok_and(|wanted| wanted == name) {
                let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
                println!("TRACE {note}, line {at} of {} / {}", ours.len(), theirs.len());
                let from = at.saturating_sub(2);
                let shown = |lines: &[String]| {
                    lines.iter().skip(from).take(6).cloned().collect::<Vec<_>>().join("\n    ")
                };
                println!("  OPA\n    {}\n  ours\n    {}", shown(&theirs), shown(&ours));
            }
        }
        let events = answer.get("events").and_then(|events| events.get(name));
        if let Some(events) = events.filter(|events| !events.is_null()) {
            let Ok(ours) = serde_json::from_str::<serde_json::Value>(&trace.to_json()) else {
                count(&format!("events as JSON, {name}: with a number that no double is"));
                continue;
            };
            if plain(&ours) == plain(events) {
                count(&format!("events as JSON, {name}: equal"));
            } else {
                count(&format!("events as JSON, {name}: not equal"));
                if std::env::var("EVENTS").is_ok_and(|wanted| wanted == name)
                    && let (Some(ours), Some(theirs)) = (ours.as_array(), events.as_array())
                    && let Some((ours, theirs)) =
                        ours.iter().zip(theirs).find(|(a, b)| plain(a) != plain(b))
                {
                    println!("EVENT {note}\n  OPA  {}\n  ours {}", plain(theirs), plain(ours));
                }
            }
        }
    }
}

/// JSON without places, which OPA's JSON has or not as its process decides, and with locals in
/// order.
fn plain(json: &serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Array(items) => items.iter().map(plain).collect(),
        serde_json::Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "location");
            let mut fields: serde_json::Map<_, _> =
                kept.map(|(name, value)| (name.clone(), plain(value))).collect();
            if let Some(locals) = fields.get_mut("locals").and_then(|locals| locals.as_array_mut())
            {
                locals.sort_by_key(ToString::to_string);
            }
            serde_json::Value::Object(fields)
        }
        other => other.clone(),
    }
}

fn text(result: &Result<Value, EvaluationError>) -> String {
    match result {
        Ok(Value::Undefined) => "undefined".to_owned(),
        Ok(value) => rego(value),
        // Where rules conflict, the machine names another of them than OPA and the explanation.
        Err(EvaluationError::Failed { kind, message, .. }) => format!("{kind}: {message}"),
        Err(error) => error.to_string(),
    }
}

/// A text with its numbers as doubles: OPA keeps the text of a number, and values do not.
fn numbers(text: &str) -> String {
    let mut result = String::new();
    for (position, part) in text.split('"').enumerate() {
        if position % 2 == 1 {
            result.push_str(part);
            continue;
        }
        let mut word = String::new();
        for character in part.chars().chain([' ']) {
            if character.is_ascii_digit() || "+-.eE".contains(character) {
                word.push(character);
                continue;
            }
            match word.parse::<f64>() {
                Ok(number) => result.push_str(&number.to_string()),
                Err(_) => result.push_str(&word),
            }
            word.clear();
            result.push(character);
        }
    }
    result
}

//! Compares every built-in with the real OPA's on generated calls, and says what differs.
//!
//! ```text
//! cargo run -p enforcer-rego --example compare_builtins -- [--seed N] [--calls N] [--show N] [--file PATH] [NAME…]
//! ```
//!
//! A name may end in `*`. With `--file PATH`, the calls are those of a file, one JSON object a line
//! (`{"name": …, "values": […]}`, as the oracle takes it). The oracle is `opa-oracle` on the PATH, or `$OPA_ORACLE` (`tests/opa`).

mod generate;
mod value;

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use enforcer_rego::builtins::table::{DECLARATIONS, Declaration, declaration};
use enforcer_rego::builtins::{Answer, Context, Failure, function};
use regorus::Value;
use serde_json::json;

use generate::Generator;

/// The time of every evaluation.
const NOW_NS: i64 = 1_700_000_000_123_456_789;

struct Options {
    seed: u64,
    calls: usize,
    show: usize,
    file: Option<PathBuf>,
    names: Vec<String>,
}

/// How an answer compares with OPA's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Equal,
    /// Both fail; codes or messages differ.
    OtherError,
    Different,
}

#[derive(Default)]
struct Tally {
    equal: usize,
    errors: usize,
    different: usize,
    values: usize,
    examples: Vec<String>,
}

fn main() -> Result<()> {
    let options = options()?;
    std::panic::set_hook(Box::new(|_| {}));
    let mut calls: Vec<(&Declaration, Vec<Value>)> = Vec::new();
    let mut missing = Vec::new();
    for declaration in DECLARATIONS {
        if !options.names.is_empty() && !options.names.iter().any(|n| named(n, declaration.name)) {
            continue;
        }
        // Unification is no function of OPA's.
        if declaration.name == "eq" {
            continue;
        }
        if function(declaration.name).is_none() {
            missing.push(declaration.name);
            continue;
        }
        if options.file.is_some() {
            continue;
        }
        let mut generator = Generator::new(options.seed, declaration);
        for _ in 0..options.calls {
            calls.push((declaration, generator.arguments()));
        }
    }
    if let Some(path) = &options.file {
        calls = read(path, &options.names)?;
    }
    let theirs = ask(&calls)?;
    let mut tallies: Vec<(&str, Tally)> = Vec::new();
    for ((declaration, args), theirs) in calls.iter().zip(&theirs) {
        if tallies.last().is_none_or(|(name, _)| *name != declaration.name) {
            tallies.push((declaration.name, Tally::default()));
        }
        let Some((_, tally)) = tallies.last_mut() else { continue };
        count(tally, declaration, args, theirs, options.show);
    }
    report(&tallies, &missing)
}

/// The calls of a file, by names.
fn read(path: &Path, names: &[String]) -> Result<Vec<(&'static Declaration, Vec<Value>)>> {
    let mut calls = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let call: serde_json::Value = serde_json::from_str(line)?;
        let name = call.get("name").and_then(serde_json::Value::as_str).context("no name")?;
        let declaration = declaration(name).context("no such built-in")?;
        let values = call.get("values").and_then(serde_json::Value::as_array);
        let values = value::decode_all(values.context("no values")?).context("no value")?;
        if names.is_empty() || names.iter().any(|pattern| named(pattern, name)) {
            calls.push((declaration, values));
        }
    }
    calls.sort_by_key(|(declaration, _)| declaration.name);
    Ok(calls)
}

fn named(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

fn options() -> Result<Options> {
    let mut options = Options { seed: 1, calls: 60, show: 3, file: None, names: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--file" {
            options.file = Some(args.next().context("a path is missing")?.into());
            continue;
        }
        let mut number =
            || -> Result<u64> { Ok(args.next().context("a number is missing")?.parse::<u64>()?) };
        match arg.as_str() {
            "--seed" => options.seed = number()?,
            "--calls" => options.calls = usize::try_from(number()?)?,
            "--show" => options.show = usize::try_from(number()?)?,
            _ => options.names.push(arg),
        }
    }
    Ok(options)
}

/// The oracle's answers, in order.
fn ask(calls: &[(&Declaration, Vec<Value>)]) -> Result<Vec<serde_json::Value>> {
    let oracle = std::env::var("OPA_ORACLE").unwrap_or_else(|_| "opa-oracle".to_owned());
    let mut child = Command::new(&oracle)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{oracle} does not start"))?;
    let input = child.stdin.take().context("no standard input")?;
    let output = child.stdout.take().context("no standard output")?;
    let requests: Vec<String> = calls
        .iter()
        .map(|(declaration, args)| {
            let values: Vec<_> = args.iter().map(value::encode).collect();
            json!({"op": "builtin", "name": declaration.name, "values": values, "time": NOW_NS})
                .to_string()
        })
        .collect();
    let writer = std::thread::spawn(move || {
        let mut input = BufWriter::new(input);
        requests.iter().try_for_each(|request| writeln!(input, "{request}"))
    });
    let answers: Vec<serde_json::Value> = BufReader::new(output)
        .lines()
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect::<Result<Vec<_>>>()?;
    let written = writer.join();
    anyhow::ensure!(matches!(written, Ok(Ok(()))), "the oracle has ended early");
    child.wait()?;
    anyhow::ensure!(answers.len() == calls.len(), "the oracle left out answers");
    let refused = answers.iter().find(|answer| {
        answer.pointer("/error/code").and_then(serde_json::Value::as_str) == Some("request")
    });
    anyhow::ensure!(refused.is_none(), "the oracle refuses a request: {refused:?}");
    Ok(answers)
}

/// This crate's answer; a panic is an error of its own.
fn evaluate(declaration: &Declaration, args: &[Value]) -> Option<Answer> {
    let function = function(declaration.name)?;
    catch_unwind(AssertUnwindSafe(|| function(&mut context(), args))).ok()
}

/// What an evaluation has.
pub(crate) fn context() -> Context {
    Context::new(NOW_NS, Instant::now() + Duration::from_secs(5))
}

fn count(
    tally: &mut Tally,
    declaration: &Declaration,
    args: &[Value],
    theirs: &serde_json::Value,
    show: usize,
) {
    let ours = evaluate(declaration, args);
    tally.values += usize::from(theirs.get("results").is_some());
    let verdict = compare(declaration, ours.as_ref(), theirs);
    match verdict {
        Verdict::Equal => tally.equal += 1,
        Verdict::OtherError => tally.errors += 1,
        Verdict::Different => tally.different += 1,
    }
    let shown = tally.examples.len() < show;
    if verdict == Verdict::Equal || !shown || verdict == Verdict::OtherError && show < 10 {
        return;
    }
    let args: Vec<_> = args.iter().map(|arg| value::encode(arg).to_string()).collect();
    let ours = match ours {
        None => "panic".to_owned(),
        Some(Ok(Value::Undefined)) => "undefined".to_owned(),
        Some(Ok(result)) => value::encode(&result).to_string(),
        Some(Err(failure)) => format!("{failure:?}"),
    };
    tally.examples.push(format!(
        "    {}({})\n      ours: {}\n      OPA:  {}",
        declaration.name,
        args.join(", "),
        shortened(&ours),
        shortened(&theirs.to_string())
    ));
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(300).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn compare(
    declaration: &Declaration,
    ours: Option<&Answer>,
    theirs: &serde_json::Value,
) -> Verdict {
    let results = theirs.get("results").and_then(serde_json::Value::as_array);
    let error = theirs.get("error");
    let same = match (ours, results, error) {
        (Some(Ok(Value::Undefined)), None, None) => true,
        (Some(Ok(ours)), Some(results), None) if declaration.relation => {
            Some(ours) == value::decode_all(results).map(Value::from).as_ref()
        }
        (Some(Ok(ours)), Some(results), None) => {
            let theirs = results.first().and_then(value::decode);
            let ours = value::as_json(ours);
            // OPA finds the problems of an object's values in any order.
            let in_any_order = declaration.name == "json.match_schema";
            if in_any_order {
                theirs.map(sorted) == Some(sorted(ours))
            } else {
                theirs == Some(ours)
            }
        }
        (Some(Err(failure)), None, Some(error)) => {
            let text = |key| error.get(key).and_then(serde_json::Value::as_str).unwrap_or("");
            let (code, prefix) = match failure {
                Failure::Builtin(_) => ("eval_builtin_error", declaration.name),
                Failure::Type(_) => ("eval_type_error", declaration.name),
                Failure::Conflict(_) => ("eval_conflict_error", ""),
                Failure::Halt(_) => ("eval_internal_error", ""),
            };
            let separator = if prefix.is_empty() { "" } else { ": " };
            let message = format!("{prefix}{separator}{failure}");
            if code == text("code") && message == text("message") {
                return Verdict::Equal;
            }
            return Verdict::OtherError;
        }
        _ => false,
    };
    if same { Verdict::Equal } else { Verdict::Different }
}

/// With the elements of arrays in order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<Value> = elements.iter().cloned().map(sorted).collect();
            elements.sort();
            Value::from(elements)
        }
        other => other,
    }
}

fn report(tallies: &[(&str, Tally)], missing: &[&str]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let (mut equal, mut errors, mut different) = (0, 0, 0);
    for (name, tally) in tallies {
        equal += tally.equal;
        errors += tally.errors;
        different += tally.different;
        writeln!(
            out,
            "{name:<55} equal {:>5}  only the error differs {:>4}  different {:>4}  (with a value {})",
            tally.equal, tally.errors, tally.different, tally.values
        )?;
        for example in &tally.examples {
            writeln!(out, "{example}")?;
        }
    }
    writeln!(out, "\nno function: {}", missing.join(" "))?;
    let all = equal + errors + different;
    writeln!(
        out,
        "{all} calls: {equal} equal, {errors} where only the error differs, {different} different"
    )?;
    Ok(())
}

//! Compares the type check with the real OPA's, over OPA's own compiled trees.
//!
//! ```text
//! cargo run -p enforcer-rego --features opa-json --example check_types -- cases.jsonl
//! ```
//!
//! A line of the file is a policy, `{"files": {"a.rego": "…"}, "v0": false}`. OPA answers through
//! `opa-oracle` (`tests/opa`), or through the program that `OPA_ORACLE` names. Prints every policy
//! whose faults differ from OPA's, and their number.
#![allow(clippy::indexing_slicing, reason = "a tool for developers: JSON takes any key")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result};
use enforcer_rego::ast::{ExprKind, RegoVersion, TermValue};
use enforcer_rego::compile::Compiled;
use enforcer_rego::opa_json::read::{Fault, answer, compiled};
use enforcer_rego::source::Sources;
use enforcer_rego::types::check;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("a file of policies is needed")?;
    let text = std::fs::read_to_string(path)?;
    let cases = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let program = std::env::var("OPA_ORACLE").unwrap_or_else(|_| "opa-oracle".into());
    let mut oracle = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = oracle.stdin.take().context("no input")?;
    let output = oracle.stdout.take().context("no output")?;
    let requests = cases.clone();
    let writer = std::thread::spawn(move || ask(input, &requests));
    let mut lines = BufReader::new(output).lines();
    let mut counts = Counts::default();
    let mut out = std::io::stdout().lock();
    for case in &cases {
        let all = lines.next().context("OPA has ended")??;
        let tree = lines.next().context("OPA has ended")??;
        compare(case, &all, &tree, &mut counts, &mut out)?;
    }
    writeln!(out, "{counts:?}")?;
    if let Ok(outcome) = writer.join() {
        outcome?;
    }
    oracle.wait()?;
    Ok(())
}

#[derive(Debug, Default)]
struct Counts {
    /// Policies without a fault in either.
    accepted: u32,
    /// Policies with the same faults in both.
    rejected: u32,
    /// Policies that have a fault that OPA finds before it checks types.
    not_reached: u32,
    /// Policies that differ.
    different: u32,
}

fn ask(mut input: ChildStdin, cases: &[Value]) -> Result<()> {
    for case in cases {
        let mut request = json!({"op": "compile", "all_errors": true});
        request["files"] = case["files"].clone();
        request["v0"] = json!(case["v0"].as_bool().unwrap_or(false));
        writeln!(input, "{request}")?;
        request["after"] = json!("CheckRecursion");
        request["names"] = json!(true);
        writeln!(input, "{request}")?;
    }
    Ok(())
}

fn compare(
    case: &Value,
    all: &str,
    tree: &str,
    counts: &mut Counts,
    out: &mut impl std::io::Write,
) -> Result<()> {
    let mut sources = Sources::default();
    for (path, text) in case["files"].as_object().context("no files")? {
        sources.add(path, text.as_str().unwrap_or_default());
    }
    let version =
        if case["v0"].as_bool() == Some(true) { RegoVersion::V0 } else { RegoVersion::V1 };
    let modules = match answer(&sources, tree, version) {
        Ok(Ok(modules)) => modules,
        Ok(Err(_)) => {
            counts.not_reached += 1;
            return Ok(());
        }
        Err(error) => {
            counts.different += 1;
            writeln!(out, "not read: {error}\n{case}\n")?;
            return Ok(());
        }
    };
    let mut compiled = compiled(&sources, modules);
    names(&mut compiled, &sources, tree)?;
    let faults = answer(&sources, all, version)?.err().unwrap_or_default();
    let (placed, nowhere): (Vec<&Fault>, Vec<&Fault>) =
        faults.iter().filter(|fault| is_of_types(fault)).partition(|fault| fault.row > 0);
    let theirs: Vec<String> = placed.into_iter().map(their_line).collect();
    let mut ours: Vec<String> = check(&sources, &compiled)
        .faults
        .iter()
        .map(|fault| {
            let place = fault.span.map(|span| sources.location(span).to_string());
            format!("{} {}: {}", place.unwrap_or_default(), fault.code, fault.message)
        })
        .collect();
    // OPA gives no place for calls in template strings.
    let is_without_place =
        |line: &String| nowhere.iter().any(|fault| line.ends_with(&fault.message));
    if ours != theirs && !nowhere.is_empty() {
        ours.retain(|line| theirs.contains(line) || !is_without_place(line));
    }
    if ours == theirs {
        if ours.is_empty() {
            counts.accepted += 1;
        } else {
            counts.rejected += 1;
        }
    } else {
        counts.different += 1;
        writeln!(out, "ours:\n  {}\ntheirs:\n  {}", ours.join("\n  "), theirs.join("\n  "))?;
        let files = case["files"].as_object().context("no files")?;
        let length: usize = files.values().filter_map(Value::as_str).map(str::len).sum();
        if length < 3000 {
            for (path, text) in files {
                writeln!(out, "-- {path}\n{}", text.as_str().unwrap_or_default())?;
            }
        } else {
            writeln!(out, "{:?}", case["name"])?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Errors of other stages are left out.
fn is_of_types(fault: &Fault) -> bool {
    fault.code == "rego_type_error" && !fault.message.starts_with("deprecated built-in")
}

fn their_line(fault: &Fault) -> String {
    format!("{}:{}:{} {}: {}", fault.file, fault.row, fault.col, fault.code, fault.message)
}

/// The terms that messages show for variables.
#[derive(Deserialize)]
struct Names<'a> {
    #[serde(default)]
    rewritten: BTreeMap<String, String>,
    #[serde(borrow)]
    subjects: Option<&'a RawValue>,
}

fn names(compiled: &mut Compiled, sources: &Sources, tree: &str) -> Result<()> {
    let names: Names<'_> = serde_json::from_str(tree)?;
    for (name, original) in names.rewritten {
        compiled.rewritten.insert(name.into(), original.into());
    }
    let Some(subjects) = names.subjects else { return Ok(()) };
    let subjects = format!(r#"{{"modules": {{"subjects": {subjects}}}}}"#);
    let Ok(modules) = answer(sources, &subjects, RegoVersion::V1)? else { return Ok(()) };
    for expr in modules.iter().flat_map(|module| &module.rules).flat_map(|rule| &rule.body) {
        if let ExprKind::Call(terms) = &expr.kind
            && let [_, var, subject] = terms.as_slice()
            && let TermValue::Var(name) = &var.value
        {
            compiled.subjects.insert(name.clone(), subject.value.clone());
        }
    }
    Ok(())
}

//! Compares the compiler with the real OPA's: the tree after each stage, and the errors.
//!
//! ```text
//! cargo run -p enforcer-rego --features opa-json --example compare_compile -- [options] <paths>
//! ```
//!
//! Every `.rego` file below a path is a case, and so is every `modules` list of a `.json` file in
//! the compliance suite's form. Options:
//!
//! - `--bundles`: all `.rego` files of each path together are one case
//! - `--opa-parse`: take the syntax tree of OPA's parser instead of ours
//! - `--stage NAME`: compare only up to this stage
//! - `--generate N`: that many random modules of small statements, instead of the cases
//! - `--mutate N`, `--seed S`: that many changed copies of the cases, instead of the cases
//! - `--show N`: how many differences are printed (20)

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use enforcer_rego::ast::{Module, RegoVersion};
use enforcer_rego::compile::{self, Options};
use enforcer_rego::diagnostic::Diagnostic;
use enforcer_rego::opa_json::canonical;
use enforcer_rego::opa_json::read::{self, Fault};
use enforcer_rego::parse::parse_module;
use enforcer_rego::source::Sources;
use enforcer_rego::types;

mod generate;
mod mutate;

use mutate::{Random, mutated};

/// Files by path.
type Files = BTreeMap<String, String>;

struct Case {
    name: String,
    files: Files,
}

struct Settings {
    paths: Vec<PathBuf>,
    bundles: bool,
    opa_parse: bool,
    v0: bool,
    stage: Option<String>,
    mutate: usize,
    generate: usize,
    seed: u64,
    show: usize,
}

fn settings() -> Result<Settings> {
    let mut settings = Settings {
        paths: Vec::new(),
        bundles: false,
        opa_parse: false,
        v0: false,
        stage: None,
        mutate: 0,
        generate: 0,
        seed: 1,
        show: 20,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().context("an option lacks its value");
        match argument.as_str() {
            "--bundles" => settings.bundles = true,
            "--opa-parse" => settings.opa_parse = true,
            "--v0" => settings.v0 = true,
            "--stage" => settings.stage = Some(value()?),
            "--mutate" => settings.mutate = value()?.parse()?,
            "--generate" => settings.generate = value()?.parse()?,
            "--seed" => settings.seed = value()?.parse()?,
            "--show" => settings.show = value()?.parse()?,
            path => settings.paths.push(path.into()),
        }
    }
    if settings.paths.is_empty() && settings.generate == 0 {
        bail!("give folders or files with policies");
    }
    Ok(settings)
}

fn files_below(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        let mut entries: Vec<_> =
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        entries.sort();
        for entry in entries {
            files_below(&entry, found)?;
        }
    } else if path.extension().is_some_and(|kind| kind == "rego" || kind == "json") {
        found.push(path.to_owned());
    }
    Ok(())
}

fn suite_cases(path: &Path, text: &str) -> Vec<Case> {
    let suite: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let cases = suite.get("cases").and_then(serde_json::Value::as_array);
    let mut found = Vec::new();
    for (index, case) in cases.into_iter().flatten().enumerate() {
        let modules = case.get("modules").and_then(serde_json::Value::as_array);
        let texts = modules.into_iter().flatten().filter_map(|module| module.as_str());
        let files: Files = texts
            .enumerate()
            .map(|(number, text)| (format!("m{number}.rego"), text.to_owned()))
            .collect();
        if !files.is_empty() {
            found.push(Case { name: format!("{}#{index}", path.display()), files });
        }
    }
    found
}

fn cases(settings: &Settings) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for path in &settings.paths {
        let mut found = Vec::new();
        files_below(path, &mut found)?;
        let mut together = Files::new();
        for file in found {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            let name = file.display().to_string();
            if file.extension().is_some_and(|kind| kind == "json") {
                cases.extend(suite_cases(&file, &text));
            } else if settings.bundles {
                together.insert(name, text);
            } else {
                let files = Files::from([("a.rego".to_owned(), text)]);
                cases.push(Case { name, files });
            }
        }
        if !together.is_empty() {
            cases.push(Case { name: path.display().to_string(), files: together });
        }
    }
    Ok(cases)
}

struct Oracle {
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Result<Self> {
        let program = std::env::var("OPA_ORACLE").unwrap_or_else(|_| "opa-oracle".into());
        let mut process =
            Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take().context("no input")?;
        let output = BufReader::new(process.stdout.take().context("no output")?);
        Ok(Self { _process: process, input, output })
    }

    fn ask(
        &mut self,
        op: &str,
        sources: &Sources,
        files: &Files,
        v0: bool,
        after: Option<&str>,
    ) -> Result<Result<Vec<Module>, Vec<Fault>>> {
        let request = serde_json::json!({
            "op": op, "files": files, "v0": v0, "after": after.unwrap_or_default(),
        });
        writeln!(self.input, "{request}")?;
        self.input.flush()?;
        let mut reply = String::new();
        self.output.read_line(&mut reply)?;
        let version = if v0 { RegoVersion::V0 } else { RegoVersion::V1 };
        Ok(read::answer(sources, &reply, version)?)
    }
}

fn ours(
    sources: &Sources,
    modules: Vec<Module>,
    stage: Option<&str>,
) -> Result<Vec<Module>, Vec<Diagnostic>> {
    let options = Options { check_types: Some(types::check), ..Options::default() };
    match stage {
        Some(stage) => compile::compile_until(sources, modules, &options, stage),
        None => compile::compile(sources, modules, &options).map(|compiled| compiled.modules),
    }
}

/// A fault in a form common to both. A fault without a row matches any place.
fn fault_texts(sources: &Sources, errors: &[Diagnostic]) -> Vec<String> {
    let text = |error: &Diagnostic| {
        let place = error.span.map(|span| sources.location(span).to_string());
        format!("{}: {}: {}", place.unwrap_or_default(), error.code, lasting(&error.message))
    };
    errors.iter().map(text).collect()
}

fn opa_fault_texts(faults: &[Fault]) -> Vec<String> {
    let text = |fault: &Fault| {
        let place = match fault.row {
            0 => String::new(),
            row => format!("{}:{}:{}", fault.file, row, fault.col),
        };
        format!("{place}: {}: {}", fault.code, lasting(&fault.message))
    };
    faults.iter().map(text).collect()
}

/// A message without the part that is random in OPA: the path by which a rule refers back to
/// itself.
fn lasting(message: &str) -> &str {
    message.split_once(" recursive: ").map_or(message, |(rule, _)| rule)
}

fn same_faults(ours: &[String], theirs: &[String]) -> bool {
    // Of many errors at one place, OPA reports a random ten.
    let is_full = |faults: &[String]| {
        faults.last().is_some_and(|fault| fault.ends_with(": error limit reached"))
    };
    if is_full(ours) && is_full(theirs) {
        return true;
    }
    let without_place = |text: &str| text.split_once(": ").map(|(_, rest)| rest.to_owned());
    let mut left: Vec<&String> = ours.iter().collect();
    ours.len() == theirs.len()
        && theirs.iter().all(|theirs| {
            let position = left.iter().position(|ours| {
                *ours == theirs
                    || theirs.starts_with(": ") && without_place(ours) == without_place(theirs)
            });
            position.map(|position| left.remove(position)).is_some()
        })
}

/// The difference between our result and OPA's.
fn difference(
    sources: &Sources,
    ours: Result<Vec<Module>, Vec<Diagnostic>>,
    theirs: Result<Vec<Module>, Vec<Fault>>,
) -> Option<String> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            let mut theirs: Vec<_> = theirs.iter().map(canonical::module).collect();
            let mut ours: Vec<_> = ours.iter().map(canonical::module).collect();
            theirs.sort();
            ours.sort();
            let pair = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs)?;
            let lines = pair.0.lines().zip(pair.1.lines());
            let line = lines.into_iter().find(|(ours, theirs)| ours != theirs);
            let (ours, theirs) = line.unwrap_or((pair.0, pair.1));
            Some(format!("tree\n  ours {ours}\n  OPA  {theirs}"))
        }
        (Err(ours), Err(theirs)) => {
            let (ours, theirs) = (fault_texts(sources, &ours), opa_fault_texts(&theirs));
            (!same_faults(&ours, &theirs))
                .then(|| format!("errors\n  ours {ours:#?}\n  OPA  {theirs:#?}"))
        }
        (Ok(_), Err(theirs)) => {
            Some(format!("accepted, OPA rejects {:#?}", opa_fault_texts(&theirs)))
        }
        (Err(ours), Ok(_)) => {
            Some(format!("rejected, OPA accepts {:#?}", fault_texts(sources, &ours)))
        }
    }
}

#[derive(Default)]
struct Counts {
    cases: usize,
    not_parsed: usize,
    rejected: usize,
    different: usize,
}

struct Comparison {
    oracle: Oracle,
    settings: Settings,
    counts: Counts,
}

impl Comparison {
    /// Compares a case; returns the difference and the first stage after which it shows.
    fn case(&mut self, files: &Files) -> Result<Option<String>> {
        let mut sources = Sources::default();
        let ids: Vec<_> = files.iter().map(|(path, text)| sources.add(path, text)).collect();
        let v0 = self.settings.v0;
        let modules = if self.settings.opa_parse {
            match self.oracle.ask("parse", &sources, files, v0, None)? {
                Ok(modules) => modules,
                Err(_) => {
                    self.counts.not_parsed += 1;
                    return Ok(None);
                }
            }
        } else {
            let version = if v0 { RegoVersion::V0 } else { RegoVersion::V1 };
            let parsed: Result<Vec<_>, _> =
                ids.iter().map(|id| parse_module(&sources, *id, version)).collect();
            match parsed {
                Ok(modules) => modules,
                Err(_) => {
                    self.counts.not_parsed += 1;
                    return Ok(None);
                }
            }
        };
        self.counts.cases += 1;
        let last = self.settings.stage.clone();
        let theirs = self.oracle.ask("compile", &sources, files, v0, last.as_deref())?;
        if theirs
            .as_ref()
            .is_err_and(|faults| faults.iter().any(|fault| fault.code == "rego_parse_error"))
        {
            self.counts.not_parsed += 1;
            return Ok(None);
        }
        self.counts.rejected += usize::from(theirs.is_err());
        let our = ours(&sources, modules.clone(), last.as_deref());
        if difference(&sources, our, theirs).is_none() {
            return Ok(None);
        }
        // Some policies change terms that OPA shares among all policies of its process.
        self.oracle = Oracle::start()?;
        let theirs = self.oracle.ask("compile", &sources, files, v0, last.as_deref())?;
        let our = ours(&sources, modules.clone(), last.as_deref());
        let Some(found) = difference(&sources, our, theirs) else { return Ok(None) };
        self.counts.different += 1;
        for stage in compile::stages() {
            let theirs = self.oracle.ask("compile", &sources, files, v0, Some(stage))?;
            let our = ours(&sources, modules.clone(), Some(stage));
            if let Some(found) = difference(&sources, our, theirs) {
                return Ok(Some(format!("{stage}: {found}")));
            }
            if last.as_deref() == Some(stage) {
                break;
            }
        }
        Ok(Some(format!("at the end: {found}")))
    }
}

fn main() -> Result<()> {
    let settings = settings()?;
    let cases = cases(&settings)?;
    let mut comparison =
        Comparison { oracle: Oracle::start()?, settings, counts: Counts::default() };
    let mut out = std::io::stdout().lock();
    let mut report = |comparison: &Comparison, name: &str, files: &Files, found: &str| {
        if comparison.counts.different <= comparison.settings.show {
            writeln!(out, "{name}: {found}")?;
            if comparison.settings.mutate + comparison.settings.generate > 0 {
                let text = files.values().cloned().collect::<Vec<_>>().join("\n----\n");
                if text.len() < 1_500 {
                    writeln!(out, "{text}")?;
                }
            }
        }
        anyhow::Ok(())
    };
    if comparison.settings.generate > 0 {
        let mut random = Random(comparison.settings.seed);
        for number in 0..comparison.settings.generate {
            let files = generate::modules(&mut random);
            if let Some(found) = comparison.case(&files)? {
                report(&comparison, &format!("generated {number}"), &files, &found)?;
            }
        }
    } else if comparison.settings.mutate == 0 {
        for case in &cases {
            if let Some(found) = comparison.case(&case.files)? {
                report(&comparison, &case.name, &case.files, &found)?;
            }
        }
    } else {
        let mut random = Random(comparison.settings.seed);
        for number in 0..comparison.settings.mutate {
            let Some(case) = cases.get(random.below(cases.len())) else { break };
            let Some(other) = cases.get(random.below(cases.len())) else { break };
            let files = mutated(&mut random, &case.files, &other.files);
            if let Some(found) = comparison.case(&files)? {
                report(&comparison, &format!("{} ({number})", case.name), &files, &found)?;
            }
        }
    }
    let counts = &comparison.counts;
    writeln!(
        out,
        "{} compared ({} rejected by OPA), {} not parsed, {} different",
        counts.cases, counts.rejected, counts.not_parsed, counts.different
    )?;
    Ok(())
}

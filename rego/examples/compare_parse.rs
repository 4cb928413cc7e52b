//! Compares the parser with OPA's, over folders of policies and over mutations of them.
//!
//! ```text
//! compare_parse ORACLE [--v0] [--mutations N] [--seed N] [--show N] [--keep FOLDER] FOLDER…
//! ```
//!
//! `ORACLE` is `tests/opa` built. Each `*.rego` below the folders is parsed, and each of the
//! `modules` in the files of OPA's compliance suite; then the requested number of mutations of
//! them. A difference is printed, and written to a folder where one is named.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use enforcer_rego::ast::RegoVersion;
use enforcer_rego::opa_json::write::{self, Form};
use enforcer_rego::parse::parse_module;
use enforcer_rego::source::Sources;
use serde_json::value::RawValue;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The name of every module.
const PATH: &str = "a.rego";
/// Longer modules are not mutated: most of the time would be spent on unchanged text.
const MAX_MUTATED: usize = 3_000;
/// How many requests are sent to the oracle in advance.
const AHEAD: usize = 64;

struct Options {
    oracle: PathBuf,
    version: RegoVersion,
    mutations: usize,
    seed: u64,
    show: usize,
    keep: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

fn options() -> Outcome<Options> {
    let mut arguments = std::env::args().skip(1);
    let oracle = arguments.next().ok_or("which oracle?")?.into();
    let mut options = Options {
        oracle,
        version: RegoVersion::V1,
        mutations: 0,
        seed: 1,
        show: 10,
        keep: None,
        folders: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("a value is missing");
        match argument.as_str() {
            "--v0" => options.version = RegoVersion::V0,
            "--mutations" => options.mutations = value()?.parse()?,
            "--seed" => options.seed = value()?.parse()?,
            "--show" => options.show = value()?.parse()?,
            "--keep" => options.keep = Some(value()?.into()),
            _ => options.folders.push(argument.into()),
        }
    }
    Ok(options)
}

fn main() -> Outcome<()> {
    let options = options()?;
    let mut modules = Vec::new();
    for folder in &options.folders {
        collect(folder, &mut modules)?;
    }
    let mutated = Mutations::new(&modules, options.seed).take(options.mutations);
    let texts: Vec<(String, String)> = if options.mutations == 0 {
        modules
    } else {
        mutated.enumerate().map(|(index, text)| (format!("mutation {index}"), text)).collect()
    };
    compare(&options, texts)
}

/// Finds modules below a path, with a name for each.
fn collect(path: &Path, modules: &mut Vec<(String, String)>) -> Outcome<()> {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| collect(entry, modules));
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    let name = path.display().to_string();
    match (extension, fs::read_to_string(path)) {
        (Some("rego"), Ok(text)) => modules.push((name, text)),
        (Some("json" | "yaml" | "yml"), Ok(text)) => {
            let suite: yaml_serde::Value = yaml_serde::from_str(&text).unwrap_or_default();
            for case in
                suite.get("cases").and_then(yaml_serde::Value::as_sequence).into_iter().flatten()
            {
                let texts = case.get("modules").and_then(yaml_serde::Value::as_sequence);
                for text in texts.into_iter().flatten().filter_map(yaml_serde::Value::as_str) {
                    modules.push((name.clone(), text.to_owned()));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

// --- the oracle

#[derive(serde::Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    modules: BTreeMap<&'a str, &'a RawValue>,
    #[serde(default)]
    errors: Vec<Fault>,
    error: Option<Fault>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
struct Fault {
    code: String,
    message: String,
    #[serde(default)]
    row: u32,
    #[serde(default)]
    col: u32,
}

fn ask(
    mut requests: BufWriter<ChildStdin>,
    v0: bool,
    texts: &[(String, String)],
    places: &mpsc::Receiver<()>,
) -> io::Result<()> {
    for (_, text) in texts {
        let request =
            serde_json::json!({"op": "parse", "comparable": true, "v0": v0, "files": {PATH: text}});
        writeln!(requests, "{request}")?;
        requests.flush()?;
        if places.recv().is_err() {
            break;
        }
    }
    Ok(())
}

// --- the comparison

#[derive(Default)]
struct Counts {
    same_tree: usize,
    other_tree: usize,
    only_we_accept: usize,
    only_opa_accepts: usize,
    same_faults: usize,
    same_first_fault: usize,
    same_place: usize,
    other_fault: usize,
    no_answer: usize,
}

fn compare(options: &Options, texts: Vec<(String, String)>) -> Outcome<()> {
    let mut oracle =
        Command::new(&options.oracle).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let requests = BufWriter::new(oracle.stdin.take().ok_or("no input")?);
    let answers: BufReader<ChildStdout> = BufReader::new(oracle.stdout.take().ok_or("no output")?);
    let (free, places) = mpsc::channel();
    (0..AHEAD).try_for_each(|_| free.send(()))?;
    let v0 = options.version == RegoVersion::V0;
    let mut counts = Counts::default();
    let mut shown = 0;
    thread::scope(|scope| -> Outcome<()> {
        let texts = &texts;
        scope.spawn(move || ask(requests, v0, texts, &places));
        let mut lines = answers.lines();
        for (index, (name, text)) in texts.iter().enumerate() {
            let line = lines.next().ok_or("the oracle has ended")??;
            let _ = free.send(());
            let answer: Answer<'_> =
                serde_json::from_str(&line).map_err(|error| format!("{name}: {error}: {line}"))?;
            if let Some(difference) = judge(options, text, &answer, &mut counts) {
                if shown < options.show {
                    shown += 1;
                    writeln!(io::stdout(), "--- {name}\n{difference}\n")?;
                }
                if let Some(folder) = &options.keep {
                    fs::create_dir_all(folder)?;
                    fs::write(folder.join(format!("{index}.rego")), text)?;
                    fs::write(folder.join(format!("{index}.txt")), difference)?;
                }
            }
        }
        Ok(())
    })?;
    oracle.wait()?;
    let Counts {
        same_tree,
        other_tree,
        only_we_accept,
        only_opa_accepts,
        same_faults,
        same_first_fault,
        same_place,
        other_fault,
        no_answer,
    } = counts;
    writeln!(
        io::stdout(),
        "{} modules\n\
         both accept: {same_tree} with the same tree, {other_tree} with another\n\
         only we accept: {only_we_accept}\nonly OPA accepts: {only_opa_accepts}\n\
         both reject: {same_faults} with the same faults, {same_first_fault} with the same first fault, \
         {same_place} with the first fault at the same place, {other_fault} with another\n\
         OPA has no answer: {no_answer}",
        texts.len(),
    )?;
    Ok(())
}

/// Compares an answer with ours, counts the result, and returns the difference.
fn judge(
    options: &Options,
    text: &str,
    answer: &Answer<'_>,
    counts: &mut Counts,
) -> Option<String> {
    let mut sources = Sources::default();
    let file = sources.add(PATH, text);
    let ours = parse_module(&sources, file, options.version);
    if let Some(fault) = &answer.error {
        counts.no_answer += 1;
        return (fault.code != "marshal").then(|| format!("{fault:?}"));
    }
    match ours {
        Ok(module) if answer.errors.is_empty() => {
            let ours = write::module(&sources, &module, Form::Located);
            let theirs = answer.modules.get(PATH).map(|module| module.get()).unwrap_or_default();
            if ours == theirs {
                counts.same_tree += 1;
                return None;
            }
            counts.other_tree += 1;
            Some(format!("another tree: {}", tree_difference(&ours, theirs)))
        }
        Ok(_) => {
            counts.only_we_accept += 1;
            Some(format!("only we accept: {:?}", answer.errors))
        }
        Err(faults) => {
            let ours: Vec<Fault> = faults
                .into_iter()
                .map(|fault| {
                    let at = fault.span.map(|span| sources.location(span));
                    Fault {
                        code: fault.code.to_string(),
                        message: fault.message,
                        row: at.as_ref().map_or(0, |at| at.row),
                        col: at.as_ref().map_or(0, |at| at.col),
                    }
                })
                .collect();
            let theirs = &answer.errors;
            let (Some(our_first), Some(their_first)) = (ours.first(), theirs.first()) else {
                counts.only_opa_accepts += 1;
                return Some(format!("only OPA accepts: {ours:?}"));
            };
            // OPA gives no place for an empty module, and we report at most ten faults.
            if our_first.message == "empty module" && their_first.message == "empty module"
                || ours.iter().zip(theirs).all(|(ours, theirs)| ours == theirs)
                    && ours.len() >= theirs.len().min(10)
            {
                counts.same_faults += 1;
                return None;
            }
            let difference = format!("ours:  {ours:?}\nOPA's: {theirs:?}");
            if our_first == their_first {
                counts.same_first_fault += 1;
                Some(format!("other later faults\n{difference}"))
            } else if (our_first.row, our_first.col) == (their_first.row, their_first.col) {
                counts.same_place += 1;
                Some(format!("another message\n{difference}"))
            } else {
                counts.other_fault += 1;
                Some(format!("another place\n{difference}"))
            }
        }
    }
}

/// The places where two trees differ, as text.
fn tree_difference(ours: &str, theirs: &str) -> String {
    let common =
        ours.bytes().zip(theirs.bytes()).take_while(|(ours, theirs)| ours == theirs).count();
    let part = |text: &str| {
        let from = common.saturating_sub(150);
        let bytes = text.as_bytes().get(from..text.len().min(common + 150)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    format!("\nours:  {}\nOPA's: {}", part(ours), part(theirs))
}

// --- mutations

/// A pseudo-random sequence (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from((self.next() >> 11) % bound).unwrap_or(0)
    }

    fn pick<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        items.get(self.below(items.len()))
    }
}

/// Texts for insertions.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";",
    ":",
    ".",
    "|",
    "&",
    "=",
    ":=",
    "==",
    "!=",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "\n",
    " ",
    "\t",
    "\r\n",
    "#",
    "\"",
    "`",
    "$\"",
    "$`",
    "\\",
    "!",
    "$",
    "@",
    "_",
    "0",
    "1",
    "01",
    "1.5",
    "1e3",
    "1e999999",
    ".5",
    "\"a\"",
    "`a`",
    "$\"a{x}b\"",
    "$`{x}`",
    "\"\\u00e9\"",
    "\"\\x\"",
    "x",
    "f(x)",
    "a.b",
    "x[y]",
    "_",
    "data",
    "input",
    "input.x",
    "data.a",
    "package",
    "import",
    "import rego.v1\n",
    "import future.keywords\n",
    "import future.keywords.not\n",
    "import future.keywords.and\n",
    "import future.keywords.or\n",
    "import future.keywords.every\n",
    "import data.x as y\n",
    "as",
    "default",
    "else",
    "not",
    "some",
    "with",
    "null",
    "true",
    "false",
    "in",
    "every",
    "contains",
    "if",
    "and",
    "or",
    "not {",
    "every x in xs {",
    "some x in",
    "with input as",
    " if ",
    " contains ",
    " else := ",
    "set()",
    "{x | x}",
    "[x | x]",
    "{x: y | x}",
    "\u{e9}",
    "\0",
];

struct Mutations<'m> {
    texts: Vec<&'m str>,
    random: Random,
}

impl<'m> Mutations<'m> {
    fn new(modules: &'m [(String, String)], seed: u64) -> Self {
        let texts = modules
            .iter()
            .map(|(_, text)| text.as_str())
            .filter(|text| text.len() <= MAX_MUTATED)
            .collect();
        Self { texts, random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1) }
    }

    /// Words and single characters, with where they stand.
    fn tokens(text: &str) -> Vec<(usize, usize)> {
        let mut tokens = Vec::new();
        let mut word: Option<usize> = None;
        for (at, character) in text.char_indices() {
            let is_word = character.is_ascii_alphanumeric() || character == '_';
            match word {
                Some(start) if !is_word => {
                    tokens.push((start, at));
                    word = None;
                }
                None if is_word => word = Some(at),
                _ => {}
            }
            if !is_word && character != ' ' {
                tokens.push((at, at + character.len_utf8()));
            }
        }
        tokens.extend(word.map(|start| (start, text.len())));
        tokens
    }

    fn mutate(&mut self, text: &str) -> String {
        let tokens = Self::tokens(text);
        let random = &mut self.random;
        let (start, end) = random.pick(&tokens).copied().unwrap_or((0, 0));
        let (other_start, other_end) = random.pick(&tokens).copied().unwrap_or((0, 0));
        let piece = random.pick(PIECES).copied().unwrap_or_default();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let other = random.pick(&self.texts).copied().unwrap_or_default();
        match random.below(10) {
            0 | 1 => format!("{}{}", part(0, start), part(end, text.len())),
            2 | 3 => format!("{}{piece}{}", part(0, start), part(end, text.len())),
            4 | 5 => format!("{}{piece}{}", part(0, start), part(start, text.len())),
            6 => format!(
                "{}{}{}",
                part(0, start),
                part(other_start, other_end),
                part(end, text.len())
            ),
            7 => format!("{}{}{}", part(0, end), part(start, end), part(end, text.len())),
            8 => {
                let (from, to) = (start.min(other_start), end.max(other_end));
                if random.below(2) == 0 && to - from < 200 {
                    format!("{}{}", part(0, from), part(to, text.len()))
                } else {
                    part(0, end).to_owned()
                }
            }
            _ => {
                let others = Self::tokens(other);
                let (from, _) = random.pick(&others).copied().unwrap_or((0, 0));
                let (_, to) = others
                    .iter()
                    .copied()
                    .find(|(start, _)| *start > from + 40)
                    .unwrap_or((0, from));
                format!(
                    "{}{}{}",
                    part(0, start),
                    other.get(from..to).unwrap_or_default(),
                    part(start, text.len())
                )
            }
        }
    }
}

impl Iterator for Mutations<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let text = self.random.pick(&self.texts).copied()?;
        let mut mutated = self.mutate(text);
        // Most have one change, some a few.
        while self.random.below(3) == 0 {
            mutated = self.mutate(&mutated);
        }
        Some(mutated)
    }
}

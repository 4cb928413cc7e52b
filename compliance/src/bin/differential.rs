//! Asks OPA and our engine the same questions about random modules, compares the answers, and
//! reduces the differences to small cases.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use enforcer_compliance::cases;
use enforcer_compliance::compare::{Comparison, Difference, Kind, compare};
use enforcer_compliance::documented::Documented;
use enforcer_compliance::generate::{self, Case};
use enforcer_compliance::process::Process;
use enforcer_compliance::protocol::{Answer, Engine, Outcome, Question};
use enforcer_compliance::shrink::shrink;
use enforcer_compliance::tool::{self, Failure, say, share};

/// How many similar differences are reduced.
const ALIKE: usize = 5;

fn main() -> ExitCode {
    match run(&arguments().get_matches()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(format!("differential: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> clap::Command {
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u64)).help(help)
    };
    tool::command("differential", "Random policies: OPA and our engine must decide the same")
        .arg(number("seed", "The first seed").default_value("0"))
        .arg(number("cases", "How many cases; by default, as many as the time allows"))
        .arg(number("seconds", "For how long").default_value("60"))
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("Writes a small case of every kind of difference there"),
        )
        .arg(
            Arg::new("documented")
                .long("documented")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The intended differences"),
        )
        .arg(
            Arg::new("opa-only")
                .long("opa-only")
                .action(ArgAction::SetTrue)
                .help("Measures the generator: the share of cases that loads, and the share of defined values"),
        )
        .arg(
            Arg::new("show")
                .long("show")
                .action(ArgAction::SetTrue)
                .help("Prints the case of the first seed and OPA's answer"),
        )
}

/// The results so far.
#[derive(Default)]
struct Tally {
    cases: u64,
    sound: u64,
    sound_loaded: u64,
    total: Comparison,
    documented: u64,
    errors: u64,
    interpreted: u64,
    loaded: u64,
    kinds: BTreeMap<Kind, u64>,
    signatures: BTreeMap<String, usize>,
    refusals: BTreeMap<String, u64>,
}

struct Run {
    opa: Process,
    engine: Process,
    documented: Documented,
    out: Option<PathBuf>,
    tally: Tally,
}

fn run(matches: &ArgMatches) -> Result<bool, Failure> {
    let value = |name: &str| matches.get_one::<u64>(name).copied();
    let seed = value("seed").unwrap_or_default();
    let documented = tool::documented(matches, Documented::parse)?;
    let mut run = Run {
        opa: tool::opa(matches),
        engine: tool::engine(matches),
        documented,
        out: matches.get_one::<PathBuf>("out").cloned(),
        tally: Tally::default(),
    };
    if matches.get_flag("show") {
        run.show(&generate::case(seed));
        return Ok(true);
    }
    let opa_only = matches.get_flag("opa-only");
    let end = Instant::now() + Duration::from_secs(value("seconds").unwrap_or_default());
    let last = value("cases").map_or(u64::MAX, |cases| seed.saturating_add(cases));
    for seed in seed..last {
        if value("cases").is_none() && Instant::now() >= end {
            break;
        }
        run.case(&generate::case(seed), opa_only)?;
    }
    Ok(run.report(opa_only))
}

impl Run {
    fn show(&mut self, case: &Case) {
        for (path, text) in &case.question.files {
            say(format!("--- {path}\n{text}"));
        }
        for (index, input) in case.question.inputs.iter().enumerate() {
            say(format!(
                "--- input {index}: {}",
                input.as_ref().map_or("none".into(), ToString::to_string)
            ));
        }
        say(format!(
            "--- data: {}",
            case.question.data.as_ref().map_or("none".into(), ToString::to_string)
        ));
        let theirs = self.opa.ask(&case.question);
        let ours = self.engine.ask(&case.question);
        for (name, answer) in [("OPA", theirs), ("ours", ours)] {
            say(format!("--- {name}"));
            match answer {
                Answer::Loaded { outcomes, .. } => {
                    let inputs = case.question.inputs.len();
                    for (index, outcome) in outcomes.iter().enumerate() {
                        let path = case.question.paths.get(index / inputs.max(1));
                        let path = path.map(|path| path.join(".")).unwrap_or_default();
                        say(format!("data.{path} [{}] = {outcome}", index % inputs.max(1)));
                    }
                }
                other => say(format!("{other:?}")),
            }
        }
    }

    fn case(&mut self, case: &Case, opa_only: bool) -> Result<(), Failure> {
        let theirs = self.opa.ask(&case.question);
        self.tally.cases += 1;
        match &theirs {
            Answer::Crashed(reason) => return Err(Failure::Oracle(reason.clone())),
            Answer::Late => return Ok(()),
            Answer::Refused(faults) if !case.broken => {
                let first =
                    faults.first().map(|fault| format!("{}: {}", fault.code, fault.message));
                let plain = |mark: char| if mark.is_ascii_digit() { '#' } else { mark };
                let first = first.unwrap_or_default().chars().map(plain).collect();
                *self.tally.refusals.entry(first).or_default() += 1;
            }
            Answer::Refused(_) => {}
            Answer::Loaded { outcomes, .. } => {
                self.tally.sound_loaded += u64::from(!case.broken);
                let errors = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Error(_)));
                self.tally.errors += u64::try_from(errors.count()).unwrap_or_default();
            }
        }
        self.tally.sound += u64::from(!case.broken);
        // A comparison of OPA with itself counts the comparable evaluations.
        let ours = if opa_only { theirs.clone() } else { self.engine.ask(&case.question) };
        if let Answer::Loaded { evaluator, .. } = &ours {
            self.tally.loaded += 1;
            self.tally.interpreted +=
                u64::from(evaluator.as_deref().is_some_and(|evaluator| evaluator != "bytecode"));
        }
        let comparison = compare(&theirs, &ours);
        self.tally.total.evaluations += comparison.evaluations;
        self.tally.total.defined += comparison.defined;
        self.tally.total.opa_failed += comparison.opa_failed;
        self.tally.total.refused += comparison.refused;
        self.tally.total.same_words += comparison.same_words;
        for difference in comparison.differences {
            if self.documented.holds(&difference) {
                self.tally.documented += 1;
                continue;
            }
            *self.tally.kinds.entry(difference.kind).or_default() += 1;
            self.found(case, &difference)?;
        }
        Ok(())
    }

    /// Reduces a difference to a small case, unless enough similar ones exist.
    fn found(&mut self, case: &Case, difference: &Difference) -> Result<(), Failure> {
        let alike = self.tally.signatures.entry(difference.signature.clone()).or_default();
        *alike += 1;
        let number = *alike;
        if number > ALIKE {
            return Ok(());
        }
        let question = single(&case.question, difference.evaluation);
        let (opa, engine) = (&mut self.opa, &mut self.engine);
        let mut last = difference.clone();
        let small = shrink(&question, &mut |question| {
            let found = differs(opa, engine, question, &difference.signature);
            let shows = found.is_some();
            if let Some(found) = found {
                last = found;
            }
            shows
        });
        say(format!("seed {}: {last}", case.seed));
        for (path, text) in &small.files {
            say(format!("  -- {path}\n{}", indented(text)));
        }
        if let Some(out) = &self.out {
            let folder = out.join(format!("{}-{}-{number}", last.kind.name(), case.seed));
            write(&folder, &small, &last)?;
        }
        Ok(())
    }

    fn report(&self, opa_only: bool) -> bool {
        let tally = &self.tally;
        let total = &tally.total;
        if opa_only {
            let mut refusals: Vec<_> = tally.refusals.iter().collect();
            refusals.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (refusal, count) in refusals.into_iter().take(30) {
                say(format!("{count:6} {refusal}"));
            }
        }
        say(format!(
            "{} cases; OPA loads {} of {} that are not broken on purpose ({})",
            tally.cases,
            tally.sound_loaded,
            tally.sound,
            share(tally.sound_loaded, tally.sound),
        ));
        say(format!(
            "{} evaluations, {} of them defined ({}); OPA ended {} in errors, and {} more by its own faults",
            total.evaluations,
            total.defined,
            share(total.defined, total.evaluations),
            tally.errors,
            total.opa_failed,
        ));
        if opa_only {
            return true;
        }
        say(format!(
            "{} refused by both with the same codes, {} of them with the same messages and places ({})",
            total.refused,
            total.same_words,
            share(total.same_words, total.refused),
        ));
        say(format!("{} of {} run by the interpreter", tally.interpreted, tally.loaded));
        for (signature, count) in &tally.signatures {
            say(format!("{count:6} {signature}"));
        }
        let differences: u64 = tally.kinds.values().sum();
        let allows = tally.kinds.get(&Kind::WrongAllow).copied().unwrap_or_default();
        if allows > 0 {
            say(format!("WRONG ALLOWS: {allows}"));
        }
        say(format!(
            "{differences} differences, {allows} of them wrong allows; {} documented ones",
            tally.documented
        ));
        differences == 0
    }
}

/// The question with the one evaluation that differs.
fn single(question: &Question, evaluation: Option<usize>) -> Question {
    let mut single = question.clone();
    if let Some(evaluation) = evaluation {
        let inputs = question.inputs.len().max(1);
        single.paths = question.paths.get(evaluation / inputs).cloned().into_iter().collect();
        single.inputs = question.inputs.get(evaluation % inputs).cloned().into_iter().collect();
    }
    single
}

/// Whether a question shows a similar difference.
fn differs(
    opa: &mut Process,
    engine: &mut Process,
    question: &Question,
    signature: &str,
) -> Option<Difference> {
    let theirs = opa.ask(question);
    if matches!(theirs, Answer::Refused(_)) && !signature.starts_with("load") {
        return None;
    }
    let ours = engine.ask(question);
    let found = compare(&theirs, &ours).differences;
    found.into_iter().find(|difference| difference.signature == signature)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("     {line}\n")).collect()
}

fn write(folder: &Path, question: &Question, difference: &Difference) -> Result<(), Failure> {
    cases::write(folder, question, &difference.to_string())
}

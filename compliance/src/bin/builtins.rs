//! Compares every built-in with the real OPA's, on generated calls, and reports differences.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use enforcer_compliance::calls::{
    self, Call, Documented, Generator, Recorded, Verdict, is_compared,
};
use enforcer_compliance::process::Process;
use enforcer_compliance::tool::{self, Failure, say, share};
use enforcer_rego::builtins::table::DECLARATIONS;
use serde_json::Value as Json;

/// The number of calls in a thousand that must be equal.
const LEAST_EQUAL: u64 = 998;

/// Characters of an answer that are shown.
const SHOWN: usize = 300;

fn main() -> ExitCode {
    let arguments = tool::command("builtins", "Generated calls of every built-in, beside OPA's")
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64))
                .default_value("1")
                .help("The same seed gives the same calls"),
        )
        .arg(
            Arg::new("calls")
                .long("calls")
                .value_name("NUMBER")
                .value_parser(value_parser!(usize))
                .default_value("40")
                .help("Calls of each built-in"),
        )
        .arg(
            Arg::new("recorded")
                .long("recorded")
                .value_name("FILE")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help("Recorded calls whose arguments are used, with changes"),
        )
        .arg(
            Arg::new("documented")
                .long("documented")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Intended differences: `built-in | call | OPA | ours`"),
        )
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Compares the calls of a file instead, one JSON object a line: `name`, `values`"),
        )
        .arg(
            Arg::new("errors")
                .long("errors")
                .action(ArgAction::SetTrue)
                .help("Also shows calls where both fail with different messages"),
        )
        .arg(
            Arg::new("names")
                .value_name("NAME")
                .num_args(0..)
                .help("Only these built-ins; a name may end in *"),
        );
    // A panic of a function counts as an answer.
    std::panic::set_hook(Box::new(|_| {}));
    match run(&arguments.get_matches()) {
        Ok(is_as_documented) if is_as_documented => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failure) => {
            say(format!("builtins: {failure}"));
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Tally {
    calls: u64,
    /// Calls for which OPA has a value.
    values: u64,
    equal: u64,
    /// Of the equal ones, those where both fail with different messages.
    other_error: u64,
    documented: u64,
    different: u64,
}

fn run(matches: &ArgMatches) -> Result<bool, Failure> {
    let documented = tool::documented(matches, Documented::parse)?;
    let mut oracle = tool::opa(matches);
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for call in calls(matches)? {
        let tally = tallies.entry(call.declaration.name).or_default();
        compare(&call, &mut oracle, &documented, matches.get_flag("errors"), tally)?;
    }
    Ok(report(&tallies))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(Failure::file(path))
}

/// The requested calls.
fn calls(matches: &ArgMatches) -> Result<Vec<Call>, Failure> {
    let names: Vec<&String> = matches.get_many("names").into_iter().flatten().collect();
    let is_named = |name: &str| {
        let is = |pattern: &str| {
            pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
        };
        names.is_empty() || names.iter().any(|pattern| is(pattern))
    };
    if let Some(path) = matches.get_one::<PathBuf>("file") {
        let text = read(path)?;
        let calls = text.lines().map(|line| {
            let json: Json = serde_json::from_str(line)
                .map_err(|error| Failure::content(path.clone(), error))?;
            Call::of(&json)
                .map_err(|what| Failure::content(path.clone(), format!("{what}: {line}")))
        });
        let calls = calls.collect::<Result<Vec<Call>, Failure>>()?;
        return Ok(calls.into_iter().filter(|call| is_named(call.declaration.name)).collect());
    }
    let mut recorded = Recorded::default();
    for path in matches.get_many::<PathBuf>("recorded").into_iter().flatten() {
        recorded.add(&read(path)?).map_err(|reason| Failure::content(path.clone(), reason))?;
    }
    let seed = matches.get_one("seed").copied().unwrap_or(1);
    let number = matches.get_one("calls").copied().unwrap_or(0);
    let compared = DECLARATIONS.iter().filter(|one| is_compared(one) && is_named(one.name));
    Ok(compared
        .flat_map(|declaration| {
            let mut generator = Generator::new(seed, declaration, &recorded);
            let next = move || Call { declaration, args: generator.arguments() };
            std::iter::repeat_with(next).take(number)
        })
        .collect())
}

fn compare(
    call: &Call,
    oracle: &mut Process,
    documented: &Documented,
    shows_errors: bool,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let theirs = oracle
        .exchange(&call.request())
        .map_err(|answer| Failure::Oracle(format!("{answer:?} to {call}")))?;
    if theirs.pointer("/error/code").and_then(Json::as_str) == Some("request") {
        return Err(Failure::Oracle(format!("{theirs} to {call}")));
    }
    let ours = call.ours();
    tally.calls += 1;
    tally.values += u64::from(theirs.get("results").is_some());
    let verdict = calls::compare(call, ours.as_ref(), &theirs);
    let (call, theirs, ours) = (call.to_string(), theirs.to_string(), calls::words(ours.as_ref()));
    let name = call.split('(').next().unwrap_or_default();
    match verdict {
        Verdict::Equal => tally.equal += 1,
        Verdict::OtherError => {
            tally.equal += 1;
            tally.other_error += 1;
            if shows_errors {
                show("another error", &call, &theirs, &ours);
            }
        }
        Verdict::Different if documented.holds(name, &call, &theirs, &ours) => {
            tally.documented += 1
        }
        Verdict::Different => {
            tally.different += 1;
            show("DIFFERENT", &call, &theirs, &ours);
        }
    }
    Ok(())
}

fn show(what: &str, call: &str, theirs: &str, ours: &str) {
    let shortened = |text: &str| text.chars().take(SHOWN).collect::<String>();
    say(format!("{what}: {call}\n  OPA:  {}\n  ours: {}", shortened(theirs), shortened(ours)));
}

/// Prints the figures; returns whether only few and documented differences were found.
fn report(tallies: &BTreeMap<&str, Tally>) -> bool {
    let sum = |part: fn(&Tally) -> u64| tallies.values().map(part).sum::<u64>();
    let (calls, equal, different) =
        (sum(|tally| tally.calls), sum(|tally| tally.equal), sum(|tally| tally.different));
    for (name, tally) in tallies.iter().filter(|(_, tally)| tally.values == 0) {
        say(format!("OPA has no value for any of {} calls of {name}", tally.calls));
    }
    say(format!(
        "{calls} calls over {} built-ins: {equal} equal ({}), {} documented, {different} different",
        tallies.len(),
        share(equal, calls),
        sum(|tally| tally.documented),
    ));
    say(format!(
        "at least {} calls of each; OPA has a value for {}; both fail with different messages in {}",
        tallies.values().map(|tally| tally.calls).min().unwrap_or_default(),
        sum(|tally| tally.values),
        sum(|tally| tally.other_error),
    ));
    let are_few = equal.saturating_mul(1000) >= calls.saturating_mul(LEAST_EQUAL);
    if !are_few {
        say("too few are equal");
    }
    different == 0 && are_few
}

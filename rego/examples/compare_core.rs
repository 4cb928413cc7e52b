//! Random core programs: the machine against the evaluator that is easy to check.
//!
//! ```sh
//! cargo run -p enforcer-rego --features differential --example compare_core -- [seconds] [first seed]
//! ```

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use enforcer_rego::Value;
use enforcer_rego::builtins::{Context, Failure};
use enforcer_rego::core::RuleId;
use enforcer_rego::core::evaluate::{self, Fault};
use enforcer_rego::core::random::{self, Case};
use enforcer_rego::core::shrink::shrink;
use enforcer_rego::emit::{self, Refusal};
use enforcer_rego::machine::{ErrorKind, Machine, Strictness};

/// What one of them says.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Value(String),
    Error(String),
    /// No proper core: what shrinking makes can be.
    Malformed(String),
}

fn context() -> Context {
    Context {
        now_ns: 0,
        deadline: Instant::now() + Duration::from_secs(60),
        stable: HashMap::new(),
        prints: Vec::new(),
        errors: Vec::new(),
    }
}

fn oracle(case: &Case, rule: RuleId, input: Option<Value>) -> (Answer, Option<Failure>) {
    let mut context = context();
    let answer =
        match evaluate::evaluate(&case.program, rule, input, case.data.clone(), &mut context) {
            Ok(value) => {
                Answer::Value(value.map_or_else(|| "undefined".to_owned(), |value| text(&value)))
            }
            Err(Fault::Program(what)) => Answer::Malformed(what),
            Err(Fault::Conflict { message, span }) => {
                Answer::Error(format!("{message} at {:?}", span.map(|span| span.start)))
            }
            Err(Fault::Builtin(failure)) => Answer::Error(failure.to_string()),
            Err(fault) => Answer::Error(fault.to_string()),
        };
    (answer, context.errors.into_iter().next())
}

fn machine(machine: &mut Machine, rule: RuleId, input: Option<Value>) -> (Answer, Option<Failure>) {
    let evaluation = machine.evaluate(rule, input, context(), Strictness::Lenient);
    let answer = match evaluation.result {
        Ok(Value::Undefined) => Answer::Value("undefined".to_owned()),
        Ok(value) => Answer::Value(text(&value)),
        Err(error) => {
            let message = &error.message;
            // A built-in's conflict has no place in the oracle.
            let is_rule = error.kind == ErrorKind::Conflict;
            let place = error.place.and_then(|place| place.span).map(|span| span.start);
            let _ = is_rule;
            Answer::Error(format!("{message} at {place:?}"))
        }
    };
    (answer, evaluation.errors.into_iter().next())
}

/// Sets and numbers as they are.
fn text(value: &Value) -> String {
    format!("{value:?}")
}

/// What differs.
fn difference(case: &Case) -> Option<String> {
    let emitted = match emit::emit(&case.program) {
        Ok(emitted) => emitted,
        Err(Refusal::Malformed { .. }) => return None,
        Err(refusal) => return Some(format!("refused: {refusal}")),
    };
    let mut vm = Machine::new(emitted, case.data.clone());
    // The second round finds what one evaluation leaves to the next.
    for input in case.inputs.iter().chain(&case.inputs) {
        for rule in case.rules() {
            let (expected, expected_error) = oracle(case, rule, input.clone());
            let (found, found_error) = machine(&mut vm, rule, input.clone());
            if let Answer::Malformed(_) = expected {
                return None;
            }
            let is_same = match (&expected, &found) {
                (Answer::Error(expected), Answer::Error(found)) => {
                    found == expected
                        || (!expected.contains(" at ") && found.starts_with(expected.as_str()))
                }
                (expected, found) => expected == found,
            };
            if !is_same {
                return Some(format!(
                    "{rule:?} of {input:?}: expected {expected:?}, found {found:?}"
                ));
            }
            let is_same = match (&expected_error, &found_error) {
                (Some(expected), Some(found)) => found.to_string().ends_with(&expected.to_string()),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                return Some(format!(
                    "{rule:?} of {input:?}: expected the error {expected_error:?}, found {found_error:?}"
                ));
            }
        }
    }
    None
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let first: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differences = 0;
    for seed in first.. {
        if Instant::now() >= end || differences >= 5 {
            break;
        }
        let case = random::case(seed);
        *counts.entry("programs").or_default() += 1;
        for input in &case.inputs {
            for rule in case.rules() {
                let kind = match oracle(&case, rule, input.clone()).0 {
                    Answer::Value(text) if text == "undefined" => "undefined",
                    Answer::Value(_) => "defined",
                    Answer::Error(_) => "errors",
                    Answer::Malformed(_) => "malformed",
                };
                *counts.entry(kind).or_default() += 1;
            }
        }
        if difference(&case).is_some() {
            differences += 1;
            let small = shrink(case, |case| difference(case).is_some());
            report(seed, &small);
        }
    }
    *counts.entry("differences").or_default() += differences;
    for (what, count) in &counts {
        say(&format!("{count:>10} {what}"));
    }
    if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(seed: u64, case: &Case) {
    say(&format!("seed {seed}: {}", difference(case).unwrap_or_default()));
    for (number, rule) in case.program.rules.iter().enumerate() {
        if rule.definitions.is_empty() && rule.default.is_none() {
            continue;
        }
        say(&format!(
            "  rule {number} {:?} default {:?} slot {:?}",
            rule.kind, rule.default, rule.slot
        ));
        for definition in &rule.definitions {
            for body in &definition.bodies {
                say(&format!("    {:?} => {:?}: {:?}", body.block, body.key, body.value));
            }
        }
    }
    say(&format!("  data {:?}", case.data));
}

#[allow(clippy::print_stdout, reason = "an example's output")]
fn say(line: &str) {
    println!("{line}");
}

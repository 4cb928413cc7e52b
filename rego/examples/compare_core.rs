//! Random core programs: compares the machine with the evaluator that is easy to check.
//!
//! ```sh
//! cargo run -p enforcer-rego --features differential --example compare_core -- [seconds] [first seed] [one of so many
//!     programs is evaluated by the interpreter too]
//! ```

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use enforcer_rego::Value;
use enforcer_rego::builtins::{Context, Failure};
use enforcer_rego::core::RuleId;
use enforcer_rego::core::evaluate::{self, Fault};
use enforcer_rego::core::random::{self, Case};
use enforcer_rego::core::shrink::shrink;
use enforcer_rego::emit::{self, Refusal};
use enforcer_rego::interpreter::Interpreter;
use enforcer_rego::machine::{Evaluation, Machine, Strictness};

/// The answer of one evaluator.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Value(String),
    Error(String),
    /// Invalid core, which shrinking can make.
    Malformed(String),
}

fn context() -> Context {
    Context::new(0, Instant::now() + Duration::from_secs(60))
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

fn answer(evaluation: Evaluation) -> (Answer, Option<Failure>) {
    let answer = match evaluation.result {
        Ok(Value::Undefined) => Answer::Value("undefined".to_owned()),
        Ok(value) => Answer::Value(text(&value)),
        Err(error) => {
            let place = error.place.and_then(|place| place.span).map(|span| span.start);
            Answer::Error(format!("{} at {place:?}", error.message))
        }
    };
    (answer, evaluation.errors.into_iter().next())
}

/// Sets and numbers as they are.
fn text(value: &Value) -> String {
    format!("{value:?}")
}

/// The evaluator that is compared with the oracle.
#[derive(Clone, Copy, PartialEq)]
enum Against {
    Machine,
    Interpreter,
}

/// The difference.
fn difference(case: &Case, against: Against) -> Option<String> {
    let mut machine = None;
    let mut interpreter = None;
    match against {
        Against::Machine => match emit::emit(&case.program) {
            Ok(emitted) => machine = Some(Machine::new(emitted, case.data.clone())),
            Err(Refusal::Malformed { .. }) => return None,
            Err(refusal) => return Some(format!("refused: {refusal}")),
        },
        Against::Interpreter => match Interpreter::new(&case.program, case.data.clone()) {
            Ok(made) => interpreter = Some(made),
            Err(refusal) => return Some(format!("refused: {refusal}")),
        },
    }
    // The second round finds state that one evaluation leaves behind.
    for input in case.inputs.iter().chain(&case.inputs) {
        for rule in case.rules() {
            let (expected, expected_error) = oracle(case, rule, input.clone());
            if let Answer::Malformed(_) = expected {
                return None;
            }
            let evaluate = |input: Option<Value>| match (&mut machine, &mut interpreter) {
                (Some(machine), _) => machine.evaluate(rule, input, context(), Strictness::Lenient),
                (_, Some(other)) => other.evaluate(rule, input, context(), Strictness::Lenient),
                _ => unreachable!("one of them is there"),
            };
            let (found, found_error) = answer({ evaluate }(input.clone()));
            let is_same = match (&expected, &found) {
                (Answer::Error(expected), Answer::Error(found)) => {
                    // The oracle gives no place for a built-in's error.
                    found == expected
                        || (!expected.contains(" at ") && found.starts_with(expected.as_str()))
                        // The interpreter evaluates in a different order.
                        || against == Against::Interpreter
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
            if !is_same && against == Against::Machine {
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
    let interpreted: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(16);
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
        for against in [Against::Machine, Against::Interpreter] {
            if against == Against::Interpreter && !seed.is_multiple_of(interpreted) {
                continue;
            }
            if against == Against::Interpreter {
                *counts.entry("programs in the interpreter").or_default() += 1;
            }
            if difference(&case, against).is_some() {
                differences += 1;
                let small = shrink(case.clone(), |case| difference(case, against).is_some());
                report(seed, &small, against);
            }
        }
    }
    *counts.entry("differences").or_default() += differences;
    for (what, count) in &counts {
        say(&format!("{count:>10} {what}"));
    }
    if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(seed: u64, case: &Case, against: Against) {
    say(&format!("seed {seed}: {}", difference(case, against).unwrap_or_default()));
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

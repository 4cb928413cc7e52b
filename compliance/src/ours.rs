//! Our engine's answers to [`Question`]s, through its public interface.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use enforcer_rego::{
    DocumentQuery, EvaluationError, Evaluator, File, Moment, Namespace, Policy, Report, Settings,
    Tests, Value as Ours,
};

use crate::protocol::{Answer, Fault, Outcome, Question};
use crate::value::{Number, Value};

/// The deadline of one evaluation, as in `tests/opa`.
const DEADLINE: Duration = Duration::from_secs(5);

/// Loads the question's files and evaluates its paths.
#[must_use]
pub fn answer(question: &Question) -> Answer {
    let settings = Settings {
        namespace: Namespace::Open,
        tests: Tests::Included,
        strict_builtin_errors: question.strict,
        ..Settings::default()
    };
    let mut policy = match Policy::load(files(question), &settings) {
        Ok(policy) => policy,
        Err(reports) => return Answer::Refused(reports.iter().map(fault).collect()),
    };
    let mut outcomes = Vec::new();
    for path in &question.paths {
        let path: Vec<Ours> = path.iter().map(|key| Ours::from(key.as_str())).collect();
        for input in &question.inputs {
            let moment = Moment { now_ns: time_of(question), deadline: Instant::now() + DEADLINE };
            let query = DocumentQuery { path: &path, strict_builtin_errors: false };
            let evaluation = policy.evaluate(query, input.as_ref().map(to_ours), moment);
            outcomes.push(match evaluation.result {
                Ok(value) => from_ours(&value).map_or(Outcome::Undefined, Outcome::Value),
                Err(error) => Outcome::Error(failure(&error)),
            });
        }
    }
    let evaluator = match policy.evaluator() {
        Evaluator::Bytecode => "bytecode".to_owned(),
        Evaluator::Interpreter(reason) => reason,
    };
    Answer::Loaded { outcomes, evaluator: Some(evaluator) }
}

/// The files of the bundle: base data and the version of the language are files too. The time that
/// policies read: the question's, or the real one.
fn time_of(question: &Question) -> i64 {
    let real = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match question.now {
        0 => i64::try_from(real().as_nanos()).unwrap_or(i64::MAX),
        now => now,
    }
}

fn files(question: &Question) -> Vec<File> {
    let file = |path: &str, text: &str| File { path: path.to_owned(), content: text.into() };
    let mut files: Vec<File> = question.files.iter().map(|(path, text)| file(path, text)).collect();
    if let Some(data) = &question.data {
        files.push(file("data.json", &json(data)));
    }
    if question.v0 && !question.files.contains_key(".manifest") {
        files.push(file(".manifest", r#"{"rego_version": 0}"#));
    }
    files
}

/// JSON text with every digit of its numbers.
fn json(value: &Value) -> String {
    // A value's Rego text is JSON where it holds no set and its keys are strings.
    value.plain().to_string()
}

fn fault(report: &Report) -> Fault {
    Fault {
        code: report.code.as_str().to_owned(),
        message: report.message.clone(),
        place: report.location.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn failure(error: &EvaluationError) -> Fault {
    match error {
        EvaluationError::TimedOut => Fault::new("eval_cancel_error", error.to_string()),
        EvaluationError::Failed { kind, message, location } => Fault {
            code: kind.as_str().to_owned(),
            message: message.clone(),
            place: location.as_ref().map(ToString::to_string).unwrap_or_default(),
        },
        EvaluationError::Differed => Fault::new("differed", error.to_string()),
    }
}

fn to_ours(value: &Value) -> Ours {
    match value {
        Value::Null => Ours::Null,
        Value::Bool(bool) => Ours::Bool(*bool),
        Value::String(text) => Ours::from(text.as_str()),
        // The engine reads numbers as it reads a request's.
        Value::Number(number) => {
            enforcer_rego::number::parse(&number.to_string()).unwrap_or(Ours::Undefined)
        }
        Value::Array(items) => Ours::from(items.iter().map(to_ours).collect::<Vec<_>>()),
        Value::Set(items) => Ours::from(items.iter().map(to_ours).collect::<BTreeSet<_>>()),
        Value::Object(members) => Ours::from(
            members
                .iter()
                .map(|(key, member)| (to_ours(key), to_ours(member)))
                .collect::<BTreeMap<_, _>>(),
        ),
    }
}

fn from_ours(value: &Ours) -> Option<Value> {
    Some(match value {
        Ours::Null => Value::Null,
        Ours::Bool(bool) => Value::Bool(*bool),
        Ours::String(text) => Value::text(text.to_string()),
        // JSON's writer would round numbers with more digits than a double.
        Ours::Number(number) => {
            Number::parse(&number.format_decimal()).map_or(Value::Null, Value::Number)
        }
        Ours::Array(items) => Value::Array(items.iter().map(from_ours).collect::<Option<_>>()?),
        Ours::Set(items) => Value::Set(items.iter().map(from_ours).collect::<Option<_>>()?),
        Ours::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, member)| Some((from_ours(key)?, from_ours(member)?)))
                .collect::<Option<_>>()?,
        ),
        Ours::Undefined => return None,
    })
}

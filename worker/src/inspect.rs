//! Answers the one question of an `Inspect` about a bundle that is not served: with the evaluator
//! that explains, which takes more time and memory than the one that serves.

use std::time::{Duration, Instant};

use enforcer_protocol::{
    DocumentQuery, Explain, ExplainForm, ExplainMode, Findings, InputSource, Inspection,
    JsonReport, MAX_PRINTED_LINES, Outcome, QuerySource, TestSettings,
};
use enforcer_rego::request::{self, Format};
use enforcer_rego::tester::{Options, Suite};
use enforcer_rego::topdown::{Explainer, Mode, QueryError, Question, Trace};
use enforcer_rego::{EvaluationError, Moment, Report, Settings, Tests, Value};
use serde::Serialize;

use crate::answer::{self, Found, document_outcome, input_of, keys_of, of_path};
use crate::bundle::Bundle;
use crate::clock::{nanos, now_ns, time_left};
use crate::diagnostics::{evaluation_failed, of_reports, outcome_of, shortened};
use crate::engine::Policy;
use crate::settings::settings_of;

/// How long a part of the loading or of the writing may take, which no deadline interrupts: the
/// supervisor ends the worker then.
const NO_TIME: Outcome = Outcome::TimedOut;

/// Answers a question about a bundle, until `deadline_micros`. `body` is the request that it is
/// about.
pub(crate) fn inspect(
    bundle: Bundle,
    inspection: &Inspection,
    body: &[u8],
    deadline_micros: u64,
) -> Findings {
    let max_result = bundle.max_result;
    let asked = |query, source| Asked { query, source, body, deadline_micros };
    match inspection {
        Inspection::Check => check(bundle),
        Inspection::Evaluate(query, source) => evaluate(bundle, &asked(query, *source)),
        Inspection::Tests(settings) => tests(bundle, settings, deadline_micros),
        Inspection::Document(query, source, explain) => explained(bundle, |explainer| {
            document(explainer, &asked(query, *source), *explain, max_result)
        }),
        Inspection::Why(query, source) => {
            explained(bundle, |explainer| why(explainer, &asked(query, *source)))
        }
        Inspection::Query(source, explain) => explained(bundle, |explainer| {
            solutions(explainer, *source, *explain, body, deadline_micros)
        }),
        Inspection::Policies(id) => {
            explained(bundle, |explainer| policies(explainer, id.as_deref()))
        }
    }
}

/// The answer of the evaluator that explains.
fn explained(bundle: Bundle, answer: impl FnOnce(&Explainer) -> Findings) -> Findings {
    let settings = settings_of(&bundle, Tests::Excluded);
    match Explainer::load(bundle.files, &settings) {
        Ok(explainer) => answer(&explainer),
        Err(reports) => unusable(reports),
    }
}

fn unusable(reports: Vec<Report>) -> Findings {
    Findings::Unusable(of_reports(reports))
}

/// Tests do not serve, so a mistake in one keeps no bundle from serving. Who checks a bundle wants
/// to know of it nevertheless.
fn check(bundle: Bundle) -> Findings {
    let with_tests = settings_of(&bundle, Tests::Included);
    let has_tests = bundle.files.iter().any(|file| enforcer_rego::is_test(&file.path));
    let files = has_tests.then(|| bundle.files.clone());
    let policy = match Policy::load(bundle) {
        Ok(policy) => policy,
        Err(diagnostics) => return Findings::Unusable(diagnostics),
    };
    if let Some(Err(reports)) = files.map(|files| Explainer::load(files, &with_tests)) {
        return unusable(reports);
    }
    Findings::Usable {
        version: policy.version(),
        evaluator: policy.evaluator(),
        warnings: policy.warnings(),
    }
}

fn evaluate(bundle: Bundle, asked: &Asked<'_>) -> Findings {
    let mut policy = match Policy::load(bundle) {
        Ok(policy) => policy,
        Err(diagnostics) => return Findings::Unusable(diagnostics),
    };
    let start = Instant::now();
    let input = match input_of(asked.body, asked.source) {
        Ok(input) => input,
        Err(message) => return Findings::Failed(Outcome::InvalidRequest(shortened(&message))),
    };
    let parsing = start.elapsed();
    let path = asked.path();
    let query = of_path(&path, asked.query);
    let outcome = answer::document(&mut policy, query, input, parsing, asked.deadline_micros);
    let printed = policy.take_prints().into_iter().take(MAX_PRINTED_LINES);
    Findings::Evaluated(outcome, printed.map(|line| shortened(&line)).collect())
}

/// A question about a document.
struct Asked<'a> {
    query: &'a DocumentQuery,
    source: InputSource,
    body: &'a [u8],
    deadline_micros: u64,
}

impl Asked<'_> {
    fn path(&self) -> Vec<Value> {
        keys_of(self.query)
    }

    /// What the evaluator is asked, and how long it took to read the input.
    fn question(&self) -> Result<(Question, Duration), Outcome> {
        let start = Instant::now();
        let input = input_of(self.body, self.source)
            .map_err(|message| Outcome::InvalidRequest(shortened(&message)))?;
        let strict = self.query.strict_builtin_errors.then_some(true);
        let question = Question {
            input,
            moment: moment(self.deadline_micros).ok_or(NO_TIME)?,
            strict_builtin_errors: strict,
        };
        Ok((question, start.elapsed()))
    }
}

fn moment(deadline_micros: u64) -> Option<Moment> {
    let left = time_left(deadline_micros)?;
    Some(Moment { now_ns: now_ns(), deadline: Instant::now() + left })
}

fn document(
    explainer: &Explainer,
    asked: &Asked<'_>,
    explain: Explain,
    max_result: usize,
) -> Findings {
    let (question, parsing) = match asked.question() {
        Ok(question) => question,
        Err(outcome) => return Findings::Document(outcome, None),
    };
    let path = asked.path();
    let has_input = question.input.is_some();
    let start = Instant::now();
    let with_locals = explain.form == ExplainForm::Events;
    let (evaluation, trace) = explainer.trace(&path, question, mode_of(explain), with_locals);
    let evaluating = start.elapsed();
    let value = match evaluation.result {
        Ok(value) => value,
        Err(error) => return Findings::Document(outcome_of(error), None),
    };
    // OPA has nothing to say about an undefined document, but everything.
    let is_told = value != Value::Undefined || explain.mode == ExplainMode::Full;
    let explanation = is_told.then(|| explanation(&trace, explain.form));
    let found = Found { value, has_rules: false, has_input, parsing, evaluating };
    Findings::Document(document_outcome(found, max_result, false), explanation)
}

const fn mode_of(explain: Explain) -> Mode {
    match explain.mode {
        ExplainMode::Notes => Mode::Notes,
        ExplainMode::Fails => Mode::Fails,
        ExplainMode::Full => Mode::Full,
        ExplainMode::Debug => Mode::Debug,
    }
}

fn explanation(trace: &Trace<'_>, form: ExplainForm) -> JsonReport {
    match form {
        ExplainForm::Events => JsonReport::new(trace.to_json()),
        ExplainForm::Lines => {
            let lines = trace.lines();
            // OPA splits an empty text into one line.
            let lines = if lines.is_empty() { vec![String::new()] } else { lines };
            report(&lines)
        }
    }
}

fn report(value: &impl Serialize) -> JsonReport {
    // Only maps whose keys are not strings cannot be written.
    JsonReport::new(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
}

fn why(explainer: &Explainer, asked: &Asked<'_>) -> Findings {
    match asked.question() {
        Ok((question, _)) => {
            let (evaluation, why) = explainer.why(&asked.path(), question);
            match evaluation.result {
                Err(EvaluationError::TimedOut) => Findings::Failed(Outcome::TimedOut),
                _ => Findings::Report(report(&why)),
            }
        }
        Err(outcome) => Findings::Failed(outcome),
    }
}

fn solutions(
    explainer: &Explainer,
    source: QuerySource,
    explain: Option<Explain>,
    body: &[u8],
    deadline_micros: u64,
) -> Findings {
    let (text, input) = match query_of(source, body) {
        Ok(read) => read,
        Err(message) => {
            return Findings::Failed(Outcome::InvalidRequest(shortened(&message)));
        }
    };
    let start = Instant::now();
    let query = match explainer.query(&text) {
        Ok(query) => query,
        Err(error) => return refused(error),
    };
    let compiling = start.elapsed();
    let Some(moment) = moment(deadline_micros) else { return Findings::Failed(NO_TIME) };
    let question = Question { input, moment, strict_builtin_errors: None };
    let start = Instant::now();
    let (evaluation, explanation) = match explain {
        None => (query.evaluate(question), None),
        Some(explain) => {
            let with_locals = explain.form == ExplainForm::Events;
            let (evaluation, trace) = query.trace(question, mode_of(explain), with_locals);
            (evaluation, Some(explanation(&trace, explain.form)))
        }
    };
    let nanos = [compiling, start.elapsed()].map(nanos);
    let solutions = match evaluation.result {
        Ok(solutions) => solutions,
        Err(error) => return Findings::Failed(outcome_of(error)),
    };
    let solutions = solutions.into_iter().map(|solution| {
        let members = solution.into_iter().map(|(name, value)| (Value::from(name), value));
        Value::from(members.collect::<std::collections::BTreeMap<_, _>>())
    });
    match request::to_json(&Value::from(solutions.collect::<Vec<_>>())) {
        Ok(result) => Findings::Solutions { result: JsonReport::new(result), explanation, nanos },
        Err(message) => Findings::Failed(Outcome::Failed(evaluation_failed(&message))),
    }
}

/// The text of a query, and its input. The errors are OPA's.
fn query_of(source: QuerySource, body: &[u8]) -> Result<(String, Option<Value>), String> {
    let failed = |error: &str| format!("error(s) occurred while decoding request: {error}");
    match source {
        QuerySource::Parameter => {
            let text = str::from_utf8(body);
            text.map(|text| (text.to_owned(), None))
                .map_err(|_| "illegal utf-8 character".to_owned())
        }
        QuerySource::Body => {
            let read = request::body(body, Format::Json).map_err(|error| failed(&error))?;
            let read = read.ok_or_else(|| failed("EOF"))?;
            request::query_of(&read).map_err(|error| failed(&error))
        }
    }
}

fn refused(error: QueryError) -> Findings {
    let message = |what| format!("error(s) occurred while {what} query");
    match error {
        QueryError::Unusable(message) => Findings::Unanswerable(shortened(&message)),
        QueryError::Parse(reports) => Findings::Refused(message("parsing"), of_reports(reports)),
        QueryError::Compile(reports) => {
            Findings::Refused(message("compiling"), of_reports(reports))
        }
    }
}

fn policies(explainer: &Explainer, id: Option<&str>) -> Findings {
    let written = |policy: &enforcer_rego::topdown::Policy| {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "{{\"id\":{},\"raw\":{},\"ast\":{}}}",
            text(&policy.id),
            text(&policy.raw),
            policy.ast
        )
    };
    let policies = explainer.policies();
    match id {
        None => {
            let all: Vec<String> = policies.iter().map(written).collect();
            Findings::Report(JsonReport::new(format!("[{}]", all.join(","))))
        }
        Some(id) => match policies.iter().find(|policy| policy.id == id) {
            Some(policy) => Findings::Report(JsonReport::new(written(policy))),
            None => Findings::NotFound,
        },
    }
}

fn tests(bundle: Bundle, settings: &TestSettings, deadline_micros: u64) -> Findings {
    let loading: Settings = settings_of(&bundle, Tests::Included);
    let mut suite = match Suite::load(bundle.files, &loading) {
        Ok(suite) => suite,
        Err(reports) => return unusable(reports),
    };
    let Some(left) = time_left(deadline_micros) else { return Findings::Failed(NO_TIME) };
    let options = Options {
        run: settings.run.clone(),
        timeout: Duration::from_micros(settings.timeout_micros).min(left),
        now_ns: now_ns(),
        coverage: settings.coverage,
        explain: true,
    };
    match suite.run(&options) {
        Ok(tests) => Findings::Report(report(&tests)),
        Err(message) => Findings::Failed(Outcome::InvalidRequest(shortened(&message))),
    }
}

#[cfg(test)]
mod tests;

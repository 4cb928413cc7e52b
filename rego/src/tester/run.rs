//! Finds tests and runs them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use regorus::Value;
use serde::{Deserialize, Serialize};

use super::cases::{self, Begun, SubResult};
use super::coverage::{self, Coverage, Reaches};
use crate::ast::{Module, Rule, Term, TermValue};
use crate::builtins::{self, Context};
use crate::bundle::{File, Tests};
use crate::compile::test_cases::{PREFIX, SKIPPED, key_of, name_of};
use crate::compile::text;
use crate::compile::visit::ground_prefix;
use crate::lower::constants::key_value;
use crate::policy::{DocumentQuery, EvaluationError, Moment, Policy, Settings};
use crate::report::Report;
use crate::topdown::observed::{Observer, Shortcuts};
use crate::topdown::why::{Place, Why};
use crate::topdown::{Explainer, Question};

/// How many lines that a test prints are kept.
const MAX_OUTPUT: usize = 1_000;

/// How a suite is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only tests whose full name (`data.a.test_b`) matches this regular expression of RE2.
    pub run: Option<String>,
    /// How long a test may take.
    pub timeout: Duration,
    /// The value of `time.now_ns`.
    pub now_ns: i64,
    /// Whether coverage is measured: each test is then evaluated three times more.
    pub coverage: bool,
    /// Whether failing tests are explained.
    pub explain: bool,
}

impl Default for Options {
    /// As `opa test` without options, five seconds for a test.
    fn default() -> Self {
        let timeout = Duration::from_secs(5);
        Self { run: None, timeout, now_ns: 0, coverage: false, explain: true }
    }
}

/// The results of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteResult {
    /// The tests, by file and in the order in which they stand there.
    pub results: Vec<TestResult>,
    /// The coverage of the tests, if it is measured.
    pub coverage: Option<Coverage>,
}

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// Where it stands.
    pub place: Place,
    /// Its package: `data.a`.
    pub package: String,
    /// Its name: `test_b`. A second test of this name is `test_b#01`.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
    /// The lines that it printed, without their places.
    pub output: Vec<String>,
    /// The results of its cases by name, of a test with cases.
    pub cases: BTreeMap<String, SubResult>,
}

/// The outcome of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not hold.
    Failed(Box<Failure>),
    /// It could not be evaluated.
    Error {
        /// OPA's code: `eval_conflict_error`.
        code: String,
        /// The message.
        message: String,
        /// The place, if it has one.
        place: Option<Place>,
    },
    /// Its name begins with `todo_`.
    Skipped,
    /// It took longer than it may.
    TimedOut,
}

/// Why a test failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which statements held or failed, with the values in them.
    pub why: Option<Why>,
}

/// A bundle whose tests can be run.
#[derive(Debug)]
pub struct Suite {
    policy: Policy,
    explainer: Explainer,
    tests: Vec<Test>,
}

#[derive(Debug)]
struct Test {
    path: Vec<Value>,
    full_name: String,
    package: String,
    name: String,
    place: Place,
    is_skipped: bool,
    has_cases: bool,
}

impl Suite {
    /// Loads a bundle with its tests.
    ///
    /// # Errors
    /// The faults of the first stage with any, up to a bound.
    pub fn load(files: Vec<File>, settings: &Settings) -> Result<Self, Vec<Report>> {
        let settings = Settings { tests: Tests::Included, ..settings.clone() };
        let policy = Policy::load(files.clone(), &settings)?;
        let explainer = Explainer::load(files, &settings)?;
        let modules = &explainer.compiled.modules;
        let tests = modules.iter().flat_map(|module| {
            module.rules.iter().filter_map(|rule| Test::of(&explainer, module, rule))
        });
        let tests = tests.collect();
        Ok(Self { policy, explainer, tests })
    }

    /// The full names of all tests: `data.a.test_b`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().map(|test| test.full_name.as_str())
    }

    /// Runs the tests.
    ///
    /// # Errors
    /// The regular expression is not valid.
    pub fn run(&mut self, options: &Options) -> Result<SuiteResult, String> {
        let mut reaches = Reaches::default();
        let mut results = Vec::new();
        for test in &self.tests {
            if !test.matches(options)? {
                continue;
            }
            let runner = Runner { policy: &mut self.policy, explainer: &self.explainer, options };
            results.push(runner.run(test, &mut reaches));
        }
        let Explainer { sources, parsed, .. } = &self.explainer;
        let coverage = options.coverage.then(|| coverage::report(sources, parsed, &reaches));
        Ok(SuiteResult { results, coverage })
    }
}

impl Test {
    fn of(explainer: &Explainer, module: &Module, rule: &Rule) -> Option<Self> {
        let (name, length) = name_of(rule);
        let name = name.filter(|name| name.starts_with(PREFIX) || name.starts_with(SKIPPED))?;
        let head = rule.head.reference.get(..length)?;
        let keys = head.iter().enumerate().map(|(position, term)| key_of(term, position));
        let package = module.package.path.iter().skip(1);
        let package = package.map(|term| key_of(term, 1));
        let path = package.chain(keys).map(|key| key_value(&key?, None).ok());
        let mut full: Vec<Term> = module.package.path.clone();
        full.extend(head.iter().map(|term| match &term.value {
            TermValue::Var(name) => Term { value: TermValue::String(name.clone()), ..term.clone() },
            _ => term.clone(),
        }));
        let location = explainer.sources.location(rule.span);
        let is_partial = rule.head.key.is_some() && rule.head.value.is_some();
        let is_dynamic = ground_prefix(&rule.head.reference).len() < rule.head.reference.len();
        Some(Self {
            path: path.collect::<Option<_>>()?,
            full_name: text::of_ref(&full),
            package: text::of_ref(&module.package.path),
            name: text::of_ref(head),
            place: Place { file: location.file.to_string(), row: location.row, col: location.col },
            is_skipped: name.starts_with(SKIPPED),
            has_cases: is_partial || (rule.head.key.is_none() && is_dynamic),
        })
    }

    fn query(&self) -> DocumentQuery<'_> {
        DocumentQuery { path: &self.path, strict_builtin_errors: false }
    }

    fn matches(&self, options: &Options) -> Result<bool, String> {
        let Some(pattern) = &options.run else { return Ok(true) };
        let deadline = Instant::now() + options.timeout;
        let mut context = Context::new(options.now_ns, deadline);
        let args = [Value::from(pattern.as_str()), Value::from(self.full_name.as_str())];
        let matches = builtins::function("regex.match").ok_or("there is no regex.match")?;
        match matches(&mut context, &args) {
            Ok(value) => Ok(value == Value::Bool(true)),
            Err(failure) => Err(failure.to_string()),
        }
    }
}

struct Runner<'r> {
    policy: &'r mut Policy,
    explainer: &'r Explainer,
    options: &'r Options,
}

impl Runner<'_> {
    fn run(self, test: &Test, reaches: &mut Reaches) -> TestResult {
        let mut result = TestResult {
            place: test.place.clone(),
            package: test.package.clone(),
            name: test.name.clone(),
            outcome: Outcome::Skipped,
            duration: Duration::ZERO,
            output: Vec::new(),
            cases: BTreeMap::new(),
        };
        if test.is_skipped {
            return result;
        }
        let began = Instant::now();
        let evaluation = self.policy.evaluate(test.query(), None, self.moment());
        result.duration = began.elapsed();
        let prints = evaluation.prints.iter().take(MAX_OUTPUT);
        result.output = prints.map(|line| self.without_place(line)).collect();
        let served = evaluation.result;
        let mut explained = None;
        if test.has_cases && served.is_ok() {
            let mut begun = Begun::default();
            explained = Some(self.observe(test, &mut begun));
            if let Ok(value) = &served {
                let (failed, cases) = cases::results(value, &begun);
                result.cases = cases;
                let is_failed = failed || *value == Value::Undefined;
                result.outcome = if is_failed { failure() } else { Outcome::Passed };
            }
        } else {
            result.outcome = match &served {
                Ok(Value::Bool(true)) => Outcome::Passed,
                Ok(_) => failure(),
                Err(EvaluationError::TimedOut) => Outcome::TimedOut,
                Err(error) => self.error(error),
            };
        }
        if let (Outcome::Failed(failure), true) = (&mut result.outcome, self.options.explain) {
            let (evaluation, why) = self.explainer.why(&test.path, self.question());
            failure.why = Some(why);
            explained = Some(evaluation.result);
        }
        if self.options.coverage {
            let all = Shortcuts::default();
            explained = Some(self.observe(test, &mut reaches.plain));
            let runs: [(Shortcuts, &mut dyn Observer); 2] = [
                (Shortcuts { index: false, ..all }, &mut reaches.without_index),
                (Shortcuts { early_exit: false, ..all }, &mut reaches.without_early_exit),
            ];
            // As in OPA, only of tests without an error.
            if served.is_ok() {
                for (shortcuts, observer) in runs {
                    let question = self.question();
                    let _ = self.explainer.observe_with(&test.path, question, shortcuts, observer);
                }
            }
        }
        if let Some(explained) = explained
            && !agree(&served, &explained)
        {
            result.outcome = Outcome::Error {
                code: "internal_error".to_owned(),
                message: format!(
                    "the evaluator that serves and the one that explains disagree about this test: {} and {}. Please report it with the policy",
                    told(&served),
                    told(&explained)
                ),
                place: None,
            };
        }
        result
    }

    fn moment(&self) -> Moment {
        let deadline = Instant::now() + self.options.timeout;
        Moment { now_ns: self.options.now_ns, deadline }
    }

    fn question(&self) -> Question {
        Question { input: None, moment: self.moment(), strict_builtin_errors: None }
    }

    fn observe(&self, test: &Test, observer: &mut dyn Observer) -> Result<Value, EvaluationError> {
        self.explainer.observe(&test.path, self.question(), observer).result
    }

    fn error(&self, error: &EvaluationError) -> Outcome {
        match error {
            EvaluationError::Failed { kind, message, location } => Outcome::Error {
                code: kind.as_str().to_owned(),
                message: message.clone(),
                place: location.as_ref().map(|location| Place {
                    file: location.file.to_string(),
                    row: location.row,
                    col: location.col,
                }),
            },
            other => Outcome::Error {
                code: "internal_error".to_owned(),
                message: other.to_string(),
                place: None,
            },
        }
    }

    /// A printed line without the place before it.
    fn without_place(&self, line: &str) -> String {
        let files = self.explainer.compiled.modules.iter();
        let files = files.filter_map(|module| self.explainer.sources.file(module.file));
        let without = files.filter_map(|file| {
            let (row, text) = line.strip_prefix(&*file.path)?.strip_prefix(':')?.split_once(':')?;
            row.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
        });
        let text = without.min_by_key(|text| text.len()).unwrap_or(line);
        text.strip_prefix(' ').unwrap_or(text).to_owned()
    }
}

fn failure() -> Outcome {
    Outcome::Failed(Box::default())
}

/// Whether two evaluators agree. One that ran out of time, or reached a limit, says nothing.
fn agree(
    served: &Result<Value, EvaluationError>,
    explained: &Result<Value, EvaluationError>,
) -> bool {
    match (served, explained) {
        (Ok(served), Ok(explained)) => served == explained,
        (Err(EvaluationError::TimedOut), _) | (_, Err(EvaluationError::TimedOut)) => true,
        (_, Err(EvaluationError::Failed { kind, .. }))
            if kind.as_str() == "eval_internal_error" =>
        {
            true
        }
        (Err(_), Err(_)) => true,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

fn told(result: &Result<Value, EvaluationError>) -> String {
    match result {
        Ok(Value::Undefined) => "undefined".to_owned(),
        Ok(value) => value.to_json_str().unwrap_or_else(|_| value.to_string()),
        Err(error) => error.to_string(),
    }
}

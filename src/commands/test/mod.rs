//! `test`: runs the tests of a bundle.

mod coverage;
mod duration;
mod json;
mod junit;
mod pretty;

use std::io::{Write, stderr, stdout};
use std::time::Duration;

use clap::ArgMatches;
use enforcer_protocol::{Findings, Inspection, Outcome as Answered, TestSettings};
use enforcer_rego::tester::{Outcome, SuiteResult};

use super::Verdict;
use super::bundle::{Answer, Session, ended, path, unusable};
use super::diagnostic::Renderer;
use super::terminal::{Terminal, printable};
use crate::failure::Failure;

/// How the results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Pretty,
    Json,
    Junit,
}

/// Runs the tests of a bundle.
///
/// # Errors
/// When the configuration or the command is wrong, or the host cannot start workers.
pub(crate) fn test(arguments: &ArgMatches) -> Result<Verdict, Failure> {
    let format = arguments.get_one::<String>("format").map(|format| match format.as_str() {
        "json" => Format::Json,
        "junit" => Format::Junit,
        _ => Format::Pretty,
    });
    let threshold = arguments.get_one::<f64>("threshold").copied();
    let timeout = arguments.get_one::<Duration>("timeout").copied().unwrap_or_default();
    let settings = TestSettings {
        run: arguments.get_one::<String>("run").cloned(),
        coverage: arguments.get_flag("coverage") || threshold.is_some(),
        timeout_micros: u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX),
    };
    let session = Session::start(arguments)?;
    let bundle = path(arguments);
    let answer = session.ask(&session.subject(&bundle), Inspection::Tests(settings), b"")?;
    let renderer = Renderer { terminal: Terminal::of(&stderr()), bundle: &bundle };
    let trouble = match answer {
        Answer::Found(Findings::Report(report)) => match serde_json::from_str(report.as_str()) {
            Ok(tests) => {
                return Run { tests, timeout, arguments }.report(format, threshold, &renderer);
            }
            Err(error) => ended(&renderer, &error.to_string()),
        },
        Answer::Found(Findings::Failed(Answered::InvalidRequest(message))) => {
            return Err(Failure::Usage(format!("--run: {}", printable(&message))));
        }
        Answer::Found(Findings::Failed(Answered::TimedOut)) => {
            ended(&renderer, "loading the bundle took all the time that its tests may take")
        }
        Answer::Found(Findings::Failed(Answered::Failed(diagnostic))) => {
            ended(&renderer, &diagnostic.message)
        }
        Answer::Found(_) => ended(&renderer, "the worker gave another answer"),
        Answer::Unusable(diagnostics) => unusable(&renderer, &diagnostics),
        Answer::Ended(reason) => ended(&renderer, &reason),
    };
    stderr().lock().write_all(trouble.as_bytes())?;
    Ok(Verdict::Negative)
}

/// Tests that were run.
struct Run<'a> {
    tests: SuiteResult,
    timeout: Duration,
    arguments: &'a ArgMatches,
}

impl Run<'_> {
    fn report(
        &self,
        format: Option<Format>,
        threshold: Option<f64>,
        renderer: &Renderer<'_>,
    ) -> Result<Verdict, Failure> {
        let results = &self.tests.results;
        let coverage = self.tests.coverage.as_ref();
        let is_verbose = self.arguments.get_flag("verbose");
        let pretty = pretty::Pretty {
            terminal: Terminal::of(&stdout()),
            bundle: renderer.bundle,
            timeout: self.timeout,
            is_verbose,
        };
        if results.is_empty() {
            writeln!(
                stderr(),
                "{}: no tests were found",
                printable(&renderer.bundle.display().to_string())
            )?;
        }
        let verdict = self.verdict();
        let short = coverage.zip(threshold).filter(|(found, least)| found.coverage < *least);
        let mut shown = String::new();
        match (format, coverage) {
            (Some(Format::Junit), _) => shown += &junit::report(results, self.timeout),
            (None | Some(Format::Json), Some(_)) if verdict == Verdict::Negative => {
                shown += &pretty.report(results);
            }
            // The message about the threshold is all there is then.
            (None | Some(Format::Json), Some(_)) if short.is_some() => {}
            (None | Some(Format::Json), Some(coverage)) => {
                shown += &coverage::json(coverage, renderer.bundle)?;
            }
            (Some(Format::Json), None) => {
                shown += &json::report(results, renderer.bundle, self.timeout)?;
            }
            (None | Some(Format::Pretty), None) => shown += &pretty.report(results),
            (Some(Format::Pretty), Some(coverage)) => {
                shown += &pretty.report(results);
                shown.push('\n');
                shown += &coverage::table(coverage, renderer.bundle, pretty.terminal);
            }
        }
        stdout().lock().write_all(shown.as_bytes())?;
        if let Some((coverage, least)) = short {
            let told = coverage::not_met(coverage, renderer.bundle, least);
            stderr().lock().write_all(told.as_bytes())?;
            return Ok(Verdict::Negative);
        }
        Ok(verdict)
    }

    fn verdict(&self) -> Verdict {
        let skipped_count = !self.arguments.get_flag("exit-zero-on-skipped");
        let is_good = |outcome: &Outcome| match outcome {
            Outcome::Passed => true,
            Outcome::Skipped => !skipped_count,
            Outcome::Failed(_) | Outcome::Error { .. } | Outcome::TimedOut => false,
        };
        if self.tests.results.iter().all(|result| is_good(&result.outcome)) {
            Verdict::Positive
        } else {
            Verdict::Negative
        }
    }
}

/// OPA's code of a test that took too long.
const CANCELLED: &str = "eval_cancel_error";

/// The message about a test that took too long.
fn too_long(timeout: Duration) -> String {
    format!("the test did not end within {}; --timeout gives it more time", duration::text(timeout))
}

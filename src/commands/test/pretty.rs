//! The results of tests for people, as `opa test` prints them; each failed test is explained.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use enforcer_rego::tester::{Outcome, SubResult, TestResult};

use super::super::diagnostic::path_of;
use super::super::terminal::{Style, Terminal};
use super::{CANCELLED, duration, too_long};

/// Characters of the line between two parts.
const RULE_LENGTH: usize = 80;

/// How many groups of cases are shown within each other.
const MAX_LEVELS: usize = 16;

/// Prints results.
pub(super) struct Pretty<'a> {
    pub(super) terminal: Terminal,
    pub(super) bundle: &'a Path,
    pub(super) timeout: Duration,
    pub(super) is_verbose: bool,
}

impl Pretty<'_> {
    /// All results, the explanations of those that failed, and how many there are of each kind.
    pub(super) fn report(&self, results: &[TestResult]) -> String {
        let mut shown = String::new();
        for result in results {
            if self.is_verbose || result.outcome != Outcome::Passed {
                self.result(result, &mut shown);
            }
        }
        let mut explained = String::new();
        results.iter().for_each(|result| self.explanation(result, &mut explained));
        if !explained.is_empty() {
            let line = rule();
            let _ = write!(shown, "{line}\nFAILURES\n{line}\n{explained}");
        }
        if !shown.is_empty() {
            let _ = writeln!(shown, "{}", rule());
        }
        shown + &self.summary(results)
    }

    fn result(&self, result: &TestResult, shown: &mut String) {
        let file = path_of(self.bundle, &result.place.file);
        let place = format!("{}:{}:", file.display(), result.place.row);
        let _ = writeln!(shown, "{}", self.terminal.link(Style::Frame, &place, &file));
        let _ = writeln!(shown, "{}", self.line(result));
        if let Some(text) = self.error(&result.outcome) {
            for line in text.split('\n') {
                let _ = writeln!(shown, "  {}", self.terminal.paint(Style::Plain, line));
            }
        }
        self.cases(&result.cases, 1, shown);
        if !result.output.is_empty() {
            shown.push('\n');
            for line in result.output.iter().flat_map(|output| output.split('\n')) {
                let _ = writeln!(shown, "  {}", self.terminal.paint(Style::Plain, line));
            }
            shown.push('\n');
        }
    }

    /// `data.a_test.test_b: FAIL (1.5ms)`
    fn line(&self, result: &TestResult) -> String {
        let name = format!("{}.{}", result.package, result.name);
        let (style, word) = match result.outcome {
            Outcome::Passed => (Style::Good, "PASS"),
            Outcome::Failed(_) => (Style::Error, "FAIL"),
            Outcome::Error { .. } | Outcome::TimedOut => (Style::Error, "ERROR"),
            Outcome::Skipped => (Style::Warning, "SKIPPED"),
        };
        let name = self.terminal.paint(Style::Plain, &name);
        let word = self.terminal.paint(style, word);
        if result.outcome == Outcome::Skipped {
            format!("{name}: {word}")
        } else {
            format!("{name}: {word} ({})", duration::text(result.duration))
        }
    }

    /// Place, code and message of an error.
    fn error(&self, outcome: &Outcome) -> Option<String> {
        match outcome {
            Outcome::Error { code, message, place: None } => Some(format!("{code}: {message}")),
            Outcome::Error { code, message, place: Some(place) } => {
                let file = path_of(self.bundle, &place.file);
                Some(format!("{}:{}: {code}: {message}", file.display(), place.row))
            }
            Outcome::TimedOut => Some(format!("{CANCELLED}: {}", too_long(self.timeout))),
            Outcome::Passed | Outcome::Failed(_) | Outcome::Skipped => None,
        }
    }

    fn cases(&self, cases: &BTreeMap<String, SubResult>, level: usize, shown: &mut String) {
        if level > MAX_LEVELS {
            return;
        }
        for case in cases.values() {
            if self.is_verbose || case.failed {
                let name = self.terminal.paint(Style::Plain, &case.name);
                let (style, word) =
                    if case.failed { (Style::Error, "FAIL") } else { (Style::Good, "PASS") };
                let word = self.terminal.paint(style, word);
                let _ = writeln!(shown, "{:indent$}{name}: {word}", "", indent = level * 2);
                self.cases(&case.cases, level + 1, shown);
            }
        }
    }

    fn explanation(&self, result: &TestResult, shown: &mut String) {
        let Outcome::Failed(failure) = &result.outcome else { return };
        let Some(why) = &failure.why else { return };
        let _ = writeln!(shown, "{}\n", self.line(result));
        for line in why.lines().iter().flat_map(|line| self.terminal.lines(line)) {
            let _ = writeln!(shown, "{}{line}", if line.is_empty() { "" } else { "  " });
        }
        shown.push('\n');
    }

    /// How many tests there are of each kind. A test with cases counts as its cases, as in OPA.
    fn summary(&self, results: &[TestResult]) -> String {
        let mut counts = Counts::default();
        for result in results {
            match result.outcome {
                Outcome::Error { .. } | Outcome::TimedOut => counts.errors += 1,
                Outcome::Skipped => counts.skipped += 1,
                Outcome::Passed | Outcome::Failed(_) if !result.cases.is_empty() => {
                    counts.cases(&result.cases, 1);
                }
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed(_) => counts.failed += 1,
            }
        }
        let Counts { passed, failed, skipped, errors } = counts;
        let total = passed + failed + skipped + errors;
        let kinds = [
            (Style::Good, "PASS", passed),
            (Style::Error, "FAIL", failed),
            (Style::Warning, "SKIPPED", skipped),
            (Style::Error, "ERROR", errors),
        ];
        let there = kinds.into_iter().filter(|(_, _, count)| *count > 0);
        let lines = there.map(|(style, word, count)| {
            format!("{}: {count}/{total}\n", self.terminal.paint(style, word))
        });
        lines.collect()
    }
}

/// How many tests and cases there are of each kind.
#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
    errors: usize,
}

impl Counts {
    fn cases(&mut self, cases: &BTreeMap<String, SubResult>, level: usize) {
        for case in cases.values() {
            if !case.cases.is_empty() && level < MAX_LEVELS {
                self.cases(&case.cases, level + 1);
            } else if case.failed {
                self.failed += 1;
            } else {
                self.passed += 1;
            }
        }
    }
}

fn rule() -> String {
    "-".repeat(RULE_LENGTH)
}

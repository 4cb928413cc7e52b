//! Which rules and statements an evaluation has reached, as `opa test --coverage` counts them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ast::{ExprKind, Module};
use crate::compile::test_cases::TEST_CASE;
use crate::compile::visit::{Flow, Node as Syntax, chain, walk};
use crate::source::{Sources, Span};
use crate::topdown::observed::{
    Event, Expr, ExprKind as Call, Node, Observer, Op, Operator, statement_span,
};

/// The coverage of a bundle's files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The files by path.
    pub files: BTreeMap<String, FileCoverage>,
    /// The number of covered lines.
    pub covered_lines: usize,
    /// The number of other lines that could be.
    pub not_covered_lines: usize,
    /// The covered ones in percent.
    pub coverage: f64,
}

/// The coverage of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FileCoverage {
    /// What was reached, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covered: Vec<Range>,
    /// What was not, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_covered: Vec<Range>,
    /// The number of covered lines.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub covered_lines: usize,
    /// The number of other lines that could be.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_covered_lines: usize,
    /// The covered ones in percent.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub coverage: f64,
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_nothing(number: &f64) -> bool {
    *number == 0.0
}

/// A part of a file: a rule's head or a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    /// Its first character.
    pub start: Position,
    /// The position behind its last.
    pub end: Position,
    /// Why it was not reached, as far as that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
}

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub row: usize,
    /// The column, in characters.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub col: usize,
}

/// Why something was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The index had left out the rule; it would have been reached without one.
    IndexExcluded,
    /// Another rule had decided; it would have been reached without that.
    EarlyExit,
}

/// Collects what evaluations reach.
#[derive(Debug, Default)]
pub(super) struct Reached(BTreeSet<Span>);

impl Observer for Reached {
    fn observe(&mut self, event: &Event<'_>) {
        match (event.op, event.node) {
            (Op::Exit, Node::Rule(rule)) => {
                self.0.insert(rule.head_span);
            }
            (Op::Eval, Node::Expr(expr)) if !is_test_case(expr) => {
                self.0.insert(expr.source.span);
            }
            _ => {}
        }
    }
}

/// Whether a statement says which case of a test runs; nobody wrote it.
fn is_test_case(expr: &Expr) -> bool {
    matches!(&expr.kind, Call::Call(Operator::Builtin(name), _) if &**name == TEST_CASE)
}

/// The places that evaluations have reached: as they are, without an index, and without early exits.
#[derive(Debug, Default)]
pub(super) struct Reaches {
    pub(super) plain: Reached,
    pub(super) without_index: Reached,
    pub(super) without_early_exit: Reached,
}

impl Reached {
    fn ranges(&self, sources: &Sources) -> BTreeMap<String, BTreeSet<Range>> {
        let mut files: BTreeMap<String, BTreeSet<Range>> = BTreeMap::new();
        for span in &self.0 {
            if let Some((file, range)) = range(sources, *span) {
                files.entry(file).or_default().insert(range);
            }
        }
        files
    }
}

/// The file and the range of a place; none for what is in no file.
fn range(sources: &Sources, span: Span) -> Option<(String, Range)> {
    let location = sources.location(span);
    if location.file.is_empty() {
        return None;
    }
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let start = Position { row: count(location.row), col: count(location.col) };
    let text = sources.text(span);
    // OPA's tree has no place for the generated body of an `else` without one.
    if text == "else" {
        return None;
    }
    let newlines = text.matches('\n').count();
    let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
    let col = if newlines == 0 { start.col } else { 1 };
    let end = Position { row: start.row + newlines, col: col + last };
    Some((location.file.to_string(), Range { start, end, kinds: Vec::new() }))
}

fn is_within(range: &Range, ranges: Option<&BTreeSet<Range>>) -> bool {
    let contains = |other: &Range| other.start <= range.start && range.end <= other.end;
    ranges.is_some_and(|ranges| ranges.iter().any(contains))
}

/// The coverage of the modules as they were written.
pub(super) fn report(sources: &Sources, modules: &[Module], reaches: &Reaches) -> Coverage {
    let plain = reaches.plain.ranges(sources);
    let others = [
        (Kind::IndexExcluded, reaches.without_index.ranges(sources)),
        (Kind::EarlyExit, reaches.without_early_exit.ranges(sources)),
    ];
    let mut coverage = Coverage::default();
    for (file, ranges) in &plain {
        let covered = ranges.iter().cloned().collect();
        coverage.files.insert(file.clone(), FileCoverage { covered, ..FileCoverage::default() });
    }
    for module in modules {
        let Some(file) = sources.file(module.file).map(|file| file.path.to_string()) else {
            continue;
        };
        let reached = plain.get(&file);
        let mut missed: BTreeSet<Range> = BTreeSet::new();
        let mut look = |span: Span| {
            if let Some((_, range)) = range(sources, span)
                && !is_within(&range, reached)
            {
                missed.insert(range);
            }
        };
        for rule in module.rules.iter().flat_map(chain) {
            look(rule.head.span);
            walk(Syntax::Rule(rule), &mut |node| {
                if let Syntax::Expr(expr) = node
                    && !matches!(expr.kind, ExprKind::Some(_))
                {
                    look(statement_span(rule, expr.span));
                }
                Flow::Into
            });
        }
        let report = coverage.files.entry(file.clone()).or_default();
        report.not_covered = missed
            .into_iter()
            .map(|range| {
                let reaching =
                    others.iter().filter(|(_, reached)| is_within(&range, reached.get(&file)));
                let kinds = reaching.map(|(kind, _)| *kind).collect();
                Range { kinds, ..range }
            })
            .collect();
    }
    for file in coverage.files.values_mut() {
        file.covered_lines = lines(&file.covered);
        file.not_covered_lines = lines(&file.not_covered);
        file.coverage = percent(file.covered_lines, file.not_covered_lines);
        coverage.covered_lines += file.covered_lines;
        coverage.not_covered_lines += file.not_covered_lines;
    }
    coverage.coverage = percent(coverage.covered_lines, coverage.not_covered_lines);
    coverage
}

/// How many lines ranges are on.
fn lines(ranges: &[Range]) -> usize {
    let rows = ranges.iter().flat_map(|range| range.start.row..=range.end.row);
    rows.collect::<BTreeSet<_>>().len()
}

fn percent(covered: usize, not_covered: usize) -> f64 {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let total = covered + not_covered;
    if total == 0 { 0.0 } else { 100.0 * count(covered) / count(total) }
}

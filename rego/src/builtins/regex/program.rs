//! A compiled pattern, and the search for its matches: the leftmost, and of these the one that a
//! backtracking search would find first, as in Go.
//!
//! A lazy DFA finds where a match begins and ends in linear time. Where it would need too many
//! states it gives up; then, and for groups, the automaton is simulated step by step, with checks
//! of the deadline.

use std::cell::RefCell;

use regex_automata::hybrid::{dfa, regex};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Input, MatchKind};
use regex_syntax::hir::Hir;

use super::error::SyntaxError;
use super::parse::{self, Pattern};
use super::simulate::{Groups, Region, simulate};
use crate::builtins::Failure;
use crate::builtins::limits::{self, Clock};

/// The highest number of bytes in a pattern.
const PATTERN_BYTES: usize = 1 << 18;

/// The highest number of bytes of a compiled pattern. Most have some thousand; the largest are
/// counted repetitions of classes of thousands of letters (`\pL{500}`).
const AUTOMATON_BYTES: usize = 4 << 20;

/// Bytes of the states that the lazy DFA keeps, for each direction.
const STATES_BYTES: usize = 1 << 18;

/// How often the lazy DFA may clear its states before it gives up.
const STATES_LOST: usize = 8;

/// The least number of bytes of text for each new state, below which it gives up.
const BYTES_PER_STATE: usize = 10;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Program {
    automaton: NFA,
    fast: Option<(regex::Regex, RefCell<regex::Cache>)>,
    names: Vec<Option<String>>,
}

impl Program {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Go's message when the pattern is invalid; one that is too large ends the evaluation.
    pub(crate) fn compile(pattern: &str) -> Result<Self, Failure> {
        let Pattern { hir, names } = parse(pattern)?;
        Self::of(&hir, names)
    }

    /// Compiles a parsed pattern.
    ///
    /// # Errors
    /// When it is too large, which ends the evaluation.
    pub(crate) fn of(hir: &Hir, names: Vec<Option<String>>) -> Result<Self, Failure> {
        let config = thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES));
        let compile = |config: thompson::Config| {
            thompson::Compiler::new()
                .configure(config)
                .build_from_hir(hir)
                .map_err(|_| limits::exceeded("a pattern is too large"))
        };
        let automaton = compile(config.clone())?;
        let config = config.which_captures(WhichCaptures::None);
        let forward = compile(config.clone())?;
        let backward = compile(config.reverse(true))?;
        Ok(Self { automaton, fast: lazy(forward, backward), names })
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.automaton.memory_usage() * 3 + STATES_BYTES
    }

    /// The names of the groups in order.
    pub(crate) fn names(&self) -> &[Option<String>] {
        &self.names
    }

    /// Whether there is a match.
    pub(crate) fn is_match(&self, text: &str, clock: &mut Clock) -> Result<bool, Failure> {
        if let Some((regex, cache)) = &self.fast {
            let found = regex.try_search(&mut cache.borrow_mut(), &Input::new(text).earliest(true));
            if let Ok(found) = found {
                return Ok(found.is_some());
            }
        }
        let whole = Region { start: 0, end: text.len() };
        Ok(simulate(&self.automaton, text, whole, false, 0, clock)?.is_some())
    }

    /// The first match that begins at or after a place.
    fn find(&self, text: &str, start: usize, clock: &mut Clock) -> Result<Option<Region>, Failure> {
        if let Some((regex, cache)) = &self.fast {
            let input = Input::new(text).span(start..text.len());
            if let Ok(found) = regex.try_search(&mut cache.borrow_mut(), &input) {
                return Ok(found.map(|found| Region { start: found.start(), end: found.end() }));
            }
        }
        let rest = Region { start, end: text.len() };
        let groups = simulate(&self.automaton, text, rest, false, 1, clock)?;
        Ok(groups.and_then(|groups| groups.into_iter().next().flatten()))
    }

    /// The matches that do not overlap, up to a number. An empty match directly after another does
    /// not count.
    pub(crate) fn matches(
        &self,
        text: &str,
        most: usize,
        clock: &mut Clock,
    ) -> Result<Vec<Region>, Failure> {
        let mut found = Vec::new();
        let mut at = 0;
        let mut last_end = None;
        while found.len() < most && at <= text.len() {
            clock.step()?;
            let Some(region) = self.find(text, at, clock)? else { break };
            let counts = region.start != region.end || Some(region.start) != last_end;
            at = region.end;
            if region.start == region.end {
                at += text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
            }
            last_end = Some(region.end);
            if counts {
                found.push(region);
            }
            if found.len() > limits::ELEMENTS {
                return Err(limits::exceeded("there are too many matches"));
            }
        }
        Ok(found)
    }

    /// The matches of a match's groups.
    pub(crate) fn groups(
        &self,
        text: &str,
        found: Region,
        clock: &mut Clock,
    ) -> Result<Groups, Failure> {
        let count = self.names.len();
        if count == 1 {
            return Ok(vec![Some(found)]);
        }
        let groups = simulate(&self.automaton, text, found, true, count, clock)?;
        Ok(groups.unwrap_or_else(|| vec![None; count]))
    }
}

fn parse(pattern: &str) -> Result<Pattern, Failure> {
    if pattern.len() > PATTERN_BYTES {
        return Err(limits::exceeded("a regular expression is too long"));
    }
    parse::parse(pattern).map_err(|error| match error {
        SyntaxError::Invalid(message) => Failure::Builtin(message),
        SyntaxError::TooDeep => limits::exceeded("a regular expression is too deep"),
    })
}

/// Checks whether a text is a pattern.
///
/// # Errors
/// Go's message when it is not; one that is too large ends the evaluation.
pub(crate) fn check(pattern: &str) -> Result<(), Failure> {
    parse(pattern).map(drop)
}

fn lazy(forward: NFA, backward: NFA) -> Option<(regex::Regex, RefCell<regex::Cache>)> {
    let config = dfa::Config::new()
        .cache_capacity(STATES_BYTES)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(STATES_LOST))
        .minimum_bytes_per_state(Some(BYTES_PER_STATE));
    let forward = dfa::Builder::new().configure(config.clone()).build_from_nfa(forward).ok()?;
    let config = config.match_kind(MatchKind::All);
    let backward = dfa::Builder::new().configure(config).build_from_nfa(backward).ok()?;
    let regex = regex::Builder::new().build_from_dfas(forward, backward);
    let cache = RefCell::new(regex.create_cache());
    Some((regex, cache))
}

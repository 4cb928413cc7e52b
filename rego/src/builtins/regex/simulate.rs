//! Simulates an automaton: all its threads advance through the text together, in the order in which
//! a backtracking search would try them (Pike's algorithm).

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;

use crate::builtins::Failure;
use crate::builtins::limits::{self, Clock};

/// The highest number of words for the threads' positions of groups.
const PLACES: usize = 4 << 20;

/// A part of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A match, and the matches of its groups; the first group is the match.
pub(crate) type Groups = Vec<Option<Region>>;

/// Positions where groups begin and end, alternating.
type Places = Vec<Option<usize>>;

/// The threads at one position of the text, by state, the preferred one first.
struct Threads {
    order: Vec<StateID>,
    present: Vec<bool>,
    places: Vec<Places>,
}

impl Threads {
    fn new(automaton: &NFA) -> Self {
        let states = automaton.states().len();
        Self {
            order: Vec::new(),
            present: vec![false; states],
            places: vec![Places::new(); states],
        }
    }

    fn clear(&mut self) {
        for state in self.order.drain(..) {
            if let Some(present) = self.present.get_mut(state.as_usize()) {
                *present = false;
            }
        }
    }

    /// Whether the state is new.
    fn insert(&mut self, state: StateID) -> bool {
        match self.present.get_mut(state.as_usize()) {
            Some(present) if !*present => {
                *present = true;
                self.order.push(state);
                true
            }
            _ => false,
        }
    }
}

/// The remaining work in the traversal of the states that consume no text.
enum Task {
    Visit(StateID),
    Restore(usize, Option<usize>),
}

/// The first match within a region, or at its beginning, and a number of its groups.
///
/// # Errors
/// When the deadline passes, or the groups take too much memory.
pub(super) fn simulate(
    automaton: &NFA,
    text: &str,
    region: Region,
    anchored: bool,
    groups: usize,
    clock: &mut Clock,
) -> Result<Option<Groups>, Failure> {
    if automaton.states().len().saturating_mul(groups * 2) > PLACES {
        return Err(limits::exceeded("a regular expression has too many groups"));
    }
    let mut current = Threads::new(automaton);
    let mut next = Threads::new(automaton);
    let mut found: Option<Places> = None;
    for at in region.start..=region.end {
        clock.step()?;
        let may_begin = found.is_none() && (!anchored || at == region.start);
        if may_begin && text.is_char_boundary(at) {
            let mut places = vec![None; groups * 2];
            follow(
                automaton,
                text,
                automaton.start_anchored(),
                at,
                &mut places,
                &mut current,
                clock,
            )?;
        }
        if current.order.is_empty() && (found.is_some() || anchored) {
            break;
        }
        let byte = text.as_bytes().get(at).filter(|_| at < region.end);
        for i in 0..current.order.len() {
            clock.step()?;
            let Some(&state) = current.order.get(i) else { break };
            let target = match automaton.state(state) {
                State::Match { .. } => {
                    found = current.places.get(state.as_usize()).cloned();
                    // This match is preferred to the threads after it.
                    break;
                }
                State::ByteRange { trans } => {
                    byte.filter(|byte| trans.matches_byte(**byte)).map(|_| trans.next)
                }
                State::Sparse(sparse) => byte.and_then(|byte| sparse.matches_byte(*byte)),
                State::Dense(dense) => byte.and_then(|byte| dense.matches_byte(*byte)),
                State::Look { .. }
                | State::Union { .. }
                | State::BinaryUnion { .. }
                | State::Capture { .. }
                | State::Fail => None,
            };
            if let Some(target) = target {
                let mut places = current.places.get(state.as_usize()).cloned().unwrap_or_default();
                follow(automaton, text, target, at + 1, &mut places, &mut next, clock)?;
            }
        }
        std::mem::swap(&mut current, &mut next);
        next.clear();
    }
    Ok(found.map(|places| regions(&places)))
}

fn regions(places: &Places) -> Groups {
    places
        .chunks(2)
        .map(|pair| match pair {
            [Some(start), Some(end)] => Some(Region { start: *start, end: *end }),
            _ => None,
        })
        .collect()
}

/// Adds a state and all states that it reaches without consuming text.
fn follow(
    automaton: &NFA,
    text: &str,
    start: StateID,
    at: usize,
    places: &mut Places,
    threads: &mut Threads,
    clock: &mut Clock,
) -> Result<(), Failure> {
    let mut tasks = vec![Task::Visit(start)];
    while let Some(task) = tasks.pop() {
        clock.step()?;
        let state = match task {
            Task::Restore(slot, old) => {
                if let Some(place) = places.get_mut(slot) {
                    *place = old;
                }
                continue;
            }
            Task::Visit(state) => state,
        };
        if !threads.insert(state) {
            continue;
        }
        match automaton.state(state) {
            State::Look { look, next } => {
                if automaton.look_matcher().matches(*look, text.as_bytes(), at) {
                    tasks.push(Task::Visit(*next));
                }
            }
            State::Union { alternates } => {
                tasks.extend(alternates.iter().rev().map(|state| Task::Visit(*state)));
            }
            State::BinaryUnion { alt1, alt2 } => {
                tasks.push(Task::Visit(*alt2));
                tasks.push(Task::Visit(*alt1));
            }
            State::Capture { next, slot, .. } => {
                if let Some(place) = places.get_mut(slot.as_usize()) {
                    tasks.push(Task::Restore(slot.as_usize(), *place));
                    *place = Some(at);
                }
                tasks.push(Task::Visit(*next));
            }
            State::ByteRange { .. }
            | State::Sparse(_)
            | State::Dense(_)
            | State::Match { .. }
            | State::Fail => {
                if let Some(kept) = threads.places.get_mut(state.as_usize()) {
                    kept.clone_from(places);
                }
            }
        }
    }
    Ok(())
}

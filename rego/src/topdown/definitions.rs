//! Rules and functions.

use std::rc::Rc;

use regorus::Value;

use super::documents::Reference;
use super::environment::Known;
use super::frame::{At, Query};
use super::index::{Candidates, Lookup};
use super::machine::{Fault, Flow, Machine, Stop, suppress};
use super::nodes::{Operator, Rule, Term};
use super::rules::{Document, Shape};
use super::scope::Cell;
use super::trace::{Node, Op};
use crate::machine::ErrorKind;

/// How many conflicting values OPA looks for.
const MAX_CONFLICTS: usize = 10;

/// The call of a function: its arguments, and perhaps the term that its value is unified with.
struct Call<'c> {
    at: At<'c>,
    document: &'c Document,
    operands: &'c [Rc<Term>],
    known: Known,
    candidates: Candidates,
}

impl Call<'_> {
    /// The operands beside the parameters of a rule, and its value beside the output.
    fn pairs(&self, rule: &Rule, query: &Query) -> Vec<(Cell, Cell)> {
        let has_output = self.operands.len() > self.document.parameters;
        let heads = rule.args.iter().chain(rule.value.iter().filter(|_| has_output));
        let pair =
            |(given, head)| (Cell::new(given, self.at.scope()), Cell::new(head, &query.scope));
        self.operands.iter().zip(heads).map(pair).collect()
    }
}

/// The values of the rules before.
#[derive(Default)]
struct Found {
    value: Option<Value>,
    deferred: Option<Stop>,
}

impl<'p> Machine<'p> {
    /// Calls `next` for each value of a document of rules, at and below its path.
    pub(crate) fn document(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        path: &[Value],
        document: &'p Document,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let candidates = self.candidates(at, document, &[])?;
        match document.shape {
            Shape::Complete => self.complete(at, reference, path, &candidates, document, next),
            Shape::Set | Shape::Object => {
                self.partial(at, reference, path, &candidates, document, next)
            }
        }
    }

    /// Looks up the rules to evaluate.
    fn candidates(
        &mut self,
        at: At<'_>,
        document: &Document,
        args: &[Rc<Term>],
    ) -> Result<Candidates, Stop> {
        let args: Vec<Option<Value>> =
            args.iter().map(|arg| Cell::new(arg, at.scope()).ground()).collect();
        let input = self.environment.input.as_ref();
        let rules = (&*document.rules, document.default.as_ref());
        let lookup = Lookup { base: &|path| self.base(path), args: &args, input };
        let candidates = document.index.look_up(rules, &lookup, self.shortcuts);
        if let Some(expr) = at.expr() {
            let count = candidates.rules.len();
            let rules = if count == 1 { "rule" } else { "rules" };
            let early = if candidates.is_early { ", early exit" } else { "" };
            let message = format!("(matched {count} {rules}{early})");
            let lookup = Some(&*document.path);
            self.tell_more(Op::Index, at.query, Node::Expr(expr), &message, lookup);
        }
        Ok(candidates)
    }

    fn complete(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        path: &[Value],
        candidates: &Candidates,
        document: &Document,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        // The document of a function has no value.
        if candidates.is_empty() || document.parameters > 0 {
            return Ok(());
        }
        let below = path.len();
        let known = Known::Document(path.to_vec());
        match self.environment.known(&known) {
            Some(None) => return Ok(()),
            Some(Some(value)) => {
                let value = Cell::value(value, reference.scope);
                return self.term(at, reference, below, &value, next);
            }
            None => {}
        }
        let flow = self.complete_values(at, &known, candidates, &mut |machine, value| {
            machine.term(at, reference, below, value, next)
        });
        self.tell_conflict(at, candidates, None, &flow);
        suppress(flow)
    }

    fn complete_values(
        &mut self,
        at: At<'_>,
        known: &Known,
        candidates: &Candidates,
        next: &mut dyn FnMut(&mut Self, &Cell) -> Flow,
    ) -> Flow {
        let is_early = candidates.is_early;
        let mut found = Found::default();
        for (rule, others) in &candidates.rules {
            for rule in std::iter::once(rule).chain(others) {
                let earlier = found.value.clone();
                let (value, flow) = self.complete_rule(at, rule, known, is_early, earlier, next);
                keep_deferred(flow, &mut found.deferred)?;
                if value.is_some() {
                    found.value = value;
                    break;
                }
            }
        }
        if let (Some(default), None) = (&candidates.default, &found.value) {
            return self.complete_rule(at, default, known, is_early, None, next).1;
        }
        if found.value.is_none() {
            self.environment.keep(known.clone(), None);
        }
        found.deferred.map_or(Ok(()), Err)
    }

    fn complete_rule(
        &mut self,
        at: At<'_>,
        rule: &Rc<Rule>,
        known: &Known,
        is_early: bool,
        mut earlier: Option<Value>,
        next: &mut dyn FnMut(&mut Self, &Cell) -> Flow,
    ) -> (Option<Value>, Flow) {
        let query = self.child(at.query, &rule.body, is_early);
        let node = Node::Rule(rule);
        self.tell(Op::Enter, &query, node);
        let mut result = None;
        let flow = self.eval(&query, 0, &mut |machine| {
            machine.tell_exit(&query, node);
            let Some(value) = &rule.value else { return Ok(()) };
            let cell = Cell::new(value, &query.scope);
            let value = cell.ground();
            result.clone_from(&value);
            if earlier.is_some() {
                if earlier != value {
                    let what = format!("rule {} produced conflicting values", rule.name);
                    return Err(conflict(what, rule.span));
                }
                machine.tell(Op::Redo, &query, node);
                return Ok(());
            }
            earlier.clone_from(&value);
            machine.environment.keep(known.clone(), value);
            next(machine, &cell.resolved())?;
            machine.tell(Op::Redo, &query, node);
            Ok(())
        });
        (result, flow)
    }

    /// Calls `next` for each solution of the call of a policy's function.
    pub(crate) fn function(
        &mut self,
        at: At<'_>,
        path: &[Value],
        operands: &[Rc<Term>],
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let rules = self.rules;
        let Some(document) = rules.root.find(path).and_then(|node| node.document.as_ref()) else {
            return Ok(());
        };
        let candidates = self.candidates(at, document, operands)?;
        if candidates.is_empty() {
            return Ok(());
        }
        let given = operands.get(..document.parameters).unwrap_or(operands);
        let ground = given.iter().map(|arg| Cell::new(arg, at.scope()).ground());
        let args: Vec<Value> = ground.map(|arg| arg.unwrap_or(Value::Undefined)).collect();
        let known = Known::Call(Operator::Function(path.into()), args);
        if let Some(Some(value)) = self.environment.known(&known) {
            return match operands.get(document.parameters) {
                Some(output) => {
                    let value = Cell::value(value, at.scope());
                    self.unify(at, &Cell::new(output, at.scope()), &value, next)
                }
                None if value == Value::Bool(false) => Ok(()),
                None => next(self),
            };
        }
        let call = Call { at, document, operands, known, candidates };
        let flow = self.function_values(&call, next);
        self.tell_conflict(at, &call.candidates, Some(&call), &flow);
        suppress(flow)
    }

    fn function_values(
        &mut self,
        call: &Call<'_>,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let mut found = Found::default();
        for (rule, others) in &call.candidates.rules {
            for rule in std::iter::once(rule).chain(others) {
                let (value, flow) = self.function_rule(call, rule, found.value.clone(), next);
                keep_deferred(flow, &mut found.deferred)?;
                if value.is_some() {
                    found.value = value;
                    break;
                }
            }
        }
        if let (Some(default), None) = (&call.candidates.default, &found.value) {
            return self.function_rule(call, default, None, next).1;
        }
        found.deferred.map_or(Ok(()), Err)
    }

    fn function_rule(
        &mut self,
        call: &Call<'_>,
        rule: &Rc<Rule>,
        mut earlier: Option<Value>,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> (Option<Value>, Flow) {
        let at = call.at;
        let query = self.child(at.query, &rule.body, call.candidates.is_early);
        let node = Node::Rule(rule);
        self.tell(Op::Enter, &query, node);
        let has_output = call.operands.len() > call.document.parameters;
        let pairs = call.pairs(rule, &query);
        let mut result = None;
        let flow = self.unify_all(At { query: &query, index: 0 }, &pairs, &mut |machine| {
            machine.eval(&query, 0, &mut |machine| {
                machine.tell_exit(&query, node);
                let Some(value) = &rule.value else { return Ok(()) };
                let value = Cell::new(value, &query.scope).ground();
                result.clone_from(&value);
                machine.environment.keep(call.known.clone(), value.clone());
                let is_conflict = earlier.is_some() && earlier != value;
                let is_false = !has_output && value == Some(Value::Bool(false));
                if is_conflict {
                    let what = format!(
                        "function {} produced conflicting values for the same inputs",
                        rule.name
                    );
                    return Err(conflict(what, rule.span));
                }
                if is_false {
                    earlier = value;
                    return Ok(());
                }
                if earlier.is_none() {
                    earlier = value;
                    next(machine)?;
                }
                machine.tell(Op::Redo, &query, node);
                Ok(())
            })
        });
        (result, flow)
    }

    /// After a conflict of rules, OPA evaluates all of them again, to find the values that conflict.
    /// The events are told; the values do not matter.
    fn tell_conflict(
        &mut self,
        at: At<'_>,
        candidates: &Candidates,
        call: Option<&Call<'_>>,
        flow: &Flow,
    ) {
        let Err(Stop::Fault(fault)) = flow else { return };
        let all = || {
            let rules = candidates.rules.iter();
            rules.flat_map(|(rule, others)| std::iter::once(rule).chain(others))
        };
        let is_own = |rule: &Rc<Rule>| fault.span == Some(rule.span);
        if fault.kind != ErrorKind::Conflict || !all().any(is_own) {
            return;
        }
        let mut values: Vec<Value> = Vec::new();
        for (rule, others) in &candidates.rules {
            for rule in std::iter::once(rule).chain(others) {
                match self.conflicting(at, rule, candidates.is_early, call, &mut values) {
                    Some(true) => break,
                    Some(false) => {}
                    None => return,
                }
            }
        }
    }

    /// Evaluates a rule for its values until one conflicts: whether it has one. `None` ends the
    /// search.
    fn conflicting(
        &mut self,
        at: At<'_>,
        rule: &Rc<Rule>,
        is_early: bool,
        call: Option<&Call<'_>>,
        values: &mut Vec<Value>,
    ) -> Option<bool> {
        let query = self.child(at.query, &rule.body, is_early);
        let node = Node::Rule(rule);
        self.tell(Op::Enter, &query, node);
        let mut has_value = false;
        let mut found = |machine: &mut Self| {
            machine.tell_exit(&query, node);
            has_value = true;
            let value = rule.value.as_ref();
            let value = value.and_then(|value| Cell::new(value, &query.scope).ground());
            let value = value.unwrap_or(Value::Undefined);
            if values.first() != Some(&value) {
                values.push(value);
                if values.len() > 1 {
                    return Err(conflict(String::new(), rule.span));
                }
            }
            machine.tell(Op::Redo, &query, node);
            Ok(())
        };
        let flow = match call {
            None => self.eval(&query, 0, &mut found),
            Some(call) => {
                let pairs = call.pairs(rule, &query);
                self.unify_all(At { query: &query, index: 0 }, &pairs, &mut |machine| {
                    machine.eval(&query, 0, &mut found)
                })
            }
        };
        match flow {
            Err(Stop::Fault(fault)) if !fault.message.is_empty() => None,
            _ if values.len() > MAX_CONFLICTS => None,
            _ => Some(has_value),
        }
    }
}

/// A conflict of values.
pub(super) fn conflict(message: String, span: crate::source::Span) -> Stop {
    Fault { kind: ErrorKind::Conflict, message, span: Some(span) }.into()
}

/// Goes on after an early exit of a caller further out, and remembers the first.
fn keep_deferred(flow: Flow, deferred: &mut Option<Stop>) -> Flow {
    match flow {
        Err(stop @ Stop::Deferred(_)) => {
            deferred.get_or_insert(stop);
            Ok(())
        }
        flow => flow,
    }
}

//! Calls of functions and built-ins.

use std::rc::Rc;
use std::time::Instant;

use regorus::Value;

use super::environment::Mock;
use super::frame::At;
use super::machine::{Fault, Flow, Machine};
use super::nodes::{Operator, Term};
use super::scope::Cell;
use super::trace::{Node, Op};
use crate::builtins::table::declaration;
use crate::builtins::{self, Failure};
use crate::machine::running::ERRORS;
use crate::machine::{ErrorKind, Strictness};

/// How many printed lines an evaluation keeps; later ones are dropped.
const MAX_PRINTS: usize = 4_096;

impl Machine<'_> {
    /// Calls `next` for each solution of a call.
    pub(crate) fn call(
        &mut self,
        at: At<'_>,
        operator: &Operator,
        operands: &[Rc<Term>],
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        match self.environment.mock(operator).cloned() {
            Some(Mock::Function(function)) => {
                let outer = Rc::clone(&self.environment);
                let inner = outer.without_mocks();
                self.environment = Rc::clone(&inner);
                let flow = self.call(at, &function, operands, &mut |machine| {
                    machine.environment = Rc::clone(&outer);
                    let flow = next(machine);
                    machine.environment = Rc::clone(&inner);
                    flow
                });
                self.environment = outer;
                flow
            }
            Some(Mock::Term(cell)) => {
                let parameters = self.parameters(operator, operands.len());
                match operands.get(parameters) {
                    Some(output) => self.unify(at, &Cell::new(output, at.scope()), &cell, next),
                    None if cell.ground() == Some(Value::Bool(false)) => Ok(()),
                    None => next(self),
                }
            }
            None => match operator {
                Operator::Function(path) => self.function(at, path, operands, next),
                Operator::Builtin(name) => self.builtin(at, name, operands, next),
            },
        }
    }

    /// The number of parameters of what is called.
    fn parameters(&self, operator: &Operator, given: usize) -> usize {
        match operator {
            Operator::Function(path) => {
                let node = self.rules.root.find(path).and_then(|node| node.document.as_ref());
                node.map_or(given, |document| document.parameters)
            }
            Operator::Builtin(name) => declaration(name).map_or(given, |declared| {
                // A call without a value has no output, and `print` takes any number of operands.
                if declared.result.is_none() { given } else { declared.arity() }
            }),
        }
    }

    /// Goes on with the value of a call, which holds where it is not captured and not false.
    fn output(
        &mut self,
        at: At<'_>,
        output: Option<&Rc<Term>>,
        value: Value,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        match output {
            Some(output) => {
                let value = Cell::value(value, at.scope());
                self.unify(at, &Cell::new(output, at.scope()), &value, next)
            }
            None if value == Value::Bool(false) => Ok(()),
            None => next(self),
        }
    }

    fn builtin(
        &mut self,
        at: At<'_>,
        name: &str,
        operands: &[Rc<Term>],
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let Some(function) = builtins::function(name) else {
            let message = format!("unsupported built-in: {name}");
            return Err(Fault { kind: ErrorKind::Internal, message, span: at.span() }.into());
        };
        let parameters = self.parameters(&Operator::Builtin(name.into()), operands.len());
        let mut args = Vec::with_capacity(parameters);
        for operand in operands.iter().take(parameters) {
            match Cell::new(operand, at.scope()).ground() {
                Some(value) => args.push(value),
                None => {
                    let message = format!("{name}: an operand has no value yet");
                    let kind = ErrorKind::Internal;
                    return Err(Fault { kind, message, span: at.span() }.into());
                }
            }
        }
        if name == "internal.print"
            && let Some(Value::Array(operands)) = args.first()
            && let Some(span) = at.span()
        {
            let location = self.sources.location(span);
            let mut located = vec![Value::from(format!("{}:{}:", location.file, location.row))];
            located.extend(operands.iter().cloned());
            args = vec![Value::from(located)];
        }
        let result = function(&mut self.context, &args);
        self.context.prints.truncate(MAX_PRINTS);
        let value = match result {
            Ok(Value::Undefined) => return Ok(()),
            Ok(value) => value,
            Err(failure) => return self.failure(at, name, failure),
        };
        if name == "trace"
            && let Some(Value::String(message)) = args.first()
        {
            let message = message.to_string();
            self.note(at, &message);
        }
        let declared = declaration(name);
        if declared.is_some_and(|declared| declared.relation)
            && let Value::Array(values) = &value
        {
            for value in values.iter() {
                self.output(at, operands.get(parameters), value.clone(), next)?;
            }
            return Ok(());
        }
        if declared.is_some_and(|declared| declared.result.is_none()) {
            return next(self);
        }
        self.output(at, operands.get(parameters), value, next)
    }

    fn note(&mut self, at: At<'_>, message: &str) {
        let span = at.span();
        let (query, environment) = (at.query, &self.environment);
        let event = super::trace::Event {
            op: Op::Note,
            query,
            node: Node::Nothing,
            span,
            message,
            lookup: None,
            environment,
        };
        self.observer.observe(&event);
    }

    /// A failing built-in: undefined, or the end of the evaluation.
    fn failure(&mut self, at: At<'_>, name: &str, failure: Failure) -> Flow {
        let span = at.span();
        let (kind, message, is_end) = match &failure {
            Failure::Builtin(message) => (ErrorKind::Builtin, format!("{name}: {message}"), false),
            Failure::Type(message) => (ErrorKind::Type, format!("{name}: {message}"), false),
            Failure::Conflict(message) => (ErrorKind::Conflict, message.clone(), true),
            Failure::Halt(message) => {
                let is_late = Instant::now() >= self.context.deadline;
                let kind = if is_late { ErrorKind::Deadline } else { ErrorKind::Limit };
                (kind, message.clone(), true)
            }
        };
        let fault = Fault { kind, message, span };
        if is_end {
            return Err(fault.into());
        }
        // As in OPA, the evaluation goes on, and has no value in the end.
        if self.strictness == Strictness::Strict && self.failed.is_none() {
            self.failed = Some(fault.clone());
        }
        if self.context.errors.len() < ERRORS {
            self.context.errors.push(match failure {
                Failure::Type(_) => Failure::Type(fault.message),
                _ => Failure::Builtin(fault.message),
            });
        }
        Ok(())
    }
}

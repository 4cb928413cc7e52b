//! A bundle that is loaded to be explained.

use std::rc::Rc;

use regorus::Value;

use super::environment::Environment;
use super::index::Shortcuts;
use super::machine::{Fault, Flow, Machine, Stop, suppress};
use super::nodes::{Body, Expr};
use super::prepare;
use super::rules::Rules;
use super::scope::{Cell, Scope};
use super::trace::{Observer, Unobserved};
use crate::ast::{self, Module, Term, TermValue};
use crate::builtins::Context;
use crate::bundle::File;
use crate::compile::{Compiled, locals};
use crate::core::data::Data;
use crate::machine::{ErrorKind, Strictness};
use crate::policy::front_end::{self, Parsed};
use crate::policy::{Evaluation, EvaluationError, FailureKind, Moment, Settings};
use crate::report::Report;
use crate::source::{FileId, Sources, Span};

/// The place of a query that nobody wrote, which has row 1 and no file.
pub(crate) const OF_QUERY: Span = Span { file: FileId(u32::MAX), start: 0, end: 0 };

/// A bundle's policies and data, for evaluations that say why. It evaluates a hundred times slower
/// than a [`Policy`](crate::Policy), and takes several times the memory.
#[derive(Debug)]
pub struct Explainer {
    pub(crate) sources: Sources,
    /// The modules before they were compiled, for queries.
    pub(crate) parsed: Vec<Module>,
    pub(crate) compiled: Compiled,
    pub(crate) rules: Rules,
    pub(crate) data: Rc<Data>,
    pub(crate) strictness: Strictness,
}

/// What is asked, and when.
#[derive(Debug, Clone)]
pub struct Question {
    /// `input`, if there is one.
    pub input: Option<Value>,
    /// The time and the deadline.
    pub moment: Moment,
    /// Whether a built-in that fails is the evaluation's error; `None` is as the bundle was loaded.
    pub strict_builtin_errors: Option<bool>,
}

impl Explainer {
    /// Loads a bundle's files, as [`Policy::load`](crate::Policy::load) does.
    ///
    /// # Errors
    /// The faults of the first stage with any, up to a bound.
    pub fn load(files: Vec<File>, settings: &Settings) -> Result<Self, Vec<Report>> {
        let Parsed { sources, modules, data, .. } = front_end::parse(files, settings)?;
        let parsed = modules.clone();
        let compiled = front_end::compile(&sources, modules, settings.tests)?;
        let rules = prepare::rules(&compiled.modules, &compiled.tree)
            .map_err(|fault| vec![Report::of(fault, &sources)])?;
        let strictness =
            if settings.strict_builtin_errors { Strictness::Strict } else { Strictness::Lenient };
        let data = Rc::new(Data::new(data));
        Ok(Self { sources, parsed, compiled, rules, data, strictness })
    }

    /// The value of `data` at a path, or [`Value::Undefined`]; the same as
    /// [`Policy::evaluate`](crate::Policy::evaluate)'s.
    #[must_use]
    pub fn evaluate(&self, path: &[Value], question: Question) -> Evaluation<Value> {
        self.observe(path, question, &mut Unobserved)
    }

    /// The same, observed.
    pub(crate) fn observe(
        &self,
        path: &[Value],
        question: Question,
        observer: &mut dyn Observer,
    ) -> Evaluation<Value> {
        self.observe_with(path, question, Shortcuts::default(), observer)
    }

    /// The same with only some of OPA's shortcuts.
    pub(crate) fn observe_with(
        &self,
        path: &[Value],
        question: Question,
        shortcuts: Shortcuts,
        observer: &mut dyn Observer,
    ) -> Evaluation<Value> {
        let (body, name) = document_query(path);
        let mut value = Value::Undefined;
        let mut found = |_: &mut Machine<'_>, scope: &Rc<Scope>| {
            let variable = scope.get(&name).and_then(|cell: Cell| cell.ground());
            if let (Value::Undefined, Some(found)) = (&value, variable) {
                value = found;
            }
            Ok(())
        };
        let (flow, prints) = self.run(&body, (question, shortcuts), observer, &mut found);
        let result = match flow {
            Ok(()) => Ok(value),
            Err(fault) => Err(self.error(*fault)),
        };
        Evaluation { result, prints }
    }

    /// Calls `found` at each solution of a query.
    pub(crate) fn run(
        &self,
        body: &Rc<Body>,
        (question, shortcuts): (Question, Shortcuts),
        observer: &mut dyn Observer,
        found: &mut dyn FnMut(&mut Machine<'_>, &Rc<Scope>) -> Flow,
    ) -> (Result<(), Box<Fault>>, Vec<String>) {
        let Question { input, moment, strict_builtin_errors } = question;
        let strictness = match strict_builtin_errors {
            None => self.strictness,
            Some(true) => Strictness::Strict,
            Some(false) => Strictness::Lenient,
        };
        let environment = Environment::new(input, Rc::clone(&self.data));
        let context = Context::new(moment.now_ns, moment.deadline);
        let tables = (&self.rules, &self.sources);
        let mut machine = Machine::new(tables, environment, context, strictness, observer);
        machine.shortcuts = shortcuts;
        let mut flow = machine.run(body, found);
        // Each early exit that is left has an evaluation inside that ended the same way.
        while let Err(Stop::Early(_) | Stop::Deferred(_)) = flow {
            flow = suppress(flow);
        }
        let prints = machine.context.prints;
        let is_limit = |fault: &Fault| matches!(fault.kind, ErrorKind::Deadline | ErrorKind::Limit);
        let result = match (flow, machine.failed) {
            (Err(Stop::Fault(fault)), _) if is_limit(&fault) => Err(fault),
            (_, Some(failed)) => Err(Box::new(failed)),
            (Err(Stop::Fault(fault)), None) => Err(fault),
            _ => Ok(()),
        };
        (result, prints)
    }

    pub(crate) fn error(&self, fault: Fault) -> EvaluationError {
        let kind = match fault.kind {
            ErrorKind::Deadline => return EvaluationError::TimedOut,
            ErrorKind::Conflict => FailureKind::Conflict,
            ErrorKind::Builtin => FailureKind::Builtin,
            ErrorKind::Type => FailureKind::Type,
            ErrorKind::Limit | ErrorKind::Internal => FailureKind::Internal,
        };
        let location = fault.span.map(|span| self.sources.location(span));
        EvaluationError::Failed { kind, message: fault.message, location }
    }
}

/// The query of a document: `data.a.b = _`. A path is made of terms, never of text.
pub(crate) fn document_query(path: &[Value]) -> (Rc<Body>, ast::Name) {
    use super::nodes::{ExprKind, Term as Node, TermKind};
    // The name that OPA gives to it.
    let name: ast::Name = "$term1".into();
    let term = |value| Term { value, span: OF_QUERY };
    let data = term(TermValue::Var("data".into()));
    let keys = path.iter().map(|key| term(syntax(key)));
    let reference: Vec<Term> = std::iter::once(data).chain(keys).collect();
    let reference = match reference.as_slice() {
        [data] => data.clone(),
        _ => term(TermValue::Ref(reference)),
    };
    let source = locals::equality(reference, term(TermValue::Var(name.clone())), OF_QUERY);
    let node = |kind| Rc::new(Node { kind, span: OF_QUERY });
    let mut keys = vec![node(TermKind::Var("data".into()))];
    keys.extend(path.iter().map(|key| node(TermKind::Value(key.clone()))));
    let kind =
        ExprKind::Equal(node(TermKind::Ref(keys)), node(TermKind::Var(ast::Name::clone(&name))));
    let expr = Expr { kind, with: Vec::new(), negates: None, source, position: 0 };
    (Rc::new(Body { exprs: vec![Rc::new(expr)] }), name)
}

/// A value as syntax, for what is shown.
pub(crate) fn syntax(value: &Value) -> TermValue {
    let term = |value| Term { value: syntax(value), span: OF_QUERY };
    match value {
        Value::Null | Value::Undefined => TermValue::Null,
        Value::Bool(value) => TermValue::Bool(*value),
        Value::Number(_) => TermValue::Number(crate::builtins::number::text::of(value).into()),
        Value::String(text) => TermValue::String(text.as_ref().into()),
        Value::Array(array) => TermValue::Array(array.iter().map(term).collect()),
        Value::Set(set) => {
            TermValue::Set(crate::builtins::order::elements(set).into_iter().map(term).collect())
        }
        Value::Object(object) => TermValue::Object(
            crate::builtins::order::entries(object)
                .into_iter()
                .map(|(key, value)| (term(key), term(value)))
                .collect(),
        ),
    }
}

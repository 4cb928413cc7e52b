//! Recorded events, as OPA returns them: as JSON, or as lines of text.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::rc::Rc;

use regorus::Value;

use super::explainer::{Explainer, OF_QUERY, Question, syntax};
use super::nodes::{Body, Expr, Rule};
use super::prepare;
use super::trace::{Event, Node, Observer, Op};
use crate::ast::{self, Name, Term, TermValue};
use crate::compile::text;
use crate::compile::vars::is_generated;
use crate::compile::visit::{Flow, NodeMut, walk_mut};
use crate::opa_json::write::{self, Part};
use crate::policy::Evaluation;
use crate::source::Span;

/// How many events a trace keeps.
pub const MAX_EVENTS: usize = 100_000;

/// How many bytes of values and messages a trace keeps.
pub const MAX_BYTES: usize = 32 << 20;

/// The events that a trace has, by OPA's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Notes of `trace`, each with the queries that led to it.
    Notes,
    /// Failing statements, each with the queries that led to it.
    Fails,
    /// All but [`Op::Unify`].
    Full,
    /// All.
    Debug,
}

/// Recorded events.
#[derive(Debug)]
pub struct Trace<'e> {
    explainer: &'e Explainer,
    events: Vec<Recorded>,
    is_truncated: bool,
}

#[derive(Debug, Clone)]
struct Recorded {
    op: Op,
    query: u64,
    parent: u64,
    node: Kept,
    span: Option<Span>,
    message: String,
    /// The looked up document.
    document: Option<String>,
    /// A variable that has no value yet stands for another.
    locals: Vec<(Name, Result<Value, Name>)>,
}

#[derive(Debug, Clone)]
enum Kept {
    Body(Rc<Body>),
    Expr(Rc<Expr>),
    Rule(Rc<Rule>),
    /// `a = b`
    Unify(Box<(TermValue, TermValue)>),
    Nothing,
}

/// Records events.
#[derive(Debug)]
pub(crate) struct Recorder<'e> {
    mode: Mode,
    /// Whether values of variables are kept.
    with_locals: bool,
    trace: Trace<'e>,
    bytes: usize,
    /// The last beginning of each query, for [`Mode::Notes`] and [`Mode::Fails`].
    begun: HashMap<u64, Recorded>,
}

impl<'e> Recorder<'e> {
    pub(crate) fn new(explainer: &'e Explainer, mode: Mode, with_locals: bool) -> Self {
        let trace = Trace { explainer, events: Vec::new(), is_truncated: false };
        Self { mode, with_locals, trace, bytes: 0, begun: HashMap::new() }
    }

    pub(crate) fn finish(self) -> Trace<'e> {
        self.trace
    }

    fn record(&self, event: &Event<'_>) -> Recorded {
        let node = match event.node {
            Node::Body(body) => Kept::Body(Rc::clone(body)),
            Node::Expr(expr) => Kept::Expr(Rc::clone(expr)),
            Node::Rule(rule) => Kept::Rule(Rc::clone(rule)),
            Node::Unify(a, b) => Kept::Unify(Box::new((shown(a), shown(b)))),
            Node::Nothing => Kept::Nothing,
        };
        let local = |(name, cell): (Name, super::scope::Cell)| {
            let value = cell.ground().ok_or_else(|| match &cell.resolved().term.kind {
                super::nodes::TermKind::Var(name) => Name::clone(name),
                _ => "_".into(),
            });
            (name, value)
        };
        // OPA's notes have no values.
        let locals = if self.with_locals && event.op != Op::Note {
            event.query.scope.all().into_iter().map(local).collect()
        } else {
            Vec::new()
        };
        Recorded {
            op: event.op,
            query: event.query.id,
            parent: event.query.parent,
            node,
            span: event.span,
            message: event.message.to_owned(),
            document: event.lookup.map(reference),
            locals,
        }
    }

    fn keep(&mut self, event: Recorded) {
        let size = |value: &Result<Value, Name>| value.as_ref().map_or(8, size_of_value);
        let locals: usize = event.locals.iter().map(|(_, value)| size(value)).sum();
        self.bytes += event.message.len() + locals;
        if self.trace.events.len() >= MAX_EVENTS || self.bytes > MAX_BYTES {
            self.trace.is_truncated = true;
            return;
        }
        self.trace.events.push(event);
    }

    fn keep_with_path(&mut self, event: Recorded) {
        let mut path = vec![event];
        let mut query = path.first().map(|event| event.query);
        while let Some(begun) = query.and_then(|query| self.begun.remove(&query)) {
            // The outermost query is its own parent.
            query = (begun.parent != begun.query).then_some(begun.parent);
            path.push(begun);
        }
        self.begun.clear();
        path.into_iter().rev().for_each(|event| self.keep(event));
    }
}

impl Observer for Recorder<'_> {
    fn wants_parts(&self) -> bool {
        self.mode == Mode::Debug
    }

    fn observe(&mut self, event: &Event<'_>) {
        if self.trace.is_truncated {
            return;
        }
        let wanted = match self.mode {
            Mode::Debug => return self.keep(self.record(event)),
            Mode::Full if event.op == Op::Unify => return,
            Mode::Full => return self.keep(self.record(event)),
            Mode::Notes => Op::Note,
            Mode::Fails => Op::Fail,
        };
        if event.op == wanted {
            let event = self.record(event);
            self.keep_with_path(event);
        }
        let begins = matches!(event.op, Op::Enter | Op::Redo);
        if begins && matches!(event.node, Node::Body(_) | Node::Rule(_)) {
            self.begun.insert(event.query.id, self.record(event));
        }
    }
}

/// About how many bytes a value takes.
fn size_of_value(value: &Value) -> usize {
    // As deep as a document may be.
    match value {
        Value::String(text) => text.len(),
        Value::Array(array) => array.iter().map(size_of_value).sum::<usize>() + 16,
        Value::Set(set) => set.iter().map(size_of_value).sum::<usize>() + 16,
        Value::Object(object) => {
            object
                .iter()
                .map(|(key, value)| size_of_value(key) + size_of_value(value))
                .sum::<usize>()
                + 16
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => 8,
    }
}

/// A path below `data` as text.
pub(crate) fn reference(path: &[Value]) -> String {
    let term = |value| Term { value, span: OF_QUERY };
    let keys = path.iter().map(|key| term(syntax(key)));
    let terms: Vec<Term> =
        std::iter::once(term(TermValue::Var("data".into()))).chain(keys).collect();
    text::of_ref(&terms)
}

/// A term as syntax.
fn shown(cell: &super::scope::Cell) -> TermValue {
    shown_term(&cell.term)
}

fn shown_term(term: &super::nodes::Term) -> TermValue {
    use super::nodes::TermKind;
    let one = |term: &Rc<super::nodes::Term>| Term { value: shown_term(term), span: OF_QUERY };
    match &term.kind {
        TermKind::Value(value) => syntax(value),
        TermKind::Var(name) => TermValue::Var(Name::clone(name)),
        TermKind::Ref(terms) => TermValue::Ref(terms.iter().map(one).collect()),
        TermKind::Array(terms) => TermValue::Array(terms.iter().map(one).collect()),
        TermKind::Set(terms) => TermValue::Set(terms.iter().map(one).collect()),
        TermKind::Object(items) => {
            TermValue::Object(items.iter().map(|(key, value)| (one(key), one(value))).collect())
        }
        TermKind::Comprehension(comprehension) => {
            let body: ast::Body =
                comprehension.body.exprs.iter().map(|expr| expr.source.clone()).collect();
            let term = Box::new(one(&comprehension.value));
            match (comprehension.kind, &comprehension.key) {
                (super::nodes::Collection::Array, _) => {
                    TermValue::ArrayComprehension { term, body }
                }
                (super::nodes::Collection::Object, Some(key)) => {
                    TermValue::ObjectComprehension { key: Box::new(one(key)), value: term, body }
                }
                _ => TermValue::SetComprehension { term, body },
            }
        }
    }
}

impl Trace<'_> {
    /// The number of events.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are no events.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether events are missing at the end, because there were more than [`MAX_EVENTS`] or
    /// [`MAX_BYTES`].
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// The events as a JSON array: `explanation` of OPA's Data API.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = "[".to_owned();
        for (position, event) in self.events.iter().enumerate() {
            if position > 0 {
                json.push(',');
            }
            self.write_json(&mut json, event);
        }
        json.push(']');
        json
    }

    fn write_json(&self, json: &mut String, event: &Recorded) {
        let sources = &self.explainer.sources;
        let modules = &self.explainer.compiled.modules;
        let written = |part| write::part(sources, part);
        let (kind, node) = match &event.node {
            Kept::Body(body) => {
                let body: ast::Body = body.exprs.iter().map(|expr| expr.source.clone()).collect();
                ("body", written(Part::Body(&body)))
            }
            Kept::Expr(expr) => ("expr", written(Part::Expr(&expr.source, expr.position))),
            Kept::Rule(rule) => {
                let module = modules.get(rule.place.module);
                let annotations = module.map(|module| module.annotations.as_slice());
                let found = prepare::branch(modules, rule.place);
                let annotations = annotations.unwrap_or_default();
                let node = found.map(|rule| written(Part::Rule(rule, annotations)));
                ("rule", node.unwrap_or_else(|| "null".to_owned()))
            }
            Kept::Unify(terms) => ("expr", written(Part::Expr(&unification(terms), 0))),
            Kept::Nothing => ("", "null".to_owned()),
        };
        let op = event.op.as_str().to_lowercase();
        let _ = write!(
            json,
            "{{\"op\":\"{op}\",\"query_id\":{},\"parent_id\":{},\"type\":\"{kind}\",\"node\":{node},\"locals\":[",
            event.query, event.parent
        );
        for (position, (name, value)) in event.locals.iter().enumerate() {
            if position > 0 {
                json.push(',');
            }
            let value = match value {
                Ok(value) => syntax(value),
                Err(other) => TermValue::Var(Name::clone(other)),
            };
            let term = |value| write::part(sources, Part::Term(&Term { value, span: OF_QUERY }));
            let _ = write!(
                json,
                "{{\"key\":{},\"value\":{}}}",
                term(TermValue::Var(Name::clone(name))),
                term(value)
            );
        }
        json.push(']');
        if !event.message.is_empty() {
            let _ = write!(json, ",\"message\":{}", write::string(&event.message));
        }
        json.push('}');
    }

    /// The events as lines, each after its place: what `opa eval --explain` prints, and
    /// `explanation` of OPA's Data API with `pretty`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut depths: BTreeMap<u64, usize> = BTreeMap::new();
        let rows: Vec<(String, String)> = self
            .events
            .iter()
            .map(|event| {
                let depth = match depths.get(&event.query) {
                    Some(depth) => *depth,
                    None => {
                        let depth = depths.get(&event.parent).copied().unwrap_or(0) + 1;
                        depths.insert(event.query, depth);
                        depth
                    }
                };
                (self.place(event), self.line(event, depth))
            })
            .collect();
        // OPA's column is as wide as the longest place and four characters more.
        let width = rows.iter().map(|(place, _)| place.len()).max().unwrap_or(0) + 4;
        rows.into_iter().map(|(place, line)| format!("{place:width$} {line}")).collect()
    }

    fn place(&self, event: &Recorded) -> String {
        let Some(span) = event.span else { return String::new() };
        let location = self.explainer.sources.location(span);
        if location.file.is_empty() {
            format!("query:{}", location.row)
        } else {
            format!("{}:{}", location.file, location.row)
        }
    }

    fn line(&self, event: &Recorded, depth: usize) -> String {
        let is_expr = matches!(event.node, Kept::Expr(_) | Kept::Unify(_));
        let indent = match event.op {
            Op::Enter => depth,
            Op::Redo if !is_expr => depth,
            _ => depth + 1,
        };
        let mut line = "| ".repeat(indent - 1);
        let _ = write!(line, "{} ", event.op.as_str());
        if event.op == Op::Note {
            let _ = write!(line, "\"{}\"", event.message);
            return line;
        }
        match (&event.node, &event.document) {
            (Kept::Rule(rule), _) => line.push_str(&rule.name),
            (_, Some(document)) => line.push_str(document),
            (Kept::Body(body), None) => {
                let body: ast::Body =
                    body.exprs.iter().map(|expr| self.renamed(&expr.source)).collect();
                line.push_str(&text::of_body(&body));
            }
            (Kept::Expr(expr), None) => {
                let mut expr = self.renamed(&expr.source);
                if let ast::ExprKind::Every(every) = &mut expr.kind
                    && every.key.as_ref().is_some_and(
                        |key| matches!(&key.value, TermValue::Var(name) if is_generated(name)),
                    )
                {
                    every.key = None;
                }
                line.push_str(&text::of_expr(&expr));
            }
            (Kept::Unify(terms), None) => {
                line.push_str(&text::of_expr(&self.renamed(&unification(terms))));
            }
            (Kept::Nothing, None) => {}
        }
        if !event.message.is_empty() {
            let _ = write!(line, " {}", event.message);
        }
        line
    }

    /// A statement with the names of variables that the policy has.
    fn renamed(&self, expr: &ast::Expr) -> ast::Expr {
        self.explainer.renamed(expr)
    }
}

impl Explainer {
    /// The value of `data` at a path, and the events of its evaluation. `with_locals` keeps the values of variables,
    /// which [`Trace::to_json`] has.
    pub fn trace(
        &self,
        path: &[Value],
        question: Question,
        mode: Mode,
        with_locals: bool,
    ) -> (Evaluation<Value>, Trace<'_>) {
        let mut recorder = Recorder::new(self, mode, with_locals);
        let evaluation = self.observe(path, question, &mut recorder);
        (evaluation, recorder.finish())
    }

    /// A statement with the names of variables that the policy has.
    pub(crate) fn renamed(&self, expr: &ast::Expr) -> ast::Expr {
        let mut expr = expr.clone();
        walk_mut(NodeMut::Expr(&mut expr), &mut |node| {
            if let NodeMut::Term(term) = node {
                self.rename(term);
            }
            Flow::Into
        });
        expr
    }

    fn rename(&self, term: &mut Term) {
        if let TermValue::Var(name) = &mut term.value
            && let Some(original) = self.compiled.rewritten.get(name)
        {
            *name = Name::clone(original);
        }
    }
}

fn unification(terms: &(TermValue, TermValue)) -> ast::Expr {
    let term = |value: &TermValue| Term { value: value.clone(), span: OF_QUERY };
    crate::compile::locals::equality(term(&terms.0), term(&terms.1), OF_QUERY)
}

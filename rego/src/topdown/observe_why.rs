//! Makes a [`Why`] of an evaluation's events.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use regorus::Value;

use super::environment::{Environment, Known};
use super::explainer::{Explainer, Question};
use super::index::Shortcuts;
use super::nodes::{Body, Expr, ExprKind, Operator, Rule, Term as Node, TermKind};
use super::record::reference;
use super::rules::{self, Document};
use super::scope::{Cell, Scope};
use super::trace::{self, Event, Observer, Op};
use super::why::{
    Attempt, MAX_ATTEMPTS, MAX_RULES, MAX_SOURCE, MAX_STATEMENTS, MAX_TEXT, MAX_VALUE, MAX_VALUES,
    Named, Place, RuleOutcome, RuleWhy, StatementOutcome, StatementWhy, Why, cut,
};
use crate::ast::{self, Term, TermValue};
use crate::builtins::json::write;
use crate::builtins::table::declaration;
use crate::compile::text;
use crate::compile::vars::{is_generated, is_wildcard};
use crate::core::data;
use crate::policy::Evaluation;
use crate::source::Span;

/// How long the text of a call or reference may be that stands beside its value.
const MAX_NAME: usize = 120;

impl Explainer {
    /// The value of `data` at a path, and why it is this one.
    #[must_use]
    pub fn why(&self, path: &[Value], question: Question) -> (Evaluation<Value>, Why) {
        let evaluation = self.evaluate(path, question.clone());
        let mut watcher = Watcher::new(self);
        // Rules that OPA's index leaves out are evaluated too, so that one sees why they do not hold.
        let shortcuts = Shortcuts { index: false, ..Shortcuts::default() };
        let _: Evaluation<Value> = self.observe_with(path, question, shortcuts, &mut watcher);
        let mut why = watcher.finish(reference(path));
        match &evaluation.result {
            Ok(Value::Undefined) => {}
            Ok(value) => why.value = Some(cut(&json(value), MAX_VALUE).0),
            Err(error) => why.error = Some(error.to_string()),
        }
        (evaluation, why)
    }
}

fn json(value: &Value) -> String {
    write::marshal(value, None).unwrap_or_else(|_| value.to_string())
}

/// Follows an evaluation.
struct Watcher<'e> {
    explainer: &'e Explainer,
    documents: BTreeMap<Rc<[Value]>, &'e Document>,
    /// The looked up documents in order.
    looked_up: Vec<&'e Document>,
    seen: HashSet<*const Document>,
    rules: HashMap<usize, RuleFacts>,
    bodies: HashMap<*const Body, Rc<Statements>>,
    facts: HashMap<(*const Body, usize), Facts>,
    text: usize,
    is_truncated: bool,
}

#[derive(Debug, Default)]
struct RuleFacts {
    entered: u32,
    held: u32,
    value: Option<String>,
}

/// The statements of a body as the author wrote them: the compiler makes several of one.
#[derive(Debug, Default)]
struct Statements {
    groups: Vec<(Span, Vec<Rc<Expr>>)>,
    /// The group of each compiled statement, and its position there.
    places: HashMap<*const Expr, (usize, usize)>,
}

impl Statements {
    fn new(body: &Body) -> Self {
        let contains = |outer: Span, inner: Span| {
            outer.file == inner.file && outer.start <= inner.start && inner.end <= outer.end
        };
        let outermost = |span: Span| {
            let spans = body.exprs.iter().map(|expr| expr.source.span);
            let around = spans.filter(|other| contains(*other, span));
            around.max_by_key(|span| span.end - span.start).unwrap_or(span)
        };
        let mut statements = Self::default();
        for expr in &body.exprs {
            let span = outermost(expr.source.span);
            let group = statements.groups.iter().position(|(other, _)| *other == span);
            let group = group.unwrap_or_else(|| {
                statements.groups.push((span, Vec::new()));
                statements.groups.len() - 1
            });
            if let Some((_, members)) = statements.groups.get_mut(group) {
                statements.places.insert(Rc::as_ptr(expr), (group, members.len()));
                members.push(Rc::clone(expr));
            }
        }
        statements
    }
}

/// What is known of a statement.
#[derive(Debug, Default)]
struct Facts {
    evaluated: u32,
    held: u32,
    failed: u32,
    attempts: Vec<Attempt>,
}

impl<'e> Watcher<'e> {
    fn new(explainer: &'e Explainer) -> Self {
        Self {
            explainer,
            documents: rules::documents(&explainer.rules),
            looked_up: Vec::new(),
            seen: HashSet::new(),
            rules: HashMap::new(),
            bodies: HashMap::new(),
            facts: HashMap::new(),
            text: 0,
            is_truncated: false,
        }
    }

    /// Notes that text is kept: whether there is room for it.
    fn takes(&mut self, length: usize) -> bool {
        self.text += length;
        let fits = self.text <= MAX_TEXT;
        self.is_truncated |= !fits;
        fits
    }

    fn body(&mut self, body: &Rc<Body>) -> Rc<Statements> {
        let statements = self.bodies.entry(Rc::as_ptr(body));
        Rc::clone(statements.or_insert_with(|| Rc::new(Statements::new(body))))
    }

    /// Follows a part of a statement.
    fn part(&mut self, expr: &Rc<Expr>, event: &Event<'_>) {
        let body = Rc::as_ptr(&event.query.body);
        let statements = self.body(&event.query.body);
        let Some((group, position)) = statements.places.get(&Rc::as_ptr(expr)).copied() else {
            return;
        };
        let Some((_, members)) = statements.groups.get(group) else { return };
        let is_last = position + 1 == members.len();
        let facts = self.facts.entry((body, group)).or_default();
        let held = match event.op {
            Op::Eval => {
                facts.evaluated += u32::from(position == 0);
                return;
            }
            Op::Fail => false,
            Op::Redo if is_last => true,
            _ => return,
        };
        if held {
            facts.held += 1;
        } else {
            facts.failed += 1;
        }
        let (scope, environment) = (&event.query.scope, event.environment);
        let mut values =
            Values { explainer: self.explainer, scope, environment, found: Vec::new() };
        members.iter().take(position + 1).for_each(|expr| values.add_all(expr));
        let values = values.found;
        let length = |named: &Named| named.name.len() + named.value.as_ref().map_or(0, String::len);
        if !self.takes(values.iter().map(length).sum()) {
            return;
        }
        if let Some(facts) = self.facts.get_mut(&(body, group)) {
            if facts.attempts.len() >= MAX_ATTEMPTS {
                facts.attempts.pop();
            }
            facts.attempts.push(Attempt { held, values });
        }
    }
}

impl Observer for Watcher<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        match (event.op, event.node) {
            (Op::Index, _) => {
                let Some(path) = event.lookup else { return };
                if let Some(document) = self.documents.get(path).copied()
                    && self.seen.insert(std::ptr::from_ref(document))
                {
                    self.looked_up.push(document);
                }
            }
            (Op::Enter, trace::Node::Rule(rule)) => {
                self.rules.entry(rule.id).or_default().entered += 1;
            }
            (Op::Exit, trace::Node::Rule(rule)) => {
                let value = rule.value.as_ref().filter(|_| !rule.is_dynamic());
                let value = value.and_then(|value| Cell::new(value, &event.query.scope).ground());
                let facts = self.rules.entry(rule.id).or_default();
                facts.held += 1;
                facts.value = value.map(|value| cut(&json(&value), MAX_VALUE).0);
            }
            (Op::Eval | Op::Fail | Op::Redo, trace::Node::Expr(expr)) => self.part(expr, event),
            _ => {}
        }
    }
}

/// The values of what a statement reads.
struct Values<'v> {
    explainer: &'v Explainer,
    scope: &'v Rc<Scope>,
    environment: &'v Environment,
    found: Vec<Named>,
}

impl Values<'_> {
    fn add_all(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Equal(left, right) => {
                self.term(left);
                self.term(right);
            }
            ExprKind::Call(operator, operands) => {
                // A call with as many operands as parameters is a statement of its own: `x in xs`.
                let has_output = match operator {
                    Operator::Builtin(name) => {
                        declaration(name).is_none_or(|declared| operands.len() > declared.arity())
                    }
                    Operator::Function(_) => true,
                };
                let (output, args) = match operands.split_last() {
                    // The compiler has given the value of the call a variable.
                    Some((output, args)) if has_output && self.is_unnamed(output) => {
                        (Some(output), args)
                    }
                    _ => (None, operands.as_slice()),
                };
                args.iter().for_each(|operand| self.term(operand));
                let call = self.explainer.sources.text(expr.source.span);
                let value = output.and_then(|output| Cell::new(output, self.scope).ground());
                if value.is_some() && call.len() < MAX_NAME && !call.contains('\n') {
                    self.add(call.to_owned(), value);
                }
            }
            ExprKind::Every(every) => self.term(&every.domain),
            ExprKind::Not(_) | ExprKind::And(..) | ExprKind::Or(..) => {}
        }
    }

    fn is_unnamed(&self, term: &Node) -> bool {
        matches!(&term.kind, TermKind::Var(name) if self.explainer.name_of(name).is_none())
    }

    fn term(&mut self, term: &Rc<Node>) {
        match &term.kind {
            TermKind::Var(name) => {
                if let Some(shown) = self.explainer.name_of(name) {
                    self.add(shown, Cell::new(term, self.scope).ground());
                }
            }
            TermKind::Ref(terms) => {
                // A key without a name, as in `xs[_]`, ends what is shown.
                let named = terms.iter().take_while(|key| !self.is_unnamed(key));
                let named: Vec<_> = named.cloned().collect();
                if named.len() > 1
                    && let Some(shown) = self.explainer.reference_text(&named)
                {
                    let value = self.reference(&named);
                    self.add(shown, value);
                }
                terms.iter().skip(1).for_each(|key| self.term(key));
            }
            TermKind::Array(terms) | TermKind::Set(terms) => {
                terms.iter().for_each(|term| self.term(term));
            }
            TermKind::Object(items) => items.iter().for_each(|(key, value)| {
                self.term(key);
                self.term(value);
            }),
            TermKind::Value(_) | TermKind::Comprehension(_) => {}
        }
    }

    /// The value of a reference, as far as it is known without evaluation.
    fn reference(&self, terms: &[Rc<Node>]) -> Option<Value> {
        let (head, keys) = terms.split_first()?;
        let keys = keys.iter().map(|key| Cell::new(key, self.scope).ground());
        let keys: Vec<Value> = keys.collect::<Option<_>>()?;
        let TermKind::Var(name) = &head.kind else { return None };
        let (start, keys) = match &**name {
            "input" => (self.environment.input.clone()?, keys.as_slice()),
            "data" => {
                let known = (0..=keys.len()).rev().find_map(|length| {
                    let path = keys.get(..length)?;
                    let known = self.environment.known(&Known::Document(path.to_vec()));
                    Some((known??, length))
                });
                match known {
                    Some((value, length)) => (value, keys.get(length..)?),
                    None => {
                        let rules = &self.explainer.rules.root;
                        if rules.find(&keys).is_some() {
                            return None;
                        }
                        return self.environment.data.find_extent(&keys).cloned();
                    }
                }
            }
            _ => (Cell::new(head, self.scope).ground()?, keys.as_slice()),
        };
        keys.iter().try_fold(start, |value, key| data::value_at(&value, key).cloned())
    }

    fn add(&mut self, name: String, value: Option<Value>) {
        if self.found.len() < MAX_VALUES && self.found.iter().all(|named| named.name != name) {
            let value = value.map(|value| cut(&json(&value), MAX_VALUE).0);
            self.found.push(Named { name, value });
        }
    }
}

impl Explainer {
    /// A variable as the policy writes it: its own name, or the reference or call that the compiler
    /// has put into it. Wildcards and constants have none.
    fn name_of(&self, name: &ast::Name) -> Option<String> {
        if let Some(subject) = self.compiled.subjects.get(name) {
            let is_named = match subject {
                TermValue::Ref(terms) => {
                    terms.first().is_some_and(|head| matches!(head.value, TermValue::Var(_)))
                }
                TermValue::Var(_) | TermValue::Call(_) => true,
                _ => false,
            };
            let term = Term { value: subject.clone(), span: super::explainer::OF_QUERY };
            let text = self.term_text(&term);
            return (is_named && text.len() < MAX_NAME && !text.contains("__local"))
                .then_some(text);
        }
        let original = self.compiled.rewritten.get(name).unwrap_or(name);
        (!is_generated(original) && !is_wildcard(original)).then(|| original.to_string())
    }

    fn term_text(&self, term: &Term) -> String {
        let kind = ast::ExprKind::Term(term.clone());
        let expr = crate::compile::locals::statement(kind, term.span);
        text::of_expr(&self.renamed(&expr))
    }

    /// A reference as the policy writes it.
    fn reference_text(&self, terms: &[Rc<Node>]) -> Option<String> {
        let part = |term: &Rc<Node>| {
            let value = match &term.kind {
                TermKind::Value(value) => super::explainer::syntax(value),
                TermKind::Var(name) => match self.compiled.subjects.get(name) {
                    Some(subject) => subject.clone(),
                    None => TermValue::Var(ast::Name::clone(name)),
                },
                _ => return None,
            };
            Some(Term { value, span: term.span })
        };
        let terms: Vec<Term> = terms.iter().map(part).collect::<Option<_>>()?;
        let term = Term { value: TermValue::Ref(terms), span: super::explainer::OF_QUERY };
        let text = self.term_text(&term);
        (text.len() < MAX_NAME).then_some(text)
    }

    fn place(&self, span: Span) -> Place {
        let location = self.sources.location(span);
        Place { file: location.file.to_string(), row: location.row, col: location.col }
    }
}

impl Watcher<'_> {
    fn finish(mut self, document: String) -> Why {
        let mut rules = Vec::new();
        for document in std::mem::take(&mut self.looked_up) {
            let defaults = document.default.iter();
            for first in document.rules.iter().chain(defaults) {
                let chain = std::iter::successors(Some(first), |rule| rule.other.as_ref());
                for rule in chain {
                    if rules.len() >= MAX_RULES {
                        self.is_truncated = true;
                        break;
                    }
                    rules.push(self.rule(rule, document));
                }
            }
        }
        Why { document, value: None, error: None, rules, is_truncated: self.is_truncated }
    }

    fn source(&mut self, span: Span) -> String {
        let (source, is_cut) = cut(self.explainer.sources.text(span), MAX_SOURCE);
        self.is_truncated |= is_cut;
        if self.takes(source.len()) { source } else { "…".to_owned() }
    }

    fn rule(&mut self, rule: &Rc<Rule>, document: &Document) -> RuleWhy {
        let is_default = document.default.as_ref().is_some_and(|default| Rc::ptr_eq(default, rule));
        let RuleFacts { entered, held, value } = self.rules.remove(&rule.id).unwrap_or_default();
        let outcome = match (entered, held) {
            (_, 1..) => RuleOutcome::Held,
            (1.., 0) => RuleOutcome::Failed,
            (0, 0) => RuleOutcome::NotReached,
        };
        let statements = if rule.is_generated { Vec::new() } else { self.statements(&rule.body) };
        RuleWhy {
            name: rule.name.to_string(),
            place: self.explainer.place(rule.span),
            source: self.source(rule.span),
            outcome,
            value,
            is_default,
            is_else: rule.place.branch > 0,
            evaluations: entered,
            statements,
        }
    }

    /// The statements of a body.
    fn statements(&mut self, body: &Rc<Body>) -> Vec<StatementWhy> {
        let statements = self.body(body);
        self.is_truncated |= statements.groups.len() > MAX_STATEMENTS;
        let groups = statements.groups.iter().enumerate().take(MAX_STATEMENTS);
        groups
            // What the compiler has added has no text.
            .filter(|(_, (span, _))| !span.is_empty())
            .map(|(group, (span, members))| {
                let facts = self.facts.remove(&(Rc::as_ptr(body), group)).unwrap_or_default();
                self.statement(*span, members, facts)
            })
            .collect()
    }

    fn statement(&mut self, span: Span, members: &[Rc<Expr>], facts: Facts) -> StatementWhy {
        let Facts { evaluated, held, failed, attempts } = facts;
        let mut inside = Vec::new();
        // As deep as the policy's syntax, which the parser bounds.
        for body in members.iter().flat_map(|expr| inner_bodies(expr)) {
            inside.extend(self.statements(&body));
        }
        let text = self.explainer.sources.text(span);
        inside.retain(|inner| inner.source != text);
        inside.truncate(MAX_STATEMENTS);
        // No event says that a negated statement holds.
        let is_negated = members.last().is_some_and(|expr| expr.negates.is_some());
        let held = if is_negated { evaluated.saturating_sub(failed) } else { held };
        let outcome = match (evaluated, held) {
            (_, 1..) => StatementOutcome::Held,
            (0, 0) => StatementOutcome::NotReached,
            (1.., 0) => StatementOutcome::Failed,
        };
        let source = self.source(span);
        let place = self.explainer.place(span);
        StatementWhy { place, source, outcome, held, failed, attempts, inside }
    }
}

/// The bodies in a statement.
fn inner_bodies(expr: &Expr) -> Vec<Rc<Body>> {
    let mut bodies = Vec::new();
    match &expr.kind {
        ExprKind::Every(every) => bodies.push(Rc::clone(&every.body)),
        ExprKind::Not(body) => bodies.push(Rc::clone(body)),
        ExprKind::And(left, right) | ExprKind::Or(left, right) => {
            bodies.extend([Rc::clone(left), Rc::clone(right)]);
        }
        ExprKind::Term(term) => comprehensions(term, &mut bodies),
        ExprKind::Equal(left, right) => {
            comprehensions(left, &mut bodies);
            comprehensions(right, &mut bodies);
        }
        ExprKind::Call(_, operands) => {
            operands.iter().for_each(|operand| comprehensions(operand, &mut bodies));
        }
    }
    bodies
}

fn comprehensions(term: &Node, bodies: &mut Vec<Rc<Body>>) {
    match &term.kind {
        TermKind::Comprehension(comprehension) => bodies.push(Rc::clone(&comprehension.body)),
        TermKind::Array(terms) | TermKind::Set(terms) | TermKind::Ref(terms) => {
            terms.iter().for_each(|term| comprehensions(term, bodies));
        }
        TermKind::Object(items) => items.iter().for_each(|(key, value)| {
            comprehensions(key, bodies);
            comprehensions(value, bodies);
        }),
        TermKind::Value(_) | TermKind::Var(_) => {}
    }
}

//! Declarations in each kind of statement.
//!
//! OPA visits some statements twice, once as a declaration and once as an expression, and counts
//! visited calls as visited variables. Both affect which bodies are refused, so both are kept.

use std::collections::BTreeMap;

use crate::ast::{
    Body, Every, Expr, ExprKind, Logical, Name, NotBlock, Rule, TemplatePart, Term, TermValue, With,
};
use crate::compile::locals::{LocalGenerator, operator, statement};
use crate::compile::order::{sort_object, sort_set};
use crate::compile::outputs::outputs_of_equality;
use crate::compile::resolve::root_document;
use crate::compile::scope::{declared_in_expr, is_assignment};
use crate::compile::text;
use crate::compile::vars::{
    Skip, VarSet, is_generated, is_wildcard, vars_of_body, vars_of_term, vars_of_terms,
};
use crate::compile::visit::{Flow, Node, NodeMut, is_scalar, walk, walk_mut};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

use super::scopes::{Occurrence, Scopes};

/// How many times the terms of a rule may be visited on average. Each `every`, `not`, `and` or `or`
/// visits its content twice, so each nested closure doubles the time: a handwritten rule needs less
/// than a tenth of this.
const MAX_VISITS: usize = 64;

/// Visits of a rule's terms that are always allowed.
const FREE_VISITS: usize = 100_000;

/// Visits a rule's statements.
pub(super) struct Rewriter<'a> {
    pub(super) locals: &'a mut LocalGenerator,
    pub(super) scopes: Scopes,
    /// The faults of declarations.
    pub(super) errors: Vec<Diagnostic>,
    /// Declared variables that are not used.
    pub(super) unused: Vec<Diagnostic>,
    /// How many terms may still be visited.
    visits: usize,
}

/// The fault of an assignment in a body whose variables are not visible outside.
#[derive(Clone, Copy)]
enum Implicit {
    Not,
    And,
    Or,
}

impl Implicit {
    const fn message(self) -> &'static str {
        match self {
            Self::Not => "cannot assign vars inside negated expression",
            Self::And => "cannot assign vars inside implicit and operand",
            Self::Or => "cannot assign vars inside implicit or operand",
        }
    }
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(locals: &'a mut LocalGenerator, rule: &Rule) -> Self {
        let mut terms = 0;
        for node in [Node::Head(&rule.head), Node::Body(&rule.body)] {
            walk(node, &mut |node| {
                terms += usize::from(matches!(node, Node::Term(_)));
                Flow::Into
            });
        }
        let (errors, unused) = (Vec::new(), Vec::new());
        let visits = terms.saturating_mul(MAX_VISITS).saturating_add(FREE_VISITS);
        Self { locals, scopes: Scopes::default(), errors, unused, visits }
    }

    /// Visits a node without a scope around it.
    pub(super) fn in_fresh_scopes(&mut self, rewrite: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.scopes);
        let unused = std::mem::take(&mut self.unused);
        rewrite(self);
        let inner = std::mem::replace(&mut self.scopes, outer);
        self.scopes.adopt(inner);
        let found = std::mem::replace(&mut self.unused, unused);
        self.unused.extend(found);
    }

    fn error(&mut self, message: impl Into<String>, span: Span) {
        self.errors.push(Diagnostic::new(Code::Compile, message, span));
    }

    /// Gives a variable that a statement declares a unique name.
    fn declare(&mut self, var: &Name, occurrence: Occurrence) -> Result<Name, String> {
        match self.scopes.occurrence(var) {
            Some(Occurrence::Seen) => Err(format!("var {} referenced above", text::of_var(var))),
            Some(Occurrence::Assigned) => Err(format!("var {} assigned above", text::of_var(var))),
            Some(Occurrence::Declared) => Err(format!("var {} declared above", text::of_var(var))),
            Some(Occurrence::Parameter) => Err(format!("arg {} redeclared", text::of_var(var))),
            None => {
                let name = self.locals.generate();
                self.scopes.insert(var, &name, occurrence);
                Ok(name)
            }
        }
    }

    /// Visits the statements of a scope. `used` are the variables that the rule's head or the
    /// comprehension's term uses.
    pub(super) fn body(&mut self, used: &VarSet, body: &mut Body) {
        let span = body.first().map(|expr| expr.span);
        let declared: Vec<_> =
            body.iter().map(|expr| (expr.span, declared_lastingly(expr))).collect();
        let mut rewritten = Body::with_capacity(body.len());
        for expr in std::mem::take(body) {
            rewritten.extend(self.expr(expr));
        }
        if let Some(span) = span
            && rewritten.is_empty()
        {
            let always = Term { value: TermValue::Bool(true), span };
            rewritten.push(statement(ExprKind::Term(always), span));
        }
        *body = rewritten;
        self.check_unused(&declared, used, body);
    }

    /// Every variable that `some` or `every` declares must be used.
    fn check_unused(&mut self, declared: &[(Span, VarSet)], used: &VarSet, body: &Body) {
        if !self.errors.is_empty() || !self.unused.is_empty() {
            return;
        }
        let mut originals: BTreeMap<&Name, &Name> = BTreeMap::new();
        for (var, name) in self.scopes.declared() {
            originals.insert(name, var);
        }
        if originals.is_empty() {
            return;
        }
        let mut in_use = vars_of_body(body, Skip::default());
        for var in used.iter() {
            in_use.add(self.scopes.name_of(var).unwrap_or(var));
        }
        let unused = originals.into_iter().filter(|(name, var)| {
            !in_use.contains(name) && !used.contains(name) && !is_generated(var)
        });
        let first = declared.first().map(|(span, _)| *span);
        let errors: Vec<_> = unused
            .filter_map(|(_, var)| {
                let place = declared.iter().find(|(_, vars)| vars.contains(var));
                let span = place.map(|(span, _)| *span).or(first)?;
                let message = format!("declared var {} unused", text::of_var(var));
                Some(Diagnostic::new(Code::Compile, message, span))
            })
            .collect();
        self.unused.extend(errors);
    }

    /// The rewritten statement; `None` where it only declares.
    fn expr(&mut self, mut expr: Expr) -> Option<Expr> {
        if is_assignment(&expr) {
            self.assignment(&mut expr);
            return Some(expr);
        }
        match &mut expr.kind {
            ExprKind::Some(symbols) => {
                let symbols = std::mem::take(symbols);
                self.some(expr, symbols)
            }
            ExprKind::Every(every) => {
                let declared = self.every(every);
                if declared {
                    self.expression(&mut expr);
                }
                self.scopes.pop();
                declared.then_some(expr)
            }
            ExprKind::Not(_) => {
                self.not(&mut expr);
                Some(expr)
            }
            ExprKind::And(_) | ExprKind::Or(_) => {
                self.logical(&mut expr);
                Some(expr)
            }
            ExprKind::Term(_) | ExprKind::Call(_) => {
                self.expression(&mut expr);
                Some(expr)
            }
        }
    }

    /// Opens the scope of an `every`, and visits all of it once. The caller closes the scope.
    fn every(&mut self, every: &mut Every) -> bool {
        self.term_and_below(&mut every.domain);
        self.scopes.push();
        if let Some(key) = &mut every.key {
            if !self.declare_term(key, every.span) {
                return false;
            }
        } else {
            every.key = Some(self.locals.generate_term(every.span));
        }
        if !self.declare_term(&mut every.value, every.span) {
            return false;
        }
        self.body(&VarSet::default(), &mut every.body);
        true
    }

    fn declare_term(&mut self, term: &mut Term, span: Span) -> bool {
        if let TermValue::Var(var) = &mut term.value
            && !is_wildcard(var)
        {
            match self.declare(var, Occurrence::Declared) {
                Ok(name) => *var = name,
                Err(message) => {
                    self.error(message, span);
                    return false;
                }
            }
        }
        true
    }

    fn some(&mut self, mut expr: Expr, symbols: Vec<Term>) -> Option<Expr> {
        for symbol in symbols {
            let terms = match symbol.value {
                TermValue::Var(var) => {
                    if let Err(message) = self.declare(&var, Occurrence::Declared) {
                        self.error(message, expr.span);
                        return None;
                    }
                    continue;
                }
                TermValue::Call(terms) => terms,
                _ => continue,
            };
            let (key, value, collection) = match <[Term; 4]>::try_from(terms) {
                Ok([_, key, value, collection]) => (Some(key), value, collection),
                Err(terms) => match <[Term; 3]>::try_from(terms) {
                    Ok([_, value, collection]) => (None, value, collection),
                    Err(_) => continue,
                },
            };
            let key = key.unwrap_or_else(|| self.locals.generate_term(collection.span));
            if !self.check_collection(&key, &value, &collection, expr.span) {
                return None;
            }
            let bound = vars_of_term(&collection, Skip::default());
            let elements = element_of(collection, key);
            expr.kind = ExprKind::Call(vec![operator("eq", expr.span), value, elements]);
            for var in outputs_of_equality(&expr, &bound).iter() {
                if let Err(message) = self.declare(var, Occurrence::Declared) {
                    self.error(message, expr.span);
                    return None;
                }
            }
            self.expression(&mut expr);
            return Some(expr);
        }
        None
    }

    /// A variable that `some … in` binds must not be in its collection.
    fn check_collection(
        &mut self,
        key: &Term,
        value: &Term,
        collection: &Term,
        span: Span,
    ) -> bool {
        let bound = vars_of_terms([key, value], Skip::PATTERN);
        let skip = Skip { closures: true, ..Skip::default() };
        let both = bound.intersect(&vars_of_term(collection, skip));
        let mut fine = true;
        for var in both.iter().filter(|var| !is_wildcard(var)) {
            self.error(format!("var {var} assigned before"), span);
            fine = false;
        }
        fine
    }

    fn not(&mut self, expr: &mut Expr) {
        let ExprKind::Not(not) = &mut expr.kind else { return };
        if !not.explicit {
            let before = self.errors.len();
            self.implicit(&mut not.body, Implicit::Not);
            if self.errors.len() == before {
                self.expression(expr);
            }
            return;
        }
        self.scopes.push();
        let NotBlock { body, .. } = not;
        self.body(&VarSet::default(), body);
        self.expression(expr);
        self.scopes.pop();
    }

    fn logical(&mut self, expr: &mut Expr) {
        let before = self.errors.len();
        match &mut expr.kind {
            ExprKind::And(logical) => self.sides(logical, Implicit::And),
            ExprKind::Or(logical) => self.sides(logical, Implicit::Or),
            _ => {}
        }
        if self.errors.len() == before {
            self.expression(expr);
        }
    }

    fn sides(&mut self, logical: &mut Logical, implicit: Implicit) {
        let sides = [
            (&mut logical.left, logical.explicit_left),
            (&mut logical.right, logical.explicit_right),
        ];
        for (body, explicit) in sides {
            if explicit {
                self.scopes.push();
                self.body(&VarSet::default(), body);
                self.scopes.pop();
            } else {
                self.implicit(body, implicit);
            }
        }
    }

    /// A body without braces is not a scope, and cannot declare.
    fn implicit(&mut self, body: &mut Body, implicit: Implicit) {
        for expr in body {
            match &expr.kind {
                ExprKind::Call(_) if is_assignment(expr) => {
                    self.error(implicit.message(), expr.span);
                }
                ExprKind::Not(_) => self.not(expr),
                ExprKind::And(_) | ExprKind::Or(_) => self.logical(expr),
                ExprKind::Call(_) | ExprKind::Term(_) | ExprKind::Some(_) | ExprKind::Every(_) => {}
            }
        }
    }

    fn assignment(&mut self, expr: &mut Expr) {
        let span = expr.span;
        if expr.negated {
            self.error(Implicit::Not.message(), span);
            return;
        }
        let ExprKind::Call(terms) = &mut expr.kind else { return };
        let [operator_term, left, right] = terms.as_mut_slice() else { return };
        let before = self.errors.len();
        self.term_and_below(right);
        for with in &mut expr.with {
            self.term_and_below(&mut with.value);
        }
        self.target(left);
        if self.errors.len() == before {
            *operator_term = operator("eq", operator_term.span);
            expr.from_assignment = true;
        }
    }

    /// The left side of `:=`.
    fn target(&mut self, term: &mut Term) {
        let span = term.span;
        match &mut term.value {
            TermValue::Var(var) => match self.declare(var, Occurrence::Assigned) {
                Ok(name) => *var = name,
                Err(message) => self.error(message, span),
            },
            TermValue::Array(elements) => {
                for element in elements {
                    self.target(element);
                }
            }
            TermValue::Object(pairs) => {
                for (_, value) in pairs {
                    self.target(value);
                }
            }
            value => {
                if let Some(name) = root_document(value).cloned() {
                    match self.declare(&name, Occurrence::Assigned) {
                        Ok(name) => term.value = TermValue::Var(name),
                        Err(message) => self.error(message, span),
                    }
                } else {
                    self.error(format!("cannot assign to {}", text::kind(value)), span);
                }
            }
        }
    }

    /// Gives the variables of a statement their names. All nodes under it are visited, including
    /// finished scopes.
    fn expression(&mut self, expr: &mut Expr) {
        walk_mut(NodeMut::Expr(expr), &mut |node| match node {
            NodeMut::Term(term) => self.term(term),
            NodeMut::With(with) => {
                self.with(with);
                Flow::Over
            }
            _ => Flow::Into,
        });
    }

    fn term_and_below(&mut self, term: &mut Term) {
        walk_mut(NodeMut::Term(term), &mut |node| match node {
            NodeMut::Term(term) => self.term(term),
            _ => Flow::Into,
        });
    }

    fn term(&mut self, term: &mut Term) -> Flow {
        match self.visits.checked_sub(1) {
            Some(left) => self.visits = left,
            None => {
                if self.errors.is_empty() {
                    let message = "closures are nested too deep to tell their variables apart";
                    self.errors.push(Diagnostic::new(Code::Bundle, message, term.span));
                }
                return Flow::Over;
            }
        }
        match &mut term.value {
            TermValue::Var(var) => {
                if let Some(name) = self.scopes.name_of(var) {
                    *var = Name::clone(name);
                } else {
                    self.scopes.insert(var, var, Occurrence::Seen);
                }
                Flow::Over
            }
            TermValue::Ref(_) => self.reference(term),
            TermValue::Call(terms) => {
                if let Some(function) = terms.first()
                    && self.is_shadowed(function)
                {
                    let message = format!("called function {} shadowed", text::of_term(function));
                    self.error(message, term.span);
                }
                Flow::Into
            }
            TermValue::Object(pairs) => {
                for (key, value) in &mut *pairs {
                    for term in [key, value] {
                        if !is_scalar(&term.value) {
                            self.term_and_below(term);
                        }
                    }
                }
                sort_object(pairs);
                Flow::Over
            }
            TermValue::Set(members) => {
                for member in &mut *members {
                    if !is_scalar(&member.value) {
                        self.term_and_below(member);
                    }
                }
                sort_set(members);
                Flow::Over
            }
            TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. } => {
                self.comprehension(&mut term.value);
                Flow::Over
            }
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Array(_)
            | TermValue::TemplateString { .. } => Flow::Into,
        }
    }

    /// `data` and `input` alone are variables only where they are declared.
    fn reference(&mut self, term: &mut Term) -> Flow {
        let Some(name) = root_document(&term.value) else { return Flow::Into };
        match self.scopes.occurrence_anywhere(name) {
            None | Some(Occurrence::Seen) => {}
            Some(Occurrence::Parameter | Occurrence::Assigned | Occurrence::Declared) => {
                if let Some(local) = self.scopes.name_of(name).cloned()
                    && local != *name
                {
                    term.value = TermValue::Var(local);
                }
            }
        }
        Flow::Over
    }

    /// Whether a function's name is a variable's name here. Functions are not values.
    fn is_shadowed(&self, function: &Term) -> bool {
        let mut shadowed = false;
        walk(Node::Term(function), &mut |node| {
            if let Node::Term(Term { value: TermValue::Var(var), .. }) = node {
                shadowed |= self.scopes.name_of(var).is_some_and(|name| name != var);
            }
            Flow::Into
        });
        shadowed
    }

    /// A comprehension is a scope.
    pub(super) fn comprehension(&mut self, value: &mut TermValue) {
        match value {
            TermValue::ArrayComprehension { term, body }
            | TermValue::SetComprehension { term, body } => {
                let used = vars_of_term(term, Skip::default());
                self.scopes.push();
                self.body(&used, body);
                self.term_and_below(term);
                self.scopes.pop();
            }
            TermValue::ObjectComprehension { key, value, body } => {
                let used = vars_of_terms([&**key, &**value], Skip::default());
                self.scopes.push();
                self.body(&used, body);
                self.term_and_below(key);
                self.term_and_below(value);
                self.scopes.pop();
            }
            _ => {}
        }
    }

    /// The expressions of a template string in a head, each a scope.
    pub(super) fn template_of_head(&mut self, parts: &mut [TemplatePart]) {
        for part in parts {
            if let TemplatePart::Expr(expr) = part {
                self.scopes.push();
                self.expression(expr);
                self.scopes.pop();
            }
        }
    }

    /// The target of a `with` is never a variable, though `input` may be declared as one.
    fn with(&mut self, with: &mut With) {
        self.term_and_below(&mut with.target);
        if let Some(local) = self.scopes.name_of("input").cloned() {
            let input = || TermValue::Var("input".into());
            let span = with.target.span;
            match &mut with.target.value {
                TermValue::Var(var) if *var == local => {
                    with.target.value = TermValue::Ref(vec![Term { value: input(), span }]);
                }
                TermValue::Ref(terms) => {
                    if let Some(head) = terms.first_mut()
                        && matches!(&head.value, TermValue::Var(var) if *var == local)
                    {
                        head.value = input();
                    }
                }
                _ => {}
            }
        }
        self.term_and_below(&mut with.value);
    }
}

/// The variables that a statement declares, to find the place of a declaration later. The variables
/// of a statement that OPA rewrites in place are no longer there then.
fn declared_lastingly(expr: &Expr) -> VarSet {
    match &expr.kind {
        ExprKind::Call(_) => VarSet::default(),
        ExprKind::Not(not) if !not.explicit => VarSet::default(),
        ExprKind::Term(_)
        | ExprKind::Some(_)
        | ExprKind::Every(_)
        | ExprKind::Not(_)
        | ExprKind::And(_)
        | ExprKind::Or(_) => declared_in_expr(expr),
    }
}

/// `collection[key]`
fn element_of(collection: Term, key: Term) -> Term {
    let span = collection.span;
    let terms = match collection.value {
        TermValue::Ref(mut terms) => {
            terms.push(key);
            terms
        }
        value => vec![Term { value, span }, key],
    };
    Term { value: TermValue::Ref(terms), span }
}

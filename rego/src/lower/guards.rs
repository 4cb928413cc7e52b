//! The statements of a definition that are tested first.
//!
//! OPA looks up in an index which definitions can hold, by their tests of the input, of base data
//! and of arguments; it does not evaluate the others, not even statements before the test. That is
//! visible where such a statement raises a conflict (or the error of a built-in, in strict mode).
//! So these tests are moved before the first such statement. The move has no other effect: each
//! test has at most one solution, and does not depend on the statements that it passes.

use std::collections::HashSet;

use crate::ast::{Body, Expr, ExprKind, Rule, Term, TermValue};
use crate::compile::Key;
use crate::compile::visit::{Flow, Node, any_term, walk, walk_terms};

use super::Lowering;
use super::constants::constant;
use super::nodes::{Nodes, Shape};
use super::operators::{HARMLESS, is_equality, is_named};

/// A step in the evaluation of a definition.
pub(super) enum Guard<'a> {
    /// A statement.
    Statement(&'a Expr),
    /// Continues where a reference is defined.
    Defined(&'a Term),
    /// Continues where one of these holds.
    Any(Vec<Vec<Guard<'a>>>),
}

/// The known properties of variables during the walk over a body.
#[derive(Clone, Default)]
struct Known<'a> {
    /// Stand for a part of the input or of base data.
    parts: HashSet<&'a str>,
    /// The same, or parameters.
    asked: HashSet<&'a str>,
    /// Stand for constants.
    constants: HashSet<&'a str>,
    /// Are in statements that stay in their place.
    others: HashSet<&'a str>,
}

impl Lowering<'_> {
    /// The statements of a definition in the order in which they are evaluated. Variables of the
    /// head that are bound already are the keys that a reference looks up, which OPA's index does
    /// not use.
    pub(super) fn guards_first<'a>(
        &self,
        rule: &'a Rule,
        body: &'a Body,
        is_bound: impl Fn(&str) -> bool,
    ) -> Vec<Guard<'a>> {
        let in_place = || body.iter().map(Guard::Statement).collect();
        let Some(first) = body.iter().position(|statement| !self.is_calm(statement)) else {
            return in_place();
        };
        if body.iter().any(prints) {
            return in_place();
        }
        let parameters = rule.head.args.iter().flatten().filter_map(|term| match &term.value {
            TermValue::Var(name) => Some(&**name),
            _ => None,
        });
        let mut known = Known { asked: parameters.collect(), ..Known::default() };
        known.others.clone_from(&known.asked);
        let head = &rule.head;
        for term in head.reference.iter().skip(1).chain(&head.key).chain(&head.value) {
            walk_terms(Node::Term(term), &mut |term| {
                if let TermValue::Var(name) = &term.value
                    && is_bound(name)
                {
                    known.others.insert(name);
                }
                Flow::Into
            });
        }
        let (mut front, mut rest) = (Vec::new(), Vec::new());
        for (index, statement) in body.iter().enumerate() {
            let questions = self.questions(statement, &mut known);
            if index < first || matches!(questions.as_slice(), [Guard::Statement(_)]) {
                front.push(Guard::Statement(statement));
                continue;
            }
            front.extend(questions);
            walk_terms(Node::Expr(statement), &mut |term| {
                if let TermValue::Var(name) = &term.value {
                    known.others.insert(name);
                }
                Flow::Into
            });
            rest.push(Guard::Statement(statement));
        }
        front.extend(rest);
        front
    }

    /// The test that OPA's index makes of a statement: the whole statement, or an implication of
    /// it.
    fn questions<'a>(&self, statement: &'a Expr, known: &mut Known<'a>) -> Vec<Guard<'a>> {
        if statement.negated || !statement.with.is_empty() {
            return Vec::new();
        }
        let whole = || vec![Guard::Statement(statement)];
        match &statement.kind {
            // Whether it is defined; whether it is false is tested at its own position.
            ExprKind::Term(term) if self.is_part(term, known) => vec![Guard::Defined(term)],
            ExprKind::Call(terms) => match terms.as_slice() {
                [operator, a, b] if is_equality(operator) => {
                    match self.equation(a, b, known).or_else(|| self.equation(b, a, known)) {
                        Some(Question::Whole) => whole(),
                        Some(Question::Defined(part)) => vec![Guard::Defined(part)],
                        None => Vec::new(),
                    }
                }
                [operator, Term { value: TermValue::Var(name), .. }, members]
                    if is_named(operator, "internal.member_2")
                        && known.asked.contains(&**name)
                        && has_scalars(members) =>
                {
                    whole()
                }
                _ => Vec::new(),
            },
            // Sides have their own scopes.
            ExprKind::And(both) => {
                let mut inner = known.clone();
                let sides = both.left.iter().chain(&both.right);
                let all: Vec<_> =
                    sides.flat_map(|statement| self.questions(statement, &mut inner)).collect();
                if all.is_empty() { Vec::new() } else { vec![Guard::Any(vec![all])] }
            }
            ExprKind::Or(both) => {
                // OPA tests whether a reference is defined only where every path to the rule reads
                // it.
                let side = |body: &'a Body| -> Vec<_> {
                    let mut inner = known.clone();
                    body.iter()
                        .flat_map(|statement| self.questions(statement, &mut inner))
                        .filter(|guard| !matches!(guard, Guard::Defined(_)))
                        .collect()
                };
                let (left, right) = (side(&both.left), side(&both.right));
                if left.is_empty() || right.is_empty() {
                    return Vec::new();
                }
                vec![Guard::Any(vec![left, right])]
            }
            ExprKind::Term(_) | ExprKind::Some(_) | ExprKind::Every(_) | ExprKind::Not(_) => {
                Vec::new()
            }
        }
    }

    fn equation<'a>(
        &self,
        a: &'a Term,
        b: &'a Term,
        known: &mut Known<'a>,
    ) -> Option<Question<'a>> {
        match (&a.value, &b.value) {
            (TermValue::Ref(_), TermValue::Var(name)) if self.is_part(a, known) => {
                if known.constants.contains(&**name) {
                    return Some(Question::Whole);
                }
                if known.others.contains(&**name) || !known.asked.insert(name) {
                    return Some(Question::Defined(a));
                }
                known.parts.insert(name);
                Some(Question::Whole)
            }
            (TermValue::Ref(_), _) if is_indexed(b) && self.is_part(a, known) => {
                Some(Question::Whole)
            }
            (TermValue::Var(name), _) if is_scalar(b) => {
                if known.asked.contains(&**name) {
                    return Some(Question::Whole);
                }
                let is_new = !known.others.contains(&**name);
                (is_new && known.constants.insert(name)).then_some(Question::Whole)
            }
            _ => None,
        }
    }

    /// Whether a reference is to a part of the input or of base data, by constant keys.
    fn is_part(&self, term: &Term, known: &Known<'_>) -> bool {
        let TermValue::Ref(terms) = &term.value else { return false };
        let Some((Term { value: TermValue::Var(head), .. }, keys)) = terms.split_first() else {
            return false;
        };
        let is_known = |key: &Term| match &key.value {
            TermValue::Var(name) => known.constants.contains(&**name),
            _ => is_scalar(key),
        };
        if !keys.iter().all(is_known) {
            return false;
        }
        match &**head {
            "input" => true,
            "data" => self.is_base(keys),
            head => known.parts.contains(head),
        }
    }

    /// Whether a path below `data` leaves the rule tree before it reaches a rule.
    fn is_base(&self, keys: &[Term]) -> bool {
        let mut node = Nodes::ROOT;
        for key in keys {
            let Some(key) = Key::of(&key.value) else {
                // The child is known only at run time.
                return self.nodes.get(node).children.is_empty();
            };
            let Some(child) = self.nodes.child(node, &key) else { return true };
            if self.nodes.get(child).shape != Shape::Package {
                return false;
            }
            node = child;
        }
        false
    }

    /// Whether a statement neither raises an error nor uses a rule that may.
    fn is_calm(&self, statement: &Expr) -> bool {
        let calls_harmless = match &statement.kind {
            ExprKind::Term(_) => true,
            ExprKind::Call(terms) => terms.first().is_some_and(|operator| {
                is_equality(operator) || HARMLESS.iter().any(|name| is_named(operator, name))
            }),
            ExprKind::Some(_)
            | ExprKind::Every(_)
            | ExprKind::Not(_)
            | ExprKind::And(_)
            | ExprKind::Or(_) => false,
        };
        let is_evaluated = |term: &Term| match &term.value {
            TermValue::Ref(terms) => match terms.split_first() {
                Some((Term { value: TermValue::Var(head), .. }, keys)) => {
                    &**head == "data" && !self.is_base(keys)
                }
                _ => true,
            },
            TermValue::Call(_)
            | TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. }
            | TermValue::TemplateString { .. } => true,
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Var(_)
            | TermValue::Array(_)
            | TermValue::Object(_)
            | TermValue::Set(_) => false,
        };
        calls_harmless
            && statement.with.is_empty()
            && !any_term(Node::Expr(statement), is_evaluated)
    }
}

/// The test that OPA's index makes of a `=`.
enum Question<'a> {
    /// Whether it holds.
    Whole,
    /// Whether one side is defined.
    Defined(&'a Term),
}

/// Whether a statement prints, or has a statement that does: OPA evaluates such definitions always.
fn prints(statement: &Expr) -> bool {
    let mut found = false;
    walk(Node::Expr(statement), &mut |node| {
        if let Node::Expr(Expr { kind: ExprKind::Call(terms), .. }) = node {
            found |= terms.first().is_some_and(|operator| {
                is_named(operator, "internal.print") || is_named(operator, "internal.test_case")
            });
        }
        if found { Flow::Over } else { Flow::Into }
    });
    found
}

fn is_scalar(term: &Term) -> bool {
    Key::of(&term.value).is_some()
}

/// Whether OPA's index takes it for a value: a scalar or an array of them.
fn is_indexed(term: &Term) -> bool {
    match &term.value {
        TermValue::Array(terms) => terms.iter().all(is_scalar),
        _ => is_scalar(term),
    }
}

fn has_scalars(term: &Term) -> bool {
    match &term.value {
        TermValue::Array(terms) | TermValue::Set(terms) => terms.iter().all(is_scalar),
        TermValue::Object(items) => items
            .iter()
            .all(|(key, value)| is_scalar(value) && matches!(constant(key), Ok(Some(_)))),
        _ => false,
    }
}

//! Walks over the syntax tree: every node (to read or to change), and the variables under a node.
//!
//! The walks go in OPA's order, since that order is visible: in the numbers of generated variables
//! and in which of many errors are reported. Objects and sets are visited in their stored order,
//! which is sorted after [`super::order::sort_collections`].
//!
//! All walks recurse to the depth of the tree, which the parser bounds. Loops follow chains of
//! `else`.

use std::ops::ControlFlow;

use crate::ast::{
    Body, Every, Expr, ExprKind, Head, Logical, Module, NotBlock, Rule, TemplatePart, Term,
    TermValue, With,
};

/// Whether a walk descends below a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It does.
    Into,
    /// It skips the nodes below and continues.
    Over,
}

/// A node, to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'a> {
    /// A definition; its `else` is a separate node.
    Rule(&'a Rule),
    /// A head. The reference is not visited below it, as in OPA's visitors.
    Head(&'a Head),
    /// A body, and each side of a logical expression.
    Body(&'a Body),
    /// A statement.
    Expr(&'a Expr),
    /// `every`
    Every(&'a Every),
    /// `not { … }`
    Not(&'a NotBlock),
    /// Both sides of an `and` or `or`.
    Logical(&'a Logical),
    /// `with`
    With(&'a With),
    /// A term.
    Term(&'a Term),
}

/// A node, to change.
#[derive(Debug)]
pub(crate) enum NodeMut<'a> {
    /// A definition; its `else` is a separate node.
    Rule(&'a mut Rule),
    /// A head. The reference is not visited below it, as in OPA's visitors.
    Head(&'a mut Head),
    /// A body, and each side of a logical expression.
    Body(&'a mut Body),
    /// A statement.
    Expr(&'a mut Expr),
    /// `every`
    Every(&'a mut Every),
    /// `not { … }`
    Not(&'a mut NotBlock),
    /// Both sides of an `and` or `or`.
    Logical(&'a mut Logical),
    /// `with`
    With(&'a mut With),
    /// A term.
    Term(&'a mut Term),
}

/// Calls `visit` on a node and on all nodes under it, parents first.
pub(crate) fn walk<'a>(node: Node<'a>, visit: &mut dyn FnMut(Node<'a>) -> Flow) {
    if visit(node) == Flow::Over {
        return;
    }
    match node {
        Node::Rule(rule) => {
            let mut chain = Some(rule);
            let mut first = true;
            while let Some(rule) = chain {
                if !first && visit(Node::Rule(rule)) == Flow::Over {
                    return;
                }
                first = false;
                walk(Node::Head(&rule.head), visit);
                walk(Node::Body(&rule.body), visit);
                chain = rule.else_rule.as_deref();
            }
        }
        Node::Head(head) => {
            walk_terms_in(head.args.iter().flatten(), visit);
            walk_terms_in(head.key.iter().chain(&head.value), visit);
        }
        Node::Body(body) => {
            for expr in body {
                walk(Node::Expr(expr), visit);
            }
        }
        Node::Expr(expr) => walk_expr(expr, visit),
        Node::Every(every) => {
            walk_terms_in(every.key.iter().chain([&every.value, &every.domain]), visit);
            walk(Node::Body(&every.body), visit);
        }
        Node::Not(not) => walk(Node::Body(&not.body), visit),
        Node::Logical(logical) => {
            walk(Node::Body(&logical.left), visit);
            walk(Node::Body(&logical.right), visit);
        }
        Node::With(with) => walk_terms_in([&with.target, &with.value], visit),
        Node::Term(term) => walk_value(&term.value, visit),
    }
}

fn walk_terms_in<'a>(
    terms: impl IntoIterator<Item = &'a Term>,
    visit: &mut dyn FnMut(Node<'a>) -> Flow,
) {
    for term in terms {
        walk(Node::Term(term), visit);
    }
}

fn walk_expr<'a>(expr: &'a Expr, visit: &mut dyn FnMut(Node<'a>) -> Flow) {
    match &expr.kind {
        ExprKind::Term(term) => walk(Node::Term(term), visit),
        ExprKind::Call(terms) | ExprKind::Some(terms) => walk_terms_in(terms, visit),
        ExprKind::Every(every) => walk(Node::Every(every), visit),
        ExprKind::Not(not) => walk(Node::Not(not), visit),
        ExprKind::And(logical) | ExprKind::Or(logical) => walk(Node::Logical(logical), visit),
    }
    for with in &expr.with {
        walk(Node::With(with), visit);
    }
}

fn walk_value<'a>(value: &'a TermValue, visit: &mut dyn FnMut(Node<'a>) -> Flow) {
    match value {
        TermValue::Null
        | TermValue::Bool(_)
        | TermValue::Number(_)
        | TermValue::String(_)
        | TermValue::Var(_) => {}
        TermValue::Ref(terms)
        | TermValue::Array(terms)
        | TermValue::Set(terms)
        | TermValue::Call(terms) => walk_terms_in(terms, visit),
        TermValue::Object(pairs) => {
            walk_terms_in(pairs.iter().flat_map(|(key, value)| [key, value]), visit);
        }
        TermValue::ArrayComprehension { term, body }
        | TermValue::SetComprehension { term, body } => {
            walk(Node::Term(term), visit);
            walk(Node::Body(body), visit);
        }
        TermValue::ObjectComprehension { key, value, body } => {
            walk(Node::Term(key), visit);
            walk(Node::Term(value), visit);
            walk(Node::Body(body), visit);
        }
        TermValue::TemplateString { parts, .. } => {
            for part in parts {
                match part {
                    TemplatePart::Text(term) => walk(Node::Term(term), visit),
                    TemplatePart::Expr(expr) => walk(Node::Expr(expr), visit),
                }
            }
        }
    }
}

/// Calls `change` on a node and then on all nodes under the result.
pub(crate) fn walk_mut(mut node: NodeMut<'_>, change: &mut dyn FnMut(&mut NodeMut<'_>) -> Flow) {
    if change(&mut node) == Flow::Over {
        return;
    }
    match node {
        NodeMut::Rule(rule) => {
            let mut chain = Some(rule);
            let mut first = true;
            while let Some(rule) = chain {
                if !first && change(&mut NodeMut::Rule(&mut *rule)) == Flow::Over {
                    return;
                }
                first = false;
                walk_mut(NodeMut::Head(&mut rule.head), change);
                walk_mut(NodeMut::Body(&mut rule.body), change);
                chain = rule.else_rule.as_deref_mut();
            }
        }
        NodeMut::Head(head) => {
            change_terms_in(head.args.iter_mut().flatten(), change);
            change_terms_in(head.key.iter_mut().chain(&mut head.value), change);
        }
        NodeMut::Body(body) => {
            for expr in body {
                walk_mut(NodeMut::Expr(expr), change);
            }
        }
        NodeMut::Expr(expr) => change_expr(expr, change),
        NodeMut::Every(every) => {
            change_terms_in(
                every.key.iter_mut().chain([&mut every.value, &mut every.domain]),
                change,
            );
            walk_mut(NodeMut::Body(&mut every.body), change);
        }
        NodeMut::Not(not) => walk_mut(NodeMut::Body(&mut not.body), change),
        NodeMut::Logical(logical) => {
            walk_mut(NodeMut::Body(&mut logical.left), change);
            walk_mut(NodeMut::Body(&mut logical.right), change);
        }
        NodeMut::With(with) => change_terms_in([&mut with.target, &mut with.value], change),
        NodeMut::Term(term) => change_value(&mut term.value, change),
    }
}

fn change_terms_in<'a>(
    terms: impl IntoIterator<Item = &'a mut Term>,
    change: &mut dyn FnMut(&mut NodeMut<'_>) -> Flow,
) {
    for term in terms {
        walk_mut(NodeMut::Term(term), change);
    }
}

fn change_expr(expr: &mut Expr, change: &mut dyn FnMut(&mut NodeMut<'_>) -> Flow) {
    match &mut expr.kind {
        ExprKind::Term(term) => walk_mut(NodeMut::Term(term), change),
        ExprKind::Call(terms) | ExprKind::Some(terms) => change_terms_in(terms, change),
        ExprKind::Every(every) => walk_mut(NodeMut::Every(every), change),
        ExprKind::Not(not) => walk_mut(NodeMut::Not(not), change),
        ExprKind::And(logical) | ExprKind::Or(logical) => {
            walk_mut(NodeMut::Logical(logical), change);
        }
    }
    for with in &mut expr.with {
        walk_mut(NodeMut::With(with), change);
    }
}

fn change_value(value: &mut TermValue, change: &mut dyn FnMut(&mut NodeMut<'_>) -> Flow) {
    match value {
        TermValue::Null
        | TermValue::Bool(_)
        | TermValue::Number(_)
        | TermValue::String(_)
        | TermValue::Var(_) => {}
        TermValue::Ref(terms)
        | TermValue::Array(terms)
        | TermValue::Set(terms)
        | TermValue::Call(terms) => change_terms_in(terms, change),
        TermValue::Object(pairs) => {
            change_terms_in(pairs.iter_mut().flat_map(|(key, value)| [key, value]), change);
        }
        TermValue::ArrayComprehension { term, body }
        | TermValue::SetComprehension { term, body } => {
            walk_mut(NodeMut::Term(term), change);
            walk_mut(NodeMut::Body(body), change);
        }
        TermValue::ObjectComprehension { key, value, body } => {
            walk_mut(NodeMut::Term(key), change);
            walk_mut(NodeMut::Term(value), change);
            walk_mut(NodeMut::Body(body), change);
        }
        TermValue::TemplateString { parts, .. } => {
            for part in parts {
                match part {
                    TemplatePart::Text(term) => walk_mut(NodeMut::Term(term), change),
                    TemplatePart::Expr(expr) => walk_mut(NodeMut::Expr(expr), change),
                }
            }
        }
    }
}

/// All definitions of a module, an `else` directly after its definition.
pub(crate) fn rules(module: &Module) -> impl Iterator<Item = &Rule> {
    module.rules.iter().flat_map(chain)
}

/// A definition and its `else`s, in order.
pub(crate) fn chain(rule: &Rule) -> impl Iterator<Item = &Rule> {
    std::iter::successors(Some(rule), |rule| rule.else_rule.as_deref())
}

/// Calls `change` on all definitions of a module, an `else` directly after its definition, until it
/// breaks.
pub(crate) fn rules_mut(
    module: &mut Module,
    mut change: impl FnMut(&mut Rule) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for rule in &mut module.rules {
        let mut chain = Some(rule);
        while let Some(rule) = chain {
            change(rule)?;
            chain = rule.else_rule.as_deref_mut();
        }
    }
    ControlFlow::Continue(())
}

/// Calls `visit` on a term and on the terms under it, those in bodies included, while it returns
/// so.
pub(crate) fn walk_terms<'a>(node: Node<'a>, visit: &mut dyn FnMut(&'a Term) -> Flow) {
    walk(node, &mut |node| match node {
        Node::Term(term) => visit(term),
        _ => Flow::Into,
    });
}

/// Whether any term under a node satisfies `is`.
pub(crate) fn any_term<'a>(node: Node<'a>, is: impl Fn(&'a Term) -> bool) -> bool {
    let mut found = false;
    walk_terms(node, &mut |term| {
        found = found || is(term);
        if found { Flow::Over } else { Flow::Into }
    });
    found
}

/// Whether a node is a closure: it has its own body. (Not a definition's.)
pub(crate) fn is_closure(node: Node<'_>) -> bool {
    match node {
        Node::Every(_) | Node::Not(_) | Node::Logical(_) => true,
        Node::Term(term) => is_comprehension(&term.value),
        Node::Rule(_) | Node::Head(_) | Node::Body(_) | Node::Expr(_) | Node::With(_) => false,
    }
}

/// Whether a value is a comprehension.
pub(crate) fn is_comprehension(value: &TermValue) -> bool {
    matches!(
        value,
        TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. }
    )
}

/// Whether a value is a constant but not a collection.
pub(crate) fn is_scalar(value: &TermValue) -> bool {
    matches!(
        value,
        TermValue::Null | TermValue::Bool(_) | TermValue::Number(_) | TermValue::String(_)
    )
}

/// Whether a term has no variable, reference (apart from its keys), call's variable or template
/// string: OPA's `IsGround`. A reference is as ground as its keys.
pub(crate) fn is_ground(value: &TermValue) -> bool {
    let all = |terms: &[Term]| terms.iter().all(|term| is_ground(&term.value));
    match value {
        TermValue::Null | TermValue::Bool(_) | TermValue::Number(_) | TermValue::String(_) => true,
        TermValue::Var(_) | TermValue::TemplateString { .. } => false,
        TermValue::Ref(terms) => terms.iter().skip(1).all(|term| is_ground(&term.value)),
        TermValue::Array(terms) | TermValue::Set(terms) | TermValue::Call(terms) => all(terms),
        TermValue::Object(pairs) => {
            pairs.iter().all(|(key, value)| is_ground(&key.value) && is_ground(&value.value))
        }
        TermValue::ArrayComprehension { term, body }
        | TermValue::SetComprehension { term, body } => {
            is_ground(&term.value) && body.iter().all(is_ground_expr)
        }
        TermValue::ObjectComprehension { key, value, body } => {
            is_ground(&key.value) && is_ground(&value.value) && body.iter().all(is_ground_expr)
        }
    }
}

fn is_ground_expr(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Term(term) => is_ground(&term.value),
        ExprKind::Call(terms) => terms.iter().skip(1).all(|term| is_ground(&term.value)),
        ExprKind::Not(not) => not.body.iter().all(is_ground_expr),
        ExprKind::And(logical) | ExprKind::Or(logical) => {
            logical.left.iter().chain(&logical.right).all(is_ground_expr)
        }
        ExprKind::Some(_) | ExprKind::Every(_) => false,
    }
}

/// Whether a value is known before evaluation: nothing in it is a variable, reference, comprehension
/// or call. OPA's `IsConstant`.
pub(crate) fn is_constant(value: &TermValue) -> bool {
    match value {
        TermValue::Null | TermValue::Bool(_) | TermValue::Number(_) | TermValue::String(_) => true,
        TermValue::Var(_)
        | TermValue::Ref(_)
        | TermValue::ArrayComprehension { .. }
        | TermValue::SetComprehension { .. }
        | TermValue::ObjectComprehension { .. }
        | TermValue::Call(_) => false,
        TermValue::Array(terms) | TermValue::Set(terms) => {
            terms.iter().all(|term| is_constant(&term.value))
        }
        TermValue::Object(pairs) => {
            pairs.iter().all(|(key, value)| is_constant(&key.value) && is_constant(&value.value))
        }
        TermValue::TemplateString { parts, .. } => {
            parts.iter().all(|part| match part {
                TemplatePart::Text(term) => is_constant(&term.value),
                // A call statement's operator is a reference, so only a lone constant is left.
                TemplatePart::Expr(expr) => match &expr.kind {
                    ExprKind::Term(term) => expr.with.is_empty() && is_constant(&term.value),
                    _ => false,
                },
            })
        }
    }
}

/// The part of a reference before its first key that is not ground.
pub(crate) fn ground_prefix(reference: &[Term]) -> &[Term] {
    let end = reference
        .iter()
        .skip(1)
        .position(|term| !is_ground(&term.value))
        .map_or(reference.len(), |position| position + 1);
    reference.get(..end).unwrap_or(reference)
}

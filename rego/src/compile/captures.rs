//! Terms that need evaluation move from comprehensions' and rules' heads into their bodies:
//! `[x[0] | …]` becomes `[local | …; local = x[0]]`. So only bodies evaluate.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::ast::{Expr, Term, TermValue};
use crate::source::Span;

use super::Compiler;
use super::heads::append;
use super::locals::LocalGenerator;
use super::order::{equal, sort_collections};
use super::visit::{Flow, Node, NodeMut, any_term, is_comprehension, rules, rules_mut, walk_mut};

/// Whether a term has a reference or comprehension in it.
pub(crate) fn requires_eval(term: &Term) -> bool {
    any_term(Node::Term(term), |term| {
        matches!(term.value, TermValue::Ref(_)) || is_comprehension(&term.value)
    })
}

/// Replaces a term that needs evaluation by a local, and returns the statement that binds it.
fn capture(locals: &mut LocalGenerator, term: &mut Term) -> Option<Expr> {
    if !requires_eval(term) {
        return None;
    }
    let span = term.span;
    let value = std::mem::replace(term, Term { value: TermValue::Null, span });
    let (local, statement) = locals.capture(value);
    *term = local;
    Some(statement)
}

/// Moves evaluation out of the terms of comprehensions. OPA's `RewriteComprehensionTerms`.
pub(crate) fn rewrite_comprehension_terms(compiler: &mut Compiler<'_>) {
    let Compiler { modules, locals, .. } = compiler;
    for module in modules {
        let has_comprehension = rules(module).any(|rule| {
            [Node::Head(&rule.head), Node::Body(&rule.body)]
                .into_iter()
                .any(|node| any_term(node, |term| is_comprehension(&term.value)))
        });
        if !has_comprehension {
            continue;
        }
        for rule in &mut module.rules {
            rewrite_below(locals, &mut HashMap::new(), NodeMut::Rule(rule));
        }
        // A comprehension's term determines its position in a set.
        sort_collections(module);
    }
}

/// Rewrites all comprehensions under a node. Statements derived from the same one share its `with`,
/// by its place: its value is rewritten once for all of them.
fn rewrite_below(
    locals: &mut LocalGenerator,
    shared: &mut HashMap<Span, (Term, Term)>,
    node: NodeMut<'_>,
) {
    walk_mut(node, &mut |node| match node {
        NodeMut::Term(term) => {
            rewrite_comprehension(locals, &mut term.value);
            Flow::Into
        }
        NodeMut::With(with)
            if any_term(Node::Term(&with.value), |term| is_comprehension(&term.value)) =>
        {
            match shared.get(&with.span) {
                Some((before, after)) if equal(before, &with.value) => with.value = after.clone(),
                _ => {
                    let before = with.value.clone();
                    rewrite_below(locals, shared, NodeMut::Term(&mut with.value));
                    shared.insert(with.span, (before, with.value.clone()));
                }
            }
            Flow::Over
        }
        _ => Flow::Into,
    });
}

fn rewrite_comprehension(locals: &mut LocalGenerator, value: &mut TermValue) {
    match value {
        TermValue::ArrayComprehension { term, body }
        | TermValue::SetComprehension { term, body } => {
            append(body, capture(locals, term));
        }
        TermValue::ObjectComprehension { key, value, body } => {
            append(body, capture(locals, key));
            append(body, capture(locals, value));
        }
        TermValue::Null
        | TermValue::Bool(_)
        | TermValue::Number(_)
        | TermValue::String(_)
        | TermValue::Var(_)
        | TermValue::Ref(_)
        | TermValue::Array(_)
        | TermValue::Object(_)
        | TermValue::Set(_)
        | TermValue::Call(_)
        | TermValue::TemplateString { .. } => {}
    }
}

/// Moves evaluation out of keys, values and parameters of heads. OPA's `RewriteRefsInHead`.
pub(crate) fn rewrite_refs_in_head(compiler: &mut Compiler<'_>) {
    let Compiler { modules, locals, .. } = compiler;
    for module in modules {
        let _: ControlFlow<()> = rules_mut(module, |rule| {
            let head = &mut rule.head;
            let terms =
                head.key.iter_mut().chain(&mut head.value).chain(head.args.iter_mut().flatten());
            for term in terms {
                append(&mut rule.body, capture(locals, term));
            }
            ControlFlow::Continue(())
        });
    }
}

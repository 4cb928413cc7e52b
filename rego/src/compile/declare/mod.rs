//! Declared variables get unique names: `x := 1`, `some x`, `every x in xs`, parameters. OPA's
//! `RewriteLocalVars`.
//!
//! Afterwards no `:=` and no `some` is left, and every declared variable has one name that no other
//! variable has. [`statements`] handles declarations in each kind of statement, [`scopes`] the
//! names of variables in each scope.

mod scopes;
mod statements;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::ast::{Head, Name, Rule, Term, TermValue};
use crate::builtins::table::declaration;
use crate::diagnostic::{Code, Diagnostic};

use super::Compiler;
use super::locals::LocalGenerator;
use super::order::{sort_object, sort_set};
use super::scope::declared_in_body;
use super::vars::{Collector, Skip, VarSet, vars_of_body, vars_of_term};
use super::visit::{Flow, Node, NodeMut, chain, is_ground, is_scalar, walk, walk_mut};

use scopes::{Occurrence, Scopes};
use statements::Rewriter;

/// Rewrites all modules.
pub(crate) fn rewrite_local_vars(compiler: &mut Compiler<'_>) {
    let Compiler { modules, locals, rewritten, errors, .. } = compiler;
    'rules: for rule in modules.iter_mut().flat_map(|module| &mut module.rules) {
        let mut parameters = Scopes::default();
        let failed = rename_parameters(locals, &mut parameters, rule);
        errors.report(failed);
        let mut next = Some(rule);
        while let Some(rule) = next {
            let mut rewriter = Rewriter::new(locals, rule);
            rewrite_head_closures(&mut rewriter, &mut rule.head);
            let Rewriter { errors: failed, unused, scopes, .. } = rewriter;
            rewritten.extend(scopes.into_originals());
            errors.report(failed);
            errors.report_recoverable(unused);

            let mut rewriter = Rewriter::new(locals, rule);
            rewriter.scopes = parameters.clone();
            rewrite_rule(&mut rewriter, rule);
            let Rewriter { errors: failed, unused, scopes, .. } = rewriter;
            rewritten.extend(scopes.into_originals());
            if !errors.report(failed) || !errors.report_recoverable(unused) {
                continue 'rules;
            }
            next = rule.else_rule.as_deref_mut();
        }
    }
}

/// Whether a head has more than constants and the rule's name.
pub(crate) fn head_may_have_vars(head: &Head) -> bool {
    let args = head.args.iter().flatten();
    let terms = args.chain(&head.key).chain(&head.value).chain(head.reference.iter().skip(1));
    terms.into_iter().any(|term| !is_scalar(&term.value))
}

/// Declarations in a head can only stand in its comprehensions and template strings. They are
/// rewritten before the body, in their own scopes.
fn rewrite_head_closures(rewriter: &mut Rewriter<'_>, head: &mut Head) {
    if head_may_have_vars(head) {
        let terms = head.args.iter_mut().flatten().chain(&mut head.key).chain(&mut head.value);
        for term in terms {
            rewrite_closures_in(rewriter, term);
        }
    }
}

fn rewrite_closures_in(rewriter: &mut Rewriter<'_>, term: &mut Term) {
    walk_mut(NodeMut::Term(term), &mut |node| {
        let NodeMut::Term(term) = node else { return Flow::Into };
        match &mut term.value {
            TermValue::Object(pairs) => {
                if !pairs
                    .iter()
                    .all(|(key, value)| is_ground(&key.value) && is_ground(&value.value))
                {
                    for (key, value) in &mut *pairs {
                        rewrite_closures_in(rewriter, key);
                        rewrite_closures_in(rewriter, value);
                    }
                    sort_object(pairs);
                }
                Flow::Over
            }
            TermValue::Set(members) => {
                if !members.iter().all(|member| is_ground(&member.value)) {
                    for member in &mut *members {
                        rewrite_closures_in(rewriter, member);
                    }
                    sort_set(members);
                }
                Flow::Over
            }
            TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. } => {
                rewriter.in_fresh_scopes(|rewriter| rewriter.comprehension(&mut term.value));
                Flow::Over
            }
            TermValue::TemplateString { parts, .. } => {
                rewriter.in_fresh_scopes(|rewriter| rewriter.template_of_head(parts));
                Flow::Over
            }
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Var(_)
            | TermValue::Ref(_)
            | TermValue::Array(_)
            | TermValue::Call(_) => Flow::Into,
        }
    });
}

/// Gives every variable of a function's parameters a name.
fn rename_parameters(
    locals: &mut LocalGenerator,
    scopes: &mut Scopes,
    rule: &mut Rule,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for parameter in rule.head.args.iter_mut().flatten() {
        rename_parameter(locals, scopes, parameter, &mut errors);
    }
    errors
}

fn rename_parameter(
    locals: &mut LocalGenerator,
    scopes: &mut Scopes,
    parameter: &mut Term,
    errors: &mut Vec<Diagnostic>,
) {
    match &mut parameter.value {
        TermValue::Var(name) => {
            *name = scopes.name_of(name).cloned().unwrap_or_else(|| {
                let local = locals.generate();
                scopes.insert(name, &local, Occurrence::Parameter);
                local
            });
        }
        TermValue::Object(pairs) => {
            for (_, value) in pairs {
                rename_parameter(locals, scopes, value, errors);
            }
        }
        TermValue::Call(_) => {
            let message = "rule arguments cannot contain calls";
            errors.push(Diagnostic::new(Code::Compile, message, parameter.span));
        }
        TermValue::Ref(terms) | TermValue::Array(terms) => {
            for term in terms {
                rename_parameter(locals, scopes, term, errors);
            }
        }
        TermValue::Null
        | TermValue::Bool(_)
        | TermValue::Number(_)
        | TermValue::String(_)
        | TermValue::Set(_)
        | TermValue::ArrayComprehension { .. }
        | TermValue::SetComprehension { .. }
        | TermValue::ObjectComprehension { .. }
        | TermValue::TemplateString { .. } => {}
    }
}

fn rewrite_rule(rewriter: &mut Rewriter<'_>, rule: &mut Rule) {
    let has_vars = head_may_have_vars(&rule.head);
    let mut used = VarSet::default();
    if has_vars {
        let keys = rule.head.reference.iter().skip(1);
        for term in keys.chain(&rule.head.key).chain(&rule.head.value) {
            used.update(&vars_of_term(term, Skip::default()));
        }
    }
    rename_shadowed_builtins(rewriter, rule);
    rewriter.body(&used, &mut rule.body);
    if has_vars {
        let names = rewriter.scopes.innermost();
        let head = &mut rule.head;
        let args = head.args.iter_mut().flatten();
        for term in args.chain(head.reference.iter_mut().skip(1)) {
            rename(term, names);
        }
        for term in head.key.iter_mut().chain(&mut head.value) {
            rename(term, names);
        }
    }
}

/// Gives undeclared variables with the name of a built-in unique names, so that no later stage
/// mistakes them for the built-in.
fn rename_shadowed_builtins(rewriter: &mut Rewriter<'_>, rule: &Rule) {
    let skip = Skip { ref_call_head: true, closures: true, ..Skip::default() };
    let mut in_body = vars_of_body(&rule.body, skip)
        .iter()
        .filter(|name| declaration(name).is_some())
        .cloned()
        .collect::<Vec<_>>();
    if in_body.is_empty() {
        return;
    }
    let declared = declared_in_body(&rule.body);
    let mut in_with = Collector::new(Skip { ref_call_head: true, ..Skip::default() });
    for rule in chain(rule) {
        for node in [Node::Head(&rule.head), Node::Body(&rule.body)] {
            walk(node, &mut |node| {
                if let Node::With(with) = node {
                    in_with.terms([&with.target, &with.value]);
                }
                Flow::Into
            });
        }
    }
    in_body.retain(|name| {
        !declared.contains(name)
            && !in_with.vars.contains(name)
            && rewriter.scopes.name_of(name).is_none()
    });
    for name in in_body {
        let local = rewriter.locals.generate();
        rewriter.scopes.insert(&name, &local, Occurrence::Seen);
    }
}

/// Replaces variables under a term by their names.
fn rename(term: &mut Term, names: &BTreeMap<Name, Name>) {
    walk_mut(NodeMut::Term(term), &mut |node| {
        let NodeMut::Term(term) = node else { return Flow::Into };
        match &mut term.value {
            TermValue::Var(name) => {
                if let Some(local) = names.get(name) {
                    *name = Name::clone(local);
                }
                Flow::Over
            }
            TermValue::Set(members) => {
                for member in &mut *members {
                    rename(member, names);
                }
                sort_set(members);
                Flow::Over
            }
            TermValue::Object(pairs) => {
                for (key, value) in &mut *pairs {
                    rename(key, names);
                    rename(value, names);
                }
                sort_object(pairs);
                Flow::Over
            }
            _ => Flow::Into,
        }
    });
}

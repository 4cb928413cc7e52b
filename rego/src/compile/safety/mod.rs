//! The safety check: every variable must be bound before its use; finds an order of statements for
//! that.

use crate::ast::{Head, Module, Rule};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

use super::Compiler;
use super::arity::Functions;
use super::errors::LIMIT;
use super::text;
use super::vars::{Collector, Skip, VarSet, is_generated, vars_of_head, vars_of_terms};
use super::visit::{chain, is_scalar, rules};

mod implicit;
mod reorder;
mod report;
#[cfg(test)]
mod tests;

use report::{Names, Scopes};

/// Checks that the body binds the variables of the head. OPA's `CheckSafetyRuleHeads`.
pub(crate) fn check_safety_rule_heads(compiler: &mut Compiler<'_>) {
    let mut found = Vec::new();
    for module in &compiler.modules {
        let mut scopes = Scopes::new(module, compiler.sources);
        for rule in rules(module) {
            if found.len() < LIMIT {
                found.extend(check_head(compiler, module, rule, &mut scopes));
            }
        }
    }
    compiler.errors.report(found);
}

fn check_head(
    compiler: &Compiler<'_>,
    module: &Module,
    rule: &Rule,
    scopes: &mut Scopes<'_>,
) -> Vec<Diagnostic> {
    if !may_have_vars(&rule.head) {
        return Vec::new();
    }
    let mut bound = Collector::new(Skip::SAFETY);
    bound.body(&rule.body);
    bound.set_skip(Skip::default());
    bound.terms(rule.head.args.iter().flatten());
    let missing = vars_of_head(&rule.head).diff(&bound.vars);
    let mut errors = Vec::new();
    for var in missing.iter() {
        let name = compiler.rewritten.get(var).unwrap_or(var);
        if is_generated(name) {
            continue;
        }
        let message = format!("var {} is unsafe{}", text::of_var(name), scopes.of(rule));
        let span = missing.place(var).unwrap_or(rule.head.span);
        let error = Diagnostic::new(Code::UnsafeVar, message, span);
        errors.push(Names::new(compiler, module, rule).help(error, name));
    }
    errors
}

fn may_have_vars(head: &Head) -> bool {
    let terms = head.args.iter().flatten().chain(&head.key).chain(&head.value);
    terms.chain(head.reference.iter().skip(1)).any(|term| !is_scalar(&term.value))
}

/// The variables that a statement needs but that are never bound.
#[derive(Debug)]
struct Unsafe {
    /// The statement's place.
    span: Span,
    /// The variables that it assigns to, where it was written with `:=`.
    assigned: VarSet,
    /// The variables.
    vars: VarSet,
}

/// A definition whose body is not safe.
struct Failed {
    module: usize,
    rule: usize,
    /// The number of its `else` in the chain.
    depth: usize,
    found: Vec<Unsafe>,
}

/// Orders the statements of every body so that variables are bound before their use, and reports
/// variables that are never bound. OPA's `CheckSafetyRuleBodies`.
pub(crate) fn check_safety_rule_bodies(compiler: &mut Compiler<'_>) {
    let functions = Functions { tree: &compiler.tree, parameters: &compiler.parameters };
    let mut failed = Vec::new();
    let mut errors = Vec::new();
    for (module_index, module) in compiler.modules.iter_mut().enumerate() {
        for (rule_index, rule) in module.rules.iter_mut().enumerate() {
            let mut next = Some(rule);
            let mut depth = 0;
            while let Some(rule) = next {
                let mut safe = VarSet::reserved();
                safe.update(&vars_of_terms(rule.head.args.iter().flatten(), Skip::default()));
                let body = std::mem::take(&mut rule.body);
                match reorder::reorder_body(functions, safe, body) {
                    Ok((body, found)) => {
                        rule.body = body;
                        if !found.is_empty() {
                            failed.push(Failed { module: module_index, rule: rule_index, depth, found });
                        }
                    }
                    Err(reorder::TooMuch) => errors.push(Diagnostic::new(
                        Code::Compile,
                        "body has too many statements that wait for each other to be put in order",
                        rule.span,
                    ).with_help("write statements in the order in which they are to be evaluated")),
                }
                next = rule.else_rule.as_deref_mut();
                depth += 1;
            }
        }
    }
    errors.extend(report_failed(compiler, &failed));
    compiler.errors.report(errors);
}

fn report_failed(compiler: &Compiler<'_>, failed: &[Failed]) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for one in failed.iter().take(LIMIT) {
        let Some(module) = compiler.modules.get(one.module) else { continue };
        let Some(rule) = module.rules.get(one.rule).and_then(|rule| chain(rule).nth(one.depth))
        else {
            continue;
        };
        let scope = Scopes::new(module, compiler.sources).of(rule);
        let names = Names::new(compiler, module, rule);
        errors.extend(report::errors(&one.found, &scope, &names));
    }
    errors
}

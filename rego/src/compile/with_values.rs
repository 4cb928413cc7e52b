//! `with`: checks targets and values, and binds values that need evaluation before the statement.
//! OPA's `RewriteWithValues`.

use std::collections::HashMap;

use crate::ast::{Body, Expr, Rule, Term, TermValue};
use crate::builtins::table::Declaration;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

use super::Compiler;
use super::arity::{Functions, builtin};
use super::captures::requires_eval;
use super::locals::LocalGenerator;
use super::order::{equal, sort_collections};
use super::tree::{Key, RuleTree};
use super::visit::{Flow, Node, NodeMut, rules, walk, walk_mut};

/// Checks every `with`, and binds values that need evaluation before its statement.
pub(crate) fn rewrite_with_values(compiler: &mut Compiler<'_>) {
    let Compiler { modules, locals, tree, parameters, options, errors, .. } = compiler;
    let functions = Functions { tree, parameters };
    let refused = |name: &str| options.refused_builtins.contains_key(name);
    let mut found = Vec::new();
    for module in modules {
        if !rules(module).any(has_with) {
            continue;
        }
        let mut rewriter = Rewriter { functions, refused: &refused, locals, errors: &mut found };
        for rule in &mut module.rules {
            walk_mut(NodeMut::Rule(rule), &mut |node| {
                if let NodeMut::Body(body) = node {
                    rewriter.body(body);
                }
                Flow::Into
            });
        }
        // A value that became a local may change the place of a comprehension in a set.
        sort_collections(module);
    }
    for error in found {
        errors.report([error]);
    }
}

fn has_with(rule: &Rule) -> bool {
    let mut found = false;
    for node in [Node::Head(&rule.head), Node::Body(&rule.body)] {
        walk(node, &mut |node| {
            found |= matches!(node, Node::With(_));
            if found { Flow::Over } else { Flow::Into }
        });
    }
    found
}

struct Rewriter<'a> {
    functions: Functions<'a>,
    /// Whether a built-in may not be called at all.
    refused: &'a dyn Fn(&str) -> bool,
    locals: &'a mut LocalGenerator,
    errors: &'a mut Vec<Diagnostic>,
}

impl Rewriter<'_> {
    /// Only the first fault of a body is reported, and no fault of its closures, as in OPA.
    fn body(&mut self, body: &mut Body) {
        if body.iter().all(|expr| expr.with.is_empty()) {
            return;
        }
        let mut rewritten = Vec::with_capacity(body.len());
        let mut shared = HashMap::new();
        for mut expr in std::mem::take(body) {
            if let Err(error) = self.expr(&mut expr, &mut rewritten, &mut shared) {
                self.errors.push(*error);
                return;
            }
            rewritten.push(expr);
        }
        *body = rewritten;
    }

    /// Statements derived from the same one share its `with`: its value is bound once for all of
    /// them.
    fn expr(
        &mut self,
        expr: &mut Expr,
        before: &mut Body,
        shared: &mut HashMap<Span, (Term, Term)>,
    ) -> Result<(), Box<Diagnostic>> {
        for with in &mut expr.with {
            if let Some((value, local)) = shared.get(&with.span)
                && equal(&with.value, value)
            {
                with.value = local.clone();
                builtin_as_reference(&mut with.target);
                continue;
            }
            let written = with.value.clone();
            builtin_as_reference(&mut with.value);
            if self.needs_binding(&mut with.target, &with.value)? {
                let span = with.value.span;
                let value =
                    std::mem::replace(&mut with.value, Term { value: TermValue::Null, span });
                let (local, statement) = self.locals.capture(value);
                shared.insert(with.span, (written, local.clone()));
                with.value = local;
                before.push(statement);
            }
        }
        Ok(())
    }

    /// Checks one replacement, and returns whether its value must be bound before.
    fn needs_binding(&self, target: &mut Term, value: &Term) -> Result<bool, Box<Diagnostic>> {
        let declaration = declaration_of(target);
        match root(target) {
            Some("data") => {
                if self.replaces_function(target)? && self.is_function_value(value)?
                    || self.names_function(value)
                {
                    return Ok(false);
                }
            }
            Some("input") => {}
            _ => {
                let Some(declaration) = declaration else {
                    return Err(error(
                        Code::Type,
                        "with keyword target must reference existing input, data, or a function",
                        target,
                    ));
                };
                builtin_as_reference(target);
                check_builtin_target(declaration, target)?;
                if self.is_function_value(value)? {
                    return Ok(false);
                }
            }
        }
        Ok(requires_eval(value))
    }

    /// Whether a path into `data` is that of a function.
    fn replaces_function(&self, target: &Term) -> Result<bool, Box<Diagnostic>> {
        let TermValue::Ref(terms) = &target.value else { return Ok(false) };
        let Some((last, on_the_way)) = terms.get(1..).and_then(<[Term]>::split_last) else {
            return Ok(false);
        };
        let mut node = self.functions.tree;
        for key in on_the_way {
            match child(node, key) {
                None => break,
                Some(child) if !child.rules.is_empty() => {
                    return Err(error(
                        Code::Compile,
                        "with keyword cannot partially replace virtual document(s)",
                        target,
                    ));
                }
                Some(child) => node = child,
            }
        }
        // Where the path ended early, OPA also looks up the last key from there.
        Ok(child(node, last).is_some_and(|child| self.functions.has_function(child)))
    }

    fn names_function(&self, value: &Term) -> bool {
        matches!(&value.value, TermValue::Ref(terms)
            if self.functions.tree.find(terms).is_some_and(|node| self.functions.has_function(node)))
    }

    /// Whether a value names a function: then it is not evaluated.
    fn is_function_value(&self, value: &Term) -> Result<bool, Box<Diagnostic>> {
        if let TermValue::Ref(terms) = &value.value
            && self.functions.tree.find(terms).is_some()
        {
            return Ok(true);
        }
        let Some(declaration) = declaration_of(value) else { return Ok(false) };
        if (self.refused)(declaration.name) {
            let message = format!(
                "with keyword replacing built-in function: target must not be unsafe: \"{}\"",
                declaration.name
            );
            return Err(error(Code::Compile, message, value));
        }
        Ok(true)
    }
}

fn error(code: Code, message: impl Into<String>, place: &Term) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(code, message, place.span))
}

fn child<'t>(node: &'t RuleTree, key: &Term) -> Option<&'t RuleTree> {
    node.children.get(&Key::of(&key.value)?)
}

/// The variable that a reference begins with.
fn root(term: &Term) -> Option<&str> {
    match &term.value {
        TermValue::Ref(terms) => match &terms.first()?.value {
            TermValue::Var(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The built-in that a variable or reference names.
fn declaration_of(term: &Term) -> Option<&'static Declaration> {
    match &term.value {
        TermValue::Ref(terms) => builtin(terms),
        TermValue::Var(_) => builtin(std::slice::from_ref(term)),
        _ => None,
    }
}

/// A variable that names a built-in becomes a reference, as the parser makes for `a.b`.
fn builtin_as_reference(term: &mut Term) {
    if matches!(term.value, TermValue::Var(_)) && declaration_of(term).is_some() {
        let span = term.span;
        let name = std::mem::replace(&mut term.value, TermValue::Null);
        term.value = TermValue::Ref(vec![Term { value: name, span }]);
    }
}

/// Some built-ins may not be replaced.
fn check_builtin_target(declaration: &Declaration, target: &Term) -> Result<(), Box<Diagnostic>> {
    let name = declaration.name;
    let reason = if matches!(name, "eq" | "rego.metadata.chain" | "rego.metadata.rule") {
        format!("replacement of \"{name}\" invalid")
    } else if root(target) == Some("internal") {
        format!("replacement of internal function \"{name}\" invalid")
    } else if declaration.relation {
        "target must not be a relation".to_owned()
    } else if declaration.result.is_none() {
        "target must not be a void function".to_owned()
    } else {
        return Ok(());
    };
    Err(error(Code::Compile, format!("with keyword replacing built-in function: {reason}"), target))
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::{body_after, errors};

    const PREFIX: &str = "package t\np if { input.x }\n";

    fn fault(rule: &str) -> String {
        errors(&[&format!("{PREFIX}{rule}")]).join("\n")
    }

    #[test]
    fn a_part_of_a_rule_cannot_be_replaced() {
        assert_eq!(
            fault("q if p with data.t.p.r as 1"),
            "a.rego:3:13 rego_compile_error: with keyword cannot partially replace virtual document(s)"
        );
        assert_eq!(fault("q if p with data.t.p as 1"), "");
        assert_eq!(fault("q if p with data.u.r as 1"), "");
    }

    #[test]
    fn only_input_data_and_functions_can_be_replaced() {
        assert_eq!(
            fault("q if true with foo as 1"),
            "a.rego:3:16 rego_type_error: with keyword target must reference existing input, data, or a function"
        );
        assert_eq!(fault("q if count(input) == 1 with count as 1"), "");
    }

    #[test]
    fn some_built_ins_cannot_be_replaced() {
        let refusal = |target: &str| {
            let fault = fault(&format!("q if true with {target} as 1"));
            let rest = "a.rego:3:16 rego_compile_error: with keyword replacing built-in function: ";
            fault.strip_prefix(rest).unwrap_or(&fault).to_owned()
        };
        assert_eq!(refusal("walk"), "target must not be a relation");
        assert_eq!(refusal("eq"), "replacement of \"eq\" invalid");
        assert_eq!(
            refusal("internal.member_2"),
            "replacement of internal function \"internal.member_2\" invalid"
        );
        assert_eq!(refusal("print"), "target must not be a void function");
    }

    #[test]
    fn a_value_that_needs_evaluation_is_bound_outside() {
        assert_eq!(
            body_after("RewriteWithValues", "package t\np if input.x with input as data.y"),
            "__local0__ = data.y; input.x with input as __local0__"
        );
        assert_eq!(
            body_after("RewriteWithValues", "package t\nf(x) := x\np if f(1) with f as count"),
            "data.t.f(1) with data.t.f as count"
        );
    }

    #[test]
    fn statements_made_of_one_share_the_value() {
        assert_eq!(
            body_after(
                "RewriteWithValues",
                "package t\np if count(input.x) > 1 with input as data.y"
            ),
            "__local1__ = data.y; count(input.x, __local0__) with input as __local1__; gt(__local0__, 1) with input as __local1__"
        );
    }
}

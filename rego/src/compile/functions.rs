//! Calls of functions that do not exist, or of too many or too few arguments. OPA's
//! `CheckUndefinedFuncs`.

use crate::ast::{Expr, ExprKind, Module, Term, TermValue};
use crate::builtins::table::DECLARATIONS;
use crate::diagnostic::{Code, Diagnostic};

use super::Compiler;
use super::arity::{Functions, builtin};
use super::names::written;
use super::outputs::is_equality;
use super::suggest::nearest;
use super::tree::{Key, RuleTree};
use super::visit::{Flow, Node, rules, walk};

/// Checks that every call is of a function, and has as many arguments as it takes: one more where
/// the last one is the result.
pub(crate) fn check_undefined_funcs(compiler: &mut Compiler<'_>) {
    let mut found = Vec::new();
    for module in &compiler.modules {
        let check = Check { compiler, module };
        for rule in rules(module) {
            for node in [Node::Head(&rule.head), Node::Body(&rule.body)] {
                walk(node, &mut |node| match node {
                    Node::Expr(expr) => match check.call(expr) {
                        Some(error) => {
                            found.push(error);
                            Flow::Over
                        }
                        None => Flow::Into,
                    },
                    _ => Flow::Into,
                });
            }
        }
    }
    compiler.errors.report(found);
}

struct Check<'a> {
    compiler: &'a Compiler<'a>,
    module: &'a Module,
}

impl Check<'_> {
    fn call(&self, expr: &Expr) -> Option<Diagnostic> {
        let ExprKind::Call(terms) = &expr.kind else { return None };
        let (operator, operands) = terms.split_first()?;
        // A local of a v0 module may be called: it is not a function either, and has no name.
        let reference = match &operator.value {
            TermValue::Ref(reference) => reference.as_slice(),
            _ => &[],
        };
        let functions =
            Functions { tree: &self.compiler.tree, parameters: &self.compiler.parameters };
        let Some(arity) = functions.arity(reference) else {
            return Some(self.undefined(expr, reference));
        };
        let given = operands.len();
        if expr.generated {
            let fits = is_equality(expr) || given == arity + 1;
            (!fits).then(|| self.mismatch(expr, reference, arity, given.saturating_sub(1)))
        } else {
            let fits = given == arity || given == arity + 1;
            (!fits).then(|| self.mismatch(expr, reference, arity, given))
        }
    }

    fn mismatch(&self, expr: &Expr, reference: &[Term], arity: usize, given: usize) -> Diagnostic {
        let name = written(&self.compiler.rewritten, reference);
        if builtin(reference).is_some() {
            let help = format!("it takes {}", arguments(arity));
            return Diagnostic::new(Code::Type, format!("{name}: arity mismatch"), expr.span)
                .with_help(help);
        }
        let given = arguments(given);
        let message = format!("function {name} has arity {arity}, got {given}");
        Diagnostic::new(Code::Type, message, expr.span)
    }

    fn undefined(&self, expr: &Expr, reference: &[Term]) -> Diagnostic {
        let name = written(&self.compiler.rewritten, reference);
        let error = Diagnostic::new(Code::Type, format!("undefined function {name}"), expr.span);
        match self.meant(reference, &name) {
            Some(meant) => error.with_help(format!("did you mean {meant}?")),
            None => error,
        }
    }

    /// The probably intended function for an undefined one: one that is declared beside it, one of
    /// the same package, or a built-in.
    fn meant(&self, reference: &[Term], name: &str) -> Option<String> {
        let rules = match reference.split_last() {
            Some((last, path)) if is_data(reference) => {
                let last = Key::of(&last.value)?;
                let node = self.compiler.tree.find(path);
                node.and_then(|node| nearest(last.as_str()?, self.functions_of(node)))
            }
            _ => {
                let node = self.compiler.tree.find(&self.module.package.path);
                node.and_then(|node| nearest(name, self.functions_of(node)))
            }
        };
        if let Some(function) = rules {
            return Some(function.to_owned());
        }
        let own = reference.last().and_then(|last| Key::of(&last.value));
        let name =
            own.as_ref().filter(|_| is_data(reference)).and_then(Key::as_str).unwrap_or(name);
        let builtins = DECLARATIONS
            .iter()
            .filter(|declaration| !declaration.is_internal() && declaration.infix.is_none())
            .map(|declaration| declaration.name);
        nearest(name, builtins).map(str::to_owned)
    }

    fn functions_of<'t>(&'t self, node: &'t RuleTree) -> impl Iterator<Item = &'t str> {
        let functions =
            Functions { tree: &self.compiler.tree, parameters: &self.compiler.parameters };
        node.children
            .iter()
            .filter(move |(_, child)| functions.has_function(child))
            .filter_map(|(key, _)| key.as_str())
    }
}

fn is_data(reference: &[Term]) -> bool {
    matches!(reference.first(), Some(Term { value: TermValue::Var(name), .. }) if &**name == "data")
}

fn arguments(count: usize) -> String {
    if count == 1 { "1 argument".to_owned() } else { format!("{count} arguments") }
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::{errors, help};

    #[test]
    fn a_call_of_nothing_is_refused() {
        assert_eq!(
            errors(&["package t\np if foo(1)"]),
            ["a.rego:2:6 rego_type_error: undefined function foo"]
        );
        assert_eq!(
            errors(&["package t\np if not data.u.foo(1)"]),
            ["a.rego:2:6 rego_type_error: undefined function data.u.foo"]
        );
    }

    #[test]
    fn a_call_has_as_many_arguments_as_the_function_takes() {
        assert_eq!(
            errors(&["package t\nf(x) := x\np if f(1, 2, 3)"]),
            ["a.rego:3:6 rego_type_error: function data.t.f has arity 1, got 3 arguments"]
        );
        let call = "package t\np if count(1, 2, 3)";
        assert_eq!(errors(&[call]), ["a.rego:2:6 rego_type_error: count: arity mismatch"]);
        assert_eq!(help(&[call]).as_deref(), Some("it takes 1 argument"));
    }

    #[test]
    fn a_misspelt_function_is_named() {
        let meant = |file: &str| help(&[file]).unwrap_or_default();
        assert_eq!(meant("package t\np if startwith(input.x, \"a\")"), "did you mean startswith?");
        assert_eq!(meant("package t\nis_admin(x) if x\np if is_admn(1)"), "did you mean is_admin?");
        assert_eq!(meant("package t\np if json.ummarshal(1)"), "did you mean json.unmarshal?");
    }
}

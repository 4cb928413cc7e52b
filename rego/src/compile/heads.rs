//! Small checks and changes of heads and imports, before locals are looked at.

use std::collections::BTreeMap;

use crate::ast::{Body, Expr, ExprKind, Import, Module, Name, RegoVersion, Rule, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};

use super::Compiler;
use super::order::equal;
use super::resolve::{import_name, root_document, rule_name};
use super::scope::is_assignment;
use super::text;
use super::visit::{Flow, Node, is_scalar, rules, walk};

/// Collects the names that are in use. OPA's `InitLocalVarGen`.
pub(crate) fn init_locals(compiler: &mut Compiler<'_>) {
    compiler.locals = super::locals::LocalGenerator::for_modules(&compiler.modules);
}

/// Makes every key of a rule's reference a variable or scalar: `p[a.b]` gets a local that the body
/// binds. OPA's `RewriteRuleHeadRefs`; definitions after `else` stay unchanged, as there.
pub(crate) fn rewrite_head_refs(compiler: &mut Compiler<'_>) {
    for rule in compiler.modules.iter_mut().flat_map(|module| &mut module.rules) {
        let last = rule.head.reference.len().saturating_sub(1);
        for (index, key) in rule.head.reference.iter_mut().enumerate().skip(1) {
            if matches!(key.value, TermValue::Var(_)) || is_scalar(&key.value) {
                continue;
            }
            let span = key.span;
            let value = std::mem::replace(key, Term { value: TermValue::Null, span });
            let is_key = index == last
                && rule.head.key.as_ref().is_some_and(|head_key| equal(head_key, &value));
            let (local, capture) = compiler.locals.capture(value);
            *key = local.clone();
            if is_key {
                rule.head.key = Some(local);
            }
            append(&mut rule.body, [capture]);
        }
    }
}

/// Whether a body is only the statement `true`.
pub(crate) fn is_empty_body(body: &[Expr]) -> bool {
    matches!(body, [Expr { kind: ExprKind::Term(Term { value: TermValue::Bool(true), .. }), .. }])
}

/// Adds statements to a body. The first replaces a body that is only `true`.
pub(crate) fn append(body: &mut Body, exprs: impl IntoIterator<Item = Expr>) {
    let mut exprs = exprs.into_iter().peekable();
    if exprs.peek().is_some() && is_empty_body(body) {
        body.clear();
    }
    body.extend(exprs);
}

/// Whether checks of v1 apply to a module.
pub(crate) fn is_v1(module: &Module) -> bool {
    match module.version {
        RegoVersion::V0 => false,
        RegoVersion::V0CompatV1 | RegoVersion::V1 => true,
    }
}

/// No rule, argument or variable may be called `data` or `input`. OPA's `CheckKeywordOverrides`.
pub(crate) fn check_keyword_overrides(compiler: &mut Compiler<'_>) {
    for module in compiler.modules.iter().filter(|module| is_v1(module)) {
        compiler.errors.report_recoverable(overrides(module));
    }
}

fn overrides(module: &Module) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for rule in &module.rules {
        if let Some(name) = rule_name(rule).filter(|name| matches!(&***name, "data" | "input")) {
            let message = format!("rules must not shadow {name} (use a different rule name)");
            errors.push(Diagnostic::new(Code::Compile, message, rule.span));
        }
        for parameter in rule.head.args.iter().flatten() {
            if let Some(name) = root_document(&parameter.value) {
                let message =
                    format!("args must not shadow {name} (use a different variable name)");
                errors.push(Diagnostic::new(Code::Compile, message, parameter.span));
            }
        }
    }
    let mut check = |expr: &Expr| {
        if let ExprKind::Call(terms) = &expr.kind
            && is_assignment(expr)
            && let Some(target) = terms.get(1)
            && let name = text::of_term(target)
            && matches!(&*name, "data" | "input")
        {
            let message =
                format!("variables must not shadow {name} (use a different variable name)");
            errors.push(Diagnostic::new(Code::Compile, message, expr.span));
        }
    };
    for rule in rules(module) {
        for node in [Node::Head(&rule.head), Node::Body(&rule.body)] {
            walk(node, &mut |node| {
                if let Node::Expr(expr) = node {
                    check(expr);
                }
                Flow::Into
            });
        }
    }
    errors
}

/// No two imports may make the same name. OPA's `CheckDuplicateImports`.
pub(crate) fn check_imports(compiler: &mut Compiler<'_>) {
    let mut errors = Vec::new();
    for module in compiler.modules.iter().filter(|module| is_v1(module)) {
        let mut seen: BTreeMap<Name, &Import> = BTreeMap::new();
        for import in &module.imports {
            let Some(name) = import_name(import) else { continue };
            if let Some(earlier) = seen.get(&name).copied() {
                let message = format!("import must not shadow {}", text::of_import(earlier));
                errors.push(Diagnostic::new(Code::Compile, message, import.span));
            } else {
                seen.insert(name, import);
            }
        }
    }
    compiler.errors.report_recoverable(errors);
}

/// Imports have been resolved and checked. OPA's `RemoveImports`.
pub(crate) fn remove_imports(compiler: &mut Compiler<'_>) {
    for module in &mut compiler.modules {
        module.imports.clear();
    }
}

/// Keys of a rule's path, its package's included. Structures made of paths are as deep as the paths
/// are long; handwritten paths are far shorter.
const MAX_PATH: usize = 200;

/// Puts the rules in a tree. OPA's `SetRuleTree`.
pub(crate) fn set_rule_tree(compiler: &mut Compiler<'_>) {
    for module in &compiler.modules {
        let package = module.package.path.len();
        if package > MAX_PATH {
            let message = format!("a package's path has more than {MAX_PATH} keys");
            let error = Diagnostic::new(Code::Bundle, message, module.package.span);
            compiler.errors.report([error]);
        }
        let long = |rule: &&Rule| package + rule.head.reference.len() > MAX_PATH;
        compiler.errors.report(module.rules.iter().filter(long).map(|rule| {
            let message = format!("a rule's path has more than {MAX_PATH} keys");
            Diagnostic::new(Code::Bundle, message, rule.head.span)
        }));
    }
    if compiler.errors.must_stop() {
        return;
    }
    compiler.tree = super::RuleTree::new(&compiler.modules);
    compiler.parameters = super::arity::Parameters::new(&compiler.modules);
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::{body_after, errors};

    #[test]
    fn no_rule_or_variable_is_called_like_a_root_document() {
        assert_eq!(
            errors(&["package t\ninput := 1\np if { data := 1; data == 1 }"]),
            [
                "a.rego:2:1 rego_compile_error: rules must not shadow input (use a different rule name)",
                "a.rego:3:8 rego_compile_error: variables must not shadow data (use a different variable name)",
            ]
        );
    }

    #[test]
    fn two_imports_do_not_make_one_name() {
        assert_eq!(
            errors(&["package t\nimport data.a\nimport data.b.a\np if a"]),
            ["a.rego:3:1 rego_compile_error: import must not shadow import data.a"]
        );
    }

    #[test]
    fn faults_of_several_checks_are_reported_together() {
        assert_eq!(
            errors(&["package t\nimport data.a\nimport data.b.a\np if { a; x := 1; x := 2 }"]),
            [
                "a.rego:3:1 rego_compile_error: import must not shadow import data.a",
                "a.rego:4:19 rego_compile_error: var x assigned above",
            ]
        );
    }

    #[test]
    fn ten_errors_are_enough() {
        let body: String = (0..20).map(|number| format!("v{number} := 1\n")).collect();
        let found = errors(&[&format!("package t\np if {{\n{body}{body}}}")]);
        assert_eq!(found.len(), 11);
        assert_eq!(found[0], "a.rego:23:1 rego_compile_error: var v0 assigned above");
        assert_eq!(found[10], " rego_compile_error: error limit reached");
    }

    #[test]
    fn keys_of_a_rules_path_are_variables_or_scalars() {
        assert_eq!(
            body_after("RewriteRuleHeadRefs", "package t\np.q[input.x].r := 1"),
            "__local0__ = input.x"
        );
        let path = format!("p{} := 1", ".a".repeat(300));
        assert_eq!(
            errors(&[&format!("package t\n{path}")]),
            ["a.rego:2:1 bundle_error: a rule's path has more than 200 keys"]
        );
    }
}

//! Resolves names to paths: a variable that names a rule of the package or an import becomes a
//! reference to it. OPA's `ResolveRefs`.
//!
//! Every term of such a reference has the place of the name that it replaced. (OPA shares these
//! terms among all uses of a name, so its type errors name the place of the last use.)

use std::collections::BTreeMap;

use crate::ast::{Expr, ExprKind, Import, Module, Name, Ref, Rule, TemplatePart, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

use super::Compiler;
use super::order::{sort_object, sort_set};
use super::scope::declared_in_body;
use super::text;
use super::vars::{Skip, VarSet, vars_of_terms};
use super::visit::{Flow, Node, is_comprehension, walk};

/// The meaning of a name in a module.
struct Global {
    path: Ref,
    used: bool,
}

type Globals = BTreeMap<Name, Global>;

/// Resolves the names of all modules, and warns of imports that no name uses.
pub(crate) fn resolve_refs(compiler: &mut Compiler<'_>) {
    let exports = exports(&compiler.modules);
    for module in &mut compiler.modules {
        let key = text::of_ref(&module.package.path);
        let mut globals = globals(module, exports.get(&key).map_or(&[], Vec::as_slice));
        for rule in &mut module.rules {
            let mut chain = Some(rule);
            while let Some(rule) = chain {
                if let Some(error) = resolve_rule(&mut globals, rule)
                    && compiler.errors.report([error])
                {
                    break;
                }
                chain = rule.else_rule.as_deref_mut();
            }
        }
        compiler.warnings.extend(unused_imports(&module.imports, &globals));
    }
}

/// The names of the rules of each package, over all its modules.
fn exports(modules: &[Module]) -> BTreeMap<String, Vec<Name>> {
    let mut exports: BTreeMap<String, Vec<Name>> = BTreeMap::new();
    for module in modules {
        let names = exports.entry(text::of_ref(&module.package.path)).or_default();
        names.extend(module.rules.iter().filter_map(|rule| rule_name(rule).cloned()));
    }
    exports
}

/// The first part of a rule's reference.
pub(crate) fn rule_name(rule: &Rule) -> Option<&Name> {
    match rule.head.reference.first().map(|term| &term.value) {
        Some(TermValue::Var(name)) => Some(name),
        _ => None,
    }
}

fn globals(module: &Module, rules: &[Name]) -> Globals {
    let mut globals = Globals::new();
    for name in rules {
        let mut path = module.package.path.clone();
        path.push(Term { value: TermValue::String(Name::clone(name)), span: module.package.span });
        globals.insert(Name::clone(name), Global { path, used: false });
    }
    for import in &module.imports {
        if let Some(name) = import_name(import)
            && !is_of_language(import)
        {
            globals.insert(name, Global { path: import_path(import), used: false });
        }
    }
    globals
}

fn import_path(import: &Import) -> Ref {
    match &import.path.value {
        TermValue::Ref(terms) => terms.clone(),
        _ => vec![import.path.clone()],
    }
}

/// Whether an import enables a feature of the language: `future.…` and `rego.…`.
fn is_of_language(import: &Import) -> bool {
    let path = import_path(import);
    matches!(path.first().map(|head| &head.value), Some(TermValue::Var(name)) if matches!(&**name, "future" | "rego"))
}

/// The name that an import introduces: its alias, or the last part of its path.
pub(crate) fn import_name(import: &Import) -> Option<Name> {
    if let Some(alias) = &import.alias {
        return Some(Name::clone(alias));
    }
    let path = import_path(import);
    match path.last().map(|last| &last.value) {
        Some(TermValue::Var(name) | TermValue::String(name)) => Some(Name::clone(name)),
        _ => None,
    }
}

fn unused_imports(imports: &[Import], globals: &Globals) -> Vec<Diagnostic> {
    let is_unused = |import: &&Import| {
        !is_of_language(import)
            && import_name(import)
                .and_then(|name| globals.get(&name))
                .is_some_and(|global| !global.used)
    };
    let warning = |import: &Import| {
        Diagnostic::new(Code::Compile, format!("{} unused", text::of_import(import)), import.span)
            .with_help("remove the import, or use what it names")
    };
    imports.iter().filter(is_unused).map(warning).collect()
}

/// The variables of a function's parameters, which hide names of the module. Objects are patterns
/// in their values and keys; other collections and calls are not patterns.
fn parameters(rule: &Rule) -> Result<VarSet, Diagnostic> {
    let mut vars = VarSet::default();
    let mut error = None;
    for parameter in rule.head.args.iter().flatten() {
        walk(Node::Term(parameter), &mut |node| {
            let Node::Term(term) = node else { return Flow::Into };
            match &term.value {
                _ if error.is_some() => Flow::Over,
                TermValue::Var(name) => {
                    vars.add(name);
                    Flow::Over
                }
                TermValue::Set(_) | TermValue::Call(_) => Flow::Over,
                value if is_comprehension(value) => Flow::Over,
                value if root_document(value).is_some() => {
                    let name = text::of_term(term);
                    error = Some(format!(
                        "args must not shadow {name} (use a different variable name)"
                    ));
                    Flow::Over
                }
                _ => Flow::Into,
            }
        });
    }
    match error {
        Some(message) => Err(Diagnostic::new(Code::Compile, message, rule.span)),
        None => Ok(vars),
    }
}

/// `data` or `input`, where a value is a reference of only that name.
pub(crate) fn root_document(value: &TermValue) -> Option<&Name> {
    match value {
        TermValue::Ref(terms) => match terms.as_slice() {
            [Term { value: TermValue::Var(name), .. }] if matches!(&**name, "data" | "input") => {
                Some(name)
            }
            _ => None,
        },
        _ => None,
    }
}

fn resolve_rule(globals: &mut Globals, rule: &mut Rule) -> Option<Diagnostic> {
    let hidden = match parameters(rule) {
        Ok(parameters) => vec![parameters, declared_in_body(&rule.body)],
        Err(error) => return Some(error),
    };
    let mut resolver = Resolver { globals, hidden };
    resolver.terms(rule.head.reference.iter_mut().skip(1));
    resolver.terms(rule.head.key.iter_mut().chain(&mut rule.head.value));
    resolver.body(&mut rule.body);
    None
}

struct Resolver<'a> {
    globals: &'a mut Globals,
    /// Names that hide those of the module, by scope.
    hidden: Vec<VarSet>,
}

impl Resolver<'_> {
    /// The reference of a name, at the name's place.
    fn path(&mut self, name: &str, span: Span) -> Option<Ref> {
        if self.hidden.iter().any(|scope| scope.contains(name)) {
            return None;
        }
        let global = self.globals.get_mut(name)?;
        global.used = true;
        Some(global.path.iter().map(|term| Term { value: term.value.clone(), span }).collect())
    }

    fn within(&mut self, hidden: VarSet, resolve: impl FnOnce(&mut Self)) {
        self.hidden.push(hidden);
        resolve(self);
        self.hidden.pop();
    }

    fn body(&mut self, body: &mut [Expr]) {
        for expr in body {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &mut Expr) {
        match &mut expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(terms) => self.terms(terms),
            ExprKind::Some(symbols) => {
                // Declared variables are not resolved; `some x in xs` is one call.
                if let [symbol] = symbols.as_mut_slice()
                    && let TermValue::Call(terms) = &mut symbol.value
                {
                    self.terms(terms);
                }
            }
            ExprKind::Every(every) => {
                let names = every.key.iter().chain([&every.value]);
                let hidden = vars_of_terms(names, Skip::default());
                self.within(hidden, |resolver| {
                    resolver.term(&mut every.domain);
                    resolver.body(&mut every.body);
                });
            }
            ExprKind::Not(not) => self.body(&mut not.body),
            ExprKind::And(logical) | ExprKind::Or(logical) => {
                self.body(&mut logical.left);
                self.body(&mut logical.right);
            }
        }
        for with in &mut expr.with {
            self.term(&mut with.target);
            self.term(&mut with.value);
        }
    }

    fn terms<'t>(&mut self, terms: impl IntoIterator<Item = &'t mut Term>) {
        for term in terms {
            self.term(term);
        }
    }

    fn term(&mut self, term: &mut Term) {
        let span = term.span;
        match &mut term.value {
            TermValue::Null | TermValue::Bool(_) | TermValue::Number(_) | TermValue::String(_) => {}
            TermValue::Var(name) => {
                if let Some(path) = self.path(name, span) {
                    term.value = TermValue::Ref(path);
                }
            }
            TermValue::Ref(terms) => self.reference(terms),
            TermValue::Array(terms) | TermValue::Call(terms) => self.terms(terms),
            TermValue::Set(members) => {
                self.terms(members.iter_mut());
                sort_set(members);
            }
            TermValue::Object(pairs) => {
                self.terms(pairs.iter_mut().flat_map(|(key, value)| [key, value]));
                sort_object(pairs);
            }
            TermValue::ArrayComprehension { term, body }
            | TermValue::SetComprehension { term, body } => {
                self.within(declared_in_body(body), |resolver| {
                    resolver.term(term);
                    resolver.body(body);
                });
            }
            TermValue::ObjectComprehension { key, value, body } => {
                self.within(declared_in_body(body), |resolver| {
                    resolver.terms([&mut **key, &mut **value]);
                    resolver.body(body);
                });
            }
            TermValue::TemplateString { parts, .. } => {
                for part in parts {
                    if let TemplatePart::Expr(expr) = part {
                        self.expr(expr);
                    }
                }
            }
        }
    }

    fn reference(&mut self, terms: &mut Ref) {
        let mut resolved = Ref::with_capacity(terms.len());
        for mut term in std::mem::take(terms) {
            if let TermValue::Var(name) = &term.value {
                match self.path(name, term.span) {
                    Some(path) if resolved.is_empty() => resolved = path,
                    Some(path) => {
                        resolved.push(Term { value: TermValue::Ref(path), span: term.span });
                    }
                    None => resolved.push(term),
                }
            } else {
                // OPA leaves template strings in keys unchanged.
                if !matches!(term.value, TermValue::TemplateString { .. }) {
                    self.term(&mut term);
                }
                resolved.push(term);
            }
        }
        *terms = resolved;
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::{body_after, errors, warnings};

    #[test]
    fn names_of_rules_and_imports_become_paths() {
        let text = "package t\nimport data.b\nimport input.c as d\nq := 1\np if { b.x == q; d[q] }";
        assert_eq!(body_after("ResolveRefs", text), "equal(data.b.x, data.t.q); input.c[data.t.q]");
    }

    #[test]
    fn rules_of_other_files_of_the_package_are_known() {
        assert_eq!(errors(&["package t\np if q", "package t\nq := 1"]), [""; 0]);
        assert_eq!(
            errors(&["package t\np if q", "package u\nq := 1"]),
            ["a.rego:2:6 rego_unsafe_var_error: var q is unsafe"]
        );
    }

    #[test]
    fn declarations_and_parameters_hide_names() {
        let text = "package t\nimport data.b\nq := 1\nf(q) if { b := q; some x in [b]; x == 1 }";
        assert_eq!(body_after("ResolveRefs", text), "assign(b, q); some x in [b]; equal(x, 1)");
    }

    #[test]
    fn the_root_documents_are_not_hidden() {
        assert_eq!(
            errors(&["package t\nf(input) := 1"]),
            [
                "a.rego:2:1 rego_compile_error: args must not shadow input (use a different variable name)"
            ]
        );
    }

    #[test]
    fn an_import_that_nothing_uses_is_a_warning() {
        assert_eq!(
            warnings(&["package t\nimport data.a\nimport data.b as c\nimport rego.v1\np := a"]),
            ["a.rego:3:1 rego_compile_error: import data.b as c unused"]
        );
    }
}

//! The check of bodies and rules.

use std::rc::Rc;

use crate::ast::{Expr, ExprKind, Module, Rule, Term, TermValue};
use crate::builtins::table::DECLARATIONS;
use crate::compile::Compiled;
use crate::compile::tree::full_ref;
use crate::compile::visit::{Flow, Node as Syntax, chain, ground_prefix, walk, walk_terms};

use super::checker::Checker;
use super::env::{Env, Scope};
use super::fault::Fault;
use super::model::{Known, Type};
use super::tree::{Key, Node, Roots};

/// The highest nesting of comprehensions. OPA's time to check them grows exponentially with it.
const MAX_CLOSURES: u32 = 32;

/// Checks all rules, those that are used before those that use them. Returns the faults, and the types
/// of the documents below `data`.
pub(super) fn rules(compiled: &Compiled, steps: u64) -> (Vec<Fault>, Node) {
    let checker = Checker::new(compiled, steps);
    let builtins = Scope::outermost(Rc::new(builtins()));
    let mut documents = Rc::new(Roots::new());
    let mut faults = Vec::new();
    for position in &compiled.order {
        let module = compiled.modules.get(position.module);
        let Some((module, rule)) =
            module.and_then(|module| Some((module, module.rules.get(position.rule)?)))
        else {
            continue;
        };
        for rule in chain(rule) {
            let scope = builtins.with_documents(Rc::clone(&documents));
            let checked = Env { checker: &checker, scope }.check_rule(module, rule, &mut faults);
            if checker.work.is_over() {
                faults.push(Fault::too_complex(rule.head.span));
                return (faults, Node::default());
            }
            // The scope has been dropped, so the documents are not shared and need no copy.
            let documents = Rc::make_mut(&mut documents);
            match checked {
                Checked::Unknown(path) => data_of(documents).put(&path, Type::Any),
                Checked::Known(path, of) => data_of(documents).insert(&path, &of),
                Checked::Nothing => {}
            }
        }
    }
    let data = Rc::make_mut(&mut documents).remove("data").unwrap_or_default();
    (faults, data)
}

fn data_of(documents: &mut Roots) -> &mut Node {
    documents.entry("data".into()).or_default()
}

fn builtins() -> Roots {
    let mut roots = Roots::new();
    for declaration in DECLARATIONS {
        let mut parts = declaration.name.split('.');
        let root = roots.entry(parts.next().unwrap_or_default().into()).or_default();
        let path: Vec<Key> = parts.map(Key::from).collect();
        root.put(&path, Type::of_builtin(declaration));
    }
    roots
}

/// The result of a rule's check.
enum Checked {
    /// Unknown because of faults, which must not cause further faults where the rule is used.
    Unknown(Vec<Key>),
    /// Its type, below `data`.
    Known(Vec<Key>, Type),
    /// It adds no type.
    Nothing,
}

impl Env<'_> {
    fn check_rule(&self, module: &Module, rule: &Rule, faults: &mut Vec<Fault>) -> Checked {
        let env = self.inner();
        let found = env.check_body(&rule.body);
        let path = full_ref(module, rule);
        let keys = |terms: &[Term]| -> Vec<Key> {
            terms.iter().skip(1).map_while(|term| Key::of(&term.value)).collect()
        };
        if !found.is_empty() {
            faults.extend(found);
            return Checked::Unknown(keys(&path));
        }
        let prefix = ground_prefix(&path);
        let of = env.type_of_rule(rule, path.get(prefix.len()..).unwrap_or_default());
        of.map_or(Checked::Nothing, |of| Checked::Known(keys(prefix), of))
    }

    /// The type of a rule whose body has been checked, at the ground part of its path.
    fn type_of_rule(&self, rule: &Rule, keys: &[Term]) -> Known {
        let head = &rule.head;
        if let Some(parameters) = head.args.as_ref().filter(|parameters| !parameters.is_empty()) {
            for parameter in parameters {
                walk_terms(Syntax::Term(parameter), &mut |term| {
                    if let TermValue::Var(name) = &term.value
                        && self.of_var(name).is_none()
                    {
                        // The body does not determine it.
                        self.infer(name, Some(Type::Any));
                    }
                    Flow::Into
                });
            }
            let parameters = parameters.iter().map(|parameter| self.of(&parameter.value)).collect();
            let result = head.value.as_ref().and_then(|value| self.of(&value.value));
            return Some(Type::function(parameters, result));
        }
        let of = match (&head.value, &head.key) {
            (Some(value), _) => self.of(&value.value)?,
            (None, Some(key)) => Type::set(Some(self.of(&key.value)?)),
            (None, None) => return None,
        };
        // A level of objects for each key of the path that is not ground, and for those after it.
        keys.iter().rev().try_fold(of, |of, key| {
            let key = self.of(&key.value)?;
            Some(Type::object(Vec::new(), Some((Some(key), Some(of)))))
        })
    }

    /// Checks statements in this scope, whose variables get the inferred types.
    pub(super) fn check_body(&self, body: &[Expr]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for expr in body {
            self.checker.work.step();
            if self.checker.work.is_over() {
                break;
            }
            let env = self.within(expr);
            let before = faults.len();
            faults.extend(env.check_closures(expr));
            env.check_references(expr, &mut faults);
            if let Some(fault) = env.check_expr(expr) {
                // Types that are unknown because of another fault are not reported.
                if faults.len() == before || !fault.has_unknown {
                    faults.push(fault);
                }
            }
        }
        faults
    }

    /// Checks the comprehensions of a statement, nested ones too. The faults are those of the last one
    /// that has any.
    fn check_closures(&self, expr: &Expr) -> Vec<Fault> {
        let closures = &self.checker.closures;
        if closures.get() >= MAX_CLOSURES {
            self.checker.work.give_up();
            return Vec::new();
        }
        closures.set(closures.get() + 1);
        let mut faults = Vec::new();
        walk(Syntax::Expr(expr), &mut |node| {
            let Syntax::Term(term) = node else { return Flow::Into };
            let (TermValue::ArrayComprehension { body, .. }
            | TermValue::SetComprehension { body, .. }
            | TermValue::ObjectComprehension { body, .. }) = &term.value
            else {
                return Flow::Into;
            };
            let found = self.inner().check_body(body);
            if found.is_empty() {
                return Flow::Into;
            }
            faults = found;
            Flow::Over
        });
        closures.set(closures.get() - 1);
        faults
    }

    fn check_expr(&self, expr: &Expr) -> Option<Fault> {
        if let Some(fault) = self.check_with(expr) {
            return Some(fault);
        }
        let ExprKind::Call(terms) = &expr.kind else { return None };
        match terms.split_first()? {
            (Term { value: TermValue::Ref(operator), .. }, operands) => {
                self.check_call(expr, operator, operands)
            }
            _ => None,
        }
    }
}

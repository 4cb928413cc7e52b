//! The origins of the variables of a reference, for messages about recursion.

use std::collections::BTreeMap;

use crate::ast::{Expr, ExprKind, Name, Ref, Rule, Term, TermValue};
use crate::builtins::table::Declaration;
use crate::compile::arity::builtin;
use crate::compile::outputs::is_equality;
use crate::compile::visit::is_constant;

/// The origin of a variable's values.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// From the input, at this constant path.
    Input(Ref),
    /// From a rule or base data, at this constant path.
    Data(Ref),
    /// It is a member of this constant collection.
    Collection(Term),
    /// This built-in computes it.
    Builtin(&'static Declaration),
    /// It is a key in the rule's head.
    HeadKey,
    /// It is an argument of the function.
    HeadArgument,
}

/// The origins of the variables of a reference that stands in the statement at a position.
pub(super) fn of(rule: &Rule, at: usize, reference: &[Term]) -> BTreeMap<Name, Origin> {
    let body = rule.body.get(..at).unwrap_or(&rule.body);
    let finder = Finder::new(rule, body);
    let vars = reference.iter().skip(1).filter_map(|term| match &term.value {
        TermValue::Var(name) => Some(name),
        _ => None,
    });
    vars.filter_map(|var| finder.origin(var).map(|origin| (Name::clone(var), origin))).collect()
}

struct Finder<'a> {
    /// The first term that each variable equals.
    bindings: BTreeMap<&'a str, &'a Term>,
    /// The built-in that has a variable as its result.
    results: BTreeMap<&'a str, &'static Declaration>,
    head: BTreeMap<&'a str, Origin>,
    /// The highest number of steps from a variable to its origin.
    steps: usize,
}

impl<'a> Finder<'a> {
    fn new(rule: &'a Rule, body: &'a [Expr]) -> Self {
        let mut bindings = BTreeMap::new();
        let mut results = BTreeMap::new();
        for expr in body.iter().filter(|expr| !expr.negated && expr.with.is_empty()) {
            let ExprKind::Call(terms) = &expr.kind else { continue };
            match terms.as_slice() {
                [_, left, right, ..] if is_equality(expr) => {
                    for (var, value) in [(left, right), (right, left)] {
                        if let TermValue::Var(var) = &var.value {
                            bindings.entry(&**var).or_insert(value);
                        }
                    }
                }
                [operator, operands @ .., Term { value: TermValue::Var(result), .. }] => {
                    if let TermValue::Ref(name) = &operator.value
                        && let Some(builtin) = builtin(name)
                        && builtin.parameters.len() == operands.len()
                    {
                        results.insert(&**result, builtin);
                    }
                }
                _ => {}
            }
        }
        let mut head = BTreeMap::new();
        let keys = rule.head.reference.iter().skip(1).chain(&rule.head.key);
        for (term, origin) in keys
            .map(|term| (term, Origin::HeadKey))
            .chain(rule.head.args.iter().flatten().map(|term| (term, Origin::HeadArgument)))
        {
            if let TermValue::Var(var) = &term.value {
                head.insert(&**var, origin);
            }
        }
        Self { bindings, results, head, steps: rule.body.len() }
    }

    fn origin(&self, var: &'a str) -> Option<Origin> {
        let mut var = var;
        for step in 0..=self.steps {
            if let Some(builtin) = self.results.get(var) {
                return Some(Origin::Builtin(builtin));
            }
            match self.bindings.get(var).map(|term| &term.value) {
                Some(TermValue::Var(other)) => {
                    var = other;
                    continue;
                }
                Some(TermValue::Ref(reference)) => {
                    if let Some(origin) = self.of_ref(reference, step) {
                        return Some(origin);
                    }
                }
                _ => {}
            }
            return self.head.get(var).cloned();
        }
        None
    }

    fn of_ref(&self, reference: &'a [Term], step: usize) -> Option<Origin> {
        let (head, keys) = reference.split_first()?;
        match &head.value {
            TermValue::Var(name) if &**name == "input" => {
                Some(Origin::Input(constant_prefix(reference)))
            }
            TermValue::Var(name) if &**name == "data" => {
                Some(Origin::Data(constant_prefix(reference)))
            }
            _ => match keys {
                [key] if !is_constant(&key.value) => {
                    self.collection(head, step).map(Origin::Collection)
                }
                _ => None,
            },
        }
    }

    /// A term that is a constant collection, or a variable that is equal to one.
    fn collection(&self, term: &'a Term, step: usize) -> Option<Term> {
        let mut term = term;
        for _ in step..=self.bindings.len() {
            match &term.value {
                TermValue::Var(var) => term = self.bindings.get(&**var)?,
                _ => break,
            }
        }
        let is_collection =
            matches!(term.value, TermValue::Array(_) | TermValue::Set(_) | TermValue::Object(_));
        (is_collection && is_constant(&term.value)).then(|| term.clone())
    }
}

/// A reference up to its first key that is not constant.
fn constant_prefix(reference: &[Term]) -> Ref {
    let keys = reference.iter().enumerate();
    keys.take_while(|(index, key)| *index == 0 || is_constant(&key.value))
        .map(|(_, key)| key.clone())
        .collect()
}

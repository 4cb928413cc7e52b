//! Names of variables that the compiler makes.

use crate::ast::{Expr, ExprKind, Module, Name, Term, TermValue};
use crate::source::Span;

use super::vars::{Collector, Skip, VarSet};

/// The prefix of all generated names, as OPA's.
pub(crate) const PREFIX: &str = "__local";

/// Makes names that no variable of the policy has.
#[derive(Debug, Default)]
pub(crate) struct LocalGenerator {
    /// The policy's own names that could be mistaken for generated ones.
    taken: VarSet,
    next: u64,
}

impl LocalGenerator {
    /// The generator for these modules.
    pub(crate) fn for_modules(modules: &[Module]) -> Self {
        let mut collector = Collector::new(Skip::default());
        for rule in modules.iter().flat_map(|module| &module.rules) {
            collector.rule(rule);
        }
        let taken = collector.vars.iter().filter(|name| name.starts_with(PREFIX));
        Self { taken: taken.map(Name::clone).collect(), next: 0 }
    }

    /// The next name: `__local0__`, `__local1__`, …
    pub(crate) fn generate(&mut self) -> Name {
        loop {
            let name = format!("{PREFIX}{}__", self.next);
            self.next += 1;
            if !self.taken.contains(&name) {
                return name.into();
            }
        }
    }

    /// The next name as a term that stands at `span`.
    pub(crate) fn generate_term(&mut self, span: Span) -> Term {
        Term { value: TermValue::Var(self.generate()), span }
    }

    /// A generated statement `local = term`, and the local.
    pub(crate) fn capture(&mut self, term: Term) -> (Term, Expr) {
        let span = term.span;
        let local = self.generate_term(span);
        let mut expr = equality(local.clone(), term, span);
        expr.generated = true;
        (local, expr)
    }
}

/// The reference `name`, as the operator of a built-in.
pub(crate) fn operator(name: &str, span: Span) -> Term {
    let mut parts = name.split('.');
    let head = parts.next().unwrap_or_default();
    let head = Term { value: TermValue::Var(head.into()), span };
    let keys = parts.map(|part| Term { value: TermValue::String(part.into()), span });
    Term { value: TermValue::Ref(std::iter::once(head).chain(keys).collect()), span }
}

/// The statement `left = right`, as the compiler builds it; not marked as generated.
pub(crate) fn equality(left: Term, right: Term, span: Span) -> Expr {
    statement(ExprKind::Call(vec![operator("eq", span), left, right]), span)
}

/// A statement without `not` and `with`; not marked as generated.
pub(crate) fn statement(kind: ExprKind, span: Span) -> Expr {
    Expr { kind, negated: false, with: Vec::new(), generated: false, from_assignment: false, span }
}

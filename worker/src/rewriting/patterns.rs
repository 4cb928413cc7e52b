//! Object patterns. OPA compares their keys with those of the value; regorus takes a value that has
//! more of them, and so a wrong one for the right one.

use regorus::unstable::{AssignOp, Expr, Literal, RuleHead, Span};

use super::operands::{Link, chain};
use super::statements::{Rewriter, parts};
use crate::contradictions::Fault;

const MESSAGE: &str = "a pattern that holds an object is not compared key by key here: take the whole as a variable, and look into it in the body";

impl<'a> Rewriter<'a, '_> {
    pub(super) fn parameter_patterns(&mut self, head: &'a RuleHead) {
        if let RuleHead::Func { args, .. } = head {
            for object in args.iter().filter_map(|parameter| object_in(parameter)) {
                self.refuse_pattern(object);
            }
        }
    }

    /// Looks where a statement finds values for variables.
    pub(super) fn statement_patterns(&mut self, literal: &'a Literal) {
        match literal {
            Literal::SomeIn { key, value, collection, .. } => {
                for pattern in key.iter().chain([value]) {
                    self.refuse_object(object_in(pattern));
                }
                self.index_patterns(collection);
            }
            Literal::Expr { expr, .. } => {
                match expr.as_ref() {
                    Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } => {
                        self.refuse_object(object_in(lhs));
                    }
                    Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
                        self.refuse_object(self.open_object_in(lhs));
                        self.refuse_object(self.open_object_in(rhs));
                    }
                    // The engine binds the variables of a parameter that a function does not have
                    // to what it returns.
                    Expr::Call { fcn, params, .. } if self.known.has_fewer(fcn, params.len()) => {
                        let last = params.last();
                        self.refuse_object(last.and_then(|last| self.open_object_in(last)));
                    }
                    _ => {}
                }
                self.index_patterns(expr);
            }
            Literal::Every { domain, .. } => self.index_patterns(domain),
            // What stands behind a `not` finds no values.
            Literal::SomeVars { .. } | Literal::NotExpr { .. } => {}
        }
    }

    fn index_patterns(&mut self, expression: &'a Expr) {
        for link in chain(expression).1 {
            if let Link::Index(index) = link {
                self.refuse_object(self.open_object_in(index));
            }
        }
        for part in parts(expression) {
            self.index_patterns(part);
        }
    }

    /// An object in what is compared, where that also finds values for variables.
    fn open_object_in(&self, pattern: &'a Expr) -> Option<&'a Span> {
        object_in(pattern).filter(|_| self.is_open(pattern))
    }

    fn is_open(&self, pattern: &Expr) -> bool {
        match pattern {
            Expr::Var { span, .. } => !self.is_known(span.text()),
            Expr::Array { items, .. } => items.iter().any(|item| self.is_open(item)),
            Expr::Object { fields, .. } => fields.iter().any(|(_, _, value)| self.is_open(value)),
            _ => false,
        }
    }

    fn refuse_object(&mut self, object: Option<&'a Span>) {
        if let Some(place) = object {
            self.refuse_pattern(place);
        }
    }

    fn refuse_pattern(&mut self, place: &'a Span) {
        self.faults.push(Fault { place, message: MESSAGE.to_owned() });
    }
}

/// The first object of a pattern.
fn object_in(pattern: &Expr) -> Option<&Span> {
    match pattern {
        Expr::Object { span, .. } => Some(span),
        Expr::Array { items, .. } => items.iter().find_map(|item| object_in(item)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_refused, text};

    #[test]
    fn an_object_is_no_pattern() {
        let words = "a pattern that holds an object is not compared key by key here";
        assert_refused(&[
            ("f({\"r\": r}) := r", "2:3", words),
            ("f(x, [1, {}]) := x", "2:10", words),
            ("f({\"r\": 1}) if true", "2:3", words),
            ("allow if { {\"r\": r} = input.x }", "2:12", words),
            ("allow if input.x = {\"r\": _}", "2:20", words),
            ("allow if { [{\"r\": 1}, x] = input.y }", "2:13", words),
            ("allow if { {\"r\": r} := input.x; r }", "2:12", words),
            ("x := [r | some {\"r\": r} in input.l]", "2:16", words),
            ("x := [r | some r, {\"r\": 1} in input.l]", "2:19", words),
            ("allow if { walk(input.x, [_, {\"r\": r}]); r }", "2:30", words),
            ("allow if { f(1, {\"r\": r}); r }\nf(x) := x", "2:17", words),
            ("allow if input.s[{\"r\": r}]", "2:18", words),
        ]);
    }

    #[test]
    fn an_object_that_is_compared_as_a_whole_is_taken() {
        for rules in [
            "f(x, [y]) := {\"r\": x, \"s\": y}",
            "allow if { {\"r\": 1} = input.x; {} = input.y }",
            "allow if { r := 1; x := {\"r\": r}; x == {\"r\": r}; {\"r\": r} = input.x }",
            "allow if { some i; input.l[i]; f({\"i\": i}) }\nf(x) := x",
            "allow if { x = {\"r\": input.r, \"s\": s}; x }\ns := 1",
            "allow if { x := 1; m[{\"r\": x}] }\nm := {{\"r\": 1}: 1}",
        ] {
            assert_eq!(text(rules), rules);
        }
    }
}

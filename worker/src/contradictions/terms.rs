//! References to data that reach the rules of their own package. OPA finds recursion in them, and
//! regorus an answer: with the rule in question left out.

use std::slice::from_ref;

use regorus::Value;
use regorus::unstable::{Expr, Literal, Module, Query, Rule, RuleHead, Span};

use super::{Fault, constant, name_of, parts_of, written};

pub(super) fn faults(module: &Module) -> Vec<Fault<'_>> {
    let (package, _) = parts_of(&module.package.refr);
    let mut search = Search { package, faults: Vec::new() };
    for rule in &module.policy {
        search.rule(rule);
    }
    search.faults
}

struct Search<'a> {
    package: Vec<Value>,
    faults: Vec<Fault<'a>>,
}

impl<'a> Search<'a> {
    fn rule(&mut self, rule: &'a Rule) {
        self.expression(name_of(rule));
        match rule {
            Rule::Default { value, .. } => self.expression(value),
            Rule::Spec { head, bodies, .. } => {
                match head {
                    RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                        assign.iter().for_each(|assign| self.expression(&assign.value));
                    }
                    RuleHead::Set { key, .. } => key.iter().for_each(|key| self.expression(key)),
                }
                for body in bodies {
                    body.assign.iter().for_each(|assign| self.expression(&assign.value));
                    self.query(&body.query);
                }
            }
        }
    }

    fn query(&mut self, query: &'a Query) {
        for statement in &query.stmts {
            match &statement.literal {
                Literal::SomeVars { .. } => {}
                Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expression(expr),
                Literal::SomeIn { key, value, collection, .. } => {
                    key.iter().chain([value, collection]).for_each(|part| self.expression(part));
                }
                Literal::Every { domain, query, .. } => {
                    self.expression(domain);
                    self.query(query);
                }
            }
            // What a modifier replaces is not read, what it puts there is.
            statement.with_mods.iter().for_each(|modifier| self.expression(&modifier.r#as));
        }
    }

    fn expression(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.reference(expression);
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().for_each(|item| self.expression(item));
            }
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.expression(key);
                    self.expression(value);
                }
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.expression(term);
                self.query(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.expression(key);
                self.expression(value);
                self.query(query);
            }
            Expr::Call { params, .. } => params.iter().for_each(|next| self.expression(next)),
            Expr::UnaryExpr { expr, .. } => self.expression(expr),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => {
                self.expression(lhs);
                self.expression(rhs);
            }
            Expr::Membership { key, value, collection, .. } => {
                key.iter().chain([value, collection]).for_each(|part| self.expression(part));
            }
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
        }
    }

    /// Looks at a reference and at its indices, without recursion along it.
    fn reference(&mut self, reference: &'a Expr) {
        let mut parts = Vec::new();
        let mut rest = reference;
        loop {
            rest = match rest {
                Expr::RefDot { refr, field: (_, name), .. } => {
                    parts.push(Some(name));
                    refr
                }
                Expr::RefBrack { refr, index, .. } => {
                    parts.push(constant(index));
                    self.expression(index);
                    refr
                }
                _ => break,
            };
        }
        match rest {
            Expr::Var { span, .. } if span.text() == "data" => {
                parts.reverse();
                if self.reaches_package(&parts) {
                    self.refuse(span);
                }
            }
            Expr::Var { .. } => {}
            base => self.expression(base),
        }
    }

    /// Whether what stands below `data` may be the module's package or hold it, or is one of its
    /// rules that only an evaluation can tell.
    fn reaches_package(&self, parts: &[Option<&Value>]) -> bool {
        let leads_there =
            self.package.iter().zip(parts).all(|(own, part)| part.is_none_or(|part| part == own));
        let names_a_rule = parts.len() > self.package.len()
            && parts.iter().take(self.package.len() + 1).all(Option::is_some);
        leads_there && !names_a_rule
    }

    fn refuse(&mut self, place: &'a Span) {
        let root = Value::from("data");
        let package: Vec<Value> = from_ref(&root).iter().chain(&self.package).cloned().collect();
        let message = format!(
            "this can be all of {}, which the rule is part of itself: name the rule, or the key of data.json, that is meant",
            written(&package)
        );
        self.faults.push(Fault { place, message });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_refused, assert_taken, faults};

    #[test]
    fn a_rule_does_not_read_all_that_it_is_part_of() {
        let words = "this can be all of data.tenants.a, which the rule is part of itself";
        assert_refused(&[
            ("x := data", "2:6", words),
            ("x if count(data) > 0", "2:12", words),
            ("x if walk(data, [_, 1])", "2:11", words),
            ("x if { y := data with data.b as 1; y }", "2:13", words),
            ("x if y with data.b as [data]\ny := 1", "2:24", words),
            ("x := [y | y := data[_]]", "2:16", words),
            ("x if data[input.y]", "2:6", words),
            ("x if data[input.y].a.x", "2:6", words),
            ("x if data.tenants", "2:6", words),
            ("x if not data[\"tenants\"][input.y].z", "2:10", words),
            ("x if every y in data.tenants.a { y }", "2:17", words),
            ("f(y) := data.tenants.a[y]", "2:9", words),
            ("x contains {\"y\": {data.tenants.a}}", "2:19", words),
            ("x if input.y[data.tenants.a[input.z]]", "2:14", words),
        ]);
        let found = faults(&["package a.lib\nx := data.a", "package a\ny := data.a.lib"]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn what_is_not_its_own_package_is_read_freely() {
        assert_taken(&[
            "x if data.b[input.y]\ny := data.b",
            "x if data[input.y].b",
            "x if data.tenants.a.y[input.z]\ny := {}",
            "x if data.tenants.a[\"y\"]\ny := 1",
            "x := data.tenants.a.lib",
            "x if data.tenants.a.lib[input.y]",
            "x if y with data as {}\ny := 1",
            "x := data.tenants.ab",
        ]);
    }
}

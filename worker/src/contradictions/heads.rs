//! Heads and bodies of single rules that regorus reads otherwise than OPA.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, NodeRef, Rule, RuleBody, RuleHead};

use super::{Fault, name_of, parts_of, written};

pub(super) fn faults(rule: &Rule) -> Vec<Fault<'_>> {
    match rule {
        Rule::Default { args, .. } => parameter_faults(args),
        Rule::Spec { head, bodies, .. } => {
            let mut faults = match head {
                RuleHead::Func { args, .. } => parameter_faults(args),
                RuleHead::Compr { .. } | RuleHead::Set { .. } => Vec::new(),
            };
            faults.extend(chained_body(bodies));
            faults.extend(else_without_value(rule, head, bodies));
            faults
        }
    }
}

/// Two parameters of one variable have to be equal, which regorus does not see to; and a parameter
/// that is to be evaluated is never equal to anything.
fn parameter_faults(parameters: &[NodeRef<Expr>]) -> Vec<Fault<'_>> {
    let mut faults = Vec::new();
    let mut before: BTreeSet<&str> = BTreeSet::new();
    for parameter in parameters {
        let mut own = BTreeSet::new();
        let mut pending: Vec<&Expr> = vec![parameter];
        while let Some(pattern) = pending.pop() {
            match pattern {
                Expr::Var { span, .. } => {
                    let name = span.text();
                    if matches!(name, "input" | "data") {
                        let message = format!("a parameter cannot be named {name}");
                        faults.push(Fault { place: span, message });
                    } else if before.contains(name) {
                        faults.push(Fault { place: span, message: repeated(name) });
                    } else if name != "_" {
                        own.insert(name);
                    }
                }
                Expr::Array { items, .. } | Expr::Set { items, .. } => {
                    pending.extend(items.iter().rev().map(AsRef::as_ref));
                }
                Expr::Object { fields, .. } => {
                    for (_, key, value) in fields.iter().rev() {
                        pending.extend([value.as_ref(), key.as_ref()]);
                    }
                }
                Expr::RefDot { span, .. } | Expr::RefBrack { span, .. } => {
                    let message = "a parameter is a variable or a pattern of values: take a variable here, and compare it in the body";
                    faults.push(Fault { place: span, message: message.to_owned() });
                }
                _ => {}
            }
        }
        before.append(&mut own);
    }
    faults
}

fn repeated(name: &str) -> String {
    format!(
        "the variable {name} stands in two parameters: give them two names, and compare them with == in the body"
    )
}

/// A body that follows another, `{ … } { … }`: the engine forgets the rule's value for it.
fn chained_body(bodies: &[RuleBody]) -> Option<Fault<'_>> {
    let chained = bodies.iter().skip(1).find(|body| !body.is_else)?;
    let message = "a second body must not follow the first: write two rules".to_owned();
    Some(Fault { place: &chained.span, message })
}

/// Where the head has a value and an `else` has none, OPA gives that branch the value true, and
/// regorus leaves a function undefined and gives a bracketed name the head's value.
fn else_without_value<'a>(
    rule: &'a Rule,
    head: &RuleHead,
    bodies: &'a [RuleBody],
) -> Option<Fault<'a>> {
    let (RuleHead::Func { assign: Some(_), .. } | RuleHead::Compr { assign: Some(_), .. }) = head
    else {
        return None;
    };
    let name = name_of(rule);
    let is_touched = matches!(head, RuleHead::Func { .. }) || matches!(name, Expr::RefBrack { .. });
    let without = bodies.iter().find(|body| body.is_else && body.assign.is_none())?;
    is_touched.then(|| {
        let (parts, _) = parts_of(name);
        let message = format!(
            "this else of {} has no value where its head has one: write `else := true if`",
            written(&parts)
        );
        Fault { place: &without.span, message }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_refused, assert_taken};

    #[test]
    fn a_variable_stands_in_one_parameter() {
        assert_refused(&[
            ("f(x, x) := true", "2:6", "the variable x stands in two parameters"),
            ("f(x, [x]) if true", "2:7", "the variable x stands in two parameters"),
            ("f([x], x) if true", "2:8", "the variable x stands in two parameters"),
            ("f(\n  x, # c\n  y, {\"a\": [1, x]}\n) if y", "4:16", "the variable x stands in two"),
            ("f(x, {x: 1}) if true", "2:7", "the variable x stands in two parameters"),
            ("f.g(x, x) := 1", "2:8", "the variable x stands in two parameters"),
            ("\tf(x, _, x) := 1", "2:10", "the variable x stands in two parameters"),
        ]);
    }

    #[test]
    fn a_parameter_is_not_named_like_a_root_and_is_not_evaluated() {
        assert_refused(&[
            ("f(input) := 1", "2:3", "a parameter cannot be named input"),
            ("f(x, [data]) := x", "2:7", "a parameter cannot be named data"),
            ("default f(data) := 1", "2:11", "a parameter cannot be named data"),
            ("f(input.x) := 1", "2:3", "take a variable here, and compare it in the body"),
            ("f([x, b[x]]) := 1\nb := [1]", "2:7", "take a variable here, and compare it"),
        ]);
    }

    #[test]
    fn parameters_of_all_other_forms_are_taken() {
        assert_taken(&[
            "f(_, _, x, [_, y]) := 1",
            "f([x, x], y) := x",
            "f(x, y) if x == y",
            "f({\"x\": x, \"y\": y}, \"x\", 1, -1, true, null, `x`) := [x, y]",
            "f(x) := g(x, x)\ng(x, y) := x + y",
            "f(x) if {\n\tg(x, x)\n}\ng(x, y) if x == y",
            "f() := 1\ng(x_input, datax) := 1",
        ]);
    }

    #[test]
    fn a_rule_has_one_body() {
        assert_refused(&[
            ("allow := false if { true } { true }", "2:28", "write two rules"),
            ("allow if { true }\n{ true }", "3:1", "write two rules"),
            ("f(x) := 1 if { x }# c\n { not x }", "3:2", "write two rules"),
        ]);
        assert_taken(&[
            "allow if { true }\nallow if { false }",
            "x := {1 | true}\ny if { {1} == {1} }\nz := [{} | {}] if { true } else := {}",
        ]);
    }

    #[test]
    fn an_else_has_a_value_where_the_head_has_one() {
        assert_refused(&[
            (
                "f(x) := false if { x == 1 } else if { x == 2 }",
                "2:29",
                "this else of f has no value where its head has one: write `else := true if`",
            ),
            ("f(x) = true if x == 1\nelse := 2 if x == 2\nelse if x == 3", "4:1", "else of f has"),
            ("b[\"c\"] := false if { input.x } else if { true }", "2:32", "this else of b.c has"),
            ("b[x] := 1 if { x := 1; input.x } else if { x := 2 }", "2:34", "this else of b has"),
        ]);
        assert_taken(&[
            "f(x) if { x == 1 } else if { x == 2 }",
            "f(x) if { x == 1 } else := false if { x == 2 } else if { x == 3 }",
            "f(x) := 1 if { x == 1 } else := true if { x == 2 } else := 3",
            "allow := 1 if { input.x } else if { input.y }",
            "b.c := 1 if { input.x } else if { input.y }",
        ]);
    }
}

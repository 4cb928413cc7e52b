//! Writes a bundle's modules anew where regorus would evaluate them otherwise than OPA.
//!
//! OPA's compiler takes the operands of a `not` out of it, so that one which is undefined fails the
//! body. To regorus the whole is undefined then, and `not` makes that true: a wrong allow. It takes
//! an undefined operand of `in` for a value like any other, and forgets an undefined value of a
//! `with` when another `with` follows. So all of these are bound to variables of ours first, as
//! OPA's compiler does it (`rewriteExprTerms`, `rewriteDynamicTerms`):
//! ```text
//! allow if not startswith(input.user, "b")
//! allow if { __enforcer_0 := input.user; not startswith(__enforcer_0, "b") }
//! ```
//! Nothing else of a module changes, and every line stays where it is.

mod operands;
mod patterns;
mod places;
mod scopes;
mod statements;

use std::collections::BTreeMap;

use enforcer_protocol::{Diagnostic, MAX_DIAGNOSTICS};
use regorus::unstable::{Module, NodeRef};

pub(crate) use places::Places;

use crate::contradictions::{diagnostic, parts_of};
use scopes::{Globals, Names};
use statements::Rewriter;

/// What the engine is to be given.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    /// The texts of the modules that were written anew, by their paths.
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) places: Places,
}

/// Writes anew what must be.
///
/// # Errors
/// What cannot be: the first ones of them all.
pub(crate) fn rewrite(modules: &[NodeRef<Module>]) -> Result<Rewritten, Vec<Diagnostic>> {
    let modules: Vec<&Module> = modules.iter().map(AsRef::as_ref).collect();
    let globals = Globals::of(&modules);
    let mut names = Names::unused_in(&modules);
    let mut rewritten = Rewritten::default();
    let mut faults = Vec::new();
    for module in modules {
        let (package, _) = parts_of(&module.package.refr);
        let source = &module.package.span.source;
        let text = source.get_contents();
        let mut rewriter = Rewriter::new(text, globals.in_package(&package), &mut names);
        for rule in &module.policy {
            rewriter.rule(rule);
        }
        let (edits, found) = rewriter.finish();
        faults.extend(found);
        if !edits.is_empty() {
            let path = source.get_path();
            let text = rewritten.places.applied(path, text, &edits);
            rewritten.texts.insert(path.clone(), text);
        }
    }
    if faults.is_empty() {
        Ok(rewritten)
    } else {
        Err(faults.iter().take(MAX_DIAGNOSTICS).map(diagnostic).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(rules: &str) -> Result<Rewritten, Vec<String>> {
        let mut engine = regorus::Engine::new();
        engine.add_policy("p.rego".to_owned(), format!("package tenants.a\n{rules}")).unwrap();
        rewrite(engine.get_modules())
            .map_err(|faults| faults.iter().map(Diagnostic::to_string).collect())
    }

    /// Asserts that each of these is refused at its place, with these words.
    pub(super) fn assert_refused(cases: &[(&str, &str, &str)]) {
        for (rules, place, words) in cases {
            let faults = rewritten(rules).unwrap_err();
            let start = format!("p.rego:{place}: rego_compile_error: {words}");
            assert!(faults.len() == 1 && faults[0].starts_with(&start), "{rules}: {faults:?}");
        }
    }

    /// The rules as the engine gets them.
    pub(super) fn text(rules: &str) -> String {
        let texts = rewritten(rules).unwrap().texts;
        let text = texts.get("p.rego").map_or(rules, |text| text.split_once('\n').unwrap().1);
        text.to_owned()
    }

    #[test]
    fn what_is_taken_out_of_a_not_is_bound_before_it() {
        for (rules, expected) in [
            (
                "allow if not startswith(input.user, \"b\") # c",
                "allow if { __enforcer_0 := input.user; not startswith(__enforcer_0, \"b\") } # c",
            ),
            (
                "allow if { not f(g(input.x[input.y]), x); x := 1 }",
                "allow if { __enforcer_0 := input.y; __enforcer_1 := input.x[[__enforcer_0][0]]; __enforcer_2 := g(__enforcer_1); not f(__enforcer_2, x); x := 1 }",
            ),
            (
                "x := [1 | not f(input.x) with input as input.y]",
                "x := [1 | __enforcer_0 := input.y; __enforcer_1 := input.x with input as __enforcer_0; not f(__enforcer_1) with input as __enforcer_0]",
            ),
            (
                "x := input[`y`] in z",
                "x := [__enforcer_2 | __enforcer_0 := input[`y`]; __enforcer_1 := z; __enforcer_2 := __enforcer_0 in __enforcer_1][0]",
            ),
            (
                "x := \"y\" in input.z",
                "x := [__enforcer_1 | __enforcer_0 := input.z; __enforcer_1 := \"y\" in __enforcer_0][0]",
            ),
        ] {
            assert_eq!(text(rules), expected);
        }
    }

    #[test]
    fn what_the_engine_evaluates_as_opa_does_stays_as_it_is() {
        for rules in [
            "allow if not input.a.b",
            "allow if { x := input.y; not f(x, 1, [x]); not x == input.z; not m[x] }\nm := {}",
            "f(x, [[y]]) if { not g(x); not y }",
            "allow if { some x, [y] in input.l; not x == y; not x in {y} }",
            "allow if every k, v in input.m { not k in [v] }",
            "allow if { input.a in input.b; some x in input.c with input as {} }",
            "allow if not deny with input as {\"a\": 1} with data.x as 2\ndeny := 1",
            "allow if { x := [y | y := input.a]; f(x) with input as input.b }",
        ] {
            assert_eq!(text(rules), rules);
        }
    }

    #[test]
    fn a_line_stays_where_it_is() {
        let rules = "allow if not f(\n  input.a, # one ( \"\n  [x |\n    x := input.b # two\n  ],\n  `\n`,\n) else := 1\nlast := 1";
        let expected = "allow if { __enforcer_0 := input.a; not f(__enforcer_0, [x |\n    x := input.b # two\n  ], `\n`)\n\n\n\n } else := 1\nlast := 1";
        assert_eq!(text(rules), expected);
    }

    #[test]
    fn a_name_that_a_policy_has_is_not_given_again() {
        let text = text("__enforcer_0 := 1\nallow if not f(input.x, \"__enforcer__1\")");
        assert!(text.contains("not f(__enforcer___0, \"__enforcer__1\")"), "{text}");
    }

    #[test]
    fn what_opa_refuses_in_a_not_is_refused() {
        assert_refused(&[
            ("allow if not x := 1", "2:14", "a `not` cannot assign a variable"),
            ("allow if not input.x[_] == 1", "2:22", "_ cannot stand for any value here"),
            ("f(_) if not input.x[_] == 1", "2:21", "_ cannot stand for any value here"),
            ("allow if not f(input.x, _)", "2:25", "_ cannot stand for any value here"),
            ("x := input.a in input.b[_]", "2:25", "_ cannot stand for any value here"),
            ("x[input.a in [1]] := 1", "2:3", "an `in` cannot be part of a rule's name"),
        ]);
        assert!(rewritten("allow if not count(input.x[_]) == 1").is_ok());
    }
}

use crate::compile::testing::{body_after, errors};

fn errors_in(body: &str) -> Vec<String> {
    errors(&[&format!("package t\np if {{\n{body}\n}}")])
}

#[test]
fn a_variable_is_assigned_once_in_a_body() {
    assert_eq!(
        errors_in("x := 1\nx := 2"),
        ["a.rego:4:1 rego_compile_error: var x assigned above"]
    );
    assert_eq!(errors_in("x := 1\ny := [x | x := 2]\ny[0] == x"), [""; 0]);
}

#[test]
fn a_variable_is_declared_before_it_is_used() {
    assert_eq!(
        errors_in("x == 1\nx := 2"),
        ["a.rego:4:1 rego_compile_error: var x referenced above"]
    );
    assert_eq!(
        errors_in("some x\nsome x\nx = 1"),
        ["a.rego:4:1 rego_compile_error: var x declared above"]
    );
    assert_eq!(
        errors_in("count(input) == 1\ncount := 2\ncount == 2"),
        ["a.rego:4:1 rego_compile_error: var count referenced above"]
    );
}

#[test]
fn a_parameter_is_not_declared_again() {
    assert_eq!(
        errors(&["package t\nf(x) if { x := 2 }"]),
        ["a.rego:2:11 rego_compile_error: arg x redeclared"]
    );
}

#[test]
fn what_some_and_every_declare_is_used() {
    assert_eq!(errors_in("some x"), ["a.rego:3:1 rego_compile_error: declared var x unused"]);
    assert_eq!(
        errors_in("every k, v in input { v }"),
        ["a.rego:3:23 rego_compile_error: declared var k unused"]
    );
    assert_eq!(errors_in("some k, v in input; k == 1"), [""; 0]);
}

#[test]
fn a_collection_is_not_gone_through_by_its_own_members() {
    assert_eq!(
        errors_in("some x in [x]"),
        ["a.rego:3:1 rego_compile_error: var x assigned before"]
    );
}

#[test]
fn nothing_is_assigned_where_it_cannot_be_seen() {
    assert_eq!(
        errors_in("not x := 1"),
        ["a.rego:3:1 rego_compile_error: cannot assign vars inside negated expression"]
    );
    assert_eq!(
        errors(&["package t\nimport future.keywords.and\np if { x := 1 and true }"]),
        ["a.rego:3:8 rego_compile_error: cannot assign vars inside implicit and operand"]
    );
    assert_eq!(
        errors(&["package t\nimport future.keywords.not\np if { not { x := 1; x == 2 } }"]),
        [""; 0]
    );
}

#[test]
fn only_variables_and_patterns_of_them_are_assigned_to() {
    assert_eq!(errors_in("input.x := 1"), ["a.rego:3:1 rego_compile_error: cannot assign to ref"]);
    assert_eq!(
        errors_in("{\"a\": count(x)} := input"),
        ["a.rego:3:7 rego_compile_error: cannot assign to call"]
    );
    assert_eq!(errors_in("[x, {\"a\": y}] := input; x == y"), [""; 0]);
}

#[test]
fn a_variable_cannot_be_called() {
    assert_eq!(
        errors(&["package t\nf(y) := y\np if { f := 1; q := [f(1) | f]; q }"]),
        ["a.rego:3:22 rego_compile_error: called function f shadowed"]
    );
}

#[test]
fn parameters_are_patterns() {
    assert_eq!(
        errors(&["package t\nf(count(x)) := x"]),
        ["a.rego:2:3 rego_compile_error: rule arguments cannot contain calls"]
    );
    assert_eq!(errors(&["package t\nf([x, {\"a\": y}]) := [x, y]"]), [""; 0]);
}

#[test]
fn every_declaration_has_a_name_of_its_own() {
    let body = body_after(
        "RewriteLocalVars",
        "package t\np if { x := 1; y := [x | x := 2; x > 0]; y[0] == x }",
    );
    assert_eq!(
        body,
        "__local0__ = 1; __local2__ = [__local1__ | __local1__ = 2; gt(__local1__, 0)]; \
         equal(__local2__[0], __local0__)"
    );
}

#[test]
fn what_some_in_binds_is_found_in_the_collection() {
    assert_eq!(
        body_after("RewriteLocalVars", "package t\np if { some k, [v, 1] in input.x; k == v }"),
        "[__local1__, 1] = input.x[__local0__]; equal(__local0__, __local1__)"
    );
}

#[test]
fn a_variable_with_a_builtins_name_is_renamed() {
    assert_eq!(
        body_after("RewriteLocalVars", "package t\np if { count = input.x; count > 1 }"),
        "__local0__ = input.x; gt(__local0__, 1)"
    );
}

#[test]
fn a_head_uses_the_variables_of_its_body() {
    assert_eq!(errors(&["package t\np[x] := [y | y := x] if { x := 1; y := 2; y > x }"]), [""; 0]);
    assert_eq!(errors(&["package t\nf(x) := x if { x > 1 } else := y if { y := x }"]), [""; 0]);
}

#[test]
fn nesting_is_bounded_in_depth_and_time() {
    let arrays = format!("x := {}1{}; x", "[".repeat(390), "]".repeat(390));
    assert_eq!(errors_in(&arrays), [""; 0]);
    let every = (0..90).fold("true".to_owned(), |body, number| {
        format!("every v{number} in input.a {{ v{number}; {body} }}")
    });
    assert_eq!(errors_in(&every), [""; 0]);
    // OPA's time for this doubles and more with each of the twelve levels.
    let closures = (0..12).fold("true".to_owned(), |body, number| {
        format!("every v{number} in [x | every y in input {{ y; {body} }}; x := 1] {{ v{number} }}")
    });
    let found = errors_in(&closures);
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .ends_with("bundle_error: closures are nested too deep to tell their variables apart"),
        "{found:?}"
    );
}

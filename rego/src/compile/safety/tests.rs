use crate::compile::testing::{body_after, errors, help};

fn ordered(body: &str) -> String {
    body_after("CheckSafetyRuleBodies", &format!("package t\np if {{ {body} }}"))
}

fn unsafe_in(body: &str) -> Vec<String> {
    errors(&[&format!("package t\np if {{ {body} }}")])
}

#[test]
fn statements_wait_for_what_binds_their_variables() {
    assert_eq!(ordered("x > 1; x = 2"), "x = 2; gt(x, 1)");
    assert_eq!(ordered("not x == 1; x = 1; y = x"), "x = 1; y = x; not equal(x, 1)");
    assert_eq!(ordered("x = y; y = z; z = 1"), "z = 1; y = z; x = y");
}

#[test]
fn statements_wait_for_what_their_closures_use() {
    assert_eq!(
        ordered("every v in xs { v > y }; xs = [1]; y = 0"),
        "xs = [1]; y = 0; __local2__ = xs; every __local0__, __local1__ in __local2__ { gt(__local1__, y) }"
    );
    assert_eq!(
        ordered("count(xs) > 1; xs = [x | x = z]; z = 1"),
        "z = 1; xs = [x | x = z]; count(xs, __local0__); gt(__local0__, 1)"
    );
}

#[test]
fn what_is_safe_as_it_is_written_stays_as_it_is_written() {
    assert_eq!(
        ordered("[a, b] = input.x; c = a + b; d = c"),
        "[a, b] = input.x; plus(a, b, __local0__); c = __local0__; d = c"
    );
}

#[test]
fn a_variable_that_nothing_binds_is_reported_where_it_is_first_needed() {
    assert_eq!(unsafe_in("not x"), ["a.rego:2:8 rego_unsafe_var_error: var x is unsafe"]);
    assert_eq!(unsafe_in("x > 1; y := x"), ["a.rego:2:8 rego_unsafe_var_error: var x is unsafe"]);
    assert_eq!(
        unsafe_in("every v in [1] { v > z }"),
        ["a.rego:2:25 rego_unsafe_var_error: var z is unsafe"]
    );
    assert_eq!(
        unsafe_in("input.x with input as y"),
        ["a.rego:2:8 rego_unsafe_var_error: var y is unsafe"]
    );
}

#[test]
fn a_negation_and_a_set_bind_nothing() {
    assert_eq!(
        unsafe_in("not input.x[_] == i"),
        [
            "a.rego:2:8 rego_unsafe_var_error: var _ is unsafe",
            "a.rego:2:8 rego_unsafe_var_error: var i is unsafe"
        ]
    );
    assert_eq!(
        unsafe_in("{x, y} = {1, 2}"),
        [
            "a.rego:2:8 rego_unsafe_var_error: var x is unsafe",
            "a.rego:2:8 rego_unsafe_var_error: var y is unsafe"
        ]
    );
}

#[test]
fn the_right_side_of_an_assignment_is_not_found_by_its_left_side() {
    assert_eq!(unsafe_in("x := y; x = 1"), ["a.rego:2:8 rego_unsafe_var_error: var y is unsafe"]);
}

#[test]
fn patterns_bind_from_both_sides() {
    assert_eq!(unsafe_in(r#"{"a": x} = {"a": 1}; x == 1"#), [""; 0]);
    assert_eq!(unsafe_in("[x, y] = z; z = [1, a]; a = 1"), [""; 0]);
    assert_eq!(
        unsafe_in("x = [y]; x[0] == y"),
        [
            "a.rego:2:8 rego_unsafe_var_error: var x is unsafe",
            "a.rego:2:8 rego_unsafe_var_error: var y is unsafe"
        ]
    );
}

#[test]
fn equal_statements_that_wait_are_refused_as_opa_refuses_them() {
    assert_eq!(
        unsafe_in("x > 1; x > 1; x = 2"),
        ["a.rego:2:15 rego_unsafe_var_error: var x is unsafe"]
    );
    assert_eq!(unsafe_in("x > 1; x = 2; x > 1"), [""; 0]);
}

#[test]
fn a_body_binds_what_its_head_needs() {
    assert_eq!(
        errors(&["package t\np := x"]),
        ["a.rego:2:6 rego_unsafe_var_error: var x is unsafe"]
    );
    assert_eq!(
        errors(&["package t\np contains x if input.y"]),
        ["a.rego:2:12 rego_unsafe_var_error: var x is unsafe"]
    );
    assert_eq!(
        errors(&["package t\np := [y | input.z]"]),
        ["a.rego:2:6 rego_unsafe_var_error: var y is unsafe"]
    );
    assert_eq!(
        errors(&["package t\np if { x := 1 } else := y if { true }"]),
        ["a.rego:2:25 rego_unsafe_var_error: var y is unsafe"]
    );
}

#[test]
fn rules_that_share_a_row_are_told_apart() {
    assert_eq!(
        errors(&["package t\np if { x } q if { y }"]),
        [
            "a.rego:2:8 rego_unsafe_var_error: var x is unsafe in rule p",
            "a.rego:2:19 rego_unsafe_var_error: var y is unsafe in rule q"
        ]
    );
}

#[test]
fn a_keyword_that_is_not_imported_is_named() {
    assert_eq!(
        unsafe_in("or"),
        [
            "a.rego:2:8 rego_unsafe_var_error: var or is unsafe (hint: `import future.keywords.or` to import a future keyword)"
        ]
    );
}

#[test]
fn a_misspelt_variable_or_rule_is_named() {
    assert_eq!(
        help(&["package t\np if { user := input.user; usr.name }"]).as_deref(),
        Some("did you mean user?")
    );
    assert_eq!(
        help(&["package t\nadmins := {1}\np if admns[1]"]).as_deref(),
        Some("did you mean admins?")
    );
    assert_eq!(help(&["package t\np if inptu.x"]).as_deref(), Some("did you mean input?"));
}

#[test]
fn a_body_in_reverse_order_takes_no_time_of_its_square() {
    let mut body = String::new();
    for number in (1..4000).rev() {
        body.push_str(&format!("x{number} = [x{}]; ", number - 1));
    }
    let begun = std::time::Instant::now();
    let file = format!("package t\np if {{ {body} x0 = 1 }}");
    assert!(body_after("CheckSafetyRuleBodies", &file).starts_with("x0 = 1; x1 = [x0]; x2 = [x1]"));
    // Checking all statements in all rounds would take minutes.
    assert!(begun.elapsed().as_secs() < 30);
}

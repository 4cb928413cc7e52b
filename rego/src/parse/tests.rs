use std::fmt::Write as _;

use super::*;
use crate::ast::{ExprKind, Rule, Scope, TermValue};
use crate::compile::text;

fn parse_as(text: &str, version: RegoVersion) -> Result<Module, Vec<String>> {
    let mut sources = Sources::default();
    let file = sources.add("a.rego", text);
    parse_module(&sources, file, version).map_err(|faults| {
        let line = |fault: Diagnostic| {
            let at = sources.location(fault.span.unwrap());
            format!("{}:{}: {}", at.row, at.col, fault.message)
        };
        faults.into_iter().map(line).collect()
    })
}

/// The module that has these lines after its package.
fn module(lines: &str) -> Module {
    parse_as(&format!("package a\n{lines}\n"), RegoVersion::V1).unwrap()
}

/// The faults of such a module: its lines are counted from 2.
fn faults(lines: &str) -> Vec<String> {
    parse_as(&format!("package a\n{lines}\n"), RegoVersion::V1).unwrap_err()
}

fn v0_faults(lines: &str) -> Vec<String> {
    parse_as(&format!("package a\n{lines}\n"), RegoVersion::V0).unwrap_err()
}

/// The statements of the first rule's body, in OPA's form.
fn statements(lines: &str) -> Vec<String> {
    let module = module(lines);
    module.rules[0].body.iter().map(text::of_expr).collect()
}

/// The one statement of a rule, in OPA's form.
fn statement(statement: &str) -> String {
    statements(&format!("p if {{\n{statement}\n}}")).join("; ")
}

fn names(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(|rule| text::of_ref(&rule.head.reference)).collect()
}

// --- statements and terms

#[test]
fn an_ordinary_module_is_read() {
    let module = module(
        "import data.x as y\n\ndefault allow := false\n\nallow if {\n\tinput.x == 1\n\tsome i, v in [1, {2}]\n\tnot f(v)\n}\n\nf(x) := y if {\n\ty := {k: v | some k, v in x}\n} else := 2\n\np contains x if x := [1 | true][_]",
    );
    assert_eq!(names(&module.rules), ["allow", "allow", "f", "p"]);
    assert!(module.rules[0].is_default);
    assert!(module.rules[2].else_rule.is_some());
    assert_eq!(module.imports[0].alias.as_deref(), Some("y"));
}

#[test]
fn operators_bind_as_in_opa() {
    assert_eq!(statement("x = 1 + 2 * 3 - 4"), "x = minus(plus(1, mul(2, 3)), 4)");
    assert_eq!(statement("x = a | b & c == d | e"), "x = equal(or(a, and(b, c)), or(d, e))");
    assert_eq!(statement("1 < 2 == true"), "equal(lt(1, 2), true)");
    assert_eq!(statement("x in y == z"), "internal.member_2(x, equal(y, z))");
    assert_eq!(statement("k, v in xs in ys"), "internal.member_2(internal.member_3(k, v, xs), ys)");
    assert_eq!(statement("x == -input.y"), "equal(x, minus(0, input.y))");
}

#[test]
fn a_line_that_begins_with_a_bracket_is_no_argument_of_the_line_before() {
    assert_eq!(statements("p if {\nx := 1\n(x == 1)\n}"), ["assign(x, 1)", "equal(x, 1)"]);
    assert_eq!(statements("p if {\nf(1)\n[y] = [2]\n}"), ["f(1)", "[y] = [2]"]);
    assert_eq!(faults("p if {\nf (1)\n}"), ["3:3: unexpected ( token: expected \\n or ; or }"]);
}

#[test]
fn keywords_are_names_in_references() {
    assert_eq!(
        statement("data.foo.if == input.contains"),
        "equal(data.foo[\"if\"], input[\"contains\"])"
    );
    assert_eq!(statement("not.x"), "not.x");
    assert_eq!(names(&module("if.x := 1\nevery[\"y\"] := 2").rules), ["if.x", "every.y"]);
}

#[test]
fn a_bar_makes_a_comprehension_unless_a_list_goes_on() {
    assert_eq!(statement("x = {a | b}"), "x = {a | b}");
    assert_eq!(statement("x = {a | b, c}"), "x = {or(a, b), c}");
    assert_eq!(statement("x = [a | b, [c | d, e]]"), "x = [or(a, b), [or(c, d), e]]");
    assert_eq!(statement("x = {k: a | b, l: c}"), "x = {k: or(a, b), l: c}");
    assert_eq!(statement("x = {k: a | b}"), "x = {k: a | b}");
    assert_eq!(statement("x = [, 1, 2,]"), "x = [1, 2]");
}

#[test]
fn numbers_are_kept_as_they_are_written() {
    assert_eq!(statement("x = [1.50, 0e5, -1e3, .5]"), "x = [1.50, 0e5, -1e3, .5]");
    assert_eq!(
        faults("p := 007"),
        [
            "2:6: unexpected number token: expected number without leading zero",
            "2:6: unexpected number token: expected rule value term (e.g., p := <VALUE> { ... })",
        ]
    );
    assert_eq!(faults("p := 1e99999")[0], "2:6: number too big");
    assert_eq!(faults("p := 1a")[0], "2:6: illegal number format");
}

#[test]
fn strings_have_the_escapes_of_json() {
    let value = |written: &str| {
        let module = module(&format!("p := {written}"));
        match &module.rules[0].head.value.as_ref().unwrap().value {
            TermValue::String(value) => value.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(value(r#""a\n\u00e9\ud83d\ude00\/""#), "a\né😀/");
    assert_eq!(value(r#""\ud83d""#), "\u{fffd}");
    assert_eq!(value("`a\\n\n\"b`"), "a\\n\n\"b");
    assert_eq!(value("\"a\tb\""), "a\tb");
    assert_eq!(faults("p := \"\\x\"")[0], "2:6: illegal escape sequence");
    assert_eq!(faults("p := \"a\tb\\n\"")[0], "2:6: illegal string literal: \"a\tb\\n\"");
    assert_eq!(faults("p := \"a")[0], "2:6: non-terminated string");
}

#[test]
fn wildcards_are_numbered_in_the_order_of_the_text() {
    assert_eq!(
        module("p if [_, _]\nq(_) if _ = 1")
            .rules
            .iter()
            .flat_map(|rule| rule.head.args.iter().flatten())
            .map(|arg| format!("{:?}", arg.value))
            .collect::<Vec<_>>(),
        ["Var(\"$2\")"]
    );
}

#[test]
fn template_strings_are_text_and_expressions_in_turn() {
    assert_eq!(statement(r#"x = $"a\{ {f(1)}{2}b\n""#), r#"x = $"a\{ {f(1)}2b\n""#);
    assert_eq!(statement("x = $`{y}\n`"), "x = $\"{y}\\n\"");
    assert_eq!(
        faults("p := $\"{x := 1}\"")[0],
        "2:9: unexpected assignment (':=') in template-string expression"
    );
    assert_eq!(
        v0_faults("p = $\"a\"")[0],
        "2:5: template strings are not supported by current capabilities"
    );
}

#[test]
fn and_or_and_not_are_operators_where_they_are_imported() {
    let imports =
        "import future.keywords.and\nimport future.keywords.or\nimport future.keywords.not\n";
    let module = module(&format!("{imports}p if {{ a or b and not {{ c; d }} with input as 1 }}"));
    let ExprKind::Or(sides) = &module.rules[0].body[0].kind else { panic!() };
    let ExprKind::And(inner) = &sides.right[0].kind else { panic!() };
    let ExprKind::Not(not) = &inner.right[0].kind else { panic!() };
    assert_eq!(not.body.len(), 2);
    assert_eq!(module.rules[0].body[0].with.len(), 1);
    assert_eq!(
        faults("p if a or b"),
        ["2:8: var cannot be used for rule name", "2:11: var cannot be used for rule name"]
    );
    let operand = "`with` modifier is not allowed on operand of `and` (hint: Wrap the operand in `(...)` or `{...}` to scope, or move `with` after the `and` expression to apply it to the whole expression)";
    let text = format!("{imports}p if a with input as 1 and b");
    assert_eq!(faults(&text), [format!("5:8: {operand}")]);
}

#[test]
fn every_and_some_say_what_they_range_over() {
    assert_eq!(statement("every k, v in xs { v > k }"), "every k, v in xs { gt(v, k) }");
    assert_eq!(statement("some x, y"), "some x, y");
    assert_eq!(statement("some x in xs with input as {}"), "some x in xs with input as {}");
    assert_eq!(
        faults("p if not some x")[0],
        "2:10: unexpected some keyword: illegal negation of 'some'"
    );
    assert_eq!(
        v0_faults("p { some x in xs }"),
        [
            "2:12: unexpected identifier token: expected \\n or ; or } (hint: `import future.keywords.in` for `some x in xs` expressions)"
        ]
    );
}

// --- modules

#[test]
fn a_module_is_a_package_and_what_follows_it() {
    assert_eq!(parse_as("", RegoVersion::V1).unwrap_err(), ["1:0: empty module"]);
    assert_eq!(parse_as("p := 1\n", RegoVersion::V1).unwrap_err(), ["1:1: package expected"]);
    assert_eq!(faults("p := 1\npackage b"), ["3:1: unexpected package"]);
    let module = parse_as("package a[\"b c\"].if\n", RegoVersion::V1).unwrap();
    assert_eq!(text::of_ref(&module.package.path), "data.a[\"b c\"][\"if\"]");
}

#[test]
fn imports_stand_anywhere_and_are_checked() {
    assert_eq!(module("p := 1\nimport data.x\nq := 1").imports.len(), 1);
    assert_eq!(
        faults("import foo.bar"),
        [
            "2:8: unexpected import path, must begin with one of: {data, future, input, rego}, got: foo (hint: if this is unexpected, try updating OPA)"
        ]
    );
    assert_eq!(
        faults("import data.x.if"),
        [
            "2:15: unexpected import path, must not end with a keyword, got: if (hint: import a different path or use an alias)"
        ]
    );
    assert_eq!(
        faults("import rego.v3"),
        ["2:8: invalid import `rego.v3`, must be one of: `rego.v1`, `rego.v2`"]
    );
    assert_eq!(faults("import rego.v1 as x"), ["2:19: `rego` imports cannot be aliased"]);
    assert_eq!(faults("import data.x[y]"), ["2:15: unexpected var token: expecting string"]);
    assert_eq!(faults("import data.x as if"), ["2:18: unexpected if keyword: expected var"]);
    assert_eq!(
        faults("import future.keywords.foo"),
        ["2:8: unexpected keyword, must be one of [and contains every if in not or]"]
    );
}

#[test]
fn v1_asks_for_if_and_contains_and_v0_does_not() {
    let rules = "p { true }\nq[x] { x = 1 }\ns.t.u\nf(x)\n";
    assert_eq!(
        faults(rules),
        [
            "2:1: `if` keyword is required before rule body",
            "3:1: `if` keyword is required before rule body",
            "3:1: `contains` keyword is required for partial set rules",
            "4:1: rule must have value assignment and/or body declaration",
        ]
    );
    assert!(parse_as(&format!("package a\n{rules}"), RegoVersion::V0).is_ok());
    // The import makes a module strict at any position.
    assert_eq!(v0_faults(&format!("{rules}import rego.v1")).len(), 4);
}

#[test]
fn common_faults_come_with_help() {
    let mut sources = Sources::default();
    let file = sources.add("a.rego", "package a\np { true }\n");
    let faults = parse_module(&sources, file, RegoVersion::V1).unwrap_err();
    assert!(faults[0].help.as_ref().unwrap().starts_with("write `if` before the body"));
}

#[test]
fn in_v0_keywords_are_names_until_they_are_imported() {
    let if_hint = "var cannot be used for rule name (hint: `import future.keywords.if` for `p if { ... }` rules)";
    assert_eq!(v0_faults("p if { true }")[0], format!("2:1: {if_hint}"));
    for import in ["rego.v1", "future.keywords", "future.keywords.if"] {
        let text = format!("package a\nimport {import}\np if {{ true }}\n");
        assert!(parse_as(&text, RegoVersion::V0).is_ok(), "{import}");
    }
    assert!(parse_as("package a\ncontains := {in: 1 | in = every}\n", RegoVersion::V0).is_ok());
    assert_eq!(faults("every := 1"), ["2:1: every keyword cannot be used for rule name"]);
}

#[test]
fn import_rego_v1_is_noted_in_the_modules_version() {
    let version = |text: &str| parse_as(text, RegoVersion::V0).unwrap().version;
    assert_eq!(version("package a\n"), RegoVersion::V0);
    assert_eq!(version("package a\nimport rego.v1\n"), RegoVersion::V0CompatV1);
}

// --- rules

#[test]
fn facts_are_rules() {
    let module = module("p.q.r := 1\nf(1) := 2\nx = 3\ng(1)\nd[\"k\"] := 4");
    assert_eq!(names(&module.rules), ["p.q.r", "f", "x", "g", "d.k"]);
    assert!(module.rules.iter().all(|rule| rule.generated_body));
    assert_eq!(
        module.rules.iter().map(|rule| rule.head.assign).collect::<Vec<_>>(),
        [true, true, false, false, true]
    );
    assert_eq!(faults("x"), ["2:1: var cannot be used for rule name"]);
    assert_eq!(faults("count(x)"), ["2:1: rule name conflicts with built-in function"]);
    assert_eq!(faults("not x"), ["2:1: negated expressions cannot be used for rule head"]);
    assert_eq!(faults("a; b"), ["2:1: multiple expressions cannot be used for rule head"]);
    assert_eq!(
        faults("x = 1 with input as 2"),
        ["2:1: expressions using with keyword cannot be used for rule head"]
    );
}

#[test]
fn bodies_can_be_chained_and_else_tries_the_next() {
    let chained = module("f(_) := 1 if { true } { false }");
    assert_eq!(names(&chained.rules), ["f", "f"]);
    let wildcard = |rule: &Rule| format!("{:?}", rule.head.args.as_ref().unwrap()[0].value);
    assert_eq!(wildcard(&chained.rules[1]), "Var(\"$1\")");

    let module = module("p := 1 if false else := 2 if { false } else := 3");
    let second = module.rules[0].else_rule.as_ref().unwrap();
    let third = second.else_rule.as_ref().unwrap();
    assert!(third.generated_body && third.else_rule.is_none());
    assert_eq!(
        faults("p contains x if true else := 1")[0],
        "2:22: else keyword cannot be used on multi-value rules"
    );
    assert_eq!(
        faults("p[x] := 1 if x = 1 else := 2")[0],
        "2:20: else keyword cannot be used on rules with variables in head"
    );
}

#[test]
fn heads_are_references_with_keys_and_values() {
    let module = module("p[x].q contains y if x = y\np.q[x] := y if x = y\nr[x] if x = 1");
    assert_eq!(names(&module.rules), ["p[x].q", "p.q[x]", "r[x]"]);
    assert!(module.rules[0].head.key.is_some() && module.rules[0].head.value.is_none());
    assert!(module.rules[2].head.generated_value);
    assert_eq!(
        faults("f(x) contains y if true")[0],
        "2:6: unexpected contains keyword: the contains keyword can only be used with multi-value rule definitions (e.g., f contains <VALUE> { ... })"
    );
}

#[test]
fn a_default_is_a_constant() {
    assert!(module("default p := {x | x = 1}").rules[0].is_default);
    assert_eq!(faults("default p := x"), ["2:1: illegal default rule (value cannot contain var)"]);
    assert_eq!(
        faults("default f(x, x) := 1"),
        ["2:1: illegal default rule (arguments cannot be repeated x)"]
    );
    assert_eq!(
        faults("default f(1) := 1"),
        ["2:1: illegal default rule (arguments cannot contain number)"]
    );
}

// --- places and characters

#[test]
fn line_ends_tabs_and_a_byte_order_mark_are_taken() {
    assert!(parse_as("\u{feff}package a\r\n\r\np := 1\r\n", RegoVersion::V1).is_ok());
    assert_eq!(parse_as("\u{feff}p := 1", RegoVersion::V1).unwrap_err(), ["1:2: package expected"]);
    assert_eq!(faults("\tp := \"é\" )"), ["2:11: unexpected ) token"]);
    assert_eq!(faults("p := 1 +"), ["3:0: unexpected eof token"]);
}

#[test]
fn characters_that_are_no_rego_are_named() {
    assert_eq!(faults("p := 1\0")[0], "2:6: illegal null character");
    assert_eq!(faults("p := a\u{feff}")[0], "2:6: illegal byte-order mark");
    assert_eq!(faults("p := 1 ! 2")[0], "2:8: illegal ! character");
    assert_eq!(
        faults("p :=\u{a0}1")[0],
        "2:5: illegal non-breaking space character, use a regular space instead"
    );
    assert_eq!(faults("p := é")[0], "2:6: illegal token");
}

#[test]
fn faults_of_later_rules_are_reported_after_the_first() {
    let faults = faults("p := ]\nq := 1\nr if {\n  x = }\n}\ns := [");
    assert_eq!(
        faults,
        [
            "2:6: unexpected ] token",
            "2:6: unexpected ] token: expected rule value term (e.g., p := <VALUE> { ... })",
            "5:7: unexpected } token",
            "8:0: unexpected eof token",
            "8:0: unexpected eof token: expected rule value term (e.g., s := <VALUE> { ... })",
        ]
    );
    assert!(self::faults(&"p := ]\n".repeat(1_000)).len() <= 12);
}

// --- metadata

#[test]
fn metadata_is_attached_to_what_follows_it() {
    let module = parse_as(
        "# METADATA\n# title: P\npackage a\n\n# METADATA\n# scope: document\n# description: |\n#   two\n#   lines\n\n# METADATA\n# custom:\n#   level: 1\n#   since: 2024-01-02\np := 1 if true\n\np := 1 if false\n",
        RegoVersion::V1,
    )
    .unwrap();
    let scopes: Vec<Scope> = module.annotations.iter().map(|one| one.scope).collect();
    assert_eq!(scopes, [Scope::Package, Scope::Document, Scope::Rule]);
    assert_eq!(module.annotations[1].fields["description"], "two\nlines\n");
    assert_eq!(module.annotations[2].fields["custom"]["since"], "2024-01-02T00:00:00Z");
    assert_eq!(module.rules[0].annotations, [1, 2]);
    assert_eq!(module.rules[1].annotations, [1]);
    assert_eq!(module.annotations[2].target, Some(0));
}

#[test]
fn metadata_that_opa_refuses_is_refused() {
    let block = |lines: &str| format!("# METADATA\n{lines}\np := 1");
    assert_eq!(
        faults(&block("# scope: package")),
        ["2:1: annotation scope 'package' must be applied to package (have rule)"]
    );
    assert_eq!(
        faults(&block("# scope: rule\n# entrypoint: true")),
        ["2:1: annotation entrypoint applied to non-document or package scope 'rule'"]
    );
    assert_eq!(
        faults(&block("# title: a\n# title: b")),
        ["4:1: yaml: unmarshal errors:\n  line 2: mapping key \"title\" already defined at line 1"]
    );
    assert_eq!(
        faults(&block("# organizations: a")),
        ["3:1: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `a` into []string"]
    );
    assert_eq!(faults(&block("#")), ["2:1: expected METADATA block, found whitespace"]);
    assert_eq!(
        faults(&block("# authors:\n# - ''")),
        ["2:1: invalid author definition : author is an empty string"]
    );
}

#[test]
fn metadata_is_yaml_as_go_reads_it() {
    let fields = |lines: &str| {
        let text = format!("package a\n\n# METADATA\n{lines}\np := 1");
        let module = parse_as(&text, RegoVersion::V1).unwrap();
        serde_json::Value::from(module.annotations[0].fields.clone())
    };
    let block = |lines: &str| format!("# METADATA\n{lines}\np := 1");
    assert_eq!(
        fields("# title: >\n#   a\n#   b\n#\n#   c\n# description: |2\n#    d\n#   e"),
        serde_json::json!({"title": "a b\nc\n", "description": " d\ne\n"})
    );
    assert_eq!(
        fields("# title: &t x\n# description: *t\n# custom: {x: {<<: {a: 1, b: 1}, b: 2}}"),
        serde_json::json!({"title": "x", "description": "x", "custom": {"x": {"a": 1, "b": 2}}})
    );
    assert_eq!(
        faults(&block("# custom: &a\n#   b: *a")),
        ["3:1: yaml: anchor 'a' value contains itself"]
    );
    assert_eq!(
        faults(&block("# custom: {<<: 1}")),
        ["3:1: yaml: map merge requires map or sequence of maps as the value"]
    );
    assert_eq!(
        faults(&block("# custom:\n# \ta: 1")),
        ["4:1: yaml: line 2: found character that cannot start any token"]
    );
    assert_eq!(
        faults(&block("# !!seq []: y")),
        ["3:1: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into string"]
    );
}

// --- bounds

/// Runs with the stack of a worker's main thread.
fn with_a_workers_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(run).unwrap();
    thread.join().unwrap();
}

#[test]
fn nesting_is_bounded() {
    with_a_workers_stack(|| {
        let nested = |depth: usize| format!("p := {}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(module(&nested(parser::MAX_DEPTH - 1)).rules.len(), 1);
        let fault = &faults(&nested(parser::MAX_DEPTH + 1))[0];
        assert!(fault.ends_with("max parsing recursion depth exceeded"), "{fault}");
    });
}

#[test]
fn the_height_of_a_tree_is_bounded() {
    with_a_workers_stack(|| {
        for (begin, again) in [("1", " + 1"), ("f(1)", ".a(1)"), ("x", " in x")] {
            let chain = format!("p if {begin}{}", again.repeat(parser::MAX_DEPTH + 1));
            let fault = &faults(&chain)[0];
            assert!(fault.ends_with("max parsing recursion depth exceeded"), "{fault}");
        }
        let alternatives = "p := 1 if false ".to_owned() + &"else := 2 if false ".repeat(1_001);
        assert_eq!(faults(&alternatives).len(), 1);
    });
}

#[test]
fn brackets_that_are_read_twice_take_no_exponential_time() {
    with_a_workers_stack(|| {
        let imports = "import future.keywords.and\nimport future.keywords.or\n";
        for (open, close) in [
            ("{x | ", "}"),
            ("[x | ", ", y]"),
            ("{k: x | ", ", l: y}"),
            ("({x | ", "})"),
            ("[x | (", ")]"),
            ("{k: x | ", "} x"),
            ("{", "} and"),
            ("(", " and"),
        ] {
            let text =
                format!("package a\n{imports}p if {}x{}\n", open.repeat(60), close.repeat(60));
            // Whether it is accepted does not matter: two to the power of 60 steps would not end.
            let _ = parse_as(&text, RegoVersion::V1);
        }
    });
}

#[test]
fn no_text_makes_the_parser_panic() {
    const PIECES: [&str; 64] = [
        "package a\n",
        "import ",
        "data.x",
        "rego.v1",
        "future.keywords.",
        "and",
        "or",
        "not",
        "if",
        "contains",
        "every",
        "in",
        "some",
        "with",
        "as",
        "default",
        "else",
        "null",
        "true",
        "x",
        "_",
        "f(",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ";",
        ":",
        ":=",
        "=",
        "==",
        "|",
        "&",
        "+",
        "-",
        "*",
        ".",
        "..",
        "1",
        "01",
        "1e",
        "1e99999",
        ".5",
        "\"",
        "\"a\"",
        "\"\\u",
        "`",
        "$\"",
        "$`",
        "$",
        "\\",
        "!",
        "\n",
        " ",
        "\r",
        "#",
        "# METADATA\n# a: ",
        "\n# ",
        "é",
        "\0",
        "\u{feff}",
    ];
    with_a_workers_stack(|| {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..20_000 {
            let mut text = String::new();
            if round % 2 == 0 {
                text.push_str("package a\n");
            }
            for _ in 0..round % 40 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let piece = PIECES[usize::try_from(seed % 64).unwrap()];
                write!(text, "{piece}{}", if seed & 64 == 0 { " " } else { "" }).unwrap();
            }
            for version in [RegoVersion::V0, RegoVersion::V0CompatV1, RegoVersion::V1] {
                let _ = parse_as(&text, version);
            }
        }
    });
}

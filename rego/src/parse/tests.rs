use super::*;

fn parse(text: &str) -> Result<Module, Vec<String>> {
    let mut sources = Sources::default();
    let file = sources.add("a.rego", text);
    parse_module(&sources, file, RegoVersion::V1).map_err(|faults| {
        let line = |fault: Diagnostic| {
            let at = fault.span.map(|span| sources.location(span));
            format!("{}: {}", at.map(|at| at.to_string()).unwrap_or_default(), fault.message)
        };
        faults.into_iter().map(line).collect()
    })
}

#[test]
fn an_ordinary_module_is_read() {
    let module = parse(
        "package a.b\n\nimport data.x as y\n\ndefault allow := false\n\nallow if {\n\tinput.x == 1\n\tsome i, v in [1, {2}]\n\tnot f(v)\n}\n\nf(x) := y if {\n\ty := {k: v | some k, v in x}\n} else := 2\n\np contains x if x := [1 | true][_]\n",
    )
    .unwrap();
    assert_eq!(module.rules.len(), 4);
}

#[test]
fn a_missing_if_is_named() {
    assert_eq!(
        parse("package a\n\np { true }\n").unwrap_err(),
        ["a.rego:3:1: `if` keyword is required before rule body"]
    );
}

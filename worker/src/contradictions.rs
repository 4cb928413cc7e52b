//! Finds what OPA's compiler refuses and regorus' does not: two statements of one value, of which
//! regorus takes either by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use enforcer_protocol::{Diagnostic, DiagnosticCode};

use crate::diagnostics::{location_of, shortened};

/// A module: its path, its text, and the parts of its package.
struct Module<'a> {
    path: &'a str,
    text: &'a str,
    package: &'a [String],
}

/// What the modules of `engine` say twice.
pub(crate) fn contradictions(engine: &regorus::Engine) -> Vec<Diagnostic> {
    let (Ok(packages), Ok(sources)) =
        (engine.get_policy_package_components(), engine.get_policies())
    else {
        // Who asked for the packages before has reported it.
        return Vec::new();
    };
    let modules: Vec<Module<'_>> = packages
        .iter()
        .zip(&sources)
        .map(|(package, source)| Module {
            path: &package.source_file,
            text: source.get_contents(),
            package: &package.components,
        })
        .collect();
    let mut faults = repeated_defaults(&modules);
    faults.extend(rules_over_packages(engine, &modules));
    faults
}

/// A rule has one default value at most
/// (<https://www.openpolicyagent.org/docs/policy-language#default-keyword>).
fn repeated_defaults(modules: &[Module<'_>]) -> Vec<Diagnostic> {
    let mut first: BTreeMap<(&[String], String), &str> = BTreeMap::new();
    let mut faults = Vec::new();
    for module in modules {
        for (offset, rule) in defaults(module.text) {
            let message = format!("the rule {rule} has another default value in ");
            if let Some(path) = first.insert((module.package, rule), module.path) {
                faults.push(Diagnostic {
                    code: DiagnosticCode::Compile,
                    message: shortened(&(message + path)),
                    location: Some(location_of(module.path, module.text.as_bytes(), offset)),
                });
            }
        }
    }
    faults
}

/// The default rules of a module that parses: where `default` stands, and the rule it is for.
fn defaults(text: &str) -> Vec<(usize, String)> {
    let mut before = "";
    let mut found = Vec::new();
    for (offset, token) in tokens(text) {
        // A keyword, unless it is the name of a field.
        if token == "default" && before != "." {
            let after = text.get(offset + token.len()..).unwrap_or_default();
            let head = after.split([':', '=', '(']).next().unwrap_or_default();
            let rule = head.chars().filter(|next| !next.is_whitespace()).collect();
            found.push((offset, rule));
        }
        before = token;
    }
    found
}

/// A module cut into words, strings, comments and single characters, as far as it is needed here;
/// with where each begins.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let rest = text.get(offset..)?;
        let first = rest.chars().next()?;
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => string_end(rest),
            '`' => rest.get(1..).and_then(|inner| inner.find('`')).map_or(rest.len(), |at| at + 2),
            first if is_word(first) => rest.find(|next| !is_word(next)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let token = (offset, rest.get(..length)?);
        offset += length;
        Some(token)
    })
}

const fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Where the string that `text` begins with ends.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Rules that stand where another module has a package, or above it.
fn rules_over_packages(engine: &regorus::Engine, modules: &[Module<'_>]) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for module in modules {
        let words: BTreeSet<&str> = tokens(module.text).map(|(_, token)| token).collect();
        let rules: BTreeSet<&[String]> = modules
            .iter()
            .filter_map(|other| other.package.strip_prefix(module.package))
            .filter(|below| below.first().is_some_and(|name| words.contains(name.as_str())))
            .flat_map(|below| (1..=below.len()).filter_map(|end| below.get(..end)))
            .collect();
        for rule in rules {
            let name = rule.join(".");
            // The first question is quick and also answers yes for a rule below this one, which
            // is no contradiction; the second compiles everything.
            if matches!(engine.has_declared_rule_rooted_at(module.path, &name), Ok(true))
                && is_rule(engine, module.package, rule)
            {
                let message = format!("the rule {name} stands where a package of this bundle is");
                faults.push(Diagnostic {
                    code: DiagnosticCode::Compile,
                    message: shortened(&format!("{}: {message}", module.path)),
                    location: None,
                });
            }
        }
    }
    faults
}

fn is_rule(engine: &regorus::Engine, package: &[String], rule: &[String]) -> bool {
    let mut path = String::from("data");
    for part in package.iter().chain(rule) {
        // Writing to a String cannot fail. Parts with quotes in them are no rule's.
        let _ = write!(path, "[\"{part}\"]");
    }
    engine.clone().compile_with_entrypoint(&path.into()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_found_where_they_are_rules() {
        let text = "package a # default b := 1
default allow := false
s := \"default \\\" default x := 1\"
r := `
default y := 1
`
default
	f(_) := 1
default a.b = input.default
ü := 1
default_x := 2";
        let found: Vec<(usize, String)> = defaults(text);
        let names: Vec<&str> = found.iter().map(|(_, rule)| rule.as_str()).collect();
        assert_eq!(names, ["allow", "f", "a.b"]);
        assert!(found.iter().all(|(offset, _)| text[*offset..].starts_with("default")));
    }

    fn faults(modules: &[(&str, &str)]) -> Vec<String> {
        let mut engine = regorus::Engine::new();
        for (path, text) in modules {
            engine.add_policy((*path).to_owned(), (*text).to_owned()).unwrap();
        }
        contradictions(&engine).iter().map(Diagnostic::to_string).collect()
    }

    #[test]
    fn a_value_that_is_stated_twice_is_found() {
        for (first, second, expected) in [
            (
                "package a\ndefault allow := false",
                "package a\n\n default allow := true",
                "2.rego:3:2: rego_compile_error: the rule allow has another default value in 1.rego",
            ),
            (
                "package a\nallow := true",
                "package a.allow\nx := 1",
                "rego_compile_error: 1.rego: the rule allow stands where a package of this bundle is",
            ),
            (
                "package a\nallow contains 1",
                "package a.allow.x.y\nx := 1",
                "rego_compile_error: 1.rego: the rule allow stands where a package of this bundle is",
            ),
            (
                "package a\nb.c := 1",
                "package a.b.c.d\nx := 1",
                "rego_compile_error: 1.rego: the rule b.c stands where a package of this bundle is",
            ),
        ] {
            let found = faults(&[("1.rego", first), ("2.rego", second)]);
            assert_eq!(found, [expected]);
        }
        let same =
            faults(&[("1.rego", "package a\ndefault allow := false\ndefault allow := true")]);
        assert_eq!(same.len(), 1, "{same:?}");
    }

    #[test]
    fn values_beside_one_another_are_no_contradiction() {
        for (first, second) in [
            ("package a\ndefault allow := false", "package b\ndefault allow := true"),
            ("package a\nallow if input.x", "package a\nallow if input.y"),
            ("package a\nb.c := 1", "package a.b\nd := 1"),
            ("package a\nb.c := 1", "package a.b.d\ne := 1"),
            ("package a\nb := 1", "package a.c\nd := 1"),
        ] {
            assert_eq!(faults(&[("1.rego", first), ("2.rego", second)]), [""; 0], "{second}");
        }
    }
}

//! Rules that have no place beside one another, as OPA's compiler knows them: it reports
//! "conflicting rules", "multiple default rules" and "conflicts with".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use regorus::Value;
use regorus::unstable::{Expr, Module, Rule, RuleAssign, RuleHead, Span};

use super::{Fault, constant, name_of, parts_of, written};

/// What one of the rules that share a name makes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    /// A rule whose keys are found by evaluating it.
    Object,
    Set,
    Function {
        parameters: usize,
    },
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value => formatter.write_str("a single value"),
            Self::Object => formatter.write_str("an object of many keys"),
            Self::Set => formatter.write_str("a set"),
            Self::Function { parameters: 1 } => formatter.write_str("a function of 1 parameter"),
            Self::Function { parameters } => {
                write!(formatter, "a function of {parameters} parameters")
            }
        }
    }
}

/// A rule as it stands in a module.
struct Stated<'a> {
    kind: Kind,
    is_default: bool,
    /// Whether the whole name is known before an evaluation.
    is_fixed: bool,
    /// The parts of the name, with none where only an evaluation can tell.
    pattern: Vec<Option<Value>>,
    /// The one constant that it gives to whatever it defines.
    constant: Option<Value>,
    place: &'a Span,
    package_length: usize,
}

impl Stated<'_> {
    fn file(&self) -> &str {
        self.place.source.get_path()
    }
}

pub(super) fn faults<'a>(modules: &[&'a Module]) -> Vec<Fault<'a>> {
    // Ordered by the parts of their names, so that what stands below a name follows it.
    let mut rules: BTreeMap<Vec<Value>, Vec<Stated<'a>>> = BTreeMap::new();
    let mut packages = BTreeSet::new();
    for module in modules {
        let (package, _) = parts_of(&module.package.refr);
        for rule in &module.policy {
            let (below, is_fixed) = parts_of(name_of(rule));
            let path = package.iter().cloned().chain(below).collect();
            rules.entry(path).or_default().push(stated(rule, is_fixed, package.len()));
        }
        packages.insert(package);
    }

    let mut faults = Vec::new();
    let mut following = rules.iter().peekable();
    while let Some((path, same_name)) = following.next() {
        let name = |rule: &Stated<'_>| written(path.get(rule.package_length..).unwrap_or_default());
        faults.extend(odd_one(same_name, name));
        faults.extend(repeated_defaults(same_name, name));
        faults.extend(same_name.first().and_then(|rule| beside_package(rule, path, &packages)));
        // Where keys are found by evaluating, each may have a rule of its own.
        let Some(fixed) = same_name.iter().find(|rule| rule.is_fixed) else { continue };
        if packages.range(path.clone()..).next().is_some_and(|next| next.starts_with(path)) {
            let message =
                format!("the rule {} stands where a package of this bundle is", name(fixed));
            faults.push(Fault { place: fixed.place, message });
        } else if let Some((below, rules)) = following.peek()
            && below.starts_with(path)
            && let Some(rule) = rules.first()
        {
            let inner = written(below.get(rule.package_length..).unwrap_or_default());
            let message = format!(
                "the rule {inner} stands below the rule {} of {}, which has a value of its own",
                name(fixed),
                fixed.file()
            );
            faults.push(Fault { place: rule.place, message });
        }
    }
    faults.extend(crossings(&rules));
    faults
}

/// Where a rule stands below a name at or below which a package is, the engine sees one of the two
/// through that name.
fn beside_package<'a>(
    rule: &Stated<'a>,
    path: &[Value],
    packages: &BTreeSet<Vec<Value>>,
) -> Option<Fault<'a>> {
    let is_name = path.len() == rule.package_length + 1 && rule.is_fixed;
    let name = path.get(..=rule.package_length).filter(|_| !is_name)?;
    let package = packages.range(name.to_vec()..).next().filter(|next| next.starts_with(name))?;
    // Reported as a rule that stands where the package is.
    if rule.is_fixed && package.starts_with(path) {
        return None;
    }
    let message = format!(
        "the rule {} shares the name {} with the package {}: give one of them another name",
        written(path.get(rule.package_length..)?),
        written(name.get(rule.package_length..)?),
        written(package)
    );
    Some(Fault { place: rule.place, message })
}

/// Rules that may define the same key, one of which finds it by evaluation where another names it:
/// the engine lets either win.
fn crossings<'a>(rules: &BTreeMap<Vec<Value>, Vec<Stated<'a>>>) -> Vec<Fault<'a>> {
    let mut faults = Vec::new();
    for (path, same_path) in rules {
        let below = || rules.range(path.clone()..).take_while(|(next, _)| next.starts_with(path));
        for rule in same_path.iter().filter(|rule| !rule.is_fixed) {
            // One of another kind and the same name is reported as that.
            let mut others = below().flat_map(|(next, rules)| {
                rules.iter().filter(move |other| next != path || !other.is_fixed)
            });
            let Some(other) = others.find(|other| cross(rule, other)) else { continue };
            let name = written(path.get(rule.package_length..).unwrap_or_default());
            let message = format!(
                "this rule of {name} may define what {}:{} defines too, with another value: name the keys of both, or find those of both by evaluation",
                other.file(),
                other.place.line
            );
            faults.push(Fault { place: rule.place, message });
        }
    }
    faults
}

fn cross(one: &Stated<'_>, other: &Stated<'_>) -> bool {
    let parts = || one.pattern.iter().zip(&other.pattern);
    let is_same_shape = one.pattern.len() == other.pattern.len()
        && parts().all(|(one, other)| one.is_some() == other.is_some());
    let may_meet = parts().all(|(one, other)| one.is_none() || other.is_none() || one == other);
    let is_set = |rule: &Stated<'_>| rule.kind == Kind::Set;
    let is_one_value = one.constant.is_some() && one.constant == other.constant;
    let is_harmless = is_same_shape || is_one_value || is_set(one) && is_set(other);
    may_meet && !is_harmless
}

fn stated(rule: &Rule, is_fixed: bool, package_length: usize) -> Stated<'_> {
    let single = if is_fixed { Kind::Value } else { Kind::Object };
    let (kind, is_default) = match rule {
        Rule::Default { args, .. } if args.is_empty() => (single, true),
        Rule::Default { args, .. } => (Kind::Function { parameters: args.len() }, true),
        Rule::Spec { head: RuleHead::Compr { .. }, .. } => (single, false),
        Rule::Spec { head: RuleHead::Set { .. }, .. } => (Kind::Set, false),
        Rule::Spec { head: RuleHead::Func { args, .. }, .. } => {
            (Kind::Function { parameters: args.len() }, false)
        }
    };
    Stated {
        kind,
        is_default,
        is_fixed,
        pattern: pattern_of(name_of(rule)),
        constant: constant_of(rule),
        place: rule.span(),
        package_length,
    }
}

fn pattern_of(name: &Expr) -> Vec<Option<Value>> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        rest = match rest {
            Expr::RefDot { refr, field: (_, name), .. } => {
                parts.push(Some(name.clone()));
                refr
            }
            Expr::RefBrack { refr, index, .. } => {
                parts.push(constant(index).cloned());
                refr
            }
            other => {
                parts.push(Some(Value::from(other.span().text())));
                break;
            }
        };
    }
    parts.reverse();
    parts
}

/// The value of a rule that has the same constant one in its head and after every `else`.
fn constant_of(rule: &Rule) -> Option<Value> {
    let Rule::Spec { head: RuleHead::Compr { assign, .. }, bodies, .. } = rule else { return None };
    let value = |assign: Option<&RuleAssign>| match assign {
        None => Some(Value::from(true)),
        Some(assign) => constant(&assign.value).cloned(),
    };
    let first = value(assign.as_ref())?;
    let mut others = bodies.iter().filter(|body| body.is_else);
    others.all(|body| value(body.assign.as_ref()).as_ref() == Some(&first)).then_some(first)
}

/// The first rule that is of another kind than the first one of its name: the engine lets either
/// win.
fn odd_one<'a>(
    same_name: &[Stated<'a>],
    name: impl Fn(&Stated<'_>) -> String,
) -> Option<Fault<'a>> {
    let first = same_name.first()?;
    let other = same_name.iter().find(|rule| rule.kind != first.kind)?;
    let message = format!(
        "the rule {} is {} here and {} in {}: one of them needs another name",
        name(other),
        other.kind,
        first.kind,
        first.file()
    );
    Some(Fault { place: other.place, message })
}

/// A rule has one default value at most
/// (<https://www.openpolicyagent.org/docs/policy-language#default-keyword>).
fn repeated_defaults<'a>(
    same_name: &[Stated<'a>],
    name: impl Fn(&Stated<'_>) -> String,
) -> Vec<Fault<'a>> {
    let mut defaults = same_name.iter().filter(|rule| rule.is_default);
    let Some(first) = defaults.next() else { return Vec::new() };
    defaults
        .map(|again| {
            let message =
                format!("the rule {} has another default value in {}", name(again), first.file());
            Fault { place: again.place, message }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_refused, assert_taken, faults};

    #[test]
    fn two_default_values_are_found_however_they_are_written() {
        assert_refused(&[
            (
                "default allow := false\n\tdefault allow := true",
                "3:2",
                "the rule allow has another default value in 1.rego",
            ),
            (
                "default allow := true\ndefault # c\n allow := false",
                "3:1",
                "the rule allow has another default value",
            ),
            (
                "default allow # note\n:= true\ndefault allow = false",
                "4:1",
                "the rule allow has another default value",
            ),
            (
                "default a[\"b\"] := true\ndefault a.b := false",
                "3:1",
                "the rule a.b has another default value",
            ),
            (
                "default a[`b`].c := true\ndefault a[\"\\u0062\"].c := false",
                "3:1",
                "the rule a.b.c has another default value",
            ),
            ("default f(_) := 1\ndefault f(x) := 2", "3:1", "the rule f has another default value"),
        ]);
        let two = ["package a\ndefault b := 1", "package a\n\n default b := 2"];
        assert_eq!(
            faults(&two),
            ["2.rego:3:2: rego_compile_error: the rule b has another default value in 1.rego"]
        );
    }

    #[test]
    fn words_that_are_no_rule_are_no_default_value() {
        assert_taken(&[
            "default b := 1 # default b := 2\ns := \"default \\\" default b := 3\"\nr := `\ndefault b := 4\n`",
            "default a.default := input.default\ndefault_a := 1",
            "default a.b := 1\ndefault a.c := 2\ndefault a[\"b.c\"] := 3",
        ]);
    }

    #[test]
    fn a_name_is_one_kind_of_rule() {
        assert_refused(&[
            ("f(x) := x\nf := 2", "3:1", "the rule f is a single value here and a function of 1"),
            ("f(x) := x\nf(x, y) := 2", "3:1", "f is a function of 2 parameters here"),
            ("f(x) := x\ndefault f := 2", "3:1", "the rule f is a single value here"),
            ("f(x) := x\ndefault f(_, _) := 2", "3:1", "f is a function of 2 parameters here"),
            ("b contains 1\nb := {1}", "3:1", "the rule b is a single value here and a set in"),
            ("default b := {1}\nb contains 2", "3:1", "the rule b is a set here and a single"),
            ("b[x] := 1 if some x in [1]\nb := {}", "3:1", "and an object of many keys in 1.rego"),
            ("b[x] := 1 if some x in [1]\nb contains 1", "3:1", "the rule b is a set here"),
        ]);
        let two = ["package a\nb contains 1", "package a\nb if true"];
        assert_eq!(
            faults(&two),
            [
                "2.rego:2:1: rego_compile_error: the rule b is a single value here and a set in 1.rego: one of them needs another name"
            ]
        );
    }

    #[test]
    fn no_rule_stands_below_a_rule_that_has_a_value() {
        assert_refused(&[
            ("b.c := 1\nb := {}", "2:1", "the rule b.c stands below the rule b of 1.rego"),
            ("b contains \"c\"\nb.c.d := 1", "3:1", "the rule b.c.d stands below the rule b"),
            ("b.c := 1\nb.c[x] := 2 if some x in [1]", "3:1", "c is an object of many keys here"),
        ]);
    }

    #[test]
    fn no_rule_stands_where_a_package_is() {
        for (first, second, place, rule) in [
            ("package a\nallow := true", "package a.allow\nx := 1", "2:1", "allow"),
            ("package a\n allow contains 1", "package a.allow.x.y\nx := 1", "2:2", "allow"),
            ("package a\nallow(_) := 1", "package a.allow", "2:1", "allow"),
            ("package a\nb.c := 1", "package a.b.c.d\nx := 1", "2:1", "b.c"),
            ("package a\nb[\"c\"] := 1", "package a.b[\"c\"]", "2:1", "b.c"),
        ] {
            let expected = format!(
                "1.rego:{place}: rego_compile_error: the rule {rule} stands where a package of this bundle is"
            );
            assert_eq!(faults(&[first, second]), [expected], "{second}");
        }
    }

    #[test]
    fn no_rule_shares_its_name_with_a_package() {
        for (first, second, rule) in [
            ("package a\nb.c := 1", "package a.b\nd := 1", "b.c shares the name b with"),
            ("package a\nb.c := 1", "package a.b.d\ne := 1", "b.c shares the name b with"),
            ("package a\nb.c.d := 1", "package a.b.c", "b.c.d shares the name b with"),
            ("package a\nb[\"c\"] contains 1", "package a.b\nd := 1", "b.c shares the name b"),
            ("package a\nb.c(_) := 1", "package a.b\nd := 1", "b.c shares the name b with"),
            ("package a\nb[x] := 1 if some x in [1]", "package a.b\nc := 2", "b shares the name b"),
        ] {
            let found = faults(&[first, second]);
            let [fault] = found.as_slice() else { panic!("{first}: {found:?}") };
            let expected = format!("1.rego:2:1: rego_compile_error: the rule {rule}");
            assert!(fault.starts_with(&expected), "{first}: {fault}");
        }
    }

    #[test]
    fn a_key_is_not_both_named_and_found() {
        let words = "may define what 1.rego:3 defines too, with another value";
        let of_two = |one: &str, other: &str| format!("{one} if some k in input.l\n{other}");
        for (one, other) in [
            ("o[k] := false", "o[\"z\"] := true"),
            ("o[k] := false", "o.z if true"),
            ("o[k] := 1", "o.z := 1 if input.x else := 2"),
            ("o[k] := input.x", "o.z := input.x"),
            ("o[k].a := false", "o.z.a := true"),
            ("o[k][1] := false", "o.z[k] := true if k := 1"),
            ("o[k] := {}", "o.z.a := true"),
            ("o[k].a := false", "o.z := {}"),
            ("o[k] := {1}", "o.z contains 1"),
            ("o.a[k] := false", "o.a.b := true"),
        ] {
            assert_refused(&[(&of_two(one, other), "2:1", words)]);
        }
        assert_taken(&[
            &of_two("o[k] := true", "o[\"z\"] := true"),
            &of_two("o[k]", "o.z if input.x"),
            &of_two("o[k] := 1", "o.z := 1 if input.x else := 1"),
            &of_two("o[k] := 1", "o[j] := 2 if some j in input.j"),
            &of_two("o[k].a := 1", "o.z.b := 2"),
            &of_two("o[k] contains 1", "o.z contains 2"),
            &of_two("o.a[k] := 1", "o.b := 2"),
        ]);
    }

    #[test]
    fn rules_beside_one_another_are_no_contradiction() {
        for (first, second) in [
            ("package a\ndefault allow := false", "package b\ndefault allow := true"),
            ("package a\nallow if input.x", "package a\nallow if input.y"),
            ("package a\nb := 1", "package a.c\nd := 1"),
            ("package a\nb := 1", "package a.bc\nd := 1"),
            ("package a\ndefault f(_) := 1", "package a\nf(x) := 2 if x"),
            ("package a\ndefault b := 1", "package a\nb := 2 if input.x"),
        ] {
            assert_eq!(faults(&[first, second]), [""; 0], "{second}");
        }
    }

    /// It needs no compilation, whatever the bundle: only the parsed modules are there to be
    /// asked.
    #[test]
    fn a_bundle_of_many_rules_and_packages_is_looked_through() {
        let mut modules: Vec<String> = (0..120)
            .map(|file| {
                let rule = |rule| format!("allow_{file}_{rule} if input.sub\n");
                format!("package tenants.a\n{}", (0..50).map(rule).collect::<String>())
            })
            .collect();
        modules.push("package tenants.a.sub\nx := 1".to_owned());
        let texts = |modules: &[String]| -> Vec<String> {
            faults(&modules.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(texts(&modules), [""; 0]);
        modules.push("package tenants.a\nsub := 1".to_owned());
        let found = texts(&modules);
        assert!(found[0].contains("the rule sub stands where a package"), "{found:?}");
        assert_eq!(found.len(), 1);
    }
}

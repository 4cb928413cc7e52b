//! Finds what regorus takes and answers otherwise than OPA, without a word: what OPA's compiler
//! refuses, and a few forms that OPA knows and regorus does not. A bundle that holds one is
//! refused, and told what to write instead.
//!
//! It is told from the engine's own syntax tree, so that no comment and no spelling hides it, and
//! nothing is compiled for it. The tree is no part of regorus' stable interface: Cargo.toml names
//! its one version.

mod heads;
mod imports;
mod rules;
mod terms;

use enforcer_protocol::{Diagnostic, DiagnosticCode, MAX_DIAGNOSTICS};
use regorus::Value;
use regorus::unstable::{Expr, Module, NodeRef, Rule, RuleHead, Span};

use crate::diagnostics::{location_of, shortened};

/// Something that a bundle is refused for, and where it stands.
pub(crate) struct Fault<'a> {
    pub(crate) place: &'a Span,
    pub(crate) message: String,
}

/// What in `modules` regorus would answer otherwise than OPA: the first ones of them all.
pub(crate) fn contradictions(modules: &[NodeRef<Module>]) -> Vec<Diagnostic> {
    let modules: Vec<&Module> = modules.iter().map(AsRef::as_ref).collect();
    let mut faults = rules::faults(&modules);
    faults.extend(imports::faults(&modules));
    faults.extend(
        modules.iter().flat_map(|module| &module.policy).flat_map(|rule| heads::faults(rule)),
    );
    faults.extend(modules.iter().flat_map(|module| terms::faults(module)));
    // To find a place takes a look at the file from its beginning.
    faults.iter().take(MAX_DIAGNOSTICS).map(diagnostic).collect()
}

pub(crate) fn diagnostic(Fault { place, message }: &Fault<'_>) -> Diagnostic {
    let offset = usize::try_from(place.start).unwrap_or(usize::MAX);
    let text = place.source.get_contents().as_bytes();
    Diagnostic {
        code: DiagnosticCode::Compile,
        message: shortened(message),
        location: Some(location_of(place.source.get_path(), text, offset)),
    }
}

/// What a rule's head calls it.
pub(crate) fn name_of(rule: &Rule) -> &Expr {
    match rule {
        Rule::Default { refr, .. }
        | Rule::Spec {
            head:
                RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. },
            ..
        } => refr,
    }
}

/// The parts of a reference up to the first that only an evaluation can tell, and whether that is
/// all of it. `a["b"]` has the parts of `a.b`.
pub(crate) fn parts_of(reference: &Expr) -> (Vec<Value>, bool) {
    let mut backwards = Vec::new();
    let mut rest = reference;
    loop {
        rest = match rest {
            Expr::RefDot { refr, field: (_, name), .. } => {
                backwards.push(Some(name));
                refr
            }
            Expr::RefBrack { refr, index, .. } => {
                backwards.push(constant(index));
                refr
            }
            Expr::Var { value, .. } => {
                backwards.push(Some(value));
                break;
            }
            _ => {
                backwards.push(None);
                break;
            }
        };
    }
    let count = backwards.len();
    let parts: Vec<Value> =
        backwards.into_iter().rev().map_while(Option::<&Value>::cloned).collect();
    let is_whole = parts.len() == count;
    (parts, is_whole)
}

const fn constant(expression: &Expr) -> Option<&Value> {
    match expression {
        Expr::String { value, .. }
        | Expr::RawString { value, .. }
        | Expr::Number { value, .. }
        | Expr::Bool { value, .. }
        | Expr::Null { value, .. } => Some(value),
        _ => None,
    }
}

/// How the parts of a reference are written in Rego.
pub(crate) fn written(parts: &[Value]) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            Value::String(name) if text.is_empty() => text.push_str(name),
            Value::String(name) if is_identifier(name) => {
                text.push('.');
                text.push_str(name);
            }
            other => {
                text.push('[');
                text.push_str(&other.to_string());
                text.push(']');
            }
        }
    }
    text
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of these modules, with each named `1.rego` and so on.
    pub(super) fn faults(modules: &[&str]) -> Vec<String> {
        let mut engine = regorus::Engine::new();
        for (index, text) in modules.iter().enumerate() {
            engine.add_policy(format!("{}.rego", index + 1), (*text).to_owned()).unwrap();
        }
        contradictions(engine.get_modules()).iter().map(Diagnostic::to_string).collect()
    }

    /// Asserts that each of these rules of a package is refused at its place, with these words.
    pub(super) fn assert_refused(cases: &[(&str, &str, &str)]) {
        for (rules, place, words) in cases {
            let found = faults(&[&format!("package tenants.a\n{rules}")]);
            let [fault] = found.as_slice() else { panic!("{rules}: {found:?}") };
            let start = format!("1.rego:{place}: rego_compile_error: ");
            assert!(fault.starts_with(&start) && fault.contains(words), "{rules}: {fault}");
        }
    }

    /// Asserts that nothing is said of any of these rules of a package.
    pub(super) fn assert_taken(cases: &[&str]) {
        for rules in cases {
            assert_eq!(faults(&[&format!("package tenants.a\n{rules}")]), [""; 0], "{rules}");
        }
    }

    #[test]
    fn no_more_is_reported_than_anybody_reads() {
        let module = format!("package a\n{}", "default b := 1\n".repeat(100));
        assert_eq!(faults(&[&module]).len(), MAX_DIAGNOSTICS);
    }

    #[test]
    fn a_policy_as_people_write_it_is_taken() {
        let main = "# METADATA
# title: the main module
package tenants.a

import rego.v1
import data.tenants.a.lib
import data.tenants.a.lib.roles as role_names
import data.pii
import input.subject as who

# default allow := true
default allow := false

default reason := \"no \\\" default reason := 1\"

allow if {
	who.role in role_names
	not lib.blocked(who, role_names)
}

allow if lib.is_root(who)

reason := \"root\" if lib.is_root(who)
else := `default allow := true` if allow

redact contains path if {
	some path in pii.fields
}

redact contains \"x\" if input.default

limits.read := 10
limits.write := 20
other_limits[name] := value if some name, value in input.limits

ports[443] := \"https\"
ports[80] := \"http\"

same(x, y) if x == y
same(_, _) if input.all
pair([x, y], sum) if x + y == sum

kind(x) := \"small\" if {
	x < 10
} else := \"large\"

is_even(x) if {
	x % 2 == 0
} else if {
	x == 1
}

level := 1 if {
	input.one
} else if {
	input.two
}
";
        let lib = "package tenants.a.lib

roles := {\"admin\"}

default is_root(_) := false

is_root(user) if user.id == \"root\"

blocked(user, _) if user.blocked
";
        let more = "package tenants.a

import data.tenants.a.lib
import data.pii

redact contains path if lib.roles[path]

allow if pii.none
";
        assert_eq!(faults(&[main, lib, more]), [""; 0]);
    }
}

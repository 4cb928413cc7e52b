//! Imports that regorus takes for something else. It knows them by package and not by module, lets
//! a rule win over them, and finds nothing through one that leads back to where it stands.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::slice::from_ref;

use regorus::Value;
use regorus::unstable::{Import, Module, Span};

use super::{Fault, name_of, parts_of, written};

/// What an import gives a name to.
struct Imported<'a> {
    path: Vec<Value>,
    place: &'a Span,
}

pub(super) fn faults<'a>(modules: &[&'a Module]) -> Vec<Fault<'a>> {
    let mut faults = Vec::new();
    let mut known: BTreeMap<(Vec<Value>, Value), Imported<'a>> = BTreeMap::new();
    for module in modules {
        let (package, _) = parts_of(&module.package.refr);
        for (name, import) in module.imports.iter().filter_map(imported) {
            let place = import.place;
            if let Some(message) =
                leads_back(&import.path, &package).or_else(|| hides_a_root(&name))
            {
                faults.push(Fault { place, message });
            }
            match known.entry((package.clone(), name)) {
                Entry::Vacant(free) => {
                    free.insert(import);
                }
                // Two files of a package may import the same thing.
                Entry::Occupied(taken)
                    if taken.get().path != import.path
                        || taken.get().place.source == place.source =>
                {
                    let (_, name) = taken.key();
                    let message = twice(name, taken.get());
                    faults.push(Fault { place, message });
                }
                Entry::Occupied(_) => {}
            }
        }
    }
    for module in modules {
        let (package, _) = parts_of(&module.package.refr);
        for rule in &module.policy {
            let (parts, _) = parts_of(name_of(rule));
            let Some(name) = parts.first() else { continue };
            if let Some(import) = known.get(&(package.clone(), name.clone())) {
                let message = format!(
                    "the rule {} has the name under which {} imports {}: give the import another with `as`",
                    written(&parts),
                    import.place.source.get_path(),
                    written(&import.path)
                );
                faults.push(Fault { place: rule.span(), message });
            }
        }
    }
    faults
}

/// The name that an import gives; none where it switches a keyword on, or says again what `input`
/// is.
fn imported(import: &Import) -> Option<(Value, Imported<'_>)> {
    let (path, _) = parts_of(&import.refr);
    let root = path.first()?.as_string().ok()?;
    if matches!(root.as_ref(), "rego" | "future") {
        return None;
    }
    let name = match &import.r#as {
        Some(alias) => Value::from(alias.text()),
        None if path.len() == 1 => return None,
        None => path.last()?.clone(),
    };
    Some((name, Imported { path, place: &import.span }))
}

fn twice(name: &Value, first: &Imported<'_>) -> String {
    format!(
        "{} is imported as {} in {} already, and a package knows a name once: give one of them another with `as`",
        written(&first.path),
        written(from_ref(name)),
        first.place.source.get_path()
    )
}

/// The engine does not find, through an import of the module's own package or one above it, the
/// rules of that package.
fn leads_back(path: &[Value], package: &[Value]) -> Option<String> {
    let (root, below) = path.split_first()?;
    let is_above = *root == Value::from("data") && package.starts_with(below);
    is_above.then(|| {
        format!(
            "{} is this module's own package, or one above it: import the rule or the package below it that is meant",
            written(path)
        )
    })
}

fn hides_a_root(name: &Value) -> Option<String> {
    let is_root = [Value::from("input"), Value::from("data")].contains(name);
    is_root.then(|| {
        format!(
            "an import cannot be named {}: give it another name with `as`",
            written(from_ref(name))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_refused, assert_taken, faults};

    #[test]
    fn an_import_does_not_lead_back_to_where_it_stands() {
        assert_refused(&[
            ("import data.tenants.a as me", "2:1", "data.tenants.a is this module's own package"),
            ("import data.tenants[\"a\"] # c", "2:1", "data.tenants.a is this module's own"),
            ("\timport data.tenants", "2:2", "data.tenants is this module's own package, or one"),
            ("import data as d", "2:1", "data is this module's own package, or one above it"),
        ]);
    }

    #[test]
    fn two_imports_have_two_names() {
        assert_refused(&[
            (
                "import data.b.x\nimport data.c.x",
                "3:1",
                "data.b.x is imported as x in 1.rego already",
            ),
            ("import data.b.x\nimport input.y as x", "3:1", "data.b.x is imported as x"),
            ("import data.b.x\nimport data.b.x as x", "3:1", "data.b.x is imported as x"),
        ]);
        let two = ["package a\nimport data.b.x", "package a\nimport data.c.x"];
        assert_eq!(
            faults(&two),
            [
                "2.rego:2:1: rego_compile_error: data.b.x is imported as x in 1.rego already, and a package knows a name once: give one of them another with `as`"
            ]
        );
    }

    #[test]
    fn a_rule_does_not_have_the_name_of_an_import() {
        for rule in ["x := 1", "x.y := 1", "x contains 1", "x(_) := 1", "default x := 1"] {
            assert_refused(&[(
                &format!("import data.b.x\n{rule}"),
                "3:1",
                "has the name under which 1.rego imports data.b.x",
            )]);
        }
        let found = faults(&["package a\nx := 1", "package a\nimport data.b as x"]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn an_import_does_not_hide_the_input_or_the_data() {
        assert_refused(&[
            ("import data.b as input", "2:1", "an import cannot be named input"),
            ("import data.b.data", "2:1", "an import cannot be named data"),
        ]);
    }

    #[test]
    fn imports_of_other_things_are_taken() {
        assert_taken(&[
            "import rego.v1\nimport data.tenants.a.lib\nimport data.tenants.ab as a",
            "import future.keywords.if\nimport future.keywords.in\nimport input\nif_so := 1",
            "import data.b.x\nimport data.b.x as y\nimport data.c.x as z\nf(x) := x",
            "import input.subject\nimport data.b[\"c-d\"] as cd\nsubjects := 1",
        ]);
        let two = ["package a\nimport data.b.x\ny := x", "package a\nimport data.b.x\nz := x"];
        assert_eq!(faults(&two), [""; 0]);
        let two = ["package a\nimport data.c.x\ny := x", "package b\nimport data.d.x\ny := x"];
        assert_eq!(faults(&two), [""; 0]);
    }
}

//! Which names are what, as far as that is known before an evaluation.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{AssignOp, BUILTINS, Expr, Literal, Module, Query, Rule, RuleHead};

use crate::contradictions::{name_of, parts_of, written};

/// What a bundle's modules give a name to.
pub(super) struct Globals {
    packages: BTreeMap<Vec<Value>, BTreeSet<String>>,
    /// How many parameters the functions have, by the last part of their names: the least.
    functions: BTreeMap<Value, usize>,
}

/// [`Globals`], seen from a package.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    names: Option<&'a BTreeSet<String>>,
    functions: &'a BTreeMap<Value, usize>,
}

impl Globals {
    pub(super) fn of(modules: &[&Module]) -> Self {
        let mut packages: BTreeMap<Vec<Value>, BTreeSet<String>> = BTreeMap::new();
        let mut functions: BTreeMap<Value, usize> = BTreeMap::new();
        for module in modules {
            let (package, _) = parts_of(&module.package.refr);
            let names = packages.entry(package).or_default();
            for rule in &module.policy {
                let (parts, _) = parts_of(name_of(rule));
                names.extend(parts.first().and_then(text_of));
                if let (Some(count), Some(name)) = (parameters_of(rule), parts.last()) {
                    let least = functions.entry(name.clone()).or_insert(count);
                    *least = count.min(*least);
                }
            }
            for import in &module.imports {
                names.extend(match &import.r#as {
                    Some(alias) => Some(alias.text().to_owned()),
                    None => parts_of(&import.refr).0.last().and_then(text_of),
                });
            }
        }
        Self { packages, functions }
    }

    pub(super) fn in_package(&self, package: &[Value]) -> Known<'_> {
        Known { names: self.packages.get(package), functions: &self.functions }
    }
}

impl Known<'_> {
    /// Whether a name that no scope has is known all the same.
    pub(super) fn has(self, name: &str) -> bool {
        matches!(name, "input" | "data") || self.names.is_some_and(|names| names.contains(name))
    }

    /// Whether this may name a function, and not its value.
    pub(super) fn may_be_function(self, expression: &Expr) -> bool {
        let (parts, is_whole) = parts_of(expression);
        let is_ours = || parts.last().is_some_and(|name| self.functions.contains_key(name));
        is_whole && (is_ours() || BUILTINS.contains_key(written(&parts).as_str()))
    }

    /// Whether a function may have fewer parameters than this.
    pub(super) fn has_fewer(self, name: &Expr, count: usize) -> bool {
        let (parts, _) = parts_of(name);
        let ours = parts.last().and_then(|name| self.functions.get(name)).copied();
        let built_in = BUILTINS.get(written(&parts).as_str()).map(|(_, count)| usize::from(*count));
        [ours, built_in].into_iter().flatten().any(|has| has < count)
    }
}

fn text_of(value: &Value) -> Option<String> {
    value.as_string().ok().map(|text| text.to_string())
}

fn parameters_of(rule: &Rule) -> Option<usize> {
    match rule {
        Rule::Spec { head: RuleHead::Func { args, .. }, .. } => Some(args.len()),
        Rule::Default { args, .. } if !args.is_empty() => Some(args.len()),
        _ => None,
    }
}

/// The variables that a query's own statements bind. `some x` alone binds none.
pub(super) fn bound_by(query: &Query) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeIn { key, value, .. } => {
                key.iter().for_each(|key| add_variables(key, &mut names));
                add_variables(value, &mut names);
            }
            Literal::Expr { expr, .. } => {
                if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr.as_ref() {
                    add_variables(lhs, &mut names);
                }
            }
            Literal::SomeVars { .. } | Literal::NotExpr { .. } | Literal::Every { .. } => {}
        }
    }
    names
}

/// Adds the variables of a pattern.
pub(super) fn add_variables<'a>(pattern: &'a Expr, names: &mut BTreeSet<&'a str>) {
    match pattern {
        Expr::Var { span, .. } => {
            names.insert(span.text());
        }
        Expr::Array { items, .. } => items.iter().for_each(|item| add_variables(item, names)),
        Expr::Object { fields, .. } => {
            fields.iter().for_each(|(_, _, value)| add_variables(value, names));
        }
        _ => {}
    }
}

/// Gives out names that stand nowhere in a bundle.
pub(super) struct Names {
    prefix: String,
    count: usize,
}

impl Names {
    pub(super) fn unused_in(modules: &[&Module]) -> Self {
        const STEM: &str = "__enforcer";
        // More underscores than follow it anywhere.
        let longest = modules
            .iter()
            .flat_map(|module| module.package.span.source.get_contents().split(STEM).skip(1))
            .map(|rest| rest.len() - rest.trim_start_matches('_').len())
            .max()
            .unwrap_or(0);
        Self { prefix: format!("{STEM}{}", "_".repeat(longest + 1)), count: 0 }
    }

    pub(super) fn next(&mut self) -> String {
        let name = format!("{}{}", self.prefix, self.count);
        self.count += 1;
        name
    }
}

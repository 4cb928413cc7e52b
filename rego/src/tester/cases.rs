//! The cases of a test: `test_concat[note] if …`.

use std::collections::BTreeMap;

use regorus::Value;
use serde::{Deserialize, Serialize};

use crate::topdown::observed::{Cell, ExprKind, Operator};
use crate::topdown::observed::{Event, Node, Observer, Op};

/// How many cases of a test are told of.
const MAX_CASES: usize = 10_000;

/// The result of a case, or of a group of cases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubResult {
    /// Its name.
    pub name: String,
    /// Whether it failed.
    pub failed: bool,
    /// The cases in it, by name.
    pub cases: BTreeMap<String, SubResult>,
}

/// Collects the cases that a test begins.
#[derive(Debug, Default)]
pub(super) struct Begun(Vec<Vec<String>>);

impl Observer for Begun {
    fn observe(&mut self, event: &Event<'_>) {
        if let (Op::Redo, Node::Expr(expr)) = (event.op, event.node)
            && let ExprKind::Call(Operator::Builtin(name), operands) = &expr.kind
            && &**name == crate::compile::test_cases::TEST_CASE
            && let Some(Value::Array(path)) =
                operands.first().and_then(|path| Cell::new(path, &event.query.scope).ground())
            && self.0.len() < MAX_CASES
        {
            self.0.push(path.iter().map(name_of).collect());
        }
    }
}

/// A key as the name of a case.
fn name_of(key: &Value) -> String {
    match key {
        Value::String(text) => text.to_string(),
        other => other.to_json_str().unwrap_or_else(|_| other.to_string()),
    }
}

/// The results of a test's cases by name, and whether one failed. A case that began, and has no
/// value, failed.
pub(super) fn results(value: &Value, begun: &Begun) -> (bool, BTreeMap<String, SubResult>) {
    let mut cases = of_value(value);
    begun.0.iter().for_each(|path| add(&mut cases, path));
    (cases.values().any(|case| case.failed), cases)
}

fn of_value(value: &Value) -> BTreeMap<String, SubResult> {
    // As deep as the reference of a rule.
    let Value::Object(object) = value else { return BTreeMap::new() };
    let case = |(key, value): (&Value, &Value)| {
        let name = name_of(key);
        let cases = of_value(value);
        let failed = match value {
            Value::Object(_) => cases.values().any(|case| case.failed),
            Value::Bool(held) => !held,
            _ => true,
        };
        (name.clone(), SubResult { name, failed, cases })
    };
    object.iter().map(case).collect()
}

/// Adds a case that began: whether the group failed.
fn add(cases: &mut BTreeMap<String, SubResult>, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    let case = cases.entry(name.clone()).or_insert_with(|| SubResult {
        name: name.clone(),
        failed: true,
        cases: BTreeMap::new(),
    });
    if !rest.is_empty() {
        add(&mut case.cases, rest);
        case.failed |= case.cases.values().any(|case| case.failed);
    }
}

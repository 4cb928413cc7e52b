//! The packages that a policy may define, and the documents of a decision.

use std::collections::HashMap;

use regorus::Value;

use super::Namespace;
use crate::ast::{Module, Term, TermValue};
use crate::bundle::Tests;
use crate::core::data::value_at;
use crate::core::{
    Body, Collection, Definition, Expr, Found, Operand, Program, Root, Rule, RuleId, RuleKind,
    Statement, StatementKind, Var,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;

/// Below `data`, where every tenant's rules live.
const TENANTS: &str = "tenants";

/// The end of the name of a package of tests.
const TEST: &str = "_test";

/// The packages that lie outside of a namespace. Tests, which do not serve, may be in a package beside
/// the tenant's whose name ends with `_test`, as is usual.
pub(super) fn outside(namespace: &Namespace, tests: Tests, modules: &[Module]) -> Vec<Diagnostic> {
    let Namespace::Tenant(id) = namespace else { return Vec::new() };
    modules
        .iter()
        .filter(|module| {
            let path: Vec<&str> = module.package.path.iter().filter_map(text_of).collect();
            let is_own = |tenant: &str| {
                let tested = tenant.strip_suffix(TEST).filter(|_| tests == Tests::Included);
                tenant == id || tested == Some(id)
            };
            !matches!(path.as_slice(), ["data", TENANTS, tenant, ..] if is_own(tenant))
        })
        .map(|module| {
            let package = package_of(id);
            let message = format!("every package of this bundle must be {package} or below it");
            Diagnostic::new(Code::Bundle, message, module.package.span)
                .with_help(format!("begin the file with: package {package}"))
        })
        .collect()
}

fn text_of(term: &Term) -> Option<&str> {
    match &term.value {
        TermValue::Var(name) | TermValue::String(name) => Some(name),
        _ => None,
    }
}

/// A tenant's package in Rego: an id that is not an identifier needs brackets.
fn package_of(id: &str) -> String {
    let is_identifier = !id.contains('-') && !id.starts_with(|first: char| first.is_ascii_digit());
    if is_identifier { format!("{TENANTS}.{id}") } else { format!("{TENANTS}[\"{id}\"]") }
}

/// Checks that the data does not define the rules' paths.
pub(super) fn check_data(namespace: &Namespace, data: &Value) -> Result<(), Report> {
    let has_tenants =
        data.as_object().is_ok_and(|object| object.get(&Value::from(TENANTS)).is_some());
    match namespace {
        Namespace::Tenant(_) if has_tenants => Err(Report::of_bundle(format!(
            "the bundle's data must not define \"{TENANTS}\": rules live there, and the data is the root of this tenant's data already"
        ))),
        Namespace::Tenant(_) | Namespace::Open => Ok(()),
    }
}

/// The element of an array, or undefined.
pub(super) fn element(array: &Value, index: usize) -> Value {
    let found = array.as_array().ok().and_then(|array| array.get(index));
    found.cloned().unwrap_or(Value::Undefined)
}

/// The value at a path in a value, or undefined.
pub(super) fn at(value: &Value, path: &[Value]) -> Value {
    let found = path.iter().try_fold(value, |value, key| value_at(value, key));
    found.cloned().unwrap_or(Value::Undefined)
}

/// A warning where no rule defines the deciding document.
pub(super) fn missing(program: &Program, decision: &[Vec<String>]) -> Vec<Report> {
    let Some(path) = decision.first() else { return Vec::new() };
    let keys: Vec<Value> = path.iter().map(|key| Value::from(key.as_str())).collect();
    match program.documents.find(&keys) {
        Found::Rule(..) | Found::Keyed { .. } | Found::Nothing => Vec::new(),
        Found::Base => {
            let message =
                format!("no rule defines data.{}, so every request is denied", path.join("."));
            vec![Report { code: Code::Compile, ..Report::of_bundle(message) }]
        }
    }
}

/// Adds a rule whose value is an array with one array for each path: of the document's value, or
/// empty where it is undefined. So one evaluation shares the common parts of the documents, and an
/// undefined document differs from every value.
pub(super) fn add_decision(program: &mut Program, paths: &[Vec<String>]) -> RuleId {
    let mut variables = Variables(0);
    let statement = |kind| Statement { kind, span: None };
    let mut block = Vec::new();
    let mut collected = Vec::new();
    for path in paths {
        let path: Vec<Value> = path.iter().map(|key| Value::from(key.as_str())).collect();
        let value = variables.next();
        let mut inner = Vec::new();
        match program.documents.find(&path) {
            Found::Rule(rule, []) => {
                inner.push(statement(StatementKind::Let(value, Expr::Rule(rule))));
            }
            Found::Rule(rule, rest) => {
                let whole = variables.next();
                inner.push(statement(StatementKind::Let(whole, Expr::Rule(rule))));
                inner.push(statement(StatementKind::Let(value, below(whole, rest))));
            }
            Found::Keyed { function, keys, rest, .. } => {
                let first = variables.next();
                let call = Expr::Call(function, packed(program, function, keys));
                inner.push(statement(StatementKind::Let(first, call)));
                let rest = rest.get(1..).unwrap_or_default();
                inner.push(statement(StatementKind::Let(value, below(first, rest))));
            }
            // A function has no value.
            Found::Nothing => {
                let nothing = |value| Expr::Operand(Operand::Const(value));
                inner.push(statement(StatementKind::Let(value, nothing(Value::Null))));
                inner.push(statement(StatementKind::Test(nothing(Value::Bool(false)))));
            }
            Found::Base => {
                let keys = path.into_iter().map(Operand::Const).collect();
                inner.push(statement(StatementKind::Let(value, Expr::Path(Root::Data, keys))));
            }
        }
        let optional = variables.next();
        collected.push(Operand::Var(optional));
        block.push(statement(StatementKind::Collect {
            var: optional,
            kind: Collection::Array,
            block: inner,
            key: None,
            value: Operand::Var(value),
        }));
    }
    let all = variables.next();
    block.push(statement(StatementKind::Let(all, Expr::Array(collected))));
    let body = Body { block, key: None, value: Operand::Var(all), span: None };
    add(program, "the decision", body, variables)
}

fn add(program: &mut Program, name: &str, body: Body, variables: Variables) -> RuleId {
    program.rules.push(Rule {
        name: name.to_owned(),
        kind: RuleKind::Complete,
        default: None,
        definitions: vec![Definition { bodies: vec![body] }],
        variables: variables.0,
        slot: None,
        span: None,
    });
    RuleId(u32::try_from(program.rules.len() - 1).unwrap_or(u32::MAX))
}

/// The part at some keys of a variable's value.
fn below(root: Var, keys: &[Value]) -> Expr {
    let keys: Vec<_> = keys.iter().cloned().map(Operand::Const).collect();
    let root = Operand::Var(root);
    if keys.is_empty() { Expr::Operand(root) } else { Expr::Path(Root::Operand(root), keys) }
}

/// Arguments of a generated function: one array where there are many.
fn packed(program: &Program, function: RuleId, args: &[Value]) -> Vec<Operand> {
    if is_packed(program, function, args.len()) {
        return vec![Operand::Const(Value::from(args.to_vec()))];
    }
    args.iter().cloned().map(Operand::Const).collect()
}

fn is_packed(program: &Program, function: RuleId, args: usize) -> bool {
    let rule = program.rules.get(function.index());
    let kind = rule.map(|rule| rule.kind);
    args > 1 && matches!(kind, Some(RuleKind::Entry | RuleKind::Function(1)))
}

/// Adds a rule for each function of a document's keys: the function's value for the requested keys,
/// because only rules without parameters can be evaluated.
pub(super) fn add_keyed(program: &mut Program) -> HashMap<RuleId, RuleId> {
    let mut functions = Vec::new();
    let mut todo = vec![&program.documents];
    while let Some(document) = todo.pop() {
        functions.extend((1..).zip(&document.keyed).map(|(keys, function)| (*function, keys)));
        todo.extend(document.children.values());
    }
    let add = |(function, keys): (RuleId, usize)| {
        let mut variables = Variables(0);
        let asked = variables.next();
        let mut block = vec![(asked, Expr::Builtin("$asked", Vec::new()))];
        let all = || Operand::Var(asked);
        let args = if is_packed(program, function, keys) {
            vec![all()]
        } else {
            let part = |index| {
                let part = variables.next();
                block.push((part, Expr::Path(Root::Operand(all()), vec![Operand::Const(index)])));
                Operand::Var(part)
            };
            (0..keys).map(Value::from).map(part).collect()
        };
        let value = variables.next();
        block.push((value, Expr::Call(function, args)));
        let block = block
            .into_iter()
            .map(|(var, expr)| Statement { kind: StatementKind::Let(var, expr), span: None });
        let value = Operand::Var(value);
        let body = Body { block: block.collect(), key: None, value, span: None };
        (function, add(program, "a key", body, variables))
    };
    functions.into_iter().map(add).collect()
}

/// Numbers for variables.
struct Variables(u32);

impl Variables {
    const fn next(&mut self) -> Var {
        let var = Var(self.0);
        self.0 += 1;
        var
    }
}

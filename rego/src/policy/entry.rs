//! What is asked of a policy: which packages it may define, and the documents of a decision.

use regorus::Value;

use super::Namespace;
use crate::ast::{Module, Term, TermValue};
use crate::builtins;
use crate::core::data::value_at;
use crate::core::walk;
use crate::core::{
    Body, Collection, Definition, Document, Expr, Found, Operand, Program, Root, Rule, RuleId,
    RuleKind, Statement, StatementKind, Var,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;

/// Below `data`, where every tenant's rules live.
const TENANTS: &str = "tenants";

/// The packages that lie outside of a namespace.
pub(super) fn outside(namespace: &Namespace, modules: &[Module]) -> Vec<Diagnostic> {
    let Namespace::Tenant(id) = namespace else { return Vec::new() };
    modules
        .iter()
        .filter(|module| {
            let path: Vec<&str> = module.package.path.iter().filter_map(text_of).collect();
            !matches!(path.as_slice(), ["data", TENANTS, tenant, ..] if tenant == id)
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

/// How a tenant's package is written in Rego: an id that is no identifier needs brackets.
fn package_of(id: &str) -> String {
    let is_identifier = !id.contains('-') && !id.starts_with(|first: char| first.is_ascii_digit());
    if is_identifier { format!("{TENANTS}.{id}") } else { format!("{TENANTS}[\"{id}\"]") }
}

/// Whether the data leaves the rules their place.
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

/// What is at a path in a value, or undefined.
pub(super) fn at(value: &Value, path: &[Value]) -> Value {
    let found = path.iter().try_fold(value, |value, key| value_at(value, key));
    found.cloned().unwrap_or(Value::Undefined)
}

/// Calls of built-ins that have no function here. Where `with` replaces a built-in somewhere, its calls
/// go through a function of the program, and are an error of the request that gets to one.
pub(super) fn missing_builtins(program: &Program) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for rule in program.rules.iter().filter(|rule| rule.slot.is_none()) {
        for body in walk::bodies(&rule.definitions) {
            // What is nested too deeply is refused where it is emitted.
            let _ = walk::statements(&body.block, &mut |statement| {
                let (StatementKind::Let(_, Expr::Builtin(name, _))
                | StatementKind::Test(Expr::Builtin(name, _))) = &statement.kind
                else {
                    return;
                };
                if let (true, Some(span)) = (builtins::is_missing(name), statement.span) {
                    let message = format!("the built-in {name} is not part of this version");
                    faults.push(Diagnostic::new(Code::Type, message, span));
                }
            });
        }
    }
    faults
}

/// A warning where the document that decides is not defined by any rule.
pub(super) fn missing(program: &Program, decision: &[Vec<String>]) -> Vec<Report> {
    let Some(path) = decision.first() else { return Vec::new() };
    let mut node: &Document = &program.documents;
    for key in path {
        match node.children.get(key) {
            Some(child) => node = child,
            None => {
                let message =
                    format!("no rule defines data.{}, so every request is denied", path.join("."));
                return vec![Report { code: Code::Compile, ..Report::of_bundle(message) }];
            }
        }
    }
    Vec::new()
}

/// Adds a rule whose value is an array with one array for each path: of the document's value, or
/// empty where it is undefined. So one evaluation shares what the documents share, and an undefined
/// document is told from every value.
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
                let keys = rest.iter().cloned().map(Operand::Const).collect();
                let root = Root::Operand(Operand::Var(whole));
                inner.push(statement(StatementKind::Let(value, Expr::Path(root, keys))));
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
    program.rules.push(Rule {
        name: "the decision".to_owned(),
        kind: RuleKind::Complete,
        default: None,
        definitions: vec![Definition { bodies: vec![body] }],
        variables: variables.0,
        slot: None,
        span: None,
    });
    RuleId(u32::try_from(program.rules.len() - 1).unwrap_or(u32::MAX))
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

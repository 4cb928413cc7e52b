//! Ad-hoc queries: a body that is parsed and compiled by itself, and its solutions.

use std::rc::Rc;

use regorus::Value;

use super::explainer::{Explainer, Question};
use super::index::Shortcuts;
use super::machine::Fault;
use super::nodes::{Body, ExprKind};
use super::prepare;
use super::record::{Mode, Recorder, Trace};
use super::rules::Rules;
use super::scope::Cell;
use super::trace::Observer;
use crate::ast::{self, Module, Name, Package, RegoVersion, Rule, Term, TermValue};
use crate::builtins::table::declaration;
use crate::bundle::Tests;
use crate::compile::arity::{Functions, Parameters};
use crate::compile::locals::operator;
use crate::compile::tree::QUERY_PACKAGE;
use crate::compile::vars::{is_generated, is_wildcard};
use crate::compile::visit::{Flow, Node, is_closure, walk};
use crate::compile::{Compiled, text};
use crate::diagnostic::Diagnostic;
use crate::parse;
use crate::policy::front_end;
use crate::policy::{Evaluation, reports};
use crate::report::Report;
use crate::source::{FileId, Sources, Span};

/// How many solutions a query may have.
pub const MAX_SOLUTIONS: usize = 10_000;

/// A compiled query.
#[derive(Debug)]
pub struct Query {
    /// The bundle, compiled again together with the query.
    explainer: Explainer,
    body: Rc<Body>,
    /// The variables that solutions have, with the names that the query has.
    variables: Vec<(Name, Name)>,
}

/// One solution of a query: the values of its variables by name, as `result` of OPA's Query API.
pub type Solution = std::collections::BTreeMap<String, Value>;

/// Why a query is refused.
#[derive(Debug)]
pub enum QueryError {
    /// It is empty, or not a query: OPA's message.
    Unusable(String),
    /// It cannot be parsed: OPA's "error(s) occurred while parsing query".
    Parse(Vec<Report>),
    /// It cannot be compiled: OPA's "error(s) occurred while compiling query".
    Compile(Vec<Report>),
}

impl Explainer {
    /// Parses and compiles a query. Places in errors have an empty file.
    ///
    /// # Errors
    /// Why the query is refused.
    pub fn query(&self, text: &str) -> Result<Query, QueryError> {
        let mut sources = self.sources.clone();
        let file = sources.add("", text);
        let body = match parse::parse_query(&sources, file) {
            Ok(body) => body,
            Err(parse::QueryRefusal::Empty) => {
                return Err(QueryError::Unusable("cannot evaluate empty query".to_owned()));
            }
            Err(parse::QueryRefusal::Other(kind)) => {
                return Err(QueryError::Unusable(format!("expected body but got {kind}")));
            }
            Err(parse::QueryRefusal::Faults(faults)) => {
                return Err(QueryError::Parse(reports(faults, &sources)));
            }
        };
        self.compile_query(sources, file, body).map_err(QueryError::Compile)
    }

    fn compile_query(
        &self,
        sources: Sources,
        file: FileId,
        body: ast::Body,
    ) -> Result<Query, Vec<Report>> {
        let mut modules = self.parsed.clone();
        modules.push(query_module(file, self.with_false(body)));
        let mut compiled = front_end::compile(&sources, modules, Tests::Excluded)?;
        let place = compiled.modules.iter().position(|module| module.file == file);
        let converted = |compiled: &Compiled| -> Result<(Rules, Rc<Body>), Diagnostic> {
            let rules = prepare::rules(&compiled.modules, &compiled.tree)?;
            let module = place.and_then(|place| compiled.modules.get(place));
            let body = module.and_then(|module| module.rules.first());
            let body = body.map(|rule| rule.body.as_slice()).unwrap_or_default();
            let body = prepare::body(&compiled.modules, &compiled.tree, body)?;
            Ok((rules, body))
        };
        let (rules, body) =
            converted(&compiled).map_err(|fault| vec![Report::of(fault, &sources)])?;
        let mut names: Vec<Name> = Vec::new();
        body.exprs.iter().for_each(|expr| outer_variables(expr, &mut names));
        let original = |name: &Name| {
            let original = compiled.rewritten.get(name).unwrap_or(name);
            (!is_generated(original) && !is_wildcard(original)).then(|| Name::clone(original))
        };
        let variables =
            names.into_iter().filter_map(|name| Some((original(&name)?, name))).collect();
        compiled.warnings.clear();
        let explainer = Explainer {
            sources,
            parsed: Vec::new(),
            compiled,
            rules,
            data: Rc::clone(&self.data),
            strictness: self.strictness,
        };
        Ok(Query { explainer, body, variables })
    }

    /// In OPA, a query of one statement that does not iterate has a solution where its value is false,
    /// too: the value goes to a variable without a name.
    fn with_false(&self, mut body: ast::Body) -> ast::Body {
        if let [expr] = body.as_mut_slice()
            && !expr.negated
            && !iterates(expr)
        {
            let value = Term { value: TermValue::Var("$term1".into()), span: expr.span };
            let parameters = Parameters::new(&self.compiled.modules);
            let functions = Functions { tree: &self.compiled.tree, parameters: &parameters };
            match &mut expr.kind {
                ast::ExprKind::Term(term) => {
                    let equal = operator("eq", expr.span);
                    expr.kind = ast::ExprKind::Call(vec![equal, term.clone(), value]);
                }
                ast::ExprKind::Call(terms) => {
                    let name = terms.first().map(text::of_term).unwrap_or_default();
                    let is_void = declaration(&name).is_some_and(|found| found.result.is_none());
                    let has_output = match terms.first().map(|operator| &operator.value) {
                        Some(TermValue::Ref(reference)) => {
                            let arity = functions.arity(reference);
                            arity.is_some_and(|arity| terms.len() > arity + 1)
                        }
                        _ => false,
                    };
                    if !is_void && !has_output && !matches!(name.as_str(), "eq" | "assign") {
                        terms.push(value);
                    }
                }
                _ => {}
            }
        }
        body
    }
}

impl Query {
    /// The solutions, in the order in which they are found.
    #[must_use]
    pub fn evaluate(&self, question: Question) -> Evaluation<Vec<Solution>> {
        self.observe(question, &mut super::trace::Unobserved)
    }

    /// The same, with the events of the evaluation.
    pub fn trace(
        &self,
        question: Question,
        mode: Mode,
        with_locals: bool,
    ) -> (Evaluation<Vec<Solution>>, Trace<'_>) {
        let mut recorder = Recorder::new(&self.explainer, mode, with_locals);
        let evaluation = self.observe(question, &mut recorder);
        (evaluation, recorder.finish())
    }

    fn observe(
        &self,
        question: Question,
        observer: &mut dyn Observer,
    ) -> Evaluation<Vec<Solution>> {
        let mut solutions: Vec<Solution> = Vec::new();
        let (flow, prints) = self.explainer.run(
            &self.body,
            (question, Shortcuts::default()),
            observer,
            &mut |_, scope| {
                if solutions.len() >= MAX_SOLUTIONS {
                    let message = format!("the query has more than {MAX_SOLUTIONS} solutions");
                    let kind = crate::machine::ErrorKind::Limit;
                    return Err(Fault { kind, message, span: None }.into());
                }
                let value = |(shown, name): &(Name, Name)| {
                    let value = scope.get(name).and_then(|cell: Cell| cell.ground())?;
                    Some((shown.to_string(), value))
                };
                solutions.push(self.variables.iter().filter_map(value).collect());
                Ok(())
            },
        );
        let result = match flow {
            Ok(()) => Ok(solutions),
            Err(fault) => Err(self.explainer.error(*fault)),
        };
        Evaluation { result, prints }
    }
}

/// The variables of a statement outside of bodies in it.
fn outer_variables(expr: &super::nodes::Expr, names: &mut Vec<Name>) {
    match &expr.kind {
        ExprKind::Term(term) => variables_of(term, names),
        ExprKind::Equal(left, right) => {
            variables_of(left, names);
            variables_of(right, names);
        }
        ExprKind::Call(_, operands) => {
            operands.iter().for_each(|operand| variables_of(operand, names));
        }
        ExprKind::Every(_) | ExprKind::Not(_) | ExprKind::And(..) | ExprKind::Or(..) => {}
    }
}

fn variables_of(term: &super::nodes::Term, names: &mut Vec<Name>) {
    use super::nodes::TermKind;
    match &term.kind {
        TermKind::Var(name) => {
            if !matches!(&**name, "data" | "input") && !names.contains(name) {
                names.push(Name::clone(name));
            }
        }
        TermKind::Ref(terms) | TermKind::Array(terms) | TermKind::Set(terms) => {
            terms.iter().for_each(|term| variables_of(term, names));
        }
        TermKind::Object(items) => items.iter().for_each(|(key, value)| {
            variables_of(key, names);
            variables_of(value, names);
        }),
        TermKind::Value(_) | TermKind::Comprehension(_) => {}
    }
}

/// Whether a statement may have several solutions.
fn iterates(expr: &ast::Expr) -> bool {
    let mut found = false;
    walk(Node::Expr(expr), &mut |node| {
        if is_closure(node) {
            return Flow::Over;
        }
        match node {
            Node::Term(Term { value: TermValue::Ref(terms), .. }) => {
                let mut keys = terms.iter().skip(1);
                found |= keys.any(|key| matches!(key.value, TermValue::Var(_)));
            }
            Node::Expr(ast::Expr { kind: ast::ExprKind::Call(terms), .. }) => {
                let name = terms.first().map(text::of_term).unwrap_or_default();
                found |= declaration(&name).is_some_and(|found| found.relation);
            }
            _ => {}
        }
        Flow::Into
    });
    found
}

/// A module with one rule, whose body is the query. It is made of syntax, never of text.
fn query_module(file: FileId, body: ast::Body) -> Module {
    let span = Span { file, start: 0, end: 0 };
    let term = |value| Term { value, span };
    let head = ast::Head {
        reference: vec![term(TermValue::Var("query".into()))],
        args: None,
        key: None,
        value: Some(term(TermValue::Bool(true))),
        generated_value: true,
        assign: false,
        span,
    };
    let rule = Rule {
        head,
        body,
        else_rule: None,
        is_default: false,
        generated_body: false,
        annotations: Vec::new(),
        span,
    };
    let path =
        vec![term(TermValue::Var("data".into())), term(TermValue::String(QUERY_PACKAGE.into()))];
    Module {
        file,
        package: Package { path, span },
        imports: Vec::new(),
        rules: vec![rule],
        annotations: Vec::new(),
        version: RegoVersion::V1,
    }
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, reports) = match self {
            Self::Unusable(message) => return formatter.write_str(message),
            Self::Parse(reports) => ("parsing", reports),
            Self::Compile(reports) => ("compiling", reports),
        };
        write!(formatter, "error(s) occurred while {what} query")?;
        reports.iter().try_for_each(|report| write!(formatter, "\n{report}"))
    }
}

impl std::error::Error for QueryError {}

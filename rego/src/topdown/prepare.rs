//! The compiled modules as the evaluator's nodes.

use std::rc::Rc;

use regorus::Value;

use super::index::Index;
use super::nodes::{
    Body, Collection, Comprehension, Every, Expr, ExprKind, Operator, Replacement, Rule, RulePlace,
    Target, Term, TermKind, With,
};
use super::rules::{Document, Rules, Shape, Tree};
use crate::ast::{self, Module, TermValue};
use crate::builtins::table::declaration;
use crate::compile::arity::builtin_name;
use crate::compile::tree::full_ref;
use crate::compile::{Key, RuleRef, RuleTree, locals, text};
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::constants::{constant, key_value};
use crate::source::Span;

/// Converts modules and their tree of rules.
///
/// # Errors
/// A number that no value can have.
pub(crate) fn rules(modules: &[Module], tree: &RuleTree) -> Result<Rules, Diagnostic> {
    let mut converter = Converter { modules, root: tree, functions: &|_| false, count: 0 };
    let is_function = |path: &[ast::Term]| {
        tree.find(path).is_some_and(|node| {
            node.rules.iter().any(|place| {
                let rule = definition(modules, *place);
                rule.and_then(|rule| rule.head.args.as_ref()).is_some_and(|args| !args.is_empty())
            })
        })
    };
    converter.functions = &is_function;
    let root = converter.tree(tree, &[])?;
    Ok(Rules { root })
}

/// Converts a body that stands by itself.
///
/// # Errors
/// A number that no value can have.
pub(crate) fn body(
    modules: &[Module],
    tree: &RuleTree,
    body: &[ast::Expr],
) -> Result<Rc<Body>, Diagnostic> {
    let is_function = |path: &[ast::Term]| {
        tree.find(path).is_some_and(|node| {
            node.rules.iter().any(|place| {
                let rule = definition(modules, *place);
                rule.and_then(|rule| rule.head.args.as_ref()).is_some_and(|args| !args.is_empty())
            })
        })
    };
    let converter = Converter { modules, root: tree, functions: &is_function, count: 0 };
    converter.body(body)
}

/// A rule by its position.
pub(crate) fn definition(modules: &[Module], place: RuleRef) -> Option<&ast::Rule> {
    modules.get(place.module)?.rules.get(place.rule)
}

/// A rule by its position and that in its chain of `else`.
pub(crate) fn branch(modules: &[Module], place: RulePlace) -> Option<&ast::Rule> {
    let first = definition(modules, RuleRef { module: place.module, rule: place.rule })?;
    std::iter::successors(Some(first), |rule| rule.else_rule.as_deref()).nth(place.branch)
}

/// The place of a statement in a rule. OPA gives the generated body of a default the place of its
/// keyword.
pub(crate) fn statement_span(rule: &ast::Rule, span: Span) -> Span {
    let keyword = u32::try_from("default".len()).unwrap_or(0);
    if rule.is_default { Span { end: span.end.min(span.start + keyword), ..span } } else { span }
}

struct Converter<'a> {
    modules: &'a [Module],
    root: &'a RuleTree,
    /// Whether a reference below `data` names a function.
    functions: &'a dyn Fn(&[ast::Term]) -> bool,
    count: usize,
}

impl Converter<'_> {
    fn tree(&mut self, tree: &RuleTree, path: &[Value]) -> Result<Tree, Diagnostic> {
        let mut node = Tree {
            is_hidden: matches!(path, [Value::String(name)] if &**name == "system"),
            document: self.document(tree, path)?,
            ..Tree::default()
        };
        for (key, child) in &tree.children {
            let key = key_of(key)?;
            let mut path = path.to_vec();
            path.push(key.clone());
            let child = self.tree(child, &path)?;
            node.by_key.insert(key.clone(), node.children.len());
            node.children.push((key, child));
        }
        Ok(node)
    }

    fn document(
        &mut self,
        tree: &RuleTree,
        path: &[Value],
    ) -> Result<Option<Document>, Diagnostic> {
        let mut places: Vec<RuleRef> = tree.rules.clone();
        if places.is_empty() {
            return Ok(None);
        }
        if tree.has_open_rules {
            // In OPA, all rules below a reference with variables make one document.
            let mut todo: Vec<&RuleTree> = tree.children.values().rev().collect();
            while let Some(tree) = todo.pop() {
                places.extend(&tree.rules);
                todo.extend(tree.children.values().rev());
            }
        }
        let mut rules = Vec::new();
        let mut default = None;
        for place in places {
            let Some(rule) = definition(self.modules, place) else { continue };
            let is_default = rule.is_default;
            let rule = self.rule(place, rule, 0)?;
            if is_default {
                default = Some(rule);
            } else {
                rules.push(rule);
            }
        }
        let Some(first) = rules.first().or(default.as_ref()) else { return Ok(None) };
        let is_dynamic = rules.iter().any(|rule| rule.is_dynamic());
        let shape = match (is_dynamic, first.is_member()) {
            (true, _) => Shape::Object,
            (false, true) => Shape::Set,
            (false, false) => Shape::Complete,
        };
        let parameters = first.args.len();
        Ok(Some(Document {
            shape,
            parameters,
            path: path.into(),
            index: Index::new(&rules, &|path| self.is_virtual(path)),
            rules,
            default,
        }))
    }

    /// Whether rules define something at, above or below a path.
    fn is_virtual(&self, path: &[Value]) -> bool {
        let mut node = self.root;
        for key in path {
            let child = match key {
                Value::String(name) => node.child(name),
                // Such rules are few: `p[0] := x`.
                _ => node.children.iter().find_map(|(other, child)| {
                    key_of(other).is_ok_and(|other| other == *key).then_some(child)
                }),
            };
            match child {
                None => return false,
                Some(child) if !child.rules.is_empty() => return true,
                Some(child) => node = child,
            }
        }
        true
    }

    fn rule(
        &mut self,
        place: RuleRef,
        rule: &ast::Rule,
        branch: usize,
    ) -> Result<Rc<Rule>, Diagnostic> {
        let id = self.count;
        self.count += 1;
        let reference = match self.modules.get(place.module) {
            Some(module) => full_ref(module, rule),
            None => rule.head.reference.clone(),
        };
        let ground = reference.iter().skip(1).take_while(|term| Key::of(&term.value).is_some());
        let ground: Vec<ast::Term> = reference.iter().take(1).chain(ground).cloned().collect();
        let other = match &rule.else_rule {
            Some(other) => Some(self.rule(place, other, branch + 1)?),
            None => None,
        };
        let one = |term: &ast::Term| self.term(term);
        let mut body = rule.body.clone();
        body.iter_mut().for_each(|expr| expr.span = statement_span(rule, expr.span));
        Ok(Rc::new(Rule {
            id,
            place: RulePlace { module: place.module, rule: place.rule, branch },
            reference: reference.iter().skip(1).map(one).collect::<Result<_, _>>()?,
            args: self.terms(rule.head.args.as_deref().unwrap_or_default())?,
            key: rule.head.key.as_ref().map(one).transpose()?,
            value: rule.head.value.as_ref().map(one).transpose()?,
            body: self.body(&body)?,
            other,
            name: text::of_ref(&ground).into(),
            span: rule.span,
            head_span: rule.head.span,
            is_generated: rule.generated_body,
        }))
    }

    fn body(&self, body: &[ast::Expr]) -> Result<Rc<Body>, Diagnostic> {
        let exprs = body.iter().enumerate().map(|(position, expr)| self.expr(expr, position));
        Ok(Rc::new(Body { exprs: exprs.collect::<Result<_, _>>()? }))
    }

    fn expr(&self, expr: &ast::Expr, position: usize) -> Result<Rc<Expr>, Diagnostic> {
        let negates = if expr.negated {
            let positive = ast::Expr { negated: false, with: Vec::new(), ..expr.clone() };
            Some(self.body(&[positive])?)
        } else {
            None
        };
        let kind = match &expr.kind {
            ast::ExprKind::Term(term) => ExprKind::Term(self.term(term)?),
            ast::ExprKind::Call(terms) => self.call(terms, expr.span)?,
            ast::ExprKind::Every(every) => ExprKind::Every(self.every(every)?),
            ast::ExprKind::Not(not) => ExprKind::Not(self.body(&not.body)?),
            ast::ExprKind::And(sides) => {
                ExprKind::And(self.body(&sides.left)?, self.body(&sides.right)?)
            }
            ast::ExprKind::Or(sides) => {
                ExprKind::Or(self.body(&sides.left)?, self.body(&sides.right)?)
            }
            ast::ExprKind::Some(_) => return Err(unexpected("some", expr.span)),
        };
        let with = expr.with.iter().map(|with| self.with(with)).collect::<Result<_, _>>()?;
        Ok(Rc::new(Expr { kind, with, negates, source: expr.clone(), position }))
    }

    fn call(&self, terms: &[ast::Term], span: Span) -> Result<ExprKind, Diagnostic> {
        let Some((operator, operands)) = terms.split_first() else {
            return Err(unexpected("a call without an operator", span));
        };
        let operator = self
            .operator(operator)
            .ok_or_else(|| Diagnostic::new(Code::Type, "undefined function", operator.span))?;
        let operands = self.terms(operands)?;
        Ok(match (operator, operands.as_slice()) {
            (Operator::Builtin(name), [left, right]) if &*name == "eq" => {
                ExprKind::Equal(Rc::clone(left), Rc::clone(right))
            }
            (operator, _) => ExprKind::Call(operator, operands),
        })
    }

    /// What a reference calls, where it names a function or a built-in.
    fn operator(&self, term: &ast::Term) -> Option<Operator> {
        let name = std::slice::from_ref(term);
        let reference = match &term.value {
            TermValue::Ref(reference) => reference.as_slice(),
            TermValue::Var(_) => name,
            _ => return None,
        };
        let head = reference.first()?;
        if matches!(&head.value, TermValue::Var(name) if &**name == "data") {
            let keys = reference.iter().skip(1).map(|key| constant(key).ok().flatten());
            let keys: Option<Vec<Value>> = keys.collect();
            return keys
                .filter(|_| (self.functions)(reference))
                .map(|keys| Operator::Function(keys.into()));
        }
        let name = builtin_name(reference)?;
        declaration(&name).map(|_| Operator::Builtin(name.into()))
    }

    fn every(&self, every: &ast::Every) -> Result<Every, Diagnostic> {
        let span = every.domain.span;
        let key = every.key.clone().unwrap_or_else(|| ast::Term {
            value: TermValue::Var("$every".into()),
            span: span.emptied(),
        });
        let element = ast::Term { value: TermValue::Ref(vec![every.domain.clone(), key]), span };
        let generator = locals::equality(element, every.value.clone(), span);
        Ok(Every {
            domain: self.term(&every.domain)?,
            generator: self.body(&[generator])?,
            body: self.body(&every.body)?,
        })
    }

    fn with(&self, with: &ast::With) -> Result<With, Diagnostic> {
        let span = with.target.span;
        let function = self.operator(&with.target);
        let target = match (function, &with.target.value) {
            (Some(function), _) => Target::Function(function),
            (None, TermValue::Var(name)) => path_target(name, Vec::new(), span)?,
            (None, TermValue::Ref(reference)) => {
                let keys = reference.iter().skip(1).map(constant);
                let keys: Option<Vec<Value>> = keys.collect::<Result<_, _>>()?;
                match (reference.first().map(|head| &head.value), keys) {
                    (Some(TermValue::Var(name)), Some(keys)) => path_target(name, keys, span)?,
                    _ => return Err(unexpected("the target of a with", span)),
                }
            }
            (None, _) => return Err(unexpected("the target of a with", span)),
        };
        let function = match &target {
            Target::Function(_) => self.operator(&with.value),
            Target::Input(_) | Target::Data(_) => None,
        };
        let value = match function {
            Some(function) => Replacement::Function(function),
            None => Replacement::Term(self.term(&with.value)?),
        };
        Ok(With { target, value })
    }

    fn terms(&self, terms: &[ast::Term]) -> Result<Vec<Rc<Term>>, Diagnostic> {
        terms.iter().map(|term| self.term(term)).collect()
    }

    fn term(&self, term: &ast::Term) -> Result<Rc<Term>, Diagnostic> {
        let kind = match constant(term)? {
            Some(value) => TermKind::Value(value),
            None => self.kind(term)?,
        };
        Ok(Rc::new(Term { kind, span: term.span }))
    }

    fn kind(&self, term: &ast::Term) -> Result<TermKind, Diagnostic> {
        let comprehension = |kind, key, value, body| -> Result<TermKind, Diagnostic> {
            let key: Option<&ast::Term> = key;
            Ok(TermKind::Comprehension(Comprehension {
                kind,
                key: key.map(|key| self.term(key)).transpose()?,
                value: self.term(value)?,
                body: self.body(body)?,
            }))
        };
        Ok(match &term.value {
            TermValue::Null => TermKind::Value(Value::Null),
            TermValue::Bool(value) => TermKind::Value(Value::Bool(*value)),
            TermValue::String(text) => TermKind::Value(Value::from(&**text)),
            TermValue::Var(name) => TermKind::Var(ast::Name::clone(name)),
            TermValue::Ref(terms) => TermKind::Ref(self.terms(terms)?),
            TermValue::Array(terms) => TermKind::Array(self.terms(terms)?),
            TermValue::Set(terms) => TermKind::Set(self.terms(terms)?),
            TermValue::Object(items) => TermKind::Object(
                items
                    .iter()
                    .map(|(key, value)| Ok((self.term(key)?, self.term(value)?)))
                    .collect::<Result<_, Diagnostic>>()?,
            ),
            TermValue::ArrayComprehension { term, body } => {
                comprehension(Collection::Array, None, term, body)?
            }
            TermValue::SetComprehension { term, body } => {
                comprehension(Collection::Set, None, term, body)?
            }
            TermValue::ObjectComprehension { key, value, body } => {
                comprehension(Collection::Object, Some(key), value, body)?
            }
            TermValue::Number(_) | TermValue::Call(_) | TermValue::TemplateString { .. } => {
                return Err(unexpected(text::kind(&term.value), term.span));
            }
        })
    }
}

fn path_target(name: &str, keys: Vec<Value>, span: Span) -> Result<Target, Diagnostic> {
    match name {
        "input" => Ok(Target::Input(keys)),
        "data" => Ok(Target::Data(keys)),
        _ => Err(unexpected("the target of a with", span)),
    }
}

fn key_of(key: &Key) -> Result<Value, Diagnostic> {
    key_value(key, None)
}

/// The compiler has rewritten or refused such syntax.
fn unexpected(what: &str, span: Span) -> Diagnostic {
    let message = format!("internal error: the compiler has left {what} in the tree");
    Diagnostic::new(Code::Compile, message, span)
}

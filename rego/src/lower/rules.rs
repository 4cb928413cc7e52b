//! Rules and functions.

use regorus::Value;

use crate::ast::{Module, Rule as Ast, Term};
use crate::compile::visit::chain;
use crate::core::{
    Body, Collection, Definition, Expr, Operand, Rule, RuleKind, StatementKind, Var,
};
use crate::diagnostic::Diagnostic;

use super::constants::constant;
use super::documents::{CHUNK, only, parts, unless_replaced};
use super::nodes::{self, NodeId, Shape};
use super::scope::Scope;
use super::targets::Callee;
use super::{Lowering, Request, helper};

/// What a definition has besides its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// A value.
    Value,
    /// The element of a set.
    Element,
    /// A value at the key that its reference ends with.
    Item,
}

impl<'a> Lowering<'a> {
    /// A rule's value; of data that is replaced, what base data has in its place.
    pub(super) fn rule(&mut self, node: NodeId) -> Result<Rule, Diagnostic> {
        let slots = match self.nodes.get(node).shape {
            Shape::Function(_) => Vec::new(),
            Shape::Package | Shape::Complete | Shape::Set | Shape::Object | Shape::General => {
                self.slots_above(node)
            }
        };
        if slots.is_empty() {
            return self.own_rule(node);
        }
        let mut scope = Scope::new(0, 0);
        scope.test(Expr::Replaced(slots.clone()));
        let path: Vec<_> = self.nodes.path(node).into_iter().map(Operand::Const).collect();
        let value = scope.operand(self.base_at(&path));
        let replaced = only(&mut scope, value);
        unless_replaced(&mut scope, &slots)?;
        let value = scope.operand(Expr::Rule(self.request(Request::Own(node))));
        let own = only(&mut scope, value);
        Ok(Rule {
            definitions: vec![replaced, own],
            variables: scope.variables(),
            ..helper(self.nodes.name(node), RuleKind::Complete)
        })
    }

    /// A rule's value by its definitions.
    pub(super) fn own_rule(&mut self, node: NodeId) -> Result<Rule, Diagnostic> {
        let name = self.nodes.name(node);
        match self.nodes.get(node).shape {
            Shape::Package | Shape::Complete => {
                self.with_default(node, helper(name, RuleKind::Complete))
            }
            Shape::Function(arity) => {
                let parameters = u32::try_from(arity).unwrap_or(u32::MAX);
                let slot = self.targets.function(Callee::Function(node, arity));
                let rule = Rule { slot, ..helper(name, RuleKind::Function(parameters)) };
                self.with_default(node, rule)
            }
            Shape::Set => self.with_definitions(node, helper(name, RuleKind::Set), Head::Element),
            Shape::Object => {
                self.with_definitions(node, helper(name, RuleKind::Object), Head::Item)
            }
            Shape::General => {
                let mut scope = Scope::new(0, 0);
                let value = self.document(&mut scope, node, None);
                Ok(Rule {
                    definitions: vec![only(&mut scope, value)],
                    variables: scope.variables(),
                    span: self.span(node),
                    ..helper(name, RuleKind::Complete)
                })
            }
        }
    }

    /// A rule or function without its default.
    pub(super) fn found_rule(&mut self, node: NodeId) -> Result<Rule, Diagnostic> {
        let kind = match self.nodes.get(node).shape {
            Shape::Function(arity) => RuleKind::Function(u32::try_from(arity).unwrap_or(u32::MAX)),
            Shape::Package | Shape::Complete | Shape::Set | Shape::Object | Shape::General => {
                RuleKind::Complete
            }
        };
        self.with_definitions(node, helper(self.nodes.name(node), kind), Head::Value)
    }

    fn with_default(&mut self, node: NodeId, rule: Rule) -> Result<Rule, Diagnostic> {
        let default = self.definitions(node).find(|(_, rule)| rule.is_default);
        let Some((_, default)) = default else {
            return self.with_definitions(node, rule, Head::Value);
        };
        let value = default.head.value.as_ref().map(constant).transpose()?;
        if let Some(Some(value)) = value {
            let rule = Rule { default: Some(value), ..rule };
            return self.with_definitions(node, rule, Head::Value);
        }
        // A comprehension: evaluated where no definition has a solution.
        let parameters = parameters(&rule);
        let mut scope = Scope::new(parameters, 0);
        let found = self.request(Request::Found(node));
        let args = (0..parameters).map(|parameter| Operand::Var(Var(parameter))).collect();
        let value = scope.operand(match rule.kind {
            RuleKind::Function(_) => Expr::Call(found, args),
            RuleKind::Complete | RuleKind::Set | RuleKind::Object | RuleKind::Entry => {
                Expr::Rule(found)
            }
        });
        let span = Some(default.span);
        let block = scope.finish();
        let mut bodies = vec![Body { block, key: None, value, span }];
        scope.restart();
        bodies.push(self.rule_body(&mut scope, default, Head::Value)?);
        Ok(Rule {
            definitions: vec![Definition { bodies }],
            variables: scope.variables(),
            span: self.span(node),
            ..rule
        })
    }

    fn with_definitions(
        &mut self,
        node: NodeId,
        rule: Rule,
        head: Head,
    ) -> Result<Rule, Diagnostic> {
        let mut scope = Scope::new(parameters(&rule), 0);
        let mut definitions = Vec::new();
        for (_, definition) in self.definitions(node).filter(|(_, rule)| !rule.is_default) {
            let mut bodies = Vec::new();
            for branch in chain(definition) {
                scope.restart();
                bodies.push(self.rule_body(&mut scope, branch, head)?);
            }
            definitions.push(Definition { bodies });
        }
        let variables = scope.variables();
        Ok(Rule { definitions, variables, span: self.span(node), ..rule })
    }

    /// A definition's body, which begins with its parameters.
    fn rule_body(&mut self, scope: &mut Scope, rule: &Ast, head: Head) -> Result<Body, Diagnostic> {
        scope.at(rule.span);
        let args = rule.head.args.iter().flatten();
        for (parameter, arg) in (0..).zip(args) {
            self.unify_with(scope, arg, Operand::Var(Var(parameter)))?;
        }
        self.definition_body(scope, rule)?;
        scope.at(rule.span);
        let (key, value) = match head {
            Head::Value => (None, self.head_term(scope, rule.head.value.as_ref())?),
            Head::Element => (None, self.head_term(scope, rule.head.key.as_ref())?),
            Head::Item => (
                Some(self.head_term(scope, rule.head.reference.last())?),
                self.head_term(scope, rule.head.value.as_ref())?,
            ),
        };
        Ok(Body { block: scope.finish(), key, value, span: Some(rule.span) })
    }

    fn head_term(&mut self, scope: &mut Scope, term: Option<&Term>) -> Result<Operand, Diagnostic> {
        term.map_or(Ok(Operand::Const(Value::Bool(true))), |term| self.term(scope, term))
    }

    /// What a document has at a key; of data that is replaced, what base data has there.
    pub(super) fn entry(&mut self, node: NodeId) -> Result<Rule, Diagnostic> {
        let slots = self.slots_above(node);
        if slots.is_empty() {
            return self.own_entry(node);
        }
        let key = Operand::Var(Var(0));
        let mut scope = Scope::new(1, 0);
        scope.test(Expr::Replaced(slots.clone()));
        let mut path: Vec<_> = self.nodes.path(node).into_iter().map(Operand::Const).collect();
        path.push(key.clone());
        let value = scope.operand(self.base_at(&path));
        let replaced = only(&mut scope, value);
        unless_replaced(&mut scope, &slots)?;
        let own = Expr::Call(self.request(Request::OwnEntry(node)), vec![key]);
        let value = scope.operand(own);
        let own = only(&mut scope, value);
        Ok(Rule {
            definitions: vec![replaced, own],
            variables: scope.variables(),
            ..helper(self.nodes.name(node), RuleKind::Entry)
        })
    }

    /// What a document has at a key, by its definitions: the key is bound before each body, as OPA
    /// does, so that only what makes this key is evaluated.
    pub(super) fn own_entry(&mut self, node: NodeId) -> Result<Rule, Diagnostic> {
        let mut scope = Scope::new(1, 0);
        let key = Operand::Var(Var(0));
        let mut definitions = Vec::new();
        let shape = self.nodes.get(node).shape;
        if shape == Shape::General {
            let document = self.document(&mut scope, node, Some(key.clone()));
            let path = Expr::Path(crate::core::Root::Operand(document), vec![key]);
            let value = scope.operand(path);
            definitions.push(only(&mut scope, value));
        } else {
            for (_, definition) in self.definitions(node).filter(|(_, rule)| !rule.is_default) {
                scope.restart();
                scope.at(definition.span);
                let head = &definition.head;
                let pattern =
                    if shape == Shape::Set { head.key.as_ref() } else { head.reference.last() };
                if let Some(pattern) = pattern {
                    self.unify_with(&mut scope, pattern, key.clone())?;
                }
                let body = if shape == Shape::Set {
                    self.definition_body(&mut scope, definition)?;
                    let (block, span) = (scope.finish(), Some(definition.span));
                    Body { block, key: None, value: key.clone(), span }
                } else {
                    self.rule_body(&mut scope, definition, Head::Value)?
                };
                definitions.push(Definition { bodies: vec![body] });
            }
        }
        Ok(Rule {
            definitions,
            variables: scope.variables(),
            span: self.span(node),
            ..helper(self.nodes.name(node), RuleKind::Entry)
        })
    }

    /// The document of a node whose references have variables, by its entries; at a key, or all.
    fn document(&mut self, scope: &mut Scope, node: NodeId, key: Option<Operand>) -> Operand {
        let count = self.nodes.get(node).rules.len();
        let entries = self.entries_of(scope, node, key, (0, count));
        scope.operand(Expr::Builtin("$document", vec![entries]))
    }

    fn entries_of(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        key: Option<Operand>,
        (first, count): (usize, usize),
    ) -> Operand {
        let keyed = key.is_some();
        let function = self.request(Request::Entries { node, keyed, first, count });
        scope.operand(match key {
            Some(key) => Expr::Call(function, vec![key]),
            None => Expr::Rule(function),
        })
    }

    /// The entries of some definitions of a document, in order.
    pub(super) fn entries(
        &mut self,
        node: NodeId,
        keyed: bool,
        first: usize,
        count: usize,
    ) -> Result<Rule, Diagnostic> {
        let kind = if keyed { RuleKind::Function(1) } else { RuleKind::Complete };
        let mut scope = Scope::new(u32::from(keyed), 0);
        let key = keyed.then_some(Operand::Var(Var(0)));
        let mut arrays = Vec::new();
        if count > CHUNK {
            for range in parts(first, count) {
                arrays.push(self.entries_of(&mut scope, node, key.clone(), range));
            }
        } else {
            for (module, rule) in self.definitions(node).skip(first).take(count) {
                arrays.push(self.entries_by(&mut scope, node, key.as_ref(), (module, rule))?);
            }
        }
        let arrays = scope.operand(Expr::Array(arrays));
        let value = scope.operand(Expr::Builtin("$concat", vec![arrays]));
        Ok(Rule {
            definitions: vec![only(&mut scope, value)],
            variables: scope.variables(),
            span: self.span(node),
            ..helper(self.nodes.name(node), kind)
        })
    }

    fn entries_by(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        key: Option<&Operand>,
        (module, rule): (&'a Module, &'a Ast),
    ) -> Result<Operand, Diagnostic> {
        let depth = self.nodes.get(node).depth;
        let var = scope.fresh();
        let mark = scope.open()?;
        scope.at(rule.span);
        if let (Some(key), Some(pattern)) = (key, nodes::keys(module, rule).nth(depth)) {
            self.unify_with(scope, pattern, key.clone())?;
        }
        self.definition_body(scope, rule)?;
        scope.at(rule.span);
        let mut path = Vec::new();
        for term in nodes::keys(module, rule).skip(depth) {
            path.push(self.term(scope, term)?);
        }
        let path = scope.operand(Expr::Array(path));
        let (leaf, member) = match (&rule.head.key, &rule.head.value) {
            (Some(key), None) => (self.term(scope, key)?, true),
            (_, value) => (self.head_term(scope, value.as_ref())?, false),
        };
        let member = Operand::Const(Value::Bool(member));
        let value = scope.operand(Expr::Array(vec![path, leaf, member]));
        let block = scope.close(mark);
        let kind = Collection::Array;
        scope.push(StatementKind::Collect { var, kind, block, key: None, value });
        Ok(Operand::Var(var))
    }

    /// The definitions of a node, with their modules.
    fn definitions(&self, node: NodeId) -> impl Iterator<Item = (&'a Module, &'a Ast)> + use<'a> {
        let compiled = self.compiled;
        let rules = self.nodes.get(node).rules.clone();
        rules.into_iter().filter_map(move |rule| {
            let module = compiled.modules.get(rule.module)?;
            Some((module, nodes::definition(compiled, rule)?))
        })
    }

    fn span(&self, node: NodeId) -> Option<crate::source::Span> {
        self.definitions(node).next().map(|(_, rule)| rule.span)
    }
}

fn parameters(rule: &Rule) -> u32 {
    match rule.kind {
        RuleKind::Function(parameters) => parameters,
        RuleKind::Entry => 1,
        RuleKind::Complete | RuleKind::Set | RuleKind::Object => 0,
    }
}

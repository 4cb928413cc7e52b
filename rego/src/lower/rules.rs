//! Rules and functions.

use regorus::Value;

use crate::ast::{Module, Rule as Ast, Term, TermValue};
use crate::compile::visit::{Flow, Node, chain, walk_terms};
use crate::core::{
    Body, Collection, Definition, Expr, Operand, Root, Rule, RuleKind, StatementKind, Var,
};
use crate::diagnostic::Diagnostic;

use super::constants::constant;
use super::documents::{CHUNK, only, parts, unless_replaced};
use super::nodes::{self, NodeId, Shape};
use super::requests::{Asked, Request};
use super::scope::{Scope, part};
use super::targets::Callee;
use super::{Lowering, MAX_PARAMETERS, helper};

/// The result of a definition, besides its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// A value.
    Value,
    /// The element of a set.
    Element,
    /// A value at the last key of its reference.
    Item,
}

impl<'a> Lowering<'a> {
    /// A rule's value; where its data is replaced, base data at its path.
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
                let count = self.fitting(node, &[]).count();
                let value = self.document(&mut scope, node, &[], count);
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

    /// A function whose last parameter is the expected value, unified with that of each head before
    /// the body.
    pub(super) fn known_value(&mut self, node: NodeId) -> Result<Rule, Diagnostic> {
        let arity = match self.nodes.get(node).shape {
            Shape::Function(arity) => arity,
            Shape::Package | Shape::Complete | Shape::Set | Shape::Object | Shape::General => 0,
        };
        let packed = arity + 1 > MAX_PARAMETERS;
        let parameters = if packed { 1 } else { u32::try_from(arity + 1).unwrap_or(u32::MAX) };
        let mut scope = Scope::new(parameters, 0);
        let parameter = |scope: &mut Scope, place: usize| {
            if packed {
                scope.operand(part(Var(0), place))
            } else {
                Operand::Var(Var(u32::try_from(place).unwrap_or(u32::MAX)))
            }
        };
        let mut definitions = Vec::new();
        // The default is the last of a chain.
        let mut last = Vec::new();
        for (_, definition) in self.definitions(node) {
            let mut bodies = Vec::new();
            for branch in chain(definition) {
                scope.restart();
                scope.at(branch.span);
                let args = branch.head.args.iter().flatten().enumerate();
                for (place, arg) in args {
                    let value = parameter(&mut scope, place);
                    self.unify_with(&mut scope, arg, value)?;
                }
                let value = parameter(&mut scope, arity);
                match &branch.head.value {
                    Some(head) if !is_evaluated(head) => {
                        self.unify_with(&mut scope, head, value)?;
                    }
                    Some(_) => {}
                    None => {
                        let truth = Operand::Const(Value::Bool(true));
                        scope.test(Expr::Builtin("equal", vec![value, truth]));
                    }
                }
                bodies.push(self.rest_of_body(&mut scope, branch, Head::Value)?);
            }
            if definition.is_default { &mut last } else { &mut definitions }
                .push(Definition { bodies });
        }
        let variables = scope.variables();
        let name = self.nodes.name(node);
        let kind = RuleKind::Function(parameters);
        let span = self.span(node);
        if last.is_empty() || definitions.is_empty() {
            definitions.extend(last);
            return Ok(Rule { definitions, variables, span, ..helper(name, kind) });
        }
        let found = self.reserve();
        self.set(found, Rule { definitions, variables, span, ..helper(name.clone(), kind) });
        let args = (0..parameters).map(|parameter| Operand::Var(Var(parameter))).collect();
        scope.restart();
        let value = scope.operand(Expr::Call(found, args));
        let block = scope.finish();
        let mut bodies = vec![Body { block, key: None, value, span }];
        bodies.extend(last.into_iter().flat_map(|definition| definition.bodies));
        let variables = scope.variables();
        let definitions = vec![Definition { bodies }];
        Ok(Rule { definitions, variables, span, ..helper(name, kind) })
    }

    /// A definition's body, which begins with its parameters.
    fn rule_body(&mut self, scope: &mut Scope, rule: &Ast, head: Head) -> Result<Body, Diagnostic> {
        scope.at(rule.span);
        let args = rule.head.args.iter().flatten();
        for (parameter, arg) in (0..).zip(args) {
            self.unify_with(scope, arg, Operand::Var(Var(parameter)))?;
        }
        self.rest_of_body(scope, rule, head)
    }

    fn rest_of_body(
        &mut self,
        scope: &mut Scope,
        rule: &Ast,
        head: Head,
    ) -> Result<Body, Diagnostic> {
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

    /// How many keys of a reference select definitions of a document.
    pub(super) fn asked_keys(&self, node: NodeId) -> usize {
        let depth = self.nodes.get(node).depth;
        let keys = self.definitions(node).map(|(module, rule)| {
            let member = usize::from(nodes::is_member(rule));
            nodes::keys(module, rule).count().saturating_sub(depth) + member
        });
        if self.nodes.get(node).shape == Shape::General { keys.max().unwrap_or(1) } else { 1 }
    }

    /// Whether a constant key excludes definitions of a document.
    pub(super) fn distinguishes(&self, node: NodeId, place: usize, key: &Value) -> bool {
        let place = self.nodes.get(node).depth + place;
        self.definitions(node).any(|(module, rule)| differs(module, rule, place, key))
    }

    /// The definitions of a document that fit the requested keys.
    fn fitting(
        &self,
        node: NodeId,
        keys: &[Asked],
    ) -> impl Iterator<Item = (&'a Module, &'a Ast)> + use<'a> {
        let depth = self.nodes.get(node).depth;
        let keys = keys.to_vec();
        self.definitions(node).filter(move |(module, rule)| {
            !rule.is_default
                && keys.iter().zip(depth..).all(|(key, place)| match key {
                    Asked::One(key) => !differs(module, rule, place, key),
                    Asked::Given | Asked::Open => true,
                })
        })
    }

    /// The entry of a document at a key; where its data is replaced, base data there.
    pub(super) fn entry(&mut self, node: NodeId, asked: &[Asked]) -> Result<Rule, Diagnostic> {
        let slots = self.slots_above(node);
        if slots.is_empty() {
            return self.own_entry(node, asked);
        }
        let parameters = entry_parameters(asked);
        let mut scope = Scope::new(parameters, 0);
        let key = asked_key(&mut scope, asked, 0);
        scope.test(Expr::Replaced(slots.clone()));
        let mut path: Vec<_> = self.nodes.path(node).into_iter().map(Operand::Const).collect();
        path.extend(key);
        let value = scope.operand(self.base_at(&path));
        let replaced = only(&mut scope, value);
        unless_replaced(&mut scope, &slots)?;
        let args = (0..parameters).map(|parameter| Operand::Var(Var(parameter))).collect();
        let own = Expr::Call(self.request(Request::OwnEntry(node, asked.to_vec())), args);
        let value = scope.operand(own);
        let own = only(&mut scope, value);
        Ok(Rule {
            definitions: vec![replaced, own],
            variables: scope.variables(),
            ..helper(self.nodes.name(node), entry_kind(parameters))
        })
    }

    /// The entry of a document at a key, by its definitions: keys are bound before each body, as in
    /// OPA, so that only definitions of this key are evaluated.
    pub(super) fn own_entry(&mut self, node: NodeId, asked: &[Asked]) -> Result<Rule, Diagnostic> {
        let parameters = entry_parameters(asked);
        let mut scope = Scope::new(parameters, 0);
        let mut definitions = Vec::new();
        let shape = self.nodes.get(node).shape;
        if shape == Shape::General {
            let count = self.fitting(node, asked).count();
            let document = self.document(&mut scope, node, asked, count);
            let key = asked_key(&mut scope, asked, 0).into_iter().collect();
            let value = scope.operand(Expr::Path(Root::Operand(document), key));
            definitions.push(only(&mut scope, value));
        } else {
            let key = Operand::Var(Var(0));
            for (_, definition) in self.fitting(node, asked) {
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
            ..helper(self.nodes.name(node), entry_kind(parameters))
        })
    }

    /// The document of a node whose references have variables, by the entries of those definitions
    /// that fit the keys; without keys, of all definitions.
    fn document(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        keys: &[Asked],
        count: usize,
    ) -> Operand {
        let entries = self.entries_of(scope, node, keys, (0, count));
        scope.operand(Expr::Builtin("$document", vec![entries]))
    }

    fn entries_of(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        keys: &[Asked],
        (first, count): (usize, usize),
    ) -> Operand {
        let function = self.request(Request::Entries { node, keys: keys.to_vec(), first, count });
        let args: Vec<_> =
            (0..entry_parameters(keys)).map(|parameter| Operand::Var(Var(parameter))).collect();
        scope.operand(if args.is_empty() {
            Expr::Rule(function)
        } else {
            Expr::Call(function, args)
        })
    }

    /// The entries of some definitions of a document, in order.
    pub(super) fn entries(
        &mut self,
        node: NodeId,
        keys: &[Asked],
        first: usize,
        count: usize,
    ) -> Result<Rule, Diagnostic> {
        let parameters = entry_parameters(keys);
        let kind =
            if parameters == 0 { RuleKind::Complete } else { RuleKind::Function(parameters) };
        let mut scope = Scope::new(parameters, 0);
        let mut arrays = Vec::new();
        if count > CHUNK {
            for range in parts(first, count) {
                arrays.push(self.entries_of(&mut scope, node, keys, range));
            }
        } else {
            for (module, rule) in self.fitting(node, keys).skip(first).take(count) {
                arrays.push(self.entries_by(&mut scope, node, keys, (module, rule))?);
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
        keys: &[Asked],
        (module, rule): (&'a Module, &'a Ast),
    ) -> Result<Operand, Diagnostic> {
        let depth = self.nodes.get(node).depth;
        let var = scope.fresh();
        let mark = scope.open()?;
        scope.at(rule.span);
        let member = if nodes::is_member(rule) { rule.head.key.as_ref() } else { None };
        let patterns = nodes::keys(module, rule).skip(depth).chain(member);
        for (place, pattern) in (0..keys.len()).zip(patterns) {
            if let Some(key) = asked_key(scope, keys, place) {
                self.unify_with(scope, pattern, key)?;
            }
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

/// How many parameters a document's function has for the requested keys.
fn entry_parameters(keys: &[Asked]) -> u32 {
    let count = keys.iter().filter(|key| **key != Asked::Open).count();
    if count > MAX_PARAMETERS { 1 } else { u32::try_from(count).unwrap_or(u32::MAX) }
}

const fn entry_kind(parameters: u32) -> RuleKind {
    if parameters == 1 { RuleKind::Entry } else { RuleKind::Function(parameters) }
}

/// The parameter for a key, where it is known.
fn asked_key(scope: &mut Scope, keys: &[Asked], place: usize) -> Option<Operand> {
    let known = |keys: &[Asked]| keys.iter().filter(|key| **key != Asked::Open).count();
    if keys.get(place)? == &Asked::Open {
        return None;
    }
    let number = known(keys.get(..place)?);
    if known(keys) > MAX_PARAMETERS {
        return Some(scope.operand(part(Var(0), number)));
    }
    Some(Operand::Var(Var(u32::try_from(number).unwrap_or(u32::MAX))))
}

/// Whether a definition is for a key that differs from a constant one.
fn differs(module: &Module, rule: &Ast, place: usize, key: &Value) -> bool {
    let own = nodes::keys(module, rule).nth(place);
    matches!(own.map(constant), Some(Ok(Some(own))) if own != *key)
}

/// Whether a term must be evaluated: it is not a pattern.
fn is_evaluated(term: &Term) -> bool {
    let mut is_evaluated = false;
    walk_terms(Node::Term(term), &mut |term| {
        is_evaluated |= matches!(
            term.value,
            TermValue::Ref(_)
                | TermValue::ArrayComprehension { .. }
                | TermValue::SetComprehension { .. }
                | TermValue::ObjectComprehension { .. }
                | TermValue::Call(_)
                | TermValue::TemplateString { .. }
        );
        Flow::Into
    });
    is_evaluated
}

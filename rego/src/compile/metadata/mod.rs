//! `# METADATA` blocks: at most one for each target, and the built-ins that return them. OPA's
//! `SetAnnotationSet` and `RewriteRegoMetadataCalls`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::ast::{
    Annotations, Body, Expr, ExprKind, Module, Name, Ref, Rule, Scope, Term, TermValue,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Location, Span};

use super::Compiler;
use super::arity::builtin_name;
use super::heads::append;
use super::locals::{LocalGenerator, equality, statement};
use super::order::sort_object;
use super::text;
use super::tree::{RuleRef, full_ref};
use super::visit::{Flow, Node, NodeMut, chain, ground_prefix, walk, walk_mut};

/// The position of a block: its module, and its number there.
type Block = (usize, usize);

/// The blocks by their targets.
#[derive(Debug, Default)]
pub(crate) struct AnnotationSet {
    by_rule: BTreeMap<RuleRef, Vec<Block>>,
    /// By the parts of the package's path, sorted: OPA's hash of a path ignores their order.
    by_package: BTreeMap<Vec<String>, Block>,
    /// Of documents and subpackages, by path.
    by_path: BTreeMap<Vec<String>, Block>,
}

/// Collects all blocks.
pub(crate) fn set_annotation_set(compiler: &mut Compiler<'_>) {
    let mut set = AnnotationSet::default();
    let mut errors = Vec::new();
    for (module_index, module) in compiler.modules.iter().enumerate() {
        for (index, annotations) in module.annotations.iter().enumerate() {
            let block = (module_index, index);
            let Some(other) = set.add(module, annotations, block) else { continue };
            let other = compiler.modules.get(other.0).and_then(|one| one.annotations.get(other.1));
            let place = other.map(|other| compiler.sources.location(other.span));
            let message = format!(
                "{} annotation redeclared: {}",
                scope_name(annotations.scope),
                place
                    .map_or_else(String::new, |Location { file, row, .. }| format!("{file}:{row}"))
            );
            errors.push(Diagnostic::new(Code::Type, message, annotations.span));
        }
    }
    compiler.errors.report(errors);
    compiler.annotations = set;
}

const fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Rule => "rule",
        Scope::Document => "document",
        Scope::Package => "package",
        Scope::Subpackages => "subpackages",
    }
}

fn keys(path: &[Term]) -> Vec<String> {
    path.iter().map(text::of_term).collect()
}

fn package_key(path: &[Term]) -> Vec<String> {
    let mut keys = keys(path);
    keys.sort_unstable();
    keys
}

impl AnnotationSet {
    /// Adds a block. Returns the earlier one with the same target.
    fn add(&mut self, module: &Module, annotations: &Annotations, block: Block) -> Option<Block> {
        match annotations.scope {
            Scope::Rule => {
                let rule = RuleRef { module: block.0, rule: annotations.target? };
                self.by_rule.entry(rule).or_default().push(block);
                None
            }
            Scope::Package => {
                let key = package_key(&module.package.path);
                insert_once(&mut self.by_package, key, block)
            }
            Scope::Document => {
                let path = full_ref(module, module.rules.get(annotations.target?)?);
                insert_once(&mut self.by_path, keys(ground_prefix(&path)), block)
            }
            Scope::Subpackages => insert_once(&mut self.by_path, keys(&module.package.path), block),
        }
    }

    /// The blocks of a definition, from the closest one outwards.
    fn chain(
        &self,
        modules: &[Module],
        module: &Module,
        rule: Option<RuleRef>,
        path: &[Term],
    ) -> Vec<Block> {
        let mut blocks = rule.and_then(|rule| self.by_rule.get(&rule)).cloned().unwrap_or_default();
        blocks.sort_by_key(|block| {
            std::cmp::Reverse(annotations(modules, *block).map(|one| one.span))
        });
        blocks.extend(self.by_path.get(&keys(path)));
        blocks.extend(self.by_package.get(&package_key(&module.package.path)));
        let package = keys(&module.package.path);
        let prefixes = (1..=package.len()).rev().filter_map(|length| package.get(..length));
        blocks.extend(prefixes.filter_map(|prefix| self.by_path.get(prefix)));
        blocks
    }
}

fn insert_once(
    map: &mut BTreeMap<Vec<String>, Block>,
    key: Vec<String>,
    block: Block,
) -> Option<Block> {
    let earlier = map.get(&key).copied();
    map.entry(key).or_insert(block);
    earlier
}

fn annotations(modules: &[Module], block: Block) -> Option<&Annotations> {
    modules.get(block.0)?.annotations.get(block.1)
}

/// The target of a block: a rule's path, or the package's.
fn target_path(modules: &[Module], block: Block) -> Option<Ref> {
    let module = modules.get(block.0)?;
    let annotations = module.annotations.get(block.1)?;
    match annotations.target {
        Some(rule) => Some(ground_prefix(&full_ref(module, module.rules.get(rule)?)).to_vec()),
        None => Some(module.package.path.clone()),
    }
}

/// The built-ins that return metadata.
#[derive(Clone, Copy, PartialEq)]
enum Metadata {
    Chain,
    Rule,
}

fn call_of(expr: &Expr) -> Option<Metadata> {
    let ExprKind::Call(terms) = &expr.kind else { return None };
    let TermValue::Ref(operator) = &terms.first()?.value else { return None };
    match builtin_name(operator)?.as_str() {
        "rego.metadata.chain" => Some(Metadata::Chain),
        "rego.metadata.rule" => Some(Metadata::Rule),
        _ => None,
    }
}

/// Inserts the metadata into the bodies of rules that call for it.
pub(crate) fn rewrite_metadata_calls(compiler: &mut Compiler<'_>) {
    let mut rewrites = Vec::new();
    for (module_index, module) in compiler.modules.iter().enumerate() {
        for (rule_index, rule) in module.rules.iter().enumerate() {
            for (branch, (definition, calls)) in chain(rule).zip(calls_from(rule)).enumerate() {
                if calls.iter().any(Option::is_some) {
                    let rule = RuleRef { module: module_index, rule: rule_index };
                    let [chain_call, rule_call] = calls;
                    let whole_chain = chain_call.map(|span| {
                        let rule = (branch == 0).then_some(rule);
                        chain_term(compiler, module, rule, definition, span)
                    });
                    let own = rule_call.map(|span| {
                        let rule = (branch == 0).then_some(rule);
                        rule_term(compiler, rule, span)
                    });
                    rewrites.push((rule, branch, [whole_chain, own]));
                }
            }
        }
    }
    let Compiler { modules, locals, .. } = compiler;
    for (place, branch, terms) in rewrites {
        let rule =
            modules.get_mut(place.module).and_then(|module| module.rules.get_mut(place.rule));
        if let Some(rule) = rule.and_then(|rule| branch_of(rule, branch)) {
            rewrite_rule(locals, rule, terms);
        }
    }
}

fn branch_of(rule: &mut Rule, branch: usize) -> Option<&mut Rule> {
    (0..branch).try_fold(rule, |rule, _| rule.else_rule.as_deref_mut())
}

/// For each branch, where it and those after it first ask for the chain and for the rule's own.
fn calls_from(rule: &Rule) -> Vec<[Option<Span>; 2]> {
    let mut calls: Vec<_> = chain(rule).map(calls_in).collect();
    let mut later = [None, None];
    for [of_chain, of_rule] in calls.iter_mut().rev() {
        let [later_of_chain, later_of_rule] = later;
        *of_chain = of_chain.or(later_of_chain);
        *of_rule = of_rule.or(later_of_rule);
        later = [*of_chain, *of_rule];
    }
    calls
}

/// Where a branch alone first asks for the chain and for the rule's own.
fn calls_in(branch: &Rule) -> [Option<Span>; 2] {
    let (mut of_chain, mut of_rule) = (None, None);
    for node in [Node::Head(&branch.head), Node::Body(&branch.body)] {
        walk(node, &mut |node| {
            if let Node::Expr(expr) = node {
                match call_of(expr) {
                    Some(Metadata::Chain) => _ = of_chain.get_or_insert(expr.span),
                    Some(Metadata::Rule) => _ = of_rule.get_or_insert(expr.span),
                    None => {}
                }
            }
            Flow::Into
        });
    }
    [of_chain, of_rule]
}

fn chain_term(
    compiler: &Compiler<'_>,
    module: &Module,
    rule: Option<RuleRef>,
    definition: &Rule,
    span: Span,
) -> Term {
    let modules = &compiler.modules;
    let whole = full_ref(module, definition);
    let path = ground_prefix(&whole);
    let has_own = rule.is_some_and(|rule| compiler.annotations.by_rule.contains_key(&rule));
    let blocks = compiler.annotations.chain(modules, module, rule, path);
    let link = |path: &[Term], annotations: Option<&Annotations>| {
        let mut pairs = vec![("path", path_term(path.get(1..).unwrap_or_default(), span))];
        pairs.extend(annotations.map(|one| ("annotations", annotations_term(one, span))));
        object(pairs, span)
    };
    let own = (!has_own).then(|| link(path, None));
    let links = blocks
        .into_iter()
        .filter_map(|block| Some(link(&target_path(modules, block)?, annotations(modules, block))));
    Term { value: TermValue::Array(own.into_iter().chain(links).collect()), span }
}

/// The metadata of the first of a rule's own blocks.
fn rule_term(compiler: &Compiler<'_>, rule: Option<RuleRef>, span: Span) -> Term {
    let blocks = rule.and_then(|rule| compiler.annotations.by_rule.get(&rule));
    let blocks = blocks.into_iter().flatten();
    let first = blocks
        .filter_map(|block| annotations(&compiler.modules, *block))
        .min_by_key(|annotations| annotations.span);
    first.map_or_else(|| object(Vec::new(), span), |first| annotations_term(first, span))
}

fn rewrite_rule(locals: &mut LocalGenerator, rule: &mut Rule, terms: [Option<Term>; 2]) {
    let mut body = Body::new();
    let names = terms.map(|term| {
        let (local, capture) = locals.capture(term?);
        body.push(capture);
        match local.value {
            TermValue::Var(name) => Some(name),
            _ => None,
        }
    });
    append(&mut body, std::mem::take(&mut rule.body));
    rule.body = body;
    for node in [NodeMut::Head(&mut rule.head), NodeMut::Body(&mut rule.body)] {
        walk_mut(node, &mut |node| {
            if let NodeMut::Body(body) = node {
                for expr in body.iter_mut() {
                    replace_call(&names, expr);
                }
            }
            Flow::Into
        });
    }
}

fn replace_call([of_chain, of_rule]: &[Option<Name>; 2], expr: &mut Expr) {
    let name = match call_of(expr) {
        Some(Metadata::Chain) => of_chain,
        Some(Metadata::Rule) => of_rule,
        None => return,
    };
    let Some(name) = name else { return };
    let span = expr.span;
    let metadata = Term { value: TermValue::Var(Name::clone(name)), span };
    let output = match &mut expr.kind {
        ExprKind::Call(terms) if terms.len() > 1 => Some(terms.swap_remove(1)),
        _ => None,
    };
    let mut replaced = match output {
        Some(output) => equality(output, metadata, span),
        None => statement(ExprKind::Term(metadata), span),
    };
    replaced.generated = true;
    *expr = replaced;
}

fn string(text: &str, span: Span) -> Term {
    Term { value: TermValue::String(text.into()), span }
}

fn object(pairs: Vec<(&str, Term)>, span: Span) -> Term {
    let mut pairs: Vec<_> =
        pairs.into_iter().map(|(key, value)| (string(key, span), value)).collect();
    sort_object(&mut pairs);
    Term { value: TermValue::Object(pairs), span }
}

/// A path as an array of strings.
fn path_term(path: &[Term], span: Span) -> Term {
    let keys = path.iter().map(|key| match &key.value {
        TermValue::String(key) => string(key, span),
        _ => string(&text::of_term(key), span),
    });
    Term { value: TermValue::Array(keys.collect()), span }
}

/// A block as the value that a policy sees.
fn annotations_term(annotations: &Annotations, span: Span) -> Term {
    let mut pairs = vec![("scope", string(scope_name(annotations.scope), span))];
    for (name, value) in &annotations.fields {
        let is_empty = match value {
            Json::Null | Json::Bool(false) => true,
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(members) => members.is_empty(),
            Json::Bool(true) | Json::Number(_) => false,
        };
        match name.as_str() {
            _ if is_empty => {}
            "title" | "entrypoint" | "description" | "organizations" | "custom" | "labels" => {
                pairs.push((name, json_term(value, span)));
            }
            "authors" | "related_resources" => {
                let items = value.as_array().into_iter().flatten();
                let items = items.map(|item| json_term(&without_empty(item), span));
                pairs.push((name, Term { value: TermValue::Array(items.collect()), span }));
            }
            "schemas" => {
                let items = value.as_array().into_iter().flatten();
                let items = items.map(|item| schema_term(item, span));
                pairs.push((name, Term { value: TermValue::Array(items.collect()), span }));
            }
            // The scope is already included, and hints to the compiler are not shown.
            _ => {}
        }
    }
    object(pairs, span)
}

fn without_empty(value: &Json) -> Json {
    let mut value = value.clone();
    if let Json::Object(members) = &mut value {
        members.retain(|_, member| !matches!(member, Json::String(text) if text.is_empty()));
    }
    value
}

fn schema_term(schema: &Json, span: Span) -> Term {
    let mut pairs = Vec::new();
    for name in ["path", "schema"] {
        let keys = schema.get(name).and_then(Json::as_array);
        if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
            // Each key is a term, or its text.
            let keys = keys.iter().map(|key| key.get("value").unwrap_or(key));
            let keys = keys.map(|key| json_term(key, span));
            pairs.push((name, Term { value: TermValue::Array(keys.collect()), span }));
        }
    }
    if let Some(definition) = schema.get("definition") {
        pairs.push(("definition", json_term(definition, span)));
    }
    object(pairs, span)
}

// As deep as a block's YAML, which the parser bounds.
fn json_term(value: &Json, span: Span) -> Term {
    let value = match value {
        Json::Null => TermValue::Null,
        Json::Bool(value) => TermValue::Bool(*value),
        Json::Number(number) => TermValue::Number(number.to_string().into()),
        Json::String(text) => TermValue::String(text.as_str().into()),
        Json::Array(items) => {
            TermValue::Array(items.iter().map(|item| json_term(item, span)).collect())
        }
        Json::Object(members) => {
            let pairs = members.iter().map(|(key, value)| (key.as_str(), json_term(value, span)));
            return object(pairs.collect(), span);
        }
    };
    Term { value, span }
}

#[cfg(test)]
mod tests;

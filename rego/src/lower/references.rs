//! References: paths into values, base data and the rule tree.

use regorus::Value;

use crate::ast::{Name, Term, TermValue};
use crate::compile::Key;
use crate::core::{Expr, Operand, Root, Var};
use crate::diagnostic::Diagnostic;

use super::Lowering;
use super::constants::constant;
use super::nodes::{NodeId, Nodes, Shape};
use super::requests::{Asked, Known, Lookup, Request, Steps, Wanted};
use super::scope::{Scope, part};
use super::targets::Place as Replaceable;
use super::unify::is_known;

/// A key of a reference.
enum Step<'t> {
    /// Its value is known.
    Given(Operand),
    /// It iterates over all keys; each is unified with a pattern, usually a variable.
    Found(&'t Term),
}

impl Lowering<'_> {
    /// A reference's value. It iterates over collections where keys are not known.
    pub(super) fn reference(
        &mut self,
        scope: &mut Scope,
        terms: &[Term],
    ) -> Result<Expr, Diagnostic> {
        let Some((head, keys)) = terms.split_first() else {
            return Ok(Expr::Array(Vec::new()));
        };
        let steps = Steps::Terms(keys);
        match &head.value {
            TermValue::Var(name) if &**name == "input" => self.path(scope, Root::Input, steps, 0),
            TermValue::Var(name) if &**name == "data" => self.data(scope, steps),
            _ => {
                let root = self.term(scope, head)?;
                self.path(scope, Root::Operand(root), steps, 0)
            }
        }
    }

    /// Classifies a key: whether it is known may depend on the keys before it.
    fn step<'t>(
        &mut self,
        scope: &mut Scope,
        steps: Steps<'t>,
        index: usize,
    ) -> Result<Step<'t>, Diagnostic> {
        match steps {
            Steps::Given(keys) => {
                Ok(Step::Given(keys.get(index).cloned().unwrap_or(Operand::Const(Value::Null))))
            }
            Steps::Terms(terms) => {
                let Some(term) = terms.get(index) else {
                    return Ok(Step::Given(Operand::Const(Value::Null)));
                };
                if is_known(scope, term) {
                    Ok(Step::Given(self.term(scope, term)?))
                } else {
                    Ok(Step::Found(term))
                }
            }
        }
    }

    /// The keys of a value from `index` on.
    pub(super) fn path(
        &mut self,
        scope: &mut Scope,
        mut root: Root,
        steps: Steps<'_>,
        mut index: usize,
    ) -> Result<Expr, Diagnostic> {
        let mut keys: Vec<Operand> = Vec::new();
        while index < steps.len() {
            let step = self.step(scope, steps, index)?;
            index += 1;
            let pattern = match step {
                Step::Given(key) => {
                    keys.push(key);
                    continue;
                }
                Step::Found(pattern) => pattern,
            };
            let collection = scope.operand(whole(root, std::mem::take(&mut keys)));
            let (key, value) = scope.each(collection)?;
            self.unify_with(scope, pattern, Operand::Var(key))?;
            root = Root::Operand(Operand::Var(value));
        }
        Ok(whole(root, keys))
    }

    /// `data.…`: through the rule tree by constant keys, then rules, documents or base data.
    fn data(&mut self, scope: &mut Scope, steps: Steps<'_>) -> Result<Expr, Diagnostic> {
        let mut node = Nodes::ROOT;
        let mut path: Vec<Operand> = Vec::new();
        for index in 0..steps.len() {
            let Some((key, value)) = constant_key(steps, index)? else {
                return self.below(scope, node, path, steps, index);
            };
            path.push(Operand::Const(value));
            let Some(child) = key.and_then(|key| self.nodes.child(node, &key)) else {
                return self.base(scope, path, steps, index + 1);
            };
            if self.nodes.get(child).shape != Shape::Package {
                return self.rule_at(scope, child, steps, index + 1);
            }
            node = child;
        }
        Ok(Expr::Rule(self.request(Request::Extent(node))))
    }

    /// Keys of which the first is not constant, below a node that is not a rule: functions find the
    /// child at run time. Iterations are made here, one key after the other, so that a document
    /// below a key is evaluated only when it is reached.
    fn below(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        path: Vec<Operand>,
        steps: Steps<'_>,
        index: usize,
    ) -> Result<Expr, Diagnostic> {
        if self.nodes.get(node).children.is_empty() && self.slots_above(node).is_empty() {
            // Only base data can be there.
            return self.base(scope, path, steps, index);
        }
        let mut place = Place { node, keys: Vec::new(), found: None };
        for index in index..steps.len() {
            match self.step(scope, steps, index)? {
                Step::Given(key) => {
                    let known = self.known_key(scope, steps, index, &key);
                    place.keys.push((known, key));
                }
                Step::Found(pattern) => {
                    let all = self.look_up(scope, &place, Wanted::Keys);
                    let all = scope.operand(all);
                    let (_, found) = scope.each(all)?;
                    let key = scope.operand(part(found, 0));
                    self.unify_with(scope, pattern, key.clone())?;
                    place.keys.push((Known::Any, key));
                    place.found = Some((place.keys.len(), found));
                }
            }
        }
        Ok(self.look_up(scope, &place, Wanted::Value))
    }

    /// The known properties of a key.
    fn known_key(&self, scope: &Scope, steps: Steps<'_>, index: usize, key: &Operand) -> Known {
        match (key, steps) {
            (Operand::Const(value), _) => Known::One(value.clone()),
            (Operand::Var(_), Steps::Terms(terms)) => {
                match terms.get(index).map(|term| &term.value) {
                    Some(TermValue::Var(name)) => {
                        scope.known().get(name).cloned().map_or(Known::Any, Known::Of)
                    }
                    _ => Known::Any,
                }
            }
            (Operand::Var(_), Steps::Given(_)) => Known::Any,
        }
    }

    /// Calls the lookup for a place.
    fn look_up(&mut self, scope: &mut Scope, place: &Place, wanted: Wanted) -> Expr {
        let (mut known, mut args) = (Vec::new(), Vec::new());
        for (key, operand) in &place.keys {
            if !matches!(key, Known::One(_)) {
                args.push(operand.clone());
            }
            known.push(key.clone());
        }
        let found = place.found.map(|(keys, found)| {
            args.push(Operand::Var(found));
            keys
        });
        let lookup = Lookup { node: place.node, keys: known, found, wanted };
        let args = Self::arguments(scope, args);
        Expr::Call(self.request(Request::Lookup(lookup)), args)
    }

    /// Base data at a path, and the keys from `index` on.
    pub(super) fn base(
        &mut self,
        scope: &mut Scope,
        mut path: Vec<Operand>,
        steps: Steps<'_>,
        mut index: usize,
    ) -> Result<Expr, Diagnostic> {
        while index < steps.len() {
            let step = self.step(scope, steps, index)?;
            index += 1;
            let pattern = match step {
                Step::Given(key) => {
                    path.push(key);
                    continue;
                }
                Step::Found(pattern) => pattern,
            };
            let collection = scope.operand(self.base_at(&path));
            let (key, value) = scope.each(collection)?;
            self.unify_with(scope, pattern, Operand::Var(key))?;
            path.push(Operand::Var(key));
            // The following keys have the same meaning in the element, where it does not matter
            // that keys of base data are text, and nothing is replaced below.
            let plain = (index..steps.len()).all(|index| is_plain_key(scope, steps, index));
            if plain && self.targets.place(&path) == Replaceable::Apart {
                return self.path(scope, Root::Operand(Operand::Var(value)), steps, index);
            }
        }
        Ok(self.base_at(&path))
    }

    /// Base data at a path.
    pub(super) fn base_at(&self, path: &[Operand]) -> Expr {
        let root = match self.targets.place(path) {
            Replaceable::Above => Root::Extent,
            Replaceable::Apart | Replaceable::Within => Root::Data,
        };
        Expr::Path(root, path.to_vec())
    }

    /// A rule's value, and the keys from `index` on.
    pub(super) fn rule_at(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        steps: Steps<'_>,
        index: usize,
    ) -> Result<Expr, Diagnostic> {
        let shape = self.nodes.get(node).shape;
        if let Shape::Function(_) = shape {
            // A function is not a document.
            scope.fail();
            return Ok(Expr::Operand(Operand::Const(Value::Null)));
        }
        if matches!(shape, Shape::Set | Shape::Object | Shape::General)
            && let Some((keys, args)) = self.asked(scope, node, steps, index)?
        {
            let args = Self::arguments(scope, args);
            let entry = Expr::Call(self.request(Request::Entry(node, keys)), args);
            if index + 1 == steps.len() {
                return Ok(entry);
            }
            let value = scope.operand(entry);
            return self.path(scope, Root::Operand(value), steps, index + 1);
        }
        let value = Expr::Rule(self.request(Request::Rule(node)));
        if index == steps.len() {
            return Ok(value);
        }
        let value = scope.operand(value);
        self.path(scope, Root::Operand(value), steps, index)
    }

    /// The pattern of a reference over a document's keys, the first of which must be known, and the
    /// values of the known ones.
    fn asked(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        steps: Steps<'_>,
        index: usize,
    ) -> Result<Option<Keys>, Diagnostic> {
        let (mut keys, mut args) = (Vec::new(), Vec::new());
        for (place, index) in (index..steps.len()).take(self.asked_keys(node)).enumerate() {
            let key = match self.step(scope, steps, index)? {
                Step::Given(key) => {
                    args.push(key.clone());
                    match key {
                        Operand::Const(key) if self.distinguishes(node, place, &key) => {
                            Asked::One(key)
                        }
                        Operand::Const(_) | Operand::Var(_) => Asked::Given,
                    }
                }
                Step::Found(_) if place == 0 => return Ok(None),
                Step::Found(_) => Asked::Open,
            };
            keys.push(key);
        }
        while keys.last() == Some(&Asked::Open) {
            keys.pop();
        }
        Ok(if keys.is_empty() { None } else { Some((keys, args)) })
    }

    /// Arguments of a generated function: one array where there are many.
    pub(super) fn arguments(scope: &mut Scope, args: Vec<Operand>) -> Vec<Operand> {
        if args.len() <= super::MAX_PARAMETERS {
            return args;
        }
        vec![scope.operand(Expr::Array(args))]
    }
}

/// The requested entry of a document, and the values of the known keys.
type Keys = (Vec<Asked>, Vec<Operand>);

/// A place below a node of the rule tree.
struct Place {
    node: NodeId,
    keys: Vec<(Known, Operand)>,
    /// The last iterated key: the number of keys up to it, and the result of the lookup for it.
    found: Option<(usize, Var)>,
}

/// A root and keys into it.
fn whole(root: Root, keys: Vec<Operand>) -> Expr {
    match root {
        Root::Operand(operand) if keys.is_empty() => Expr::Operand(operand),
        root => Expr::Path(root, keys),
    }
}

/// A key's term, where it is a constant.
fn constant_key(
    steps: Steps<'_>,
    index: usize,
) -> Result<Option<(Option<Key>, Value)>, Diagnostic> {
    let Steps::Terms(terms) = steps else { return Ok(None) };
    let Some(term) = terms.get(index) else { return Ok(None) };
    Ok(constant(term)?.map(|value| (Key::of(&term.value), value)))
}

/// Whether a key is text that is not an index, or is iterated over.
fn is_plain_key(scope: &Scope, steps: Steps<'_>, index: usize) -> bool {
    let is_text = |key: &Value| match key {
        Value::String(text) => !text.ends_with(|last: char| last.is_ascii_digit()),
        _ => false,
    };
    match steps {
        Steps::Given(keys) => match keys.get(index) {
            Some(Operand::Const(key)) => is_text(key),
            Some(Operand::Var(_)) => false,
            None => true,
        },
        Steps::Terms(terms) => terms.get(index).is_none_or(|term| match &term.value {
            TermValue::String(_) => matches!(constant(term), Ok(Some(key)) if is_text(&key)),
            TermValue::Var(name) => is_free(scope, name),
            _ => false,
        }),
    }
}

fn is_free(scope: &Scope, name: &Name) -> bool {
    scope.lookup(name).is_none()
}

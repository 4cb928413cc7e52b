//! References: paths into values, base data and the rule tree.

use regorus::Value;

use crate::ast::{Name, Term, TermValue};
use crate::compile::Key;
use crate::core::{Expr, Operand, Root};
use crate::diagnostic::Diagnostic;

use super::constants::constant;
use super::nodes::{NodeId, Nodes, Shape};
use super::scope::Scope;
use super::targets::Place;
use super::unify::is_known;
use super::{Lowering, Request};

/// A key of a reference.
#[derive(Clone)]
pub(super) enum Step<'t> {
    /// Its value is known.
    Given(Operand),
    /// It goes through all keys; each is unified with a pattern, which is a variable most often.
    Found(&'t Term),
    /// The same, of a lookup that lowering makes: the key is one of its results.
    Output(usize),
}

/// The keys of a reference, and what has been found at them.
pub(super) struct Steps<'t> {
    source: Source<'t>,
    /// The keys of a lookup's results, by their places.
    pub(super) outputs: Vec<Operand>,
}

enum Source<'t> {
    Terms(&'t [Term]),
    Steps(&'t [Step<'t>]),
}

impl<'t> Steps<'t> {
    fn terms(terms: &'t [Term]) -> Self {
        Self { source: Source::Terms(terms), outputs: Vec::new() }
    }

    pub(super) fn made(steps: &'t [Step<'t>]) -> Self {
        Self { source: Source::Steps(steps), outputs: Vec::new() }
    }

    fn len(&self) -> usize {
        match self.source {
            Source::Terms(terms) => terms.len(),
            Source::Steps(steps) => steps.len(),
        }
    }
}

impl Lowering<'_> {
    /// A reference's value. It goes through collections where keys are not known.
    pub(super) fn reference(
        &mut self,
        scope: &mut Scope,
        terms: &[Term],
    ) -> Result<Expr, Diagnostic> {
        let Some((head, keys)) = terms.split_first() else {
            return Ok(Expr::Array(Vec::new()));
        };
        let mut steps = Steps::terms(keys);
        match &head.value {
            TermValue::Var(name) if &**name == "input" => {
                self.path(scope, Root::Input, &mut steps, 0)
            }
            TermValue::Var(name) if &**name == "data" => self.data(scope, &mut steps),
            _ => {
                let root = self.term(scope, head)?;
                self.path(scope, Root::Operand(root), &mut steps, 0)
            }
        }
    }

    /// A key, looked at: whether it is known may depend on the keys before it.
    fn step<'t>(
        &mut self,
        scope: &mut Scope,
        steps: &Steps<'t>,
        index: usize,
    ) -> Result<Step<'t>, Diagnostic> {
        match steps.source {
            Source::Steps(made) => {
                Ok(made.get(index).cloned().unwrap_or(Step::Given(Operand::Const(Value::Null))))
            }
            Source::Terms(terms) => {
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

    /// Says what has been found at a key.
    fn found(
        &mut self,
        scope: &mut Scope,
        steps: &mut Steps<'_>,
        step: &Step<'_>,
        key: Operand,
    ) -> Result<(), Diagnostic> {
        match step {
            Step::Given(_) => Ok(()),
            Step::Found(term) => self.unify_with(scope, term, key),
            Step::Output(place) => {
                if steps.outputs.len() <= *place {
                    steps.outputs.resize(place + 1, Operand::Const(Value::Null));
                }
                if let Some(output) = steps.outputs.get_mut(*place) {
                    *output = key;
                }
                Ok(())
            }
        }
    }

    /// The keys of a value from `index` on.
    pub(super) fn path(
        &mut self,
        scope: &mut Scope,
        mut root: Root,
        steps: &mut Steps<'_>,
        mut index: usize,
    ) -> Result<Expr, Diagnostic> {
        let mut keys: Vec<Operand> = Vec::new();
        while index < steps.len() {
            let step = self.step(scope, steps, index)?;
            index += 1;
            if let Step::Given(key) = step {
                keys.push(key);
                continue;
            }
            let collection = scope.operand(whole(root, std::mem::take(&mut keys)));
            let (key, value) = scope.each(collection)?;
            self.found(scope, steps, &step, Operand::Var(key))?;
            root = Root::Operand(Operand::Var(value));
        }
        Ok(whole(root, keys))
    }

    /// `data.…`: through the rule tree by constant keys, then rules, documents or base data.
    fn data(&mut self, scope: &mut Scope, steps: &mut Steps<'_>) -> Result<Expr, Diagnostic> {
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

    /// Keys of which the first is not constant, below a node that is no rule: the rule that looks
    /// at run time which child it is.
    fn below(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        path: Vec<Operand>,
        steps: &mut Steps<'_>,
        index: usize,
    ) -> Result<Expr, Diagnostic> {
        if self.nodes.get(node).children.is_empty() && self.slots_above(node).is_empty() {
            // There is nothing but base data.
            return self.base(scope, path, steps, index);
        }
        let mut all = Vec::new();
        for index in index..steps.len() {
            all.push(self.step(scope, steps, index)?);
        }
        let (value, found) = self.look_up(scope, node, &all)?;
        for (step, key) in found {
            self.found(scope, steps, &step, key)?;
        }
        Ok(value)
    }

    /// Calls the lookup below a node: the value, and the keys that were found.
    pub(super) fn look_up<'t>(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        steps: &[Step<'t>],
    ) -> Result<(Expr, Vec<(Step<'t>, Operand)>), Diagnostic> {
        let is_given = |step: &Step<'_>| matches!(step, Step::Given(_));
        let function = self.request(Request::Lookup(node, steps.iter().map(is_given).collect()));
        let given = steps.iter().filter_map(|step| match step {
            Step::Given(key) => Some(key.clone()),
            Step::Found(_) | Step::Output(_) => None,
        });
        let args = Self::arguments(scope, given.collect());
        let call = Expr::Call(function, args);
        if steps.iter().all(is_given) {
            return Ok((call, Vec::new()));
        }
        let solutions = scope.operand(call);
        let (_, solution) = scope.each(solutions)?;
        let mut found = Vec::new();
        for step in steps.iter().filter(|step| !is_given(step)) {
            let key = scope.operand(part(solution, found.len()));
            found.push((step.clone(), key));
        }
        Ok((part(solution, found.len()), found))
    }

    /// Base data at a path, and the keys from `index` on.
    pub(super) fn base(
        &mut self,
        scope: &mut Scope,
        mut path: Vec<Operand>,
        steps: &mut Steps<'_>,
        mut index: usize,
    ) -> Result<Expr, Diagnostic> {
        while index < steps.len() {
            let step = self.step(scope, steps, index)?;
            index += 1;
            if let Step::Given(key) = step {
                path.push(key);
                continue;
            }
            let collection = scope.operand(self.base_at(&path));
            let (key, value) = scope.each(collection)?;
            self.found(scope, steps, &step, Operand::Var(key))?;
            path.push(Operand::Var(key));
            // What follows has the same meaning in the element, where it does not matter that keys
            // of base data are text, and nothing is replaced below.
            let plain = (index..steps.len()).all(|index| is_plain_key(scope, steps, index));
            if plain && self.targets.place(&path) == Place::Apart {
                return self.path(scope, Root::Operand(Operand::Var(value)), steps, index);
            }
        }
        Ok(self.base_at(&path))
    }

    /// Base data at a path.
    pub(super) fn base_at(&self, path: &[Operand]) -> Expr {
        let root = match self.targets.place(path) {
            Place::Above => Root::Extent,
            Place::Apart | Place::Within => Root::Data,
        };
        Expr::Path(root, path.to_vec())
    }

    /// A rule's value, and the keys from `index` on.
    pub(super) fn rule_at(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        steps: &mut Steps<'_>,
        index: usize,
    ) -> Result<Expr, Diagnostic> {
        let shape = self.nodes.get(node).shape;
        if let Shape::Function(_) = shape {
            // A function is no document.
            scope.fail();
            return Ok(Expr::Operand(Operand::Const(Value::Null)));
        }
        if index < steps.len()
            && matches!(shape, Shape::Set | Shape::Object | Shape::General)
            && let Step::Given(key) = self.step(scope, steps, index)?
        {
            let entry = Expr::Call(self.request(Request::Entry(node)), vec![key]);
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

    /// Arguments of a function that lowering makes: one array where there are many.
    pub(super) fn arguments(scope: &mut Scope, args: Vec<Operand>) -> Vec<Operand> {
        if args.len() <= super::MAX_PARAMETERS {
            return args;
        }
        vec![scope.operand(Expr::Array(args))]
    }
}

/// The element of an array at a place.
pub(super) fn part(array: crate::core::Var, place: usize) -> Expr {
    let place = Operand::Const(Value::from(place));
    Expr::Path(Root::Operand(Operand::Var(array)), vec![place])
}

/// A root and keys into it.
fn whole(root: Root, keys: Vec<Operand>) -> Expr {
    match root {
        Root::Operand(operand) if keys.is_empty() => Expr::Operand(operand),
        root => Expr::Path(root, keys),
    }
}

/// A key as it is written, where it is a constant.
fn constant_key(
    steps: &Steps<'_>,
    index: usize,
) -> Result<Option<(Option<Key>, Value)>, Diagnostic> {
    let Source::Terms(terms) = steps.source else { return Ok(None) };
    let Some(term) = terms.get(index) else { return Ok(None) };
    Ok(constant(term)?.map(|value| (Key::of(&term.value), value)))
}

/// Whether a key is text that is no index, or is gone through.
fn is_plain_key(scope: &Scope, steps: &Steps<'_>, index: usize) -> bool {
    let is_text = |key: &Value| match key {
        Value::String(text) => !text.ends_with(|last: char| last.is_ascii_digit()),
        _ => false,
    };
    match steps.source {
        Source::Steps(made) => match made.get(index) {
            Some(Step::Given(Operand::Const(key))) => is_text(key),
            Some(Step::Given(Operand::Var(_))) => false,
            Some(Step::Found(_) | Step::Output(_)) | None => true,
        },
        Source::Terms(terms) => terms.get(index).is_none_or(|term| match &term.value {
            TermValue::String(_) => matches!(constant(term), Ok(Some(key)) if is_text(&key)),
            TermValue::Var(name) => is_free(scope, name),
            _ => false,
        }),
    }
}

fn is_free(scope: &Scope, name: &Name) -> bool {
    scope.lookup(name).is_none()
}

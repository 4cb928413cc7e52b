//! The targets of all `with` in the policy.

use std::collections::{BTreeMap, HashMap};

use regorus::Value;

use crate::ast::{Term, TermValue, With};
use crate::builtins::table::declaration;
use crate::compile::visit::{Flow, Node, walk};
use crate::core::{Operand, RuleId, Slot, SlotId};
use crate::diagnostic::{Code, Diagnostic};

use super::Lowering;
use super::constants::constant;
use super::nodes::{NodeId, Shape};
use super::requests::Request;

/// The target of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Callee {
    /// A function of the policy, with its number of parameters.
    Function(NodeId, usize),
    /// A rule without parameters: OPA accepts `p()` where it cannot know the type of `p`, and calls
    /// the rule, ignoring replacements.
    Rule(NodeId),
    /// A built-in, by its name.
    Builtin(&'static str),
}

/// The target of a `with`.
#[derive(Debug)]
pub(super) enum WithTarget {
    /// The input at a path.
    Input(Vec<Value>),
    /// Data at a path.
    Data(Vec<Value>),
    /// A function.
    Function(Callee),
}

/// All targets of `with`, other than the input.
#[derive(Debug, Default)]
pub(super) struct Targets {
    slots: Vec<Slot>,
    paths: BTreeMap<Vec<Value>, SlotId>,
    functions: HashMap<Callee, SlotId>,
}

/// The relation of a reference's path to the replaced paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is unrelated to all of them.
    Apart,
    /// It may be at one or below, but not above any.
    Within,
    /// It may be above one.
    Above,
}

impl Targets {
    /// The slot of a path, where some `with` replaces it.
    pub(super) fn path(&self, path: &[Value]) -> Option<SlotId> {
        self.paths.get(path).copied()
    }

    /// The slot of a function, where some `with` replaces it.
    pub(super) fn function(&self, callee: Callee) -> Option<SlotId> {
        self.functions.get(&callee).copied()
    }

    pub(super) fn into_slots(self) -> Vec<Slot> {
        self.slots
    }

    /// The relation of a path to the replaced paths. Operands that are not constants may be any
    /// key.
    pub(super) fn place(&self, path: &[Operand]) -> Place {
        let mut place = Place::Apart;
        for target in self.paths.keys() {
            let same = |(key, at): (&Value, &Operand)| match at {
                Operand::Const(value) => value == key,
                Operand::Var(_) => true,
            };
            if !target.iter().zip(path).all(same) {
                continue;
            }
            if target.len() > path.len() {
                return Place::Above;
            }
            place = Place::Within;
        }
        place
    }

    fn add(&mut self, slot: Slot) -> SlotId {
        let id = SlotId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        self.slots.push(slot);
        id
    }

    fn add_path(&mut self, path: Vec<Value>) {
        if !self.paths.contains_key(&path) {
            let id = self.add(Slot::Data(path.clone()));
            self.paths.insert(path, id);
        }
    }

    fn add_function(&mut self, callee: Callee, rule: RuleId, candidate: Option<RuleId>) {
        let id = match self.functions.get(&callee) {
            Some(id) => *id,
            None => {
                let id = self.add(Slot::Function { rule, candidates: Vec::new() });
                self.functions.insert(callee, id);
                id
            }
        };
        let slot = usize::try_from(id.0).ok().and_then(|index| self.slots.get_mut(index));
        if let (Some(Slot::Function { candidates, .. }), Some(candidate)) = (slot, candidate)
            && !candidates.contains(&candidate)
        {
            candidates.push(candidate);
        }
    }
}

impl Lowering<'_> {
    /// Visits all `with` of the policy.
    pub(super) fn collect_targets(&mut self) -> Result<(), Diagnostic> {
        let mut all: Vec<&With> = Vec::new();
        for rule in self.compiled.modules.iter().flat_map(|module| &module.rules) {
            walk(Node::Rule(rule), &mut |node| {
                if let Node::With(with) = node {
                    all.push(with);
                }
                Flow::Into
            });
        }
        for with in all {
            match self.with_target(&with.target)? {
                WithTarget::Input(_) => {}
                WithTarget::Data(path) => self.targets.add_path(path),
                WithTarget::Function(callee) => {
                    let rule = self.callee_rule(callee);
                    let substitute = self.substitute_of(&with.value);
                    let candidate = substitute.map(|callee| self.callee_rule(callee));
                    self.targets.add_function(callee, rule, candidate);
                }
            }
        }
        Ok(())
    }

    /// The document or function that the target of a `with` names.
    pub(super) fn with_target(&self, target: &Term) -> Result<WithTarget, Diagnostic> {
        let (root, keys) = match &target.value {
            TermValue::Var(name) => (&**name, &[][..]),
            TermValue::Ref(terms) => match terms.split_first() {
                Some((Term { value: TermValue::Var(name), .. }, keys)) => (&**name, keys),
                _ => ("", &[][..]),
            },
            _ => ("", &[][..]),
        };
        let path =
            || -> Result<Option<Vec<Value>>, Diagnostic> { keys.iter().map(constant).collect() };
        let found = match (root, self.callee_of(target)) {
            (_, Some(callee @ (Callee::Function(..) | Callee::Builtin(_)))) => {
                Some(WithTarget::Function(callee))
            }
            ("input", _) => path()?.map(WithTarget::Input),
            ("data", _) => path()?.map(WithTarget::Data),
            _ => None,
        };
        found.ok_or_else(|| {
            let message = "with keyword target must reference existing input, data, or a function";
            Diagnostic::new(Code::Type, message, target.span)
        })
    }

    /// The function that a reference names as the value of a `with`, where it is not a rule's
    /// value.
    pub(super) fn substitute_of(&self, term: &Term) -> Option<Callee> {
        self.callee_of(term).filter(|callee| !matches!(callee, Callee::Rule(_)))
    }

    /// The target that a reference names in a call.
    pub(super) fn callee_of(&self, term: &Term) -> Option<Callee> {
        let terms = match &term.value {
            TermValue::Ref(terms) => terms.as_slice(),
            TermValue::Var(_) => std::slice::from_ref(term),
            _ => return None,
        };
        let (head, keys) = terms.split_first()?;
        let TermValue::Var(head) = &head.value else { return None };
        if &**head == "data" {
            let node = self.nodes.find(keys)?;
            return match self.nodes.get(node).shape {
                Shape::Function(parameters) => Some(Callee::Function(node, parameters)),
                Shape::Complete => Some(Callee::Rule(node)),
                Shape::Package | Shape::Set | Shape::Object | Shape::General => None,
            };
        }
        let mut name = head.to_string();
        for key in keys {
            let TermValue::String(key) = &key.value else { return None };
            name.push('.');
            name.push_str(key);
        }
        declaration(&name).map(|declaration| Callee::Builtin(declaration.name))
    }

    /// The rule of core that is called for a function, or that wraps a built-in.
    pub(super) fn callee_rule(&mut self, callee: Callee) -> RuleId {
        self.request(match callee {
            Callee::Function(node, _) => Request::Rule(node),
            Callee::Rule(node) => Request::Own(node),
            Callee::Builtin(name) => Request::Builtin(name),
        })
    }

    /// The slots of the paths that a node is at or below.
    pub(super) fn slots_above(&self, node: NodeId) -> Vec<SlotId> {
        let path = self.nodes.path(node);
        (0..=path.len()).filter_map(|length| self.targets.path(path.get(..length)?)).collect()
    }
}

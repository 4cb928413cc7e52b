//! The types of names and documents at a place of a policy: OPA's type environment.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::ast::{Name, Term, TermValue};
use crate::compile::visit::is_constant;

use super::checker::Checker;
use super::constant::Constant;
use super::model::{Known, Type};
use super::tree::{Node, Roots};
use super::union;

/// Types of variables. A variable of unknown type here is not looked up in outer scopes.
pub(super) type Vars = RefCell<HashMap<Name, Known>>;

/// A scope, and those around it.
#[derive(Debug)]
pub(super) struct Scope {
    /// The variables of this scope.
    vars: Option<Rc<Vars>>,
    /// The scope that stores the types inferred in this scope: a scope for `with` has no variables.
    inferred: Rc<Vars>,
    /// The documents of this scope: built-ins, rules, or targets of `with`.
    roots: Option<Rc<Roots>>,
    /// The enclosing scope.
    pub(super) next: Option<Rc<Self>>,
}

/// The head of a reference.
#[derive(Debug)]
pub(super) enum Head<'s> {
    /// A document.
    Node(&'s Node),
    /// A variable.
    Local(Known),
}

impl Scope {
    /// The outermost scope.
    pub(super) fn outermost(roots: Rc<Roots>) -> Rc<Self> {
        Rc::new(Self { vars: None, inferred: Rc::default(), roots: Some(roots), next: None })
    }

    /// A scope of documents within this one.
    pub(super) fn with_documents(self: &Rc<Self>, roots: Rc<Roots>) -> Rc<Self> {
        let inferred = Rc::clone(&self.inferred);
        Rc::new(Self { vars: None, inferred, roots: Some(roots), next: Some(Rc::clone(self)) })
    }

    /// A scope of variables within this one.
    fn with_vars(self: &Rc<Self>) -> Rc<Self> {
        let vars = Rc::<Vars>::default();
        let inferred = Rc::clone(&vars);
        Rc::new(Self { vars: Some(vars), inferred, roots: None, next: Some(Rc::clone(self)) })
    }

    /// The document or variable of this name in this scope itself.
    pub(super) fn head(&self, name: &str) -> Option<Head<'_>> {
        if let Some(vars) = &self.vars
            && let Some(known) = vars.borrow().get(name)
        {
            return Some(Head::Local(known.clone()));
        }
        self.roots.as_ref().and_then(|roots| roots.get(name)).map(Head::Node)
    }

    /// This scope and the enclosing ones, from the innermost.
    fn outward(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |scope| scope.next.as_deref())
    }
}

/// The context of a check: a scope, and the shared state.
#[derive(Debug, Clone)]
pub(super) struct Env<'c> {
    pub(super) checker: &'c Checker<'c>,
    pub(super) scope: Rc<Scope>,
}

impl Env<'_> {
    /// A scope of variables within this one.
    pub(super) fn inner(&self) -> Self {
        Self { checker: self.checker, scope: self.scope.with_vars() }
    }

    /// A scope of documents within this one.
    pub(super) fn with_documents(&self, roots: Rc<Roots>) -> Self {
        Self { checker: self.checker, scope: self.scope.with_documents(roots) }
    }

    /// Records a variable's type.
    pub(super) fn infer(&self, var: &Name, of: Known) {
        self.scope.inferred.borrow_mut().insert(Name::clone(var), of);
    }

    /// The type of a variable.
    pub(super) fn of_var(&self, name: &str) -> Known {
        match self.scope.outward().find_map(|scope| scope.head(name))? {
            Head::Local(known) => known,
            Head::Node(node) => node.value().cloned(),
        }
    }

    /// The type of a reference's value.
    pub(super) fn of_ref(&self, reference: &[Term]) -> Known {
        let (Term { value: TermValue::Var(head), .. }, keys) = reference.split_first()? else {
            return None;
        };
        for scope in self.scope.outward() {
            let found = match scope.head(head) {
                Some(Head::Local(Some(of))) => Found::Type(select(Some(of), keys)),
                Some(Head::Local(None)) => find(&self.checker.nothing, keys),
                Some(Head::Node(node)) => find(node, keys),
                None => Found::Elsewhere,
            };
            if let Found::Type(of) = found {
                return of;
            }
        }
        // Base documents and the input can be anything.
        is_root(head).then_some(Type::Any)
    }

    /// The type of a term's value. Recurses to the term's depth.
    pub(super) fn of(&self, value: &TermValue) -> Known {
        match value {
            TermValue::Null => Some(Type::Null),
            TermValue::Bool(_) => Some(Type::Boolean),
            TermValue::Number(_) => Some(Type::Number),
            TermValue::String(_) | TermValue::TemplateString { .. } => Some(Type::String),
            TermValue::Var(name) => self.of_var(name),
            TermValue::Ref(reference) => self.of_ref(reference),
            TermValue::Array(terms) => {
                Some(Type::array(terms.iter().map(|term| self.of(&term.value)).collect(), None))
            }
            TermValue::Object(pairs) => Some(self.of_object(pairs)),
            TermValue::Set(terms) => {
                Some(Type::set(union::of_all(terms.iter().map(|term| self.of(&term.value)))))
            }
            TermValue::ArrayComprehension { term, body } => {
                let inner = self.inner();
                inner
                    .check_body(body)
                    .is_empty()
                    .then(|| Type::array(Vec::new(), inner.of(&term.value)))
            }
            TermValue::SetComprehension { term, body } => {
                let inner = self.inner();
                inner.check_body(body).is_empty().then(|| Type::set(inner.of(&term.value)))
            }
            TermValue::ObjectComprehension { key, value, body } => {
                let inner = self.inner();
                inner.check_body(body).is_empty().then(|| {
                    let rest = (inner.of(&key.value), inner.of(&value.value));
                    Type::object(Vec::new(), Some(rest))
                })
            }
            TermValue::Call(_) => None,
        }
    }

    fn of_object(&self, pairs: &[(Term, Term)]) -> Type {
        let mut fields = Vec::new();
        let mut rest = None;
        for (key, value) in pairs {
            match Constant::of(&key.value) {
                Some(key) => fields.push((key, self.of(&value.value))),
                // Of several keys that are not constants, OPA uses the last.
                None => rest = Some((self.of(&key.value), self.of(&value.value))),
            }
        }
        Type::object(fields, rest)
    }
}

/// Whether documents begin with this name.
pub(super) fn is_root(name: &str) -> bool {
    matches!(name, "data" | "input")
}

enum Found {
    Type(Known),
    /// This scope does not know it; an outer one may.
    Elsewhere,
}

/// The type of the value at some keys from a node.
fn find(mut node: &Node, mut keys: &[Term]) -> Found {
    loop {
        let Some((key, rest)) = keys.split_first() else { return Found::Type(Some(node.extent())) };
        let child = node.child(&key.value);
        match (node.value(), child) {
            (Some(value), None) => return Found::Type(select(Some(value.clone()), keys)),
            (None, _) if !is_constant(&key.value) => {
                return Found::Type(select(Some(node.extent()), keys));
            }
            (None, None) => return Found::Elsewhere,
            (_, Some(child)) => (node, keys) = (child, rest),
        }
    }
}

/// The type of the part at some keys of a value: one of several where a key is not constant.
pub(super) fn select(mut of: Known, keys: &[Term]) -> Known {
    for key in keys {
        let within = of?;
        of = match &key.value {
            TermValue::Var(_)
            | TermValue::Ref(_)
            | TermValue::Array(_)
            | TermValue::Object(_)
            | TermValue::Set(_) => {
                if within.is_empty_collection() {
                    // There is nothing to iterate over, so any type is valid.
                    return Some(Type::Any);
                }
                within.values()
            }
            value => within.select(&Constant::of(value)?),
        };
    }
    of
}

//! The name of a variable in each scope of a body, and how it was introduced.

use std::collections::BTreeMap;

use crate::ast::Name;

/// How a variable first appears in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occurrence {
    /// As a parameter of the function.
    Parameter,
    /// In a statement that does not declare it.
    Seen,
    /// Left of `:=`.
    Assigned,
    /// After `some` or `every`.
    Declared,
}

#[derive(Debug, Clone, Default)]
struct Scope {
    names: BTreeMap<Name, Name>,
    occurrences: BTreeMap<Name, Occurrence>,
}

/// The scopes around a statement, the outermost first. There is always one.
#[derive(Debug, Clone, Default)]
pub(super) struct Scopes {
    outer: Vec<Scope>,
    inner: Scope,
    /// The variable of each generated name, over all scopes so far.
    originals: BTreeMap<Name, Name>,
}

impl Scopes {
    pub(super) fn push(&mut self) {
        self.outer.push(std::mem::take(&mut self.inner));
    }

    pub(super) fn pop(&mut self) {
        self.inner = self.outer.pop().unwrap_or_default();
    }

    /// Gives a variable of the innermost scope a name.
    pub(super) fn insert(&mut self, var: &Name, name: &Name, occurrence: Occurrence) {
        self.inner.names.insert(Name::clone(var), Name::clone(name));
        self.inner.occurrences.insert(Name::clone(var), occurrence);
        if var != name {
            self.originals.insert(Name::clone(name), Name::clone(var));
        }
    }

    /// The name of a variable.
    pub(super) fn name_of(&self, var: &str) -> Option<&Name> {
        let outer = self.outer.iter().rev();
        std::iter::once(&self.inner).chain(outer).find_map(|scope| scope.names.get(var))
    }

    /// How a variable first appeared in the innermost scope.
    pub(super) fn occurrence(&self, var: &str) -> Option<Occurrence> {
        self.inner.occurrences.get(var).copied()
    }

    /// How a variable first appeared in the scope that it belongs to.
    pub(super) fn occurrence_anywhere(&self, var: &str) -> Option<Occurrence> {
        let outer = self.outer.iter().rev();
        let mut scopes = std::iter::once(&self.inner).chain(outer);
        scopes.find_map(|scope| scope.occurrences.get(var)).copied()
    }

    /// The names of the innermost scope.
    pub(super) const fn innermost(&self) -> &BTreeMap<Name, Name> {
        &self.inner.names
    }

    /// The variables that `some` and `every` declare in the innermost scope, with their names.
    pub(super) fn declared(&self) -> impl Iterator<Item = (&Name, &Name)> {
        let is_declared =
            |(_, occurrence): &(&Name, &Occurrence)| **occurrence == Occurrence::Declared;
        let names = self.inner.occurrences.iter().filter(is_declared);
        names.filter_map(|(var, _)| self.inner.names.get(var).map(|name| (var, name)))
    }

    /// The variable of each generated name.
    pub(super) fn into_originals(self) -> BTreeMap<Name, Name> {
        self.originals
    }

    /// Adds the generated names of other scopes.
    pub(super) fn adopt(&mut self, other: Self) {
        self.originals.extend(other.originals);
    }
}

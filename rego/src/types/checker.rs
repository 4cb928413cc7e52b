//! What all checks of a policy share.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::compile::Compiled;

use super::dependents::Users;
use super::tree::{Node, Roots};
use super::unify::Work;

/// Documents that can be anything, by the name of what `with` replaces and whether it is a function.
pub(super) type Relaxed = HashMap<(bool, String), Option<Rc<Roots>>>;

/// What all checks of a policy share.
#[derive(Debug)]
pub(super) struct Checker<'c> {
    pub(super) compiled: &'c Compiled,
    pub(super) work: Work,
    /// A document of which nothing is known.
    pub(super) nothing: Node,
    users: OnceCell<Users<'c>>,
    /// The rules that depend on what `with` replaces.
    pub(super) relaxed: RefCell<Relaxed>,
    /// How deep in comprehensions the check is.
    pub(super) closures: Cell<u32>,
}

impl<'c> Checker<'c> {
    /// For a policy, with so many steps.
    pub(super) fn new(compiled: &'c Compiled, steps: u64) -> Self {
        Self {
            compiled,
            work: Work::new(steps),
            nothing: Node::default(),
            users: OnceCell::new(),
            relaxed: RefCell::default(),
            closures: Cell::new(0),
        }
    }

    /// Which rules use which.
    pub(super) fn users(&self) -> &Users<'c> {
        self.users.get_or_init(|| Users::new(self.compiled))
    }
}

//! The state shared by all checks of a policy.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::compile::Compiled;

use super::dependents::Users;
use super::tree::{Node, Roots};
use super::unify::Work;

/// Documents of any type, by the name of the target of `with` and whether it is a function.
pub(super) type Relaxed = HashMap<(bool, String), Option<Rc<Roots>>>;

/// The state shared by all checks of a policy.
#[derive(Debug)]
pub(super) struct Checker<'c> {
    pub(super) compiled: &'c Compiled,
    pub(super) work: Work,
    /// A document of unknown type.
    pub(super) nothing: Node,
    users: OnceCell<Users<'c>>,
    /// The rules that depend on the targets of `with`.
    pub(super) relaxed: RefCell<Relaxed>,
    /// The current nesting of comprehensions.
    pub(super) closures: Cell<u32>,
}

impl<'c> Checker<'c> {
    /// For a policy, with this many steps.
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

    /// The uses between rules.
    pub(super) fn users(&self) -> &Users<'c> {
        self.users.get_or_init(|| Users::new(self.compiled))
    }
}

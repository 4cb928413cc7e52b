//! What `with` can replace, and the values that are known while nothing is replaced.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use regorus::Value;

use super::nodes::Operator;
use super::scope::Cell;
use crate::core::data::Data;

/// How many values of rules and functions an environment keeps. Others are evaluated each time.
const MAX_KNOWN: usize = 65_536;

/// The documents and functions that rules are evaluated with.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) input: Option<Value>,
    pub(crate) data: Rc<Data>,
    /// The paths below `data` that are replaced, functions included.
    pub(crate) replaced: Rc<Vec<Vec<Value>>>,
    /// The functions that are replaced, the innermost last.
    pub(crate) mocks: Rc<Vec<(Operator, Mock)>>,
    known: Rc<RefCell<BTreeMap<Known, Option<Value>>>>,
}

/// The replacement of a function.
#[derive(Debug, Clone)]
pub(crate) enum Mock {
    /// A value, or a reference to a rule, which is evaluated where the function would be.
    Term(Cell),
    Function(Operator),
}

/// The subject of a known value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    /// The document at a path.
    Document(Vec<Value>),
    /// The part of a document at a path that rules make with these keys below it; `None` is any.
    Part(Vec<Value>, Vec<Option<Value>>),
    /// A function's value for arguments.
    Call(Operator, Vec<Value>),
}

impl Environment {
    /// Nothing is replaced.
    pub(crate) fn new(input: Option<Value>, data: Rc<Data>) -> Self {
        Self { input, data, replaced: Rc::default(), mocks: Rc::default(), known: Rc::default() }
    }

    /// The same with nothing known.
    pub(crate) fn forgetful(&self) -> Rc<Self> {
        Rc::new(Self { known: Rc::default(), ..self.clone() })
    }

    /// The same, in which functions are not replaced.
    pub(crate) fn without_mocks(&self) -> Rc<Self> {
        Rc::new(Self { mocks: Rc::default(), ..self.clone() })
    }

    /// The replacement of a function.
    pub(crate) fn mock(&self, operator: &Operator) -> Option<&Mock> {
        self.mocks.iter().rev().find(|(replaced, _)| replaced == operator).map(|(_, mock)| mock)
    }

    /// Whether a path is at or below a replaced one.
    pub(crate) fn is_replaced(&self, path: &[Value]) -> bool {
        self.replaced.iter().any(|replaced| path.starts_with(replaced))
    }

    /// The known value; `Some(None)` means that it is known to be undefined.
    pub(crate) fn known(&self, key: &Known) -> Option<Option<Value>> {
        self.known.borrow().get(key).cloned()
    }

    /// Keeps a value.
    pub(crate) fn keep(&self, key: Known, value: Option<Value>) {
        let mut known = self.known.borrow_mut();
        if known.len() < MAX_KNOWN {
            known.insert(key, value);
        }
    }
}

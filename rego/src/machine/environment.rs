//! Environments: what `with` replaces.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

use crate::core::data::{self, Data};
use crate::core::{RuleId, Slot, SlotId, Target};
use crate::emit::{Source, WithSite};

/// What an evaluation reads that is no rule.
#[derive(Debug, Clone)]
pub(super) struct Environment {
    /// Undefined where there is none.
    pub(super) input: Value,
    pub(super) data: Data,
    /// Paths of data that are replaced.
    pub(super) replaced: BTreeSet<SlotId>,
    /// Functions that are replaced.
    pub(super) mocks: BTreeMap<SlotId, Mock>,
}

/// What replaces a function.
#[derive(Debug, Clone)]
pub(super) enum Mock {
    /// A value, for all arguments.
    Value(Value),
    /// Another function.
    Function(RuleId),
}

impl Environment {
    /// Without an input, and with nothing replaced.
    pub(super) fn new(data: Value) -> Self {
        Self {
            input: Value::Undefined,
            data: Data::new(data),
            replaced: BTreeSet::new(),
            mocks: BTreeMap::new(),
        }
    }

    /// The one in which what replaces a function is evaluated.
    pub(super) fn without_mocks(&self) -> Self {
        Self { mocks: BTreeMap::new(), ..self.clone() }
    }

    /// This with a site's replacements. Nothing where they do not fit the program's slots, which
    /// emission makes sure of.
    pub(super) fn with(&self, site: &WithSite, values: &[Value], slots: &[Slot]) -> Option<Self> {
        let mut inner = self.clone();
        let mut values = values.iter();
        for (target, source) in &site.replacements {
            match (target, source) {
                (Target::Input(path), Source::Value) => {
                    let outer = Some(&inner.input).filter(|input| **input != Value::Undefined);
                    inner.input = data::put(outer, path, values.next()?.clone());
                }
                (Target::Data(slot), Source::Value) => {
                    let index = usize::try_from(slot.0).ok()?;
                    let Slot::Data(path) = slots.get(index)? else { return None };
                    inner.data = inner.data.with(path, values.next()?.clone());
                    inner.replaced.insert(*slot);
                }
                (Target::Function(slot), Source::Value) => {
                    inner.mocks.insert(*slot, Mock::Value(values.next()?.clone()));
                }
                (Target::Function(slot), Source::Function(function)) => {
                    inner.mocks.insert(*slot, Mock::Function(*function));
                }
                (Target::Input(_) | Target::Data(_), Source::Function(_)) => return None,
            }
        }
        Some(inner)
    }

    /// All of base data, replacements included.
    pub(super) fn all_data(&self) -> Value {
        self.data.find(&[]).cloned().unwrap_or(Value::Undefined)
    }
}

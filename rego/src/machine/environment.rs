//! Environments: the replacements of `with`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

use crate::core::data::{self, Data};
use crate::core::{RuleId, Slot, SlotId, Target};
use crate::emit::{Source, WithSite};

/// The values that an evaluation reads besides rules.
#[derive(Debug)]
pub(super) struct Environment {
    /// Undefined where there is no input.
    pub(super) input: Value,
    pub(super) data: Data,
    /// Paths of data that are replaced.
    pub(super) replaced: BTreeSet<SlotId>,
    /// Functions that are replaced.
    pub(super) mocks: BTreeMap<SlotId, Mock>,
    /// Cached values of functions in it.
    pub(super) known: Known,
}

/// The replacement of a function.
#[derive(Debug, Clone)]
pub(super) enum Mock {
    /// A value, for all arguments.
    Value(Value),
    /// Another function.
    Function(RuleId),
}

/// The cache of functions' values, by their arguments. Undefined can be a value.
#[derive(Debug, Default)]
pub(super) struct Known {
    values: BTreeMap<(RuleId, Value), Value>,
}

/// How many values of functions an environment caches, until its end. Others are evaluated each
/// time.
const KNOWN: usize = 16_384;

impl Known {
    /// The cached value of a function for these arguments. If there is none, undefined is cached
    /// until the value is: it is not read before, because functions are not recursive.
    pub(super) fn recall(&mut self, function: RuleId, args: &Value) -> Option<Value> {
        let is_full = self.values.len() >= KNOWN;
        match self.values.entry((function, args.clone())) {
            Entry::Occupied(known) => Some(known.get().clone()),
            Entry::Vacant(_) if is_full => None,
            Entry::Vacant(place) => {
                place.insert(Value::Undefined);
                None
            }
        }
    }

    /// Caches a value after a failed look-up.
    pub(super) fn keep(&mut self, function: RuleId, args: &Value, value: Value) {
        if let Some(place) = self.values.get_mut(&(function, args.clone())) {
            *place = value;
        }
    }

    /// Clears the cache.
    pub(super) fn clear(&mut self) {
        self.values.clear();
    }
}

impl Environment {
    /// Without an input, and with nothing replaced.
    pub(super) fn new(data: Value) -> Self {
        Self {
            input: Value::Undefined,
            data: Data::new(data),
            replaced: BTreeSet::new(),
            mocks: BTreeMap::new(),
            known: Known::default(),
        }
    }

    /// A copy with an empty cache: values cached here may differ there.
    fn inner(&self) -> Self {
        Self {
            input: self.input.clone(),
            data: self.data.clone(),
            replaced: self.replaced.clone(),
            mocks: self.mocks.clone(),
            known: Known::default(),
        }
    }

    /// The environment in which the replacement of a function is evaluated.
    pub(super) fn without_mocks(&self) -> Self {
        Self { mocks: BTreeMap::new(), ..self.inner() }
    }

    /// This environment with a site's replacements. `None` where they do not fit the program's
    /// slots, which emission prevents.
    pub(super) fn with(&self, site: &WithSite, values: &[Value], slots: &[Slot]) -> Option<Self> {
        let mut inner = self.inner();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_has_a_bound_and_what_is_past_it_is_evaluated_each_time() {
        let mut known = Known::default();
        let function = RuleId(7);
        for argument in 0..KNOWN {
            let args = Value::from(argument);
            assert_eq!(known.recall(function, &args), None);
            known.keep(function, &args, Value::Bool(true));
        }
        let (kept, past) = (Value::from(0_u32), Value::from(KNOWN));
        for _ in 0..2 {
            assert_eq!(known.recall(function, &kept), Some(Value::Bool(true)));
            assert_eq!(known.recall(function, &past), None);
            known.keep(function, &past, Value::Bool(true));
        }
        assert_eq!(known.values.len(), KNOWN);
        // Values computed with a different function differ.
        assert_eq!(known.recall(RuleId(8), &kept), None);
    }
}

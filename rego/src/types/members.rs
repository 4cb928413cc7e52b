//! The members of a value of a type: the types of its keys and of their values.

use std::collections::BTreeMap;

use super::constant::Constant;
use super::model::{Array, Fields, Known, Object, OneOf, Type};
use super::union;

impl Type {
    /// The type of an element or property with this key.
    pub(super) fn select(&self, key: &Constant) -> Known {
        match self {
            Self::Array(array) => array.select(key.position()?),
            Self::Object(object) => object.select(key),
            Self::Set(set) => {
                let of = set.of.as_ref()?;
                let member = key.type_of();
                match of {
                    Self::Any => Some(member),
                    Self::OneOf(one_of) => one_of.contains(&member).then_some(member),
                    of => (*of == member).then(|| of.clone()),
                }
            }
            Self::Any => Some(Self::Any),
            Self::OneOf(one_of) => one_of.select(key),
            Self::Null | Self::Boolean | Self::Number | Self::String | Self::Function(_) => None,
        }
    }

    /// The type of the keys in an iteration; `None` where there is nothing to iterate over.
    pub(super) fn keys(&self) -> Known {
        match self {
            Self::Array(_) => Some(Self::Number),
            Self::Object(object) => object.keys(),
            Self::Set(set) => set.of.clone(),
            Self::Any => Some(Self::Any),
            Self::OneOf(one_of) => one_of
                .keys
                .get_or_init(|| union::of_all(one_of.types.iter().map(Self::keys)))
                .clone(),
            Self::Null | Self::Boolean | Self::Number | Self::String | Self::Function(_) => None,
        }
    }

    /// The type of the values in an iteration.
    pub(super) fn values(&self) -> Known {
        match self {
            Self::Array(array) => array
                .values
                .get_or_init(|| union::of_all(array.items.iter().chain([&array.rest]).cloned()))
                .clone(),
            Self::Object(object) => object.values(),
            Self::Set(set) => set.of.clone(),
            Self::Any => Some(Self::Any),
            Self::OneOf(one_of) => one_of
                .values
                .get_or_init(|| union::of_all(one_of.types.iter().map(Self::values)))
                .clone(),
            Self::Null | Self::Boolean | Self::Number | Self::String | Self::Function(_) => None,
        }
    }
}

impl Array {
    /// The type of the element at a position.
    pub(super) fn select(&self, position: usize) -> Known {
        self.items.get(position).unwrap_or(&self.rest).clone()
    }
}

impl Object {
    fn field(&self, key: &Constant) -> Option<&Known> {
        let at = self.fields.partition_point(|(field, _)| field < key);
        self.fields.get(at).filter(|(field, _)| field == key).map(|(_, value)| value)
    }

    /// Whether a property with this key exists and its type is known.
    pub(super) fn has_known_field(&self, key: &Constant) -> bool {
        self.field(key).is_some_and(Option::is_some)
    }

    /// The type of the property with this key.
    pub(super) fn select(&self, key: &Constant) -> Known {
        if let Some(value) = self.field(key) {
            return value.clone();
        }
        let (keys, value) = self.rest.as_ref()?;
        let holds = match keys {
            Some(keys) => union::contains(keys, &key.type_of()),
            None => false,
        };
        if holds { value.clone() } else { None }
    }

    fn keys(&self) -> Known {
        let all = || {
            let fields = self.fields.iter().map(|(key, _)| Some(key.type_of()));
            let rest = self.rest.iter().map(|(key, _)| key.clone());
            union::of_all(fields.chain(rest))
        };
        self.keys.get_or_init(all).clone()
    }

    fn values(&self) -> Known {
        let all = || {
            let fields = self.fields.iter().map(|(_, value)| value.clone());
            let rest = self.rest.iter().map(|(_, value)| value.clone());
            union::of_all(fields.chain(rest))
        };
        self.values.get_or_init(all).clone()
    }
}

impl OneOf {
    fn select(&self, key: &Constant) -> Known {
        let fields = self.fields.get_or_init(|| self.all_fields());
        let of_closed = fields.of_closed.get(key).into_iter().flatten().cloned();
        union::of_all(of_closed.chain(fields.others.iter().map(|one| one.select(key))))
    }

    fn all_fields(&self) -> Fields {
        let mut fields = Fields { of_closed: BTreeMap::new(), others: Vec::new() };
        for one in &self.types {
            match one {
                Type::Object(object) if object.rest.is_none() => {
                    for (key, value) in &object.fields {
                        let of_closed = fields.of_closed.entry(key.clone()).or_default();
                        of_closed.push(value.clone());
                    }
                }
                other => fields.others.push(other.clone()),
            }
        }
        fields
    }
}

//! Types, as OPA's (`v1/types`).
//!
//! A type shares its parts: a clone is cheap. An unknown type is `None`, also within a type: while
//! `x` is unknown, the type of `[x, 1]` is known except for its first element.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::ast::Name;
use crate::builtins::table::{Declaration, Parameter, StaticType};

use super::constant::Constant;

/// The highest nesting of a type. Rules that use each other can nest types deeper than any text;
/// deeper parts are unknown, so that walks over types need a bounded stack.
const MAX_DEPTH: u16 = 256;

/// The highest number of parts of a type, shared ones counted each time they occur. A larger type
/// is unknown. The type of a constant of some megabytes is smaller.
const MAX_SIZE: u32 = 1 << 20;

/// A type, or `None` where it is not known.
pub(super) type Known = Option<Type>;

/// A type.
#[derive(Debug, Clone)]
pub(super) enum Type {
    Null,
    Boolean,
    Number,
    String,
    Array(Rc<Array>),
    Object(Rc<Object>),
    Set(Rc<Set>),
    /// Any value.
    Any,
    /// One of several types.
    OneOf(Rc<OneOf>),
    Function(Rc<Function>),
}

/// An array: elements at fixed positions, and the type of any number of further ones.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) items: Vec<Known>,
    pub(super) rest: Known,
    shape: Shape,
    pub(super) values: OnceCell<Known>,
}

/// An object: properties with constant keys, in order of keys, and the type of further ones.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) fields: Vec<(Constant, Known)>,
    pub(super) rest: Rest,
    shape: Shape,
    pub(super) keys: OnceCell<Known>,
    pub(super) values: OnceCell<Known>,
}

/// The types of further keys and values, where there can be any.
pub(super) type Rest = Option<(Known, Known)>;

/// A set. The empty set has no members' type, and belongs to every set type.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) of: Known,
    shape: Shape,
}

/// One of several types, in order. A rule may have as many definitions as a policy has lines, each
/// with a different type, which are added one by one.
#[derive(Debug)]
pub(super) struct OneOf {
    pub(super) types: BTreeSet<Type>,
    shape: Shape,
    pub(super) keys: OnceCell<Known>,
    pub(super) values: OnceCell<Known>,
    pub(super) fields: OnceCell<Fields>,
}

/// An index of the properties of many objects.
#[derive(Debug)]
pub(super) struct Fields {
    /// The types of properties with constant keys, of objects that have no others.
    pub(super) of_closed: BTreeMap<Constant, Vec<Known>>,
    /// All other types.
    pub(super) others: Vec<Type>,
}

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) parameters: Vec<Known>,
    /// The type of any number of further arguments.
    pub(super) variadic: Known,
    /// Not known where the function returns nothing.
    pub(super) result: Known,
    /// The declaration of a built-in.
    pub(super) declaration: Option<&'static Declaration>,
    shape: Shape,
}

/// Properties of a type's whole tree, computed when it is made.
#[derive(Debug, Clone, Copy)]
struct Shape {
    depth: u16,
    size: u32,
    /// Whether a part is unknown.
    has_hole: bool,
    /// The same, where the parts of a [`Type::OneOf`] do not count, as in OPA.
    is_incomplete: bool,
}

impl Shape {
    const LEAF: Self = Self { depth: 0, size: 1, has_hole: false, is_incomplete: false };
    const HOLE: Self = Self { depth: 0, size: 1, has_hole: true, is_incomplete: true };

    fn of<'a>(parts: impl IntoIterator<Item = Option<&'a Type>>) -> Self {
        parts.into_iter().fold(Self::LEAF, Self::with)
    }

    fn with(self, part: Option<&Type>) -> Self {
        let part = part.map_or(Self::HOLE, Type::shape);
        Self {
            depth: self.depth.max(part.depth.saturating_add(1)),
            size: self.size.saturating_add(part.size),
            has_hole: self.has_hole || part.has_hole,
            is_incomplete: self.is_incomplete || part.is_incomplete,
        }
    }

    const fn is_too_large(self) -> bool {
        self.depth > MAX_DEPTH || self.size > MAX_SIZE
    }
}

impl Type {
    /// The type of arrays of these elements, and of any number of further ones.
    pub(super) fn array(items: Vec<Known>, rest: Known) -> Self {
        let shape = Shape::of(items.iter().map(Option::as_ref).chain(rest.iter().map(Some)));
        if shape.is_too_large() {
            return Self::Any;
        }
        Self::Array(Rc::new(Array { items, rest, shape, values: OnceCell::new() }))
    }

    /// The type of objects with these properties, and of further ones.
    pub(super) fn object(mut fields: Vec<(Constant, Known)>, rest: Option<(Known, Known)>) -> Self {
        let dynamic = rest.iter().flat_map(|(key, value)| [key.as_ref(), value.as_ref()]);
        let shape = Shape::of(fields.iter().map(|(_, value)| value.as_ref()).chain(dynamic));
        if shape.is_too_large() {
            return Self::Any;
        }
        if !fields.is_sorted_by(|(left, _), (right, _)| left <= right) {
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
        let keys = OnceCell::new();
        Self::Object(Rc::new(Object { fields, rest, shape, keys, values: OnceCell::new() }))
    }

    /// The type of sets of such members.
    pub(super) fn set(of: Known) -> Self {
        let shape = Shape::of([of.as_ref()]);
        if shape.is_too_large() {
            return Self::Any;
        }
        Self::Set(Rc::new(Set { of, shape }))
    }

    /// One of these types, at least two, which are neither any nor one of several.
    pub(super) fn one_of(types: BTreeSet<Self>) -> Self {
        let shape = Shape::of(types.iter().map(Some));
        Self::one_of_shape(types, shape)
    }

    fn one_of_shape(types: BTreeSet<Self>, shape: Shape) -> Self {
        let shape = Shape { is_incomplete: false, ..shape };
        if shape.is_too_large() {
            return Self::Any;
        }
        let (keys, values) = (OnceCell::new(), OnceCell::new());
        Self::OneOf(Rc::new(OneOf { types, shape, keys, values, fields: OnceCell::new() }))
    }

    /// The type of a function of the policy.
    pub(super) fn function(parameters: Vec<Known>, result: Known) -> Self {
        Self::declared_function(parameters, None, result, None)
    }

    fn declared_function(
        parameters: Vec<Known>,
        variadic: Known,
        result: Known,
        declaration: Option<&'static Declaration>,
    ) -> Self {
        let parts = parameters.iter().map(Option::as_ref).chain([result.as_ref()]);
        let shape = Shape::of(parts);
        Self::Function(Rc::new(Function { parameters, variadic, result, declaration, shape }))
    }

    /// The type of a built-in.
    pub(super) fn of_builtin(declaration: &'static Declaration) -> Self {
        let of = |parameter: &Parameter| Some(Self::from(&parameter.of));
        Self::declared_function(
            declaration.parameters.iter().map(of).collect(),
            declaration.variadic.as_ref().map(Self::from),
            declaration.result.as_ref().and_then(of),
            Some(declaration),
        )
    }

    fn shape(&self) -> Shape {
        match self {
            Self::Null | Self::Boolean | Self::Number | Self::String | Self::Any => Shape::LEAF,
            Self::Array(array) => array.shape,
            Self::Object(object) => object.shape,
            Self::Set(set) => set.shape,
            Self::OneOf(one_of) => one_of.shape,
            Self::Function(function) => function.shape,
        }
    }

    /// Whether all parts are known, except for those of a [`Type::OneOf`].
    pub(super) fn is_complete(&self) -> bool {
        !self.shape().is_incomplete
    }

    /// Whether any part is unknown.
    pub(super) fn has_hole(&self) -> bool {
        self.shape().has_hole
    }

    /// Whether it is the type of an empty collection: `[]`, `{}`, `set()`.
    pub(super) fn is_empty_collection(&self) -> bool {
        match self {
            Self::Array(array) => array.items.is_empty() && array.rest.is_none(),
            Self::Object(object) => object.fields.is_empty() && object.rest.is_none(),
            Self::Set(set) => set.of.is_none(),
            Self::Null
            | Self::Boolean
            | Self::Number
            | Self::String
            | Self::Any
            | Self::OneOf(_)
            | Self::Function(_) => false,
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean => 1,
            Self::Number => 2,
            Self::String => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
            Self::Set(_) => 6,
            Self::Any => 7,
            Self::OneOf(_) => 8,
            Self::Function(_) => 9,
        }
    }
}

impl Constant {
    /// The type of the constant.
    pub(super) fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Boolean,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::Array(elements) => {
                Type::array(elements.iter().map(|element| Some(element.type_of())).collect(), None)
            }
            Self::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| (Self::String(Name::clone(key)), Some(value.type_of())));
                Type::object(fields.collect(), None)
            }
        }
    }
}

impl Set {
    /// The members' type.
    pub(super) fn into_members(self: Rc<Self>) -> Known {
        match Rc::try_unwrap(self) {
            Ok(owned) => owned.of,
            Err(shared) => shared.of.clone(),
        }
    }
}

impl Object {
    /// Its parts. Where they are not shared, they are not copied.
    pub(super) fn into_parts(self: Rc<Self>) -> (Vec<(Constant, Known)>, Rest) {
        match Rc::try_unwrap(self) {
            Ok(owned) => (owned.fields, owned.rest),
            Err(shared) => (shared.fields.clone(), shared.rest.clone()),
        }
    }

    /// The type of values under keys that are not constants.
    pub(super) fn rest_value(&self) -> Option<&Type> {
        self.rest.as_ref().and_then(|(_, value)| value.as_ref())
    }
}

impl OneOf {
    /// With one more type, which is neither any nor one of several. Where the types are not shared,
    /// they are not copied.
    pub(super) fn with(self: Rc<Self>, one: Type) -> Type {
        if self.contains(&one) {
            return Type::OneOf(self);
        }
        let shape = self.shape.with(Some(&one));
        let mut types = self.into_types();
        types.insert(one);
        Type::one_of_shape(types, shape)
    }

    /// The union of all but one.
    pub(super) fn without(self: Rc<Self>, one: &Type) -> Known {
        let mut types = self.into_types();
        types.remove(one);
        if types.len() > 1 { Some(Type::one_of(types)) } else { types.pop_first() }
    }

    fn into_types(self: Rc<Self>) -> BTreeSet<Type> {
        match Rc::try_unwrap(self) {
            Ok(owned) => owned.types,
            Err(shared) => shared.types.clone(),
        }
    }

    /// Whether one of the types is this one.
    pub(super) fn contains(&self, one: &Type) -> bool {
        self.types.contains(one)
    }
}

impl Function {
    /// The type of an argument, where the result counts as the last one.
    pub(super) fn operand(&self, position: usize) -> Option<&Type> {
        match self.parameters.get(position) {
            Some(parameter) => parameter.as_ref(),
            None if position == self.parameters.len() && self.result.is_some() => {
                self.result.as_ref()
            }
            None => self.variadic.as_ref(),
        }
    }

    /// The highest number of arguments, where the result counts as one; unbounded where the
    /// function is variadic.
    pub(super) fn max_operands(&self) -> Option<usize> {
        match self.variadic {
            Some(_) => None,
            None => Some(self.parameters.len() + usize::from(self.result.is_some())),
        }
    }
}

impl From<&StaticType> for Type {
    fn from(of: &StaticType) -> Self {
        let all = |types: &[StaticType]| types.iter().map(Self::from).collect::<Vec<_>>();
        match of {
            StaticType::Null => Self::Null,
            StaticType::Boolean => Self::Boolean,
            StaticType::Number => Self::Number,
            StaticType::String => Self::String,
            StaticType::Any => Self::Any,
            StaticType::OneOf(types) => Self::one_of(all(types).into_iter().collect()),
            StaticType::Array(element) => Self::array(Vec::new(), Some(Self::from(*element))),
            StaticType::Tuple(elements) => {
                Self::array(all(elements).into_iter().map(Some).collect(), None)
            }
            StaticType::Set(element) => Self::set(Some(Self::from(*element))),
            StaticType::Object(properties, dynamic) => Self::object(
                properties
                    .iter()
                    .map(|(key, value)| (Constant::String((*key).into()), Some(value.into())))
                    .collect(),
                dynamic.map(|(key, value)| (Some(key.into()), Some(value.into()))),
            ),
        }
    }
}

/// OPA's order of types, by which those of a [`Type::OneOf`] are sorted.
impl Ord for Type {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Array(left), Self::Array(right)) => {
                if Rc::ptr_eq(left, right) {
                    return Ordering::Equal;
                }
                left.rest.cmp(&right.rest).then_with(|| left.items.cmp(&right.items))
            }
            (Self::Object(left), Self::Object(right)) => {
                if Rc::ptr_eq(left, right) {
                    return Ordering::Equal;
                }
                left.rest.cmp(&right.rest).then_with(|| left.fields.cmp(&right.fields))
            }
            (Self::Set(left), Self::Set(right)) => left.of.cmp(&right.of),
            (Self::OneOf(left), Self::OneOf(right)) => {
                if Rc::ptr_eq(left, right) {
                    return Ordering::Equal;
                }
                left.types.cmp(&right.types)
            }
            (Self::Function(left), Self::Function(right)) => left
                .parameters
                .len()
                .cmp(&right.parameters.len())
                .then_with(|| left.parameters.cmp(&right.parameters))
                .then_with(|| left.result.cmp(&right.result))
                .then_with(|| left.variadic.cmp(&right.variadic)),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Type {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Type {}

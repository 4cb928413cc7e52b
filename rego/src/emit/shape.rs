//! The properties of values that are known before the evaluation, for the choice of instructions.
//!
//! regorus keeps the elements of a set in its own order, which differs from OPA's only between sets
//! and objects: in a set that has both, or that has collections which differ in such. A loop over
//! such a set must sort it first, which costs a call. Most programs never make one, which can be
//! proved: inputs and data have no sets, and a set of values without sets is in order.

use std::collections::HashMap;

use regorus::Value;

use super::Refusal;
use crate::builtins::table::{self, StaticType};
use crate::core::{
    Block, Collection, Expr, Operand, Program, Root, Rule, RuleId, RuleKind, Slot, StatementKind,
    Substitute, Target, Var,
};

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, string, boolean or null: regorus' order and OPA's are the same for it and any
    /// value.
    Scalar,
    /// An array, set or object.
    Collection,
    /// Any.
    Unknown,
}

/// The sets that a value can contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sets {
    /// The value has no set in it.
    Absent,
    /// It is a set of values without sets, or contains no set.
    Flat,
    /// Any.
    Nested,
}

/// The known properties of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) sets: Sets,
}

impl Shape {
    const SCALAR: Self = Self { kind: Kind::Scalar, sets: Sets::Absent };
    /// Of inputs, data and their parts.
    const JSON: Self = Self { kind: Kind::Unknown, sets: Sets::Absent };
    pub(super) const ANY: Self = Self { kind: Kind::Unknown, sets: Sets::Nested };

    fn of_constant(value: &Value) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Self::SCALAR,
            Value::Array(array) => Self::of_array(array.iter().map(Self::of_constant)),
            Value::Set(set) => Self::of_set(set.iter().map(Self::of_constant)),
            Value::Object(object) => {
                let parts = object.iter().flat_map(|(key, value)| [key, value]);
                Self::of_array(parts.map(Self::of_constant))
            }
            Value::Undefined => Self::ANY,
        }
    }

    /// Of an array of these elements, or an object of these keys and values.
    fn of_array(parts: impl IntoIterator<Item = Self>) -> Self {
        let are_plain = parts.into_iter().all(|part| part.sets == Sets::Absent);
        let sets = if are_plain { Sets::Absent } else { Sets::Nested };
        Self { kind: Kind::Collection, sets }
    }

    fn of_set(elements: impl IntoIterator<Item = Self>) -> Self {
        let are_plain = elements.into_iter().all(|element| element.sets == Sets::Absent);
        let sets = if are_plain { Sets::Flat } else { Sets::Nested };
        Self { kind: Kind::Collection, sets }
    }

    /// Of a key or an element of this.
    pub(super) const fn part(self) -> Self {
        match self.sets {
            Sets::Absent | Sets::Flat => Self::JSON,
            Sets::Nested => Self::ANY,
        }
    }

    /// Of a comprehension or rule with these keys and elements.
    pub(super) fn of_collected(kind: Collection, key: Option<Self>, value: Self) -> Self {
        match kind {
            Collection::Set => Self::of_set([value]),
            Collection::Array | Collection::Object => {
                Self::of_array(key.into_iter().chain([value]))
            }
        }
    }

    fn of_declared(declared: &StaticType) -> Self {
        match declared {
            StaticType::Null | StaticType::Boolean | StaticType::Number | StaticType::String => {
                Self::SCALAR
            }
            // For arguments without sets, a built-in makes sets only where its declared type has
            // them.
            StaticType::Any => Self::JSON,
            StaticType::OneOf(all) => {
                let shapes = all.iter().map(Self::of_declared);
                shapes.reduce(Self::join).unwrap_or(Self::JSON)
            }
            StaticType::Array(element) => Self::of_array([Self::of_declared(element)]),
            StaticType::Tuple(elements) => Self::of_array(elements.iter().map(Self::of_declared)),
            StaticType::Set(element) => Self::of_set([Self::of_declared(element)]),
            StaticType::Object(properties, others) => {
                let others = others.iter().flat_map(|(key, value)| [key, value]);
                let parts = properties.iter().map(|(_, of)| of).chain(others);
                Self::of_array(parts.map(Self::of_declared))
            }
        }
    }

    fn join(self, other: Self) -> Self {
        let kind = if self.kind == other.kind { self.kind } else { Kind::Unknown };
        Self { kind, sets: self.sets.max(other.sets) }
    }
}

/// Whether a type does not describe the parts of a value.
fn has_any(declared: &StaticType) -> bool {
    match declared {
        StaticType::Null | StaticType::Boolean | StaticType::Number | StaticType::String => false,
        StaticType::Any => true,
        StaticType::OneOf(all) | StaticType::Tuple(all) => all.iter().any(has_any),
        StaticType::Array(element) | StaticType::Set(element) => has_any(element),
        StaticType::Object(properties, others) => {
            let others = others.iter().any(|(key, value)| has_any(key) || has_any(value));
            others || properties.iter().any(|(_, of)| has_any(of))
        }
    }
}

/// The known properties of all rules.
#[derive(Debug)]
pub(super) struct Shapes {
    /// Of values; `None` for a rule that was found to have no value.
    results: Vec<Option<Shape>>,
    /// Of arguments.
    parameters: Vec<Vec<Option<Shape>>>,
    /// Of inputs and data.
    outside: Shape,
}

impl Shapes {
    /// Visits all rules, whose order is known, until no property changes.
    pub(super) fn of(program: &Program, order: &[RuleId]) -> Result<Self, Refusal> {
        let mut shapes = Self {
            results: vec![None; program.rules.len()],
            parameters: program.rules.iter().map(|rule| vec![None; parameters(rule)]).collect(),
            outside: Shape::JSON,
        };
        for slot in &program.slots {
            // A replaced function and its replacement may be called with any arguments.
            if let Slot::Function { rule, candidates } = slot {
                for function in candidates.iter().chain([rule]) {
                    if let Some(parameters) = shapes.parameters.get_mut(function.index()) {
                        parameters.fill(Some(Shape::ANY));
                    }
                }
            }
        }
        loop {
            let mut is_stable = true;
            // Callers are visited before the called functions, so that one pass finds most
            // properties.
            for &id in order.iter().rev().chain(order) {
                if let Some(rule) = program.rules.get(id.index()) {
                    is_stable &= !shapes.look_at(id, rule);
                }
            }
            if is_stable {
                return Ok(shapes);
            }
        }
    }

    /// Of a rule's value.
    pub(super) fn result(&self, rule: RuleId) -> Shape {
        self.results.get(rule.index()).copied().flatten().unwrap_or(Shape::JSON)
    }

    /// Of a function's argument.
    pub(super) fn parameter(&self, function: RuleId, position: usize) -> Shape {
        let parameters = self.parameters.get(function.index());
        parameters.and_then(|all| *all.get(position)?).unwrap_or(Shape::JSON)
    }

    /// Of an expression, where `operand` is of its operands.
    pub(super) fn expression(&self, expr: &Expr, operand: impl Fn(&Operand) -> Shape) -> Shape {
        match expr {
            Expr::Operand(one) => operand(one),
            Expr::Path(Root::Input | Root::Data | Root::Extent, _) => self.outside,
            Expr::Path(Root::Operand(root), keys) => {
                if keys.is_empty() {
                    operand(root)
                } else {
                    operand(root).part()
                }
            }
            Expr::Builtin(name, args) => {
                of_builtin(name, &args.iter().map(operand).collect::<Vec<_>>())
            }
            Expr::Call(rule, _) | Expr::Rule(rule) => self.result(*rule),
            Expr::With { function, .. } => self.result(*function),
            Expr::Array(elements) => Shape::of_array(elements.iter().map(operand)),
            Expr::Set(elements) => Shape::of_set(elements.iter().map(operand)),
            Expr::Object(fields) => Shape::of_array(
                fields.iter().flat_map(|(key, value)| [operand(key), operand(value)]),
            ),
            Expr::Replaced(_) => Shape::SCALAR,
        }
    }

    /// Whether a property changed.
    fn look_at(&mut self, id: RuleId, rule: &Rule) -> bool {
        let mut look = Look { shapes: self, variables: HashMap::new(), found: false };
        for position in 0..parameters(rule) {
            let shape = look.shapes.parameter(id, position);
            let var = Var(u32::try_from(position).unwrap_or(u32::MAX));
            look.variables.insert(var, shape);
        }
        let mut result = rule.default.as_ref().map(Shape::of_constant);
        for body in crate::core::walk::bodies(&rule.definitions) {
            look.block(&body.block);
            let value = look.operand(&body.value);
            let key = body.key.as_ref().map(|key| look.operand(key));
            let shape = match rule.kind {
                RuleKind::Complete | RuleKind::Function(_) | RuleKind::Entry => value,
                RuleKind::Set => Shape::of_collected(Collection::Set, key, value),
                RuleKind::Object => Shape::of_collected(Collection::Object, key, value),
            };
            result = Some(result.map_or(shape, |known| known.join(shape)));
        }
        // It may be replaced by a value or a function.
        if rule.slot.is_some() {
            result = Some(Shape::ANY);
        }
        let mut found = look.found;
        if let Some(known) = self.results.get_mut(id.index()) {
            found |= join_into(known, result);
        }
        found
    }
}

fn parameters(rule: &Rule) -> usize {
    match rule.kind {
        RuleKind::Function(count) => usize::try_from(count).unwrap_or(usize::MAX),
        RuleKind::Entry => 1,
        RuleKind::Complete | RuleKind::Set | RuleKind::Object => 0,
    }
}

/// Whether that changes a property.
fn join_into(known: &mut Option<Shape>, other: Option<Shape>) -> bool {
    let joined = match (*known, other) {
        (Some(a), Some(b)) => Some(a.join(b)),
        (a, b) => a.or(b),
    };
    let is_new = *known != joined;
    *known = joined;
    is_new
}

fn of_builtin(name: &str, args: &[Shape]) -> Shape {
    let sets = args.iter().map(|arg| arg.sets).max().unwrap_or(Sets::Absent);
    match (name, sets) {
        // It makes sets in objects.
        ("$document", _) => Shape::ANY,
        ("$is_array" | "$is_object", _) => Shape::SCALAR,
        // Set operators, whose elements are those of their arguments.
        ("and" | "or" | "minus", Sets::Flat) => Shape { kind: Kind::Unknown, sets },
        _ => match table::declaration(name).map(|declaration| declaration.result) {
            Some(Some(result)) if sets == Sets::Absent || !has_any(&result.of) => {
                Shape::of_declared(&result.of)
            }
            // The results of this crate's built-ins contain the parts of their arguments.
            None if sets == Sets::Absent => Shape::JSON,
            Some(_) | None => Shape::ANY,
        },
    }
}

/// One pass over a rule.
struct Look<'a> {
    shapes: &'a mut Shapes,
    variables: HashMap<Var, Shape>,
    found: bool,
}

impl Look<'_> {
    fn operand(&self, operand: &Operand) -> Shape {
        of_operand(operand, |var| self.variables.get(&var).copied())
    }

    /// The nesting of blocks has been checked.
    fn block(&mut self, mut block: &Block) {
        loop {
            let mut rest = None;
            for statement in block {
                match &statement.kind {
                    StatementKind::Let(var, expr) => {
                        self.calls(expr);
                        let shape = self.shapes.expression(expr, |operand| self.operand(operand));
                        self.variables.insert(*var, shape);
                    }
                    StatementKind::Test(expr) => self.calls(expr),
                    StatementKind::Not(inner) => self.block(inner),
                    StatementKind::Each { key, value, collection, block } => {
                        self.element(*key, *value, collection);
                        rest = Some(block);
                    }
                    StatementKind::Every { key, value, collection, block } => {
                        self.element(*key, *value, collection);
                        self.block(block);
                    }
                    StatementKind::Collect { var, kind, block, key, value } => {
                        self.block(block);
                        let key = key.as_ref().map(|key| self.operand(key));
                        let shape = Shape::of_collected(*kind, key, self.operand(value));
                        self.variables.insert(*var, shape);
                    }
                }
            }
            match rest {
                Some(inner) => block = inner,
                None => return,
            }
        }
    }

    fn element(&mut self, key: Option<Var>, value: Var, collection: &Operand) {
        let shape = self.operand(collection).part();
        self.variables.extend(key.into_iter().chain([value]).map(|var| (var, shape)));
    }

    /// The arguments of functions, and the values of environments.
    fn calls(&mut self, expr: &Expr) {
        if let Expr::Call(function, args) | Expr::With { function, args, .. } = expr {
            let args: Vec<Shape> = args.iter().map(|arg| self.operand(arg)).collect();
            if let Some(parameters) = self.shapes.parameters.get_mut(function.index()) {
                for (parameter, arg) in parameters.iter_mut().zip(args) {
                    self.found |= join_into(parameter, Some(arg));
                }
            }
        }
        if let Expr::With { replacements, .. } = expr {
            for replacement in replacements {
                if let (Target::Input(_) | Target::Data(_), Substitute::Value(value)) =
                    (&replacement.target, &replacement.value)
                {
                    // From outside, a set is a part of a document.
                    let shape = Shape::of_array([self.operand(value)]);
                    let joined = self.shapes.outside.join(Shape { kind: Kind::Unknown, ..shape });
                    self.found |= joined != self.shapes.outside;
                    self.shapes.outside = joined;
                }
            }
        }
    }
}

/// Of an operand, where `variable` is of variables.
pub(super) fn of_operand(operand: &Operand, variable: impl Fn(Var) -> Option<Shape>) -> Shape {
    match operand {
        Operand::Var(var) => variable(*var).unwrap_or(Shape::ANY),
        Operand::Const(value) => Shape::of_constant(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_builtin_is_declared_to_make_is_known() {
        let plain = [Shape::JSON, Shape::JSON];
        assert_eq!(of_builtin("count", &plain), Shape::SCALAR);
        assert_eq!(of_builtin("object.keys", &plain).sets, Sets::Flat);
        assert_eq!(of_builtin("json.unmarshal", &plain).sets, Sets::Absent);
        assert_eq!(of_builtin("object.get", &[Shape::ANY]).sets, Sets::Nested);
        let flat = Shape::of_set([Shape::JSON]);
        assert_eq!(of_builtin("or", &[flat, flat]).sets, Sets::Flat);
        assert_eq!(of_builtin("sprintf", &[Shape::JSON, Shape::ANY]), Shape::SCALAR);
        assert_eq!(
            of_builtin("array.concat", &[Shape::of_array([flat]), Shape::JSON]).sets,
            Sets::Nested
        );
    }

    #[test]
    fn a_set_in_a_collection_is_nested() {
        let flat = Shape::of_set([Shape::SCALAR]);
        assert_eq!(flat.sets, Sets::Flat);
        assert_eq!(flat.part(), Shape::JSON);
        assert_eq!(Shape::of_array([flat]).sets, Sets::Nested);
        assert_eq!(Shape::of_set([flat]).sets, Sets::Nested);
        assert_eq!(Shape::of_set([flat]).part(), Shape::ANY);
    }
}

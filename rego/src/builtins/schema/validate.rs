//! Validates documents against schemas.

use std::collections::HashMap;

use regorus::Value;

use super::compile::{Additional, Bounds, Dependency, Index, Node, Schema};
use super::decimal::Decimal;
use super::outcome::{Outcome, Place, Problem};
use super::{DEPTH, canonical, formats};
use crate::builtins::limits::{self, Clock};
use crate::builtins::{Failure, order};

/// All problems of a document, the keys of an object in order.
///
/// # Errors
/// When the deadline passes, or there are too many problems.
pub(super) fn validate(
    schema: &Schema,
    document: &Value,
    clock: &mut Clock,
) -> Result<Vec<Problem>, Failure> {
    let mut validation = Validation { schema, clock, depth: DEPTH, bytes: 0 };
    Ok(validation.apart(0, document, &Place::ROOT)?.problems)
}

struct Validation<'a> {
    schema: &'a Schema,
    clock: &'a mut Clock,
    depth: usize,
    /// The size of all recorded problems.
    bytes: usize,
}

type Done = Result<(), Failure>;

/// Whether a number is beyond a bound.
type IsBeyond = fn(&Decimal, &Decimal) -> bool;

impl<'a> Validation<'a> {
    fn node(&self, index: Index) -> Result<&'a Node, Failure> {
        let missing = || Failure::Builtin("schema is invalid".to_owned());
        self.schema.node(index).ok_or_else(missing)
    }

    fn problem(
        &mut self,
        outcome: &mut Outcome,
        place: &Place<'_>,
        kind: &'static str,
        description: String,
    ) -> Done {
        let problem = Problem { kind, field: place.field(), description };
        self.bytes += problem.size();
        if self.bytes > limits::STRING_BYTES {
            return Err(limits::exceeded("a document has too many problems"));
        }
        outcome.problems.push(problem);
        outcome.score -= 2;
        Ok(())
    }

    /// Drops problems that are not shown.
    fn forget(&mut self, outcome: &Outcome) {
        let size: usize = outcome.problems.iter().map(Problem::size).sum();
        self.bytes = self.bytes.saturating_sub(size);
    }

    /// Validates into a separate outcome.
    fn apart(
        &mut self,
        index: Index,
        value: &Value,
        place: &Place<'_>,
    ) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        self.value(index, value, &mut outcome, place)?;
        Ok(outcome)
    }

    fn merged(
        &mut self,
        index: Index,
        value: &Value,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        let other = self.apart(index, value, place)?;
        outcome.merge(other);
        Ok(())
    }

    fn value(
        &mut self,
        index: Index,
        value: &Value,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        self.clock.step()?;
        self.depth =
            self.depth.checked_sub(1).ok_or_else(|| limits::exceeded("a document is too deep"))?;
        let node = self.node(index)?;
        match (node.pass, node.target) {
            (Some(true), _) => {}
            (Some(false), _) => {
                self.problem(outcome, place, "false", "False always fails validation".to_owned())?;
            }
            (None, Some(target)) => self.value(target, value, outcome, place)?,
            (None, None) => self.typed(node, value, outcome, place)?,
        }
        self.depth += 1;
        Ok(())
    }

    fn typed(
        &mut self,
        node: &Node,
        value: &Value,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        let number = Decimal::of(value);
        let given = match (value, &number) {
            (_, Some(number)) if number.is_integer() => "integer",
            (Value::Number(_), _) => "number",
            (other, _) => crate::builtins::operands::type_name(other),
        };
        let has = |name: &str| node.types.iter().any(|known| known == name);
        let fits = has(given) || given == "integer" && has("number");
        if !node.types.is_empty() && !fits {
            let expected = match node.types.as_slice() {
                [one] => one.clone(),
                many => format!("[{}]", many.join(",")),
            };
            let what = format!("Invalid type. Expected: {expected}, given: {given}");
            return self.problem(outcome, place, "invalid_type", what);
        }
        self.schemas(node, value, outcome, place)?;
        match value {
            Value::Array(array) => {
                let items: Vec<&Value> = array.iter().collect();
                self.array(node, &items, outcome, place)?;
                self.common(node, value, outcome, place)?;
            }
            Value::Object(object) => {
                let entries: Vec<(&str, &Value)> = order::entries(object)
                    .into_iter()
                    .filter_map(|(key, value)| match key {
                        Value::String(key) => Some((&**key, value)),
                        _ => None,
                    })
                    .collect();
                self.object(node, &entries, outcome, place)?;
                self.common(node, value, outcome, place)?;
                for (key, child) in &entries {
                    if let Some(property) = node.properties.get(*key) {
                        self.value(*property, child, outcome, &place.below(key))?;
                    }
                }
            }
            _ => {
                if let Some(number) = &number {
                    self.number(node, number, outcome, place)?;
                }
                self.common(node, value, outcome, place)?;
                if let Value::String(text) = value {
                    self.text(node, text, outcome, place)?;
                }
            }
        }
        outcome.score += 1;
        Ok(())
    }

    /// The subschemas of a schema.
    fn schemas(
        &mut self,
        node: &Node,
        value: &Value,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        if !node.any_of.is_empty() {
            self.any(
                &node.any_of,
                |validation, _, schema| validation.apart(*schema, value, place),
                (outcome, place),
                ("number_any_of", "Must validate at least one schema (anyOf)"),
            )?;
        }
        self.one_of(node, value, outcome, place)?;
        if !node.all_of.is_empty() {
            let mut all_valid = true;
            for schema in &node.all_of {
                let other = self.apart(*schema, value, place)?;
                all_valid &= other.is_valid();
                outcome.merge(other);
            }
            if !all_valid {
                let what = "Must validate all the schemas (allOf)".to_owned();
                self.problem(outcome, place, "number_all_of", what)?;
            }
        }
        if let Some(schema) = node.not {
            let other = self.apart(schema, value, place)?;
            self.forget(&other);
            if other.is_valid() {
                let what = "Must not validate the schema (not)".to_owned();
                self.problem(outcome, place, "number_not", what)?;
            }
        }
        self.dependencies(node, value, outcome, place)?;
        if let Some(condition) = node.condition {
            let other = self.apart(condition, value, place)?;
            self.forget(&other);
            let (branch, kind, what) = if other.is_valid() {
                (node.then, "condition_then", "Must validate \"then\" as \"if\" was valid")
            } else {
                (node.otherwise, "condition_else", "Must validate \"else\" as \"if\" was not valid")
            };
            if let Some(branch) = branch {
                let other = self.apart(branch, value, place)?;
                if !other.is_valid() {
                    self.problem(outcome, place, kind, what.to_owned())?;
                    outcome.merge(other);
                }
            }
        }
        outcome.score += 1;
        Ok(())
    }

    /// Keeps the nearer of two outcomes.
    fn nearer(&mut self, best: Option<Outcome>, other: Outcome) -> Option<Outcome> {
        match best {
            Some(best) if best.score >= other.score => {
                self.forget(&other);
                Some(best)
            }
            Some(best) => {
                self.forget(&best);
                Some(other)
            }
            None => Some(other),
        }
    }

    /// Looks for a candidate that is valid. Where there is none, the nearest one's problems are shown.
    fn any<T>(
        &mut self,
        candidates: &[T],
        mut validate: impl FnMut(&mut Self, usize, &T) -> Result<Outcome, Failure>,
        (outcome, place): (&mut Outcome, &Place<'_>),
        (kind, what): (&'static str, &str),
    ) -> Done {
        let mut best: Option<Outcome> = None;
        for (i, candidate) in candidates.iter().enumerate() {
            let other = validate(self, i, candidate)?;
            if other.is_valid() {
                best.iter().for_each(|best| self.forget(best));
                return Ok(());
            }
            best = self.nearer(best, other);
        }
        self.problem(outcome, place, kind, what.to_owned())?;
        best.into_iter().for_each(|best| outcome.merge(best));
        Ok(())
    }

    fn one_of(
        &mut self,
        node: &Node,
        value: &Value,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        if node.one_of.is_empty() {
            return Ok(());
        }
        let (mut valid, mut best): (_, Option<Outcome>) = (0, None);
        for schema in &node.one_of {
            let other = self.apart(*schema, value, place)?;
            if other.is_valid() {
                valid += 1;
            } else if valid == 0 {
                best = self.nearer(best, other);
            } else {
                self.forget(&other);
            }
        }
        if valid != 1 {
            let what = "Must validate one and only one schema (oneOf)".to_owned();
            self.problem(outcome, place, "number_one_of", what)?;
        }
        match best {
            Some(best) if valid == 0 => outcome.merge(best),
            Some(best) => self.forget(&best),
            None => {}
        }
        Ok(())
    }

    fn dependencies(
        &mut self,
        node: &Node,
        value: &Value,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        let Value::Object(object) = value else { return Ok(()) };
        for (key, dependency) in &node.dependencies {
            if object.get(&Value::from(key.as_str())).is_none() {
                continue;
            }
            match dependency {
                Dependency::Properties(names) => {
                    for name in names {
                        if object.get(&Value::from(name.as_str())).is_none() {
                            let what = format!("Has a dependency on {name}");
                            self.problem(outcome, place, "missing_dependency", what)?;
                        }
                    }
                }
                Dependency::Schema(schema) => self.value(*schema, value, outcome, place)?,
            }
        }
        Ok(())
    }

    fn common(
        &mut self,
        node: &Node,
        value: &Value,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        if let Some(constant) = &node.constant
            && canonical::text(value)? != *constant
        {
            let what = format!("{} does not match: {constant}", place.field());
            self.problem(outcome, place, "const", what)?;
        }
        if let Some(choices) = &node.choices
            && !choices.contains(&canonical::text(value)?)
        {
            let choices = choices.join(", ");
            let what = format!("{} must be one of the following: {choices}", place.field());
            self.problem(outcome, place, "enum", what)?;
        }
        if let (Some(format), Value::String(text)) = (&node.format, value)
            && !formats::has(format, text)?
        {
            let what = format!("Does not match format '{format}'");
            self.problem(outcome, place, "format", what)?;
        }
        outcome.score += 1;
        Ok(())
    }

    /// Checks a count against its bounds.
    fn counted(
        &mut self,
        bounds: Bounds,
        count: usize,
        outcome: &mut Outcome,
        place: &Place<'_>,
        kinds: [(&'static str, &str, &str); 2],
    ) -> Done {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let [(few, before_few, after_few), (many, before_many, after_many)] = kinds;
        if let Some(least) = bounds.least.filter(|least| count < *least) {
            self.problem(outcome, place, few, format!("{before_few}{least}{after_few}"))?;
        }
        if let Some(most) = bounds.most.filter(|most| count > *most) {
            self.problem(outcome, place, many, format!("{before_many}{most}{after_many}"))?;
        }
        Ok(())
    }

    fn array(
        &mut self,
        node: &Node,
        items: &[&Value],
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        let each = node.items.first().filter(|_| node.same_items);
        let schemas = node.items.len();
        for (i, item) in items.iter().enumerate() {
            let schema = match (each, node.items.get(i), &node.additional_items) {
                (Some(each), ..) => *each,
                (None, Some(own), _) => *own,
                (None, None, Additional::Schema(schema)) if schemas > 0 => *schema,
                _ => break,
            };
            self.merged(schema, item, outcome, &place.below(&i.to_string()))?;
        }
        if let Additional::Allowed(false) = node.additional_items
            && each.is_none()
            && schemas > 0
            && schemas < items.len()
        {
            let what = "No additional items allowed on array".to_owned();
            self.problem(outcome, place, "array_no_additional_items", what)?;
        }
        let kinds = [
            ("array_min_items", "Array must have at least ", " items"),
            ("array_max_items", "Array must have at most ", " items"),
        ];
        self.counted(node.item_count, items.len(), outcome, place, kinds)?;
        if node.unique_items {
            let mut known: HashMap<String, usize> = HashMap::new();
            for (i, item) in items.iter().enumerate() {
                self.clock.step()?;
                if let Some(before) = known.insert(canonical::text(item)?, i) {
                    let what = format!("array items[{before},{i}] must be unique");
                    self.problem(outcome, place, "unique", what)?;
                }
            }
        }
        if let Some(contains) = node.contains {
            self.any(
                items,
                |validation, i, item| {
                    validation.apart(contains, item, &place.below(&i.to_string()))
                },
                (outcome, place),
                ("contains", "At least one of the items must match"),
            )?;
        }
        outcome.score += 1;
        Ok(())
    }

    fn object(
        &mut self,
        node: &Node,
        entries: &[(&str, &Value)],
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        let kinds = [
            ("array_min_properties", "Must have at least ", " properties"),
            ("array_max_properties", "Must have at most ", " properties"),
        ];
        self.counted(node.property_count, entries.len(), outcome, place, kinds)?;
        for name in &node.required {
            if entries.binary_search_by_key(&name.as_str(), |(key, _)| key).is_ok() {
                outcome.score += 1;
            } else {
                self.problem(outcome, place, "required", format!("{name} is required"))?;
            }
        }
        for (key, value) in entries {
            self.property(node, key, value, outcome, place)?;
        }
        if let Some(names) = node.property_names {
            for (key, _) in entries {
                let other = self.apart(names, &Value::from(*key), place)?;
                if !other.is_valid() {
                    let what = format!("Property name of \"{key}\" does not match");
                    self.problem(outcome, place, "invalid_property_name", what)?;
                    outcome.merge(other);
                }
            }
        }
        outcome.score += 1;
        Ok(())
    }

    /// A property's patterns, and the schema of other properties.
    fn property(
        &mut self,
        node: &Node,
        key: &str,
        value: &Value,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        let mut matched = false;
        for (program, schema) in &node.pattern_properties {
            if program.is_match(key, self.clock)? {
                matched = true;
                self.merged(*schema, value, outcome, &place.below(key))?;
            }
        }
        if matched {
            outcome.score += 1;
        }
        if matched || node.properties.contains_key(key) {
            return Ok(());
        }
        match node.additional_properties {
            Additional::Allowed(false) => {
                let what = format!("Additional property {key} is not allowed");
                self.problem(outcome, place, "additional_property_not_allowed", what)
            }
            Additional::Schema(schema) => self.merged(schema, value, outcome, &place.below(key)),
            Additional::Absent | Additional::Allowed(true) => Ok(()),
        }
    }

    fn text(&mut self, node: &Node, text: &str, outcome: &mut Outcome, place: &Place<'_>) -> Done {
        let kinds = [
            ("string_gte", "String length must be greater than or equal to ", ""),
            ("string_lte", "String length must be less than or equal to ", ""),
        ];
        self.counted(node.length, text.chars().count(), outcome, place, kinds)?;
        if let Some((pattern, program)) = &node.pattern
            && !program.is_match(text, self.clock)?
        {
            let what = format!("Does not match pattern '{pattern}'");
            self.problem(outcome, place, "pattern", what)?;
        }
        outcome.score += 1;
        Ok(())
    }

    fn number(
        &mut self,
        node: &Node,
        number: &Decimal,
        outcome: &mut Outcome,
        place: &Place<'_>,
    ) -> Done {
        if let Some(factor) = node.multiple_of.as_ref().filter(|f| !number.is_multiple_of(f)) {
            let what = format!("Must be a multiple of {}", factor.show());
            self.problem(outcome, place, "multiple_of", what)?;
        }
        let bounds: [(_, IsBeyond, _, _); 4] = [
            (&node.maximum, |n, bound| n > bound, "number_lte", "less than or equal to"),
            (&node.below, |n, bound| n >= bound, "number_lt", "less than"),
            (&node.minimum, |n, bound| n < bound, "number_gte", "greater than or equal to"),
            (&node.above, |n, bound| n <= bound, "number_gt", "greater than"),
        ];
        for (bound, is_beyond, kind, words) in bounds {
            if let Some(bound) = bound.as_ref().filter(|bound| is_beyond(number, bound)) {
                let what = format!("Must be {words} {}", bound.show());
                self.problem(outcome, place, kind, what)?;
            }
        }
        outcome.score += 1;
        Ok(())
    }
}

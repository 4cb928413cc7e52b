//! The rules for queries. The first broken one is reported.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use regorus::Value;

use super::overlap::Overlap;
use super::schema::{Schema, Type, within_itself};
use super::tree::{Literal, flag, is_inline, is_spread, list, named, part, text, texts, type_of};
use super::{DEPTH, broken, literals, types};
use crate::builtins::Failure;
use crate::builtins::limits::{self, Clock};

/// The depth of nested lists in introspection at which a query is refused.
const INTROSPECTION: usize = 3;

/// Checks a query.
///
/// # Errors
/// The library's message, when a rule is broken.
pub(super) fn validate(schema: &Schema, query: &Value, clock: &mut Clock) -> Result<(), Failure> {
    let operations = list(query, "Operations");
    let mut fragments = HashMap::new();
    for fragment in list(query, "Fragments") {
        if fragments.insert(text(fragment, "Name"), fragment).is_some() {
            let name = text(fragment, "Name");
            return Err(broken(format!("There can be only one fragment named \"{name}\".")));
        }
    }
    let mut check = Check {
        schema,
        fragments,
        clock,
        depth: DEPTH,
        operation: None,
        spread: HashSet::new(),
        used: HashSet::new(),
        in_fragments: false,
    };
    check.cycles()?;
    let mut names = HashSet::new();
    for operation in &operations {
        let name = text(operation, "Name");
        if name.is_empty() && operations.len() > 1 {
            return Err(broken("This anonymous operation must be the only defined operation."));
        }
        if !names.insert(name) {
            return Err(broken(format!("There can be only one operation named \"{name}\".")));
        }
        check.operation(operation)?;
    }
    for fragment in list(query, "Fragments") {
        check.fragment(fragment)?;
    }
    Ok(())
}

/// An operation's parts, and its used variables.
struct Operation<'a> {
    name: &'a str,
    variables: Vec<&'a Value>,
    used: HashSet<&'a str>,
}

/// The expected type at a value.
#[derive(Clone, Copy)]
struct Expected<'a> {
    of: &'a Value,
    has_default: bool,
}

struct Check<'a, 'c> {
    schema: &'a Schema,
    fragments: HashMap<&'a str, &'a Value>,
    clock: &'c mut Clock,
    depth: usize,
    operation: Option<Operation<'a>>,
    /// The fragments that this operation or fragment has visited.
    spread: HashSet<&'a str>,
    used: HashSet<&'a str>,
    in_fragments: bool,
}

type Done = Result<(), Failure>;

/// Whether there is a default other than null.
fn has_default(definition: &Value) -> bool {
    part(definition, "DefaultValue").is_some_and(|value| Literal::of(value) != Literal::Null)
}

impl<'a> Check<'a, '_> {
    fn deeper(&mut self, check: impl FnOnce(&mut Self) -> Done) -> Done {
        let exceeded = || limits::exceeded("a query is too deep");
        self.depth = self.depth.checked_sub(1).ok_or_else(exceeded)?;
        check(self)?;
        self.depth += 1;
        Ok(())
    }

    /// No fragment may contain itself.
    fn cycles(&mut self) -> Done {
        let mut leads: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, fragment) in &self.fragments {
            let mut spreads = BTreeSet::new();
            let mut rest = list(fragment, "SelectionSet");
            while let Some(selection) = rest.pop() {
                self.clock.step()?;
                if is_spread(selection) {
                    spreads.insert(text(selection, "Name"));
                }
                rest.extend(list(selection, "SelectionSet"));
            }
            leads.insert(name, spreads);
        }
        match within_itself(&leads) {
            Some(name) => Err(broken(format!("Cannot spread fragment \"{name}\" within itself."))),
            None => Ok(()),
        }
    }

    fn operation(&mut self, operation: &'a Value) -> Done {
        let (root, place) = match text(operation, "Operation") {
            "query" | "" => (&self.schema.query, "QUERY"),
            "mutation" => (&self.schema.mutation, "MUTATION"),
            "subscription" => (&self.schema.subscription, "SUBSCRIPTION"),
            other => return Err(broken(format!("got unknown operation type \"{other}\""))),
        };
        let variables = list(operation, "VariableDefinitions");
        let name = text(operation, "Name");
        self.spread = HashSet::new();
        let used = HashSet::new();
        self.operation = Some(Operation { name, variables: variables.clone(), used });
        let mut names = HashSet::new();
        for variable in &variables {
            self.variable(variable, &mut names)?;
        }
        let root = root.as_ref().and_then(|root| self.schema.get(root));
        self.directives(&list(operation, "Directives"), place)?;
        self.selections(root, &list(operation, "SelectionSet"))?;
        if root.is_none() {
            let operation = text(operation, "Operation");
            return Err(broken(format!("Schema does not support operation type \"{operation}\"")));
        }
        let done = self.operation.take();
        let used = done.map(|operation| operation.used).unwrap_or_default();
        let unused = |variable: &&&Value| !used.contains(text(variable, "Variable"));
        if let Some(variable) = variables.iter().find(unused) {
            let variable = text(variable, "Variable");
            let within =
                if name.is_empty() { String::new() } else { format!(" in operation \"{name}\"") };
            return Err(broken(format!("Variable \"${variable}\" is never used{within}.")));
        }
        if text(operation, "Operation") == "subscription" {
            self.subscription(operation)?;
        }
        self.overlap(root, &list(operation, "SelectionSet"))
    }

    fn variable(&mut self, variable: &'a Value, names: &mut HashSet<&'a str>) -> Done {
        let (name, of) = (text(variable, "Variable"), type_of(variable));
        let type_name = types::name(of);
        let Some(found) = self.schema.get(type_name) else {
            return Err(broken(format!("Unknown type \"{type_name}\".")));
        };
        if !found.is_input() {
            let shown = types::show(of);
            return Err(broken(format!(
                "Variable \"${name}\" cannot be non-input type \"{shown}\"."
            )));
        }
        if !names.insert(name) {
            return Err(broken(format!("There can be only one variable named \"${name}\".")));
        }
        if let Some(default) = part(variable, "DefaultValue") {
            let expected = Expected { of, has_default: false };
            self.value(default, Some(expected), Some(found))?;
        }
        self.directives(&list(variable, "Directives"), "VARIABLE_DEFINITION")
    }

    fn subscription(&mut self, operation: &'a Value) -> Done {
        let name = match text(operation, "Name") {
            "" => "Anonymous Subscription".to_owned(),
            name => format!("Subscription \"{name}\""),
        };
        let (mut fields, mut into) = (BTreeSet::new(), HashSet::new());
        self.top_fields(&list(operation, "SelectionSet"), &mut fields, &mut into)?;
        if fields.len() > 1 {
            return Err(broken(format!("{name} must select only one top level field.")));
        }
        if fields.iter().any(|field| field.starts_with("__")) {
            return Err(broken(format!(
                "{name} must not select an introspection top level field."
            )));
        }
        Ok(())
    }

    fn top_fields(
        &mut self,
        selections: &[&'a Value],
        fields: &mut BTreeSet<&'a str>,
        into: &mut HashSet<&'a str>,
    ) -> Done {
        for selection in selections {
            let name = text(selection, "Name");
            if is_spread(selection) {
                let Some(fragment) = self.fragments.get(name).copied() else { return Ok(()) };
                if into.insert(name) {
                    let inner = list(fragment, "SelectionSet");
                    self.deeper(|check| check.top_fields(&inner, fields, into))?;
                }
            } else if is_inline(selection) {
                let inner = list(selection, "SelectionSet");
                self.deeper(|check| check.top_fields(&inner, fields, into))?;
            } else {
                fields.insert(name);
            }
        }
        Ok(())
    }

    fn fragment(&mut self, fragment: &'a Value) -> Done {
        let (name, condition) = (text(fragment, "Name"), text(fragment, "TypeCondition"));
        self.spread = HashSet::new();
        let of = self.schema.get(condition);
        self.directives(&list(fragment, "Directives"), "FRAGMENT_DEFINITION")?;
        self.selections(of, &list(fragment, "SelectionSet"))?;
        let Some(of) = of else {
            return Err(broken(format!("Unknown type \"{condition}\".")));
        };
        if !of.is_composite() {
            return Err(broken(format!(
                "Fragment \"{name}\" cannot condition on non composite type \"{condition}\"."
            )));
        }
        // Fragments that the first one spreads count as used.
        self.in_fragments = true;
        if !self.used.contains(name) {
            return Err(broken(format!("Fragment \"{name}\" is never used.")));
        }
        self.overlap(Some(of), &list(fragment, "SelectionSet"))
    }

    fn overlap(&mut self, of: Option<&'a Type>, selections: &[&'a Value]) -> Done {
        Overlap::new(self.schema, &self.fragments, self.clock).check(of, selections)
    }

    fn directives(&mut self, directives: &[&'a Value], place: &str) -> Done {
        let mut seen = HashSet::new();
        for directive in directives {
            let name = text(directive, "Name");
            let Some(definition) = self.schema.directive(name) else {
                return Err(broken(format!("Unknown directive \"@{name}\".")));
            };
            self.arguments(directive, Some(definition), &format!("directive \"@{name}\""))?;
            if !texts(definition, "Locations").contains(&place) {
                return Err(broken(format!("Directive \"@{name}\" may not be used on {place}.")));
            }
            if !seen.insert(name) && !flag(definition, "IsRepeatable") {
                return Err(broken(format!(
                    "The directive \"@{name}\" can only be used once at this location."
                )));
            }
        }
        Ok(())
    }

    /// The arguments of a field or directive; unknown ones are not checked.
    fn arguments(&mut self, node: &'a Value, definition: Option<&'a Value>, what: &str) -> Done {
        let given = list(node, "Arguments");
        let known = definition.map(|definition| list(definition, "Arguments")).unwrap_or_default();
        let mut seen = HashSet::new();
        for argument in &given {
            let name = text(argument, "Name");
            let found = named(&known, name);
            let value = part(argument, "Value").unwrap_or(&Value::Null);
            let expected =
                found.map(|found| Expected { of: type_of(found), has_default: has_default(found) });
            let of = expected.and_then(|expected| self.schema.get(types::name(expected.of)));
            self.value(value, expected, of)?;
            if !seen.insert(name) {
                return Err(broken(format!("There can be only one argument named \"{name}\".")));
            }
            if definition.is_some() && found.is_none() {
                return Err(broken(format!("Unknown argument \"{name}\" on {what}.")));
            }
        }
        for argument in known {
            let (name, of) = (text(argument, "Name"), type_of(argument));
            let is_asked_for = types::is_required(of) && part(argument, "DefaultValue").is_none();
            if is_asked_for && named(&given, name).is_none() {
                let shown = types::show(of);
                return Err(broken(format!(
                    "{what} argument \"{name}\" of type \"{shown}\" is required, but it was not provided."
                )));
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        value: &'a Value,
        expected: Option<Expected<'a>>,
        of: Option<&'a Type>,
    ) -> Done {
        self.clock.step()?;
        let children = list(value, "Children");
        match Literal::of(value) {
            Literal::Variable => self.use_variable(value, expected)?,
            Literal::Object => {
                let mut seen = HashSet::new();
                for child in &children {
                    let name = text(child, "Name");
                    let field = of.and_then(|of| of.field(name));
                    let inner = field.map(|field| Expected {
                        of: type_of(field),
                        has_default: has_default(field),
                    });
                    let inner_type = inner.and_then(|inner| self.schema.get(types::name(inner.of)));
                    let literal = part(child, "Value").unwrap_or(&Value::Null);
                    self.deeper(|check| check.value(literal, inner, inner_type))?;
                    if !seen.insert(name) {
                        return Err(broken(format!(
                            "There can be only one input field named \"{name}\"."
                        )));
                    }
                }
            }
            Literal::List => {
                let element = expected
                    .and_then(|expected| types::element(expected.of))
                    .map(|of| Expected { of, has_default: false });
                for child in &children {
                    let literal = part(child, "Value").unwrap_or(&Value::Null);
                    let inner_type = of.filter(|_| element.is_some());
                    self.deeper(|check| check.value(literal, element, inner_type))?;
                }
            }
            _ => {}
        }
        match (expected, of) {
            (Some(expected), Some(of)) => {
                let variables = self.operation.as_ref().map(|operation| &*operation.variables);
                literals::check(value, expected.of, of, variables.unwrap_or_default())
            }
            _ => Ok(()),
        }
    }

    fn use_variable(&mut self, value: &'a Value, expected: Option<Expected<'a>>) -> Done {
        let Some(operation) = &mut self.operation else { return Ok(()) };
        let name = text(value, "Raw");
        let mut known = operation.variables.iter();
        let Some(variable) = known.find(|variable| text(variable, "Variable") == name) else {
            let within = match operation.name {
                "" => String::new(),
                operation => format!(" by operation \"{operation}\""),
            };
            return Err(broken(format!("Variable \"${name}\" is not defined{within}.")));
        };
        operation.used.insert(name);
        let Some(expected) = expected else { return Ok(()) };
        let may_be_null = has_default(variable) || expected.has_default;
        if !types::fits(type_of(variable), expected.of, may_be_null) {
            let (has, wanted) = (types::show(type_of(variable)), types::show(expected.of));
            return Err(broken(format!(
                "Variable \"${name}\" of type \"{has}\" used in position expecting type \"{wanted}\"."
            )));
        }
        Ok(())
    }

    fn selections(&mut self, parent: Option<&'a Type>, selections: &[&'a Value]) -> Done {
        for selection in selections {
            self.clock.step()?;
            self.deeper(|check| {
                if is_spread(selection) {
                    check.spread(parent, selection)
                } else if is_inline(selection) {
                    check.inline(parent, selection)
                } else {
                    check.field(parent, selection)
                }
            })?;
        }
        Ok(())
    }

    fn field(&mut self, parent: Option<&'a Type>, field: &'a Value) -> Done {
        let name = text(field, "Name");
        let inner = list(field, "SelectionSet");
        if name == "__typename" {
            self.arguments_of_nothing(field)?;
            self.directives(&list(field, "Directives"), "FIELD")?;
            if !inner.is_empty() {
                return Err(broken(format!(
                    "Field \"{name}\" must not have a selection since type \"String\" has no subfields."
                )));
            }
            return Ok(());
        }
        let definition = parent.and_then(|parent| parent.field(name));
        if let (Some(parent), None) = (parent, definition) {
            let parent = &parent.name;
            return Err(broken(format!("Cannot query field \"{name}\" on type \"{parent}\".")));
        }
        self.arguments(field, definition, &format!("field \"{name}\""))?;
        let of = definition.map(type_of).and_then(|of| self.schema.get(types::name(of)));
        self.directives(&list(field, "Directives"), "FIELD")?;
        self.selections(of, &inner)?;
        if let Some(of) = of {
            if of.is_leaf() && !inner.is_empty() {
                let of = &of.name;
                return Err(broken(format!(
                    "Field \"{name}\" must not have a selection since type \"{of}\" has no subfields."
                )));
            }
            if !of.is_leaf() && inner.is_empty() {
                let of = definition.map(type_of).map(types::show).unwrap_or_default();
                return Err(broken(format!(
                    "Field \"{name}\" of type \"{of}\" must have a selection of subfields. Did you mean \"{name} {{ ... }}\"?"
                )));
            }
        }
        if matches!(name, "__schema" | "__type") && self.is_too_deep(&inner, 0)? {
            return Err(broken("Maximum introspection depth exceeded"));
        }
        if self.operation.is_some() { self.overlap(of, &inner) } else { Ok(()) }
    }

    fn arguments_of_nothing(&mut self, field: &'a Value) -> Done {
        let arguments = list(field, "Arguments");
        let Some(argument) = arguments.first() else { return Ok(()) };
        let value = part(argument, "Value").unwrap_or(&Value::Null);
        self.value(value, None, None)?;
        let name = text(argument, "Name");
        Err(broken(format!("Unknown argument \"{name}\" on field \"__typename\".")))
    }

    /// Whether lists in introspection nest too deeply.
    fn is_too_deep(&mut self, selections: &[&'a Value], lists: usize) -> Result<bool, Failure> {
        let mut found = false;
        for selection in selections {
            self.clock.step()?;
            let name = text(selection, "Name");
            let mut lists = lists;
            let inner = if is_spread(selection) {
                let fragment = self.fragments.get(name);
                fragment.map(|fragment| list(fragment, "SelectionSet")).unwrap_or_default()
            } else {
                let is_list =
                    matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields");
                lists += usize::from(is_list && !is_inline(selection));
                list(selection, "SelectionSet")
            };
            if lists >= INTROSPECTION {
                return Ok(true);
            }
            self.deeper(|check| {
                found = check.is_too_deep(&inner, lists)?;
                Ok(())
            })?;
            if found {
                return Ok(true);
            }
        }
        Ok(found)
    }

    fn inline(&mut self, parent: Option<&'a Type>, fragment: &'a Value) -> Done {
        let condition = text(fragment, "TypeCondition");
        let of = if condition.is_empty() { parent } else { self.schema.get(condition) };
        self.directives(&list(fragment, "Directives"), "INLINE_FRAGMENT")?;
        self.selections(of, &list(fragment, "SelectionSet"))?;
        if !condition.is_empty() {
            let Some(of) = of else {
                return Err(broken(format!("Unknown type \"{condition}\".")));
            };
            if !of.is_composite() {
                return Err(broken(format!(
                    "Fragment cannot condition on non composite type \"{condition}\"."
                )));
            }
            if !self.can_be(parent, of) {
                let parent = parent.map(|parent| parent.name.as_str()).unwrap_or_default();
                return Err(broken(format!(
                    "Fragment cannot be spread here as objects of type \"{parent}\" can never be of type \"{condition}\"."
                )));
            }
        }
        self.overlap(of, &list(fragment, "SelectionSet"))
    }

    fn spread(&mut self, parent: Option<&'a Type>, spread: &'a Value) -> Done {
        let name = text(spread, "Name");
        self.directives(&list(spread, "Directives"), "FRAGMENT_SPREAD")?;
        let Some(fragment) = self.fragments.get(name).copied() else {
            return Err(broken(format!("Unknown fragment \"{name}\".")));
        };
        let of = self.schema.get(text(fragment, "TypeCondition"));
        if self.spread.insert(name) {
            self.directives(&list(fragment, "Directives"), "FRAGMENT_DEFINITION")?;
            self.selections(of, &list(fragment, "SelectionSet"))?;
        }
        if !self.in_fragments {
            self.used.insert(name);
        }
        match of.filter(|of| of.is_composite()) {
            Some(of) if !self.can_be(parent, of) => {
                let parent = parent.map(|parent| parent.name.as_str()).unwrap_or_default();
                let of = &of.name;
                Err(broken(format!(
                    "Fragment \"{name}\" cannot be spread here as objects of type \"{parent}\" can never be of type \"{of}\"."
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether the types have objects in common.
    fn can_be(&self, parent: Option<&Type>, of: &Type) -> bool {
        let Some(parent) = parent else { return true };
        let own = std::slice::from_ref(&parent.name);
        let parents = match parent.kind.as_str() {
            "OBJECT" => own,
            "INTERFACE" | "UNION" => self.schema.possible(&parent.name),
            _ => return true,
        };
        let parents: HashSet<&String> = parents.iter().collect();
        self.schema.possible(&of.name).iter().any(|of| parents.contains(of))
    }
}

//! Schemas, and the rules for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regorus::Value;

use super::shape::node;
use super::syntax::parse_schema;
use super::tree::{Literal, flag, list, named, part, text, texts};
use super::{DEPTH, broken, prelude, types};
use crate::builtins::Failure;
use crate::builtins::go::quote::quote;
use crate::builtins::limits::{self, Clock};

/// Directives of the specification, which a schema may define again.
const KNOWN_DIRECTIVES: [&str; 6] =
    ["include", "skip", "deprecated", "specifiedBy", "defer", "oneOf"];

/// A type, with its extensions.
#[derive(Debug, Default)]
pub(super) struct Type {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) directives: Vec<Value>,
    interfaces: Vec<String>,
    fields: Vec<Value>,
    /// The places of fields by their names, the first of equal ones.
    places: HashMap<String, usize>,
    members: Vec<String>,
    values: Vec<Value>,
    is_built_in: bool,
}

impl Type {
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.places.get(name).and_then(|place| self.fields.get(*place))
    }

    pub(super) fn fields(&self) -> &[Value] {
        &self.fields
    }

    pub(super) fn has_value(&self, name: &str) -> bool {
        self.values.iter().any(|value| text(value, "Name") == name)
    }

    pub(super) fn has_directive(&self, name: &str) -> bool {
        self.directives.iter().any(|directive| text(directive, "Name") == name)
    }

    pub(super) fn is_leaf(&self) -> bool {
        matches!(self.kind.as_str(), "ENUM" | "SCALAR")
    }

    pub(super) fn is_composite(&self) -> bool {
        matches!(self.kind.as_str(), "OBJECT" | "INTERFACE" | "UNION")
    }

    pub(super) fn is_input(&self) -> bool {
        matches!(self.kind.as_str(), "SCALAR" | "ENUM" | "INPUT_OBJECT")
    }

    fn extend(&mut self, definition: &Value) {
        self.directives.extend(list(definition, "Directives").into_iter().cloned());
        self.interfaces.extend(texts(definition, "Interfaces").into_iter().map(str::to_owned));
        for field in list(definition, "Fields") {
            self.add_field(field.clone());
        }
        self.members.extend(texts(definition, "Types").into_iter().map(str::to_owned));
        self.values.extend(list(definition, "EnumValues").into_iter().cloned());
    }

    fn add_field(&mut self, field: Value) {
        let place = self.fields.len();
        self.places.entry(text(&field, "Name").to_owned()).or_insert(place);
        self.fields.push(field);
    }
}

/// A valid schema.
#[derive(Debug, Default)]
pub(super) struct Schema {
    types: BTreeMap<String, Type>,
    directives: BTreeMap<String, Value>,
    /// The possible object types of a type.
    possible: HashMap<String, Vec<String>>,
    pub(super) query: Option<String>,
    pub(super) mutation: Option<String>,
    pub(super) subscription: Option<String>,
}

type Done = Result<(), Failure>;

fn check_name(name: &str) -> Done {
    if name.starts_with("__") {
        return Err(broken(format!(
            "Name \"{name}\" must not begin with \"__\", which is reserved by GraphQL introspection."
        )));
    }
    Ok(())
}

impl Schema {
    /// Reads a schema's tree.
    ///
    /// # Errors
    /// The library's message, when a rule is broken.
    pub(super) fn new(document: &Value, clock: &mut Clock) -> Result<Self, Failure> {
        let prelude = parse_schema(prelude::PRELUDE)?;
        let mut schema = Self::default();
        for (document, is_built_in) in [(&prelude, true), (document, false)] {
            for definition in list(document, "Definitions") {
                clock.step()?;
                schema.define(definition, is_built_in)?;
            }
        }
        for extension in list(document, "Extensions") {
            schema.extend(extension)?;
        }
        schema.find_possible();
        for document in [&prelude, document] {
            for directive in list(document, "Directives") {
                schema.define_directive(directive)?;
            }
        }
        let roots = list(document, "Schema");
        if roots.len() > 1 {
            return Err(broken(
                "Cannot have multiple schema entry points, consider schema extensions instead.",
            ));
        }
        for root in roots.iter().copied().chain(list(document, "SchemaExtension")) {
            schema.enter(root)?;
        }
        for of in schema.types.values() {
            clock.step()?;
            schema.check_type(of, clock)?;
        }
        schema.check_inputs()?;
        for directive in schema.directives.values() {
            check_name(text(directive, "Name"))?;
            schema.check_arguments(directive, Some(text(directive, "Name")))?;
        }
        if roots.is_empty() {
            let known = |name: &str| schema.types.contains_key(name).then(|| name.to_owned());
            let [query, mutation, subscription] = ["Query", "Mutation", "Subscription"].map(known);
            schema.query = schema.query.take().or(query);
            schema.mutation = schema.mutation.take().or(mutation);
            schema.subscription = schema.subscription.take().or(subscription);
        }
        schema.add_introspection();
        Ok(schema)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    pub(super) fn directive(&self, name: &str) -> Option<&Value> {
        self.directives.get(name)
    }

    pub(super) fn possible(&self, name: &str) -> &[String] {
        self.possible.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn define(&mut self, definition: &Value, is_built_in: bool) -> Done {
        let name = text(definition, "Name").to_owned();
        if self.types.contains_key(&name) {
            return Err(broken(format!("Cannot redeclare type {name}.")));
        }
        let kind = text(definition, "Kind").to_owned();
        let is_built_in = is_built_in || flag(definition, "BuiltIn");
        let mut of = Type { kind, name: name.clone(), is_built_in, ..Type::default() };
        of.extend(definition);
        self.types.insert(name, of);
        Ok(())
    }

    fn extend(&mut self, extension: &Value) -> Done {
        let (name, kind) = (text(extension, "Name"), text(extension, "Kind"));
        let of = self.types.entry(name.to_owned()).or_insert_with(|| Type {
            kind: kind.to_owned(),
            name: name.to_owned(),
            ..Type::default()
        });
        if of.kind != kind {
            let base = &of.kind;
            return Err(broken(format!(
                "Cannot extend type {name} because the base type is a {base}, not {kind}."
            )));
        }
        of.extend(extension);
        Ok(())
    }

    fn find_possible(&mut self) {
        let mut possible: HashMap<String, Vec<String>> = HashMap::new();
        for of in self.types.values() {
            match of.kind.as_str() {
                "UNION" => possible.entry(of.name.clone()).or_default().extend(of.members.clone()),
                "INPUT_OBJECT" | "OBJECT" | "INTERFACE" => {
                    for interface in &of.interfaces {
                        possible.entry(interface.clone()).or_default().push(of.name.clone());
                    }
                    if of.kind != "INTERFACE" {
                        possible.entry(of.name.clone()).or_default().push(of.name.clone());
                    }
                }
                _ => {}
            }
        }
        self.possible = possible;
    }

    fn define_directive(&mut self, directive: &Value) -> Done {
        let name = text(directive, "Name");
        if self.directives.contains_key(name) && !KNOWN_DIRECTIVES.contains(&name) {
            return Err(broken(format!("Cannot redeclare directive {name}.")));
        }
        self.directives.insert(name.to_owned(), directive.clone());
        Ok(())
    }

    fn enter(&mut self, root: &Value) -> Done {
        for entry in list(root, "OperationTypes") {
            let (operation, of) = (text(entry, "Operation"), text(entry, "Type"));
            if !self.types.contains_key(of) {
                return Err(broken(format!(
                    "Schema root {operation} refers to a type {of} that does not exist."
                )));
            }
            let of = Some(of.to_owned());
            match operation {
                "query" => self.query = of,
                "mutation" => self.mutation = of,
                "subscription" => self.subscription = of,
                _ => {}
            }
        }
        self.check_directives(&list(root, "Directives"), "SCHEMA", None, true)
    }

    /// The fields by which a query asks for the schema.
    fn add_introspection(&mut self) {
        let Some(query) = self.query.clone().and_then(|name| self.types.get_mut(&name)) else {
            return;
        };
        let of = |name: &str, required: bool| {
            let required = Value::from(required);
            node("Type", [("NamedType", Value::from(name)), ("NonNull", required)])
        };
        let name = [("Name", Value::from("name")), ("Type", of("String", true))];
        let arguments = Value::from(vec![node("ArgumentDefinition", name)]);
        let schema = [("Name", Value::from("__schema")), ("Type", of("__Schema", true))];
        query.add_field(node("FieldDefinition", schema));
        query.add_field(node(
            "FieldDefinition",
            [
                ("Name", Value::from("__type")),
                ("Type", of("__Type", false)),
                ("Arguments", arguments),
            ],
        ));
    }

    // --- rules

    fn check_reference(&self, node: &Value) -> Result<&Type, Failure> {
        let of = part(node, "Type").unwrap_or(&Value::Null);
        let name = types::name(of);
        self.types.get(name).ok_or_else(|| broken(format!("Undefined type {name}.")))
    }

    fn check_arguments(&self, node: &Value, directive: Option<&str>) -> Done {
        for argument in list(node, "Arguments") {
            let name = text(argument, "Name");
            check_name(name)?;
            let of = self.check_reference(argument)?;
            if !of.is_input() {
                let shown = types::show(part(argument, "Type").unwrap_or(&Value::Null));
                let kind = &of.kind;
                return Err(broken(format!(
                    "cannot use {shown} as argument {name} because {kind} is not a valid input type"
                )));
            }
            let directives = list(argument, "Directives");
            self.check_directives(&directives, "ARGUMENT_DEFINITION", directive, true)?;
        }
        Ok(())
    }

    /// The directives of a location, where duplicates are allowed if it combines several locations.
    fn check_directives(
        &self,
        directives: &[&Value],
        location: &str,
        within: Option<&str>,
        is_one_place: bool,
    ) -> Done {
        let mut seen = BTreeSet::new();
        for directive in directives {
            let name = text(directive, "Name");
            check_name(name)?;
            if within == Some(name) {
                return Err(broken(format!("Directive {name} cannot refer to itself.")));
            }
            let Some(definition) = self.directives.get(name) else {
                return Err(broken(format!("Undefined directive {name}.")));
            };
            if is_one_place && !seen.insert(name) && !flag(definition, "IsRepeatable") {
                return Err(broken(format!(
                    "The directive {name} can only be used once at this location."
                )));
            }
            if !texts(definition, "Locations").contains(&location) {
                return Err(broken(format!("Directive {name} is not applicable on {location}.")));
            }
            let (known, given) = (list(definition, "Arguments"), list(directive, "Arguments"));
            for argument in &given {
                let argument = text(argument, "Name");
                if named(&known, argument).is_none() {
                    return Err(broken(format!(
                        "Undefined argument {argument} for directive {name}."
                    )));
                }
            }
            for argument in known {
                let of = part(argument, "Type").unwrap_or(&Value::Null);
                if !types::is_required(of) || part(argument, "DefaultValue").is_some() {
                    continue;
                }
                let argument = text(argument, "Name");
                let value = named(&given, argument).and_then(|given| part(given, "Value"));
                if value.is_none_or(|value| Literal::of(value) == Literal::Null) {
                    return Err(broken(format!(
                        "Argument {argument} for directive {name} cannot be null."
                    )));
                }
            }
        }
        Ok(())
    }

    fn check_type(&self, of: &Type, clock: &mut Clock) -> Done {
        let is_input = of.kind == "INPUT_OBJECT";
        let place = if is_input { "INPUT_FIELD_DEFINITION" } else { "FIELD_DEFINITION" };
        for field in &of.fields {
            clock.step()?;
            check_name(text(field, "Name"))?;
            self.check_reference(field)?;
            self.check_arguments(field, None)?;
            self.check_directives(&list(field, "Directives"), place, None, true)?;
        }
        for member in &of.members {
            let Some(found) = self.types.get(member) else {
                return Err(broken(format!("Undefined type {}.", quote(member))));
            };
            if found.kind != "OBJECT" {
                let (kind, member) = (&of.kind, quote(member));
                return Err(broken(format!("{kind} type {member} must be OBJECT.")));
            }
        }
        for interface in &of.interfaces {
            self.check_interface(of, interface, clock)?;
        }
        self.check_parts(of)?;
        let names = [
            ("Field", of.fields.iter().map(|field| text(field, "Name")).collect::<Vec<_>>()),
            ("Enum value", of.values.iter().map(|value| text(value, "Name")).collect()),
            ("Union type", of.members.iter().map(String::as_str).collect()),
        ];
        for (what, names) in names {
            let mut seen = BTreeSet::new();
            if let Some(again) = names.into_iter().find(|name| !seen.insert(*name)) {
                let name = &of.name;
                return Err(broken(if what == "Union type" {
                    format!("Union type {name} can only include type {again} once.")
                } else {
                    format!("{what} {name}.{again} can only be defined once.")
                }));
            }
        }
        if !of.is_built_in {
            check_name(&of.name)?;
        }
        let directives: Vec<&Value> = of.directives.iter().collect();
        self.check_directives(&directives, &of.kind, None, false)
    }

    fn check_parts(&self, of: &Type) -> Done {
        let (kind, name) = (&of.kind, &of.name);
        let kind_of = |field: &Value| {
            let of = part(field, "Type").unwrap_or(&Value::Null);
            self.types.get(types::name(of)).map(|of| of.kind.as_str()).unwrap_or_default()
        };
        match kind.as_str() {
            "OBJECT" | "INTERFACE" => {
                if of.fields.is_empty() {
                    return Err(broken(format!("{kind} {name}: must define one or more fields.")));
                }
                if of.fields.iter().any(|field| kind_of(field) == "INPUT_OBJECT") {
                    return Err(broken(format!(
                        "{kind} {name}: field must be one of SCALAR, OBJECT, INTERFACE, UNION, ENUM."
                    )));
                }
            }
            "ENUM" => {
                if of.values.is_empty() {
                    return Err(broken(format!(
                        "{kind} {name}: must define one or more unique enum values."
                    )));
                }
                for value in &of.values {
                    let value_name = text(value, "Name");
                    if matches!(value_name, "true" | "false" | "null") {
                        return Err(broken(format!("{kind} {name}: non-enum value {value_name}.")));
                    }
                    self.check_directives(&list(value, "Directives"), "ENUM_VALUE", None, true)?;
                }
            }
            "INPUT_OBJECT" => {
                if of.fields.is_empty() {
                    return Err(broken(format!(
                        "{kind} {name}: must define one or more input fields."
                    )));
                }
                let is_wrong =
                    |field: &&Value| !matches!(kind_of(field), "SCALAR" | "ENUM" | "INPUT_OBJECT");
                if let Some(field) = of.fields.iter().find(is_wrong) {
                    let (kind, name) = (kind_of(field), text(field, "Name"));
                    return Err(broken(format!(
                        "{kind} {name}: field must be one of SCALAR, ENUM, INPUT_OBJECT."
                    )));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_interface(&self, of: &Type, interface: &str, clock: &mut Clock) -> Done {
        let name = &of.name;
        let Some(found) = self.types.get(interface) else {
            return Err(broken(format!("Undefined type {}.", quote(interface))));
        };
        if found.kind != "INTERFACE" {
            let (interface, kind) = (quote(interface), &found.kind);
            return Err(broken(format!("{interface} is a non interface type {kind}.")));
        }
        for required in &found.fields {
            clock.step()?;
            let field_name = text(required, "Name");
            let Some(field) = of.field(field_name) else {
                return Err(broken(format!(
                    "For {name} to implement {interface} it must have a field called {field_name}."
                )));
            };
            let [wanted, has] =
                [required, field].map(|field| part(field, "Type").unwrap_or(&Value::Null));
            if !self.is_covariant(wanted, has, DEPTH)? {
                let shown = types::show(wanted);
                return Err(broken(format!(
                    "For {name} to implement {interface} the field {field_name} must have type {shown}."
                )));
            }
            let [wanted, has] = [required, field].map(|field| list(field, "Arguments"));
            let same = format!(
                "For {name} to implement {interface} the field {field_name} must have the same arguments but"
            );
            for argument in &wanted {
                let argument_name = text(argument, "Name");
                let Some(own) = named(&has, argument_name) else {
                    return Err(broken(format!("{same} it is missing {argument_name}.")));
                };
                let [wanted, own] =
                    [argument, &own].map(|node| part(node, "Type").unwrap_or(&Value::Null));
                if !types::fits(wanted, own, false) {
                    return Err(broken(format!("{same} {argument_name} has the wrong type.")));
                }
            }
            for argument in has {
                let argument_name = text(argument, "Name");
                let of = part(argument, "Type").unwrap_or(&Value::Null);
                let is_asked_for =
                    types::is_required(of) && part(argument, "DefaultValue").is_none();
                if named(&wanted, argument_name).is_none() && is_asked_for {
                    return Err(broken(format!(
                        "For {name} to implement {interface} any additional arguments on {field_name} must be optional or have a default value but {argument_name} is required."
                    )));
                }
            }
        }
        for inherited in &found.interfaces {
            if !of.interfaces.contains(inherited) {
                return Err(broken(if inherited == name {
                    format!(
                        "Type {name} cannot implement {interface} because it would create a circular reference."
                    )
                } else {
                    format!(
                        "Type {name} must implement {inherited} because it is implemented by {interface}."
                    )
                }));
            }
        }
        Ok(())
    }

    fn is_covariant(
        &self,
        required: &Value,
        actual: &Value,
        depth: usize,
    ) -> Result<bool, Failure> {
        let below = depth.checked_sub(1).ok_or_else(|| limits::exceeded("a type is too deep"))?;
        if types::is_required(required) && !types::is_required(actual) {
            return Ok(false);
        }
        let (name, other) = (text(required, "NamedType"), text(actual, "NamedType"));
        if !name.is_empty() {
            return Ok(name == other || self.possible(name).iter().any(|known| known == other));
        }
        match (types::element(required), types::element(actual)) {
            (Some(required), Some(actual)) => self.is_covariant(required, actual, below),
            _ => Ok(false),
        }
    }

    /// No input may require itself, directly or through others.
    fn check_inputs(&self) -> Done {
        let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for of in self.types.values().filter(|of| of.kind == "INPUT_OBJECT") {
            let needed = of.fields.iter().filter_map(|field| {
                let of = part(field, "Type").filter(|of| types::is_required(of))?;
                let name = text(of, "NamedType");
                let is_input = |of: &Type| of.kind == "INPUT_OBJECT";
                self.types.get(name).filter(|of| is_input(of)).map(|of| of.name.as_str())
            });
            needs.insert(&of.name, needed.collect());
        }
        if let Some(name) = within_itself(&needs) {
            return Err(broken(format!(
                "Cannot reference Input Object {} within itself through a series of non-null fields",
                quote(name)
            )));
        }
        Ok(())
    }
}

/// A name that leads to itself.
pub(super) fn within_itself<'a>(leads: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<&'a str> {
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut from: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
    for (name, to) in leads {
        let known: Vec<_> = to.iter().filter(|to| leads.contains_key(*to)).collect();
        waiting.insert(name, known.len());
        for to in known {
            from.entry(to).or_default().push(name);
        }
    }
    let mut ready: Vec<&str> =
        waiting.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(name) = ready.pop() {
        waiting.remove(name);
        for before in from.get(name).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(before) {
                *count -= 1;
                if *count == 0 {
                    ready.push(before);
                }
            }
        }
    }
    let left: Vec<&str> = waiting.into_keys().collect();
    leads.keys().find(|name| left.contains(name)).copied()
}

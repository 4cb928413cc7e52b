//! Schemas as nodes that refer to each other by number: a schema may contain itself.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use regorus::Value;

use super::decimal::Decimal;
use super::describe::{
    TYPES, cannot_be_greater, failed, invalid_type, items_must_be_unique, must_be_of_a,
    must_be_of_an, must_be_of_type,
};
use super::pool::{Pool, draft_of};
use super::{DEPTH, Draft, canonical};
use crate::builtins::go::url::{self, Url};
use crate::builtins::limits::{self, Clock};
use crate::builtins::regex::{self, program::Program};
use crate::builtins::{Failure, order};

/// A compiled schema; its first node is the whole.
#[derive(Debug)]
pub(super) struct Schema {
    nodes: Vec<Node>,
}

/// The number of a node.
pub(super) type Index = usize;

/// A keyword that is a yes, a no, or a schema.
#[derive(Debug, Default)]
pub(super) enum Additional {
    #[default]
    Absent,
    Allowed(bool),
    Schema(Index),
}

/// The requirements of an existing property.
#[derive(Debug)]
pub(super) enum Dependency {
    Properties(Vec<String>),
    Schema(Index),
}

/// A schema within a schema.
#[derive(Debug, Default)]
pub(super) struct Node {
    draft: Option<Draft>,
    /// Of `true` and `false`.
    pub(super) pass: Option<bool>,
    /// Of `$ref`, which disables all other keywords.
    pub(super) target: Option<Index>,
    pub(super) types: Vec<String>,
    pub(super) properties: BTreeMap<String, Index>,
    pub(super) additional_properties: Additional,
    pub(super) pattern_properties: Vec<(Rc<Program>, Index)>,
    pub(super) property_names: Option<Index>,
    pub(super) dependencies: BTreeMap<String, Dependency>,
    /// One for all items, or one for each of the first.
    pub(super) items: Vec<Index>,
    pub(super) same_items: bool,
    pub(super) additional_items: Additional,
    pub(super) multiple_of: Option<Decimal>,
    pub(super) minimum: Option<Decimal>,
    pub(super) above: Option<Decimal>,
    pub(super) maximum: Option<Decimal>,
    pub(super) below: Option<Decimal>,
    pub(super) length: Bounds,
    pub(super) pattern: Option<(String, Rc<Program>)>,
    pub(super) format: Option<String>,
    pub(super) property_count: Bounds,
    pub(super) required: Vec<String>,
    pub(super) item_count: Bounds,
    pub(super) unique_items: bool,
    pub(super) contains: Option<Index>,
    pub(super) constant: Option<String>,
    pub(super) choices: Option<Vec<String>>,
    pub(super) one_of: Vec<Index>,
    pub(super) any_of: Vec<Index>,
    pub(super) all_of: Vec<Index>,
    pub(super) not: Option<Index>,
    pub(super) condition: Option<Index>,
    pub(super) then: Option<Index>,
    pub(super) otherwise: Option<Index>,
}

/// The least and the most of something.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) least: Option<i64>,
    pub(super) most: Option<i64>,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// The library's message when it is not a schema; one that is too deep ends the evaluation.
    pub(super) fn compile(document: &Value, clock: &mut Clock) -> Result<Self, Failure> {
        let mut compiler = Compiler {
            schema: Self { nodes: Vec::new() },
            pool: Pool::default(),
            references: HashMap::new(),
            depth: DEPTH,
            clock,
        };
        let document = compiler.pool.add(document, &Url::default())?;
        let draft = draft_of(&document)?.unwrap_or(Draft::Hybrid);
        compiler.node(&document, draft)?;
        Ok(compiler.schema)
    }

    /// A node.
    pub(super) fn node(&self, index: Index) -> Option<&Node> {
        self.nodes.get(index)
    }
}

type Fields<'a> = BTreeMap<&'a str, &'a Value>;

struct Compiler<'a> {
    schema: Schema,
    pool: Pool,
    /// Nodes by the references that led to them.
    references: HashMap<String, Index>,
    depth: usize,
    clock: &'a mut Clock,
}

impl Compiler<'_> {
    /// Compiles a separate schema.
    fn node(&mut self, document: &Value, draft: Draft) -> Result<Index, Failure> {
        let index = self.reserve(draft);
        self.fill(index, document)?;
        Ok(index)
    }

    fn reserve(&mut self, draft: Draft) -> Index {
        self.schema.nodes.push(Node { draft: Some(draft), ..Node::default() });
        self.schema.nodes.len() - 1
    }

    fn fill(&mut self, index: Index, document: &Value) -> Result<(), Failure> {
        self.clock.step()?;
        self.depth =
            self.depth.checked_sub(1).ok_or_else(|| limits::exceeded("a schema is too deep"))?;
        let draft = self.schema.node(index).and_then(|node| node.draft).unwrap_or(Draft::Hybrid);
        let mut node = Node { draft: Some(draft), ..Node::default() };
        self.keywords(&mut node, document, draft)?;
        if let Some(place) = self.schema.nodes.get_mut(index) {
            *place = node;
        }
        self.depth += 1;
        Ok(())
    }

    fn keywords(&mut self, node: &mut Node, document: &Value, draft: Draft) -> Result<(), Failure> {
        let object = match document {
            Value::Bool(pass) if draft >= Draft::Six => {
                node.pass = Some(*pass);
                return Ok(());
            }
            Value::Object(object) => object,
            _ => return Err(failed("Expected: Valid Schema, given: Invalid JSON".to_owned())),
        };
        let fields: Fields<'_> = order::entries(object)
            .into_iter()
            .filter_map(|(key, value)| match key {
                Value::String(key) => Some((&**key, value)),
                _ => None,
            })
            .collect();
        self.about(&fields, draft)?;
        if let Some(reference) = text(&fields, "$ref")? {
            let url = url::parse(reference)?;
            match self.references.get(&url.to_string()) {
                Some(known) => node.target = Some(*known),
                None => {
                    node.target = Some(self.reference(&url, draft)?);
                    return Ok(());
                }
            }
        }
        types(&fields, node)?;
        self.of_objects(&fields, node, draft)?;
        self.of_items(&fields, node, draft)?;
        of_numbers(&fields, node, draft)?;
        of_texts(&fields, node)?;
        node.property_count = bounds(&fields, "minProperties", "maxProperties")?;
        for value in list(&fields, "required")? {
            let Value::String(name) = value else { return Err(invalid_type("string", "required")) };
            if node.required.iter().any(|known| **known == **name) {
                return Err(items_must_be_unique("required"));
            }
            node.required.push((**name).to_owned());
        }
        node.item_count = bounds(&fields, "minItems", "maxItems")?;
        match fields.get("uniqueItems") {
            None => {}
            Some(Value::Bool(unique)) => node.unique_items = *unique,
            Some(_) => return Err(must_be_of_a("uniqueItems", "boolean")),
        }
        if draft >= Draft::Six {
            if let Some(contains) = fields.get("contains") {
                node.contains = Some(self.node(contains, draft)?);
            }
            if let Some(constant) = fields.get("const") {
                node.constant = Some(canonical::text(constant)?);
            }
        }
        node.choices = choices(&fields)?;
        self.of_schemas(&fields, node, draft)
    }

    /// The annotations of a schema, and the schemas that exist only for references.
    fn about(&mut self, fields: &Fields<'_>, draft: Draft) -> Result<(), Failure> {
        let key = match draft {
            Draft::Four => "id",
            Draft::Hybrid if fields.contains_key("id") => "id",
            Draft::Six | Draft::Seven | Draft::Hybrid => "$id",
        };
        if let Some(id) = text(fields, key)? {
            url::parse(id)?;
        }
        match fields.get("definitions") {
            None => {}
            Some(Value::Object(definitions)) => {
                for (_, definition) in order::entries(definitions) {
                    if !is_schema(definition) {
                        return Err(invalid_type("Array Of Schemas", "definitions"));
                    }
                    self.node(definition, draft)?;
                }
            }
            Some(_) => return Err(invalid_type("Array Of Schemas", "definitions")),
        }
        text(fields, "title")?;
        text(fields, "description")?;
        Ok(())
    }

    fn reference(&mut self, url: &Url, draft: Draft) -> Result<Index, Failure> {
        let index = self.reserve(draft);
        self.references.insert(url.to_string(), index);
        let document = self.pool.find(url)?;
        if let (Some(node), Some(own)) = (self.schema.nodes.get_mut(index), document.draft) {
            node.draft = Some(own);
        }
        if !is_schema(&document.value) {
            return Err(must_be_of_type("Valid Schema", "object"));
        }
        self.fill(index, &document.value)?;
        Ok(index)
    }

    fn of_objects(
        &mut self,
        fields: &Fields<'_>,
        node: &mut Node,
        draft: Draft,
    ) -> Result<(), Failure> {
        match fields.get("properties") {
            None => {}
            Some(Value::Object(properties)) => {
                for (key, value) in order::entries(properties) {
                    let index = self.node(value, draft)?;
                    node.properties.insert(name(key), index);
                }
            }
            Some(_) => return Err(must_be_of_type("Properties", "object")),
        }
        node.additional_properties = self.additional(fields, "additionalProperties", draft)?;
        match fields.get("patternProperties") {
            None => {}
            Some(Value::Object(patterns)) => {
                for (key, value) in order::entries(patterns) {
                    let pattern = name(key);
                    let program = regex::compiled(&pattern).map_err(|error| match error {
                        Failure::Builtin(_) => failed(format!("Invalid regex pattern '{pattern}'")),
                        other => other,
                    })?;
                    let index = self.node(value, draft)?;
                    node.pattern_properties.push((program, index));
                }
            }
            Some(_) => return Err(invalid_type("Valid Schema", "patternProperties")),
        }
        if let Some(names) = fields.get("propertyNames").filter(|_| draft >= Draft::Six) {
            if !is_schema(names) {
                return Err(invalid_type("Valid Schema", "patternProperties"));
            }
            node.property_names = Some(self.node(names, draft)?);
        }
        match fields.get("dependencies") {
            None => Ok(()),
            Some(Value::Object(dependencies)) => {
                for (key, value) in order::entries(dependencies) {
                    if let Some(dependency) = self.dependency(value, draft)? {
                        node.dependencies.insert(name(key), dependency);
                    }
                }
                Ok(())
            }
            Some(_) => Err(must_be_of_type("dependencies", "object")),
        }
    }

    fn dependency(&mut self, value: &Value, draft: Draft) -> Result<Option<Dependency>, Failure> {
        let wrong = || must_be_of_type("Dependency", "Schema Or Array Of Strings");
        match value {
            Value::Array(names) => {
                let mut all = Vec::new();
                for name in names.iter() {
                    let Value::String(name) = name else { return Err(wrong()) };
                    all.push((**name).to_owned());
                }
                Ok(Some(all).filter(|all| !all.is_empty()).map(Dependency::Properties))
            }
            Value::Bool(_) | Value::Object(_) => {
                Ok(Some(Dependency::Schema(self.node(value, draft)?)))
            }
            _ => Err(wrong()),
        }
    }

    fn additional(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        draft: Draft,
    ) -> Result<Additional, Failure> {
        match fields.get(key) {
            None => Ok(Additional::Absent),
            Some(Value::Bool(allowed)) => Ok(Additional::Allowed(*allowed)),
            Some(schema @ Value::Object(_)) => Ok(Additional::Schema(self.node(schema, draft)?)),
            Some(_) => Err(invalid_type("boolean/Valid Schema", key)),
        }
    }

    fn of_items(
        &mut self,
        fields: &Fields<'_>,
        node: &mut Node,
        draft: Draft,
    ) -> Result<(), Failure> {
        let wrong = || invalid_type("Valid Schema/Array Of Schemas", "items");
        match fields.get("items") {
            None => {}
            Some(Value::Array(items)) => {
                for item in items.iter() {
                    if !is_schema(item) {
                        return Err(wrong());
                    }
                    node.items.push(self.node(item, draft)?);
                }
            }
            Some(item) if is_schema(item) => {
                node.items.push(self.node(item, draft)?);
                node.same_items = true;
            }
            Some(_) => return Err(wrong()),
        }
        node.additional_items = self.additional(fields, "additionalItems", draft)?;
        Ok(())
    }

    fn of_schemas(
        &mut self,
        fields: &Fields<'_>,
        node: &mut Node,
        draft: Draft,
    ) -> Result<(), Failure> {
        for schema in list(fields, "oneOf")? {
            node.one_of.push(self.node(schema, draft)?);
        }
        for schema in list(fields, "anyOf")? {
            node.any_of.push(self.node(schema, draft)?);
        }
        for schema in list(fields, "allOf")? {
            node.all_of.push(self.node(schema, draft)?);
        }
        node.not = self.optional(fields, "not", draft)?;
        if draft >= Draft::Seven {
            node.condition = self.optional(fields, "if", draft)?;
            node.then = self.optional(fields, "then", draft)?;
            node.otherwise = self.optional(fields, "else", draft)?;
        }
        Ok(())
    }

    fn optional(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        draft: Draft,
    ) -> Result<Option<Index>, Failure> {
        match fields.get(key) {
            None => Ok(None),
            Some(schema) if is_schema(schema) => Ok(Some(self.node(schema, draft)?)),
            Some(_) => Err(must_be_of_an(key, "object")),
        }
    }
}

fn is_schema(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Object(_))
}

fn name(key: &Value) -> String {
    match key {
        Value::String(name) => (**name).to_owned(),
        _ => String::new(),
    }
}

fn text<'a>(fields: &Fields<'a>, key: &str) -> Result<Option<&'a str>, Failure> {
    match fields.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid_type("string", key)),
    }
}

fn list<'a>(fields: &Fields<'a>, key: &str) -> Result<Vec<&'a Value>, Failure> {
    match fields.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(elements)) => Ok(elements.iter().collect()),
        Some(_) => Err(must_be_of_an(key, "array")),
    }
}

fn types(fields: &Fields<'_>, node: &mut Node) -> Result<(), Failure> {
    let wrong = || invalid_type("type", "string/Array Of Strings");
    let given: Vec<&Value> = match fields.get("type") {
        None => return Ok(()),
        Some(one @ Value::String(_)) => vec![*one],
        Some(Value::Array(many)) => many.iter().collect(),
        Some(_) => return Err(wrong()),
    };
    for value in given {
        let Value::String(name) = value else { return Err(wrong()) };
        if !TYPES.contains(&&**name) {
            let known = TYPES.join(" ");
            return Err(failed(format!(
                "has a primitive type that is NOT VALID -- given: /{name}/ Expected valid values are:[{known}]"
            )));
        }
        if node.types.iter().any(|known| **known == **name) {
            return Err(failed(format!("{name} type is duplicated")));
        }
        node.types.push((**name).to_owned());
    }
    Ok(())
}

fn of_numbers(fields: &Fields<'_>, node: &mut Node, draft: Draft) -> Result<(), Failure> {
    if let Some(value) = fields.get("multipleOf") {
        let factor = Decimal::of(value).ok_or_else(|| invalid_type("Number", "multipleOf"))?;
        if !factor.is_positive() {
            return Err(failed("multipleOf must be strictly greater than 0".to_owned()));
        }
        node.multiple_of = Some(factor);
    }
    (node.minimum, node.above) = limit(fields, "minimum", "exclusiveMinimum", draft)?;
    (node.maximum, node.below) = limit(fields, "maximum", "exclusiveMaximum", draft)?;
    Ok(())
}

/// An inclusive and an exclusive bound. Draft 4 has one number with a flag.
fn limit(
    fields: &Fields<'_>,
    key: &str,
    exclusive: &str,
    draft: Draft,
) -> Result<(Option<Decimal>, Option<Decimal>), Failure> {
    let bound = match fields.get(key) {
        None => None,
        Some(value) => Some(Decimal::of(value).ok_or_else(|| must_be_of_a(key, "Number"))?),
    };
    let Some(value) = fields.get(exclusive) else { return Ok((bound, None)) };
    let wrong = |expected: &str| Err(invalid_type(expected, exclusive));
    match (draft, value) {
        (Draft::Four | Draft::Hybrid, Value::Bool(is_exclusive)) => match bound {
            None => Err(failed(format!("{exclusive} cannot be used without {key}"))),
            Some(bound) if *is_exclusive => Ok((None, Some(bound))),
            Some(bound) => Ok((Some(bound), None)),
        },
        (Draft::Four, _) => wrong("boolean"),
        (_, Value::Number(_)) => Ok((bound, Decimal::of(value))),
        (Draft::Hybrid, _) => wrong("boolean/number"),
        (Draft::Six | Draft::Seven, _) => wrong("number"),
    }
}

fn of_texts(fields: &Fields<'_>, node: &mut Node) -> Result<(), Failure> {
    node.length = Bounds { least: size(fields, "minLength")?, most: size(fields, "maxLength")? };
    if node.length.are_apart() {
        return Err(cannot_be_greater("minLength", "maxLength"));
    }
    if let Some(pattern) = text(fields, "pattern")? {
        let program = regex::compiled(pattern).map_err(|error| match error {
            Failure::Builtin(_) => failed("pattern must be a valid regex".to_owned()),
            other => other,
        })?;
        node.pattern = Some((pattern.to_owned(), program));
    }
    node.format = text(fields, "format")?.map(str::to_owned);
    Ok(())
}

fn bounds(fields: &Fields<'_>, least: &str, most: &str) -> Result<Bounds, Failure> {
    let bounds = Bounds { least: size(fields, least)?, most: size(fields, most)? };
    if least == "minProperties" && bounds.are_apart() {
        return Err(cannot_be_greater(least, most));
    }
    Ok(bounds)
}

impl Bounds {
    fn are_apart(self) -> bool {
        matches!((self.least, self.most), (Some(least), Some(most)) if least > most)
    }
}

fn size(fields: &Fields<'_>, key: &str) -> Result<Option<i64>, Failure> {
    let Some(value) = fields.get(key) else { return Ok(None) };
    let size = Decimal::of(value).and_then(|number| number.to_i64());
    let size = size.ok_or_else(|| must_be_of_an(key, "integer"))?;
    if size < 0 {
        return Err(failed(format!("{key} must be greater than or equal to 0")));
    }
    Ok(Some(size))
}

fn choices(fields: &Fields<'_>) -> Result<Option<Vec<String>>, Failure> {
    if !fields.contains_key("enum") {
        return Ok(None);
    }
    let mut choices = Vec::new();
    let mut known = std::collections::HashSet::new();
    for value in list(fields, "enum")? {
        let text = canonical::text(value)?;
        if !known.insert(text.clone()) {
            return Err(items_must_be_unique("enum"));
        }
        choices.push(text);
    }
    Ok(Some(choices))
}
